"""Bodies in Kubernetes' protobuf encoding, as far as kubectl sends them: reviews, evictions, and simple objects.

Field numbers are those of ``generated.proto`` in k8s.io/api and k8s.io/apimachinery; the envelope is described in
apimachinery ``pkg/runtime/serializer/protobuf/doc.go``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from ..clock import rfc3339

Obj = dict[str, Any]
CONTENT_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Undecodable(Exception):
    """A body that is broken, or holds what is not understood here."""


Message = dict[int, tuple[str, Any]]
"""Field number → name and form: str, int, bool, bytes, time, map, bytes map, skip, a Message, or a list of one form.

Text and numbers that are empty are left out, as the JSON encoding does; "number" keeps a zero."""

_ENVELOPE: Message = {
    1: ("type", {1: ("apiVersion", "str"), 2: ("kind", "str")}),
    2: ("raw", "raw"),
    3: ("contentEncoding", "skip"),
    4: ("contentType", "skip"),
}
_OWNER: Message = {
    1: ("kind", "str"),
    3: ("name", "str"),
    4: ("uid", "str"),
    5: ("apiVersion", "str"),
    6: ("controller", "bool"),
    7: ("blockOwnerDeletion", "bool"),
}
_META: Message = {
    1: ("name", "str"),
    2: ("generateName", "str"),
    3: ("namespace", "str"),
    4: ("selfLink", "str"),
    5: ("uid", "str"),
    6: ("resourceVersion", "str"),
    7: ("generation", "int"),
    8: ("creationTimestamp", "time"),
    9: ("deletionTimestamp", "time"),
    10: ("deletionGracePeriodSeconds", "int"),
    11: ("labels", "map"),
    12: ("annotations", "map"),
    13: ("ownerReferences", [_OWNER]),
    14: ("finalizers", ["str"]),
    17: ("managedFields", "skip"),
}
_DELETE_OPTIONS: Message = {
    1: ("gracePeriodSeconds", "number"),
    2: ("preconditions", {1: ("uid", "str"), 2: ("resourceVersion", "str")}),
    3: ("orphanDependents", "bool"),
    4: ("propagationPolicy", "str"),
    5: ("dryRun", ["str"]),
}
_ATTRIBUTES: Message = {
    number: (name, "str")
    for number, name in enumerate(("namespace", "verb", "group", "version", "resource", "subresource", "name"), start=1)
}
_PATH_ATTRIBUTES: Message = {1: ("path", "str"), 2: ("verb", "str")}
_RULE: Message = {
    number: (name, ["str"])
    for number, name in enumerate(("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"), start=1)
}
_SUBJECT: Message = {1: ("kind", "str"), 2: ("apiGroup", "str"), 3: ("name", "str"), 4: ("namespace", "str")}
_ROLE_REF: Message = {1: ("apiGroup", "str"), 2: ("kind", "str"), 3: ("name", "str")}
_BOUND: Message = {1: ("kind", "str"), 2: ("apiVersion", "str"), 3: ("name", "str"), 4: ("uid", "str")}
_CONTAINER: Message = {
    1: ("name", "str"),
    2: ("image", "str"),
    3: ("command", ["str"]),
    4: ("args", ["str"]),
    5: ("workingDir", "str"),
    7: ("env", [{1: ("name", "str"), 2: ("value", "str")}]),
    8: ("resources", "skip"),
    13: ("terminationMessagePath", "str"),
    14: ("imagePullPolicy", "str"),
    16: ("stdin", "bool"),
    17: ("stdinOnce", "bool"),
    18: ("tty", "bool"),
    20: ("terminationMessagePolicy", "str"),
}
_POD_SPEC: Message = {
    2: ("containers", [_CONTAINER]),
    3: ("restartPolicy", "str"),
    4: ("terminationGracePeriodSeconds", "number"),
    6: ("dnsPolicy", "str"),
    7: ("nodeSelector", "map"),
    8: ("serviceAccountName", "str"),
    9: ("serviceAccount", "str"),
    10: ("nodeName", "str"),
    11: ("hostNetwork", "bool"),
    12: ("hostPID", "bool"),
    13: ("hostIPC", "bool"),
    14: ("securityContext", "skip"),
    16: ("hostname", "str"),
    17: ("subdomain", "str"),
    19: ("schedulerName", "str"),
    24: ("priorityClassName", "str"),
}


def _object(**fields: Any) -> Message:
    """An object with metadata; ``name_number`` names the others."""
    found: Message = {1: ("metadata", _META)}
    for key, form in fields.items():
        name, _, number = key.rpartition("_")
        found[int(number)] = (name, form)
    return found


_ROLE = _object(rules_2=[_RULE], aggregationRule_3="skip")
_BINDING = _object(subjects_2=[_SUBJECT], roleRef_3=_ROLE_REF)
_KINDS: dict[str, Message] = {
    "v1/Namespace": _object(spec_2={1: ("finalizers", ["str"])}, status_3="skip"),
    "v1/ConfigMap": _object(data_2="map", binaryData_3="bytes map", immutable_4="bool"),
    "v1/Secret": _object(data_2="bytes map", type_3="str", stringData_4="map", immutable_5="bool"),
    "v1/ServiceAccount": _object(),
    "v1/Pod": _object(spec_2=_POD_SPEC, status_3="skip"),
    "policy/v1/Eviction": _object(deleteOptions_2=_DELETE_OPTIONS),
    "authorization.k8s.io/v1/SelfSubjectAccessReview": _object(
        spec_2={1: ("resourceAttributes", _ATTRIBUTES), 2: ("nonResourceAttributes", _PATH_ATTRIBUTES)}, status_3="skip"
    ),
    "authentication.k8s.io/v1/SelfSubjectReview": _object(status_2="skip"),
    "authentication.k8s.io/v1/TokenRequest": _object(
        spec_2={1: ("audiences", ["str"]), 3: ("boundObjectRef", _BOUND), 4: ("expirationSeconds", "int")},
        status_3="skip",
    ),
    **{f"rbac.authorization.k8s.io/v1/{kind}": _ROLE for kind in ("Role", "ClusterRole")},
    **{f"rbac.authorization.k8s.io/v1/{kind}": _BINDING for kind in ("RoleBinding", "ClusterRoleBinding")},
}


def decode(body: bytes) -> Obj:
    """The object of a body; raises Undecodable."""
    if not body.startswith(_MAGIC):
        raise Undecodable("the body does not begin as Kubernetes' protobuf encoding does")
    envelope = _message(_ENVELOPE, body[len(_MAGIC) :])
    meta = envelope.get("type", {})
    api_version, kind = meta.get("apiVersion", ""), meta.get("kind", "")
    known = _KINDS.get(f"{api_version}/{kind}")
    if kind == "DeleteOptions":
        known = _DELETE_OPTIONS
    if known is None:
        raise Undecodable(f"{api_version} {kind} is understood as JSON or YAML only")
    return {"apiVersion": api_version, "kind": kind, **_message(known, envelope.get("raw", b""))}


def _message(form: Message, data: bytes) -> Obj:
    found: Obj = {}
    for number, value in _fields(data):
        name, wanted = form.get(number, (f"field {number}", None))
        if wanted == "skip":
            continue
        if wanted is None:
            raise Undecodable(f"{name} is not understood in protobuf: send JSON")
        if isinstance(wanted, list):
            found.setdefault(name, []).append(_value(wanted[0], value))
        elif wanted in ("map", "bytes map"):
            entry = _message({1: ("key", "str"), 2: ("value", "str" if wanted == "map" else "bytes")}, value)
            found.setdefault(name, {})[entry.get("key", "")] = entry.get("value", "")
        else:
            decoded = _value(wanted, value)
            if decoded not in ("", None, {}) and (decoded or wanted == "number"):
                found[name] = decoded
    return found


def _value(form: Any, value: Any) -> Any:
    if isinstance(form, dict):
        return _message(form, value)
    match form:
        case "str":
            return value.decode()
        case "raw":
            return value
        case "bytes":
            return base64.b64encode(value).decode()
        case "bool":
            return bool(value)
        case "time":
            seconds = dict(_fields(value)).get(1, 0)
            return rfc3339(datetime.fromtimestamp(seconds, UTC)) if seconds else None
    return value


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and raw values: integers, or bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, value
        elif wire == _BYTES:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise Undecodable("the body ends in the middle of a field")
            yield number, data[position : position + length]
            position += length
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        else:
            raise Undecodable(f"wire type {wire} is unknown")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value - (1 << 64) if value >= 1 << 63 else value), position
        shift += 7
    raise Undecodable("the body ends in the middle of a number")
