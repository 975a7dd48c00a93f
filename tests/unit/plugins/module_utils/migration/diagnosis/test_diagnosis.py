"""From what KubeVirt and the scheduler really write to a cause, its evidence and the setting that would change it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration.checks_machines import parse_quota
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.fields import BY_OPTION
from ansible_collections.ocpv.scale.plugins.module_utils.migration.diagnosis.case import parse_target_pod
from ansible_collections.ocpv.scale.plugins.module_utils.migration.diagnosis.cases import (
    Observed,
    diagnoses,
    message_of,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.diagnosis.findings import SOURCES, SYMPTOMS
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.wanted import FIELDS
from unit.plugins.module_utils.migration.objects import (
    LIVE,
    NAMESPACE,
    Obj,
    both,
    kubevirt,
    merged,
    migration,
    node,
    snapshot,
    spec,
)

NOW = "2026-03-01T13:00:00Z"
STARTED = "2026-03-01T12:40:00Z"
KEY = f"{NAMESPACE}/web"
ABORTED = "Live migration has been aborted"


def at(seconds: int) -> str:
    """So many seconds after STARTED."""
    minutes, rest = divmod(40 * 60 + seconds, 60)
    return f"2026-03-01T{12 + minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}Z"


def state(uid: str = "uid-move", *, seconds: int | None = None, **more: Any) -> Obj:
    """A migrationState from STARTED on, ended after so many seconds."""
    base: Obj = {
        "migrationUid": uid,
        "sourceNode": "worker-1",
        "targetNode": "worker-2",
        "startTimestamp": STARTED,
        "mode": "PreCopy",
        "migrationConfiguration": {"completionTimeoutPerGiB": 20, "progressTimeout": 150},
    }
    if seconds is not None:
        base |= {"endTimestamp": at(seconds), "completed": True}
    return merged(base, more)


def move(phase: str, *, since: str = STARTED, name: str = "move", **more: Any) -> Obj:
    status: Obj = {
        "phase": phase,
        "phaseTransitionTimestamps": [{"phase": phase, "phaseTransitionTimestamp": since}],
        **more.pop("status", {}),
    }
    return migration(
        phase, name, metadata={"creationTimestamp": STARTED, **more.pop("metadata", {})}, status=status, **more
    )


def failed(seconds: int, reason: str, **more: Any) -> Obj:
    """A failed migration that copied for so many seconds."""
    own = state(seconds=seconds, failed=True, failureReason=reason, **more)
    return move("Failed", since=at(seconds), status={"migrationState": own})


def event(message: str, reason: str, kind: str = "VirtualMachineInstanceMigration", *, normal: bool = False) -> Obj:
    return {
        "metadata": {"creationTimestamp": at(5)},
        "type": "Normal" if normal else "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": at(5),
        "involvedObject": {"kind": kind, "namespace": NAMESPACE, "name": "move" if "Migration" in kind else "web"},
    }


def pod(message: str = "", *, on: str = "", waiting: Obj | None = None, **selector: str) -> Obj:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]
    return {
        "metadata": {"namespace": NAMESPACE, "name": "virt-launcher-web-2", "creationTimestamp": STARTED},
        "spec": {"nodeName": on, "nodeSelector": {"kubevirt.io/schedulable": "true", **selector}},
        "status": {
            "phase": "Pending",
            "conditions": conditions if message else [],
            "containerStatuses": [{"name": "compute", "state": {"waiting": waiting}}] if waiting else [],
        },
    }


def virt_handler(on: str, ready: bool) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "openshift-cnv",
            "name": f"virt-handler-{on}",
            "uid": f"handler-{on}",
            "labels": {"kubevirt.io": "virt-handler"},
        },
        "spec": {"nodeName": on, "containers": [{"name": "virt-handler"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def launcher(memory: str = "5Gi") -> Obj:
    requests = {"cpu": "200m", "memory": memory}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": NAMESPACE,
            "name": "virt-launcher-web-1",
            "uid": "pod-web",
            "labels": {"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": "vmi-web"},
        },
        "spec": {"nodeName": "worker-1", "containers": [{"name": "compute", "resources": {"requests": requests}}]},
        "status": {"phase": "Running"},
    }


def limits(**migrations: Any) -> Obj:
    return kubevirt(spec={"configuration": {"migrations": migrations}})


def others(number: int, phase: str, on: str = "worker-1") -> list[Obj]:
    """Other VMs on a node with a migration in this phase each; running ones go to worker-2 with the one in question."""
    made = []
    for index in range(number):
        own = state(f"uid-other-{index}", sourceNode=on)
        (_vm, instance) = both(spec(), [LIVE], metadata={"name": f"other-{index}", "uid": f"vmi-other-{index}"})
        status = {"nodeName": on, **({"migrationState": own} if phase == "Running" else {})}
        made.append(merged(instance, {"status": status}))
        made.append(move(phase, name=f"other-{index}", spec={"vmiName": f"other-{index}"}))
    return made


def diagnose(
    *objects: Obj,
    events: list[Obj] | None = None,
    target_pod: Obj | None = None,
    quotas: list[Obj] | None = None,
    vmi: Obj | None = None,
) -> list[Obj]:
    machine = both(spec(), [LIVE], **(vmi or {}))
    taken = snapshot(*machine, *objects)
    messages: dict[str, list[Any]] = {}
    for item in events or []:
        about = message_of(item)
        assert about is not None, item
        messages.setdefault(about[0], []).append(about[1])
    observed = Observed({"uid-move": parse_target_pod(target_pod)} if target_pod else {}, messages)
    parsed = [parse_quota(quota) for quota in quotas or []]
    found = diagnoses(replace(taken, captured_at=NOW), {KEY}, observed, [quota for quota in parsed if quota])
    json.dumps(found)
    return found


@dataclass
class Row:
    """A situation, the symptoms that are expected, what the first evidence tells and the first setting."""

    symptoms: tuple[str, ...]
    objects: list[Obj]
    evidence: tuple[str, ...] = ()
    setting: tuple[str, str, Any, Any] | None = None
    more: Obj = field(default_factory=dict)


REMOVED = event("Migration target pod was removed during active migration.", "FailedMigration")
TIMEOUT = event("unschedulable pod shop/virt-launcher-web-2 timeout period exceeded", "SuccessfulDelete", normal=True)
UNSCHEDULABLE = event(
    "Migration target pod for VMI [shop/web] is currently unschedulable.", "migrationTargetPodUnschedulable"
)
NO_MEMORY = "0/15 nodes are available: 3 node(s) had untolerated taint(s), 12 Insufficient memory. preemption: ..."

ROWS = {
    # 4Gi are 5 started GB: 100 s at 20 s per GB
    "completion timeout": Row(
        ("completion_timeout",),
        [failed(101, ABORTED)],
        ("failureReason: Live migration has been aborted", "The limit was 100 s: 20 s for each of 5 started GB"),
        ("migration_policy", "completion_timeout_seconds_per_gib", 20, 40),
    ),
    "the limit of a release with 800 s": Row(
        ("completion_timeout",),
        [failed(4000, ABORTED, migrationConfiguration={"completionTimeoutPerGiB": 800})],
        ("800 s for each of 5 started GB",),
        ("migration_policy", "completion_timeout_seconds_per_gib", 800, 1600),
    ),
    "completion timeout with a limit of bandwidth below the dirty rate": Row(
        ("completion_timeout",),
        [failed(101, ABORTED, migrationConfiguration={"bandwidthPerMigration": "64Mi"}, migrationPolicyName="db")],
        ("A migration sends 64 MiB/s at most", "126 MB/s (assumed for workload database)", "MigrationPolicy db"),
        ("migration_policy", "bandwidth_per_migration", "64Mi", "150Mi"),
        {"vmi": {"metadata": {"labels": {"ocpv.scale/workload": "database"}}}},
    ),
    "post-copy that does nothing": Row(
        ("completion_timeout",),
        [failed(101, ABORTED, migrationConfiguration={"allowPostCopy": True, "allowWorkloadDisruption": False})],
        ("Post-copy is allowed, but does nothing",),
    ),
    "a paused guest gets the time twice": Row(
        ("completion_timeout",), [failed(201, ABORTED, mode="Paused")], ("The limit was 200 s",)
    ),
    "progress timeout": Row(
        ("progress_timeout",),
        [failed(60, ABORTED)],
        ("It was given up after 60 s, before the 100 s", "The progress timeout is 150 s."),
        ("hco_migration_config", "progress_timeout_seconds", 150, 300),
    ),
    "saturation": Row(
        ("completion_timeout", "network_saturation"),
        [
            failed(101, ABORTED),
            *others(3, "Running"),
            limits(parallelMigrationsPerCluster=10, parallelOutboundMigrationsPerNode=4),
        ],
    ),
    "cluster limit": Row(
        ("cluster_limit_reached",),
        [move("Pending", since=at(1190)), *others(2, "Running", "worker-3"), limits(parallelMigrationsPerCluster=2)],
        ("is Pending for 10 s and has no target pod", "2 of 2 migrations hold a slot"),
        ("hco_migration_config", "parallel_migrations_per_cluster", 2, 3),
    ),
    "cluster limit at its height without a dedicated network": Row(
        ("cluster_limit_reached",),
        [move("Pending"), *others(5, "Running", "worker-3")],
        ("5 of 5 migrations",),
    ),
    "cluster limit with a dedicated network": Row(
        ("cluster_limit_reached",),
        [move("Pending"), *others(5, "Running", "worker-3"), limits(network="migration")],
        ("5 of 5 migrations",),
        ("hco_migration_config", "parallel_migrations_per_cluster", 5, 6),
    ),
    "node limit": Row(
        ("node_limit_reached",),
        [move("Pending"), *others(1, "Running"), limits(parallelOutboundMigrationsPerNode=1)],
        ("1 of 1 migrations leave worker-1", "1 of 5 hold a slot"),
        ("hco_migration_config", "parallel_outbound_migrations_per_node", 1, 2),
    ),
    "quota": Row(
        ("quota",),
        [
            move("Pending", status={"conditions": [{"type": "migrationRejectedByResourceQuota", "status": "True"}]}),
            launcher(),
        ],
        ("migrationRejectedByResourceQuota", "shop/compute: requests.memory 60Gi of 64Gi in use", "5.0 GiB of memory"),
        None,
        {
            "quotas": [
                {
                    "metadata": {"namespace": NAMESPACE, "name": "compute"},
                    "status": {"hard": {"requests.memory": "64Gi"}, "used": {"requests.memory": "60Gi"}},
                }
            ]
        },
    ),
    "backoff": Row(
        ("backoff",),
        [move("Pending", metadata={"annotations": {"kubevirt.io/evacuationMigration": "worker-1"}})],
        ("backoff migrating vmi shop/web",),
        None,
        {"events": [event("backoff migrating vmi shop/web", "MigrationBackoff", "VirtualMachineInstance")]},
    ),
    "a backup": Row(
        ("blocked",),
        [
            move(
                "Pending",
                status={
                    "conditions": [{"type": "migrationBlockedByBackup", "status": "True", "reason": "BackupInProgress"}]
                },
            )
        ],
        ("migrationBlockedByBackup (BackupInProgress)",),
    ),
    "not running": Row(
        ("vm_not_running",),
        [move("Pending")],
        ("Its instance is Scheduling",),
        None,
        {"vmi": {"status": {"phase": "Scheduling"}}},
    ),
    "refused pod": Row(
        ("target_pod_refused",),
        [move("Pending")],
        ('pods "virt-launcher-web-2" is forbidden',),
        None,
        {
            "events": [
                event(
                    'Error creating pod: pods "virt-launcher-web-2" is forbidden: violates PodSecurity',
                    "FailedCreate",
                    "VirtualMachineInstance",
                )
            ]
        },
    ),
    "nothing says why": Row(("not_started",), [move("Pending")], ("is Pending for 1200 s",)),
    "no room": Row(
        ("target_unschedulable",),
        [move("Scheduling"), launcher()],
        ("12 Insufficient memory", "The pod requests 200m CPU and 5.0 GiB", "worker-2, worker-3 could take it"),
        None,
        {"target_pod": pod(NO_MEMORY)},
    ),
    "no room, given up": Row(
        ("target_unschedulable",),
        [move("Failed", status={"migrationState": {"sourcePod": "virt-launcher-web-1"}})],
        ("timeout period exceeded",),
        None,
        {"events": [UNSCHEDULABLE, TIMEOUT, REMOVED]},
    ),
    "a node that does not exist": Row(
        ("invalid_selector",),
        [move("Scheduling", spec={"addedNodeSelector": {"kubernetes.io/hostname": "nowhere"}})],
        ("addedNodeSelector is kubernetes.io/hostname=nowhere",),
        None,
        {"target_pod": pod("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.")},
    ),
    "a node that does not exist, given up": Row(
        ("invalid_selector",),
        [move("Failed", spec={"addedNodeSelector": {"kubernetes.io/hostname": "nowhere"}})],
        ("addedNodeSelector is kubernetes.io/hostname=nowhere",),
        None,
        {"events": [UNSCHEDULABLE, TIMEOUT, REMOVED]},
    ),
    "the node it is on": Row(
        ("invalid_selector",),
        [move("Scheduling", spec={"addedNodeSelector": {"kubernetes.io/hostname": "worker-1"}})],
        (),
        None,
        {"target_pod": pod("0/3 nodes are available")},
    ),
    "the VM's own selector": Row(
        ("invalid_selector",),
        [move("Scheduling")],
        ("The VM selects disk=ssd",),
        None,
        {"target_pod": pod("0/3 nodes are available", disk="ssd"), "vmi": {"spec": {"nodeSelector": {"disk": "ssd"}}}},
    ),
    "host-model": Row(
        ("host_model",),
        [move("Scheduling"), node("worker-2", **{"cpu-model-migration.node.kubevirt.io/Cascadelake-Server": "true"})],
        ("cpu-model-migration.node.kubevirt.io/Icelake-Server-noTSX=true", "CPU model host-model"),
        None,
        {
            "target_pod": pod(
                "0/3 nodes are available",
                **{"cpu-model-migration.node.kubevirt.io/Icelake-Server-noTSX": "true"},
            )
        },
    ),
    "host-model of one chosen node, given up": Row(
        ("host_model",),
        [
            move("Failed", spec={"addedNodeSelector": {"kubernetes.io/hostname": "worker-2"}}),
            node("worker-1", **{"host-model-cpu.node.kubevirt.io/Icelake": "true"}),
            node("worker-3", **{"cpu-model-migration.node.kubevirt.io/Icelake": "true"}),
        ],
        ("cpu-model-migration.node.kubevirt.io/Icelake=true; of worker-2 none has that",),
        None,
        {"events": [UNSCHEDULABLE, TIMEOUT, REMOVED]},
    ),
    "cordoned": Row(
        ("target_cordoned",),
        [
            move("Scheduling", spec={"addedNodeSelector": {"kubernetes.io/hostname": "worker-2"}}),
            merged(node("worker-2"), {"spec": {"unschedulable": True}}),
        ],
        ("Node worker-2 is cordoned",),
        None,
        {"target_pod": pod("0/3 nodes are available: 1 node(s) were unschedulable.")},
    ),
    "virt-handler of the only target": Row(
        ("virt_handler_not_ready",),
        [
            move("Scheduling", spec={"addedNodeSelector": {"kubernetes.io/hostname": "worker-2"}}),
            node("worker-2", **{"kubevirt.io/schedulable": "false"}),
        ],
        ("Node worker-2 has kubevirt.io/schedulable=false",),
        None,
        {"target_pod": pod("0/3 nodes are available")},
    ),
    "an image that cannot be pulled": Row(
        ("target_pod_starting",),
        [move("Scheduling")],
        ("ErrImagePull: rpc error",),
        None,
        {"target_pod": pod(on="worker-2", waiting={"reason": "ErrImagePull", "message": "rpc error"})},
    ),
    "virt-handler while it prepares": Row(
        ("virt_handler_not_ready",),
        [
            move("PreparingTarget"),
            virt_handler("worker-1", True),
            virt_handler("worker-2", False),
        ],
        ("The virt-handler pod on worker-2, the target, is not ready.",),
        None,
        {"vmi": {"status": {"migrationState": state(startTimestamp=None)}}},
    ),
    "prepares for ever": Row(
        ("preparing_stuck",),
        [move("PreparingTarget"), limits(network="migration")],
        ("Its migration network is migration.",),
    ),
    "runs into its limit": Row(
        ("completion_timeout",),
        [move("Running")],
        ("It copies for 1200 s and has to end within 2000 s.",),
        ("migration_policy", "completion_timeout_seconds_per_gib", 400, 800),
        {"vmi": {"status": {"migrationState": state(migrationConfiguration={"completionTimeoutPerGiB": 400})}}},
    ),
    "a lost target": Row(
        ("node_lost",),
        [
            failed(40, "Live migration failed: internal error: unable to reach the target: connection timed out"),
            merged(node("worker-2"), {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}),
        ],
        ("Node worker-2, the target, is not ready.",),
    ),
    "no route": Row(
        ("migration_network_unreachable",),
        [
            failed(
                3, "operation failed: connection to 10.200.5.9 failed: No route to host", targetNodeAddress="10.200.5.9"
            )
        ],
        ("No route to host", "From worker-1 to worker-2 at 10.200.5.9.", "pod network"),
    ),
    "a target pod that died": Row(
        ("target_pod_died",),
        [failed(20, "Target pod is down")],
        ("failureReason: Target pod is down",),
        None,
        {"events": [event("Migration failed because target pod shutdown during migration", "FailedMigration")]},
    ),
    "deleted by somebody": Row(
        ("aborted",),
        [
            move(
                "Running",
                metadata={"deletionTimestamp": at(9)},
                status={"conditions": [{"type": "migrationAbortRequested", "status": "True"}]},
            )
        ],
        ("migrationAbortRequested",),
    ),
    "aborted": Row(("aborted",), [failed(20, ABORTED, abortRequested=True, abortStatus="Succeeded")], (ABORTED,)),
    "another job": Row(
        ("other_migration",),
        [move("Failed")],
        (),
        None,
        {
            "events": [
                event(
                    "VMI is not eligible for migration because another migration job is in progress.", "FailedMigration"
                )
            ]
        },
    ),
    "shut down": Row(
        ("vm_stopped",),
        [move("Failed")],
        ("Its instance is Succeeded",),
        None,
        {
            "events": [event("Migration failed vmi shutdown during migration.", "FailedMigration")],
            "vmi": {"status": {"phase": "Succeeded"}},
        },
    ),
    "what libvirt says": Row(
        ("source_failed",),
        [failed(3, "internal error: qemu unexpectedly closed the monitor")],
        ("qemu unexpectedly closed the monitor",),
        None,
        {"events": [event("source node reported migration failed", "FailedMigration")]},
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_symptoms_become_causes_with_evidence(row: Row) -> None:
    found = diagnose(*row.objects, **row.more)
    assert tuple(entry["symptom"] for entry in found) == row.symptoms
    told = "\n".join(found[0]["evidence"])
    for words in row.evidence:
        assert words in told
    assert all(fact.endswith((".", "...")) or ": " in fact for fact in found[0]["evidence"])
    for entry in found:
        assert entry["source"] == SOURCES[entry["symptom"]]
        assert entry["likely_cause"].endswith(".")
        assert entry["remedy"].endswith((".", ").")) or entry["remedy"]
        for setting in entry["settings"]:
            options = BY_OPTION if setting["module"] == "hco_migration_config" else FIELDS
            assert setting["option"] in options
            assert setting["current"] != setting["suggested"]
    if row.setting is not None:
        first = found[0]["settings"][0]
        assert (first["module"], first["option"], first["current"], first["suggested"]) == row.setting


def test_every_symptom_is_in_the_table() -> None:
    assert {symptom for row in ROWS.values() for symptom in row.symptoms} == set(SYMPTOMS)


def test_the_settings_against_saturation() -> None:
    (timeout, crowded) = diagnose(*ROWS["saturation"].objects)
    assert "4 migrations left worker-1 at that time" in crowded["evidence"][0]
    assert "4 migrations reached worker-2" in crowded["evidence"][1]
    assert "pod network" in crowded["evidence"][2]
    options = [(item["option"], item["current"], item["suggested"]) for item in crowded["settings"]]
    assert options == [
        ("parallel_outbound_migrations_per_node", 4, 2),
        ("parallel_migrations_per_cluster", 10, 3),
    ]
    assert timeout["settings"]


@pytest.mark.parametrize(
    ("start", "end", "crowded"),
    [
        (at(0), None, True),
        (at(100), at(300), True),
        (at(101), at(300), False),
        ("2026-03-01T12:30:00Z", at(1), True),
        ("2026-03-01T12:30:00Z", at(0), False),
    ],
)
def test_only_migrations_at_the_same_time_are_a_crowd(start: str, end: str | None, crowded: bool) -> None:
    own = state("uid-other-0", startTimestamp=start, endTimestamp=end)
    other = merged(others(1, "Running")[0], {"status": {"migrationState": own}})
    symptoms = [entry["symptom"] for entry in diagnose(failed(101, ABORTED), other)]
    assert ("network_saturation" in symptoms) is crowded


def test_what_others_were_seen_to_send_counts() -> None:
    """4 GiB in 40 s are 107 MB/s, less than the 315 MB/s that a cache dirties."""
    cache = {"metadata": {"labels": {"ocpv.scale/workload": "caching"}}}
    earlier = state("uid-other-0", seconds=40)
    other = merged(others(1, "Running")[0], {"status": {"migrationState": earlier}})
    (entry, *_crowd) = diagnose(failed(101, ABORTED), other, vmi=cache)
    assert "Migrations from worker-1 that succeeded have sent about 107 MB/s each." in entry["evidence"]
    assert "faster than it is copied" in entry["likely_cause"]
    assert [item["option"] for item in entry["settings"]] == ["allow_auto_converge"]
    (calm, *_crowd) = diagnose(failed(101, ABORTED), other)
    assert calm["settings"][0]["option"] == "completion_timeout_seconds_per_gib"


def test_without_room_to_raise_a_limit_no_setting_is_named() -> None:
    (entry,) = diagnose(*ROWS["cluster limit at its height without a dedicated network"].objects)
    assert entry["settings"] == []
    assert "Without a dedicated migration network" in entry["remedy"]


@pytest.mark.parametrize(
    "objects",
    [
        [move("Succeeded")],
        [move("Pending", since=at(1195))],
        [move("Running", status={"migrationState": state(migrationConfiguration={"completionTimeoutPerGiB": 0})})],
        # repaired meanwhile
        [failed(101, ABORTED), move("Succeeded", name="again", metadata={"creationTimestamp": at(300)})],
        # long ago
        [merged(failed(101, ABORTED), {"status": {"migrationState": {"endTimestamp": "2026-02-20T12:00:00Z"}}})],
    ],
)
def test_what_is_in_order_gets_no_diagnosis(objects: list[Obj]) -> None:
    assert diagnose(*objects) == []


def test_other_vms_are_not_asked_about() -> None:
    taken = replace(snapshot(*both(spec(), [LIVE]), failed(101, ABORTED)), captured_at=NOW)
    assert diagnoses(taken, {"shop/other"}, Observed()) == []


def test_events_that_tell_nothing_are_left_out() -> None:
    assert message_of(event("Source node reported migration succeeded", "SuccessfulMigration", normal=True)) is None
