"""GET of objects and collections: pages, continue tokens, consistency with the first page.

Source: k8s.io/apiserver ``pkg/storage/continue.go``, ``pkg/storage/etcd3/store.go`` (GetList),
apimachinery ``pkg/apis/meta/internalversion/validation``.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from ..go_json import Undecodable, loads, raw_base64
from ..schema.errors import go_quote
from ..schema.resource import Resource
from ..store import Compacted, Entry
from .context import Call, type_meta
from .errors import StatusError, bad_request, expired_continue, expired_list, invalid_options, version_too_large
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
    content = orjson.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": key})
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode_token(token: str) -> tuple[int, str]:
    """The version and key of a token; raises StatusError (400)."""
    try:
        content = loads(raw_base64(token))
    except Undecodable as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    try:
        if content["v"] != "meta.k8s.io/v1":
            raise ValueError
        return int(content["rv"]), str(content["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request("invalid continue token: continue key is not valid") from error


def page(call: Call, resource: Resource) -> Page:
    """The page that a request asks for; raises StatusError."""
    store, query = call.cluster.store, call.query
    limit = number(query.get("limit", ""))
    number(query.get("timeoutSeconds", ""))
    selection = parse_selection(query, store.table(resource))
    check_options(query)
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


def metadata(found: Page, resource: Resource | None = None) -> dict[str, object]:
    """``metadata`` of a list; whole custom resources always come with ``continue``."""
    meta: dict[str, object] = {"resourceVersion": str(found.version)}
    if found.token or not (resource is None or resource.builtin):
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
    if not asked or asked == "0":
        return store.version, "", False
    version = parse_version(asked)
    if version > store.version:
        raise version_too_large(version, store.version)
    exact = match == "Exact" or (not match and number(query.get("limit", "")) > 0)
    if exact and version < store.table(resource).floor:
        raise expired_list()
    return version, "", exact


def check_options(query: Mapping[str, str], *, watch: bool = False) -> None:
    """Raises StatusError (422) for parameters that do not go together."""
    match, asked = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    initial, continued = "sendInitialEvents" in query, bool(query.get("continue"))
    forbidden, field = "FieldValueForbidden", "resourceVersionMatch"
    problems = []
    if watch:
        if initial and match != "NotOlderThan":
            text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            problems.append((field, forbidden, text))
        if match and not initial:
            text = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            problems.append((field, forbidden, text))
    elif match and not asked:
        text = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        problems.append((field, forbidden, text))
    if match and continued and not watch:
        problems.append((field, forbidden, "Forbidden: resourceVersionMatch is forbidden when continue is provided"))
    supported = ("NotOlderThan",) if watch else ("Exact", "NotOlderThan", "")
    if match and match not in supported:
        listed = ", ".join(map(go_quote, supported))
        text = f"Unsupported value: {go_quote(match)}: supported values: {listed}"
        problems.append((field, "FieldValueNotSupported", text))
    if match and continued and watch:
        problems.append((field, forbidden, "Forbidden: resourceVersionMatch is forbidden when continue is provided"))
    if not watch and match == "Exact" and asked == "0":
        text = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        problems.append((field, forbidden, text))
    if not watch and initial:
        problems.append(("sendInitialEvents", forbidden, "Forbidden: sendInitialEvents is forbidden for list"))
    if problems:
        raise invalid_options("ListOptions", problems)


def parse_version(text: str) -> int:
    """A resourceVersion; raises StatusError (400)."""
    if not text.isdecimal():
        raise bad_request(f"invalid resource version: {_not_a_version(text)}")
    return int(text)


def check_read_version(call: Call) -> int:
    """The resourceVersion that a GET or a watch asks for, 0 without one; raises StatusError (500, 504)."""
    text = call.query.get("resourceVersion", "")
    if text and not text.isdecimal():
        raise StatusError(500, "", _not_a_version(text))
    version = int(text or 0)
    if version > call.cluster.store.version and call.target.name:
        raise version_too_large(version, call.cluster.store.version)
    return version


def _not_a_version(text: str) -> str:
    shown = go_quote(text)
    return f"resourceVersion: Invalid value: {shown}: strconv.ParseUint: parsing {shown}: invalid syntax"


def number(text: str) -> int:
    """A number of a parameter, 0 if it is empty; raises StatusError (400)."""
    if not text:
        return 0
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(f"strconv.ParseInt: parsing {go_quote(text)}: invalid syntax") from error


def _select(call: Call, resource: Resource, selection: Selection, *, at: int, after: str) -> Iterator[Entry]:
    store, namespace = call.cluster.store, call.target.namespace if resource.namespaced else ""
    try:
        entries = store.entries(resource, namespace, at=at, after=after)
    except Compacted as error:
        raise expired_list() from error
    return entries if selection.everything else (entry for entry in entries if selection.matches(entry))
