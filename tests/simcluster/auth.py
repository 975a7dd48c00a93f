"""Who a request comes from and what it may do.

Tokens are opaque strings. Rights are read from the RBAC objects in the store at every request, as the real authorizer
does from its caches. Sources: kubernetes ``plugin/pkg/auth/authorizer/rbac/rbac.go`` (visiting bindings),
``pkg/apis/rbac/v1/evaluation_helpers.go`` (how rules match), ``pkg/controller/clusterroleaggregation``.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .admission.types import Lookup

RBAC_GROUP: Final = "rbac.authorization.k8s.io"
MASTERS: Final = "system:masters"
AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"
ACCOUNT_PREFIX: Final = "system:serviceaccount:"


@dataclass(frozen=True)
class User:
    """Who a request comes from; ``extra`` holds what a bound token adds (``authentication.kubernetes.io/…``)."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ANONYMOUS: Final = User("system:anonymous", (UNAUTHENTICATED,))
"""The user of a request without credentials."""


class Authenticator:
    """Knows the tokens."""

    def __init__(self) -> None:
        self._tokens: dict[str, tuple[User, datetime | None]] = {}

    def add(
        self,
        token: str,
        user: str,
        groups: tuple[str, ...] | list[str] = (),
        expires: datetime | None = None,
        *,
        uid: str = "",
        extra: Mapping[str, tuple[str, ...]] | None = None,
    ) -> User:
        """Accepts a token until ``expires`` (None: for ever); its user is also in ``system:authenticated``."""
        everyone = dict.fromkeys([*groups, AUTHENTICATED])
        known = User(user, tuple(everyone), uid, extra or {})
        self._tokens[token] = (known, expires)
        return known

    def issue(
        self,
        namespace: str,
        account: str,
        expires: datetime | None = None,
        *,
        uid: str = "",
        extra: Mapping[str, tuple[str, ...]] | None = None,
    ) -> str:
        """A new token of a service account, as ``serviceaccounts/token`` gives out."""
        token = secrets.token_urlsafe(32)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        self.add(token, f"{ACCOUNT_PREFIX}{namespace}:{account}", groups, expires, uid=uid, extra=extra)
        return token

    def revoke(self, token: str) -> None:
        """Accepts the token no longer; unknown ones are ignored."""
        self._tokens.pop(token, None)

    def user_for(self, token: str, now: datetime) -> User | None:
        """The user of a token, None when it is unknown or has expired."""
        user, expires = self._tokens.get(token, (None, None))
        return None if expires is not None and now >= expires else user


class Authorizer:
    """Evaluates RBAC."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def allowed(
        self,
        user: User,
        verb: str,
        group: str,
        resource: str,
        subresource: str = "",
        namespace: str | None = None,
        name: str = "",
    ) -> bool:
        """Whether a user may do something to a resource; no namespace means cluster scope or all namespaces."""
        if MASTERS in user.groups:
            return True
        return any(
            _rule_allows(rule, verb, group, resource, subresource, name) for rule in self.rules(user, namespace or "")
        )

    def allowed_path(self, user: User, verb: str, path: str) -> bool:
        """Whether a user may use a URL that is no resource; ``verb`` is the lower-case HTTP method."""
        if MASTERS in user.groups:
            return True
        return any(_rule_allows_path(rule, verb, path) for rule in self.rules(user, ""))

    def rules(self, user: User, namespace: str) -> Iterator[dict[str, Any]]:
        """All rules that hold for a user, cluster-wide ones first, then those of the namespace if one is given."""
        for binding in self._lookup.list(RBAC_GROUP, "clusterrolebindings"):
            if _binds(binding, user, ""):
                yield from self._cluster_role(binding["roleRef"]["name"])
        if not namespace:
            return
        for binding in self._lookup.list(RBAC_GROUP, "rolebindings", namespace):
            if _binds(binding, user, namespace):
                reference = binding["roleRef"]
                if reference["kind"] == "ClusterRole":
                    yield from self._cluster_role(reference["name"])
                else:
                    role = self._lookup.get(RBAC_GROUP, "roles", namespace, reference["name"])
                    yield from (role or {}).get("rules") or ()

    def _cluster_role(self, name: str) -> Iterator[dict[str, Any]]:
        seen: set[str] = set()
        waiting = [self._lookup.get(RBAC_GROUP, "clusterroles", "", name)]
        while waiting:
            role = waiting.pop()
            if role is None or role["metadata"]["name"] in seen:
                continue
            seen.add(role["metadata"]["name"])
            yield from role.get("rules") or ()
            selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
            for selector in selectors:
                waiting += self._lookup.list(RBAC_GROUP, "clusterroles", None, selector.get("matchLabels") or {})


def _binds(binding: dict[str, Any], user: User, namespace: str) -> bool:
    return any(_is_subject(subject, user, namespace) for subject in binding.get("subjects") or ())


def _is_subject(subject: dict[str, Any], user: User, namespace: str) -> bool:
    kind, name = subject["kind"], subject["name"]
    if kind == "User":
        return bool(user.name == name)
    if kind == "Group":
        return name in user.groups
    account_namespace = subject.get("namespace") or namespace
    return kind == "ServiceAccount" and user.name == f"{ACCOUNT_PREFIX}{account_namespace}:{name}"


def _rule_allows(rule: dict[str, Any], verb: str, group: str, resource: str, subresource: str, name: str) -> bool:
    wanted = f"{resource}/{subresource}" if subresource else resource
    resources = rule.get("resources") or ()
    names = rule.get("resourceNames")
    return (
        _any_of(rule.get("verbs"), verb)
        and _any_of(rule.get("apiGroups"), group)
        and (_any_of(resources, wanted) or (bool(subresource) and f"*/{subresource}" in resources))
        and (not names or name in names)
    )


def _rule_allows_path(rule: dict[str, Any], verb: str, path: str) -> bool:
    return _any_of(rule.get("verbs"), verb) and any(
        pattern == path or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))
        for pattern in rule.get("nonResourceURLs") or ()
    )


def _any_of(values: Sequence[str] | None, wanted: str) -> bool:
    return values is not None and ("*" in values or wanted in values)
