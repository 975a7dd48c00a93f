"""Dumps of oc get and must-gather become the snapshot that the live cluster would have given."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.dump import read_dump
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Resources, Snapshot
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput

SECRET = "correct-horse-battery-staple"


def obj(api_version: str, kind: str, name: str, namespace: str = "", **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": f"uid-{name}", **({"namespace": namespace} if namespace else {})}
    metadata.update(content.pop("metadata", {}))
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


VOLUMES = [
    {"name": "root", "dataVolume": {"name": "disk"}},
    {"name": "init", "cloudInitNoCloud": {"userData": f"#cloud-config\npassword: {SECRET}\n"}},
]
LAUNCHER = obj(
    "v1",
    "Pod",
    "launcher",
    "shop",
    metadata={"labels": {"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": "uid-vmi"}},
    spec={"nodeName": "w1", "containers": [{"name": "c", "resources": {"requests": {"cpu": "500m"}}}]},
    status={"phase": "Running"},
)
HANDLER = obj(
    "v1",
    "Pod",
    "virt-handler-x",
    "openshift-cnv",
    metadata={"labels": {"kubevirt.io": "virt-handler"}},
    spec={"nodeName": "w1", "containers": []},
    status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
)
OBJECTS = [
    obj(
        "v1", "Node", "w1", metadata={"creationTimestamp": "2026-01-01T00:00:00Z"}, status={"allocatable": {"cpu": "8"}}
    ),
    obj("v1", "Namespace", "kube-system"),
    obj("v1", "Namespace", "shop", metadata={"labels": {"since": "2026-03-01T00:00:00Z"}}),
    obj(
        "kubevirt.io/v1",
        "VirtualMachine",
        "web",
        "shop",
        spec={"runStrategy": "Always", "template": {"spec": {"domain": {}, "volumes": VOLUMES}}},
    ),
    obj(
        "kubevirt.io/v1",
        "VirtualMachineInstance",
        "web",
        "shop",
        metadata={"uid": "uid-vmi"},
        spec={"domain": {}, "volumes": VOLUMES},
        status={"phase": "Running", "nodeName": "w1"},
    ),
    LAUNCHER,
    HANDLER,
    obj("v1", "PersistentVolumeClaim", "disk", "shop", spec={"accessModes": ["ReadWriteMany"]}),
    obj("v1", "PersistentVolume", "pv-1", spec={}),
    obj("storage.k8s.io/v1", "StorageClass", "ceph", provisioner="rbd"),
    obj("cdi.kubevirt.io/v1beta1", "StorageProfile", "ceph", status={}),
    obj("cdi.kubevirt.io/v1beta1", "DataVolume", "disk", "shop"),
    obj("kubevirt.io/v1", "VirtualMachineInstanceMigration", "m1", "shop", spec={"vmiName": "web"}),
    obj("migrations.kubevirt.io/v1alpha1", "MigrationPolicy", "fast", spec={}),
    obj("kubevirt.io/v1", "KubeVirt", "kubevirt", "openshift-cnv", status={"observedKubeVirtVersion": "v1.6.1"}),
    obj("hco.kubevirt.io/v1beta1", "HyperConverged", "kubevirt-hyperconverged", "openshift-cnv", spec={}),
    obj("operator.openshift.io/v1", "KubeDescheduler", "cluster", "openshift-kube-descheduler-operator", spec={}),
    obj("apps/v1", "Deployment", "unrelated", "shop"),
]
PLURALS = {
    "Node": "nodes",
    "VirtualMachine": "virtualmachines",
    "VirtualMachineInstance": "virtualmachineinstances",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "PersistentVolume": "persistentvolumes",
    "StorageClass": "storageclasses",
    "StorageProfile": "storageprofiles",
    "DataVolume": "datavolumes",
    "VirtualMachineInstanceMigration": "virtualmachineinstancemigrations",
    "MigrationPolicy": "migrationpolicies",
    "KubeVirt": "kubevirts",
    "HyperConverged": "hyperconvergeds",
    "KubeDescheduler": "kubedeschedulers",
    "Deployment": "deployments",
}


def check(snapshot: Snapshot) -> None:
    assert set(snapshot.nodes) == {"w1"}
    assert snapshot.nodes["w1"].allocatable == Resources(8000)
    assert snapshot.cluster_uid == "uid-kube-system"
    assert snapshot.namespaces == {"kube-system": {}, "shop": {"since": "2026-03-01T00:00:00Z"}}
    vm = snapshot.virtual_machines["shop/web"]
    assert vm.instance is not None
    assert vm.instance.requests == Resources(500, 0, 1)
    assert set(snapshot.claims) == {"shop/disk"}
    assert set(snapshot.persistent_volumes) == {"pv-1"}
    assert set(snapshot.storage_classes) == {"ceph"}
    assert set(snapshot.data_volumes) == {"shop/disk"}
    assert [migration.name for migration in snapshot.migrations] == ["m1"]
    assert [policy.name for policy in snapshot.migration_policies] == ["fast"]
    assert snapshot.virtualization.hyperconverged_api == "hco.kubevirt.io/v1beta1"
    assert snapshot.virtualization.targeted_migration is True
    assert snapshot.virtualization.virt_handler_ready == {"w1": True}
    assert snapshot.descheduler is not None
    assert list(snapshot.missing) == ["usage"]
    assert SECRET not in repr(snapshot)


def as_list(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": objects}


class TestFiles:
    @pytest.mark.parametrize("indent", [None, 4])
    def test_a_json_list(self, tmp_path: Path, indent: int | None) -> None:
        file = tmp_path / "all.json"
        file.write_text(json.dumps(as_list(OBJECTS), indent=indent))
        check(read_dump(file))

    def test_a_yaml_list(self, tmp_path: Path) -> None:
        file = tmp_path / "all.yaml"
        file.write_text(yaml.safe_dump(as_list(OBJECTS)))
        check(read_dump(file))

    def test_times_without_quotes_stay_text(self, tmp_path: Path) -> None:
        file = tmp_path / "all.yaml"
        file.write_text(yaml.safe_dump(as_list(OBJECTS)).replace("'2026-03-01T00:00:00Z'", "2026-03-01T00:00:00Z"))
        check(read_dump(file))

    def test_several_yaml_documents_zipped(self, tmp_path: Path) -> None:
        file = tmp_path / "all.yaml.gz"
        file.write_bytes(gzip.compress(yaml.safe_dump_all([*OBJECTS, None]).encode()))
        check(read_dump(file))

    def test_typed_lists_whose_items_have_no_kind(self, tmp_path: Path) -> None:
        for item in OBJECTS:
            bare = {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}
            document = {"kind": f"{item['kind']}List", "apiVersion": item["apiVersion"], "items": [bare]}
            (tmp_path / f"{item['kind']}-{item['metadata']['name']}.json").write_text(json.dumps(document))
        check(read_dump(tmp_path))

    def test_a_directory_of_files_of_every_sort(self, tmp_path: Path) -> None:
        (tmp_path / "cluster" / "vms").mkdir(parents=True)
        (tmp_path / "cluster" / "vms" / "vms.yml").write_text(yaml.safe_dump_all(OBJECTS[3:5]))
        (tmp_path / "cluster" / "rest.json").write_text(json.dumps(as_list(OBJECTS[:3] + OBJECTS[5:])))
        (tmp_path / "cluster" / "notes.txt").write_text("not { an object")
        check(read_dump(tmp_path))

    def test_v1_is_taken_when_both_versions_are_there(self, tmp_path: Path) -> None:
        newer = obj("hco.kubevirt.io/v1", "HyperConverged", "kubevirt-hyperconverged", "openshift-cnv", spec={})
        for name, objects in {"a": [*OBJECTS, newer], "b": [newer, *OBJECTS]}.items():
            (tmp_path / name).write_text(json.dumps(as_list(objects)))
            assert read_dump(tmp_path / name).virtualization.hyperconverged_api == "hco.kubevirt.io/v1"


class TestMustGather:
    def write(self, root: Path) -> None:
        gathered = root / "quay-io-must-gather-sha256-abc"
        for item in OBJECTS:
            metadata, kind = item["metadata"], item["kind"]
            group = item["apiVersion"].rpartition("/")[0] or "core"
            namespace = metadata.get("namespace")
            if kind == "Namespace":
                place = gathered / "namespaces" / metadata["name"] / f"{metadata['name']}.yaml"
            elif kind == "Pod":
                place = gathered / "namespaces" / namespace / "pods" / metadata["name"] / f"{metadata['name']}.yaml"
            elif namespace:
                place = gathered / "namespaces" / namespace / group / PLURALS[kind] / f"{metadata['name']}.yaml"
            else:
                place = gathered / "cluster-scoped-resources" / group / PLURALS[kind] / f"{metadata['name']}.yaml"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(yaml.safe_dump(item))

    def test_one_file_an_object(self, tmp_path: Path) -> None:
        self.write(tmp_path)
        check(read_dump(tmp_path))

    def test_lists_in_one_file(self, tmp_path: Path) -> None:
        self.write(tmp_path)
        shop = tmp_path / "quay-io-must-gather-sha256-abc" / "namespaces" / "shop"
        (shop / "pods" / "launcher" / "launcher.yaml").unlink()
        (shop / "core" / "persistentvolumeclaims" / "disk.yaml").unlink()
        (shop / "core" / "pods.yaml").write_text(yaml.safe_dump({**as_list([LAUNCHER]), "kind": "PodList"}))
        (shop / "core" / "persistentvolumeclaims.yaml").write_text(
            yaml.safe_dump(as_list([item for item in OBJECTS if item["kind"] == "PersistentVolumeClaim"]))
        )
        check(read_dump(tmp_path))

    def test_files_that_do_not_matter_are_not_opened(self, tmp_path: Path) -> None:
        self.write(tmp_path)
        gathered = tmp_path / "quay-io-must-gather-sha256-abc"
        for place in (
            "namespaces/shop/apps/deployments/broken.yaml",
            "cluster-scoped-resources/apiextensions.k8s.io/customresourcedefinitions/broken.yaml",
            "event-filter.yaml",
        ):
            (gathered / place).parent.mkdir(parents=True, exist_ok=True)
            (gathered / place).write_text("{ broken")
        check(read_dump(tmp_path))

    def test_the_schema_of_migrations_is_found(self, tmp_path: Path) -> None:
        self.write(tmp_path)
        schema = {"openAPIV3Schema": {"properties": {"spec": {"properties": {"vmiName": {}}}}}}
        definition = obj(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "virtualmachineinstancemigrations.kubevirt.io",
            spec={"versions": [{"name": "v1", "served": True, "schema": schema}]},
        )
        place = tmp_path / "quay-io-must-gather-sha256-abc/cluster-scoped-resources/apiextensions.k8s.io"
        (place / "customresourcedefinitions").mkdir(parents=True)
        (place / "customresourcedefinitions" / f"{definition['metadata']['name']}.yaml").write_text(
            yaml.safe_dump(definition)
        )
        assert read_dump(tmp_path).virtualization.targeted_migration is False


class TestMistakes:
    def test_a_dump_without_vms_says_how_to_make_one(self, tmp_path: Path) -> None:
        (tmp_path / "pods.json").write_text(json.dumps(as_list([LAUNCHER])))
        with pytest.raises(InvalidInput, match="no virtual machines") as caught:
            read_dump(tmp_path)
        assert "oc get nodes" in caught.value.hint
        assert str(tmp_path) in caught.value.message

    def test_what_the_dump_does_not_hold_is_told(self, tmp_path: Path) -> None:
        file = tmp_path / "vms.json"
        file.write_text(json.dumps(as_list(OBJECTS[3:5])))
        snapshot = read_dump(file)
        assert snapshot.parts == ("virtual_machines",)
        assert "no PersistentVolumeClaim" in snapshot.missing["claims"]
        assert "no NodeMetrics and no PodMetrics" in snapshot.missing["usage"]

    def test_an_object_of_another_shape_is_named(self, tmp_path: Path) -> None:
        file = tmp_path / "vms.json"
        file.write_text(json.dumps(as_list([*OBJECTS, obj("v1", "Pod", "odd", "shop")])))
        with pytest.raises(InvalidInput, match="Pod shop/odd: .*of the shape"):
            read_dump(file)

    @pytest.mark.parametrize("item", [{"metadata": None}, {"metadata": {}}, {}])
    def test_an_object_without_name_is_told(self, tmp_path: Path, item: dict[str, Any]) -> None:
        file = tmp_path / "vms.json"
        file.write_text(json.dumps(as_list([*OBJECTS, {"apiVersion": "v1", "kind": "Pod", **item}])))
        with pytest.raises(InvalidInput, match="Pod: .*of the shape"):
            read_dump(file)

    def test_a_broken_file_of_many_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "good.json").write_text(json.dumps(as_list(OBJECTS)))
        (tmp_path / "bad.yaml").write_text("a: b\n  c: [")
        with pytest.raises(InvalidInput, match=r"bad.yaml: 'not YAML at line 2'"):
            read_dump(tmp_path)
