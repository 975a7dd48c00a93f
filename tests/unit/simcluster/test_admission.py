"""What the webhooks let through, change and refuse, with their texts."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from simcluster import admission
from simcluster.auth import ANONYMOUS, User

Obj = dict[str, Any]
ALICE = User("alice")
CONTROLLER = User("system:serviceaccount:openshift-cnv:kubevirt-controller")


class Objects:
    """A store of literals."""

    def __init__(self, *objects: tuple[str, str, Obj]) -> None:
        self._objects = list(objects)

    def get(self, group: str, plural: str, namespace: str, name: str) -> Obj | None:
        return next((obj for obj in self.list(group, plural, namespace) if obj["metadata"]["name"] == name), None)

    def list(
        self, group: str, plural: str, namespace: str | None = None, labels: dict[str, str] | None = None
    ) -> list[Obj]:
        return [
            obj
            for of_group, of_plural, obj in self._objects
            if (of_group, of_plural) == (group, plural)
            and namespace in (None, obj["metadata"].get("namespace", ""))
            and (labels or {}).items() <= (obj["metadata"].get("labels") or {}).items()
        ]


def request(
    operation: str,
    resource: str,
    obj: Obj | None,
    old: Obj | None = None,
    *,
    user: User = ALICE,
    group: str = "kubevirt.io",
) -> admission.Request:
    metadata = (obj or old or {}).get("metadata", {})
    return admission.Request(
        operation, group, "v1", resource, metadata.get("namespace", ""), metadata.get("name", ""), obj, old, user
    )


def instance(name: str = "vm1", phase: str = "Running", *conditions: Obj) -> tuple[str, str, Obj]:
    obj = {
        "metadata": {"name": name, "namespace": "ns", "uid": "u1", "labels": {"app": name}},
        "spec": {"domain": {}},
        "status": {"phase": phase, "conditions": list(conditions)},
    }
    return "kubevirt.io", "virtualmachineinstances", obj


def migration(name: str = "m1", phase: str = "", vmi: str = "vm1") -> Obj:
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": "11", "labels": {"kubevirt.io/vmi-name": vmi}},
        "spec": {"vmiName": vmi},
        "status": {"phase": phase} if phase else {},
    }


def refused(asked: admission.Request, objects: Objects) -> admission.Denied:
    with pytest.raises(admission.Denied) as caught:
        admission.validate(asked, objects)
    return caught.value


class TestMigration:
    resource = "virtualmachineinstancemigrations"

    def create(self, spec: Obj, user: User = ALICE) -> admission.Request:
        return request(
            "CREATE", self.resource, {"metadata": {"name": "new", "namespace": "ns"}, "spec": spec}, user=user
        )

    def test_gets_label_and_finalizer(self) -> None:
        asked = self.create({"vmiName": "vm1"})
        admission.mutate(asked, Objects())
        assert asked.object is not None
        assert asked.object["metadata"]["labels"] == {"kubevirt.io/vmi-name": "vm1"}
        assert asked.object["metadata"]["finalizers"] == ["kubevirt.io/migrationJobFinalize"]

    def test_of_a_running_instance_is_accepted(self) -> None:
        assert admission.validate(self.create({"vmiName": "vm1"}), Objects(instance())) == []

    @pytest.mark.parametrize(
        ("spec", "objects", "code", "text"),
        [
            ({}, [], 422, "vmiName is missing"),
            (
                {"vmiName": "vm1", "priority": "user-triggered"},
                [instance()],
                422,
                "Migration priority queue, only virt-controller is allowed to set priority field",
            ),
            ({"vmiName": "vm1"}, [], 400, 'the VMI "ns/vm1" does not exist'),
            ({"vmiName": "vm1"}, [instance("vm1", "Succeeded")], 400, "Cannot migrate VMI in finalized state."),
            (
                {"vmiName": "vm1"},
                [
                    instance(
                        "vm1",
                        "Running",
                        {"type": "LiveMigratable", "status": "False", "reason": "R", "message": "why"},
                    )
                ],
                400,
                "Cannot migrate VMI, Reason: R, Message: why",
            ),
            (
                {"vmiName": "vm1"},
                [instance(), ("kubevirt.io", "virtualmachineinstancemigrations", migration(phase="Running"))],
                400,
                "in-flight migration detected. Active migration job (11) is currently already in progress for VMI vm1.",
            ),
        ],
    )
    def test_is_refused(self, spec: Obj, objects: list[Any], code: int, text: str) -> None:
        denied = refused(self.create(spec), Objects(*objects))
        assert denied.code == code
        assert (
            denied.message == f'admission webhook "migration-create-validator.kubevirt.io" denied the request: {text}'
        )
        assert (denied.reason, bool(denied.causes)) == (("Invalid", True) if code == 422 else (None, False))

    @pytest.mark.parametrize(
        "objects",
        [
            [instance("vm1", "Scheduling")],
            [instance(), ("kubevirt.io", "virtualmachineinstancemigrations", migration(phase="Failed"))],
            [instance(), ("kubevirt.io", "virtualmachineinstancemigrations", migration(phase="Running", vmi="vm2"))],
            [instance("vm1", "Running", {"type": "Paused", "status": "True"})],
        ],
    )
    def test_is_accepted(self, objects: list[Any]) -> None:
        assert admission.validate(self.create({"vmiName": "vm1"}), Objects(*objects)) == []

    def test_priority_is_the_controllers_to_set(self) -> None:
        asked = self.create({"vmiName": "vm1", "priority": "system-critical"}, CONTROLLER)
        assert admission.validate(asked, Objects(instance())) == []

    def test_spec_never_changes(self) -> None:
        new = copy.deepcopy(migration())
        new["spec"]["vmiName"] = "vm2"
        denied = refused(request("UPDATE", self.resource, new, migration()), Objects())
        assert denied.code == 422
        assert denied.message.endswith("update of Migration object's spec is restricted")

    @pytest.mark.parametrize(("phase", "allowed"), [("Running", False), ("Succeeded", True)])
    def test_label_changes_only_when_final(self, phase: str, allowed: bool) -> None:
        new, old = migration(phase=phase), migration(phase=phase)
        new["metadata"]["labels"] = {}
        asked = request("UPDATE", self.resource, new, old)
        if allowed:
            assert admission.validate(asked, Objects()) == []
        else:
            text = "selector label can't be modified on an in-flight migration"
            assert refused(asked, Objects()).message.endswith(text)


class TestInstance:
    resource = "virtualmachineinstances"

    def test_gets_the_clusters_defaults(self) -> None:
        kubevirt = {"metadata": {"name": "kv"}, "spec": {"configuration": {"evictionStrategy": "LiveMigrate"}}}
        obj = {"metadata": {"name": "a", "namespace": "ns"}, "spec": {"domain": {"memory": {"guest": "1Gi"}}}}
        asked = request("CREATE", self.resource, obj)
        admission.mutate(asked, Objects(("kubevirt.io", "kubevirts", kubevirt)))
        spec = obj["spec"]
        assert spec["evictionStrategy"] == "LiveMigrate"
        assert spec["domain"]["cpu"]["model"] == "host-model"
        assert spec["domain"]["memory"]["maxGuest"] == "4Gi"
        assert obj["status"] == {"phase": "Pending", "runtimeUser": 107}
        assert obj["metadata"]["finalizers"] == ["kubevirt.io/foregroundDeleteVirtualMachine"]

    def changed(self, path: list[str], value: Any, user: User = ALICE) -> admission.Request:
        old = instance()[2]
        new = copy.deepcopy(old)
        parent = new
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = value
        return request("UPDATE", self.resource, new, old, user=user)

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            (["spec", "nodeSelector"], "update of VMI object is restricted"),
            (
                ["metadata", "labels", "kubevirt.io/nodeName"],
                "modification of the following reserved kubevirt.io/ labels on a VMI object is prohibited",
            ),
        ],
    )
    def test_belongs_to_kubevirt(self, path: list[str], text: str) -> None:
        denied = refused(self.changed(path, "x"), Objects())
        assert (denied.code, denied.message.endswith(text)) == (422, True)
        assert admission.validate(self.changed(path, "x", CONTROLLER), Objects()) == []

    @pytest.mark.parametrize("path", [["metadata", "labels", "team"], ["status", "evacuationNodeName"]])
    def test_other_labels_and_status_are_open(self, path: list[str]) -> None:
        assert admission.validate(self.changed(path, "x"), Objects()) == []


class TestVirtualMachine:
    resource = "virtualmachines"

    def machine(self, **spec: Any) -> Obj:
        return {"metadata": {"name": "a", "namespace": "ns"}, "spec": {"template": {"spec": {"domain": {}}}, **spec}}

    def test_gets_identity_and_machine_type(self) -> None:
        obj = self.machine(runStrategy="Always")
        admission.mutate(request("CREATE", self.resource, obj), Objects())
        template = obj["spec"]["template"]
        domain = template["spec"]["domain"]
        assert template["metadata"]["annotations"] == {"kubevirt.io/pci-topology-version": "v3"}
        assert set(domain["firmware"]) == {"uuid", "serial"}
        assert (domain["machine"], domain["resources"]) == ({"type": "q35"}, {})
        assert template["spec"]["architecture"] == "amd64"

    @pytest.mark.parametrize(
        ("spec", "text", "field"),
        [
            (
                {"running": True, "runStrategy": "Always"},
                "Running and RunStrategy are mutually exclusive. Note that Running is deprecated, please use "
                "RunStrategy instead",
                "spec.running",
            ),
            ({}, "One of Running or RunStrategy must be specified", "spec.running"),
            ({"runStrategy": "Sometimes"}, "Invalid RunStrategy (Sometimes)", "spec.runStrategy"),
        ],
    )
    def test_run_strategy_is_checked(self, spec: Obj, text: str, field: str) -> None:
        denied = refused(request("CREATE", self.resource, self.machine(**spec)), Objects())
        assert (denied.code, denied.causes[0]["message"], denied.causes[0]["field"]) == (422, text, field)

    def test_disk_needs_its_volume(self) -> None:
        obj = self.machine(runStrategy="Always")
        obj["spec"]["template"]["spec"]["domain"]["devices"] = {"disks": [{"name": "zzz"}]}
        denied = refused(request("CREATE", self.resource, obj), Objects())
        assert denied.causes[0]["message"] == "spec.template.spec.domain.devices.disks[0].Name 'zzz' not found."

    def test_eviction_strategy_is_one_of_four(self) -> None:
        obj = self.machine(runStrategy="Always")
        obj["spec"]["template"]["spec"]["evictionStrategy"] = "Restart"
        denied = refused(request("UPDATE", self.resource, obj, obj), Objects())
        text = "spec.template.spec.evictionStrategy is set with an unrecognized option: Restart"
        assert denied.causes[0]["message"] == text

    def test_running_is_warned_of(self) -> None:
        warnings = admission.validate(request("CREATE", self.resource, self.machine(running=False)), Objects())
        assert warnings == ["spec.running is deprecated, please use spec.runStrategy instead."]


class TestHyperConverged:
    group = "hco.kubevirt.io"
    kubevirt = (
        "kubevirt.io",
        "kubevirts",
        {"metadata": {"name": "kubevirt-kubevirt-hyperconverged", "namespace": "openshift-cnv"}},
    )

    def ask(
        self, operation: str, spec: Obj, annotations: Obj | None = None, name: str = "kubevirt-hyperconverged"
    ) -> Any:
        obj = {
            "apiVersion": "hco.kubevirt.io/v1",
            "metadata": {"name": name, "namespace": "openshift-cnv", "annotations": annotations or {}},
            "spec": spec,
        }
        return request(operation, "hyperconvergeds", obj, obj, group=self.group)

    def test_has_one_name(self) -> None:
        denied = refused(self.ask("CREATE", {}, name="other"), Objects())
        assert (denied.code, denied.message.rpartition(": ")[2]) == (
            422,
            "metadata.name in body should match 'kubevirt-hyperconverged'",
        )

    def test_update_without_its_kubevirt_names_that_one(self) -> None:
        denied = refused(self.ask("UPDATE", {}), Objects())
        assert (denied.code, denied.reason) == (404, "NotFound")
        assert denied.details == {
            "name": "kubevirt-kubevirt-hyperconverged",
            "group": "kubevirt.io",
            "kind": "KubeVirt",
        }

    def test_update_passes(self) -> None:
        config = {"virtualization": {"liveMigrationConfig": {"bandwidthPerMigration": "64Mi"}}}
        assert admission.validate(self.ask("UPDATE", config), Objects(self.kubevirt)) == []

    @pytest.mark.parametrize("text", ["{", "{}", '[{"op": "add", "path": "/metadata/labels", "value": {}}]'])
    def test_bad_json_patch_is_forbidden(self, text: str) -> None:
        asked = self.ask("UPDATE", {}, {"kubevirt.kubevirt.io/jsonpatch": text})
        denied = refused(asked, Objects(self.kubevirt))
        assert (denied.code, denied.reason) == (403, "Forbidden")
        assert "invalid jsonPatch in the kubevirt.kubevirt.io/jsonpatch annotation: " in denied.message

    def test_negative_count_cannot_be_read(self) -> None:
        asked = self.ask("UPDATE", {"virtualization": {"liveMigrationConfig": {"parallelMigrationsPerCluster": -1}}})
        with pytest.raises(admission.Denied) as caught:
            admission.mutate(asked, Objects())
        assert (caught.value.code, caught.value.message.rpartition(": ")[2]) == (
            400,
            "failed to parse the HyperConverged",
        )


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"completionTimeoutPerGiB": -1}, "spec.completionTimeoutPerGiB"),
        ({"bandwidthPerMigration": "-1Mi"}, "spec.bandwidthPerMigration"),
        ({"maxDowntimeMs": 100}, "spec.maxDowntimeMs"),
    ],
)
def test_migration_policy_numbers(spec: Obj, field: str) -> None:
    obj = {"metadata": {"name": "p"}, "spec": spec}
    asked = request("CREATE", "migrationpolicies", obj, group="migrations.kubevirt.io")
    assert refused(asked, Objects()).causes[0]["field"] == field


def test_second_kubevirt_is_refused() -> None:
    other = ("kubevirt.io", "kubevirts", {"metadata": {"name": "a", "namespace": "b"}})
    denied = refused(request("CREATE", "kubevirts", {"metadata": {"name": "x"}}, user=ANONYMOUS), Objects(other))
    assert (denied.code, denied.message.rpartition(": ")[2]) == (400, "Kubevirt is already created")


def test_other_kinds_and_subresources_pass() -> None:
    assert admission.validate(request("CREATE", "configmaps", {"metadata": {}}, group=""), Objects()) == []
    asked = request(
        "UPDATE", "virtualmachineinstancemigrations", {"spec": {"vmiName": "b"}}, {"spec": {"vmiName": "a"}}
    )
    asked.subresource = "status"
    assert admission.validate(asked, Objects()) == []
