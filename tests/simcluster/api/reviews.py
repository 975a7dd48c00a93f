"""Reviews and tokens: requests that are answered and not stored.

Sources: kubernetes ``pkg/registry/authorization``, ``pkg/registry/authentication``,
``pkg/registry/core/serviceaccount/storage/token.go``.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from ..auth import MASTERS, User
from ..clock import rfc3339
from ..schema.resource import Resource
from .context import Call
from .errors import invalid, not_found

Obj = dict[str, Any]
_AUDIENCE = "https://kubernetes.default.svc"
_DEFAULT_TOKEN_SECONDS = 3600
_SHORTEST_TOKEN_SECONDS = 600


def review(call: Call, resource: Resource, obj: Obj) -> Obj:
    """The body with its status filled in."""
    spec = obj.get("spec") or {}
    if resource.plural == "selfsubjectreviews":
        info: Obj = {"username": call.user.name, "groups": list(call.user.groups)}
        if call.user.uid:
            info["uid"] = call.user.uid
        if call.user.extra:
            info["extra"] = {key: list(values) for key, values in call.user.extra.items()}
        status: Obj = {"userInfo": info}
    else:
        user = call.user
        if resource.plural == "subjectaccessreviews":
            user = User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""))
        status = {"allowed": allowed(call, user, spec)}
        if status["allowed"] and MASTERS not in user.groups:
            status["reason"] = "RBAC: allowed"
    meta = dict(obj.get("metadata") or {})
    if resource.plural == "selfsubjectreviews":
        meta["creationTimestamp"] = call.cluster.now()
    return {**obj, "metadata": meta, "status": status}


def allowed(call: Call, user: User, spec: Obj) -> bool:
    """Whether a user may do what the ``spec`` of an access review describes."""
    authorizer = call.cluster.authorizer
    if path := spec.get("nonResourceAttributes"):
        return authorizer.allowed_path(user, path.get("verb", ""), path.get("path", ""))
    wanted = spec.get("resourceAttributes") or {}
    return authorizer.allowed(
        user,
        wanted.get("verb", ""),
        wanted.get("group", ""),
        wanted.get("resource", ""),
        wanted.get("subresource", ""),
        wanted.get("namespace") or None,
        wanted.get("name", ""),
    )


def token(call: Call, resource: Resource, body: Obj) -> Obj:
    """POST serviceaccounts/token: a new token of the account; raises StatusError."""
    cluster, target = call.cluster, call.target
    account = cluster.lookup.get("", "serviceaccounts", target.namespace, target.name)
    if account is None:
        raise not_found(resource, target.name)
    spec = body.get("spec") or {}
    seconds = spec.get("expirationSeconds") or _DEFAULT_TOKEN_SECONDS
    if seconds < _SHORTEST_TOKEN_SECONDS:
        text = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
        named = dataclasses.replace(resource, group="authentication.k8s.io", kind="TokenRequest")
        raise invalid(named, "", "spec.expirationSeconds", text)
    expires = cluster.clock.now() + timedelta(seconds=seconds)
    extra = {}
    bound = spec.get("boundObjectRef") or {}
    if bound.get("kind") == "Pod":
        pod = cluster.lookup.get("", "pods", target.namespace, bound.get("name", "")) or {}
        extra["authentication.kubernetes.io/pod-name"] = (bound.get("name", ""),)
        node = (pod.get("spec") or {}).get("nodeName")
        if node:
            extra["authentication.kubernetes.io/node-name"] = (node,)
    secret = cluster.authenticator.issue(
        target.namespace, target.name, expires, uid=account["metadata"].get("uid", ""), extra=extra
    )
    status = {"token": secret, "expirationTimestamp": rfc3339(expires)}
    meta = {
        "name": target.name,
        "namespace": target.namespace,
        "uid": account["metadata"].get("uid", ""),
        "creationTimestamp": cluster.now(),
    }
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": meta,
        "spec": {
            "audiences": spec.get("audiences") or ["https://kubernetes.default.svc"],
            "expirationSeconds": seconds,
            "boundObjectRef": spec.get("boundObjectRef"),
        },
        "status": status,
    }
