"""Verbs on machines, binding and eviction: what they answer and what they have written."""

from __future__ import annotations

from typing import Any

import pytest
from simcluster.actions import Outcome, SubresourceRequest, Write
from simcluster.subresources import handle

Obj = dict[str, Any]
NOW = "2026-01-01T00:00:00Z"


class Objects:
    """A store of literals, by plural."""

    def __init__(self, **objects: list[Obj]) -> None:
        self._objects = objects

    def get(self, group: str, plural: str, namespace: str, name: str) -> Obj | None:
        return next((obj for obj in self.list(group, plural, namespace) if obj["metadata"]["name"] == name), None)

    def list(
        self, group: str, plural: str, namespace: str | None = None, labels: dict[str, str] | None = None
    ) -> list[Obj]:
        return [
            obj
            for obj in self._objects.get(plural, [])
            if (labels or {}).items() <= (obj["metadata"].get("labels") or {}).items()
        ]


def machine(strategy: str = "Always", **status: Any) -> Obj:
    return {"metadata": {"name": "vm", "namespace": "ns"}, "spec": {"runStrategy": strategy}, "status": status}


def instance(phase: str = "Running", *, migratable: bool = True, strategy: str | None = "LiveMigrate") -> Obj:
    return {
        "metadata": {"name": "vm", "namespace": "ns", "uid": "u1"},
        "spec": {"evictionStrategy": strategy} if strategy else {},
        "status": {
            "phase": phase,
            "nodeName": "n1",
            "conditions": [{"type": "LiveMigratable", "status": str(migratable)}],
        },
    }


def call(verb: str, body: Obj | None = None, resource: str = "virtualmachines", **objects: list[Obj]) -> Outcome:
    name = "launcher" if resource == "pods" else "vm"
    request = SubresourceRequest("PUT", "subresources.kubevirt.io", "v1", resource, verb, "ns", name, body, now=NOW)
    return handle(request, Objects(**objects))


def patch(spec_or_status: Obj, subresource: str = "") -> list[Write]:
    body = {"status": spec_or_status} if subresource else {"spec": spec_or_status}
    return [Write("merge-patch", "kubevirt.io", "virtualmachines", "ns", "vm", body, subresource)]


STOP = {"action": "Stop", "uid": "u1"}
START = {"action": "Start"}


class TestRunVerbs:
    @pytest.mark.parametrize(
        ("verb", "strategy", "running", "writes"),
        [
            ("start", "Halted", False, patch({"runStrategy": "Always"})),
            ("start", "Manual", False, patch({"stateChangeRequests": [START]}, "status")),
            ("start", "RerunOnFailure", False, patch({"stateChangeRequests": [START]}, "status")),
            ("stop", "Always", True, patch({"runStrategy": "Halted"})),
            ("stop", "Once", True, patch({"runStrategy": "Halted"})),
            ("stop", "Manual", True, patch({"stateChangeRequests": [STOP]}, "status")),
            ("restart", "Always", True, patch({"stateChangeRequests": [STOP, START]}, "status")),
            ("restart", "Manual", True, patch({"stateChangeRequests": [STOP, START]}, "status")),
        ],
    )
    def test_are_accepted(self, verb: str, strategy: str, running: bool, writes: list[Write]) -> None:
        outcome = call(
            verb, virtualmachines=[machine(strategy)], virtualmachineinstances=[instance()] if running else []
        )
        assert (outcome.code, outcome.body, outcome.writes) == (202, None, writes)

    @pytest.mark.parametrize(
        ("verb", "strategy", "running", "problem"),
        [
            ("start", "Always", True, "VM is already running"),
            ("start", "Always", False, "Always does not support manual start requests"),
            ("stop", "Halted", False, "VM is not running"),
            ("stop", "Manual", False, "VM is not running"),
            ("stop", "Halted", True, "Halted only supports manual stop requests with a shorter graceperiod"),
            ("restart", "Halted", True, "RunStategy Halted does not support manual restart requests"),
            ("restart", "Once", True, "RunStategy Once does not support manual restart requests"),
            ("restart", "Always", False, "VM is not running: Always"),
            ("migrate", "Always", "Scheduling", "VM is not running"),
        ],
    )
    def test_conflict(self, verb: str, strategy: str, running: bool | str, problem: str) -> None:
        phase = running if isinstance(running, str) else "Running"
        outcome = call(
            verb, virtualmachines=[machine(strategy)], virtualmachineinstances=[instance(phase)] if running else []
        )
        assert outcome.body is not None
        assert (outcome.code, outcome.body["reason"], outcome.writes) == (409, "Conflict", [])
        assert outcome.body["message"] == f'Operation cannot be fulfilled on virtualmachine.kubevirt.io "vm": {problem}'

    def test_running_is_written_where_running_was(self) -> None:
        old = machine()
        old["spec"] = {"running": True}
        assert call("stop", virtualmachines=[old]).writes == patch({"running": False})

    def test_restart_with_grace_is_refused(self) -> None:
        outcome = call(
            "restart",
            {"gracePeriodSeconds": 5},
            virtualmachines=[machine()],
            virtualmachineinstances=[instance()],
        )
        assert outcome.code == 400

    def test_dry_run_writes_nothing(self) -> None:
        outcome = call("stop", {"dryRun": ["All"]}, virtualmachines=[machine()], virtualmachineinstances=[instance()])
        assert (outcome.code, outcome.writes) == (202, [])


