"""Nodes, pods and storage as the API returns them become the values of the model."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import parse
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Resources, Taint, Usage
from hypothesis import given
from hypothesis import strategies as st

GIB = 1024**3
MIB = 1024**2


def container(**requests: str) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": {key.replace("_", "-"): value for key, value in requests.items()}}}


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": "web", "uid": "u1", "labels": {"app": "web"}},
        "spec": {"nodeName": "w1", "containers": [container(cpu="100m", memory="64Mi")], **spec},
        "status": {"phase": "Running"},
    }


class TestNode:
    NODE = {
        "metadata": {
            "name": "w1",
            "uid": "n1",
            "labels": {"kubevirt.io/schedulable": "true"},
            "annotations": {"kubevirt.io/heartbeat": "2026-03-01T12:00:00Z"},
        },
        "spec": {"unschedulable": True, "taints": [{"key": "dedicated", "effect": "NoSchedule"}]},
        "status": {
            "allocatable": {
                "cpu": "15500m",
                "memory": "64Gi",
                "pods": "250",
                "hugepages-1Gi": "4Gi",
                "hugepages-2Mi": "0",
                "devices.kubevirt.io/kvm": "1k",
            },
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
        },
    }

    def test_all_fields(self) -> None:
        node = parse.parse_node(self.NODE, Usage(5, 6))
        assert (node.name, node.uid, node.unschedulable, node.ready) == ("w1", "n1", True, True)
        assert node.taints == (Taint("dedicated", "", "NoSchedule"),)
        assert node.allocatable == Resources(
            15500, 64 * GIB, 250, {"hugepages-1Gi": 4 * GIB, "devices.kubevirt.io/kvm": 1000}
        )
        assert node.heartbeat == "2026-03-01T12:00:00Z"
        assert node.usage == Usage(5, 6)
        assert node.runs_vms

    @pytest.mark.parametrize("state", ["False", "Unknown"])
    def test_a_node_that_is_not_known_to_be_ready_is_not(self, state: str) -> None:
        node = copy.deepcopy(self.NODE)
        node["status"]["conditions"][1]["status"] = state  # type: ignore[index]
        assert not parse.parse_node(node).ready

    def test_a_bare_node(self) -> None:
        node = parse.parse_node({"metadata": {"name": "w2"}})
        assert (node.ready, node.taints, node.allocatable, node.labels) == (False, (), Resources(), {})


class TestPod:
    def test_all_fields(self) -> None:
        value = parse.parse_pod(pod())
        assert value is not None
        assert (value.namespace, value.name, value.uid) == ("shop", "web", "u1")
        assert (value.node, value.phase) == ("w1", "Running")
        assert value.requests == Resources(100, 64 * MIB, 1)
        assert (value.vmi_uid, value.migration_uid, value.deleting) == ("", "", False)

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    def test_ended_pods_hold_nothing(self, phase: str) -> None:
        assert parse.parse_pod({**pod(), "status": {"phase": phase}}) is None

    def test_a_pod_without_node_waits(self) -> None:
        value = parse.parse_pod({"metadata": {"namespace": "a", "name": "b"}, "spec": {"containers": []}})
        assert value is not None
        assert (value.node, value.phase) == ("", "Pending")

    def test_launchers_name_their_vmi_and_migration(self) -> None:
        raw = pod()
        raw["metadata"]["labels"] = {
            "kubevirt.io": "virt-launcher",
            "kubevirt.io/created-by": "v1",
            "kubevirt.io/migrationJobUID": "m1",
        }
        raw["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
        value = parse.parse_pod(raw)
        assert value is not None
        assert (value.vmi_uid, value.migration_uid, value.deleting) == ("v1", "m1", True)

    def test_other_pods_with_such_labels_belong_to_no_vmi(self) -> None:
        raw = pod()
        raw["metadata"]["labels"] = {"kubevirt.io": "hotplug-disk", "kubevirt.io/created-by": "v1"}
        value = parse.parse_pod(raw)
        assert value is not None
        assert value.vmi_uid == ""

    def test_only_required_anti_affinity_is_kept(self) -> None:
        term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
        anti = {
            "requiredDuringSchedulingIgnoredDuringExecution": [term],
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}],
        }
        value = parse.parse_pod(pod(affinity={"podAntiAffinity": anti}))
        assert value is not None
        assert value.anti_affinity == (term,)


class TestPodRequests:
    """Examples follow Kubernetes' own table for component-helpers resource.PodRequests."""

    def requests(self, **spec: Any) -> tuple[int, int]:
        found = parse.pod_requests({"containers": [], **spec})
        return found.cpu_millicores, found.memory_bytes

    def test_containers_add_up(self) -> None:
        assert self.requests(containers=[container(cpu="1"), container(cpu="250m", memory="1Gi")]) == (1250, GIB)

    def test_the_largest_init_container_counts_if_it_is_larger(self) -> None:
        containers = [container(cpu="1", memory="1Gi")]
        init = [container(cpu="3"), container(cpu="2", memory="512Mi")]
        assert self.requests(containers=containers, initContainers=init) == (3000, GIB)

    def test_sidecars_add_up_with_containers(self) -> None:
        sidecar = {**container(cpu="500m"), "restartPolicy": "Always"}
        assert self.requests(containers=[container(cpu="1")], initContainers=[sidecar]) == (1500, 0)

    def test_init_containers_run_beside_the_sidecars_before_them(self) -> None:
        sidecar = {**container(cpu="2"), "restartPolicy": "Always"}
        containers = [container(cpu="1")]
        before = [container(cpu="5"), sidecar]
        after = [sidecar, container(cpu="5")]
        assert self.requests(containers=containers, initContainers=before) == (5000, 0)
        assert self.requests(containers=containers, initContainers=after) == (7000, 0)

    def test_overhead_is_added(self) -> None:
        assert self.requests(containers=[container(cpu="1")], overhead={"cpu": "50m", "memory": "1Mi"}) == (1050, MIB)

    def test_requests_of_the_whole_pod_replace_those_of_containers(self) -> None:
        found = parse.pod_requests(
            {
                "containers": [container(cpu="1", ephemeral_storage="10")],
                "resources": {"requests": {"cpu": "4", "memory": "2Gi"}},
            }
        )
        assert found == Resources(4000, 2 * GIB, 1, {"ephemeral-storage": 10})

    def test_a_pod_without_requests_still_counts_as_a_pod(self) -> None:
        assert parse.pod_requests({"containers": [{"name": "c"}]}) == Resources(pods=1)

    @given(
        st.lists(st.integers(0, 4000), min_size=1, max_size=4),
        st.lists(st.tuples(st.integers(0, 4000), st.booleans()), max_size=4),
    )
    def test_never_less_than_the_containers_and_never_more_than_everything(
        self, cpu: list[int], init: list[tuple[int, bool]]
    ) -> None:
        containers = [container(cpu=f"{value}m") for value in cpu]
        init_containers = [
            {**container(cpu=f"{value}m"), "restartPolicy": "Always" if sidecar else None} for value, sidecar in init
        ]
        sidecars = sum(value for value, sidecar in init if sidecar)
        found, _ = self.requests(containers=containers, initContainers=init_containers)
        assert sum(cpu) + sidecars <= found <= sum(cpu) + sum(value for value, _ in init)


