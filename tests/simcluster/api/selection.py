"""Label and field selectors of list, watch and deletecollection.

Source: k8s.io/apimachinery ``pkg/labels/selector.go``, ``pkg/fields/selector.go``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..schema.metadata import label_value_problems, qualified_name_problems
from ..schema.resource import Resource
from ..selectors import fulfils
from ..store import Entry, Table
from .errors import bad_request

_SET = re.compile(r"^(\S+)\s+(in|notin)\s*\(([^()]*)\)$")
_COMPARE = re.compile(r"^([^=!<>]+?)\s*(==|=|!=|>|<)\s*([^=!<>]*)$")
_OPERATORS = {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}
Requirement = dict[str, object]


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
    labels = tuple(_requirement(text) for text in _split(query.get("labelSelector", "")))
    fields = tuple(_field_term(text, table) for text in _split(query.get("fieldSelector", "")))
    return Selection(labels, fields)


def _split(text: str) -> list[str]:
    """Parts between commas outside parentheses."""
    parts = re.split(r",(?![^()]*\))", text)
    return [part.strip() for part in parts if part.strip()]


def _requirement(text: str) -> Requirement:
    if match := _SET.match(text):
        key, operator, listed = match.groups()
        values = sorted(value.strip() for value in listed.split(","))
        return _checked(text, key, "In" if operator == "in" else "NotIn", values)
    if match := _COMPARE.match(text):
        key, operator, value = match.groups()
        return _checked(text, key.strip(), _OPERATORS[operator], [value.strip()])
    if text.startswith("!"):
        return _checked(text, text[1:].strip(), "DoesNotExist", [])
    return _checked(text, text, "Exists", [])


def _checked(text: str, key: str, operator: str, values: list[str]) -> Requirement:
    problems = qualified_name_problems(key)
    if operator in ("In", "NotIn"):
        problems += [problem for value in values for problem in label_value_problems(value)]
    elif operator in ("Gt", "Lt") and not re.fullmatch(r"-?\d+", values[0]):
        problems.append("for 'Gt', 'Lt' operators, the value must be an integer")
    if problems:
        raise bad_request(f"unable to parse requirement: {text!r}: {problems[0]}".replace("'", '"', 2))
    return {"key": key, "operator": operator, "values": values}


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
