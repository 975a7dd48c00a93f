# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands against changing the kubelets of pools, and what it costs: nodes that are drained and rebooted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional, Sequence

from ..cluster.model import Snapshot, VirtualMachine
from ..errors import InvalidInput
from ..migration.findings import LIVE
from ..migration.migratability import Verdict, assess_all
from .objects import CHANGE, CREATE, KEEP, REMOVE, Step, selects
from .pools import MASTER, PodCount, Pool, PoolNode
from .values import DEFAULT_MAX_PODS, MAX_PODS, addresses_of

POOL_DEGRADED = "pool_degraded"
POOL_UPDATING = "pool_updating"
POOL_PAUSED = "pool_paused"
POOLS_TOGETHER = "pools_together"
OTHER_CONFIG = "other_kubelet_config"
NOT_EVICTABLE = "vms_not_evictable"
FEW_ADDRESSES = "few_addresses"
TOO_MANY_PODS = "too_many_pods"
# what can be accepted; a paused pool cannot, since nothing would reach its nodes
ACCEPTABLE = (POOL_DEGRADED, POOL_UPDATING, POOLS_TOGETHER, OTHER_CONFIG, NOT_EVICTABLE, FEW_ADDRESSES, TOO_MANY_PODS)

# eviction strategies, KubeVirt pkg/virt-api/webhooks/validating-webhook/admitters/pod-eviction-admitter.go
_NO_STRATEGY = ("", "None")
_IF_POSSIBLE = "LiveMigrateIfPossible"
_EXTERNAL = "External"
_NAMES_TOLD = 10


@dataclass(frozen=True)
class Problem:
    """What stands against it. C(code) is what the option accept_problems takes."""

    code: str
    message: str
    hint: str = ""
    accepted: bool = False


@dataclass(frozen=True)
class Scene:
    """What was read: pools by name, the nodes of each, KubeletConfig objects, VMs (None: not known), the host prefix
    that leaves a node fewest IPv4 addresses for pods (None: not known), the pods of each node (None: not known)."""

    pools: Mapping[str, Pool]
    nodes: Mapping[str, Sequence[PoolNode]]
    configs: Sequence[Mapping[str, Any]] = ()
    snapshot: Optional[Snapshot] = None
    host_prefix: Optional[int] = None
    pods: Optional[Mapping[str, PodCount]] = None


@dataclass(frozen=True)
class Job:
    """What is to be done: the pools in their order with the step of each, which pools may be paused meanwhile, and the
    kubelet's settings (empty: the objects are to be absent)."""

    steps: Mapping[str, Step]
    managed: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    def due(self, scene: Scene) -> list[str]:
        """Return the pools of the job for which something is left to do."""
        return [name for name, step in self.steps.items() if step.action != KEEP or unfinished(scene.pools[name])]

    def affected(self, scene: Scene) -> list[str]:
        """Return the pools whose nodes are rebooted: those that are due, those that take over what they get, and those
        that an earlier run paused."""
        due = self.due(scene)
        more = [other for name in due if self.steps[name].action != KEEP for other in inheriting(scene, name)]
        more = [name for name in more if not scene.pools[name].paused]
        more += [name for name, pool in scene.pools.items() if pool.record is not None]
        return list(dict.fromkeys([*due, *more]))


def unfinished(pool: Pool) -> bool:
    """Whether a pool has still to bring its nodes to its configuration, or is as an earlier run left it."""
    return pool.record is not None or pool.target != pool.reached


def check_pools(scene: Scene, pools: Sequence[str], managed: Sequence[str]) -> None:
    """Raise InvalidInput for pools that do not exist or are named twice."""
    there = ", ".join(sorted(scene.pools))
    for option, names in (("pools", pools), ("pause", managed)):
        unknown = sorted(set(names) - set(scene.pools))
        if unknown:
            raise InvalidInput(option, unknown, f"the machine config pools are {there}")
        if len(set(names)) != len(names):
            raise InvalidInput(option, list(names), "each pool can be named once")
    if not pools:
        raise InvalidInput("pools", [], f"at least one of the machine config pools {there} is needed")


def problems(scene: Scene, job: Job, accept: Iterable[str] = ()) -> list[Problem]:
    """Return what stands against the job, in the order of its pools; nothing if nothing is left to do."""
    due, affected = job.due(scene), job.affected(scene)
    found = [problem for name in affected for problem in _of_pool(scene, job, name)]
    found += _together(scene, job, due)
    found += _not_evictable(scene, affected)
    found += _addresses(scene, job, due)
    found += _too_many_pods(scene, job)
    accepted = set(accept)
    return [Problem(each.code, each.message, each.hint, each.code in accepted) for each in found]


