"""The companion's HTTPS server: one thread a request, no state but tokens."""

from __future__ import annotations

import http.server
import logging
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson

from .. import admission, eviction, subresources
from ..actions import SubresourceRequest, Write
from ..api import discovery, metrics
from ..api.context import Call, Cluster
from ..api.errors import StatusError, TextError, method_not_allowed
from ..api.request import Target, parse
from ..auth import ACCOUNT_PREFIX, MASTERS, Authenticator, User
from ..clock import Clock, rfc3339
from ..schema.registry import Registry
from ..store import Store
from ..testing import Client
from . import registration, reviews
from .lookup import HttpLookup, resource_path

log = logging.getLogger(__name__)
Obj = dict[str, Any]
FRONT_PROXY = "front-proxy-client"
AUTHENTICATE = "/authenticate"
_JSON = {"Content-Type": "application/json"}
_VIRT_API = {
    "User-Agent": "virt-api/v1",
    "Impersonate-User": f"{ACCOUNT_PREFIX}openshift-cnv:kubevirt-apiserver",
    "Impersonate-Group": MASTERS,
}


class Companion:
    """Answers for one API server. C(client) has an administrator's rights; C(authenticator) knows further tokens."""

    def __init__(self, registry: Registry, client: Client, authenticator: Authenticator) -> None:
        self.authenticator = authenticator
        self._registry = registry
        self._client = client
        self._virt_api = Client(client.url, client.token, client.authority, _VIRT_API)
        self._lookup = HttpLookup(client, registry)
        self._posts: dict[str, Callable[[Obj], Obj]] = {
            registration.CONVERT: reviews.convert,
            registration.EVICT: self._evict,
            AUTHENTICATE: lambda review: reviews.authenticate(review, self.authenticator, datetime.now(UTC)),
        }
        for number, webhook in enumerate(admission.MUTATING):
            self._posts[registration.mutate_path(number)] = self._admitting(webhook, mutating=True)
        for number, webhook in enumerate(admission.VALIDATING):
            self._posts[registration.validate_path(number)] = self._admitting(webhook, mutating=False)

    def review(self, path: str, body: bytes) -> Obj | None:
        """The answer to a review, None for an unknown path."""
        call = self._posts.get(path)
        return None if call is None else call(orjson.loads(body))

    def aggregated(self, method: str, path: str, query: str, body: bytes, user: User) -> tuple[int, Obj | None]:
        """The answer to a request that the API server hands on: code and body. Raises StatusError and TextError."""
        given = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        target = parse(method, path, given)
        if target.group is None:
            return 200, self._discovered(path)
        if (target.group, target.version) == discovery.METRICS:
            return 200, self._metrics(target, given)
        return self._machine_verb(method, target, body, user)

    def _admitting(self, webhook: admission.Webhook, *, mutating: bool) -> Callable[[Obj], Obj]:
        return lambda review: reviews.admit(webhook, review, self._lookup, mutating=mutating)

    def _evict(self, review: Obj) -> Obj:
        asked = review["request"]
        request = reviews.admission_request(asked)
        wanted = SubresourceRequest(
            "POST", "", "v1", "pods", "eviction", request.namespace, request.name, request.object, request.user, _now()
        )
        pod = self._lookup.get("", "pods", request.namespace, request.name)
        outcome = eviction.intercept(wanted, pod, self._lookup) if pod else None
        if outcome is None:
            return reviews.allowed(asked)
        if not request.dry_run:
            for each in outcome.writes:
                self._perform(each)
        return reviews.refusal(asked, outcome.code, admission.own_words((outcome.body or {})["message"]))

    def _discovered(self, path: str) -> Obj | None:
        parts = [part for part in path.split("/") if part]
        if len(parts) == 3 and parts[0] == "apis":
            return discovery.resources(self._registry, parts[1], parts[2])
        return discovery.group(self._registry, parts[1]) if len(parts) == 2 and parts[0] == "apis" else None

    def _metrics(self, target: Target, query: dict[str, str]) -> Obj:
        store = Store(self._registry.resources())
        for plural in ("pods", "nodes"):
            resource = self._registry.find("", plural)
            assert resource is not None
            store.load(resource, self._lookup.list("", plural))
        cluster = Cluster(self._registry, store, Clock())
        return metrics.answer(Call(cluster, target, query, {}))

    def _machine_verb(self, method: str, target: Target, body: bytes, user: User) -> tuple[int, Obj | None]:
        if method != "PUT" or not target.name:
            raise method_not_allowed()
        request = SubresourceRequest(
            method, target.group or "", target.version, target.plural, target.subresource, target.namespace,
            target.name, orjson.loads(body) if body.strip() else {}, user, _now(),
        )  # fmt: skip
        outcome = subresources.handle(request, self._lookup)
        for each in outcome.writes:
            self._perform(each)
        return outcome.code, outcome.body

    def _perform(self, write: Write) -> None:
        """Do what an action asks for, as virt-api; raises StatusError with the API server's answer."""
        resource = self._registry.find(write.group, write.plural)
        assert resource is not None
        path = resource_path(resource, write.namespace, write.name, write.subresource if resource.has_status else "")
        if write.verb == "create":
            answer = self._virt_api.post(path, write.body)
        elif write.verb == "delete":
            answer = self._virt_api.delete(path, write.body)
        else:
            answer = self._virt_api.patch(path, write.body, write.verb.removesuffix("-patch"))
        if answer.status >= 400:
            told = answer.json()
            raise StatusError(answer.status, told.get("reason", ""), told.get("message", ""), told.get("details"))


class Server:
    """Serves a companion on 127.0.0.1 in threads of this process."""

    def __init__(self, companion: Companion, certificate: str, key: str, authority: str) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
        context.load_cert_chain(certificate, key)
        # only the API server, as front proxy, says who a user is
        context.verify_mode = ssl.CERT_OPTIONAL
        handler = type("Handler", (_Handler,), {"companion": companion})
        self._server = _Threads(("127.0.0.1", 0), handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Threads(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("connection of %s", client_address, exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    companion: Companion
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        try:
            code, found = self._found(path, query, body)
        except StatusError as error:
            code, found = error.code, error.body
        except TextError as error:
            self._send(error.code, error.text.encode(), {"Content-Type": "text/plain; charset=utf-8"})
            return
        except Exception as error:
            log.exception("%s %s", self.command, self.path)
            code, found = 500, {"kind": "Status", "status": "Failure", "message": repr(error), "code": 500}
        self._send(code, b"" if found is None else orjson.dumps(found), _JSON if found is not None else {})

    def _found(self, path: str, query: str, body: bytes) -> tuple[int, Obj | None]:
        if not path.startswith("/apis/"):
            answer = self.companion.review(path, body)
            if answer is None:
                raise TextError(404, "404 page not found")
            return 200, answer
        if self._peer() != FRONT_PROXY:
            raise TextError(HTTPStatus.UNAUTHORIZED, "only the API server may ask here")
        groups = tuple(self.headers.get_all("X-Remote-Group") or ())
        user = User(self.headers.get("X-Remote-User", ""), groups)
        code, found = self.companion.aggregated(self.command, path, query, body, user)
        if found is None and code == 200:
            raise TextError(404, "404 page not found")
        return code, found

    def _peer(self) -> str:
        """Common name of the client's certificate, empty without one."""
        connection: Any = self.connection
        subject = (connection.getpeercert() or {}).get("subject", ())
        return next((value for part in subject for key, value in part if key == "commonName"), "")

    def _send(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _now() -> str:
    return rfc3339(datetime.now(UTC))
