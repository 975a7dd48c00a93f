"""Questions of an API server and their answers: admission, conversion and token reviews, as pure functions.

Sources: k8s.io/api ``admission/v1/types.go``, ``authentication/v1/types.go``; apiextensions-apiserver
``pkg/apis/apiextensions/v1/types.go`` (ConversionReview).
"""

from __future__ import annotations

import base64
import copy
from datetime import datetime
from typing import Any

import orjson

from .. import admission
from ..auth import Authenticator, User
from ..conversion import convert_hyperconverged

Obj = dict[str, Any]
_REVIEW = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}


def admit(webhook: admission.Webhook, review: Obj, lookup: admission.Lookup, *, mutating: bool) -> Obj:
    """The AdmissionReview that answers another."""
    asked = review["request"]
    request = admission_request(asked)
    before = copy.deepcopy(request.object)
    try:
        warnings = webhook.call(request, lookup) or []
    except admission.Denied as denied:
        return refusal(asked, denied.code, admission.own_words(denied.message), denied.reason, _details(denied))
    response: Obj = {"uid": asked["uid"], "allowed": True, "warnings": warnings}
    if mutating and request.object is not None and request.object != before:
        operations = [
            {"op": "add", "path": f"/{key}", "value": value}
            for key, value in request.object.items()
            if value != (before or {}).get(key)
        ]
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(operations)).decode()}
    return _answer(response)


def admission_request(asked: Obj) -> admission.Request:
    """The request that a review is about."""
    return admission.Request(
        asked["operation"],
        asked["resource"]["group"],
        asked["resource"]["version"],
        asked["resource"]["resource"],
        asked.get("namespace", ""),
        asked.get("name", ""),
        asked.get("object"),
        asked.get("oldObject"),
        user=user(asked["userInfo"]),
        subresource=asked.get("subResource", ""),
        dry_run=bool(asked.get("dryRun")),
    )


def user(info: Obj) -> User:
    """The caller as a review names it."""
    return User(info.get("username", ""), tuple(info.get("groups") or ()), info.get("uid", ""))


def allowed(asked: Obj) -> Obj:
    """An AdmissionReview that lets a request pass."""
    return _answer({"uid": asked["uid"], "allowed": True})


def refusal(asked: Obj, code: int, text: str, reason: str | None = None, details: Obj | None = None) -> Obj:
    """An AdmissionReview that refuses; the API server puts the webhook's name before the text."""
    status: Obj = {"code": code, "message": text}
    if reason:
        status["reason"] = reason
    if details:
        status["details"] = details
    return _answer({"uid": asked["uid"], "allowed": False, "status": status})


def convert(review: Obj) -> Obj:
    """The ConversionReview with all objects in the version that is asked for."""
    asked = review["request"]
    version = asked["desiredAPIVersion"].rpartition("/")[2]
    converted = [convert_hyperconverged(each, version) for each in asked["objects"]]
    response = {"uid": asked["uid"], "result": {"status": "Success"}, "convertedObjects": converted}
    return {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}


def authenticate(review: Obj, authenticator: Authenticator, now: datetime) -> Obj:
    """The TokenReview that says whose a token is."""
    known = authenticator.user_for(review["spec"].get("token", ""), now)
    status: Obj = {"authenticated": known is not None}
    if known is not None:
        status["user"] = {"username": known.name, "uid": known.uid, "groups": list(known.groups)}
    return {"apiVersion": review["apiVersion"], "kind": "TokenReview", "status": status}


def _details(denied: admission.Denied) -> Obj:
    return {**denied.details, **({"causes": denied.causes} if denied.causes else {})}


def _answer(response: Obj) -> Obj:

    return {**_REVIEW, "response": response}
