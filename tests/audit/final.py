"""What must be as before, or be gone, when a run has ended: two complete pictures of the cluster compared. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import facts
from .facts import Instance, Key, Machine, Migration, Node, Obj, Pod
from .findings import Finding, violation

_OWN = "ocpv.scale/"
# KubeVirt writes its own while it works
_OTHERS_KEYS = ("kubevirt.io/",)


@dataclass(frozen=True)
class Picture:
    """Everything that is compared."""

    nodes: dict[str, Node] = field(default_factory=dict)
    launchers: dict[Key, Pod] = field(default_factory=dict)
    machines: dict[Key, Machine] = field(default_factory=dict)
    instances: dict[Key, Instance] = field(default_factory=dict)
    migrations: dict[Key, Migration] = field(default_factory=dict)
    configs: dict[str, Obj] = field(default_factory=dict)
    lease_holders: dict[Key, str] = field(default_factory=dict)


def picture(objects: Mapping[str, list[Obj]]) -> Picture:
    """From lists by plural name."""
    launchers = (facts.pod(obj) for obj in objects.get("pods", []))
    configs = [*objects.get("hyperconvergeds", []), *objects.get("kubevirts", [])]
    return Picture(
        nodes={node.name: node for node in map(facts.node, objects.get("nodes", []))},
        launchers={pod.key: pod for pod in launchers if pod.instance_uid},
        machines={machine.key: machine for machine in map(facts.machine, objects.get("virtualmachines", []))},
        instances={one.key: one for one in map(facts.instance, objects.get("virtualmachineinstances", []))},
        migrations={one.key: one for one in map(facts.migration, objects.get("virtualmachineinstancemigrations", []))},
        configs={f"{obj['kind']}/{obj['metadata']['name']}": obj.get("spec", {}) for obj in configs},
        lease_holders={
            facts.key_of(obj): holder
            for obj in objects.get("leases", [])
            if (holder := (obj.get("spec") or {}).get("holderIdentity"))
        },
    )


def compare(before: Picture, after: Picture, now: float, ignored: Iterable[str] = ()) -> list[Finding]:
    """Violations of what a run promises for its end. C(ignored) are VMs ("namespace/name") that others changed."""
    skip = frozenset(ignored)
    findings: list[Finding] = []
    for key, machine in before.machines.items():
        subject = "/".join(key)
        if subject in skip:
            continue
        if key not in after.machines:
            findings.append(violation("vm_deleted", subject, "the VirtualMachine is gone", now))
            continue
        findings += _changed(subject, machine, after.machines[key], now)
        was, now_is = before.instances.get(key), after.instances.get(key)
        if was is not None and was.phase == "Running" and (now_is is None or now_is.phase != "Running"):
            found = "has no instance" if now_is is None else f"is in phase {now_is.phase}"
            findings.append(violation("not_running", subject, f"ran before the run and {found} at its end", now))
    findings += _leftovers(before, after, now)
    findings += _held_leases(before, after, now)
    for name, node in before.nodes.items():
        if name in after.nodes:
            findings += _node_changes(node, after.nodes[name], now)
    for name, spec in before.configs.items():
        if (found_spec := after.configs.get(name)) != spec:
            where = ", ".join(_differences(spec, found_spec or {})) or "it is gone"
            findings.append(violation("config_changed", name, f"differs from before the run: {where}", now))
    return findings


def _changed(subject: str, before: Machine, after: Machine, now: float) -> list[Finding]:
    findings = []
    if differences := _differences(before.spec, after.spec, "spec"):
        findings.append(violation("vm_changed", subject, f"differs from before the run: {', '.join(differences)}", now))
    for field_name in ("annotations", "labels"):
        old: dict[str, str] = getattr(before, field_name)
        new: dict[str, str] = getattr(after, field_name)
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) == new.get(key) or key.startswith(_OTHERS_KEYS):
                continue
            rule = "leftover" if key.startswith(_OWN) and key not in old else "vm_changed"
            text = f"{field_name} {key}: {old.get(key)!r} before the run, {new.get(key)!r} at its end"
            findings.append(violation(rule, subject, text, now))
    return findings


def _leftovers(before: Picture, after: Picture, now: float) -> list[Finding]:
    findings = []
    for key, migration in after.migrations.items():
        if not migration.final and key not in before.migrations:
            text = f"a migration of {migration.instance[1]} is still {migration.phase or 'new'} (run {migration.run!r})"
            findings.append(violation("leftover", "/".join(key), text, now))
    alive: dict[Key, list[Pod]] = {}
    for pod in after.launchers.values():
        if pod.phase not in facts.FINAL_PHASES:
            alive.setdefault(pod.machine, []).append(pod)
    for machine, pods in alive.items():
        instance = after.instances.get(machine)
        if instance is None or len(pods) > 1 or pods[0].instance_uid != instance.uid:
            names = ", ".join(f"{pod.key[1]} ({pod.phase} on {pod.node or 'no node'})" for pod in pods)
            expected = "no instance needs" if instance is None else "one launcher should be alive, not"
            findings.append(violation("leftover", "/".join(machine), f"{expected} {names}", now))
        elif pods[0].node != instance.node:
            text = f"its launcher runs on {pods[0].node}, its instance says {instance.node}"
            findings.append(violation("leftover", "/".join(machine), text, now))
    return findings


def _held_leases(before: Picture, after: Picture, now: float) -> list[Finding]:
    return [
        violation("leftover", "/".join(key), f"the Lease is still held by {holder}", now)
        for key, holder in after.lease_holders.items()
        if before.lease_holders.get(key) != holder
    ]


def _node_changes(before: Node, after: Node, now: float) -> list[Finding]:
    findings = []
    if before.unschedulable != after.unschedulable:
        state = "cordoned" if after.unschedulable else "uncordoned"
        findings.append(violation("node_changed", before.name, f"was {state} during the run", now))
    if set(before.taints) != set(after.taints):
        text = f"taints: {sorted(before.taints)} before the run, {sorted(after.taints)} at its end"
        findings.append(violation("node_changed", before.name, text, now))
    for key in sorted(set(after.labels) - set(before.labels)):
        if key.startswith(_OWN):
            findings.append(violation("leftover", before.name, f"label {key}={after.labels[key]}", now))
    return findings


def _differences(before: Any, after: Any, path: str = "") -> list[str]:
    """Paths where two trees differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            difference
            for key in sorted(before.keys() | after.keys())
            for difference in _differences(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
        ]
    return [] if before == after else [path]