def _of_pool(scene: Scene, job: Job, name: str) -> Iterable[Problem]:
    pool, step = scene.pools[name], job.steps.get(name)
    # a pool that an earlier run left in the middle goes on
    resumed = pool.record is not None
    if pool.degraded:
        hint = "Repair it first: `oc describe mcp` names the node, the log of its machine-config-daemon the cause."
        yield Problem(POOL_DEGRADED, f"Pool {name} is degraded: {pool.degraded}", hint)
    if step is not None and pool.paused and name not in job.managed and not resumed:
        hint = "Unpause it, or name it in pause: then it is unpaused for its turn and paused again afterwards."
        yield Problem(POOL_PAUSED, f"Pool {name} is paused: no node would be updated.", hint)
    changes = step is None or step.action != KEEP
    if changes and not resumed and not pool.paused and not pool.settled:
        hint = "Wait until it is updated, or both changes reach its nodes together."
        yield Problem(POOL_UPDATING, f"Pool {name} is updating its nodes already.", hint)
    if step is not None and step.action in (CREATE, CHANGE):
        others = [item["metadata"]["name"] for item in scene.configs if selects(item, pool)]
        others = [other for other in others if other != step.name]
        if others:
            message = (
                f"Pool {name} has another KubeletConfig: {', '.join(others)}. They do not merge, the newest holds."
            )
            yield Problem(OTHER_CONFIG, message, f"Change that one (name: {others[0]}), or remove it first.")


def inheriting(scene: Scene, name: str) -> list[str]:
    """Return the pools with nodes that take over what a pool's role gets, and so update together with it."""
    return sorted(pool.name for pool in scene.pools.values() if pool.inherits(name) and scene.nodes.get(pool.name))


def _together(scene: Scene, job: Job, due: Sequence[str]) -> Iterable[Problem]:
    for name in due:
        if job.steps[name].action == KEEP:
            continue
        free = [
            other for other in inheriting(scene, name) if other not in job.managed and not scene.pools[other].paused
        ]
        if free:
            yield Problem(
                POOLS_TOGETHER,
                f"What pool {name} gets, {', '.join(free)} take over and reboot their nodes at the same time.",
                f"Let them wait for their turn or the end: pause: [{', '.join(free)}].",
            )


def _not_evictable(scene: Scene, pools: Sequence[str]) -> Iterable[Problem]:
    verdicts = verdicts_on(scene, pools)
    for name in pools:
        stuck = [vm for vm in machines_on(scene, name) if blocks_drain(scene, vm, verdicts[vm.key])]
        if stuck:
            yield Problem(
                NOT_EVICTABLE,
                f"Pool {name}: {len(stuck)} VMs keep their nodes from being drained: {_some(stuck)}.",
                "Stop them, make them migratable (vm_rwx_check says why they are not), or set their evictionStrategy "
                "to LiveMigrateIfPossible or None.",
            )


def machines_on(scene: Scene, pool: str) -> list[VirtualMachine]:
    """Return the VMs that run on the nodes of a pool, in the order of their keys."""
    if scene.snapshot is None:
        return []
    nodes = {node.name for node in scene.nodes.get(pool, ())}
    machines = scene.snapshot.virtual_machines
    return [machines[key] for key in sorted(machines) if machines[key].node in nodes]


def verdicts_on(scene: Scene, pools: Iterable[str]) -> dict[str, Verdict]:
    """Return the verdicts on the VMs that run on the nodes of these pools, by their keys."""
    machines = [vm for pool in pools for vm in machines_on(scene, pool)]
    return assess_all(scene.snapshot, machines) if scene.snapshot is not None else {}


def _strategy(scene: Scene, vm: VirtualMachine) -> str:
    stated = vm.instance.spec.eviction_strategy if vm.instance else ""
    return stated or (scene.snapshot.virtualization.default_eviction_strategy if scene.snapshot else "")


def blocks_drain(scene: Scene, vm: VirtualMachine, verdict: Verdict) -> bool:
    """Whether a VM keeps its node from being drained."""
    strategy = _strategy(scene, vm)
    if strategy == _EXTERNAL:
        return True
    return strategy not in (*_NO_STRATEGY, _IF_POSSIBLE) and LIVE not in verdict.ways


def _shut_down(scene: Scene, vm: VirtualMachine, verdict: Verdict) -> bool:
    strategy = _strategy(scene, vm)
    return strategy in _NO_STRATEGY or (strategy == _IF_POSSIBLE and LIVE not in verdict.ways)


def _addresses(scene: Scene, job: Job, due: Sequence[str]) -> Iterable[Problem]:
    wanted = job.values.get(MAX_PODS)
    if not due or not isinstance(wanted, int) or scene.host_prefix is None:
        return
    there = addresses_of(scene.host_prefix)
    if wanted > there:
        yield Problem(
            FEW_ADDRESSES,
            f"{MAX_PODS} {wanted}: the pod network's host prefix /{scene.host_prefix} gives a node {there} addresses.",
            "The host prefix is fixed when a cluster is installed; pods without an address do not start.",
        )


