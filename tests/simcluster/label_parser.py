"""Label selectors as requests write them.

Source: k8s.io/apimachinery ``pkg/labels/selector.go`` (Lexer, Parser, NewRequirement).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .schema.errors import go_quote
from .schema.metadata import label_value_problems, qualified_name_problems

Requirement = dict[str, object]
_OPERATORS: Final = {"in": "In", "notin": "NotIn", "=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}
_SYMBOLS: Final = ("==", "!=", "=", "!", "(", ")", ",", ">", "<")
_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")


class BadSelector(Exception):
    """A text that is no selector, with the API's words."""


class _Requirement(BadSelector):
    """The same, of one requirement."""


def parse_labels(text: str) -> list[Requirement]:
    """The requirements of a selector; raises BadSelector."""
    return _Parser(_TOKEN.findall(text)).selector()


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._next = 0

    @property
    def _ahead(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._ahead
        self._next += 1
        return token

    def selector(self) -> list[Requirement]:
        found: list[Requirement] = []
        if not self._ahead:
            return found
        if not self._begins():
            raise BadSelector(f"found '{self._ahead}', expected: !, identifier, or 'end of string'")
        while True:
            try:
                found.append(self._requirement())
            except _Requirement as error:
                raise BadSelector(f"unable to parse requirement: {error}") from error
            token = self._take()
            if not token:
                return found
            if token != ",":
                raise BadSelector(f"found '{token}', expected: ',' or 'end of string'")
            if not self._begins():
                raise BadSelector(f"found '{self._ahead}', expected: identifier after ','")

    def _begins(self) -> bool:
        return self._ahead == "!" or (self._ahead != "" and self._ahead not in _SYMBOLS)

    def _identifier(self) -> str:
        token = self._take()
        if not token or token in _SYMBOLS:
            raise _Requirement(f"found '{token}', expected: identifier")
        return token

    def _requirement(self) -> Requirement:
        absent = self._ahead == "!"
        if absent:
            self._take()
        key = self._identifier()
        if problems := qualified_name_problems(key):
            raise _Requirement(f"<nil>: Invalid value: {go_quote(key)}: {'; '.join(problems)}")
        if absent or self._ahead in ("", ","):
            return {"key": key, "operator": "DoesNotExist" if absent else "Exists", "values": []}
        token = self._take()
        if token not in _OPERATORS:
            raise _Requirement(f"found '{token}', expected: in, notin, =, ==, !=, gt, lt")
        values = sorted(self._values()) if token in ("in", "notin") else [self._exact_value()]
        return _checked(key, _OPERATORS[token], values)

    def _exact_value(self) -> str:
        return "" if self._ahead in ("", ",") else self._identifier()

    def _values(self) -> set[str]:
        if (token := self._take()) != "(":
            raise _Requirement(f"found '{token}' expected: '('")
        found: set[str] = set()
        if self._ahead == ")":
            self._take()
            return {""}
        while True:
            token = self._take()
            if token == ",":
                if not found:
                    found.add("")
                if self._ahead in (",", ")"):
                    found.add("")
                if self._ahead == ")":
                    self._take()
                    return found
                if self._ahead == ",":
                    self._take()
                continue
            if not token or token in _SYMBOLS:
                raise _Requirement(f"found '{token}', expected: ',', ')' or identifier")
            found.add(token)
            if self._ahead == ")":
                self._take()
                return found
            if self._ahead != ",":
                raise _Requirement(f"found '{self._ahead}', expected: ',' or ')'")


def _checked(key: str, operator: str, values: Sequence[str]) -> Requirement:
    problems: list[str] = []
    if operator in ("Gt", "Lt") and not re.fullmatch(r"[+-]?\d+", values[0]):
        text = "for 'Gt', 'Lt' operators, the value must be an integer"
        problems.append(f"values[0]: Invalid value: {go_quote(values[0])}: {text}")
    for index, value in enumerate(values):
        if found := label_value_problems(value):
            problems.append(f"values[{index}][{key}]: Invalid value: {go_quote(value)}: {'; '.join(found)}")
    if problems:
        raise _Requirement(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return {"key": key, "operator": operator, "values": list(values)}
