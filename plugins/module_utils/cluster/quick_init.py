# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Frozen dataclasses that are quick to make.

The constructor that dataclasses write for a frozen class calls object.__setattr__ for each field, which was more than
half of the time it takes to read a large cluster. One that fills the instance's dictionary is three times as quick.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

T = TypeVar("T")


def quick_init(cls: type[T]) -> type[T]:
    """Return the frozen dataclass with a quicker constructor of the same signature (decorator above C(@dataclass)).

    For classes without C(__post_init__), C(slots) and fields that are not arguments.
    """
    names: dict[str, Any] = {"MISSING": MISSING}
    arguments, lines = [], []
    for field in fields(cls):  # type: ignore[arg-type]
        arguments.append(field.name + _default(field, names))
        value = field.name
        if field.default_factory is not MISSING:
            value = f"default_{field.name}() if {field.name} is MISSING else {field.name}"
        lines.append(f"    own[{field.name!r}] = {value}")
    source = "\n".join([f"def __init__(self, {', '.join(arguments)}):", "    own = self.__dict__", *lines])
    exec(source, names)  # as dataclasses does it
    names["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = names["__init__"]  # type: ignore[method-assign]
    return cls


def _default(field: Field[Any], names: dict[str, Any]) -> str:
    """Return the default of an argument as source text, and put what it refers to into C(names)."""
    if field.default_factory is not MISSING:
        names[f"default_{field.name}"] = field.default_factory
        return "=MISSING"
    if field.default is not MISSING:
        names[f"default_{field.name}"] = field.default
        return f"=default_{field.name}"
    return ""