class TestMigrate:
    def test_makes_a_migration(self) -> None:
        outcome = call(
            "migrate",
            {"addedNodeSelector": {"a": "b"}},
            virtualmachines=[machine()],
            virtualmachineinstances=[instance()],
        )
        assert (outcome.code, outcome.body) == (202, None)
        (write,) = outcome.writes
        assert (write.verb, write.plural) == ("create", "virtualmachineinstancemigrations")
        assert write.body["spec"] == {"vmiName": "vm", "addedNodeSelector": {"a": "b"}}
        assert write.body["metadata"]["generateName"] == "kubevirt-migrate-vm-"

    def test_refusal_of_the_webhook_is_an_internal_error(self) -> None:
        outcome = call("migrate", virtualmachines=[machine()], virtualmachineinstances=[instance(migratable=False)])
        assert outcome.body is not None
        assert (outcome.code, outcome.body["reason"]) == (500, "InternalError")
        assert outcome.body["message"].startswith("Internal error occurred: admission webhook ")

    def test_absent_machine_and_stopped_machine(self) -> None:
        absent, stopped = call("migrate"), call("migrate", virtualmachines=[machine()])
        assert absent.body is not None and stopped.body is not None
        assert absent.body["message"] == 'virtualmachine.kubevirt.io "vm" not found'
        assert stopped.body["message"] == 'virtualmachineinstance.kubevirt.io "vm" not found'


def launcher(**labels: str) -> Obj:
    return {
        "metadata": {
            "name": "launcher",
            "namespace": "ns",
            "labels": {"kubevirt.io": "virt-launcher", **labels},
            "annotations": {"kubevirt.io/domain": "vm"},
        },
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running"},
    }


class TestEvictionOfLaunchers:
    def evict(self, of: Obj, body: Obj | None = None, pod: Obj | None = None) -> Outcome:
        return call("eviction", body, "pods", pods=[pod or launcher()], virtualmachineinstances=[of])

    @pytest.mark.parametrize("strategy", ["LiveMigrate", "LiveMigrateIfPossible", "External"])
    def test_marks_the_instance(self, strategy: str) -> None:
        outcome = self.evict(instance(strategy=strategy))
        assert outcome.body == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'admission webhook "virt-launcher-eviction-interceptor.kubevirt.io" denied the request: '
            'Eviction triggered evacuation of VMI "ns/vm"',
            "code": 429,
        }
        (write,) = outcome.writes
        assert write.body == {"status": {"evacuationNodeName": "n1"}}

    def test_second_call_only_says_so(self) -> None:
        marked = instance()
        marked["status"]["evacuationNodeName"] = "n1"
        outcome = self.evict(marked)
        assert outcome.body is not None
        text = 'Evacuation in progress: Eviction triggered evacuation of VMI "ns/vm"'
        assert (outcome.body["message"].endswith(text), outcome.writes) == (True, [])

    @pytest.mark.parametrize(
        ("strategy", "migratable"), [(None, True), ("None", True), ("LiveMigrateIfPossible", False)]
    )
    def test_lets_others_go(self, strategy: str | None, migratable: bool) -> None:
        outcome = self.evict(instance(strategy=strategy, migratable=migratable))
        assert outcome.code == 201
        assert [write.verb for write in outcome.writes] == ["delete"]

    def test_holds_what_cannot_move(self) -> None:
        outcome = self.evict(instance(migratable=False))
        assert outcome.body is not None
        text = "VMI vm is configured with an eviction strategy but is not live-migratable"
        assert (outcome.code, outcome.writes, outcome.body["message"].endswith(text)) == (429, [], True)

    def test_holds_a_migration_target(self) -> None:
        target = launcher(**{"kubevirt.io/migrationJobUID": "m"})
        target["spec"]["nodeName"] = "n2"
        outcome = self.evict(instance(), pod=target)
        assert outcome.body is not None
        assert outcome.body["message"].endswith("Eviction request for target Pod")

    def test_descheduler_leaves_its_mark(self) -> None:
        body = {"metadata": {"annotations": {"requested-by": "sigs.k8s.io/descheduler"}}}
        (write,) = self.evict(instance(), body).writes
        assert write.body["metadata"] == {"annotations": {"kubevirt.io/eviction-source": "descheduler"}}

    def test_dry_run_marks_nothing(self) -> None:
        outcome = self.evict(instance(), {"deleteOptions": {"dryRun": ["All"]}})
        assert (outcome.code, outcome.writes) == (429, [])


