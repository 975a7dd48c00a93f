# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a run, kept in ConfigMaps of the cluster so that any later call, from any machine, goes on.

One ConfigMap, C(ocpv-rebalance-RUN), says how the run stands and holds the record (gzip); the plan, and a record too
large for one object, lie in further ones. The first is always written last, with its resourceVersion, so readers see
either the old or the new state, and of two writers one is refused.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ... import names
from ...cluster.gateway import Gateway, Object
from ...cluster.resources import CONFIG_MAPS
from ...errors import ApiError, Conflict, Forbidden, InvalidInput, NotFound, OcpvError
from ..record import RunRecord, parse_record

PAUSE = "pause"
STOP = "stop"
REQUESTS = (PAUSE, STOP)

_FORMAT = "ocpv.scale/run-state"
_VERSION = "1"
# the API server takes 1 MiB of data in a ConfigMap; etcd's limit of 1.5 MiB is for base64 and all
CHUNK_BYTES = 700 * 1024
_ATTEMPTS = 10
_STATE, _PLAN, _RECORD = "state", "plan", "record"
_RBAC_HINT = (
    "The state of runs is kept there. Apply docs/rbac/rebalance.yaml, which makes the namespace and the rights, or "
    "name another namespace in state_namespace."
)


@dataclass(frozen=True)
class Stored:
    """A run as found in the cluster. C(plan) is the plan's document."""

    record: RunRecord
    plan: Mapping[str, Any]
    request: str


