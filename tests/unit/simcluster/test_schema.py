"""What happens to custom resources by their schemas, with the texts of a real API server."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simcluster.schema import SchemaInvalid
from simcluster.schema.duplicates import duplicate_fields
from unit.simcluster.schema_cases import REGISTRY, build, config_map, machine, policy, process, refusal, resource

BLOCKED = (
    "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


class TestUnknownFields:
    def test_warn_prunes_and_names_each_field_sorted(self) -> None:
        obj = {**policy({"desiredState": {}, "bogus": 1}), "extra": 2}
        assert process(obj) == ['unknown field "extra"', 'unknown field "spec.bogus"']
        assert obj["spec"] == {"desiredState": {}}
        assert "extra" not in obj

    def test_ignore_prunes_silently(self) -> None:
        obj = policy({"bogus": 1})
        assert process(obj, field_validation="Ignore") == []
        assert obj["spec"] == {}

    def test_strict_refuses_a_create_with_400(self) -> None:
        error = refusal({**policy({"bogus": 1}), "extra": 2}, field_validation="Strict")
        assert (error.code, error.reason) == (400, "BadRequest")
        assert error.message == (
            'NodeNetworkConfigurationPolicy in version "v1" cannot be handled as a NodeNetworkConfigurationPolicy: '
            'strict decoding error: unknown field "extra", unknown field "spec.bogus"'
        )

    def test_strict_refuses_a_patch_with_422_and_quotes_the_whole_object(self) -> None:
        error = refusal(policy({"zzz": 1}), field_validation="Strict", patch=True)
        assert (error.code, error.reason) == (422, "Invalid")
        assert error.message.startswith(' "" is invalid: patch: Invalid value: "{\\"apiVersion\\":\\"nmstate.io/v1\\"')
        assert error.message.endswith(': strict decoding error: unknown field "spec.zzz"')
        assert '\\"zzz\\":1' in error.message

    def test_a_field_that_comes_twice(self) -> None:
        body = b'{"spec": {"x": 1, "list": [{"a": 1, "a": {"b": 1, "b": 2}}], "x": 2}, "kind": "K", "kind": "K"}'
        found = duplicate_fields(body)
        assert found == ["spec.list[0].a", "spec.list[0].a.b", "spec.x", "kind"]
        assert duplicate_fields(b'{"a": [{"a": 1}, {"a": 1}]}') == []
        nncp = resource("nmstate.io", "NodeNetworkConfigurationPolicy")
        assert REGISTRY.decode(nncp, "v1", policy({}), duplicates=found[-1:]) == ['duplicate field "kind"']

    def test_paths_name_list_items_and_map_keys(self) -> None:
        obj = machine({"domain": {"devices": {"disks": [{"name": "a"}, {"name": "b", "bus": "virtio"}]}}})
        assert process(obj) == ['unknown field "spec.template.spec.domain.devices.disks[1].bus"']

    def test_metadata_is_pruned_too(self) -> None:
        assert process(policy({}, colour="red")) == ['unknown field "metadata.colour"']

    def test_free_form_subtrees_are_kept(self) -> None:
        obj = policy({"desiredState": {"interfaces": [{"name": "eth1", "whatever": {"deep": [1]}}]}})
        before = copy.deepcopy(obj)
        assert process(obj) == []
        assert obj["spec"] == before["spec"]

    def test_status_of_an_instance_is_an_ordinary_field(self) -> None:
        obj = {**build("kubevirt.io/v1", "VirtualMachineInstance", {"domain": {"devices": {}}}), "status": {"no": 1}}
        assert process(obj) == ['unknown field "status.no"']

    def test_the_old_hyperconverged_layout_sent_to_v1_is_lost_with_a_warning(self) -> None:
        obj = build("hco.kubevirt.io/v1", "HyperConverged", {"liveMigrationConfig": {"progressTimeout": 1}})
        assert process(obj) == ['unknown field "spec.liveMigrationConfig"']
        assert obj["spec"]["virtualization"]["liveMigrationConfig"]["progressTimeout"] == 150

    def test_core_kinds_prune_as_well(self) -> None:
        assert process({**config_map(), "dota": {}}) == ['unknown field "dota"']


class TestDefaults:
    @pytest.mark.parametrize(
        ("version", "path"),
        [("v1", ("spec", "virtualization", "liveMigrationConfig")), ("v1beta1", ("spec", "liveMigrationConfig"))],
    )
    def test_hyperconverged_gets_its_migration_limits(self, version: str, path: tuple[str, ...]) -> None:
        obj: Any = build(f"hco.kubevirt.io/{version}", "HyperConverged")
        process(obj)
        for name in path:
            obj = obj[name]
        assert obj == {
            "allowAutoConverge": False,
            "allowPostCopy": False,
            "allowWorkloadDisruption": False,
            "completionTimeoutPerGiB": 20,
            "parallelMigrationsPerCluster": 5,
            "parallelOutboundMigrationsPerNode": 1,
            "progressTimeout": 150,
        }

    def test_null_brings_defaults_back(self) -> None:
        obj = build("hco.kubevirt.io/v1beta1", "HyperConverged", {"liveMigrationConfig": None})
        process(obj)
        assert obj["spec"]["liveMigrationConfig"]["parallelMigrationsPerCluster"] == 5

    def test_null_without_a_default_vanishes(self) -> None:
        obj = policy({"maxUnavailable": None})
        assert process(obj) == []
        assert obj["spec"] == {}

    def test_defaults_are_not_shared_between_objects(self) -> None:
        one, two = (build("hco.kubevirt.io/v1", "HyperConverged") for _ in range(2))
        process(one)
        one["spec"]["virtualization"]["liveMigrationConfig"]["progressTimeout"] = 1
        process(two)
        assert two["spec"]["virtualization"]["liveMigrationConfig"]["progressTimeout"] == 150

    def test_pod(self) -> None:
        resources = {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "0.5"}}
        obj = build("v1", "Pod", {"containers": [{"name": "a", "image": "i:1", "resources": resources}]})
        assert process(obj) == []
        assert obj["status"] == {"phase": "Pending"}
        assert obj["spec"]["restartPolicy"] == "Always"
        assert obj["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
        assert obj["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}

    @pytest.mark.parametrize(
        ("kind", "spec", "expected"),
        [
            (
                "PersistentVolumeClaim",
                {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1024Mi"}}},
                {"volumeMode": "Filesystem", "resources": {"requests": {"storage": "1Gi"}}},
            ),
        ],
    )
    def test_core_kinds(self, kind: str, spec: Any, expected: dict[str, Any]) -> None:
        obj = build("v1", kind, spec)
        process(obj)
        assert expected.items() <= obj["spec"].items()

    def test_secret_strings_become_data(self) -> None:
        obj = {**config_map(), "kind": "Secret", "stringData": {"a": "b"}}
        process(obj)
        assert (obj["data"], obj["type"], "stringData" in obj) == ({"a": "Yg=="}, "Opaque", False)


class TestCustomResourceErrors:
    def test_several_errors_stand_in_brackets_and_rules_are_said_to_be_unchecked(self) -> None:
        error = refusal(policy({"maxUnavailable": 1.5, "nodeSelector": {"a": 1}}))
        assert (error.code, error.reason, error.kind, error.group) == (
            422,
            "Invalid",
            "NodeNetworkConfigurationPolicy",
            "nmstate.io",
        )
        assert error.message == (
            'NodeNetworkConfigurationPolicy.nmstate.io "x" is invalid: [spec.maxUnavailable: Invalid value: "number": '
            'spec.maxUnavailable in body must be of type integer,string: "number", spec.nodeSelector.a: Invalid value: '
            f'"integer": spec.nodeSelector.a in body must be of type string: "integer", {BLOCKED}]'
        )
        assert [cause["reason"] for cause in error.causes] == [
            "FieldValueTypeInvalid",
            "FieldValueTypeInvalid",
            "FieldValueInvalid",
        ]
        assert [cause["field"] for cause in error.causes] == ["spec.maxUnavailable", "spec.nodeSelector.a", "<nil>"]

    def test_a_wrong_type(self) -> None:
        pool = build("machineconfiguration.openshift.io/v1", "MachineConfigPool", {"paused": "yes"})
        assert 'spec.paused: Invalid value: "string": spec.paused in body must be of type boolean: "string"' in (
            refusal(pool).message
        )

    def test_a_single_error_has_no_brackets(self) -> None:
        obj = build("migrations.kubevirt.io/v1alpha1", "MigrationPolicy", {})
        error = refusal(obj)
        assert error.message == 'MigrationPolicy.migrations.kubevirt.io "x" is invalid: spec.selectors: Required value'
        assert error.causes == [
            {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selectors"}
        ]

    @pytest.mark.parametrize(
        ("spec", "text"),
        [
            ({"maxDowntimeMs": 0}, "spec.maxDowntimeMs: Invalid value: 0: spec.maxDowntimeMs in body should be greater "
             "than or equal to 1"),
            ({"maxDowntimeMs": 2000001}, "spec.maxDowntimeMs: Invalid value: 2000001: spec.maxDowntimeMs in body "
             "should be less than or equal to 2000000"),
            ({"experimental": {"compression": "gzip"}}, 'spec.experimental.compression: Unsupported value: "gzip": '
             'supported values: "none", "zstd"'),
            ({"bandwidthPerMigration": "64MB"}, 'spec.bandwidthPerMigration: Invalid value: "64MB": '
             "spec.bandwidthPerMigration in body should match '^(\\+|-)?(([0-9]+"),
            ({"allowPostCopy": "true"}, 'spec.allowPostCopy: Invalid value: "string": spec.allowPostCopy in body must '
             'be of type boolean: "string"'),
            ({"experimental": {"downtimeTuning": {"steps": 3_000_000_000}}}, '<nil>: Invalid value: "": Checked value '
             "must be of type integer with format int32 in spec.experimental.downtimeTuning.steps"),
        ],
    )  # fmt: skip
    def test_limits_of_single_fields(self, spec: dict[str, Any], text: str) -> None:
        obj = build("migrations.kubevirt.io/v1alpha1", "MigrationPolicy", {"selectors": {}, **spec})
        assert f'MigrationPolicy.migrations.kubevirt.io "x" is invalid: {text}' in refusal(obj).message

    def test_items_of_a_list(self) -> None:
        obj = machine({"domain": {"devices": {"disks": [{"name": "a"}, {}]}}})
        assert refusal(obj).causes[0] == {
            "field": "spec.template.spec.domain.devices.disks[1].name",
            "message": "Required value",
            "reason": "FieldValueRequired",
        }

    def test_too_many_and_too_few_items(self) -> None:
        disks = [{"name": f"d{i}"} for i in range(257)]
        assert refusal(machine({"domain": {"devices": {"disks": disks}}})).causes[0] == {
            "field": "spec.template.spec.domain.devices.disks",
            "message": "Too many: 257: must have at most 256 items",
            "reason": "FieldValueTooMany",
        }
        check = build("machine.openshift.io/v1beta1", "MachineHealthCheck", {"unhealthyConditions": []})
        assert refusal(check).message.endswith(
            "spec.unhealthyConditions: Invalid value: 0: spec.unhealthyConditions in body should have at least 1 items"
        )

    def test_duplicates_in_lists_with_keys_and_in_sets(self) -> None:
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        check = build("machine.openshift.io/v1beta1", "MachineHealthCheck", {})
        error = refusal({**check, "status": {"conditions": [condition, {**condition, "status": "False"}]}})
        assert error.causes == [
            {
                "field": "status.conditions[1]",
                "message": 'Duplicate value: {"type":"Ready"}',
                "reason": "FieldValueDuplicate",
            }
        ]
        hco = build("hco.kubevirt.io/v1", "HyperConverged", {"virtualization": {"obsoleteCPUModels": ["a", "a"]}})
        assert refusal(hco).message.endswith('spec.virtualization.obsoleteCPUModels[1]: Duplicate value: "a"')

    def test_one_entry_twice_in_metadata_is_accepted(self) -> None:
        process(policy({}, finalizers=["a/b", "a/b"]))

    def test_kind_does_not_fit(self) -> None:
        vm = resource("kubevirt.io", "VirtualMachine")
        with pytest.raises(SchemaInvalid) as caught:
            REGISTRY.process(vm, "v1", {"apiVersion": "kubevirt.io/v1", "kind": "Wrong", "metadata": {"name": "x"}})
        assert caught.value.code == 422
        assert 'kind: Invalid value: "Wrong": must be VirtualMachine' in caught.value.message

    def test_api_version_does_not_fit(self) -> None:
        vm = resource("kubevirt.io", "VirtualMachine")
        with pytest.raises(SchemaInvalid) as caught:
            REGISTRY.process(vm, "v1", {"apiVersion": "kubevirt.io/v2", "kind": "VirtualMachine"})
        assert (caught.value.code, caught.value.message) == (
            400,
            "the API version in the data (kubevirt.io/v2) does not match the expected API version (kubevirt.io/v1)",
        )


class TestRules:
    def test_a_broken_rule_tells_its_message(self) -> None:
        error = refusal(policy({"nodeSelector": {"a/b/c": "x"}}))
        assert error.message == (
            'NodeNetworkConfigurationPolicy.nmstate.io "x" is invalid: spec.nodeSelector: Invalid value: '
            "nodeSelector keys must be valid qualified names"
        )

    def test_a_rule_may_point_elsewhere(self) -> None:
        spec = {"managementState": "Managed", "mode": "Automatic"}
        error = refusal(build("operator.openshift.io/v1", "KubeDescheduler", spec))
        assert error.causes == [
            {
                "field": "metadata",
                "message": "Invalid value: kubedescheduler is a singleton, .metadata.name must be 'cluster'",
                "reason": "FieldValueInvalid",
            }
        ]

    @pytest.mark.parametrize(
        ("profiles", "text"),
        [
            (["LongLifecycle", "LongLifecycle"], "duplicate profiles are not allowed"),
            (
                ["LongLifecycle", "KubeVirtRelieveAndMigrate"],
                "cannot declare LongLifecycle and KubeVirtRelieveAndMigrate profiles simultaneously",
            ),
        ],
    )
    def test_descheduler_profiles(self, profiles: list[str], text: str) -> None:
        spec = {"managementState": "Managed", "mode": "Automatic", "profiles": profiles}
        assert text in refusal(build("operator.openshift.io/v1", "KubeDescheduler", spec, name="cluster")).message

    def test_a_value_that_only_grows(self) -> None:
        def descheduler(revision: int) -> dict[str, Any]:
            spec = {"managementState": "Managed", "mode": "Automatic"}
            obj = build("operator.openshift.io/v1", "KubeDescheduler", spec, name="cluster")
            return {**obj, "status": {"latestAvailableRevision": revision}}

        old = descheduler(3)
        process(old)
        process(descheduler(4), old=old)
        assert "status.latestAvailableRevision: Invalid value: 2: must only increase" in (
            refusal(descheduler(2), old=old).message
        )

    def test_hyperconverged_ratio(self) -> None:
        obj = build("hco.kubevirt.io/v1", "HyperConverged", {"virtualization": {"vmiCPUAllocationRatio": 0}})
        message = refusal(obj).message
        assert "spec.virtualization" in message

    def test_replicas_are_not_negative(self) -> None:
        spec = {"replicas": -1, "selector": {}, "virtualMachineTemplate": {"spec": machine({})["spec"]}}
        error = refusal(build("pool.kubevirt.io/v1beta1", "VirtualMachinePool", spec))
        assert [c["field"] for c in error.causes] == ["spec.replicas", ".spec.replicas"]

    def test_the_name_of_a_hyperconverged(self) -> None:
        error = refusal(build("hco.kubevirt.io/v1", "HyperConverged", name="other"))
        assert error.causes[0] == {
            "field": "metadata.name",
            "message": "Invalid value: \"other\": metadata.name in body should match 'kubevirt-hyperconverged'",
            "reason": "FieldValueInvalid",
        }


class TestRatcheting:
    def test_what_an_update_leaves_alone_is_not_held_against_it(self) -> None:
        old = build("migrations.kubevirt.io/v1alpha1", "MigrationPolicy", {"selectors": {}, "maxDowntimeMs": 0})
        new = copy.deepcopy(old)
        new["spec"]["allowPostCopy"] = True
        process(new, old=old)
        new["spec"]["maxDowntimeMs"] = -1
        assert "spec.maxDowntimeMs" in refusal(new, old=old).message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab:/.", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["template", "spec", "domain", "running", "name", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


class TestSpeed:
    def test_thousands_of_machines_load_in_seconds(self) -> None:
        disks = [{"name": f"d{i}", "disk": {"bus": "virtio"}} for i in range(3)]
        volumes = [{"name": f"d{i}", "persistentVolumeClaim": {"claimName": f"c{i}"}} for i in range(3)]
        domain = {"cpu": {"cores": 4}, "memory": {"guest": "8Gi"}, "devices": {"disks": disks}}
        machines = [machine({"domain": domain, "volumes": volumes}, labels={"tier": "a"}) for _ in range(300)]
        process(machines[0])
        before_seconds = time.process_time()
        for obj in machines[1:]:
            process(obj)
        assert (time.process_time() - before_seconds) / len(machines) < 0.0005


class TestProperties:
    @given(JSON)
    @settings(max_examples=60, deadline=None)
    def test_whatever_comes_in_is_pruned_and_defaulted_once(self, spec: Any) -> None:
        vm = resource("kubevirt.io", "VirtualMachine")
        obj = build("kubevirt.io/v1", "VirtualMachine", spec)
        REGISTRY.decode(vm, "v1", obj)
        again = copy.deepcopy(obj)
        assert REGISTRY.decode(vm, "v1", again) == []
        assert again == obj

    @given(JSON)
    @settings(max_examples=60, deadline=None)
    def test_whatever_comes_in_is_accepted_or_refused_with_a_reason(self, spec: Any) -> None:
        for group, kind in (("hco.kubevirt.io/v1beta1", "HyperConverged"), ("v1", "Pod"), ("v1", "ConfigMap")):
            try:
                process(build(group, kind, spec))
            except SchemaInvalid as error:
                assert error.code in (400, 422)
                assert error.message
