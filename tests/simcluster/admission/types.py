"""What admission is asked, whom it may ask, and how it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..auth import ACCOUNT_PREFIX, ANONYMOUS, User

Obj = dict[str, Any]
Cause = dict[str, str]


class Lookup(Protocol):
    """Reads of the store."""

    def get(self, group: str, plural: str, namespace: str, name: str) -> Obj | None:
        """The object, or None."""

    def list(
        self, group: str, plural: str, namespace: str | None = None, labels: dict[str, str] | None = None
    ) -> list[Obj]:
        """All objects of a kind, in one namespace or in all, with these labels."""


@dataclass
class Request:
    """One write on its way to the store. C(operation) is CREATE, UPDATE or DELETE; C(user) the caller."""

    operation: str
    group: str
    version: str
    resource: str
    namespace: str
    name: str
    object: Obj | None
    old_object: Obj | None = None
    user: User = ANONYMOUS
    subresource: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Webhook:
    """One entry of a webhook configuration. C(call) changes the object, or returns texts for Warning headers."""

    name: str
    group: str
    resource: str
    operations: tuple[str, ...]
    call: Callable[[Request, Lookup], list[str] | None]


@dataclass
class Denied(Exception):
    """A webhook's refusal: what the API server answers. C(details) beside the causes is rare."""

    code: int
    message: str
    reason: str | None = None
    causes: list[Cause] = field(default_factory=list)
    details: Obj = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message


def refused(webhook: str, text: str, code: int = 400, reason: str | None = None, details: Obj | None = None) -> Denied:
    """A refusal without causes, as KubeVirt's ToAdmissionResponseError makes it (pkg/util/webhooks/webhooks.go)."""
    return Denied(code, _prefix(webhook, text), reason, details=details or {})


def invalid(webhook: str, *causes: Cause) -> Denied:
    """422 with causes, as KubeVirt's ToAdmissionResponse makes it (pkg/util/webhooks/webhooks.go)."""
    return Denied(422, _prefix(webhook, ", ".join(cause["message"] for cause in causes)), "Invalid", list(causes))


def cause(message: str, field_path: str = "", reason: str = "FieldValueInvalid") -> Cause:
    """One entry of C(details.causes); without a path the field is absent."""
    entry = {"reason": reason, "message": message}
    if field_path:
        entry["field"] = field_path
    return entry


def _prefix(webhook: str, text: str) -> str:
    return f'admission webhook "{webhook}"{_DENIED}{text}'


def own_words(message: str) -> str:
    """The text of a webhook, without what the API server puts before it."""
    return message.partition(_DENIED)[2] or message


_DENIED = " denied the request: "


def is_kubevirt(user: User, *components: str) -> bool:
    """Whether the caller is one of KubeVirt's own service accounts (of C(components), or any)."""
    if not user.name.startswith(ACCOUNT_PREFIX):
        return False
    account = user.name.rpartition(":")[2]
    return account in {f"kubevirt-{name}" for name in components or ("apiserver", "controller", "handler", "operator")}