class StateStore:
    """Reads and writes the state of one run. C(writer) identifies this process among writers."""

    def __init__(self, gateway: Gateway, namespace: str, run_id: str, writer: str) -> None:
        self._gateway = gateway
        self._namespace = namespace
        self._run_id = run_id
        self._writer = writer
        self._name = names.state_name(run_id)
        self._version = ""  # resourceVersion of the first ConfigMap, empty while there is none
        self._revision = 0  # of the last write that was tried
        self._stored = 0  # the revision that is known to be in the cluster
        self._set = "a"  # which of two sets of further parts the first ConfigMap points to
        self._doubtful = False  # whether a write may have come through although it was not answered
        self._plan_parts = 1

    @property
    def location(self) -> str:
        """Where the state is, for people."""
        return f"ConfigMap {self._namespace}/{self._name}"

    def use(self, gateway: Gateway) -> None:
        """Go on with another gateway to the same cluster."""
        self._gateway = gateway

    def load(self) -> Optional[Stored]:
        """Return the run's state, None if there is none yet. Raises InvalidInput if it cannot be understood."""
        try:
            state = self._gateway.get(CONFIG_MAPS, self._name, self._namespace)
        except NotFound:
            return None
        except Forbidden as error:
            raise self._not_allowed(error) from error
        data = state.get("data") or {}
        if data.get("format") != _FORMAT or data.get("version") != _VERSION:
            raise InvalidInput(
                self.location, data.get("version"), f"a run state of version {_VERSION} is needed", hint=_RBAC_HINT
            )
        self._version = state["metadata"]["resourceVersion"]
        self._revision = self._stored = int(data.get("revision") or 0)
        self._set = data.get("record_set") or "a"
        try:
            record = parse_record(self._read(state, _RECORD, int(data["record_parts"]), f"{_RECORD}-{self._set}"))
            self._plan_parts = int(data["plan_parts"])
            plan = self._read(None, _PLAN, self._plan_parts, _PLAN)
        except (KeyError, TypeError, ValueError, OSError, EOFError, zlib.error, NotFound) as error:
            raise OcpvError(
                f"The state of run {self._run_id} in {self.location} is damaged: {error}.",
                hint=f"Delete the ConfigMaps with label {names.RUN}={self._run_id} to begin the plan anew.",
            ) from error
        return Stored(record, plan, request_of(state))

    def create(self, plan: Mapping[str, Any], record: RunRecord) -> None:
        """Write the state of a new run: the plan first, then the record."""
        pieces = _pieces(plan)
        for number, piece in enumerate(pieces, start=1):
            self._put_part(_PLAN, f"{_PLAN}-{number}", piece)
        self._plan_parts = len(pieces)
        self._write(record)

    def save(self, record: RunRecord, *, answered: bool = False) -> None:
        """Write the record. C(answered) removes the request to pause or stop that led here.

        Raises Conflict if another process has written meanwhile, Unreachable if the API server did not answer; then
        the record may have been written, which the next call finds out.
        """
        self._write(record, answered=answered)

    def _write(self, record: RunRecord, *, answered: bool = False) -> None:
        pieces = _pieces(record.to_dict())
        self._revision += 1
        problem: Optional[ApiError] = None
        for _attempt in range(_ATTEMPTS):
            if self._doubtful and self._is_written(problem):
                return
            try:
                self._try(record, pieces, answered)
                return
            except NotFound as error:
                raise self._no_namespace(error) from error
            except Forbidden as error:
                raise self._not_allowed(error) from error
            except ApiError as error:
                problem, self._doubtful = error, True
                if not isinstance(error, Conflict) and error.details.get("outcome") != "unknown":
                    raise
        if problem is not None and not isinstance(problem, Conflict):
            raise problem
        raise Conflict(f"{self.location} is being changed all the time by somebody else.", status=409)

    def _try(self, record: RunRecord, pieces: list[bytes], answered: bool) -> None:
        """Write once: further parts beside those that the first ConfigMap points to, then the first one."""
        chosen = self._set
        if len(pieces) > 1:
            chosen = "b" if self._set == "a" else "a"
            for number, piece in enumerate(pieces, start=1):
                self._put_part(_RECORD, f"{_RECORD}-{chosen}-{number}", piece)
        body = self._first(record, pieces, chosen)
        if not self._version:
            written = self._gateway.create(CONFIG_MAPS, body, namespace=self._namespace)
        else:
            body["metadata"]["resourceVersion"] = self._version
            written = self._gateway.merge_patch(
                CONFIG_MAPS, self._name, _as_patch(body, answered), namespace=self._namespace
            )
        self._version, self._set, self._stored = written["metadata"]["resourceVersion"], chosen, self._revision

    def _is_written(self, problem: Optional[ApiError]) -> bool:
        """Look what became of a write that was refused or not answered; True if it is there after all."""
        try:
            state = self._gateway.get(CONFIG_MAPS, self._name, self._namespace)
        except NotFound:
            self._version, self._doubtful = "", False
            return False
        data = state.get("data") or {}
        revision = int(data.get("revision") or 0)
        own = data.get("writer") == self._writer
        if not own and revision != self._stored:
            raise Conflict(
                f"{self.location} was written by another process ({data.get('writer')}).",
                status=409,
                hint="Two processes execute the same plan. This one ends; the other goes on.",
            ) from problem
        # else somebody changed labels, annotations or the request, but not the state
        self._version, self._set = state["metadata"]["resourceVersion"], data.get("record_set") or "a"
        self._stored, self._doubtful = revision, False
        return own and revision == self._revision

    def _first(self, record: RunRecord, pieces: list[bytes], chosen: str) -> Object:
        counts = record.counts()
        body = self._config_map(self._name, _STATE)
        body["data"] = {
            "format": _FORMAT,
            "version": _VERSION,
            "status": record.status,
            "summary": ", ".join(f"{status} {count}" for status, count in counts.items() if count),
            "message": record.message,
            "writer": self._writer,
            "revision": str(self._revision),
            "plan_parts": str(self._plan_parts),
            "record_parts": str(len(pieces)),
            "record_set": chosen,
        }
        body["binaryData"] = {_RECORD: _base64(pieces[0])} if len(pieces) == 1 else {}
        return body

    def _config_map(self, name: str, content: str) -> Object:
        labels = {names.RUN: self._run_id, names.CONTENT: content, "app.kubernetes.io/managed-by": "ocpv.scale"}
        return {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": CONFIG_MAPS.kind,
            "metadata": {"name": name, "namespace": self._namespace, "labels": labels},
        }

    def _put_part(self, content: str, part: str, piece: bytes) -> None:
        """Write a ConfigMap that the first one points to, whether or not it exists."""
        body = self._config_map(names.state_name(self._run_id, part), content)
        body["binaryData"] = {content: _base64(piece)}
        try:
            self._gateway.create(CONFIG_MAPS, body, namespace=self._namespace)
        except Conflict:
            self._gateway.merge_patch(
                CONFIG_MAPS,
                body["metadata"]["name"],
                {"binaryData": body["binaryData"]},
                namespace=self._namespace,
            )
        except NotFound as error:
            raise self._no_namespace(error) from error
        except Forbidden as error:
            raise self._not_allowed(error) from error

    def _read(self, state: Optional[Object], content: str, parts: int, name: str) -> Any:
        if state is not None and parts == 1:
            return _document([state["binaryData"][content]])
        found = []
        for number in range(1, parts + 1):
            part = self._gateway.get(CONFIG_MAPS, names.state_name(self._run_id, f"{name}-{number}"), self._namespace)
            found.append(part["binaryData"][content])
        return _document(found)

    def _no_namespace(self, error: ApiError) -> OcpvError:
        return InvalidInput("state_namespace", self._namespace, "a namespace that exists is needed", hint=_RBAC_HINT)

    def _not_allowed(self, error: ApiError) -> OcpvError:
        return Forbidden(
            f"state_namespace {self._namespace}: {error.message}",
            status=error.status,
            request=error.request,
            hint=_RBAC_HINT,
            details=error.details,
        )


