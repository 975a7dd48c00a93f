"""The rules that must hold at every moment, judged event by event. No clock and no HTTP: times come with the events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from . import facts, placement, quantity
from .facts import Instance, Key, Machine, Migration, Obj, Pod
from .findings import Finding, note, violation
from .state import State

DELETED = "DELETED"


@dataclass
class _Suspect:
    """Something that looks wrong but may only be a stream that lags behind; judged again at C(due)."""

    due: float
    confirm: Callable[[float], Finding | None]


class Auditor:
    """Feed it C(begin), then C(observe) and C(tick); C(take) hands over new findings.

    C(lag_seconds): how far the streams of two kinds may be apart. C(overlap_seconds): how long a source pod may still
    run after its migration has ended. C(ignored): "namespace/name" of VMs that others may stop or delete.
    """

    def __init__(self, *, lag_seconds: float = 3.0, overlap_seconds: float = 15.0, ignored: Iterable[str] = ()) -> None:
        self.state = State()
        self.live_moves: dict[Key, int] = {}
        self.cold_moves: set[Key] = set()
        self._lag_seconds = lag_seconds
        self._overlap_seconds = overlap_seconds
        self._ignored = frozenset(ignored)
        self._findings: list[Finding] = []
        self._suspects: dict[tuple[str, str], _Suspect] = {}
        self._over: dict[tuple[str, str], int] = {}
        self._succeeded: dict[tuple[str, Key, str], list[str]] = {}
        self._running: dict[Key, str] = {}
        self._begun = False

    def begin(self, objects: Mapping[str, list[Obj]], now: float) -> None:
        """Take the state before the run; what is wrong there is noted and not held against the run."""
        for kind in ("kubevirts", "nodes", "pods", "virtualmachines", "virtualmachineinstances"):
            for obj in objects.get(kind, []):
                self.observe(kind, "ADDED", obj, now)
        for obj in objects.get("virtualmachineinstancemigrations", []):
            migration = facts.migration(obj)
            self.state.migrations[migration.key] = migration
        for name in list(self.state.totals):
            for resource, total, allowed in self._above(name):
                self._over[name, resource] = total
                amounts = f"{quantity.text(resource, total)} of {quantity.text(resource, allowed)}"
                self._findings.append(note("node_requests", name, f"{resource} {amounts} before the run", now))
        self._begun = True

    def observe(self, kind: str, event: str, obj: Obj, now: float) -> None:
        """One event of a watch: C(kind) is the plural, C(event) ADDED, MODIFIED or DELETED."""
        match kind:
            case "nodes":
                self.state.put_node(facts.node(obj), now)
            case "pods":
                self._pod(facts.pod(obj), event == DELETED, now)
            case "virtualmachines":
                self._machine(facts.machine(obj), event == DELETED, now)
            case "virtualmachineinstances":
                self._instance(facts.instance(obj), event == DELETED, now)
            case "virtualmachineinstancemigrations":
                self._migration(facts.migration(obj), event == DELETED, now)
            case "kubevirts":
                if event != DELETED:
                    self.state.limits.add(facts.limits(obj), now)

    def tick(self, now: float) -> None:
        """Judge again what looked wrong some time ago; call it now and then."""
        for key, suspect in list(self._suspects.items()):
            if suspect.due <= now:
                del self._suspects[key]
                if finding := suspect.confirm(now):
                    self._findings.append(finding)

    def take(self) -> list[Finding]:
        """The findings since the last call."""
        findings, self._findings = self._findings, []
        return findings

    def _suspect(
        self, rule: str, subject: str, delay: float, now: float, confirm: Callable[[float], Finding | None]
    ) -> None:
        self._suspects.setdefault((rule, subject), _Suspect(now + delay, confirm))

    def _pod(self, pod: Pod, deleted: bool, now: float) -> None:
        if deleted:
            self.state.drop_pod(pod.key)
            return
        before = self.state.put_pod(pod)
        if not self._begun or not pod.holds_resources:
            return
        self._capacity(pod.node, pod, now)
        newly_placed = before is None or not before.node
        if pod.instance_uid and newly_placed:
            self._placement(pod, now)
        if pod.instance_uid and pod.running:
            self._overlap(pod.machine, now)

    def _above(self, node_name: str) -> list[tuple[str, int, int]]:
        recent = self.state.nodes.get(node_name)
        node = recent.latest if recent else None
        if node is None:
            return []
        total = self.state.totals[node_name]
        return [
            (resource, amount, node.allocatable[resource])
            for resource, amount in total.items()
            if amount > node.allocatable[resource]
        ]

    def _capacity(self, node_name: str, pod: Pod, now: float) -> None:
        above = {resource: (total, allowed) for resource, total, allowed in self._above(node_name)}
        for key in [key for key in self._over if key[0] == node_name and key[1] not in above]:
            del self._over[key]
        for resource, (total, allowed) in above.items():
            if total <= self._over.get((node_name, resource), 0):
                continue
            self._over[node_name, resource] = total
            rule = "max_pods" if resource == "pods" else "node_requests"
            amounts = f"{quantity.text(resource, total)} of {quantity.text(resource, allowed)}"
            self._findings.append(
                violation(rule, node_name, f"{resource} {amounts} allocatable, with pod {'/'.join(pod.key)}", now)
            )

    def _placement(self, pod: Pod, now: float) -> None:
        subject = "/".join(pod.key)
        nodes = self.state.current_nodes()
        if pod.node in nodes:
            for rule, message in placement.pod_rules(pod, nodes, self.state.neighbours(pod)):
                self._findings.append(violation(rule, subject, f"placed on {pod.node}: {message}", now))

        def confirm(later: float) -> Finding | None:
            recent = self.state.nodes.get(pod.node)
            if recent is None:
                return violation("unknown_node", subject, f"placed on {pod.node}, which does not exist", now)
            broken = [placement.node_rules(pod, node) for node in recent.since(now - self._lag_seconds)]
            if not all(broken):
                return None
            rule, message = broken[0][0]
            return violation(rule, subject, f"placed on {pod.node}: {message}", now)

        if confirm(now):
            self._suspect("node_rules", subject, self._lag_seconds, now, confirm)

    def _overlap(self, machine: Key, now: float) -> None:
        """A machine runs twice: two instances at once, or source and target beyond the end of a migration."""
        subject = "/".join(machine)
        running = self.state.running_launchers(machine)
        if len({pod.instance_uid for pod in running}) > 1 or len(running) > 2:
            where = ", ".join(f"{pod.key[1]} on {pod.node}" for pod in running)
            self._findings.append(violation("runs_twice", subject, f"launchers running at once: {where}", now))
            return
        if len(running) < 2:
            return

        def confirm(later: float) -> Finding | None:
            still = self.state.running_launchers(machine)
            if len(still) < 2:
                return None
            if self.state.unfinished_migration(machine):
                self._suspects["runs_twice", subject] = _Suspect(later + self._overlap_seconds, confirm)
                return None
            where = ", ".join(f"{pod.key[1]} on {pod.node}" for pod in still)
            return violation("runs_twice", subject, f"no migration is under way, yet these run: {where}", later)

        self._suspect("runs_twice", subject, self._overlap_seconds, now, confirm)

    def _machine(self, machine: Machine, deleted: bool, now: float) -> None:
        if not deleted:
            self.state.put_machine(machine, now)
            return
        self.state.machines.pop(machine.key, None)
        subject = "/".join(machine.key)
        if subject not in self._ignored:
            self._findings.append(
                violation("vm_deleted", subject, "the VirtualMachine was deleted during the run", now)
            )

    def _instance(self, instance: Instance, deleted: bool, now: float) -> None:
        key = instance.key
        before = self._running.get(key)
        ended = deleted or instance.phase in facts.FINAL_PHASES
        if deleted:
            self.state.instances.pop(key, None)
        else:
            self.state.instances[key] = instance
        if instance.phase == "Running" and not deleted:
            if before is not None and before != instance.uid:
                self._lost(key, "was replaced by another instance", now)
            self._running[key] = instance.uid
        elif ended and before == instance.uid:
            del self._running[key]
            self._lost(key, "was deleted" if deleted else f"went to phase {instance.phase}", now)

    def _lost(self, key: Key, what: str, now: float) -> None:
        subject = "/".join(key)
        if subject in self._ignored:
            return

        def confirm(later: float) -> Finding | None:
            machine = self.state.machines.get(key)
            announced = self.state.cold_move_seen.get(key, float("-inf")) >= now - self._lag_seconds
            if announced or (machine is not None and machine.moving_cold):
                self.cold_moves.add(key)
                return None
            text = f"its running instance {what} and no cold move is announced ({facts.COLD_MOVE_ANNOTATION})"
            return violation("vm_lost", subject, text, now)

        self._suspect("vm_lost", subject, self._lag_seconds, now, confirm)

    def _migration(self, migration: Migration, deleted: bool, now: float) -> None:
        before = self.state.migrations.get(migration.key)
        if deleted:
            self.state.migrations.pop(migration.key, None)
            return
        self.state.migrations[migration.key] = migration
        if migration.active and not (before is not None and before.active and before.uid == migration.uid):
            self._limits(migration, now)
        if migration.phase == "Succeeded" and not (before is not None and before.phase == "Succeeded"):
            self._succeeded_move(migration, now)

    def _limits(self, migration: Migration, now: float) -> None:
        """KubeVirt never lets one more begin than fit, so a broken limit is judged when one becomes active."""
        active = [other for other in self.state.migrations.values() if other.active]
        source = self.state.source_node(migration)
        leaving = [other for other in active if source and self.state.source_node(other) == source]
        counts = {
            "cluster_limit": (len(active), "per_cluster", "in the cluster"),
            "source_limit": (len(leaving), "per_source", f"from {source}"),
        }
        for rule, (count, field, where) in counts.items():

            def confirm(
                later: float, rule: str = rule, count: int = count, field: str = field, where: str = where
            ) -> Finding | None:
                allowed = [getattr(limits, field) for limits in self.state.limits.since(now - self._lag_seconds)]
                if not allowed or count <= max(allowed):
                    return None
                text = f"{count} active migrations {where}, {max(allowed)} allowed"
                return violation(rule, "/".join(migration.key), text, now)

            if confirm(now):
                self._suspect(rule, "/".join(migration.key), self._lag_seconds, now, confirm)

    def _succeeded_move(self, migration: Migration, now: float) -> None:
        if not migration.run:
            return
        self.live_moves[migration.instance] = self.live_moves.get(migration.instance, 0) + 1
        done = self._succeeded.setdefault((migration.run, migration.instance, migration.move), [])
        done.append(migration.key[1])
        if len(done) > 1:
            text = f"run {migration.run} migrated it {len(done)} times: {', '.join(done)}"
            self._findings.append(violation("moved_twice", "/".join(migration.instance), text, now))
