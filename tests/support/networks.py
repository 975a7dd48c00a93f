"""A migration network in a simulated cluster: the options of one, what is there of it, and what goes wrong below it."""

from __future__ import annotations

import json
import time
from typing import Any

from ansible_collections.ocpv.scale.plugins.modules import migration_network, migration_network_verify
from simcluster.testing import RunningCluster

from .modules import run_module_main
from .playbook import AS_JSON, PlaybookRun, run_playbook
from .start import REAL

Obj = dict[str, Any]
PLAYBOOK = "ocpv.scale.configure_migration_network"
# the task that makes policy and attachment
MADE = "Configure the nodes and make the network attachment"
NAMESPACE = "openshift-cnv"
NAME = "migration-network"
NMSTATE = "/apis/nmstate.io/v1"
POLICIES = f"{NMSTATE}/nodenetworkconfigurationpolicies"
STATES = "/apis/nmstate.io/v1beta1/nodenetworkstates"
ATTACHMENTS = f"/apis/k8s.cni.cncf.io/v1/namespaces/{NAMESPACE}/network-attachment-definitions"
# live-migration-best-practices.md, "Configuration Example", with one set of parameters for both halves
VLAN: Obj = {
    "topology": "vlan",
    "interfaces": ["ens2f0"],
    "vlan_id": 3030,
    "range": "10.200.5.0/24",
    "exclude": ["10.200.5.0/30"],
}
_FAULTS = "/api/v1/namespaces/simcluster/configmaps"


def role_variables(**options: Any) -> Obj:
    """Options of the module as variables of the role."""
    return {f"migration_network_{name}": value for name, value in options.items()}


def set_network_faults(cluster: RunningCluster, **faults: Any) -> None:
    """Sets C(nmstate), C(nics) and C(network) of the faults that simcluster.controllers.settings describes; the others
    end."""
    client = cluster.client()
    data = {name: json.dumps(faults[name]) if name in faults else "" for name in ("nmstate", "nics", "network")}
    if client.patch(f"{_FAULTS}/faults", {"data": data}).status == 404:
        client.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "simcluster"}})
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "faults"}, "data": data}
        assert client.post(_FAULTS, body).status == 201
    # until the controllers have seen it
    time.sleep(0.4 if REAL else 0.1)


def policies(cluster: RunningCluster) -> dict[str, Obj]:
    """All node network policies by name."""
    return {item["metadata"]["name"]: item for item in cluster.client().items(POLICIES)}


def attachments(cluster: RunningCluster) -> dict[str, Obj]:
    """The CNI configurations of the network attachments in KubeVirt's namespace, by name."""
    return {
        item["metadata"]["name"]: json.loads(item["spec"]["config"]) for item in cluster.client().items(ATTACHMENTS)
    }


def interfaces(cluster: RunningCluster, node: str) -> dict[str, Obj]:
    """The interfaces of a node by name, OVS bridges left out."""
    state = cluster.client().get(f"{STATES}/{node}").json()["status"]["currentState"]
    return {item["name"]: item for item in state["interfaces"] if item["type"] != "ovs-bridge"}


def all_interfaces(cluster: RunningCluster) -> dict[str, dict[str, int]]:
    """MTUs of all interfaces of all nodes: what a removal has to bring back."""
    return {
        item["metadata"]["name"]: {
            f"{entry['type']} {entry['name']}": entry.get("mtu", 0)
            for entry in item["status"]["currentState"]["interfaces"]
        }
        for item in cluster.client().items(STATES)
    }


def migration_settings(cluster: RunningCluster, version: str = "v1") -> Obj:
    """The liveMigrationConfig of the HyperConverged."""
    (item,) = cluster.client().items(f"/apis/hco.kubevirt.io/{version}/hyperconvergeds")
    spec = item["spec"] if version == "v1beta1" else item["spec"].get("virtualization") or {}
    found: Obj = spec.get("liveMigrationConfig") or {}
    return found


def probe_pods(cluster: RunningCluster) -> list[str]:
    """Names of the probe pods that are there."""
    items = cluster.client().items(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector="ocpv.scale/probe")
    return [item["metadata"]["name"] for item in items]


def play(cluster: RunningCluster, *arguments: str, **options: Any) -> PlaybookRun:
    """Run the playbook with options of the module as variables."""
    told: dict[str, Any] = dict(AS_JSON)
    return run_playbook(PLAYBOOK, cluster.kubeconfig, role_variables(**options), *arguments, **told)


def make(cluster: RunningCluster, **options: Any) -> Obj:
    """Run migration_network for a VLAN, with some options changed or (C(-)) left out."""
    given = {"kubeconfig": str(cluster.kubeconfig), **VLAN, **options}
    return run_module_main(migration_network.main, {name: value for name, value in given.items() if value != "-"})


def remove(cluster: RunningCluster, **options: Any) -> Obj:
    """Run migration_network with C(state=absent)."""
    given = {"kubeconfig": str(cluster.kubeconfig), "state": "absent", **options}
    return run_module_main(migration_network.main, given)


def verify(cluster: RunningCluster, **options: Any) -> Obj:
    """Run migration_network_verify."""
    return run_module_main(migration_network_verify.main, {"kubeconfig": str(cluster.kubeconfig), **options})


def codes(result: Obj) -> set[str]:
    """What a call was refused for."""
    assert result.get("failed"), result
    return {item["code"] for item in result["details"]["problems"] if item["severity"] == "error"}


def nothing_made(cluster: RunningCluster) -> None:
    """Fails if there is a policy, or the attachment."""
    assert policies(cluster) == {}
    assert NAME not in attachments(cluster)
