"""Makes ``data/core.json``, the field types of built-in kinds: ``python -m simcluster.schema.build_core``.

Field names and types come from the model classes of the installed ``kubernetes`` client, which are generated from
Kubernetes' OpenAPI document; what else the server knows of them from :mod:`simcluster.schema.core_facts`. A field that
``core_facts`` names and that does not exist makes the program stop.
"""

from __future__ import annotations

import datetime
import re
import sys
import types
import typing
from typing import Any

from kubernetes.client import models

from . import core_facts as facts
from .build import DATA, dump
from .builtins import BUILTINS, SUBRESOURCE_KINDS
from .nodes import INT_OR_STRING, LIST_MAP_KEYS, LIST_TYPE, MAP_TYPE, PRESERVE

_QUANTITY = {"type": "quantity"}


class _Types:
    """Schemas by type name; ``nodes`` is in order of first use, so cycles are possible."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.used: set[str] = set()
        self._scalars: dict[str, int] = {}
        self._models: dict[type, int] = {}

    def model(self, model: Any) -> int:
        """Index of a model class' schema."""
        name = go_name(model)
        if name in facts.FREE_FORM:
            return self._scalar({PRESERVE: True})
        if model not in self._models:
            schema: dict[str, Any] = {"type": "object", "go": name}
            self._models[model] = len(self.nodes)
            self.nodes.append(schema)
            if name in facts.ATOMIC_TYPES:
                schema[MAP_TYPE] = "atomic"
            properties = {
                json_name(model, field): self._field(name, json_name(model, field), info.annotation)
                for field, info in model.model_fields.items()
            }
            if name in facts.REQUIRED:
                self.used.add(name)
                schema["required"] = [self._exists(f, properties, name) for f in facts.REQUIRED[name]]
            schema["properties"] = properties
        return self._models[model]

    @staticmethod
    def _exists(field: str, properties: dict[str, int], name: str) -> str:
        if field not in properties:
            raise SystemExit(f"{name} has no field {field}")
        return field

    def _field(self, owner: str, field: str, annotation: Any) -> int:
        key = f"{owner}.{field}"
        index = self._type(annotation, field)
        extra: dict[str, Any] = {}
        if key in facts.DEFAULTS:
            extra["default"] = facts.DEFAULTS[key]
        if key in facts.NULLABLE:
            extra |= {"default": None, "nullable": True}
        if key in facts.ENUMS:
            extra["enum"] = facts.ENUMS[key]
        if key in facts.LIST_KEYS:
            extra |= {LIST_TYPE: "map", LIST_MAP_KEYS: facts.LIST_KEYS[key]}
        if key in facts.SETS:
            extra[LIST_TYPE] = "set"
        if key in facts.ITEM_ENUMS:
            extra["items"] = self._scalar({"type": "string", "enum": facts.ITEM_ENUMS[key]})
        if not extra:
            return index
        self.used.add(key)
        return self._scalar({**self.nodes[index], **extra})

    def _type(self, annotation: Any, field: str) -> int:
        annotation = _plain(annotation)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if isinstance(annotation, tuple):
            return self._scalar(_union(annotation, field))
        if origin is list:
            return self._scalar({"type": "array", LIST_TYPE: "atomic", "items": self._type(arguments[0], field)})
        if origin is dict:
            return self._scalar({"type": "object", "additionalProperties": self._type(arguments[1], field)})
        if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
            return self.model(annotation)
        return self._scalar(_scalar_schema(annotation, field))

    def _scalar(self, schema: dict[str, Any]) -> int:
        key = repr(sorted(schema.items()))
        if key not in self._scalars:
            self._scalars[key] = len(self.nodes)
            self.nodes.append(schema)
        return self._scalars[key]


def _plain(annotation: Any) -> Any:
    """The annotation without Optional and Annotated; a tuple of the members of another union."""
    while True:
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            annotation = arguments[0]
        elif origin in (typing.Union, types.UnionType):
            members = tuple(_plain(a) for a in arguments if a is not type(None))
            if len(members) > 1:
                return members
            annotation = members[0]
        else:
            return annotation


def _union(members: tuple[Any, ...], field: str) -> dict[str, Any]:
    if set(members) == {int, str}:
        return {INT_OR_STRING: True}
    if set(members) == {bytes, str}:
        return {"type": "string", "format": "byte"}
    raise SystemExit(f"field {field}: union {members} not supported")


def _scalar_schema(annotation: Any, field: str) -> dict[str, Any]:
    if annotation is str:
        return _QUANTITY if field in facts.QUANTITY_FIELDS else {"type": "string"}
    if annotation is int:
        return {"type": "integer", "format": "int64" if field in facts.INT64_FIELDS else "int32"}
    if annotation is datetime.datetime:
        return {"type": "string", "format": "date-time"}
    if annotation is bool:
        return {"type": "boolean"}
    if annotation is float:
        return {"type": "number"}
    if annotation in (Any, object):
        return {PRESERVE: True}
    raise SystemExit(f"field {field}: type {annotation} not supported")


def go_name(model: Any) -> str:
    """``PodSpec`` of ``V1PodSpec`` or ``CoreV1Event`` of ``CoreV1Event``: the API type's name."""
    return re.sub(r"^([A-Z][a-z]+)?V\d+(alpha\d+|beta\d+)?(?=[A-Z])", "", str(model.__name__))


def json_name(model: Any, field: str) -> str:
    """A field's name in JSON."""
    return str(model.model_fields[field].serialization_alias or field)


_MODEL_NAMES = {"Event": "CoreV1Event", "TokenRequest": "AuthenticationV1TokenRequest"}


def build() -> str:
    """The text of ``core.json``."""
    found = _Types()
    kinds: dict[str, int] = {}
    wanted = [(r.api_version(r.storage_version), r.kind) for r in BUILTINS]
    for api_version, kind in [*wanted, *SUBRESOURCE_KINDS.values(), ("autoscaling/v1", "Scale")]:
        kinds[f"{api_version}/{kind}"] = found.model(getattr(models, _MODEL_NAMES.get(kind, f"V1{kind}")))
    named = {*facts.DEFAULTS, *facts.ENUMS, *facts.LIST_KEYS, *facts.SETS, *facts.ITEM_ENUMS, *facts.REQUIRED}
    if unused := named - found.used:
        raise SystemExit(f"core_facts names what does not exist: {', '.join(sorted(unused))}")
    return dump({"kinds": kinds, "objectMeta": found.model(models.V1ObjectMeta), "nodes": found.nodes})


if __name__ == "__main__":
    text = build()
    (DATA / "core.json").write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(text)} characters\n")
