"""What holds of every verdict, whatever the VM."""

from __future__ import annotations

from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.migration.findings import (
    CODES,
    ERROR,
    LIVE,
    MOVING_WAYS,
    SEVERITIES,
    WAYS,
    possible_ways,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.migratability import Verdict, assess
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils.migration import objects as api

KEY = f"{api.NAMESPACE}/web"
MODES = st.sampled_from([("ReadWriteMany",), ("ReadWriteOnce",), ("ReadWriteOnce", "ReadWriteMany"), ("ReadOnlyMany",)])
PLAIN_VOLUMES = st.sampled_from(
    [
        {"containerDisk": {"image": "fedora"}},
        {"emptyDisk": {"capacity": "1Gi"}},
        {"cloudInitNoCloud": {}},
        {"hostDisk": {"path": "/srv/disk.img", "type": "Disk"}},
        {"hostDisk": {"path": "/srv/disk.img", "type": "Disk", "shared": True}},
        {"ephemeral": {"persistentVolumeClaim": {"claimName": "backing"}}},
        {"somethingNew": {}},
    ]
)
REPORTS = st.sampled_from(
    [
        [],
        [api.LIVE],
        [api.LIVE, api.STORAGE_LIVE],
        [api.not_live("DisksNotLiveMigratable", "not shared")],
        [api.not_live("DisksNotLiveMigratable", "not shared"), api.STORAGE_LIVE],
        [api.not_live("HostDeviceNotLiveMigratable"), api.condition("StorageLiveMigratable", "False", "NotMigratable")],
        [api.LIVE, api.condition("Paused", "True")],
    ]
)
DEVICES = st.sampled_from(
    [
        {},
        {"interfaces": [{"name": "default", "bridge": {}}]},
        {"hostDevices": [{"name": "nic", "deviceName": "intel.com/nic"}]},
        {"tpm": {"persistent": True}},
    ]
)
VM_CHANGES = st.sampled_from(
    [
        {},
        {"spec": {"runStrategy": "Halted"}},
        {"spec": {"runStrategy": "Once"}},
        {"metadata": {"deletionTimestamp": "2026-03-01T12:00:00Z"}},
        {"metadata": {"ownerReferences": [{"kind": "VirtualMachinePool", "name": "p", "controller": True}]}},
        {"status": {"conditions": [api.condition("ManualRecoveryRequired", "True")]}},
        {"status": {"conditions": [api.condition("RestartRequired", "True")]}},
        {"status": {"snapshotInProgress": "s1"}},
    ]
)


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Any]:
    """The ingredients of a VM: its volumes, claims, devices, state, and what its instance reports."""
    claims = draw(st.lists(st.tuples(MODES, st.sampled_from(["Bound", "Bound", "Pending", "Lost"])), max_size=3))
    volumes = [api.of_claim(f"claim-{number}", f"disk-{number}") for number in range(len(claims))]
    plain = draw(st.lists(PLAIN_VOLUMES, max_size=2))
    volumes += [{"name": f"plain-{number}", **source} for number, source in enumerate(plain)]
    return {
        "volumes": volumes,
        "claims": [
            api.claim(f"claim-{number}", modes, phase=phase, of=draw(st.sampled_from([api.RBD, api.SAN, api.LOCAL])))
            for number, (modes, phase) in enumerate(claims)
            if draw(st.integers(0, 5))
        ],
        "devices": draw(DEVICES),
        "report": draw(REPORTS),
        "phase": draw(st.sampled_from(["Running", "Running", "Running", "Scheduling", "Succeeded", "Unknown", ""])),
        "vm": draw(st.one_of(st.none(), VM_CHANGES)),
        "wish": draw(st.booleans()),
        "pinned": draw(st.sampled_from([{}, {}, {"kubernetes.io/hostname": "worker-1"}])),
        "moving": draw(st.sampled_from(["", "", "Running", "Succeeded"])),
        "parts": draw(st.sampled_from([(), ("claims",), ("virtualization",)])),
    }


def verdict_on(machine: dict[str, Any]) -> Verdict:
    """The verdict; an empty phase means no instance, no VM an instance alone."""
    running = api.spec(machine["volumes"], devices=machine["devices"], nodeSelector=machine["pinned"])
    found = list(machine["claims"])
    if machine["vm"] is not None:
        wish = running if machine["wish"] else api.spec(machine["volumes"][1:], devices=machine["devices"])
        found.append(api.vm(wish, **machine["vm"]))
    if machine["vm"] is None or machine["phase"]:
        found.append(api.vmi(running, machine["report"], status={"phase": machine["phase"] or "Running"}))
    if machine["moving"]:
        found.append(api.migration(machine["moving"]))
    snapshot = api.snapshot(*found, without=machine["parts"])
    return assess(snapshot, snapshot.virtual_machines[KEY])


@settings(max_examples=150)
@given(machines())
def test_the_way_follows_from_the_findings(machine: dict[str, Any]) -> None:
    found = verdict_on(machine)
    assert found.ways == possible_ways(found.findings)
    assert found.way == (found.ways[0] if found.ways else "blocked")
    assert set(found.ways) <= set(MOVING_WAYS) <= set(WAYS)


@settings(max_examples=150)
@given(machines())
def test_live_means_that_nothing_is_an_error(machine: dict[str, Any]) -> None:
    found = verdict_on(machine)
    errors = [item for item in found.findings if item.severity == ERROR]
    assert all(LIVE in item.rules_out for item in errors)
    if found.way == LIVE:
        assert not errors
    else:
        assert found.reasons
        assert not found.live_now


@settings(max_examples=150)
@given(machines())
def test_every_finding_can_be_acted_on(machine: dict[str, Any]) -> None:
    for item in verdict_on(machine).findings:
        assert item.code in CODES
        assert item.severity in SEVERITIES
        assert item.message.endswith(".")
        assert "None" not in item.message
        assert item.hint or not item.momentary


@settings(max_examples=150)
@given(machines())
def test_moving_now_needs_a_running_vm_and_no_passing_obstacle(machine: dict[str, Any]) -> None:
    found = verdict_on(machine)
    if found.live_now:
        assert found.way == LIVE
        assert machine["phase"] in ("", "Running")
        assert machine["moving"] != "Running"
        assert not [item for item in found.findings if item.momentary]


@settings(max_examples=150)
@given(machines(), st.sampled_from([("ReadWriteOnce",), ("ReadOnlyMany",), ("ReadWriteOncePod",)]), st.booleans())
def test_a_further_volume_that_is_not_shared_never_makes_it_better(
    machine: dict[str, Any], modes: tuple[str, ...], bound: bool
) -> None:
    machine = {**machine, "wish": True}
    worse = {
        **machine,
        "volumes": [*machine["volumes"], api.of_claim("further", "further")],
        "claims": [*machine["claims"], api.claim("further", modes, phase="Bound" if bound else "Pending")],
    }
    before, after = verdict_on(machine), verdict_on(worse)
    assert set(after.ways) <= set(before.ways)
    assert after.predicted_live is False


@settings(max_examples=100)
@given(machines())
def test_losing_a_claim_never_makes_it_better(machine: dict[str, Any]) -> None:
    machine = {**machine, "parts": ()}
    before = verdict_on(machine)
    for number in range(len(machine["claims"])):
        without = [claim for index, claim in enumerate(machine["claims"]) if index != number]
        assert set(verdict_on({**machine, "claims": without}).ways) <= set(before.ways)
