"""Built-in kinds and metadata, with the texts of a real API server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from unit.simcluster.schema_cases import build, config_map, policy, process, refusal


class TestCoreErrors:
    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (
                {"a": 1},
                'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go '
                "struct field ConfigMap.data of type string",
            ),
            (
                "x",
                'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal string into Go '
                "struct field ConfigMap.data of type map[string]string",
            ),
        ],
    )
    def test_config_map_data_are_strings(self, data: Any, text: str) -> None:
        error = refusal({**config_map(), "data": data})
        assert (error.code, error.reason, error.message) == (400, "BadRequest", text)

    def test_the_innermost_type_and_the_whole_path_are_named(self) -> None:
        container = {"name": "a", "image": "b", "env": [{"name": "X", "value": True}]}
        error = refusal(build("v1", "Pod", {"containers": [container]}))
        assert error.message.endswith(
            "json: cannot unmarshal bool into Go struct field EnvVar.spec.containers.env.value of type string"
        )

    def test_a_patch_that_breaks_a_type_is_422(self) -> None:
        error = refusal({**config_map(), "data": {"a": 1}}, patch=True)
        assert error.code == 422
        assert error.message.startswith(' "" is invalid: patch: Invalid value: ')

    @pytest.mark.parametrize(
        ("kind", "spec", "text"),
        [
            ("Pod", {"containers": []}, "spec.containers: Required value"),
            ("Pod", {"containers": [{"name": "a", "image": "b"}] * 2}, 'spec.containers[1].name: Duplicate value: "a"'),
            ("Pod", {"containers": [{"name": "a"}]}, "spec.containers[0].image: Required value"),
            ("Pod", {"containers": [{"name": "a", "image": "b"}], "restartPolicy": "No"},
             'spec.restartPolicy: Unsupported value: "No": supported values: "Always", "Never", "OnFailure"'),
            ("PersistentVolumeClaim", {"accessModes": ["RWX"], "resources": {"requests": {"storage": "1"}}},
             'spec.accessModes[0]: Unsupported value: "RWX"'),
            ("PersistentVolumeClaim", {"accessModes": ["ReadWriteMany"]}, "spec.resources[storage]: Required value"),
            ("Lease", {"leaseDurationSeconds": 0},
             "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"),
            ("Node", {"taints": [{"key": "a", "effect": "Sometimes"}]}, "spec.taints[0].effect: Unsupported value"),
        ],
    )  # fmt: skip
    def test_core_rules(self, kind: str, spec: dict[str, Any], text: str) -> None:
        api_version = "coordination.k8s.io/v1" if kind == "Lease" else "v1"
        error = refusal(build(api_version, kind, spec))
        assert (error.code, error.reason) == (422, "Invalid")
        assert text in error.message

    def test_a_quantity_that_is_none(self) -> None:
        claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "30 GB"}}}
        error = refusal(build("v1", "PersistentVolumeClaim", claim))
        assert (error.code, error.message) == (
            400,
            'PersistentVolumeClaim in version "v1" cannot be handled as a PersistentVolumeClaim: quantities must match '
            "the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        )

    def test_a_claim_is_immutable_but_for_its_size(self) -> None:
        spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
        old = {**build("v1", "PersistentVolumeClaim", spec), "status": {"phase": "Bound"}}
        process(old)
        larger = copy.deepcopy(old)
        larger["spec"]["resources"]["requests"]["storage"] = "2Gi"
        process(larger, old=old)
        other = copy.deepcopy(old)
        other["spec"]["accessModes"] = ["ReadWriteOnce"]
        assert "spec: Forbidden: spec is immutable after creation" in refusal(other, old=old).message

    def test_a_pod_keeps_its_node(self) -> None:
        old = build("v1", "Pod", {"containers": [{"name": "a", "image": "b"}], "nodeName": "n1"})
        process(old)
        moved = copy.deepcopy(old)
        moved["spec"]["nodeName"] = "n2"
        assert "spec: Forbidden: pod updates may not change fields other than" in refusal(moved, old=old).message
        process(moved, old=old, subresource="binding")


class TestMetadata:
    @pytest.mark.parametrize(
        ("meta", "text"),
        [
            ({"name": ""}, "metadata.name: Required value: name or generateName is required"),
            ({"name": "Bad_Name"}, 'metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must'),
            ({"labels": {"a b": "c"}}, 'metadata.labels: Invalid value: "a b": name part must consist of'),
            ({"labels": {"a": "c d"}}, 'metadata.labels: Invalid value: "c d": a valid label must be an empty string'),
            ({"labels": {"a": "x" * 64}}, "must be no more than 63 bytes"),
            ({"annotations": {"/a": ""}}, 'metadata.annotations: Invalid value: "/a": prefix part must be non-empty'),
            ({"annotations": {"a": "x" * 262144}}, "metadata.annotations: Too long: may not be more than 262144 bytes"),
            ({"finalizers": ["a b/c"]}, 'metadata.finalizers: Invalid value: "a b/c": prefix part a lowercase'),
            ({"ownerReferences": [{"kind": "A", "name": "b", "uid": "c"}]},
             'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty'),
        ],
    )  # fmt: skip
    def test_refused(self, meta: dict[str, Any], text: str) -> None:
        assert text in refusal(config_map(**meta)).message

    def test_a_cluster_wide_kind_has_no_namespace(self) -> None:
        error = refusal(policy({}, namespace="p1"))
        assert "metadata.namespace: Forbidden: not allowed on this type" in error.message

    def test_labels_are_strings(self) -> None:
        error = refusal(policy({}, labels={"a": 1}))
        assert (error.code, error.message.rpartition(": ")[2]) == (
            400,
            "cannot unmarshal number into Go struct field ObjectMeta.labels of type string",
        )

    def test_a_finalizer_without_a_path_earns_a_warning_once(self) -> None:
        obj = policy({}, finalizers=["held"])
        warnings = process(obj)
        assert len(warnings) == 1
        assert warnings[0].startswith('metadata.finalizers: "held": prefer a domain-qualified finalizer name')
        assert process(copy.deepcopy(obj), old=obj) == []

    def test_no_new_finalizers_while_terminating(self) -> None:
        old = policy({}, deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["a/b"])
        new = policy({}, deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["a/b", "c/d"])
        assert refusal(new, old=old).message == (
            'NodeNetworkConfigurationPolicy.nmstate.io "x" is invalid: metadata.finalizers: Forbidden: no new '
            'finalizers can be added if the object is being deleted, found new finalizers []string{"c/d"}'
        )

    def test_uid_is_immutable(self) -> None:
        error = refusal(policy({}, uid="b"), old=policy({}, uid="a"))
        assert 'metadata.uid: Invalid value: "b": field is immutable' in error.message

    def test_empty_maps_and_lists_are_dropped(self) -> None:
        obj = policy({}, labels={}, finalizers=[], creationTimestamp=None)
        process(obj)
        assert obj["metadata"] == {"name": "x"}
