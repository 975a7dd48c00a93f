"""``/simcluster/…``: what tests and controllers ask of the simulator itself.

All but the clock needs a token of ``system:masters``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson

from ..auth import MASTERS, User
from ..clock import rfc3339
from .context import Call, Cluster
from .errors import StatusError, bad_request, forbidden, method_not_allowed, page_not_found
from .faults import InvalidRule
from .request import Target
from .resources import Answer

Obj = dict[str, Any]
PREFIX = "/simcluster/"


@dataclass
class Usage:
    """What one user asked for."""

    requests: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    sent_bytes: int = 0

    def as_dict(self) -> Obj:
        """The counts, codes as text."""
        codes = {str(code): count for code, count in self.codes.items()}
        return {"requests": dict(self.requests), "codes": codes, "sent_bytes": self.sent_bytes}


@dataclass
class Stats:
    """Requests by user since the start or the last reset; keys are "<verb> <plural.group>[/<subresource>]" or
    "<METHOD> <path>"."""

    users: dict[str, Usage] = field(default_factory=lambda: defaultdict(Usage))
    watches_open: int = 0

    def count(self, method: str, target: Target, user: User, code: int, sent_bytes: int) -> None:
        """Counts one answered request."""
        if target.group is None:
            what = f"{method} {target.path}"
        else:
            qualified = f"{target.plural}.{target.group}" if target.group else target.plural
            what = f"{target.verb} {qualified}" + (f"/{target.subresource}" if target.subresource else "")
        usage = self.users[user.name]
        usage.requests[what] += 1
        usage.codes[code] += 1
        usage.sent_bytes += sent_bytes

    def sent(self, user: User, sent_bytes: int) -> None:
        """Counts what a watch sent."""
        self.users[user.name].sent_bytes += sent_bytes

    def as_dict(self) -> Obj:
        """All counts."""
        users = {name: usage.as_dict() for name, usage in self.users.items()}
        return {"users": users, "watches_open": self.watches_open}

    def reset(self) -> None:
        """Starts counting again; open watches stay counted."""
        self.users.clear()


class Control:
    """Answers requests below ``/simcluster/``."""

    def __init__(self, cluster: Cluster, stats: Stats, restart: Callable[[float], Awaitable[None]]) -> None:
        self._cluster = cluster
        self._stats = stats
        self._restart = restart
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, call: Call) -> Answer:
        """The answer to a request; raises StatusError."""
        name = call.target.path.removeprefix(PREFIX)
        if name == "clock" and call.method == "GET":
            return _json(dict(self._cluster.clock.as_dict()))
        if MASTERS not in call.user.groups:
            raise forbidden(call.user, call.target)
        handler = {
            "stats": self._stats_request,
            "faults": self._faults,
            "restart": self._restart_request,
            "compact": self._compact,
            "tokens": self._tokens,
        }.get(name)
        if handler is None:
            raise page_not_found()
        return handler(call)

    def _stats_request(self, call: Call) -> Answer:
        if call.method == "DELETE":
            self._stats.reset()
        elif call.method != "GET":
            raise method_not_allowed()
        return _json(self._stats.as_dict())

    def _faults(self, call: Call) -> Answer:
        faults = self._cluster.faults
        if call.method in ("PUT", "DELETE"):
            try:
                faults.put(_body(call, list) if call.method == "PUT" else [])
            except InvalidRule as error:
                raise bad_request(str(error)) from error
        elif call.method != "GET":
            raise method_not_allowed()
        return _json([rule.as_dict() for rule in faults.rules])

    def _restart_request(self, call: Call) -> Answer:
        """Drops all connections and the history of changes, as a restarted API server; ``down_seconds`` are real."""
        if call.method != "POST":
            raise method_not_allowed()
        down_seconds = float(_body(call, dict).get("down_seconds", 0.0))
        self._cluster.store.seal()
        task = asyncio.get_running_loop().create_task(self._restart_soon(down_seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return _json({"down_seconds": down_seconds})

    async def _restart_soon(self, down_seconds: float) -> None:
        # the answer to this request goes out first
        await asyncio.sleep(0.05)
        await self._restart(down_seconds)

    def _compact(self, call: Call) -> Answer:
        """Forgets the history of changes: continue tokens and versions from before are too old."""
        if call.method != "POST":
            raise method_not_allowed()
        self._cluster.store.seal()
        return _json({"resourceVersion": str(self._cluster.store.version)})

    def _tokens(self, call: Call) -> Answer:
        """POST {user, groups, expires_seconds (simulated)} makes a token, DELETE {token} revokes one."""
        body = _body(call, dict)
        authenticator = self._cluster.authenticator
        if call.method == "DELETE":
            authenticator.revoke(str(body.get("token", "")))
            return _json({})
        if call.method != "POST":
            raise method_not_allowed()
        if not body.get("user"):
            raise bad_request("user is needed: the name the token stands for")
        return _json(add_token(self._cluster, body))


def add_token(cluster: Cluster, wanted: Obj) -> Obj:
    """Makes a token from ``user``, ``groups``, ``expires_seconds`` and, if it is to be known before, ``token``."""
    expires = None
    if wanted.get("expires_seconds") is not None:
        expires = cluster.clock.now() + timedelta(seconds=float(wanted["expires_seconds"]))
    token = str(wanted.get("token") or secrets.token_urlsafe(32))
    cluster.authenticator.add(token, str(wanted["user"]), list(wanted.get("groups") or ()), expires)
    return {"token": token, "expires": rfc3339(expires) if expires else None}


def _body(call: Call, kind: type) -> Any:
    if not call.body.strip():
        return kind()
    try:
        content = orjson.loads(call.body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the body is not JSON: {error}") from error
    if not isinstance(content, kind):
        raise StatusError(400, "BadRequest", f"the body must be a JSON {'list' if kind is list else 'object'}")
    return content


def _json(content: Any) -> Answer:
    return Answer(200, orjson.dumps(content))
