# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access to the API of one cluster: paged lists, reads, safe writes and watches, as plain dicts.

The only place that knows how the API server behaves: paging and expired continue tokens, dry runs, strict field
validation, watch streams. Repeating what failed is the work of the caller module.
"""

from __future__ import annotations

import json
import time
from copy import copy
from dataclasses import dataclass
from typing import Any, Callable, Generic, Iterator, Mapping, Optional, Sequence, TypeVar, Union

from ..errors import ApiError, Expired, NotFound
from . import api_errors
from .caller import Call, Caller
from .resources import SELF_SUBJECT_ACCESS_REVIEWS, ResourceType
from .transport import AnswerLost, Transport

T = TypeVar("T")
Object = dict[str, Any]
Body = Union[Mapping[str, Any], Sequence[Any]]

FIELD_MANAGER = "ocpv-scale"
PAGE_SIZE = 500
_LIST_RESTARTS = 3


@dataclass(frozen=True)
class Listing(Generic[T]):
    """All items of a list and the resource version to watch from. Items of core kinds carry no kind and apiVersion."""

    items: list[T]
    resource_version: str


class Gateway:
    """The API of one cluster. May be used by several threads.

    C(retry_seconds) bounds how long one call goes on trying while the server is not reachable, throttles or answers
    with a server error (a first contact is given up after 10 s). All methods raise ApiError and its children.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        retry_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._caller = Caller(transport, retry_seconds=retry_seconds, clock=clock, sleep=sleep)

    @property
    def host(self) -> str:
        """URL of the API server."""
        return self._caller.host

    @property
    def server_time(self) -> str:
        """The server's clock at its last answer, RFC 3339 in UTC; empty before the first."""
        return self._caller.server_time

    def with_retry_seconds(self, retry_seconds: float) -> Gateway:
        """Return a gateway to the same cluster that gives up earlier, or later."""
        other = copy(self)
        other._caller = self._caller.with_retry_seconds(retry_seconds)
        return other

    # reading

    def list(
        self,
        resource: ResourceType,
        *,
        namespace: Optional[str] = None,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = PAGE_SIZE,
    ) -> Listing[Object]:
        """Return all objects of a kind, as of one moment, read in pages."""
        return self.list_as(
            resource,
            _unchanged,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            page_size=page_size,
        )

    def list_as(
        self,
        resource: ResourceType,
        convert: Callable[[Object], T],
        *,
        namespace: Optional[str] = None,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = PAGE_SIZE,
    ) -> Listing[T]:
        """Return what C(convert) makes of each object of a kind; raw objects live no longer than their page.

        When the continue token expires in the middle (410) the list is read again from its start, three times at most.
        """
        query = {"limit": str(page_size)}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        what = f"list {resource.full_name}" + (f" in namespace {namespace}" if namespace else "")
        path = resource.path(namespace)
        for attempt in range(_LIST_RESTARTS + 1):
            try:
                return self._read_pages(what, path, query, convert)
            except Expired:
                if attempt == _LIST_RESTARTS:
                    raise
        raise AssertionError("unreachable")

    def _read_pages(self, what: str, path: str, query: Mapping[str, str], convert: Callable[[Object], T]) -> Listing[T]:
        items: list[T] = []
        token = ""
        while True:
            page = self._json(Call(what, "GET", path, {**query, "continue": token} if token else query))
            items.extend(map(convert, page.get("items") or ()))
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                return Listing(items, metadata.get("resourceVersion", ""))

    def get(self, resource: ResourceType, name: str, namespace: Optional[str] = None) -> Object:
        """Return one object. Raises NotFound."""
        return self._json(Call(_what("read", resource, name, namespace), "GET", resource.path(namespace, name)))

    def read_raw(self, path: str) -> Object:
        """Return the JSON document at a path of the API."""
        return self._json(Call(f"read {path}", "GET", path))

    def served_versions(self, group: str) -> tuple[str, ...]:
        """Return the served versions of an API group, the preferred one first; empty if the group is absent."""
        try:
            document = self.read_raw(f"/apis/{group}")
        except NotFound:
            return ()
        preferred = (document.get("preferredVersion") or {}).get("version", "")
        versions = [entry["version"] for entry in document.get("versions") or ()]
        return tuple(sorted(versions, key=lambda version: version != preferred))

    def server_version(self) -> str:
        """Return the version of Kubernetes, such as "v1.31.4"."""
        return str(self.read_raw("/version").get("gitVersion", ""))

    def can_i(
        self,
        verb: str,
        resource: ResourceType,
        namespace: Optional[str] = None,
        *,
        subresource: str = "",
        group: Optional[str] = None,
    ) -> bool:
        """Tell whether this account may do something (a SelfSubjectAccessReview); C(group) overrides the kind's group,
        for subresources.kubevirt.io. Without C(namespace): in all namespaces."""
        attributes = {"verb": verb, "group": resource.group if group is None else group, "resource": resource.plural}
        if subresource:
            attributes["subresource"] = subresource
        if namespace:
            attributes["namespace"] = namespace
        review = {
            "apiVersion": SELF_SUBJECT_ACCESS_REVIEWS.api_version,
            "kind": SELF_SUBJECT_ACCESS_REVIEWS.kind,
            "spec": {"resourceAttributes": attributes},
        }
        path = SELF_SUBJECT_ACCESS_REVIEWS.path()
        answer = self._json(Call(f"ask for the right to {verb} {resource.full_name}", "POST", path, body=_dump(review)))
        return bool((answer.get("status") or {}).get("allowed"))

    def watch(
        self,
        resource: ResourceType,
        *,
        namespace: Optional[str] = None,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str,
        timeout_seconds: int,
    ) -> Iterator[tuple[str, Object]]:
        """Yield (type, object) of each change after C(resource_version); types are ADDED, MODIFIED, DELETED, BOOKMARK.

        Ends quietly when the server ends the stream after C(timeout_seconds). Raises Expired when the version is too
        old (list again) and Unreachable when the connection breaks (watch again from the last version seen).
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(int(timeout_seconds)),
        }
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        what = f"watch {resource.full_name}" + (f" in namespace {namespace}" if namespace else "")
        call = Call(what, "GET", resource.path(namespace), query, stream_seconds=timeout_seconds + 30.0)
        answer = self._caller.call(call)
        try:
            for line in answer.lines():
                event = json.loads(line)
                kind, body = event["type"], event["object"]
                if kind == "ERROR":
                    code = int(body.get("code") or 500)
                    headers = {"Content-Type": "application/json"}
                    raise api_errors.from_answer(what, call.request, code, headers, _dump(body))
                yield kind, body
        except AnswerLost as error:
            raise api_errors.unreachable(what, call.request, error.reason) from error
        except (ValueError, KeyError, TypeError) as error:
            raise api_errors.unreachable(what, call.request, "the stream holds something else than events") from error

    # writing

    def create(
        self, resource: ResourceType, body: Mapping[str, Any], *, namespace: Optional[str] = None, dry_run: bool = False
    ) -> Object:
        """Create an object and return it as stored. Raises Conflict if it exists."""
        name = (body.get("metadata") or {}).get("name", "")
        return self._write("create", "POST", resource, name, namespace, body, resource.path(namespace), dry_run)

    def merge_patch(
        self,
        resource: ResourceType,
        name: str,
        body: Mapping[str, Any],
        *,
        namespace: Optional[str] = None,
        dry_run: bool = False,
        subresource: str = "",
    ) -> Object:
        """Merge C(body) into an object (RFC 7386: null removes) and return it."""
        path = resource.path(namespace, name, subresource)
        kind = "application/merge-patch+json"
        return self._write("change", "PATCH", resource, name, namespace, body, path, dry_run, kind)

    def json_patch(
        self,
        resource: ResourceType,
        name: str,
        operations: Sequence[Any],
        *,
        namespace: Optional[str] = None,
        dry_run: bool = False,
        subresource: str = "",
    ) -> Object:
        """Apply JSON patch operations (RFC 6902) to an object and return it. A failed C(test) is an ApiError (422)."""
        path = resource.path(namespace, name, subresource)
        kind = "application/json-patch+json"
        return self._write("change", "PATCH", resource, name, namespace, operations, path, dry_run, kind)

    def replace(
        self,
        resource: ResourceType,
        name: str,
        body: Mapping[str, Any],
        *,
        namespace: Optional[str] = None,
        dry_run: bool = False,
    ) -> Object:
        """Replace an object and return it. Raises Conflict if C(body)'s resourceVersion is not the current one."""
        return self._write("replace", "PUT", resource, name, namespace, body, resource.path(namespace, name), dry_run)

    def delete(
        self,
        resource: ResourceType,
        name: str,
        *,
        namespace: Optional[str] = None,
        uid: Optional[str] = None,
        resource_version: Optional[str] = None,
        dry_run: bool = False,
    ) -> Object:
        """Delete an object, if its UID and version are those given; return the object or a Status.

        Raises NotFound, and Conflict if it is not the object that was meant.
        """
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        given = {key: value for key, value in preconditions.items() if value}
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if given:
            body["preconditions"] = given
        if dry_run:
            body["dryRun"] = ["All"]
        what = _what("delete", resource, name, namespace)
        path = resource.path(namespace, name)
        return self._json(Call(what, "DELETE", path, body=_dump(body), repeatable=dry_run))

    def put_subresource(
        self,
        group_version: str,
        namespace: str,
        plural: str,
        name: str,
        verb: str,
        body: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Ask for an action on an object: PUT .../C(plural)/C(name)/C(verb), such as virtualmachines/web-1/stop."""
        what = f"{verb} {plural} {namespace}/{name}"
        path = f"/apis/{group_version}/namespaces/{namespace}/{plural}/{name}/{verb}"
        self._caller.call(Call(what, "PUT", path, body=_dump(body or {}), repeatable=False))

    def _write(
        self,
        verb: str,
        method: str,
        resource: ResourceType,
        name: str,
        namespace: Optional[str],
        body: Body,
        path: str,
        dry_run: bool,
        content_type: str = "application/json",
    ) -> Object:
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        what = _what(verb, resource, name, namespace)
        return self._json(Call(what, method, path, query, _dump(body), content_type, repeatable=dry_run))

    def _json(self, call: Call) -> Object:
        answer = self._caller.call(call)
        try:
            document = json.loads(answer.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            kind = answer.headers.get("Content-Type") or "no content type"
            raise ApiError(
                f"Could not {call.what}: the answer is not a JSON object ({kind}).",
                status=answer.status,
                request=call.request,
                hint=api_errors.HOST_HINT,
            )
        return document


def _unchanged(item: Object) -> Object:
    return item


def _dump(body: Any) -> bytes:
    return json.dumps(body).encode()


def _what(verb: str, resource: ResourceType, name: str, namespace: Optional[str]) -> str:
    place = f"{namespace}/{name}" if namespace and name else name or (f"in namespace {namespace}" if namespace else "")
    return f"{verb} {resource.full_name} {place}".strip()
