"""Validation by schema, compiled to one closure per node.

Texts: kube-openapi ``pkg/validation/errors/schema.go``; which of them become which cause: apiextensions-apiserver
``pkg/apiserver/validation/validation.go``, ``kubeOpenAPIResultToFieldErrors``; duplicates in associative lists and
sets: ``pkg/apiserver/schema/listtype/validation.go``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .errors import DUPLICATE, INVALID, NOT_SUPPORTED, OMITTED, REQUIRED, TOO_LONG, TOO_MANY, TYPE_INVALID, FieldError
from .formats import FORMATS, QUANTITY
from .nodes import LIST_TYPE, RULES, Node
from .rules import Rule, rule_for


@dataclass
class Problem:
    """An error on its way up.

    ``path`` grows from the innermost segment outwards; ``{path}`` in ``detail`` is replaced by it in the end.
    """

    reason: str
    value: Any
    detail: str = ""
    path: list[str | int] = field(default_factory=list)
    stage: int = 0
    """0: the schema's own keywords, 1: list duplicates, 2: CEL rules."""
    transition: Rule | None = None
    """Set on a rule that needs the old value: not yet an error."""
    nameless: bool = False
    """The API server tells the path of this error in the text only."""

    def error(self) -> FieldError:
        """The finished field error."""
        name = path_text(reversed(self.path))
        shown = "<nil>" if self.nameless or not name else name
        return FieldError(shown, self.reason, self.value, self.detail.replace("{path}", name))


Check = Callable[[Any], "list[Problem] | None"]
"""Problems of a value, None when there are none."""

_BLOCKING = frozenset({NOT_SUPPORTED, REQUIRED, TOO_LONG, TOO_MANY, TYPE_INVALID})
_NOT_CHECKED = FieldError(
    "<nil>",
    INVALID,
    None,
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)


def path_text(segments: Any) -> str:
    """``spec.disks[0].name`` of the segments from the outside inwards."""
    text = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in segments)
    return text.removeprefix(".")


class Checker:
    """Compiles nodes, each once; lists of ``may_repeat`` nodes are not searched for duplicates."""

    def __init__(self, may_repeat: Iterable[Node] = ()) -> None:
        self._known: dict[int, Check] = {}
        self._may_repeat = frozenset(id(node) for node in may_repeat)

    def root(self, node: Node) -> Callable[[dict[str, Any], dict[str, Any] | None], list[FieldError]]:
        """Closure ``(new, old)`` for a whole object; what an update leaves as it was is not held against it.

        The last point is the API server's ratcheting (KEP-4008).
        """
        check = self.compile(node)
        has_rules = _has_rules(node, set())

        def errors(new: dict[str, Any], old: dict[str, Any] | None) -> list[FieldError]:
            found = check(new)
            if not found:
                return []
            found = [p for p in (_settle(problem, old) for problem in found) if p is not None]
            if old is not None:
                found = [p for p in found if not _unchanged(p, new, old)]
            plain = [p.error() for p in sorted(found, key=lambda p: p.stage) if p.stage < 2]
            if has_rules and any(e.reason in _BLOCKING for e in plain):
                return [*plain, _NOT_CHECKED]
            return plain + [p.error() for p in found if p.stage == 2]

        return errors

    def compile(self, node: Node) -> Check:
        """Closure for a value of this node."""
        key = id(node)
        if key not in self._known:
            self._known[key] = lambda value: self._known[key](value)
            self._known[key] = self._make(node)
        return self._known[key]

    def _make(self, node: Node) -> Check:
        checks: list[Check] = []
        if node.facts.get("enum"):
            checks.append(_enum(node.facts["enum"]))
        checks += _scalar_checks(node)
        if node.properties or node.facts.get("required") or node.additional is not None:
            checks.append(self._object(node))
        if "maxProperties" in node.facts:
            checks.append(_max_properties(node.facts["maxProperties"]))
        if node.items is not None:
            checks.append(self._array(node))
        rules = [_rule(rule_for(raw["rule"]), raw) for raw in node.facts.get(RULES, ())]
        return _typed(node, tuple(checks), tuple(rules))

    def _object(self, node: Node) -> Check:
        children = {name: self.compile(child) for name, child in node.properties.items()}
        other = self.compile(node.additional) if node.additional is not None else None
        required = tuple(node.facts.get("required", ()))

        def check(value: Any) -> list[Problem] | None:
            found: list[Problem] | None = None
            for name in required:
                if name not in value:
                    found = [*(found or ()), Problem(REQUIRED, "", "", [name])]
            for name, item in value.items():
                inner = children.get(name, other)
                if inner is not None and (problems := inner(item)):
                    for problem in problems:
                        problem.path.append(name)
                    found = [*(found or ()), *problems]
            return found

        return check

    def _array(self, node: Node) -> Check:
        assert node.items is not None
        inner = self.compile(node.items)
        unique = id(node) not in self._may_repeat
        keys = node.list_keys if unique else ()
        key_defaults = tuple(
            node.items.properties[k].facts.get("default") if k in node.items.properties else None for k in keys
        )
        is_set = unique and node.facts.get(LIST_TYPE) == "set"

        def check(value: Any) -> list[Problem] | None:
            found: list[Problem] | None = None
            seen: set[Any] = set()
            for index, item in enumerate(value):
                problems = inner(item) or []
                if keys and isinstance(item, dict):
                    picked = {k: item.get(k, d) for k, d in zip(keys, key_defaults, strict=True)}
                    picked = {k: v for k, v in picked.items() if v is not None}
                    if (mark := repr(picked)) in seen:
                        problems.append(Problem(DUPLICATE, picked, stage=1))
                    seen.add(mark)
                elif is_set:
                    if (mark := repr(item)) in seen:
                        problems.append(Problem(DUPLICATE, item, stage=1))
                    seen.add(mark)
                if problems:
                    for problem in problems:
                        problem.path.append(index)
                    found = [*(found or ()), *problems]
            return found

        return check


