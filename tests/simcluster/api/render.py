"""How answers look: whole objects, metadata only, or tables, as the Accept header asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from ..schema.errors import go_quote
from ..schema.resource import Resource
from ..store import Entry
from .context import Call
from .errors import StatusError, bad_request
from .lists import Page, listing, metadata, page
from .table import columns_of, row_of

Obj = dict[str, Any]
_META_VERSIONS = ("v1", "v1beta1")


@dataclass(frozen=True)
class Form:
    """``as`` is empty, ``Table``, ``PartialObjectMetadata`` or ``PartialObjectMetadataList``."""

    kind: str = ""
    version: str = "v1"


def accepted(accept: str) -> Form:
    """The first form of an Accept header that the server can make; raises StatusError (406)."""
    for clause in accept.split(",") if accept else ["*/*"]:
        media, *parameters = [part.strip() for part in clause.split(";")]
        if media not in ("application/json", "*/*", "application/*", "application/yaml"):
            continue
        given = dict(part.partition("=")[::2] for part in parameters)
        kind = given.get("as", "")
        if not kind:
            return Form()
        known = kind in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
        if known and given.get("g") == "meta.k8s.io" and given.get("v") in _META_VERSIONS:
            return Form(kind, given["v"])
    listed = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    raise StatusError(406, "NotAcceptable", f"only the following media types are accepted: {listed}")


class Renderer:
    """Objects of one resource in the form that a request wants."""

    def __init__(self, call: Call, resource: Resource, version: str) -> None:
        self._call = call
        self._resource = resource
        self._version = version
        self._form = accepted(call.headers.get("Accept", ""))
        self._columns_sent = False

    @property
    def plain(self) -> bool:
        """Whether whole objects are wanted."""
        return not self._form.kind

    def entry(self, entry: Entry) -> bytes:
        """A stored object."""
        if self.plain:
            return self._call.cluster.data(self._resource, entry, self._version)
        return orjson.dumps(self.obj(self._call.cluster.obj(self._resource, entry, self._version)))

    def obj(self, obj: Obj) -> Obj:
        """An object of the requested version; of a table's rows only the first comes with its columns."""
        if self.plain:
            return obj
        if self._form.kind == "PartialObjectMetadataList":
            raise self._no_list()
        if self._form.kind != "Table":
            return self._partial(obj)
        table = self._table([obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")})
        if self._columns_sent:
            table["columnDefinitions"] = None
        self._columns_sent = True
        return table

    def collection(self) -> bytes:
        """The page that the request asks for."""
        if self.plain:
            return listing(self._call, self._resource, self._version)
        if self._form.kind == "PartialObjectMetadata":
            kind = f"core.{self._resource.kind}List" if self._resource.builtin else "unstructured.UnstructuredList"
            text = f"you requested PartialObjectMetadata, but the requested object is a list (*{kind})"
            raise StatusError(406, "NotAcceptable", text)
        found = page(self._call, self._resource)
        objects = self._objects(found)
        if self._form.kind == "Table":
            return orjson.dumps(self._table(objects, metadata(found)))
        return orjson.dumps(
            {
                "kind": "PartialObjectMetadataList",
                "apiVersion": f"meta.k8s.io/{self._form.version}",
                "metadata": metadata(found),
                "items": [self._partial(obj) for obj in objects],
            }
        )

    def _no_list(self) -> StatusError:
        if not self._resource.builtin:
            return StatusError(500, "", "content is not a list")
        kind = f"core.{self._resource.kind}"
        text = f"you requested PartialObjectMetadataList, but the requested object is not a list (*{kind})"
        return StatusError(406, "NotAcceptable", text)

    def _objects(self, found: Page) -> list[Obj]:
        cluster = self._call.cluster
        return [cluster.obj(self._resource, entry, self._version) for entry in found.entries]

    def _partial(self, obj: Obj) -> Obj:
        return {
            "kind": "PartialObjectMetadata",
            "apiVersion": f"meta.k8s.io/{self._form.version}",
            "metadata": obj["metadata"],
        }

    def _table(self, objects: list[Obj], meta: dict[str, Any]) -> Obj:
        columns = columns_of(self._call.cluster.registry, self._resource, self._version)
        include = self._call.query.get("includeObject") or "Metadata"
        if include not in ("Metadata", "Object", "None"):
            problem = f"Invalid value: {go_quote(include)}: must be 'Metadata', 'Object', 'None', or empty"
            raise bad_request(f"Unable to convert to Table as requested: includeObject: {problem}")
        now = self._call.cluster.clock.now()
        rows = []
        for obj in objects:
            row: Obj = {"cells": row_of(columns, obj, now), "object": None}
            if include == "Metadata":
                row["object"] = self._partial(obj)
            elif include == "Object":
                row["object"] = obj
            rows.append(row)
        return {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{self._form.version}",
            "metadata": meta,
            "columnDefinitions": [column.definition for column in columns],
            "rows": rows,
        }
