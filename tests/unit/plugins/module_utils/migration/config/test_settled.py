"""When a change is in force: none of the steps may be left out, and each is named while it is missing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration import hyperconverged as hco
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.settled import (
    Expectation,
    Seen,
    changed_back,
    rollout,
    waiting_for,
)

NETWORK = "fast"
IN_HCO = ("spec", "virtualization", "liveMigrationConfig", "network")
IN_KUBEVIRT = (*hco.KUBEVIRT_MIGRATIONS, "network")


def conditions(**states: str) -> list[dict[str, str]]:
    return [{"type": kind, "status": status, "message": f"{kind} told"} for kind, status in states.items()]


GOOD = {"Available": "True", "Progressing": "False", "Degraded": "False"}


def well(generation: int = 3, **more: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "kubevirt-hyperconverged", "generation": generation},
        "status": {"observedGeneration": generation, "conditions": conditions(**{**GOOD, **more})},
    }


def daemon_set() -> dict[str, Any]:
    found = well(5)
    found["spec"] = {"template": {"metadata": {"annotations": {"k8s.v1.cni.cncf.io/networks": "fast@migration0"}}}}
    found["status"] |= {"desiredNumberScheduled": 12, "updatedNumberScheduled": 12, "numberAvailable": 12}
    return found


def done() -> dict[str, Any]:
    """Everything as it is when a change of the network is in force."""
    return {
        "hyperconverged": {**well(ReconcileComplete="True"), **hco.nested(IN_HCO, NETWORK)},
        "kubevirt": {**well(7), **hco.nested(IN_KUBEVIRT, NETWORK)},
        "daemon_set": daemon_set(),
    }


def expectation(**more: Any) -> Expectation:
    return Expectation({IN_HCO: NETWORK}, {IN_KUBEVIRT: NETWORK}, **{"network": NETWORK, **more})


def set_at(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    for name in parents:
        document = document[name]
    if value is None:
        document.pop(last)
    else:
        document[last] = value


def test_it_is_in_force_when_every_step_is_done() -> None:
    seen = Seen(**done())
    assert waiting_for(seen, expectation()) == ""
    assert changed_back(seen, expectation()) == {}
    assert rollout(seen.daemon_set) == {
        "networks": "fast@migration0", "desired": 12, "updated": 12, "available": 12,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("hyperconverged/status/observedGeneration", 2, "has not taken up the change"),
        ("hyperconverged/status/conditions", conditions(**GOOD, ReconcileComplete="False"), "has not taken up"),
        ("hyperconverged/status/conditions", conditions(**{**GOOD, "Degraded": "True"}, ReconcileComplete="True"),
         "is not well: Degraded=True (Degraded told)"),
        ("hyperconverged/status/conditions", conditions(**{**GOOD, "Progressing": "True"}, ReconcileComplete="True"),
         "is not well"),
        ("kubevirt", None, "there is no KubeVirt"),
        ("kubevirt/spec/configuration/migrations/network", "slow", "network is 'slow'"),
        ("kubevirt/spec", {}, "network is not set"),
        ("kubevirt/status/observedGeneration", 6, "is not through"),
        ("kubevirt/status/conditions", conditions(**{**GOOD, "Available": "False"}), "is not through"),
        ("kubevirt/status/conditions", [], "is not through"),
        ("daemon_set", None, "no DaemonSet virt-handler"),
        ("daemon_set/spec/template/metadata/annotations", {}, "for network 'none' still"),
        ("daemon_set/status/observedGeneration", 4, "rolled out on 12"),
        ("daemon_set/status/updatedNumberScheduled", 3, "rolled out on 3 and available on 12 of 12 nodes"),
        ("daemon_set/status/numberAvailable", 11, "available on 11 of 12 nodes"),
    ],
)  # fmt: skip
def test_each_step_is_waited_for_and_named(path: str, value: Any, told: str) -> None:
    parts = copy.deepcopy(done())
    set_at(parts, path, value)
    assert told in waiting_for(Seen(**parts), expectation())


def test_a_degraded_operator_does_not_matter_where_nothing_was_changed() -> None:
    parts = done()
    parts["hyperconverged"]["status"]["conditions"] = conditions(Available="False")
    parts["kubevirt"]["status"]["conditions"] = []
    assert waiting_for(Seen(**parts), expectation(conditions=False)) == ""
    assert waiting_for(Seen(**parts), expectation()) != ""


def test_virt_handler_is_looked_at_for_the_network_only() -> None:
    parts = {**done(), "daemon_set": None}
    assert waiting_for(Seen(**parts), expectation(network=None)) == ""


def test_virt_api_has_to_have_the_replicas_that_were_asked_for() -> None:
    deployment = {"status": {"readyReplicas": 3}}
    seen = Seen(**done(), deployment=deployment)
    assert waiting_for(seen, expectation(api_replicas=4)) == "3 of 4 replicas of virt-api are ready"
    assert waiting_for(seen, expectation(api_replicas=3)) == ""


def test_a_value_that_was_put_back_is_noticed() -> None:
    parts = done()
    set_at(parts, "hyperconverged/spec/virtualization/liveMigrationConfig/network", "slow")
    assert changed_back(Seen(**parts), expectation()) == {IN_HCO: "slow"}
