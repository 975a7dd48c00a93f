"""Answers without what cannot be the same on two servers, and how they differ otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Any

Obj = dict[str, Any]
Difference = tuple[object, object]
ABSENT = "(absent)"

_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
_PLACE = re.compile(r"(127\.0\.0\.1|192\.0\.2\.1):\d+")
_COUNTED = '"ocpv:counted", '
"""A group that the real cluster's users are in, so that their requests are counted."""
_AGE = re.compile(r"\d+s$")
_VERSION_IN_TEXT = re.compile(r"(?<=[( ])\d+(?=[),])|(?<=current: )\d+|(?<=resource version: )\d{1,7}(?= )")
_STORAGE = re.compile(r"Key: /[a-z.]+/")
_SCHEME = re.compile(r'in scheme "[^"]+"')
_QUOTED_OBJECT = re.compile(r'"\{(?:[^"\\]|\\.)*\}"')


@dataclass
class _Names:
    """Names of what a server chose, in the order in which they appeared."""

    kind: str
    known: dict[str, str] = field(default_factory=dict)

    def __call__(self, value: str) -> str:
        return self.known.setdefault(value, f"<{self.kind} {len(self.known) + 1}>")


def normalised(answers: Iterable[Obj]) -> list[Obj]:
    """The answers with UIDs and versions numbered as they appear, so that equal ones stay equal."""
    answers = [{name: value for name, value in each.items() if name != "request"} for each in answers]
    text = json.dumps(answers).replace(_COUNTED, "")
    for name in _generated(answers):
        text = text.replace(name, "<generated>")
    reader = _Reader()
    return [reader.read(_in_order(each)) for each in json.loads(text)]


def _in_order(answer: Obj) -> Obj:
    """An answer whose several causes are sorted: they come in the order of a Go map, which is none."""
    body: Any = answer.get("body")
    causes = (body.get("details") or {}).get("causes") or [] if isinstance(body, dict) else []
    if len(causes) < 2:
        return answer
    found = {**body["details"], "causes": sorted(causes, key=json.dumps)}
    head, separator, problems = body["message"].partition(" is invalid: [")
    listed = ", ".join(sorted(problems.removesuffix("]").split(", ")))
    return {**answer, "body": {**body, "message": f"{head}{separator}{listed}", "details": found}}


def _generated(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for item in value for name in _generated(item)}
    if not isinstance(value, dict):
        return set()
    found = {name for item in value.values() for name in _generated(item)}
    prefix, name = value.get("generateName"), value.get("name")
    if any(cause.get("field") == "metadata.generateName" for cause in value.get("causes") or ()):
        found.add(str(name))
    if prefix and isinstance(name, str) and name.startswith(prefix) and len(name) == len(prefix) + 5:
        found.add(name)
    return found


class _Reader:
    def __init__(self) -> None:
        self._uids, self._versions = _Names("uid"), _Names("version")

    def read(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            of_list = str(value.get("kind", "")).endswith("List") or value.get("kind") == "Table"
            marked = value.get("type") == "BOOKMARK"
            return {
                name: self._of_list(value[name], marked)
                if (of_list and name == "metadata") or (marked and name == "object")
                else self.read(value[name], name)
                for name in sorted(value)
            }
        if isinstance(value, list):
            return [self.read(each, key) for each in value]
        return self._text(value, key) if isinstance(value, str) else value

    def _of_list(self, value: Obj, bookmark: bool) -> Any:
        if bookmark:
            return {**value, "metadata": self._of_list(value["metadata"], False)}
        found = self.read({name: item for name, item in value.items() if name != "resourceVersion"})
        if value.get("resourceVersion"):
            found["resourceVersion"] = "<version of the list>"
        return found

    def _text(self, value: str, key: str) -> str:
        if key == "resourceVersion" and value:
            return self._versions(value)
        if key == "continue" and value:
            return "<token>"
        if key == "cells" and _AGE.match(value):
            return "<age>"
        if key == "token":
            return "<token>"
        value = _UID.sub(lambda found: self._uids(found[0]), value)
        value = _TIME.sub(lambda found: "<exact time>" if found[1] else "<time>", value)
        value = _PLACE.sub("<server>", value)
        value = _STORAGE.sub("Key: /<prefix>/", value)
        value = _SCHEME.sub('in scheme "<place>"', value)
        value = _QUOTED_OBJECT.sub(_sorted_object, value)
        return _VERSION_IN_TEXT.sub("<number>", value) if key == "message" else value


def _sorted_object(found: re.Match[str]) -> str:
    """An object that a message quotes, its fields in order and without its version."""
    try:
        content = json.loads(json.loads(found[0]))
    except json.JSONDecodeError:
        return found[0]
    if isinstance(content.get("metadata"), dict):
        content["metadata"].pop("resourceVersion", None)
    return json.dumps(json.dumps(content, sort_keys=True))


def differences(simulated: list[Obj], real: list[Obj]) -> dict[str, Difference]:
    """Values that differ, by their place: ``2.body.metadata.labels.a``, counted from 1."""
    found: dict[str, Difference] = {}
    for number, answers in enumerate(zip_longest(simulated, real, fillvalue=ABSENT), 1):
        _compare(*answers, str(number), found)
    return found


def _compare(left: Any, right: Any, place: str, found: dict[str, Difference]) -> None:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted({*left, *right}):
            _compare(left.get(name, ABSENT), right.get(name, ABSENT), f"{place}.{name}", found)
    elif isinstance(left, list) and isinstance(right, list):
        for index, items in enumerate(zip_longest(left, right, fillvalue=ABSENT)):
            _compare(*items, f"{place}.{index}", found)
    elif left != right or type(left) is not type(right):
        found[place] = (left, right)


@dataclass(frozen=True)
class Known:
    """A difference that stays: why, and the places (with ``*``) that may differ; all others are compared."""

    reason: str
    places: tuple[str, ...]


def known(reason: str, *places: str) -> Known:
    """A known difference."""
    return Known(reason, places)


def unexpected(found: dict[str, Difference], allowed: Known | None) -> list[str]:
    """What is wrong: differences that nobody knows of, and known ones that are no more."""
    places = allowed.places if allowed else ()
    problems = [
        f"{place}:\n    simulated: {left!r}\n    real:      {right!r}"
        for place, (left, right) in found.items()
        if not any(fnmatchcase(place, each) for each in places)
    ]
    return problems + [
        f"{each} is a known difference, but nothing differs there"
        for each in places
        if not any(fnmatchcase(place, each) for place in found)
    ]