class TestStorage:
    def test_a_bound_claim(self) -> None:
        claim = parse.parse_claim(
            {
                "metadata": {"namespace": "shop", "name": "disk"},
                "spec": {
                    "accessModes": ["ReadWriteMany"],
                    "volumeMode": "Block",
                    "storageClassName": "ceph",
                    "volumeName": "pv-1",
                    "resources": {"requests": {"storage": "10Gi"}},
                },
                "status": {"phase": "Bound", "capacity": {"storage": "11Gi"}, "accessModes": ["ReadWriteOnce"]},
            }
        )
        assert (claim.access_modes, claim.volume_mode, claim.phase) == (("ReadWriteMany",), "Block", "Bound")
        assert (claim.storage_class, claim.volume, claim.capacity_bytes) == ("ceph", "pv-1", 11 * GIB)

    def test_an_unbound_claim(self) -> None:
        claim = parse.parse_claim(
            {
                "metadata": {"namespace": "shop", "name": "disk"},
                "spec": {"resources": {"requests": {"storage": "10Gi"}}},
            }
        )
        assert (claim.phase, claim.volume_mode, claim.capacity_bytes) == ("Pending", "Filesystem", 10 * GIB)

    def test_a_local_volume_keeps_its_node_affinity(self) -> None:
        terms = {"nodeSelectorTerms": [{"matchExpressions": []}]}
        spec = {"accessModes": ["ReadWriteOnce"], "nodeAffinity": {"required": terms}}
        volume = parse.parse_persistent_volume({"metadata": {"name": "pv"}, "spec": spec})
        assert volume.node_affinity == terms
        assert parse.parse_persistent_volume({"metadata": {"name": "pv"}}).node_affinity == {}

    def test_a_storage_class_with_its_profile(self) -> None:
        profile = {
            "metadata": {"name": "ceph"},
            "status": {
                "claimPropertySets": [
                    {"accessModes": ["ReadWriteMany", "ReadWriteOnce"], "volumeMode": "Block"},
                    {"accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem"},
                ]
            },
        }
        annotations = {
            "storageclass.kubernetes.io/is-default-class": "true",
            "storageclass.kubevirt.io/is-default-virt-class": "false",
        }
        value = parse.parse_storage_class(
            {"metadata": {"name": "ceph", "annotations": annotations}, "provisioner": "rbd.csi"}, profile
        )
        assert (value.default, value.virt_default, value.provisioner) == (True, False, "rbd.csi")
        assert value.claim_property_sets == (
            ("ReadWriteMany", "Block"),
            ("ReadWriteOnce", "Block"),
            ("ReadWriteOnce", "Filesystem"),
        )

    def test_a_data_volume_s_claim_has_its_name_unless_told_otherwise(self) -> None:
        metadata = {"namespace": "shop", "name": "disk"}
        assert parse.parse_data_volume({"metadata": metadata}).claim == "disk"
        assert parse.parse_data_volume({"metadata": metadata, "status": {"claimName": "other"}}).claim == "other"


