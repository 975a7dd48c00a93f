"""The few HTTP calls an auditor needs: list in pages, and watch."""

from __future__ import annotations

import base64
import json
import os
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from .facts import Obj

PAGE_SIZE = 500
WATCH_SECONDS = 240
_LIST_ATTEMPTS = 5


class Unreachable(Exception):
    """The cluster cannot be read; says what was asked and what was answered."""


class Expired(Exception):
    """The version to watch from is too old: list again."""


@dataclass(frozen=True)
class Connection:
    """Where and as whom; C(tls) is None for plain HTTP."""

    server: str
    token: str
    tls: ssl.SSLContext | None


def connection(kubeconfig: Path) -> Connection:
    """The current context of a kubeconfig file (bearer token or client certificate); raises Unreachable."""
    try:
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
    except (OSError, KeyError, TypeError, StopIteration, yaml.YAMLError) as error:
        raise Unreachable(f"kubeconfig {kubeconfig} cannot be used: {type(error).__name__}: {error}") from error
    token = user.get("token", "")
    if not token and "tokenFile" in user:
        token = Path(user["tokenFile"]).read_text(encoding="utf-8").strip()
    server = cluster["server"].rstrip("/")
    return Connection(server, token, _tls(cluster, user) if server.startswith("https") else None)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _tls(cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    authority = _data(cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _data(user, "client-certificate"), _data(user, "client-key")
    if certificate and key:
        handle, name = tempfile.mkstemp()
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(certificate + b"\n" + key)
            context.load_cert_chain(name)
        finally:
            os.unlink(name)
    return context


def _data(entry: dict[str, Any], field: str) -> bytes:
    if encoded := entry.get(f"{field}-data"):
        return base64.b64decode(encoded)
    return Path(entry[field]).read_bytes() if field in entry else b""


class Api:
    """Reads one cluster; use as an asynchronous context manager."""

    def __init__(self, where: Connection) -> None:
        self._where = where
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Api:
        headers = {"Accept": "application/json", "User-Agent": "ocpv-scale-audit"}
        if self._where.token:
            headers["Authorization"] = f"Bearer {self._where.token}"
        self._session = aiohttp.ClientSession(headers=headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, parameters: dict[str, str] | None = None) -> Obj | None:
        """The JSON at C(path), None for 404; raises Expired for 410, Unreachable for anything else."""
        assert self._session is not None
        try:
            async with self._session.get(
                self._where.server + path,
                params=parameters,
                ssl=self._where.tls if self._where.tls is not None else True,
                timeout=aiohttp.ClientTimeout(total=60),
            ) as answer:
                if answer.status == 404:
                    return None
                if answer.status == 410:
                    raise Expired(path)
                if answer.status != 200:
                    raise Unreachable(f"GET {path}: HTTP {answer.status} {(await answer.text())[:300]}")
                return json.loads(await answer.read())  # type: ignore[no-any-return]
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unreachable(f"GET {path}: {type(error).__name__}: {error}") from error

    async def collection(self, path: str) -> tuple[list[Obj], str]:
        """All objects of a collection and the resourceVersion they belong to; none if the collection is not served.

        Begins again when the pages expire meanwhile; raises Unreachable.
        """
        for _ in range(_LIST_ATTEMPTS):
            try:
                return await self._list_once(path)
            except Expired:
                continue
        raise Unreachable(f"GET {path}: its pages expired {_LIST_ATTEMPTS} times while they were read")

    async def _list_once(self, path: str) -> tuple[list[Obj], str]:
        objects: list[Obj] = []
        parameters = {"limit": str(PAGE_SIZE)}
        while True:
            page = await self.get(path, parameters)
            if page is None:
                return [], ""
            objects += page.get("items") or []
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return objects, metadata.get("resourceVersion", "")
            parameters = {"limit": str(PAGE_SIZE), "continue": metadata["continue"]}

    async def watch(self, path: str, version: str) -> AsyncIterator[tuple[str, Obj]]:
        """Events after C(version) until the server ends the stream; raises Expired or Unreachable."""
        assert self._session is not None
        parameters = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        try:
            async with self._session.get(
                self._where.server + path,
                params=parameters,
                ssl=self._where.tls if self._where.tls is not None else True,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_SECONDS + 30),
            ) as answer:
                if answer.status == 410:
                    raise Expired(path)
                if answer.status != 200:
                    raise Unreachable(f"watch {path}: HTTP {answer.status}")
                async for line in _lines(answer.content):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        if event["object"].get("code") == 410:
                            raise Expired(path)
                        raise Unreachable(f"watch {path}: {event['object'].get('message')}")
                    yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unreachable(f"watch {path}: {type(error).__name__}: {error}") from error


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
