"""Requests of a case to one of the two servers, with everything that was answered."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from simcluster.testing import Client, Response, RunningCluster

from .objects import PATHS

Obj = dict[str, Any]
ANONYMOUS, UNKNOWN = "no token", "an unknown token"
_SETTLE_SECONDS = 10.0
_POLL_SECONDS = 0.02


@dataclass
class Server:
    """A cluster and the clients of its users, which all cases share."""

    cluster: RunningCluster
    clients: dict[str, Client] = field(default_factory=dict)

    def client(self, user: str) -> Client:
        """The client of a user, who gets a token when first named."""
        if user not in self.clients:
            tokens = {"": None, ANONYMOUS: "", UNKNOWN: "worthless"}
            token = tokens[user] if user in tokens else self.cluster.add_token(user, ["staff"])
            self.clients[user] = self.cluster.client(token)
        return self.clients[user]


@dataclass
class Api:
    """One server as a case sees it.

    The first word of a path that does not begin with a slash is a collection of ``objects.PATHS``; ``{ns}`` stands for
    the case's own namespace in paths, parameters and bodies.
    """

    server: Server
    namespace: str
    answers: list[Obj] = field(default_factory=list)

    @property
    def requests(self) -> list[str]:
        """What was asked, numbered as the places of differences are."""
        return [f"{number} {answer['request']}" for number, answer in enumerate(self.answers, 1)]

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str = "",
        content_type: str = "application/json",
        accept: str = "",
        **params: str,
    ) -> Any:
        """One request; returns the decoded body. ``user`` is the administrator if it is empty."""
        answer = self.unrecorded(method, path, body, user=user, content_type=content_type, accept=accept, **params)
        content = _content(answer)
        self.answers.append(
            {
                "request": f"{method} {path} {json.dumps(params)}",
                "status": answer.status,
                "type": answer.header("Content-Type").partition(";")[0],
                "retry": answer.header("Retry-After"),
                "warnings": answer.warnings,
                "body": content,
            }
        )
        return content

    def unrecorded(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str = "",
        content_type: str = "application/json",
        accept: str = "",
        **params: str,
    ) -> Response:
        """The same as ``send``, but the answer is not compared."""
        return self.server.client(user).request(
            method,
            self._path(path),
            body if isinstance(body, bytes) else self._filled(body),
            params=self._filled(params),
            content_type=content_type,
            headers={"Accept": accept} if accept else None,
        )

    def get(self, path: str, **options: str) -> Any:
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any, **options: str) -> Any:
        return self.send("POST", path, body, **options)

    def put(self, path: str, body: Any, **options: str) -> Any:
        return self.send("PUT", path, body, **options)

    def delete(self, path: str, body: Any = None, **options: str) -> Any:
        return self.send("DELETE", path, body, **options)

    def patch(self, path: str, body: Any, kind: str = "merge", **options: str) -> Any:
        """``kind`` is merge, json, strategic or apply; an apply is by the manager "ann" unless another is given."""
        ending = "patch+yaml" if kind == "apply" else "patch+json"
        if kind == "apply":
            options.setdefault("fieldManager", "ann")
        name = {"strategic": "strategic-merge"}.get(kind, kind)
        return self.send("PATCH", path, body, content_type=f"application/{name}-{ending}", **options)

    def watch(self, path: str, count: int = 0, *, user: str = "", **params: str) -> list[Obj]:
        """The first ``count`` events of a watch, or all until the server ends it."""
        found: list[Obj] = []
        stream = self.server.client(user).watch(self._path(path), **self._filled(params))
        try:
            for event in stream:
                found.append(event)
                if len(found) == count:
                    break
        finally:
            if isinstance(stream, Iterator) and hasattr(stream, "close"):
                stream.close()
        self.answers.append({"request": f"WATCH {path} {json.dumps(params)}", "events": found})
        return found

    def settle(self, path: str, user: str, **params: str) -> None:
        """Wait until rights that were given have reached the server's authorizer."""
        self.until(lambda: self.unrecorded("GET", path, user=user, **params).status != 403)

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait for what a server does in the background."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not reached():
            assert time.monotonic() < deadline, "it did not come to pass"
            time.sleep(_POLL_SECONDS)

    def _path(self, path: str) -> str:
        if not path.startswith("/"):
            first, slash, rest = path.partition("/")
            path = f"{PATHS[first]}{slash}{rest}"
        return path.replace("{ns}", self.namespace)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("{ns}", self.namespace)
        if isinstance(value, dict):
            return {self._filled(key): self._filled(item) for key, item in value.items()}
        return [self._filled(item) for item in value] if isinstance(value, list) else value


def _content(answer: Response) -> Any:
    if "json" in answer.header("Content-Type") and answer.body:
        # a watch has many
        lines = answer.body.splitlines()
        return json.loads(answer.body) if len(lines) == 1 or lines[0] == b"{" else [json.loads(line) for line in lines]
    return answer.body.decode(errors="replace")
