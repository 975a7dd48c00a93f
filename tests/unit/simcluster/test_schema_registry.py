"""Which kinds there are, and how compact schemas come from CRDs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from simcluster.schema import Registry, SchemaInvalid
from simcluster.schema.build import DATA, Unsupported, compact, dump, main, read_crds
from simcluster.schema.nodes import expand, load_nodes
from unit.simcluster.schema_cases import REGISTRY, process, resource


class TestRegistry:
    def test_finds_by_url_and_by_kind(self) -> None:
        vm = REGISTRY.find("kubevirt.io", "virtualmachines")
        assert vm is not None
        assert (vm.kind, vm.versions, vm.storage_version, vm.namespaced) == (
            "VirtualMachine",
            ("v1", "v1alpha3"),
            "v1",
            True,
        )
        assert REGISTRY.by_kind("kubevirt.io", "VirtualMachine") is vm
        assert REGISTRY.find("kubevirt.io", "virtualmachine") is None

    @pytest.mark.parametrize(
        ("group", "kind", "status"),
        [
            ("kubevirt.io", "VirtualMachineInstance", False),
            ("kubevirt.io", "VirtualMachine", True),
            ("kubevirt.io", "VirtualMachineInstanceMigration", True),
            ("hco.kubevirt.io", "HyperConverged", True),
            ("machineconfiguration.openshift.io", "MachineConfig", False),
            ("k8s.cni.cncf.io", "NetworkAttachmentDefinition", False),
            ("", "Node", True),
            ("", "ConfigMap", False),
        ],
    )
    def test_status_subresources(self, group: str, kind: str, status: bool) -> None:
        assert resource(group, kind).has_status is status

    def test_an_older_release_serves_hyperconverged_only_as_v1beta1(self) -> None:
        registry = Registry(hyperconverged_versions=("v1beta1",))
        hco = registry.by_kind("hco.kubevirt.io", "HyperConverged")
        assert hco is not None
        assert (hco.versions, hco.storage_version) == (("v1beta1",), "v1beta1")
        with pytest.raises(ValueError, match="choose from v1, v1beta1"):
            Registry(hyperconverged_versions=("v2",))

    def test_deprecated_versions_say_so(self) -> None:
        vm = resource("kubevirt.io", "VirtualMachine")
        assert REGISTRY.deprecation(vm, "v1") is None
        assert "v1alpha3" in (REGISTRY.deprecation(vm, "v1alpha3") or "")

    def test_crds_are_objects_that_the_schema_of_crds_accepts(self) -> None:
        definitions = list(REGISTRY.custom_resource_definitions())
        assert len(definitions) == len([r for r in REGISTRY.resources() if not r.builtin])
        for definition in definitions:
            assert process(definition) == []

    def test_every_schema_compiles_and_accepts_what_is_empty_or_says_what_is_required(self) -> None:
        for known in REGISTRY.resources():
            for version in known.versions:
                obj: dict[str, Any] = {
                    "apiVersion": known.api_version(version),
                    "kind": known.kind,
                    "metadata": {"name": "x", **({"namespace": "p1"} if known.namespaced else {})},
                }
                try:
                    REGISTRY.process(known, version, obj)
                except SchemaInvalid as error:
                    assert {c["reason"] for c in error.causes} <= {"FieldValueRequired", "FieldValueInvalid"}


def definition(schema: dict[str, Any], **spec: Any) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "things", "singular": "thing", "kind": "Thing"}
    full = {"group": "a.b", "scope": "Namespaced", "names": names, "versions": [version], **spec}
    return {"kind": "CustomResourceDefinition", "metadata": {"name": "things.a.b"}, "spec": full}


def object_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


class TestBuild:
    def test_equal_subtrees_are_written_once_and_descriptions_are_gone(self) -> None:
        part = object_of(a={"type": "string", "description": "words"})
        built = compact(definition(object_of(x=part, y={**part, "description": "more"})))
        assert built["nodes"] == [
            {"type": "string"},
            {"type": "object", "properties": {"a": 0}},
            {"type": "object", "properties": {"x": 1, "y": 1}},
        ]

    def test_a_property_that_is_named_description_stays(self) -> None:
        built = compact(definition(object_of(description={"type": "string"})))
        assert built["nodes"][-1]["properties"] == {"description": 0}

    @pytest.mark.parametrize(
        ("schema", "text"),
        [
            ({"type": "string", "x-kubernetes-validations": [{"rule": "self != ''"}]},
             "no Python check for the CEL rule"),
            ({"type": "string", "format": "ipv4"}, "format 'ipv4' not supported"),
            ({"type": "string", "oneOf": []}, "oneOf not supported"),
            ({"type": "string", "x-kubernetes-validations": [{"rule": "self == true", "messageExpression": "''"}]},
             "messageExpression not supported"),
            ({"x-kubernetes-int-or-string": True}, "without the usual anyOf"),
            ({"type": "object", "additionalProperties": True}, "additionalProperties must be one schema"),
            ({"type": "date"}, "type 'date' not supported"),
        ],
    )  # fmt: skip
    def test_what_could_not_be_honoured_stops_the_build(self, schema: dict[str, Any], text: str) -> None:
        with pytest.raises(Unsupported, match=r"things\.a\.b v1\.field") as caught:
            compact(definition(object_of(field=schema)))
        assert text in str(caught.value)

    def test_a_conversion_webhook_stops_the_build(self) -> None:
        with pytest.raises(Unsupported, match="conversion"):
            compact(definition(object_of(), conversion={"strategy": "Webhook"}))

    def test_the_program_writes_files_and_removes_stale_ones(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source, target = tmp_path / "crds", tmp_path / "out"
        source.mkdir()
        target.mkdir()
        (target / "old.json").write_text("{}")
        (source / "a.yaml").write_text(json.dumps(definition(object_of(x={"type": "string"}))))
        assert main([str(source), "--output", str(target)]) == 0
        assert [p.name for p in target.iterdir()] == ["things.a.b.json"]
        (source / "a.yaml").write_text(json.dumps(definition(object_of(x={"type": "string", "format": "uri"}))))
        assert main([str(source), "--output", str(target)]) == 1
        assert "format 'uri' not supported" in capsys.readouterr().err
        assert main([str(target), "--output", str(target)]) == 1

    @pytest.mark.skipif("SIMCLUSTER_CRDS" not in os.environ, reason="SIMCLUSTER_CRDS names no directory of CRDs")
    def test_the_files_are_those_of_a_directory_of_crds(self) -> None:
        expected = {name: dump(compact(crd)) for name, crd in read_crds(Path(os.environ["SIMCLUSTER_CRDS"])).items()}
        assert {p.name: p.read_text(encoding="utf-8") for p in (DATA / "crds").glob("*.json")} == expected

    @pytest.mark.skipif("SIMCLUSTER_CRDS" not in os.environ, reason="SIMCLUSTER_CRDS names no directory of CRDs")
    def test_nothing_is_lost_in_the_compact_form(self) -> None:
        for crd in read_crds(Path(os.environ["SIMCLUSTER_CRDS"])).values():
            nodes = load_nodes(compact(crd)["nodes"])
            for entry, version in zip(compact(crd)["versions"], crd["spec"]["versions"], strict=True):
                assert expand(nodes[entry["schema"]]) == version["schema"]["openAPIV3Schema"]

    def test_core_types_are_those_of_the_installed_client(self) -> None:
        kubernetes = pytest.importorskip("kubernetes")
        if not kubernetes.__version__.startswith("37."):
            pytest.skip("core.json is made from kubernetes 37")
        from simcluster.schema import build_core

        assert build_core.build() == (DATA / "core.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("served", [True, False])
def test_older_releases_have_no_selector_on_migrations(served: bool) -> None:
    registry = Registry(added_node_selector=served)
    resource = registry.find("kubevirt.io", "virtualmachineinstancemigrations")
    assert resource is not None
    migration = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"name": "m", "namespace": "n"},
        "spec": {"vmiName": "vm", "addedNodeSelector": {"kubernetes.io/hostname": "a"}},
    }
    warnings = registry.decode(resource, "v1", migration)
    assert ("addedNodeSelector" in migration["spec"]) == served
    assert warnings == ([] if served else ['unknown field "spec.addedNodeSelector"'])
