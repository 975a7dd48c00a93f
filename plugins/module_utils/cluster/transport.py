# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP to one API server: sends a request, returns the answer, and tells "never sent" from "answer lost".

Takes the urllib3 pool, the default headers and the credentials of a C(kubernetes.client.ApiClient), so that every
connection option and kubeconfig works as it does in kubernetes.core, and leaves out its object wrappers, which cost
several times more than parsing the JSON.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional
from urllib.parse import urlencode, urlsplit

try:
    import urllib3
    from urllib3 import exceptions as http_errors
except ImportError:  # comes with the kubernetes library, whose absence is reported before a Transport is made
    urllib3 = None
    http_errors = None

USER_AGENT = "ocpv-scale"
CONNECT_TIMEOUT_SECONDS = 10.0
# said before anything of the request is sent, and not cured by waiting
_HANDSHAKE_FAILURES = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER")
READ_TIMEOUT_SECONDS = 70.0  # the API server itself gives up after 60


class NotSent(Exception):
    """The request did not reach the server: safe to repeat. C(permanent): repeating it cannot help."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


class AnswerLost(Exception):
    """The request was sent, or part of it, and no complete answer came back."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; C(headers) can be asked in any case. A good answer has a C(stream) for C(body) if asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    stream: Any = None

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of a streamed body as they arrive, without line ends; closes the connection at the end.

        Raises AnswerLost when the connection breaks or the last line is not complete.
        """
        rest = b""
        try:
            for chunk in self.stream.stream(65536):
                parts = (rest + chunk).split(b"\n")
                rest = parts.pop()
                for line in parts:
                    if line:
                        yield line
        except (http_errors.HTTPError, OSError) as error:
            raise AnswerLost(reason_of(error)) from error
        finally:
            self.stream.close()
        if rest.strip():
            raise AnswerLost("the stream ended in the middle of an event")


class Transport:
    """Requests to the API server of one ApiClient. May be used by several threads."""

    def __init__(self, api_client: Any) -> None:
        self._pool = api_client.rest_client.pool_manager
        self._configuration = api_client.configuration
        self._default_headers = dict(api_client.default_headers)
        self.host: str = self._configuration.host.rstrip("/")

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Optional[Mapping[str, str]] = None,
        body: Optional[bytes] = None,
        content_type: str = "application/json",
        stream_seconds: Optional[float] = None,
    ) -> Answer:
        """Send one request, once, and return the answer whatever its status.

        C(stream_seconds) leaves the body unread (see Answer.lines) and is how long the server may stay silent. Raises
        NotSent or AnswerLost.
        """
        url = self.host + path + ("?" + urlencode(query) if query else "")
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers=self._headers(None if body is None else content_type, compressed=stream_seconds is None),
                redirect=False,
                retries=False,
                preload_content=stream_seconds is None,
                timeout=urllib3.Timeout(
                    connect=CONNECT_TIMEOUT_SECONDS,
                    read=READ_TIMEOUT_SECONDS if stream_seconds is None else stream_seconds,
                ),
            )
            if stream_seconds is not None and response.status < 300:
                return Answer(response.status, response.headers, stream=response)
            return Answer(response.status, response.headers, response.data)
        except (http_errors.NewConnectionError, http_errors.ConnectTimeoutError) as error:
            if _unknown_host(error):
                name, reason = urlsplit(self.host).hostname or self.host, reason_of(error)
                # urllib3 before 2 leaves the name out
                raise NotSent(reason if name in reason else f"{reason} ({name})", permanent=True) from error
            raise NotSent(reason_of(error)) from error
        except http_errors.SSLError as error:
            if any(text in str(error) for text in _HANDSHAKE_FAILURES):
                raise NotSent(reason_of(error), permanent=True) from error
            raise AnswerLost(reason_of(error)) from error
        except http_errors.ProxyError as error:
            raise NotSent(reason_of(error)) from error
        except http_errors.LocationValueError as error:
            raise NotSent(reason_of(error), permanent=True) from error
        except http_errors.HTTPError as error:
            raise AnswerLost(reason_of(error)) from error
        except OSError as error:  # an unreadable certificate or key file
            raise NotSent(reason_of(error), permanent=True) from error

    def _headers(self, content_type: Optional[str], *, compressed: bool) -> dict[str, str]:
        headers = dict(self._default_headers)
        headers["User-Agent"] = USER_AGENT
        headers["Accept"] = "application/json"
        if compressed:
            headers["Accept-Encoding"] = "gzip"
        if content_type:
            headers["Content-Type"] = content_type
        # asked for each request: a token that the client library renews is used as soon as it is there
        for setting in self._configuration.auth_settings().values():
            if setting.get("in") == "header" and setting.get("value"):
                headers[setting["key"]] = setting["value"]
        return headers


def _unknown_host(error: BaseException) -> bool:
    cause = error.__cause__ or error.__context__
    return isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME


def reason_of(error: BaseException) -> str:
    """Return the innermost readable cause of a urllib3 error, without object addresses."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return reason_of(reason)
    text = str(error)
    return text.split(">: ", 1)[1] if ">: " in text else text or type(error).__name__
