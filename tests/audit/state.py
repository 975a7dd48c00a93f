"""The cluster as the watches have shown it so far, with a short memory for what streams deliver out of step."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from .facts import Instance, Key, Limits, Machine, Migration, Node, Pod


class Recent[T]:
    """The versions of a value; old ones are forgotten when no window reaches back to them."""

    def __init__(self, keep_seconds: float = 30.0) -> None:
        self._keep_seconds = keep_seconds
        self._versions: list[tuple[float, T]] = []

    def add(self, value: T, now: float) -> None:
        self._versions.append((now, value))
        while len(self._versions) > 1 and self._versions[1][0] < now - self._keep_seconds:
            del self._versions[0]

    @property
    def latest(self) -> T | None:
        return self._versions[-1][1] if self._versions else None

    def since(self, start: float) -> list[T]:
        """Every version that held at C(start) or later."""
        return [
            value
            for number, (_, value) in enumerate(self._versions)
            if number + 1 == len(self._versions) or self._versions[number + 1][0] >= start
        ]


@dataclass
class State:
    """Current objects, and the indexes that make a check cheap."""

    nodes: dict[str, Recent[Node]] = field(default_factory=dict)
    pods: dict[Key, Pod] = field(default_factory=dict)
    machines: dict[Key, Machine] = field(default_factory=dict)
    instances: dict[Key, Instance] = field(default_factory=dict)
    migrations: dict[Key, Migration] = field(default_factory=dict)
    limits: Recent[Limits] = field(default_factory=Recent)
    cold_move_seen: dict[Key, float] = field(default_factory=dict)
    totals: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _of_namespace: dict[str, dict[Key, Pod]] = field(default_factory=lambda: defaultdict(dict))
    _with_terms: dict[Key, Pod] = field(default_factory=dict)
    _launchers: dict[Key, dict[Key, Pod]] = field(default_factory=lambda: defaultdict(dict))

    def put_node(self, node: Node, now: float) -> None:
        self.nodes.setdefault(node.name, Recent()).add(node, now)

    def put_pod(self, pod: Pod) -> Pod | None:
        """Store C(pod); returns what was known of it before."""
        before = self.drop_pod(pod.key)
        self.pods[pod.key] = pod
        if pod.instance_uid:
            self._launchers[pod.machine][pod.key] = pod
        if pod.holds_resources:
            self.totals[pod.node].update(pod.requests)
            self.totals[pod.node]["pods"] += 1000
            self._of_namespace[pod.key[0]][pod.key] = pod
            if pod.anti_affinity:
                self._with_terms[pod.key] = pod
        return before

    def drop_pod(self, key: Key) -> Pod | None:
        before = self.pods.pop(key, None)
        if before is not None and before.holds_resources:
            self.totals[before.node].subtract(before.requests)
            self.totals[before.node]["pods"] -= 1000
            self._of_namespace[key[0]].pop(key, None)
            self._with_terms.pop(key, None)
        if before is not None:
            self._launchers[before.machine].pop(key, None)
        return before

    def put_machine(self, machine: Machine, now: float) -> None:
        before = self.machines.get(machine.key)
        if machine.moving_cold or (before is not None and before.moving_cold):
            self.cold_move_seen[machine.key] = now
        self.machines[machine.key] = machine

    def current_nodes(self) -> dict[str, Node]:
        return {name: latest for name, recent in self.nodes.items() if (latest := recent.latest) is not None}

    def neighbours(self, pod: Pod) -> Iterator[Pod]:
        """Pods that rules of C(pod) or rules about it can speak of."""
        namespaces = {pod.key[0]}
        everywhere = False
        for term in (*pod.affinity, *pod.anti_affinity):
            namespaces.update(term.get("namespaces") or [])
            everywhere = everywhere or term.get("namespaceSelector") is not None
        if everywhere:
            namespaces = set(self._of_namespace)
        for namespace in namespaces:
            yield from self._of_namespace[namespace].values()
        for key, other in self._with_terms.items():
            if key[0] not in namespaces:
                yield other

    def running_launchers(self, machine: Key) -> list[Pod]:
        return [pod for pod in self._launchers.get(machine, {}).values() if pod.running]

    def unfinished_migration(self, instance: Key) -> bool:
        return any(m.instance == instance and not m.final for m in self.migrations.values())

    def source_node(self, migration: Migration) -> str:
        """Where the machine is migrated from: the node of its source pod, else where its instance is."""
        pod = self.pods.get((migration.key[0], migration.source_pod))
        if pod is not None:
            return pod.node
        instance = self.instances.get(migration.instance)
        return migration.source_node or (instance.node if instance is not None else "")
