# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call to the API server: sent, repeated while that can help and cannot harm, answered or turned into an error."""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Callable, Mapping, Optional

from ..errors import ApiError
from . import api_errors
from .transport import Answer, AnswerLost, NotSent, Transport

# a server that has never answered may be the wrong one
FIRST_CONTACT_SECONDS = 10.0
_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 8.0
_UNCERTAIN = (502, 503, 504)


@dataclass(frozen=True)
class Call:
    """A request. C(what) completes "Could not ..."; C(repeatable): doing it twice is as good as once.

    C(stream_seconds) leaves the body of a good answer unread and is how long the server may stay silent.
    """

    what: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Optional[bytes] = None
    content_type: str = "application/json"
    repeatable: bool = True
    stream_seconds: Optional[float] = None

    @property
    def request(self) -> str:
        return f"{self.method} {self.path}"


class _Contact:
    """What the last answer said, for all callers to the same server."""

    date = ""


class Caller:
    """Makes calls to one server. May be used by several threads.

    C(retry_seconds) bounds how long a call is repeated; clock and sleep are given for tests.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        retry_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._sleep = sleep
        self._contact = _Contact()

    @property
    def host(self) -> str:
        return self._transport.host

    @property
    def server_time(self) -> str:
        """The server's clock at its last answer, RFC 3339 in UTC; empty before the first."""
        if not self._contact.date:
            return ""
        return parsedate_to_datetime(self._contact.date).strftime("%Y-%m-%dT%H:%M:%SZ")

    def with_retry_seconds(self, retry_seconds: float) -> Caller:
        """Return a caller to the same server that gives up earlier, or later."""
        other = copy(self)
        other._retry_seconds = retry_seconds
        return other

    def call(self, call: Call) -> Answer:
        """Return the good answer to a call.

        Connections that were not made and throttling (429) are tried again, so are lost answers and server errors of
        repeatable calls. Raises ApiError: at once for any other error; Unreachable when time is up, and with
        C(details["outcome"]) "unknown" when a call that must not be repeated may have taken effect.
        """
        started = self._clock()
        delay = _FIRST_DELAY_SECONDS
        while True:
            wait = delay
            try:
                answer = self._transport.send(
                    call.method,
                    call.path,
                    query=call.query,
                    body=call.body,
                    content_type=call.content_type,
                    stream_seconds=call.stream_seconds,
                )
            except NotSent as error:
                failure = api_errors.unreachable(call.what, call.request, error.reason)
                if error.permanent:
                    raise failure from error
            except AnswerLost as error:
                unknown = not call.repeatable
                failure = api_errors.unreachable(call.what, call.request, error.reason, unknown=unknown)
                if unknown:
                    raise failure from error
            else:
                self._contact.date = answer.headers.get("Date") or self._contact.date
                if 200 <= answer.status < 300:
                    return answer
                failure = _failure(call, answer)
                wait = max(delay, failure.retry_after_seconds or 0.0)
            patience = self._retry_seconds if self._contact.date else min(self._retry_seconds, FIRST_CONTACT_SECONDS)
            if self._clock() - started + wait > patience:
                raise failure
            self._sleep(wait)
            delay = min(delay * 2, _LONGEST_DELAY_SECONDS)


def _failure(call: Call, answer: Answer) -> ApiError:
    """Return the error to raise if time is up; raises at once what repeating cannot or must not change."""
    error = api_errors.from_answer(call.what, call.request, answer.status, answer.headers, answer.body)
    throttled = answer.status == 429
    passing = throttled or (call.repeatable and answer.status in api_errors.PASSING)
    if not passing or api_errors.blocked_by_budget(error):
        if answer.status in _UNCERTAIN:
            raise api_errors.unreachable(call.what, call.request, error.message, last=error, unknown=True)
        raise error
    failure = api_errors.unreachable(call.what, call.request, error.message, last=error)
    failure.retry_after_seconds = error.retry_after_seconds
    return failure
