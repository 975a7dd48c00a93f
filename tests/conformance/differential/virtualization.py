"""KubeVirt's and HyperConverged's kinds: admission, conversion, subresources."""

from __future__ import annotations

from .api import Api
from .case import Case, case, get, patch, post, put, told
from .objects import VERBS, instance, machine, migration, obj, policy

_NODES = {"nodeSelector": {"a": "b"}}


def _running(api: Api, **status: object) -> None:
    """A virtual machine instance that runs; what a handler would write is written directly."""
    api.unrecorded("POST", "vms", machine(runStrategy="Always"))
    api.unrecorded("POST", "vmis", instance())
    live = {"type": "LiveMigratable", "status": "True"}
    content = {"phase": "Running", "nodeName": "n", "conditions": [live], **status}
    answer = api.unrecorded("PATCH", "vmis/vm", {"status": content}, content_type="application/merge-patch+json")
    assert answer.status == 200, answer.body


def migration_of_an_instance(api: Api) -> None:
    _running(api)
    api.post("vmims", migration(), dryRun="All")
    api.post("vmims", migration())
    api.post("vmims", migration("second"))
    api.patch("vmims/m", {"spec": {"vmiName": "other"}})
    api.patch("vmims/m", {"metadata": {"labels": {"kubevirt.io/vmi-name": "other"}}})
    api.patch("vmims/m", {"metadata": {"labels": {"a": "b"}}})
    api.delete("vmims/m")


def migration_that_is_not_possible(api: Api) -> None:
    refused = {"type": "LiveMigratable", "status": "False", "reason": "DisksNotLiveMigratable", "message": "no RWX"}
    _running(api, conditions=[refused])
    api.post("vmims", migration())
    api.put(f"{VERBS}/virtualmachines/vm/migrate", {})


def migration_by_the_verb(api: Api) -> None:
    _running(api)
    api.put(f"{VERBS}/virtualmachines/vm/migrate", {"dryRun": ["All"]})
    api.put(f"{VERBS}/virtualmachines/vm/migrate", {})
    api.put(f"{VERBS}/virtualmachines/vm/migrate", {})


def instances_are_protected(api: Api) -> None:
    _running(api)
    api.patch("vmis/vm", {"spec": {"terminationGracePeriodSeconds": 5}})
    api.patch("vmis/vm", {"metadata": {"labels": {"kubevirt.io/nodeName": "x"}}})
    api.patch("vmis/vm", {"metadata": {"labels": {"a": "b"}}})
    api.patch("vmis/vm", {"status": {"phase": "Failed"}})
    api.get("vmis/vm/status")


def start_and_stop(api: Api) -> None:
    api.post("vms", machine())
    api.put(f"{VERBS}/virtualmachines/vm/stop", {})
    api.put(f"{VERBS}/virtualmachines/vm/start", {})
    api.put(f"{VERBS}/virtualmachines/vm/restart", {})
    api.get("vms/vm")


def start_and_stop_of_a_running_one(api: Api) -> None:
    _running(api)
    api.put(f"{VERBS}/virtualmachines/vm/start", {})
    api.put(f"{VERBS}/virtualmachines/vm/stop", {})


def hyperconverged_in_both_versions(api: Api) -> None:
    old = obj("hco.kubevirt.io/v1beta1", "HyperConverged", "kubevirt-hyperconverged", None,
              spec={"liveMigrationConfig": {"parallelMigrationsPerCluster": 7}})  # fmt: skip
    path = "/apis/hco.kubevirt.io/{v}/namespaces/openshift-cnv/hyperconvergeds/kubevirt-hyperconverged"
    v1, v1beta1 = path.replace("{v}", "v1"), path.replace("{v}", "v1beta1")
    config = {"parallelMigrationsPerCluster": 7}
    dry = {"dryRun": "All"}
    for change in (
        {"spec": {"virtualization": {"liveMigrationConfig": config}}},
        {"spec": {"liveMigrationConfig": config}},
    ):
        for where in (v1, v1beta1):
            found = api.patch(where, change, **dry)
            found["metadata"].pop("managedFields", None)
    api.patch(v1beta1, {"spec": {"liveMigrationConfig": {"parallelMigrationsPerCluster": "x"}}}, **dry)
    api.post("hco-v1beta1", old)


CASES: list[Case] = [
    case("machine", post("vms", machine()), get("vms/vm")),
    case("machine without a strategy", post("vms", machine(runStrategy=None))),
    case("machine with both strategies", post("vms", machine(running=True))),
    case("machine with a disk too many", post("vms", machine(template={"spec": {"domain": {"devices": {"disks": [
        {"name": "zzz", "disk": {"bus": "virtio"}}]}}}}))),
    case("machine of the wrong type", post("vms", machine(template={"spec": {"domain": {
        "devices": {}, "cpu": {"cores": "x"}}}}))),
    case("machine with unknown fields", post("vms", machine(bogus=1)),
         post("vms", machine("b", bogus=1), fieldValidation="Strict")),
    case("machine is changed", post("vms", machine()), patch("vms/vm", {"spec": {"template": {"spec": _NODES}}}),
         patch("vms/vm", {"spec": {"runStrategy": "Manual"}}), patch("vms/vm", {"status": {"ready": True}}),
         patch("vms/vm/status", {"status": {"ready": True}, "spec": {"runStrategy": "Always"}})),
    case("migration of nothing", post("vmims", migration())),
    case("migration without a name", post("vmims", obj("kubevirt.io/v1", "VirtualMachineInstanceMigration", "m", None,
                                                       spec={}))),
    case("migration with priority", post("vmims", migration(priority="system-critical"))),
    case("policy below zero", post("migrationpolicies", policy(completionTimeoutPerGiB=-1))),
    case("second kubevirt", post("/apis/kubevirt.io/v1/namespaces/{ns}/kubevirts",
                                 obj("kubevirt.io/v1", "KubeVirt", "again", None, spec={}))),
    case("verbs of an absent machine", *(put(f"{VERBS}/virtualmachines/x/{verb}", {})
                                         for verb in ("start", "stop", "restart", "migrate"))),
    case("migration of a stopped machine", post("vms", machine()), put(f"{VERBS}/virtualmachines/vm/migrate", {})),
    *told(
        migration_of_an_instance,
        migration_that_is_not_possible,
        migration_by_the_verb,
        instances_are_protected,
        start_and_stop,
        start_and_stop_of_a_running_one,
        hyperconverged_in_both_versions,
    ),
]  # fmt: skip
