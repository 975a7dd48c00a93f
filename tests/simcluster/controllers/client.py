"""HTTP to the API server: small verbs over plain dicts, as one component or another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson

from .kinds import Kind

Obj = dict[str, Any]
PAGE_SIZE = 500
_MERGE = "application/merge-patch+json"
_JSON = "application/json-patch+json"
_ATTEMPTS = 5
_NAMESPACE_OF_ACCOUNTS = "openshift-cnv"


class ApiError(Exception):
    """An answer of 400 or more, with its Status."""

    def __init__(self, code: int, body: Obj) -> None:
        super().__init__(f"{code}: {body.get('message', '')}")
        self.code = code
        self.body = body

    @property
    def stale(self) -> bool:
        """Whether the write was made with an old version of the object."""
        return self.code == 409 and self.body.get("reason") != "AlreadyExists"


class Client:
    """Talks to one server as one component; C(acting_as) gives another voice over the same connections.

    With the rights of an administrator it impersonates the component's service account, so that admission knows whom
    it deals with. Waits and repeats when the server is busy (429 and 503 with Retry-After).
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, component: str = "simcluster") -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._token = token
        self.component = component
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": f"{component}/v1"}
        if component.startswith("virt-"):
            account = component.replace("virt-", "kubevirt-", 1)
            self._headers["Impersonate-User"] = f"system:serviceaccount:{_NAMESPACE_OF_ACCOUNTS}:{account}"
            self._headers["Impersonate-Group"] = "system:masters"

    def acting_as(self, component: str) -> Client:
        """The same server, as C(component) ("virt-controller")."""
        return Client(self._session, self._url, self._token, component)

    async def request(
        self, method: str, path: str, *, params: dict[str, str] | None = None, body: Any = None, content_type: str = ""
    ) -> Obj:
        """One call, repeated while the server asks to wait. Returns the decoded answer; raises ApiError or OSError."""
        headers = self._headers
        data = None
        if body is not None:
            data = orjson.dumps(body)
            headers = {**headers, "Content-Type": content_type or "application/json"}
        for attempt in range(_ATTEMPTS):
            status, wait, answer = await self._exchange(method, path, params, data, headers)
            if status < 400:
                return answer
            if status not in (429, 503) or wait is None or attempt == _ATTEMPTS - 1:
                raise ApiError(status, answer)
            await asyncio.sleep(min(float(wait), 5.0))
        raise AssertionError("unreachable")

    async def _exchange(
        self, method: str, path: str, params: dict[str, str] | None, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str | None, Obj]:
        """Status, Retry-After and decoded body of one answer."""
        try:
            async with self._session.request(
                method, self._url + path, params=params, data=data, headers=headers
            ) as response:
                body = await response.read()
                return response.status, response.headers.get("Retry-After"), _decoded(body)
        except aiohttp.ClientError as error:
            raise ConnectionError(f"{method} {path}: {error}") from error

    async def get(self, kind: Kind, namespace: str, name: str) -> Obj:
        """One object."""
        return await self.request("GET", kind.path(namespace, name))

    async def pages(self, kind: Kind, namespace: str = "", **params: str) -> AsyncIterator[Obj]:
        """The list pages of a kind, in order."""
        query = {"limit": str(PAGE_SIZE), **params}
        while True:
            page = await self.request("GET", kind.path(namespace), params=query)
            yield page
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query = {**query, "continue": token}

    async def watch(
        self, kind: Kind, namespace: str, resource_version: str, *, timeout_seconds: int, **params: str
    ) -> AsyncIterator[Obj]:
        """Events after C(resource_version) until the server ends the stream. Raises ApiError, OSError."""
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_seconds),
            **params,
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_read=timeout_seconds + 30)
        try:
            async with self._session.get(
                self._url + kind.path(namespace), params=query, headers=self._headers, timeout=timeout
            ) as response:
                if response.status >= 400:
                    raise ApiError(response.status, _decoded(await response.read()))
                rest = b""
                async for chunk in response.content.iter_any():
                    lines = (rest + chunk).split(b"\n")
                    rest = lines.pop()
                    for line in lines:
                        if line:
                            yield orjson.loads(line)
        except aiohttp.ClientError as error:
            raise ConnectionError(f"watch of {kind.plural}: {error}") from error

    async def create(self, kind: Kind, obj: Obj, subresource: str = "", name: str = "") -> Obj:
        """Create an object, or POST to the subresource of the one called C(name)."""
        namespace = obj["metadata"].get("namespace", "")
        return await self.request("POST", kind.path(namespace, name, subresource), params=self._writer(), body=obj)

    async def replace(self, kind: Kind, obj: Obj, subresource: str = "") -> Obj:
        """Write a whole object; its resourceVersion must be the stored one."""
        metadata = obj["metadata"]
        path = kind.path(metadata.get("namespace", ""), metadata["name"], subresource)
        return await self.request("PUT", path, params=self._writer(), body=obj)

    async def patch(self, kind: Kind, namespace: str, name: str, body: Any, subresource: str = "") -> Obj:
        """Merge-patch with a dict, JSON-patch with a list."""
        content_type = _JSON if isinstance(body, list) else _MERGE
        path = kind.path(namespace, name, subresource)
        return await self.request("PATCH", path, params=self._writer(), body=body, content_type=content_type)

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str = "", grace_seconds: int | None = None
    ) -> Obj:
        """Delete an object, only the one with C(uid) if given."""
        options: Obj = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        return await self.request("DELETE", kind.path(namespace, name), body=options)

    def _writer(self) -> dict[str, str]:
        return {"fieldManager": self.component}


def _decoded(text: bytes) -> Obj:
    if not text:
        return {}
    try:
        decoded = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"message": text.decode(errors="replace")}
    return decoded if isinstance(decoded, dict) else {"items": decoded}
