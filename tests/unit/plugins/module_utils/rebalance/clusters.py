"""Random small clusters for properties of planning."""

from __future__ import annotations

from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Snapshot
from hypothesis import strategies as st
from unit.plugins.module_utils.rebalance.builders import (
    affinity,
    anti_affinity,
    node,
    pod,
    settings,
    snapshot,
    spread,
    term,
    vm,
)

ZONES = ("z1", "z2")
GROUPS = ("red", "blue")


@st.composite
def machine_specs(draw: st.DrawFn, nodes: int) -> dict[str, Any]:
    """Rules of a VM: mostly none, sometimes those that make planning hard."""
    group = draw(st.sampled_from(("", "", *GROUPS)))
    labels = {"group": group} if group else {}
    spec: dict[str, Any] = {}
    rule = draw(st.sampled_from(("", "", "", "", "apart", "apart in zone", "near", "even", "pool", "tolerates")))
    wanted = {"group": draw(st.sampled_from(GROUPS))}
    if rule == "apart":
        spec["affinity"] = anti_affinity(term(wanted))
    elif rule == "apart in zone":
        spec["affinity"] = anti_affinity(term(wanted, "topology.kubernetes.io/zone"))
    elif rule == "near":
        spec["affinity"] = affinity(term(wanted))
    elif rule == "even":
        spec["topology_spread"] = (spread(wanted),)
    elif rule == "pool":
        spec["node_selector"] = {"pool": "a"}
    elif rule == "tolerates":
        spec["tolerations"] = ({"key": "special", "operator": "Exists"},)
    return {"labels": labels, "spec": spec}


@st.composite
def clusters(draw: st.DrawFn, most_nodes: int = 4, most_machines: int = 9, plain: bool = False) -> Snapshot:
    """A cluster whose nodes hold no more than they have. C(plain): no rules between pods, all VMs can move live."""
    count = draw(st.integers(2, most_nodes))
    nodes = [
        node(
            f"node-{index}",
            cpu=draw(st.sampled_from((8, 16))),
            memory_gib=draw(st.sampled_from((16, 32))),
            pods=draw(st.sampled_from((4, 20))) if not plain else 50,
            zone=ZONES[index % 2],
            labels={} if plain or draw(st.booleans()) else {"pool": "a"},
            taints=() if plain or draw(st.integers(0, 4)) else [("special", "", "NoSchedule")],
            unschedulable=not plain and draw(st.integers(0, 9)) == 0,
        )
        for index in range(count)
    ]
    free = {
        item.name: [item.allocatable.cpu_millicores, item.allocatable.memory_bytes, item.allocatable.pods]
        for item in nodes
    }
    machines, pods = [], []
    for index in range(draw(st.integers(0, most_machines))):
        on = draw(st.sampled_from(nodes)).name
        cpu = draw(st.sampled_from((0.5, 1, 2, 4)))
        memory = draw(st.sampled_from((1, 2, 4, 8)))
        more = {} if plain else draw(machine_specs(count))
        if not plain:
            more["live"] = draw(st.integers(0, 4)) > 0
            more["conditions"] = {"Paused": "True"} if draw(st.integers(0, 12)) == 0 else {}
            more["labels"] = {**more["labels"], **draw(_tiers)}
        made = vm(f"vm-{index}", on, cpu=cpu, memory_gib=memory, vcpus=1, **more)
        request = made.instance.requests
        if free[on][0] < request.cpu_millicores or free[on][1] < request.memory_bytes or free[on][2] < 1:
            continue
        free[on] = [free[on][0] - request.cpu_millicores, free[on][1] - request.memory_bytes, free[on][2] - 1]
        machines.append(made)
    if not plain:
        for index in range(draw(st.integers(0, 3))):
            on = draw(st.sampled_from(nodes)).name
            labels = {"group": draw(st.sampled_from(GROUPS))}
            away = [term({"group": draw(st.sampled_from(GROUPS))})] if draw(st.integers(0, 3)) == 0 else []
            if free[on][2] >= 1 and free[on][0] >= 100 and free[on][1] >= 2**28:
                free[on] = [free[on][0] - 100, free[on][1] - 2**28, free[on][2] - 1]
                pods.append(pod(f"pod-{index}", on, namespace="apps", labels=labels, anti_affinity=away))
    limits = settings(
        parallel_migrations_per_cluster=draw(st.integers(1, 4)),
        parallel_outbound_migrations_per_node=draw(st.integers(1, 2)),
    )
    return snapshot(nodes, machines, pods, virtualization={"settings": limits})


_tiers = st.sampled_from(({}, {"ocpv.scale/tier": "dev-test"}, {"ocpv.scale/tier": "critical"}))