class TestBudgets:
    @staticmethod
    def pod(name: str) -> Obj:
        return {
            "metadata": {"name": name, "namespace": "ns", "labels": {"app": "a"}},
            "spec": {},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }

    @pytest.mark.parametrize(
        ("budget", "pods", "allowed"),
        [
            ({"minAvailable": 1}, 1, False),
            ({"minAvailable": 1}, 2, True),
            ({"minAvailable": "50%"}, 3, True),
            ({"minAvailable": "50%"}, 1, False),
            ({"maxUnavailable": 1}, 1, True),
            ({"maxUnavailable": 0}, 3, False),
        ],
    )
    def test_are_kept(self, budget: Obj, pods: int, allowed: bool) -> None:
        pdb = {
            "metadata": {"name": "pdb", "namespace": "ns"},
            "spec": {"selector": {"matchLabels": {"app": "a"}}, **budget},
        }
        all_pods = [self.pod("launcher"), *(self.pod(f"p{number}") for number in range(1, pods))]
        outcome = call("eviction", None, "pods", pods=all_pods, poddisruptionbudgets=[pdb])
        assert outcome.body is not None
        if allowed:
            assert outcome.code == 201
        else:
            assert (outcome.code, outcome.body["reason"]) == (429, "TooManyRequests")
            assert outcome.body["details"]["causes"][0]["reason"] == "DisruptionBudget"


class TestBinding:
    body = {"target": {"kind": "Node", "name": "n1"}}

    def test_puts_the_pod_on_its_node(self) -> None:
        pod = {"metadata": {"name": "launcher", "namespace": "ns"}, "spec": {}, "status": {}}
        outcome = call("binding", self.body, "pods", pods=[pod])
        (write,) = outcome.writes
        assert outcome.code == 201
        assert write.body["spec"] == {"nodeName": "n1"}
        (condition,) = write.body["status"]["conditions"]
        assert (condition["type"], condition["status"], condition["lastTransitionTime"]) == (
            "PodScheduled",
            "True",
            NOW,
        )

    def test_of_a_bound_pod_is_a_conflict(self) -> None:
        pod = {"metadata": {"name": "launcher", "namespace": "ns"}, "spec": {"nodeName": "n2"}}
        outcome = call("binding", self.body, "pods", pods=[pod])
        assert outcome.body is not None
        assert (outcome.code, outcome.writes) == (409, [])
        assert outcome.body["message"].endswith('pod launcher is already assigned to node "n2"')


def test_pause_and_unpause() -> None:
    running = instance()
    (write,) = call("pause", None, "virtualmachineinstances", virtualmachineinstances=[running]).writes
    running["status"]["conditions"] = write.body["status"]["conditions"]
    assert [each["type"] for each in running["status"]["conditions"]] == ["LiveMigratable", "Paused"]
    assert call("pause", None, "virtualmachineinstances", virtualmachineinstances=[running]).code == 409
    (write,) = call("unpause", None, "virtualmachineinstances", virtualmachineinstances=[running]).writes
    assert [each["type"] for each in write.body["status"]["conditions"]] == ["LiveMigratable"]


def test_evacuation_is_called_off() -> None:
    (write,) = call("evacuate/cancel", virtualmachines=[machine()], virtualmachineinstances=[instance()]).writes
    assert (write.plural, write.body) == ("virtualmachineinstances", {"status": {"evacuationNodeName": None}})


def test_unknown_verb_is_not_found() -> None:
    assert call("levitate").code == 404