def request_of(state: Object) -> str:
    """Return what people ask of a run on its first ConfigMap (annotation or data.request): pause, stop or nothing."""
    annotation = (state["metadata"].get("annotations") or {}).get(names.REQUEST, "")
    asked = (annotation or (state.get("data") or {}).get("request") or "").strip().lower()
    return asked if asked in REQUESTS else ""


def prune(gateway: Gateway, namespace: str, keep: int, run_id: str) -> list[str]:
    """Delete the state of finished runs but the newest C(keep); never that of run C(run_id). Returns their ids."""
    states = gateway.list(CONFIG_MAPS, namespace=namespace, label_selector=f"{names.CONTENT}={_STATE}").items
    finished = [item for item in states if (item.get("data") or {}).get("status") == "completed"]
    finished.sort(key=lambda item: item["metadata"].get("creationTimestamp", ""), reverse=True)
    old = [item["metadata"]["labels"][names.RUN] for item in finished[keep:]]
    pruned = [name for name in old if name != run_id]
    for name in pruned:
        for item in gateway.list(CONFIG_MAPS, namespace=namespace, label_selector=f"{names.RUN}={name}").items:
            try:
                gateway.delete(CONFIG_MAPS, item["metadata"]["name"], namespace=namespace)
            except NotFound:
                continue
    return pruned


def _pieces(document: Mapping[str, Any]) -> list[bytes]:
    packed = gzip.compress(json.dumps(document, separators=(",", ":")).encode(), mtime=0)
    return [packed[start : start + CHUNK_BYTES] for start in range(0, len(packed), CHUNK_BYTES)]


def _document(pieces: list[str]) -> Any:
    return json.loads(gzip.decompress(b"".join(base64.b64decode(piece) for piece in pieces)))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _as_patch(body: Object, answered: bool) -> Object:
    """The merge patch that replaces data, but leaves what people put on the object (unless it is answered)."""
    patch = {key: body[key] for key in ("data", "binaryData")}
    patch["metadata"] = {"resourceVersion": body["metadata"]["resourceVersion"]}
    if answered:
        patch["metadata"]["annotations"] = {names.REQUEST: None}
        patch["data"] = {**body["data"], "request": None}
    if not patch["binaryData"]:
        patch["binaryData"] = {_RECORD: None}
    return patch
