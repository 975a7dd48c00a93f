"""The pure parts of the migration controllers: duration model, limits, policies, migratability, phases."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simcluster.controllers import limits, migration_status
from simcluster.controllers.limits import Active
from simcluster.controllers.migratable import disk_obstacle, migratability, migration_method
from simcluster.controllers.node import heartbeat_seconds
from simcluster.controllers.pod import summarize
from simcluster.controllers.policies import applied, matching_policy
from simcluster.controllers.transfer import Transfer, completion_limit_seconds, share_of_link

Obj = dict[str, Any]
MB = 10.0**6
GB = 10.0**9


def run(transfer: Transfer, bandwidth: float, longest: float = 10_000.0) -> float:
    """Seconds until done, or infinity."""
    elapsed = 0.0
    while not transfer.done and elapsed < longest:
        step = transfer.seconds_to_next_event(bandwidth)
        transfer.advance(step, bandwidth)
        elapsed += step
    return elapsed if transfer.done else math.inf


class TestTransfer:
    def test_idle_guest_is_copied_once(self) -> None:
        assert run(Transfer(4 * GB, 0, 0, 0.3), GB) == pytest.approx(4)

    def test_dirtied_memory_is_sent_again(self) -> None:
        # rounds of 4 s, 2 s, 1 s, 0.5 s; what the last one leaves fits into the downtime
        assert run(Transfer(4 * GB, 0, 0.5 * GB, 0.3), GB) == pytest.approx(7.5)

    def test_guest_that_dirties_faster_than_the_link_never_ends(self) -> None:
        assert run(Transfer(4 * GB, 0, 2 * GB, 0.3), GB, 1000) == math.inf

    def test_auto_converge_slows_it_down(self) -> None:
        assert run(Transfer(4 * GB, 0, 2 * GB, 0.3, auto_converge=True), GB, 1000) < 100

    @pytest.mark.parametrize("switch", [Transfer.post_copy, Transfer.pause])
    def test_post_copy_and_pause_need_one_more_round(self, switch: Any) -> None:
        transfer = Transfer(4 * GB, 0, 2 * GB, 0.3)
        transfer.advance(10, GB)
        switch(transfer)
        assert run(transfer, GB) <= 4

    def test_local_disks_are_copied_with_the_memory(self) -> None:
        assert run(Transfer(GB, 3 * GB, 0, 0.3), GB) == pytest.approx(4)

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(st.tuples(st.floats(0, 3), st.floats(0, 2 * GB)), max_size=20),
        st.floats(0, GB),
    )
    def test_however_time_is_cut_nothing_is_lost(self, steps: list[tuple[float, float]], dirty_rate: float) -> None:
        transfer = Transfer(4 * GB, 0, dirty_rate, 0.3)
        for seconds, bandwidth in steps:
            before = transfer.copied_bytes
            transfer.advance(seconds, bandwidth)
            assert transfer.copied_bytes - before <= seconds * bandwidth * (1 + 1e-9) + 1
            assert 0 <= transfer.remaining_bytes <= 4 * GB + 1
        assert not transfer.done or transfer.copied_bytes >= 4 * GB * (1 - 1e-9)

    @given(st.floats(0.01, 3.9), st.floats(0.0, 0.5))
    @settings(max_examples=50, deadline=None)
    def test_steps_do_not_matter_at_constant_bandwidth(self, step: float, dirty: float) -> None:
        whole, cut = Transfer(4 * GB, 0, dirty * GB, 0.3), Transfer(4 * GB, 0, dirty * GB, 0.3)
        whole.advance(3.95, GB)
        for seconds in (step, 3.95 - step):
            cut.advance(max(0.0, seconds), GB)
        if step <= 3.95:
            assert cut.remaining_bytes == pytest.approx(whole.remaining_bytes, rel=1e-6, abs=10)


@pytest.mark.parametrize(
    ("size", "per_gib", "seconds"),
    [(16 * 2**30, 800, 14400), (16 * 2**30, 150, 2700), (16 * 2**30, 20, 360), (1, 20, 20), (10**9, 20, 20)],
)
def test_time_limit_is_per_started_decimal_gigabyte(size: float, per_gib: int, seconds: float) -> None:
    assert completion_limit_seconds(size, per_gib) == seconds
    assert completion_limit_seconds(size, 0) == math.inf


@pytest.mark.parametrize(
    ("limit", "on_source", "on_target", "expected"),
    [(0, 1, 1, 1000), (64, 1, 1, 64), (0, 4, 1, 500), (0, 1, 8, 250), (0, 0, 0, 1000)],
)
def test_link_is_shared(limit: float, on_source: int, on_target: int, expected: float) -> None:
    assert share_of_link(limit, 1000, 2000, on_source, on_target) == expected


class TestLimits:
    config = {"parallelMigrationsPerCluster": 3, "parallelOutboundMigrationsPerNode": 1}

    def active(self, *sources: str) -> list[Active]:
        return [Active(str(number), frozenset([source])) for number, source in enumerate(sources)]

    @pytest.mark.parametrize(
        ("sources", "node", "expected"),
        [
            ([], "a", True),
            (["b"], "a", True),
            (["a"], "a", False),
            (["a", "b"], "c", True),
            (["a", "b", "c"], "d", False),
        ],
    )
    def test_hold_for_cluster_and_source(self, sources: list[str], node: str, expected: bool) -> None:
        assert limits.may_start(self.active(*sources), node, self.config) is expected

    def test_lingering_source_counts_for_both_nodes(self) -> None:
        twice = [Active("1", frozenset(["a", "b"]))]
        assert not limits.may_start(twice, "a", self.config)
        assert not limits.may_start(twice, "b", self.config)

    def test_nothing_starts_at_zero(self) -> None:
        assert not limits.may_start([], "a", {**self.config, "parallelMigrationsPerCluster": 0})

    def test_defaults_fill_what_is_not_set(self) -> None:
        found = limits.migration_configuration({"migrations": {"allowPostCopy": True, "bandwidthPerMigration": None}})
        assert (found["allowWorkloadDisruption"], found["completionTimeoutPerGiB"]) == (True, 150)
        explicit = {"migrations": {"allowPostCopy": True, "allowWorkloadDisruption": False}}
        assert limits.migration_configuration(explicit)["allowWorkloadDisruption"] is False

    @pytest.mark.parametrize(("priority", "seconds"), [("system-critical", 1), ("user-triggered", 3), ("", 5)])
    def test_waiting_depends_on_priority(self, priority: str, seconds: float) -> None:
        assert limits.requeue_seconds(priority) == seconds

    @pytest.mark.parametrize(
        ("annotations", "unschedulable", "seconds"),
        [
            ({}, True, 300),
            ({}, False, 900),
            ({"kubevirt.io/migrationUnschedulablePodTimeoutSeconds": "8"}, True, 8),
            ({"kubevirt.io/migrationUnschedulablePodTimeoutSeconds": "8"}, False, 900),
            ({"kubevirt.io/migrationPendingPodTimeoutSeconds": "9"}, False, 9),
        ],
    )
    def test_pending_pods_have_their_time(self, annotations: Obj, unschedulable: bool, seconds: float) -> None:
        migration = {"metadata": {"annotations": annotations}}
        assert limits.pending_limit_seconds(migration, unschedulable) == seconds

    def test_backoff_doubles(self) -> None:
        assert [limits.backoff_seconds(count) for count in range(4)] == [0, 20, 40, 80]


def policy(name: str, instance: Obj | None = None, namespace: Obj | None = None, **spec: Any) -> Obj:
    selectors = {}
    if instance is not None:
        selectors["virtualMachineInstanceSelector"] = instance
    if namespace is not None:
        selectors["namespaceSelector"] = namespace
    return {"metadata": {"name": name}, "spec": {"selectors": selectors, **spec}}


class TestPolicies:
    @pytest.mark.parametrize(
        ("policies", "labels", "expected"),
        [
            ([policy("a", {"x": "1"})], {"x": "1"}, "a"),
            ([policy("a", {"x": "1"})], {"x": "2"}, None),
            ([policy("a", {"x": "1"}), policy("b", {"x": "1", "y": "1"})], {"x": "1", "y": "1"}, "b"),
            ([policy("a", {}, {"n": "1"}), policy("b", {"x": "1"})], {"x": "1"}, "b"),
            ([policy("b", {"x": "1"}), policy("a", {"x": "1"})], {"x": "1"}, "a"),
            ([policy("a", {}, {})], {"x": "1"}, "a"),
            ([policy("a", {}, {"n": "2"})], {"x": "1"}, None),
            ([policy("a", {}, {"n": "2"})], {}, "a"),
            ([{"metadata": {"name": "a"}, "spec": {}}], {"x": "1"}, None),
        ],
    )
    def test_most_labels_win(self, policies: list[Obj], labels: Obj, expected: str | None) -> None:
        found = matching_policy(policies, labels, {"n": "1"})
        assert (found["metadata"]["name"] if found else None) == expected

    def test_values_replace_the_clusters(self) -> None:
        base = {"allowPostCopy": False, "allowWorkloadDisruption": False, "completionTimeoutPerGiB": 20}
        found = applied(policy("a", {}, allowPostCopy=True, completionTimeoutPerGiB=800), base)
        assert found == {"allowPostCopy": True, "allowWorkloadDisruption": True, "completionTimeoutPerGiB": 800}
        assert applied(None, base) is base


def instance(*volumes: Obj, claims: Obj | None = None, **domain: Any) -> Obj:
    names = [f"v{number}" for number in range(len(volumes))]
    known = [
        {"name": name, "persistentVolumeClaimInfo": {"accessModes": claims[name]}} if name in (claims or {}) else {}
        for name in names
        if claims is not None
    ]
    return {
        "metadata": {"name": "vm", "namespace": "ns", "annotations": {}},
        "spec": {"domain": domain, "volumes": [{"name": n, **v} for n, v in zip(names, volumes, strict=True)]},
        "status": {"volumeStatus": [each for each in known if each]},
    }


class TestMigratability:
    labels = {"host-model-cpu.node.kubevirt.io/X": "true"}

    @pytest.mark.parametrize(
        ("obj", "message"),
        [
            (instance({"persistentVolumeClaim": {"claimName": "c"}}, claims={"v0": ["ReadWriteMany"]}), ""),
            (
                instance({"dataVolume": {"name": "c"}}, claims={"v0": ["ReadWriteOnce"]}),
                "cannot migrate VMI: PVC c is not shared, live migration requires that all PVCs must be shared (using "
                "ReadWriteMany access mode)",
            ),
            (
                instance({"dataVolume": {"name": "c"}}),
                "cannot migrate VMI: Unable to determine if PVC c is shared, live migration requires that all PVCs "
                "must be shared (using ReadWriteMany access mode)",
            ),
            (instance({"hostDisk": {}}), "cannot migrate VMI with non-shared HostDisk"),
            (instance({"hostDisk": {"shared": True}}), ""),
            (instance({"containerDisk": {"image": "x"}}, {"cloudInitNoCloud": {}}), ""),
        ],
    )
    def test_of_disks(self, obj: Obj, message: str) -> None:
        found = disk_obstacle(obj)
        assert (found.message if found else "") == message

    def test_local_disks_are_block_migrated(self) -> None:
        assert migration_method(instance({"containerDisk": {}})) == "BlockMigration"
        assert migration_method(instance({"persistentVolumeClaim": {"claimName": "c"}})) == "LiveMigration"
        cdrom = instance({"cloudInitNoCloud": {}}, devices={"disks": [{"name": "v0", "cdrom": {}}]})
        assert migration_method(cdrom) == "LiveMigration"

    @pytest.mark.parametrize(
        ("domain", "reason"),
        [
            ({"devices": {"hostDevices": [{"deviceName": "a"}]}}, "HostDeviceNotLiveMigratable"),
            ({"launchSecurity": {"sev": {}}}, "SEVNotLiveMigratable"),
            ({"features": {"hyperv": {"reenlightenment": {}}}}, "NoTSCFrequencyNotLiveMigratable"),
            ({"cpu": {"model": "host-passthrough"}}, ""),
        ],
    )
    def test_of_the_domain(self, domain: Obj, reason: str) -> None:
        found = migratability(instance(**domain), "n", self.labels)
        assert (found.live.reason if found.live else "") == reason
        assert bool(found.storage) == bool(reason)

    def test_first_obstacle_counts_and_disks_come_last(self) -> None:
        obj = instance({"hostDisk": {}}, devices={"hostDevices": [{"deviceName": "a"}]})
        found = migratability(obj, "n", {})
        assert found.live is not None
        assert (found.live.reason, len(found.storage)) == ("CPUModeLiveMigratable", 2)

    def test_bridge_on_the_pod_network(self) -> None:
        obj = instance(devices={"interfaces": [{"name": "default", "bridge": {}}]})
        obj["spec"]["networks"] = [{"name": "default", "pod": {}}]
        found = migratability(obj, "n", self.labels)
        assert found.live is not None and found.live.reason == "InterfaceNotLiveMigratable"
        obj["metadata"]["annotations"] = {"kubevirt.io/allow-pod-bridge-network-live-migration": ""}
        assert migratability(obj, "n", self.labels).live is None
        obj["spec"]["networks"] = [{"name": "default", "multus": {"networkName": "x"}}]
        obj["metadata"]["annotations"] = {}
        assert migratability(obj, "n", self.labels).live is None


def target_pod(phase: str = "Running", deleting: bool = False) -> Any:
    metadata: Obj = {"name": "t", "namespace": "ns", "uid": "t", "labels": {}}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return summarize({"metadata": metadata, "spec": {"containers": [], "nodeName": "n"}, "status": {"phase": phase}})


class TestPhases:
    @pytest.mark.parametrize(
        ("phase", "state", "expected"),
        [
            ("PreparingTarget", {"targetNode": "n"}, ""),
            ("PreparingTarget", {"targetNode": "n", "targetNodeAddress": "1"}, "TargetReady"),
            ("TargetReady", {"startTimestamp": "t"}, "Running"),
            ("Running", {"endTimestamp": "t"}, ""),
            ("Running", {"completed": True}, "Succeeded"),
            ("Running", {"completed": True, "failed": True}, ""),
        ],
    )
    def test_follow_the_state(self, phase: str, state: Obj, expected: str) -> None:
        assert migration_status.next_phase(phase, state) == expected

    @pytest.mark.parametrize(
        ("phase", "state", "target", "message"),
        [
            ("Scheduling", {}, None, "Migration target pod was removed during active migration."),
            ("Scheduling", {}, target_pod(deleting=True), ""),
            ("Running", {"migrationUid": "m"}, target_pod(deleting=True), "target pod shutdown"),
            ("Running", {"migrationUid": "m"}, target_pod("Failed"), "target pod shutdown"),
            ("Running", {"migrationUid": "m", "failed": True}, target_pod(), "source node reported migration failed"),
            ("Running", {"migrationUid": "m", "completed": True}, None, ""),
            ("Running", {}, target_pod(), "cleared during the active migration"),
            ("Running", {"migrationUid": "x"}, target_pod(), "taken over by another migration job"),
            ("Pending", {"migrationUid": "x"}, None, ""),
        ],
    )
    def test_failures(self, phase: str, state: Obj, target: Any, message: str) -> None:
        migration = {"metadata": {"uid": "m"}, "status": {"phase": phase}}
        running = {"metadata": {}, "status": {"phase": "Running", "migrationState": state}}
        found = migration_status.failure(migration, running, target)
        assert (message in found) if message else not found

    def test_failures_in_a_row_count_since_the_last_success(self) -> None:
        def finished(phase: str, minute: int, marked: bool = True) -> Obj:
            stamp = {"phase": phase, "phaseTransitionTimestamp": f"2026-01-01T00:{minute:02d}:00Z"}
            annotations = {"kubevirt.io/evacuationMigration": "n"} if marked else {}
            return {
                "metadata": {"annotations": annotations},
                "status": {"phase": phase, "phaseTransitionTimestamps": [stamp]},
            }

        history = [finished("Failed", 1), finished("Succeeded", 2), finished("Failed", 3), finished("Failed", 4, False)]
        marks = ["kubevirt.io/evacuationMigration"]
        assert migration_status.failures_in_a_row([*history, finished("Failed", 5)], marks) == 2


@pytest.mark.parametrize(("scale", "seconds"), [(1, 60), (10, 60), (20, 100), (100, 240)])
def test_heartbeats_spare_the_api_and_stay_alive(scale: float, seconds: float) -> None:
    assert heartbeat_seconds(scale) == seconds