def _taking(scene: Scene, job: Job) -> list[str]:
    """Return the pools whose nodes get the job's values: those that are due, and those that take over from them and
    have no KubeletConfig of their own."""
    due = job.due(scene)
    heirs = {other for name in due for other in inheriting(scene, name)}
    own = {name for name in heirs if any(selects(item, scene.pools[name]) for item in scene.configs)}
    return [name for name in job.affected(scene) if name in due or name in heirs - own]


def _too_many_pods(scene: Scene, job: Job) -> Iterable[Problem]:
    wanted = job.values.get(MAX_PODS)
    if not isinstance(wanted, int) or scene.pods is None:
        return
    for name in _taking(scene, job):
        counts = {node.name: scene.pods.get(node.name, PodCount()) for node in scene.nodes.get(name, ())}
        pods, places = sum(count.pods for count in counts.values()), wanted * len(counts)
        cramped = [node for node, count in counts.items() if count.bound > wanted]
        if pods > places:
            text = f"{pods} pods run on its {len(counts)} nodes, which would hold {places}: {pods - places} would wait."
        elif cramped:
            fullest = max(cramped, key=lambda node: counts[node].bound)
            text = f"{fullest} has {counts[fullest].bound} pods of DaemonSets and of its own, which stay."
        else:
            continue
        yield Problem(
            TOO_MANY_PODS,
            f"Pool {name}, {MAX_PODS} {wanted}: {text}",
            "Raise the value, add nodes, or stop what need not run; the launcher of each VM is a pod.",
        )


def cautions(scene: Scene, job: Job) -> list[str]:
    """Return what the job costs: nodes, VMs, and what goes beyond what is tested."""
    due, affected = job.due(scene), job.affected(scene)
    verdicts = verdicts_on(scene, affected)
    told = [text for name in affected if scene.nodes.get(name) for text in _cost(scene, name, verdicts)]
    told += [text for name in _taking(scene, job) for text in _crowded(scene, job, name)]
    wanted = job.values.get(MAX_PODS)
    if due and isinstance(wanted, int) and wanted > DEFAULT_MAX_PODS:
        told.append(
            f"{MAX_PODS} {wanted} is more than OpenShift's {DEFAULT_MAX_PODS}; the reference architecture ran 500 "
            "without trouble, but says that it is not tested for long."
        )
    if MASTER in affected:
        told.append("Pool master is the control plane: the API server answers late while its nodes reboot.")
    if any(job.steps[name].action == REMOVE for name in due):
        told.append(
            "The nodes go back to OpenShift's own settings, or to those of another KubeletConfig of their pool."
        )
    return told


def _cost(scene: Scene, name: str, verdicts: Mapping[str, Verdict]) -> Iterable[str]:
    pool, nodes, machines = scene.pools[name], scene.nodes.get(name, ()), machines_on(scene, name)
    text = f"Pool {name}: {len(nodes)} nodes are drained and rebooted, {pool.at_a_time(len(nodes))} at a time"
    yield f"{text}; {len(machines)} VMs have to leave them." if scene.snapshot else f"{text}."
    down = [vm for vm in machines if _shut_down(scene, vm, verdicts[vm.key])]
    if down:
        yield f"Pool {name}: {len(down)} VMs are not migrated but shut down when their node is drained: {_some(down)}."


def _crowded(scene: Scene, job: Job, name: str) -> Iterable[str]:
    """Tell when the nodes that stay have no room for the pods of those that are drained together."""
    wanted, nodes = job.values.get(MAX_PODS), scene.nodes.get(name, ())
    away = scene.pools[name].at_a_time(len(nodes))
    if not isinstance(wanted, int) or scene.pods is None or away >= len(nodes):
        return
    counts = [scene.pods.get(node.name, PodCount()) for node in nodes]
    going = sum(count.pods - count.bound for count in counts)
    room = sum(sorted(max(0, wanted - count.bound) for count in counts)[: len(nodes) - away])
    if going > room:
        yield (
            f"Pool {name}: {going} pods can go to another node, and with {MAX_PODS} {wanted} there is room for {room} "
            f"while {away} of its {len(nodes)} nodes are away. VMs may have to wait, or keep a node from being drained."
        )


def _some(machines: Sequence[VirtualMachine]) -> str:
    keys = sorted(vm.key for vm in machines)
    more = f" and {len(keys) - _NAMES_TOLD} more" if len(keys) > _NAMES_TOLD else ""
    return ", ".join(keys[:_NAMES_TOLD]) + more
