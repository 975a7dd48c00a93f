"""A proxy before a real API server that lets requests fail by the rules that the simulated one takes."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from multidict import CIMultiDict
from simcluster.api.errors import StatusError, expired_watch
from simcluster.api.faults import Action, Faults, failure
from simcluster.api.request import parse

Obj = dict[str, Any]
_START_SECONDS = 10.0
_OWN_HEADERS = frozenset(("host", "connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade"))
_CONFLICT = "the object has been modified; please apply your changes to the latest version and try again"


class FaultProxy:
    """Serves HTTPS on 127.0.0.1 in a thread. C(user_of) tells whose a token is; C(faults) are changed at run time."""

    def __init__(self, upstream: str, authority: str, certificate: Path, key: Path, user_of: Callable[[str], str]):
        self.faults = Faults()
        self.url = ""
        self._upstream = upstream
        self._trust = ssl.create_default_context(cafile=authority)
        self._own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._own.load_cert_chain(certificate, key)
        self._user_of = user_of
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()
        assert self._ready.wait(_START_SECONDS)

    def stop(self) -> None:
        """End serving; open connections drop."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
            self._session = session
            server = web.Server(self._handle)
            runner = web.ServerRunner(server, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._own)
            await site.start()
            self.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = parse(request.method, request.path, request.query)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        action = self.faults.action(request.method, request.path_qs, self._user_of(token), target.verb)
        try:
            if action is not None:
                await _suffer(action, request)
            return await self._hand_on(request, action, watching=target.verb == "watch")
        except StatusError as error:
            return web.Response(
                status=error.code, body=orjson.dumps(error.body), content_type="application/json", headers=error.headers
            )
        except aiohttp.ClientError:
            return _dropped(request)

    async def _hand_on(self, request: web.BaseRequest, action: Action | None, *, watching: bool) -> web.StreamResponse:
        async with self._session.request(
            request.method,
            self._upstream + request.raw_path,
            headers=_passed_on(request.headers),
            data=await request.read() or None,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        ) as answer:
            if not watching:
                body = await answer.read()
                if action is not None and action.drop_after_write:
                    return _dropped(request)
                return web.Response(status=answer.status, body=body, headers=_passed_on(answer.headers))
            response = web.StreamResponse(status=answer.status, headers=_passed_on(answer.headers))
            await response.prepare(request)
            if action is not None and action.expire_watch:
                error = expired_watch(int(request.query.get("resourceVersion") or 1), 0)
                await response.write(orjson.dumps({"type": "ERROR", "object": error.body}) + b"\n")
                return response
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
                if action is not None and action.drop_watch:
                    return _dropped(request)
            await response.write_eof()
            return response


async def _suffer(action: Action, request: web.BaseRequest) -> None:
    """What befalls a request before it is handed on; raises StatusError."""
    if action.delay_seconds:
        await asyncio.sleep(action.delay_seconds)
    if action.drop_connection:
        raise aiohttp.ClientConnectionError("dropped on purpose")
    if action.expire_continue and request.query.get("continue"):
        raise StatusError(410, "Expired", "The provided continue parameter is too old to display a consistent list")
    if action.conflict:
        raise StatusError(409, "Conflict", _CONFLICT)
    if action.status:
        raise failure(action)


def _dropped(request: web.BaseRequest) -> web.Response:
    """Break the connection; the response is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


def _passed_on(headers: Any) -> CIMultiDict[str]:
    return CIMultiDict((key, value) for key, value in headers.items() if key.lower() not in _OWN_HEADERS)
