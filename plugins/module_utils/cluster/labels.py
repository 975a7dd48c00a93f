# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Label selectors as people write them for C(oc get -l): text in, a test on labels out."""

from __future__ import annotations

import re
from typing import Callable, Mapping

from ..errors import InvalidInput

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
    if not selector.strip():
        return lambda labels: True
    tests = [_requirement(part.strip(), selector, option) for part in _SEPARATOR.split(selector)]
    return lambda labels: all(test(labels) for test in tests)


def _requirement(text: str, selector: str, option: str) -> Test:
    match = _EQUALITY.match(text)
    if match:
        key, operator, value = match.groups()
        return _one_of(key, (value,), operator != "!=")
    match = _SET.match(text)
    if match:
        key, operator, inside = match.groups()
        values = tuple(value.strip() for value in inside.split(","))
        if all(_WHOLE_VALUE.match(value) for value in values):
            return _one_of(key, values, operator == "in")
    match = _EXISTS.match(text)
    if match:
        negated, key = match.groups()
        return lambda labels: (key in labels) is not bool(negated)
    raise InvalidInput(
        option,
        selector,
        f"{text!r} is not a label requirement; write key=value, key!=value, key in (a, b), key notin (a), key or !key",
    )


def _one_of(key: str, values: tuple[str, ...], wanted: bool) -> Test:
    if wanted:
        return lambda labels: labels.get(key) in values
    return lambda labels: labels.get(key) not in values
