"""MachineConfigs and their pools as a cluster has them once all its nodes are up to date."""

from __future__ import annotations

from collections.abc import Iterator

from ..controllers.machine_config import pool_status
from ..controllers.rendering import MASTER, POOL_LABEL, ROLE, WORKER, base_configs, merged, rendered, selected
from .values import INSTALLED_AT, Layout, NodeShape, Obj, stable_uid

_ROLE_LABEL = "node-role.kubernetes.io/"


def pool_name(layout: Layout, node: NodeShape) -> str:
    """The pool that a node belongs to."""
    if node.control_plane:
        return MASTER
    labels = dict(node.labels)
    return next((pool for pool in layout.pools if f"{_ROLE_LABEL}{pool}" in labels), WORKER)


def configurations(layout: Layout) -> tuple[list[Obj], dict[str, str]]:
    """All objects, and the name of the rendered configuration by pool."""
    workers = [node.max_pods for node in layout.nodes if node.worker]
    masters = [node.max_pods for node in layout.nodes if node.control_plane]
    sources = base_configs(WORKER, max(workers, default=250)) + base_configs(MASTER, max(masters, default=250))
    found, names = [*sources], {}
    for pool in map(_pool, (WORKER, MASTER, *layout.pools)):
        name = pool["metadata"]["name"]
        taken = selected(pool, sources)
        config = rendered(name, merged(taken))
        names[name] = config["metadata"]["name"]
        members = {node.name: node for node in layout.nodes if pool_name(layout, node) == name}
        pool["spec"]["configuration"] = {
            "name": names[name],
            "source": [
                {"apiVersion": each["apiVersion"], "kind": each["kind"], "name": each["metadata"]["name"]}
                for each in taken
            ],
        }
        _finish(pool, len(members))
        found += [config, pool]
    for each in found:
        each["metadata"].setdefault("uid", stable_uid(each["kind"], each["metadata"]["name"]))
        each["metadata"].setdefault("creationTimestamp", INSTALLED_AT)
        each["metadata"].setdefault("generation", 1)
    return found, names


def _pool(name: str) -> Obj:
    custom = name not in (WORKER, MASTER)
    labels = {f"{POOL_LABEL}{name}": ""}
    selector: Obj = {"matchLabels": {ROLE: name}}
    if custom:
        selector = {"matchExpressions": [{"key": ROLE, "operator": "In", "values": [WORKER, name]}]}
    else:
        labels["machineconfiguration.openshift.io/mco-built-in"] = ""
    return {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfigPool",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "machineConfigSelector": selector,
            "nodeSelector": {"matchLabels": {f"{_ROLE_LABEL}{name}": ""}},
            "paused": False,
        },
    }


def _finish(pool: Obj, nodes: int) -> None:
    """The status of a pool whose nodes all have its configuration."""
    status = pool_status(pool, pool["spec"]["configuration"]["name"], {})
    status.update(machineCount=nodes, updatedMachineCount=nodes, readyMachineCount=nodes)
    status["conditions"] = [
        {"type": kind, "status": value, "reason": reason, "message": message, "lastTransitionTime": INSTALLED_AT}
        for kind, value, reason, message in status["conditions"]
    ]
    pool["status"] = status


def cluster_network() -> Iterator[Obj]:
    """What the cluster was installed with."""
    content: Obj = {
        "clusterNetwork": [{"cidr": "10.128.0.0/14", "hostPrefix": 23}],
        "networkType": "OVNKubernetes",
        "serviceNetwork": ["172.30.0.0/16"],
    }
    yield {
        "apiVersion": "config.openshift.io/v1",
        "kind": "Network",
        "metadata": {
            "name": "cluster",
            "uid": stable_uid("Network", "cluster"),
            "creationTimestamp": INSTALLED_AT,
            "generation": 1,
        },
        "spec": dict(content),
        "status": {**content, "clusterNetworkMTU": 1400},
    }
