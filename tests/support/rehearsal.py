"""One plan on one simulated cluster: what is seen of it while it runs, and whether it ended as planned."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from typing import Any

from .running import INSTANCES, MACHINES, OWN_ANNOTATIONS, STATE_NAMESPACE, Scene, kubevirt_path, statuses

Obj = dict[str, Any]


def moves_of(plan: Obj) -> dict[str, Obj]:
    """Return the moves of a plan's document by VM ("namespace/name")."""
    moves = [move for stage in plan["stages"] for wave in stage["waves"] for move in wave["moves"]]
    found = {_move_key(move): move for move in moves}
    assert len(found) == len(moves)
    return found


class Rehearsal:
    """Reads the cluster's API only. Made before the plan is run."""

    def __init__(self, scene: Scene, plan: Obj) -> None:
        self.scene = scene
        self.moves = moves_of(plan)
        self._plan = plan
        self._wishes = self._read_wishes()
        self._selectors = self._read_selectors()
        self._instances = self._read_instances()

    # -- while it runs -----------------------------------------------------------------------------------------------

    @property
    def record(self) -> Obj | None:
        """The record of the run as it is saved in the cluster."""
        states = self.scene.client.items(
            f"/api/v1/namespaces/{STATE_NAMESPACE}/configmaps", labelSelector="ocpv.scale/content=state"
        )
        if not states:
            return None
        assert len(states) == 1
        return dict(json.loads(gzip.decompress(base64.b64decode(states[0]["binaryData"]["record"]))))

    def recorded(self, *wanted: str, stage: str = "") -> list[Obj]:
        """The moves that the record says are in one of these statuses, of all stages or of one."""
        moves = (self.record or {"moves": []})["moves"]
        return [move for move in moves if move["status"] in wanted and stage in ("", move["stage"])]

    def migrations(self, *phases: str) -> list[str]:
        """Names of the migrations of this collection, of all or of those in one of the phases."""
        found = self.scene.migrations("ocpv-")
        return [
            item["metadata"]["name"]
            for item in found
            if not phases or (item.get("status") or {}).get("phase", "Pending") in phases
        ]

    def known(self, migration: str) -> str:
        """Status that the record gives a move, by the name of one of its migrations; empty if it knows of none."""
        moves = (self.record or {"moves": []})["moves"]
        made = {attempt["migration"]: move["status"] for move in moves for attempt in move["attempts"]}
        return str(made.get(migration, ""))

    def noted(self, *keys: str) -> list[str]:
        """VMs that carry the note of a move, of all or of these."""
        vms = [self.scene.vm(key) for key in keys] or self.scene.client.items(kubevirt_path(MACHINES))
        return [_key(vm) for vm in vms if set(OWN_ANNOTATIONS) & set(vm["metadata"].get("annotations") or {})]

    def instance(self, key: str) -> Obj | None:
        answer = self.scene.client.get(kubevirt_path(INSTANCES, key))
        return dict(answer.json()) if answer.status == 200 else None

    def arrived(self, key: str) -> bool:
        """Whether the VM runs on its target."""
        status = (self.instance(key) or {}).get("status") or {}
        return status.get("phase") == "Running" and status.get("nodeName") == self.moves[key]["target"]

    # -- at the end --------------------------------------------------------------------------------------------------

    def check(self, resumed: int) -> None:
        """Fail unless the plan is done, once, and nothing else is."""
        record = self.record
        assert record is not None
        _same((record["status"], record["resumed"]), ("completed", resumed))
        _same(record["counts"] | {"succeeded": 0}, dict.fromkeys(record["counts"], 0))
        _same({_move_key(move): move["reached"] for move in record["moves"]}, self._targets)
        assert all(attempt["result"] for move in record["moves"] for attempt in move["attempts"]), record["moves"]
        self._check_places()
        self._check_migrations()
        self._check_starts()
        _same(self._read_wishes(), self._wishes)
        _same(self._read_selectors(), self._selectors)
        _same(self.scene.holder(), "")

    def check_that_another_run_changes_nothing(self) -> None:
        """Fail if running the plan once more does anything to the cluster."""
        self.scene.cluster.forget_requests()
        again = self.scene.run(self._plan)
        assert not again.get("failed"), again["msg"]
        assert not again["changed"]
        assert set(statuses(again).values()) == {"succeeded"}
        requests = self.scene.cluster.requests()
        assert {request.split()[0] for request in requests} <= {"get", "list", "watch", "GET"}, requests

    def _check_places(self) -> None:
        before = {key: node for key, (node, _uid) in self._instances.items()}
        now = self._read_instances()
        _same({key: node for key, (node, _uid) in now.items()}, before | self._targets)
        renewed = [key for key, (_node, uid) in now.items() if uid != self._instances[key][1]]
        _same(sorted(renewed), self._of_mode("cold"))
        for key in self.moves:
            conditions = {each["type"]: each["status"] for each in self.scene.vmi(key)["status"]["conditions"]}
            _same((key, conditions["Ready"]), (key, "True"))

    def _check_migrations(self) -> None:
        """Each VM that moves live was migrated once, no other was."""
        made = self.scene.migrations()
        moved = sorted(f"{item['metadata']['namespace']}/{item['spec']['vmiName']}" for item in made)
        _same(moved, self._of_mode("live"))
        _same({item["status"]["phase"] for item in made}, {"Succeeded"})

    def _check_starts(self) -> None:
        """Each VM that moves cold was started once, no other was."""
        events = self.scene.client.items("/api/v1/events", fieldSelector="involvedObject.kind=VirtualMachine")
        started = Counter(
            f"{event['involvedObject']['namespace']}/{event['involvedObject']['name']}"
            for event in events
            if event["reason"] == "SuccessfulCreate"
        )
        _same(dict(started), dict.fromkeys(self._of_mode("cold"), 1))

    @property
    def _targets(self) -> dict[str, str]:
        return {key: move["target"] for key, move in self.moves.items()}

    def _of_mode(self, mode: str) -> list[str]:
        return sorted(key for key, move in self.moves.items() if move["mode"] == mode)

    def _read_wishes(self) -> dict[str, Any]:
        """What people decide about their VMs: everything but the status and what the API server keeps count of."""
        return {
            _key(vm): (vm["spec"], vm["metadata"].get("annotations"), vm["metadata"].get("labels"))
            for vm in self.scene.client.items(kubevirt_path(MACHINES))
        }

    def _read_selectors(self) -> dict[str, Any]:
        return {
            _key(vmi): (vmi["spec"].get("nodeSelector"), vmi["spec"].get("affinity"))
            for vmi in self.scene.client.items(kubevirt_path(INSTANCES))
        }

    def _read_instances(self) -> dict[str, tuple[str, str]]:
        return {
            _key(vmi): (vmi["status"].get("nodeName", ""), vmi["metadata"]["uid"])
            for vmi in self.scene.client.items(kubevirt_path(INSTANCES))
        }


def _same(found: object, wanted: object) -> None:
    if isinstance(found, dict) and isinstance(wanted, dict):
        both = {key: (found.get(key), wanted.get(key)) for key in found.keys() | wanted.keys()}
        differ = {key: pair for key, pair in both.items() if pair[0] != pair[1]}
        assert not differ, f"found and wanted: {differ}"
    assert found == wanted, f"found {found}, wanted {wanted}"


def _move_key(move: Obj) -> str:
    return f"{move['namespace']}/{move['name']}"


def _key(item: Obj) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"
