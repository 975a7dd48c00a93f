# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From dataclasses of plain values to JSON documents and back, by their type annotations.

Fields that hold their default are left out: documents stay small, and a field added later does not break older ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Callable, Union, get_args, get_origin, get_type_hints

Convert = Callable[[Any], Any]

_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
_NO_DEFAULT = object()
_NONE = type(None)


class Malformed(Exception):
    """A document that does not fit: C(path) is the place (keys and indexes), C(allowed) what is needed there."""

    def __init__(self, value: Any, allowed: str) -> None:
        super().__init__(allowed)
        self.value = value
        self.allowed = allowed
        self.path: list[Any] = []

    @property
    def place(self) -> str:
        return ".".join(str(step) for step in reversed(self.path))


def encode(value: Any) -> dict[str, Any]:
    """Return the document of a dataclass: JSON types only."""
    kind: Any = type(value)
    document: dict[str, Any] = _encoder(kind)(value)
    return document


def decode(kind: Any, document: Any) -> Any:
    """Return the dataclass C(kind) of a document that encode made. Raises Malformed for anything else."""
    return _decoder(kind)(document)


def _same(value: Any) -> Any:
    return value


def _default(item: Any) -> Any:
    if item.default is not MISSING:
        return item.default
    return item.default_factory() if item.default_factory is not MISSING else _NO_DEFAULT


def _optional(kind: Any) -> Any:
    """Return X of Optional[X]; None if it is something else."""
    choices = [choice for choice in get_args(kind) if choice is not _NONE]
    return choices[0] if get_origin(kind) is Union and len(choices) == 1 else None


@cache
def _encoder(kind: Any) -> Convert:
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        table = [(item.name, _default(item), _encoder(hints[item.name])) for item in fields(kind)]

        def encode_fields(value: Any) -> dict[str, Any]:
            document = {}
            for name, default, convert in table:
                content = getattr(value, name)
                if content != default:
                    document[name] = content if convert is _same else convert(content)
            return document

        return encode_fields
    if _optional(kind) is not None:
        convert = _encoder(_optional(kind))
        return _same if convert is _same else lambda value: None if value is None else convert(value)
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        items = [_encoder(argument) for argument in arguments if argument is not Ellipsis]
        if all(item is _same for item in items):
            return list
        if arguments[-1] is Ellipsis:
            return lambda value: [items[0](item) for item in value]
        return lambda value: [item(part) for item, part in zip(items, value)]
    if get_origin(kind) is Mapping:
        convert = _encoder(arguments[1])
        return dict if convert is _same else lambda value: {key: convert(item) for key, item in value.items()}
    return _same


@cache
def _decoder(kind: Any) -> Convert:
    if is_dataclass(kind):
        return _dataclass_decoder(kind)
    if _optional(kind) is not None:
        convert = _decoder(_optional(kind))
        return lambda value: None if value is None else convert(value)
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return _tuple_decoder(arguments)
    if get_origin(kind) is Mapping:
        return _mapping_decoder(_decoder(arguments[1]))
    if kind in _WORDS:
        return _scalar_decoder(kind)
    return _same


def _dataclass_decoder(kind: Any) -> Convert:
    hints = get_type_hints(kind)
    converters = {item.name: _decoder(hints[item.name]) for item in fields(kind)}
    required = [item.name for item in fields(kind) if _default(item) is _NO_DEFAULT]

    def decode_fields(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Malformed(value, "a mapping is needed")
        values = {}
        for name, content in value.items():
            convert = converters.get(name)
            try:
                if convert is None:
                    raise Malformed(content, f"no such field is known; known are {', '.join(converters)}")
                values[name] = convert(content)
            except Malformed as error:
                error.path.append(name)
                raise
        for name in required:
            if name not in values:
                raise Malformed(sorted(value), f"the field {name} is needed")
        return kind(**values)

    return decode_fields


def _tuple_decoder(arguments: tuple[Any, ...]) -> Convert:
    items = [_decoder(argument) for argument in arguments if argument is not Ellipsis]
    repeated = arguments[-1] is Ellipsis

    def decode_tuple(value: Any) -> Any:
        if not isinstance(value, list) or not (repeated or len(value) == len(items)):
            raise Malformed(value, "a list is needed" if repeated else f"a list of {len(items)} values is needed")
        found = []
        for index, content in enumerate(value):
            try:
                found.append(items[0 if repeated else index](content))
            except Malformed as error:
                error.path.append(index)
                raise
        return tuple(found)

    return decode_tuple


def _mapping_decoder(convert: Convert) -> Convert:
    def decode_mapping(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Malformed(value, "a mapping is needed")
        found = {}
        for key, content in value.items():
            try:
                found[key] = convert(content)
            except Malformed as error:
                error.path.append(key)
                raise
        return found

    return decode_mapping


def _scalar_decoder(kind: Any) -> Convert:
    accepted = (int, float) if kind is float else (kind,)

    def decode_scalar(value: Any) -> Any:
        if type(value) not in accepted:
            raise Malformed(value, f"{_WORDS[kind]} is needed")
        return value

    return decode_scalar
