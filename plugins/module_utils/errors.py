# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The errors of this collection: data about what went wrong, turned into a module failure in one place."""

from __future__ import annotations

from typing import Any, Mapping, Optional


class OcpvError(Exception):
    """Base of all errors that a user may see.

    C(message) says what failed and for which object, C(hint) the likely cause and its remedy, C(details) carries
    values a program may read (JSON types only). None of them may hold a secret.
    """

    def __init__(self, message: str, *, hint: str = "", details: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip() if self.hint else self.message


class InvalidInput(OcpvError):
    """An option, a file or a quantity that cannot be used; nothing has been changed."""

    def __init__(
        self, option: str, value: Any, allowed: str, *, hint: str = "", details: Optional[Mapping[str, Any]] = None
    ) -> None:
        super().__init__(f"{option}: {value!r} cannot be used: {allowed}.", hint=hint, details=details)
        self.option = option
        self.value = value
        self.allowed = allowed


class ApiError(OcpvError):
    """An answer of the API server that is an error.

    C(status) is the HTTP status, C(reason) and C(causes) are those of the Kubernetes Status body (empty when the answer
    had none), C(request) names the verb and the path.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        causes: tuple[Mapping[str, Any], ...] = (),
        request: str = "",
        retry_after_seconds: Optional[float] = None,
        hint: str = "",
        details: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.status = status
        self.reason = reason
        self.causes = causes
        self.request = request
        self.retry_after_seconds = retry_after_seconds


class NotFound(ApiError):
    """The object or the resource type is not there (404)."""


class Unauthorized(ApiError):
    """The credentials are missing, wrong or expired (401)."""


class Forbidden(ApiError):
    """The credentials are good but the action is not allowed, or a webhook refused it with 403."""


class Conflict(ApiError):
    """The object changed since it was read, or exists already (409)."""


class Expired(ApiError):
    """A resource version or continue token is too old (410)."""


class Unreachable(ApiError):
    """No answer: connection refused or lost, TLS trouble, time-out; or the server keeps answering 5xx or 429."""


class TimedOut(OcpvError):
    """A wait ended before its condition came true; C(details) holds what was learnt so far."""