def _typed(node: Node, checks: tuple[Check, ...], rules: tuple[Check, ...]) -> Check:
    """The type first; the other keywords only where it fits, null only where it is allowed, rules on sound values."""
    wanted = node.type
    nullable = bool(node.facts.get("nullable"))
    test = _TYPE_TESTS[wanted]
    name = "integer,string" if wanted == "int-or-string" else wanted

    def check(value: Any) -> list[Problem] | None:
        if value is None and (nullable or not wanted):
            return None
        if not test(value):
            detail = f'{{path}} in body must be of type {name}: "{json_type(value)}"'
            return [Problem(TYPE_INVALID, json_type(value), detail)]
        found: list[Problem] | None = None
        for inner in checks:
            if problems := inner(value):
                found = [*(found or ()), *problems]
        if rules and not (found and any(p.reason in _BLOCKING for p in found)):
            for inner in rules:
                if problems := inner(value):
                    found = [*(found or ()), *problems]
        return found

    return check


def _is_integer(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPE_TESTS: dict[str, Callable[[Any], bool]] = {
    "": lambda value: True,
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "int-or-string": lambda value: isinstance(value, str) or _is_integer(value),
    "quantity": lambda value: QUANTITY.match(value) is not None if isinstance(value, str) else _is_number(value),
}


def json_type(value: Any) -> str:
    """Name of a value's JSON type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    names: dict[type, str] = {float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _enum(allowed: list[Any]) -> Check:
    texts = ", ".join(f'"{a}"' if isinstance(a, str) else f'"{a!r}"' for a in allowed)

    def check(value: Any) -> list[Problem] | None:
        return None if value in allowed else [Problem(NOT_SUPPORTED, value, f"supported values: {texts}")]

    return check


def _max_properties(limit: int) -> Check:
    def check(value: Any) -> list[Problem] | None:
        return [Problem(TOO_MANY, len(value), f"must have at most {limit} items")] if len(value) > limit else None

    return check


def _scalar_checks(node: Node) -> list[Check]:
    facts = node.facts
    checks: list[Check] = []
    if "pattern" in facts:
        pattern = go_pattern(facts["pattern"])
        checks.append(
            _bad(
                lambda v: isinstance(v, str) and not pattern.search(v),
                f"{{path}} in body should match '{facts['pattern']}'",
            )
        )
    if (limit := facts.get("maxLength")) is not None:
        detail = f"may not be more than {limit} byte{'' if limit == 1 else 's'}"
        checks.append(_bad(lambda v: isinstance(v, str) and len(v) > limit, detail, TOO_LONG))
    if (low := facts.get("minLength")) is not None:
        checks.append(
            _bad(lambda v: isinstance(v, str) and len(v) < low, f"{{path}} in body should be at least {low} chars long")
        )
    if (minimum := facts.get("minimum")) is not None:
        checks.append(
            _bad(
                lambda v: not isinstance(v, str) and v < minimum,
                f"{{path}} in body should be greater than or equal to {minimum}",
            )
        )
    if (maximum := facts.get("maximum")) is not None:
        checks.append(
            _bad(
                lambda v: not isinstance(v, str) and v > maximum,
                f"{{path}} in body should be less than or equal to {maximum}",
            )
        )
    if (most := facts.get("maxItems")) is not None:
        detail = f"must have at most {most} item{'' if most == 1 else 's'}"
        checks.append(_bad(lambda v: len(v) > most, detail, TOO_MANY, shown=len))
    if (least := facts.get("minItems")) is not None:
        checks.append(_bad(lambda v: len(v) < least, f"{{path}} in body should have at least {least} items", shown=len))
    checks += _format_checks(node)
    return checks


def _format_checks(node: Node) -> list[Check]:
    name = node.facts.get("format", "")
    if not name or node.type not in ("string", "integer"):
        return []
    test = FORMATS[name]
    if node.type == "string":
        return [_bad(lambda v: not test(v), f"{{path}} in body must be of type {name}: {{value}}", TYPE_INVALID)]
    detail = f"Checked value must be of type integer with format {name} in {{path}}"
    return [lambda value: None if test(value) else [Problem(INVALID, "", detail, nameless=True)]]


def _bad(
    test: Callable[[Any], bool], detail: str, reason: str = INVALID, shown: Callable[[Any], Any] | None = None
) -> Check:
    def check(value: Any) -> list[Problem] | None:
        if not test(value):
            return None
        text = detail.replace("{value}", f'"{value}"') if "{value}" in detail else detail
        return [Problem(reason, shown(value) if shown else value, text)]

    return check


def go_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern in Go's RE2 syntax as Python's: flags stand at the start, ``$`` is the very end."""
    flags = 0
    if "(?i)" in pattern:
        pattern, flags = pattern.replace("(?i)", ""), re.IGNORECASE
    return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), flags | re.ASCII)


