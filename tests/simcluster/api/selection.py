"""Label and field selectors of list, watch and deletecollection.

Source: k8s.io/apimachinery ``pkg/fields/selector.go``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..label_parser import BadSelector, Requirement, parse_labels
from ..schema.resource import Resource
from ..selectors import fulfils
from ..store import Entry, Table
from .errors import bad_request


@dataclass(frozen=True)
class Selection:
    """What a request selects; an empty one matches everything."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[tuple[str, str, str], ...] = ()

    @property
    def everything(self) -> bool:
        """Whether nothing is asked for."""
        return not self.labels and not self.fields

    def matches(self, entry: Entry) -> bool:
        """Whether a state of an object is selected."""
        for label, operator, value in self.fields:
            found = _field(entry, label)
            if (found == value) != (operator == "="):
                return False
        return all(fulfils(requirement, entry.labels) for requirement in self.labels)


def _field(entry: Entry, label: str) -> str:
    if label == "metadata.name":
        return entry.name
    if label == "metadata.namespace":
        return entry.namespace
    return entry.fields[label]


def parse_selection(query: Mapping[str, str], table: Table) -> Selection:
    """The selection of a request; raises StatusError (400)."""
    try:
        labels = tuple(parse_labels(query.get("labelSelector", "")))
    except BadSelector as error:
        raise bad_request(str(error)) from error
    fields = tuple(_field_term(text, table) for text in query.get("fieldSelector", "").split(",") if text)
    return Selection(labels, fields)


def _field_term(text: str, table: Table) -> tuple[str, str, str]:
    match = re.match(r"^([^=!]+)(==|=|!=)(.*)$", text)
    if match is None:
        raise bad_request(f"invalid selector: '{text}'; can't understand '{text}'")
    label, operator, value = match.groups()
    if label not in ("metadata.name", "metadata.namespace", *table.labels):
        raise bad_request(_unsupported(table.resource, label))
    return label, "!=" if operator == "!=" else "=", value


def _unsupported(resource: Resource, label: str) -> str:
    if resource.builtin and not (resource.group == "" and resource.plural in ("pods", "nodes", "events", "secrets")):
        return f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"'
    return f"field label not supported: {label}"
