"""The server: from HTTP requests to calls, and from answers and errors to HTTP responses."""

from __future__ import annotations

import asyncio
import logging
import ssl
from email.utils import format_datetime

import orjson
from aiohttp import web
from multidict import CIMultiDict

from ..auth import ANONYMOUS, AUTHENTICATED, MASTERS, User
from ..schema.errors import go_quote
from . import discovery
from .context import Call, Cluster
from .control import PREFIX, Control, Stats
from .errors import (
    STALE,
    StatusError,
    TextError,
    conflict,
    expired_continue,
    expired_watch,
    forbidden,
    method_not_allowed,
    no_such_resource,
    page_not_found,
    unauthorized,
)
from .faults import Action, failure
from .lists import decode_token, encode_token
from .namespaces import reap
from .request import parse
from .resources import Answer, answer, is_builtin_group, served
from .watch import Watch

log = logging.getLogger(__name__)
_MAX_BODY_BYTES = 3 << 20
_JSON = "application/json"


class Server:
    """Serves one cluster on 127.0.0.1 until it is stopped."""

    def __init__(self, cluster: Cluster, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.cluster = cluster
        self.port = port
        self.stats = Stats()
        self._tls = tls
        self._stop = asyncio.Event()
        self._control = Control(cluster, self.stats, self._restart)
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        self._site: web.TCPSite | None = None
        self._reaper: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Begins to listen; with port 0 on one that the kernel gives."""
        await self._runner.setup()
        await self._listen()
        self._reaper = asyncio.create_task(reap(self.cluster))

    async def stop(self) -> None:
        """Ends watches and connections."""
        self._stop.set()
        if self._reaper:
            self._reaper.cancel()
        await self._runner.cleanup()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls, reuse_address=True)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def _restart(self, down_seconds: float) -> None:
        assert self._site is not None
        await self._site.stop()
        self._drop_connections()
        if down_seconds > 0:
            await asyncio.sleep(down_seconds)
            self._drop_connections()
        await self._listen()

    def _drop_connections(self) -> None:
        for table in self.cluster.store.tables():
            for subscription in table.subscriptions:
                subscription.close()
        server = self._runner.server
        for connection in list(server.connections) if server else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        target = parse(request.method, request.path, request.query)
        call = Call(self.cluster, target, request.query, request.headers, method=request.method)
        action: Action | None = None
        try:
            call.body = await _body(request)
            call.user = self._authenticate(request)
            action = self.cluster.faults.action(request.method, request.path_qs, call.user.name, target.verb)
            if action is not None:
                await _suffer(action, call, request)
            if target.path.startswith(PREFIX):
                return self._respond(request, call, self._control.answer(call))
            self._authorize(call)
            if target.verb == "watch":
                return await self._watch(request, call, action)
            result = _discovered(call, request) or answer(call)
            if action is not None and action.drop_after_write and request.transport is not None:
                request.transport.abort()
            return self._respond(request, call, result)
        except StatusError as error:
            return self._respond(request, call, Answer(error.code, orjson.dumps(error.body), error.headers))
        except TextError as error:
            headers = {"Content-Type": "text/plain; charset=utf-8"}
            return self._respond(request, call, Answer(error.code, error.text.encode(), headers))
        except Exception as error:
            log.exception("%s %s", request.method, request.path_qs)
            failed = StatusError(500, "InternalError", f"Internal error occurred: {type(error).__name__}: {error}")
            return self._respond(request, call, Answer(500, orjson.dumps(failed.body)))

    def _authenticate(self, request: web.Request) -> User:
        """The user of the request; with the right headers an administrator is somebody else. Raises StatusError."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return ANONYMOUS
        if scheme.lower() != "bearer":
            raise unauthorized()
        user = self.cluster.authenticator.user_for(token.strip(), self.cluster.clock.now())
        if user is None:
            raise unauthorized()
        name = request.headers.get("Impersonate-User")
        if not name:
            return user
        if MASTERS not in user.groups:
            text = (
                f'users {go_quote(name)} is forbidden: User {go_quote(user.name)} cannot impersonate resource "users" '
                'in API group "" at the cluster scope'
            )
            raise StatusError(403, "Forbidden", text, {"name": name, "kind": "users"})
        groups = request.headers.getall("Impersonate-Group", [])
        return User(name, tuple(dict.fromkeys([*groups, AUTHENTICATED])))

    def _authorize(self, call: Call) -> None:
        target, authorizer = call.target, self.cluster.authorizer
        if target.group is None:
            allowed = authorizer.allowed_path(call.user, call.method.lower(), target.path)
        else:
            allowed = authorizer.allowed(
                call.user,
                target.verb,
                target.group,
                target.plural,
                target.subresource,
                target.namespace or None,
                target.name,
            )
        if not allowed:
            raise forbidden(call.user, target)

    async def _watch(self, request: web.Request, call: Call, action: Action | None) -> web.StreamResponse:
        resource = served(call)
        watch = Watch(call, resource, call.target.version)
        response = web.StreamResponse(headers=self._headers(call, {"Content-Type": _JSON}))
        self.stats.count(request.method, call.target, call.user, 200, 0)
        self.stats.watches_open += 1
        try:
            await response.prepare(request)
            if action is not None and action.expire_watch:
                version = int(call.query.get("resourceVersion") or 1)
                error = expired_watch(version, self.cluster.store.version)
                await response.write(orjson.dumps({"type": "ERROR", "object": error.body}) + b"\n")
                return response
            async for chunk in watch.lines(self._stop):
                await response.write(chunk)
                self.stats.sent(call.user, len(chunk))
                if action is not None and action.drop_watch and request.transport is not None:
                    request.transport.abort()
                    break
            await response.write_eof()
        except ConnectionError:
            log.debug("watch of %s dropped", call.target.path)
        finally:
            self.stats.watches_open -= 1
        return response

    def _respond(self, request: web.Request, call: Call, result: Answer) -> web.Response:
        if not call.target.path.startswith(PREFIX):
            self.stats.count(request.method, call.target, call.user, result.code, len(result.body or b""))
        content = {"Content-Type": _JSON} if result.body is not None else {}
        headers = self._headers(call, {**content, **result.headers})
        return web.Response(status=result.code, body=result.body, headers=headers)

    def _headers(self, call: Call, more: dict[str, str]) -> CIMultiDict[str]:
        headers = CIMultiDict(more)
        headers["Date"] = format_datetime(self.cluster.clock.now(), usegmt=True)
        headers.setdefault("Cache-Control", "no-cache, private")
        for warning in dict.fromkeys(call.warnings):
            headers.add("Warning", f"299 - {go_quote(warning)}")
        return headers


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        text = f"Request entity too large: limit is {_MAX_BODY_BYTES}"
        raise StatusError(413, "RequestEntityTooLarge", text) from error


async def _suffer(action: Action, call: Call, request: web.Request) -> None:
    """What a fault does before the request is looked at; raises StatusError."""
    if action.delay_seconds:
        await asyncio.sleep(action.delay_seconds)
    if action.drop_connection:
        if request.transport is not None:
            request.transport.abort()
        raise StatusError(503, "ServiceUnavailable", "connection dropped")
    if action.expire_continue and call.query.get("continue"):
        raise expired_continue(encode_token(-1, decode_token(call.query["continue"])[1]))
    if action.conflict:
        resource = served(call)
        raise conflict(resource, call.target.name, STALE)
    if action.status:
        raise failure(action)


def _discovered(call: Call, request: web.Request) -> Answer | None:
    """The answer to a path that is no resource, None for those that are; raises TextError."""
    registry, parts = call.cluster.registry, [part for part in call.target.path.split("/") if part]
    if call.target.group is not None:
        return None
    found: object = None
    if parts[:2] in (["api", "v1"], ["version"]) and call.method not in ("GET", "HEAD"):
        raise method_not_allowed()
    match parts:
        case ["healthz" | "livez" | "readyz", *_]:
            return Answer(200, b"ok", {"Content-Type": "text/plain; charset=utf-8"})
        case ["version"]:
            found = discovery.version(call.cluster)
        case []:
            found = {"paths": list(discovery.PATHS)}
        case ["api"]:
            found = discovery.core_versions(request.host)
        case ["api", "v1"]:
            found = discovery.resources(registry, "", "v1")
        case ["apis"]:
            found = discovery.groups(registry)
        case ["apis", group]:
            found = discovery.group(registry, group)
        case ["apis", group, version]:
            found = discovery.resources(registry, group, version)
        case ["openapi", "v2"]:
            return Answer(200, discovery.openapi_v2(), {"Content-Type": discovery.OPENAPI_V2})
        case ["openapi", "v3"]:
            found = discovery.openapi_index(registry)
        case ["openapi", "v3", "api", version]:
            found = discovery.openapi(registry, "", version)
        case ["openapi", "v3", "apis", group, version]:
            found = discovery.openapi(registry, group, version)
    if found is None and (parts[:1] == ["api"] or (parts[:1] == ["apis"] and is_builtin_group(registry, parts[1]))):
        raise no_such_resource()
    if found is None:
        raise page_not_found()
    return Answer(200, orjson.dumps(found))