def _rule(rule: Rule, raw: dict[str, Any]) -> Check:
    detail = raw.get("message") or f"failed rule: {raw['rule']}"
    extra = [s for s in raw.get("fieldPath", "").split(".") if s]

    def check(value: Any) -> list[Problem] | None:
        if rule.transition is None and rule.holds(value):
            return None
        shown = OMITTED if isinstance(value, (dict, list)) else value
        pending = rule if rule.transition is not None else None
        return [Problem(INVALID, shown, detail, extra[::-1], stage=2, transition=pending)]

    return check


def _settle(problem: Problem, old: dict[str, Any] | None) -> Problem | None:
    """A transition rule that holds, or for which there is no old value, is no problem."""
    if problem.transition is None:
        return problem
    before = _lookup(old, problem.path) if old is not None else _ABSENT
    assert problem.transition.transition is not None
    if before is _ABSENT or problem.transition.transition(problem.value, before):
        return None
    return problem


def _unchanged(problem: Problem, new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether an update left the offending value as it was; of a missing field, its parent."""
    if problem.transition is not None:
        return False
    path = problem.path[1:] if problem.reason == REQUIRED else problem.path
    before = _lookup(old, path)
    return before is not _ABSENT and before == _lookup(new, path)


_ABSENT = object()


def _lookup(value: Any, path: list[str | int]) -> Any:
    for segment in reversed(path):
        try:
            value = value[segment]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def _has_rules(node: Node, seen: set[int]) -> bool:
    if id(node) in seen:
        return False
    seen.add(id(node))
    children = [*node.properties.values(), node.additional, node.items]
    return RULES in node.facts or any(_has_rules(child, seen) for child in children if child is not None)
