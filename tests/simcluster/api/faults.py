"""Faults of the API that are asked for at run time: throttling, errors, delays, dropped connections and watches."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field, fields
from typing import Any

from .errors import StatusError

Obj = dict[str, Any]
_MATCH_KEYS = {"method", "path", "user", "verb"}


class InvalidRule(Exception):
    """A rule that cannot be used; the text names the key."""


@dataclass
class Action:
    """What a rule does to a request it meets."""

    status: int = 0
    retry_after: int | None = None
    message: str = ""
    drop_connection: bool = False
    drop_after_write: bool = False
    delay_seconds: float = 0.0
    expire_watch: bool = False
    drop_watch: bool = False
    expire_continue: bool = False
    conflict: bool = False


@dataclass
class Rule:
    """Requests that match suffer the action but for the first ``after`` of them, ``times`` times or each with a
    probability (both absent: always)."""

    match: dict[str, str]
    action: Action
    times: int | None = None
    probability: float | None = None
    after: int = 0
    met: int = 0
    spared: int = 0
    path: re.Pattern[str] | None = field(default=None, repr=False)

    def as_dict(self) -> Obj:
        """The rule as it was put, and how often it met a request."""
        shown: Obj = {"match": self.match, "action": {k: v for k, v in vars(self.action).items() if v}}
        if self.times is not None:
            shown["times"] = self.times
        if self.probability is not None:
            shown["probability"] = self.probability
        if self.after:
            shown["after"] = self.after
        return {**shown, "met": self.met}

    def meets(self, method: str, path: str, user: str, verb: str) -> bool:
        """Whether a request is one of those; ``path`` comes with its query."""
        if self.times is not None and self.met >= self.times:
            return False
        for key, value in (("method", method), ("user", user), ("verb", verb)):
            if key in self.match and self.match[key].lower() != value.lower():
                return False
        return self.path is None or self.path.search(path) is not None


def failure(action: Action) -> StatusError:
    """The error that a rule with a status answers with."""
    reason, text = {
        429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
        500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
        503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504: ("Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded"),
        401: ("Unauthorized", "Unauthorized"),
    }.get(action.status, ("", "fault injected"))
    headers, found = {}, None
    if action.retry_after is not None:
        headers["Retry-After"] = str(action.retry_after)
        found = {"retryAfterSeconds": action.retry_after}
    return StatusError(action.status, reason, action.message or text, found, headers=headers)


_ACTION_KEYS = {each.name for each in fields(Action)}


class Faults:
    """The rules in force; the first that meets a request counts."""

    def __init__(self, seed: int = 0) -> None:
        self.rules: list[Rule] = []
        self._random = random.Random(seed)

    def put(self, rules: Any) -> None:
        """Replaces all rules by a decoded JSON list; raises InvalidRule and then leaves them as they were."""
        if not isinstance(rules, list):
            raise InvalidRule("a JSON list of rules is needed")
        self.rules = [_rule(number, raw) for number, raw in enumerate(rules)]

    def action(self, method: str, path: str, user: str, verb: str) -> Action | None:
        """What happens to a request, None for nothing out of the ordinary."""
        for rule in self.rules:
            if not rule.meets(method, path, user, verb):
                continue
            if rule.spared < rule.after:
                rule.spared += 1
                continue
            if rule.probability is not None and self._random.random() >= rule.probability:
                continue
            rule.met += 1
            return rule.action
        return None


def _rule(number: int, raw: Any) -> Rule:
    if not isinstance(raw, dict) or not isinstance(raw.get("action"), dict):
        raise InvalidRule(f"rule {number}: needs match and action")
    match, action = raw.get("match") or {}, raw["action"]
    _known(number, "match", match, _MATCH_KEYS)
    _known(number, "action", action, _ACTION_KEYS)
    _known(number, "rule", raw, {"match", "action", "times", "probability", "after", "met"})
    for key, value in match.items():
        if not isinstance(value, str):
            raise InvalidRule(f"rule {number}: match.{key} must be text, found {value!r}")
    for key, kinds in (("times", int), ("after", int), ("probability", int | float)):
        value = raw.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or value < 0):
            raise InvalidRule(f"rule {number}: {key} must be a number from 0, found {value!r}")
    try:
        path = re.compile(match["path"]) if "path" in match else None
    except re.error as error:
        raise InvalidRule(f"rule {number}: match.path is no regular expression: {error}") from error
    for key, value in action.items():
        known = getattr(Action, key)
        if isinstance(value, bool) != isinstance(known, bool) or isinstance(value, str) != isinstance(known, str):
            raise InvalidRule(f"rule {number}: action.{key} cannot be {value!r}")
    return Rule(
        dict(match), Action(**action), raw.get("times"), raw.get("probability"), raw.get("after") or 0, path=path
    )


def _known(number: int, where: str, given: Any, allowed: set[str]) -> None:
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise InvalidRule(f"rule {number}: unknown key {unknown[0]!r} in {where}, use {', '.join(sorted(allowed))}")