class TestTheRest:
    def test_usage_is_rounded_up_and_summed_over_containers(self) -> None:
        metrics = {
            "metadata": {"namespace": "shop", "name": "web"},
            "containers": [
                {"name": "a", "usage": {"cpu": "250000001n", "memory": "1Ki"}},
                {"name": "b", "usage": {"cpu": "1m", "memory": "1Mi"}},
            ],
        }
        assert parse.parse_pod_usage(metrics) == ("shop/web", Usage(252, MIB + 1024))
        assert parse.parse_node_usage({"metadata": {"name": "w1"}, "usage": {"cpu": "2", "memory": "1Gi"}}) == (
            "w1",
            Usage(2000, GIB),
        )

    def test_a_policy_s_selectors_are_apart_from_its_settings(self) -> None:
        policy = parse.parse_migration_policy(
            {
                "metadata": {"name": "fast"},
                "spec": {"allowPostCopy": True, "selectors": {"namespaceSelector": {"tier": "dev"}}},
            }
        )
        assert policy.spec == {"allowPostCopy": True}
        assert (policy.namespace_labels, policy.vmi_labels) == ({"tier": "dev"}, None)

    def test_a_descheduler_predicts_unless_told_to_act(self) -> None:
        assert parse.parse_descheduler({"spec": {}}).mode == "Predictive"
        spec = {"mode": "Automatic", "profiles": ["LongLifecycle"], "deschedulingIntervalSeconds": 60}
        value = parse.parse_descheduler({"spec": spec})
        assert (value.mode, value.profiles, value.interval_seconds) == ("Automatic", ("LongLifecycle",), 60)
