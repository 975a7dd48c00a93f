# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Label selectors as people write them for C(oc get -l): text in, a test on labels out."""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping

from ..errors import InvalidInput
from .selectors import requirement_matches

Labels = Mapping[str, str]
Test = Callable[[Labels], bool]

_KEY = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)?"
_EQUALITY = re.compile(rf"^({_KEY})\s*(==|=|!=)\s*({_VALUE})$")
_SET = re.compile(rf"^({_KEY})\s+(in|notin)\s*\(([^()]*)\)$")
_EXISTS = re.compile(rf"^(!?)\s*({_KEY})$")
_WHOLE_VALUE = re.compile(rf"^{_VALUE}$")
# commas between requirements, not those inside parentheses
_SEPARATOR = re.compile(r",(?![^()]*\))")


def label_test(selector: str, option: str = "label_selector") -> Test:
    """Return a function that tells whether labels match a selector such as C(app=db,tier in (a, b),!canary).

    The grammar is that of apimachinery pkg/labels/selector.go without C(<) and C(>); C(!=) and C(notin) also match
    objects without the label. An empty selector matches everything. Raises InvalidInput naming C(option).
    """
    parts = _SEPARATOR.split(selector) if selector.strip() else []
    requirements = [_requirement(part.strip(), selector, option) for part in parts]
    return lambda labels: all(requirement_matches(labels, requirement) for requirement in requirements)


def _requirement(text: str, selector: str, option: str) -> dict[str, Any]:
    """Return one requirement as the API writes it in matchExpressions."""
    match = _EQUALITY.match(text)
    if match:
        key, operator, value = match.groups()
        return {"key": key, "operator": "NotIn" if operator == "!=" else "In", "values": (value,)}
    match = _SET.match(text)
    if match:
        key, operator, inside = match.groups()
        values = tuple(value.strip() for value in inside.split(","))
        if all(_WHOLE_VALUE.match(value) for value in values):
            return {"key": key, "operator": "In" if operator == "in" else "NotIn", "values": values}
    match = _EXISTS.match(text)
    if match:
        negated, key = match.groups()
        return {"key": key, "operator": "DoesNotExist" if negated else "Exists"}
    raise InvalidInput(
        option,
        selector,
        f"{text!r} is not a label requirement; write key=value, key!=value, key in (a, b), key notin (a), key or !key",
    )
