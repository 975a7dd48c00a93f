"""GET of objects and collections: pages, continue tokens, consistency with the first page.

Source: k8s.io/apiserver ``pkg/storage/continue.go``, ``pkg/storage/etcd3/store.go`` (GetList),
apimachinery ``pkg/apis/meta/internalversion/validation``.
"""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from ..schema.resource import Resource
from ..store import Compacted, Entry
from .context import Call, type_meta
from .errors import StatusError, bad_request, expired_continue, expired_list, version_too_large
from .selection import Selection, parse_selection


@dataclass(frozen=True)
class Page:
    """Objects of a page, and the list's metadata; ``remaining`` is None where the API leaves it out."""

    entries: list[Entry]
    version: int
    token: str
    remaining: int | None


def encode_token(version: int, key: str) -> str:
    """A continue token: go on behind ``key`` at ``version`` (-1: at whatever is the present one)."""
    return base64.urlsafe_b64encode(orjson.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": key})).decode()


def decode_token(token: str) -> tuple[int, str]:
    """The version and key of a token; raises StatusError (400)."""
    try:
        content = orjson.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        if content["v"] != "meta.k8s.io/v1":
            raise ValueError
        return int(content["rv"]), str(content["start"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise bad_request("invalid continue token: continue key is not valid") from error


def page(call: Call, resource: Resource) -> Page:
    """The page that a request asks for; raises StatusError."""
    store, query = call.cluster.store, call.query
    selection = parse_selection(query, store.table(resource))
    limit = _number(query.get("limit", ""), "limit")
    version, start, exact = _position(call, resource)
    found = _select(call, resource, selection, at=version if exact else 0, after=start)
    current = version if exact else store.version
    if limit <= 0 or (query.get("resourceVersion") == "0" and not start):
        return Page(list(found), current, "", None)
    entries = list(itertools.islice(found, limit))
    further = next(found, None)
    if further is None:
        return Page(entries, current, "", None)
    remaining = 1 + sum(1 for _ in found) if selection.everything else None
    return Page(entries, current, encode_token(current, entries[-1].key), remaining)


def listing(call: Call, resource: Resource, version: str) -> bytes:
    """The serialised list of a request; items of built-in kinds carry no type."""
    found = page(call, resource)
    api_version = resource.api_version(version)
    items: Iterator[bytes] = (call.cluster.data(resource, entry, version) for entry in found.entries)
    if resource.builtin:
        cut = len(type_meta(resource, version))
        items = (b"{" + data[cut:] for data in items)
    head = orjson.dumps(
        {"kind": f"{resource.kind}List", "apiVersion": api_version, "metadata": metadata(found, resource)}
    )
    return b"".join((head[:-1], b',"items":[', b",".join(items), b"]}"))


def metadata(found: Page, resource: Resource) -> dict[str, object]:
    """``metadata`` of a list; custom resources always carry ``continue``."""
    meta: dict[str, object] = {"resourceVersion": str(found.version)}
    if found.token or not resource.builtin:
        meta["continue"] = found.token
    if found.remaining is not None:
        meta["remainingItemCount"] = found.remaining
    return meta


def _position(call: Call, resource: Resource) -> tuple[int, str, bool]:
    """The version to list, the key to start behind, and whether exactly that version is meant."""
    query, store = call.query, call.cluster.store
    asked, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if token := query.get("continue", ""):
        if asked not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        version, start = decode_token(token)
        if version < 0:
            return store.version, start, False
        if version < store.table(resource).floor:
            raise expired_continue(encode_token(-1, start))
        return version, start, True
    if match and not asked:
        raise _invalid_match("Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match not in ("", "Exact", "NotOlderThan"):
        raise _invalid_match(f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""')
    if match == "Exact" and asked == "0":
        raise _invalid_match('Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    if not asked or asked == "0":
        return store.version, "", False
    version = parse_version(asked)
    if version > store.version:
        raise version_too_large(version, store.version)
    exact = match == "Exact" or (not match and _number(query.get("limit", ""), "limit") > 0)
    if exact and version < store.table(resource).floor:
        raise expired_list()
    return version, "", exact


def _invalid_match(body: str) -> StatusError:
    text = f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: {body}'
    return StatusError(422, "Invalid", text, {"group": "meta.k8s.io", "kind": "ListOptions"})


def parse_version(text: str) -> int:
    """A resourceVersion; raises StatusError (400)."""
    if not text.isdecimal():
        raise bad_request(f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def _number(text: str, name: str) -> int:
    if not text:
        return 0
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(
            f'converting ({name}) "{text}" to int64: strconv.ParseInt: parsing "{text}": invalid syntax'
        ) from error


def _select(call: Call, resource: Resource, selection: Selection, *, at: int, after: str) -> Iterator[Entry]:
    store, namespace = call.cluster.store, call.target.namespace if resource.namespaced else ""
    try:
        entries = store.entries(resource, namespace, at=at, after=after)
    except Compacted as error:
        raise expired_list() from error
    return entries if selection.everything else (entry for entry in entries if selection.matches(entry))
