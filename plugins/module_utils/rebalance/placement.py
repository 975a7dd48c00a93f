# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes a VM may run on at all, whatever else runs there: labels, taints, CPU, devices, storage topology.

VMs that ask for the same share one class, whose answer per node is computed once. Source: KubeVirt
pkg/virt-controller/services/nodeselectorrenderer.go and template.go (selectors of launcher pods),
pkg/virt-controller/watch/migration/migration.go createTargetPod and prepareNodeSelectorForHostCpuModel (what a
migration adds).
"""

from __future__ import annotations

import json
from typing import Any, Mapping, Optional, Sequence

from ..cluster.model import Claim, Node, PersistentVolume, VirtualMachine, VmSpec
from ..cluster.selectors import labels_match, node_terms_match, required_node_terms, untolerated
from .plan import COLD
from .rules import Refusal

SCHEDULABLE = "kubevirt.io/schedulable"
CPU_MANAGER = "kubevirt.io/cpumanager"
ARCHITECTURE = "kubernetes.io/arch"
CPU_MODEL = "cpu-model.node.kubevirt.io/"
CPU_MODEL_MIGRATION = "cpu-model-migration.node.kubevirt.io/"
CPU_FEATURE = "cpu-feature.node.kubevirt.io/"
CPU_VENDOR = "cpu-vendor.node.kubevirt.io/"
HOST_MODEL = "host-model-cpu.node.kubevirt.io/"
HOST_MODEL_FEATURES = "host-model-required-features.node.kubevirt.io/"
MACHINE_TYPE = "machine-type.node.kubevirt.io/"
WORKER = "node-role.kubernetes.io/worker"

# label prefix -> code and wording of the refusal
_LABEL_REFUSALS = (
    (CPU_VENDOR, "cpu_vendor", "its CPU vendor is not {value}, as on the source"),
    (CPU_MODEL_MIGRATION, "cpu_model", "its CPU cannot run the model {value} that the VM was started with"),
    (CPU_MODEL, "cpu_model", "it does not offer the CPU model {value}"),
    (CPU_FEATURE, "cpu_feature", "its CPU has no feature {value}"),
    (MACHINE_TYPE, "machine_type", "it does not offer the machine type {value}"),
    (CPU_MANAGER, "dedicated_cpus", "it has no CPU manager for dedicated CPUs"),
    (ARCHITECTURE, "architecture", "it has another architecture"),
)


class _Class:
    """What a group of alike VMs asks of a node, with the answers found so far."""

    __slots__ = ("labels", "selector", "terms", "tolerations", "volume_terms", "answers", "allowed")

    def __init__(
        self,
        labels: Mapping[str, str],
        selector: Mapping[str, str],
        terms: Sequence[Mapping[str, Any]],
        tolerations: Sequence[Mapping[str, Any]],
        volume_terms: Sequence[tuple[str, Sequence[Mapping[str, Any]]]],
    ) -> None:
        self.labels = labels
        self.selector = selector
        self.terms = terms
        self.tolerations = tolerations
        self.volume_terms = volume_terms
        self.answers: dict[str, tuple[Refusal, ...]] = {}
        self.allowed: Optional[frozenset[str]] = None


class Placement:
    """Answers, per VM and node, what does not depend on other pods. Holds the nodes it is told of."""

    def __init__(
        self,
        claims: Mapping[str, Claim],
        volumes: Mapping[str, PersistentVolume],
        virt_handler_ready: Mapping[str, bool],
        closed_nodes: Sequence[str] = (),
    ) -> None:
        self._claims = claims
        self._volumes = volumes
        self._handler_ready = virt_handler_ready
        self._closed = frozenset(closed_nodes)
        self._nodes: dict[str, Node] = {}
        self._classes: dict[str, _Class] = {}
        self._class_of: dict[str, dict[str, _Class]] = {}  # by VM and mode

    def set_node(self, node: Node) -> None:
        """Take a node as it is now; forgets what was known of it."""
        former = self._nodes.get(node.name)
        self._nodes[node.name] = node
        for known in self._classes.values():
            known.answers.pop(node.name, None)
            known.allowed = None
        if former is not None and former.labels != node.labels:
            # what a live migration carries over from its source comes from the node's labels
            self._class_of.clear()

    def drop_node(self, name: str) -> None:
        self._nodes.pop(name, None)
        for known in self._classes.values():
            known.answers.pop(name, None)
            known.allowed = None

    def forget(self, vm_key: str) -> None:
        """Look at this VM anew: its spec or its node changed."""
        self._class_of.pop(vm_key, None)

    def refusals(self, vm: VirtualMachine, node_name: str, mode: str) -> tuple[Refusal, ...]:
        """Return why the VM may not run on the node, empty if it may. C(mode) is live or cold."""
        own = self._class(vm, mode)
        answer = own.answers.get(node_name)
        if answer is None:
            answer = own.answers[node_name] = tuple(self._judge(own, node_name))
        return answer

    def allowed(self, vm: VirtualMachine, mode: str) -> frozenset[str]:
        """Return the nodes that refusals() has nothing against; equal for all VMs of a class."""
        own = self._class(vm, mode)
        if own.allowed is None:
            own.allowed = frozenset(name for name in self._nodes if not self.refusals(vm, name, mode))
        return own.allowed

    def wanted(self, vm: VirtualMachine, node: Node, mode: str) -> bool:
        """Tell whether the VM's selectors and node affinity accept the node; taints and state are left out."""
        own = self._class(vm, mode)
        return labels_match(own.selector, node.labels) and (
            not own.terms or node_terms_match(own.terms, node.name, node.labels)
        )

    def carried(self, vm: VirtualMachine) -> dict[str, str]:
        """Return what the launcher pod of a live migration that starts now selects: the CPU of the first source binds
        the VM until it is stopped."""
        instance = vm.instance
        if instance is None:
            return {}
        return _carried_labels(instance.launcher_selector, instance.spec, self._nodes.get(instance.node), True)

    def _class(self, vm: VirtualMachine, mode: str) -> _Class:
        own = self._class_of.setdefault(vm.key, {})
        known = own.get(mode)
        if known is None:
            made = self._describe(vm, mode)
            text = json.dumps(
                [made.labels, made.selector, made.terms, made.tolerations, made.volume_terms],
                sort_keys=True,
                default=dict,
            )
            known = own[mode] = self._classes.setdefault(text, made)
        return known

    def _describe(self, vm: VirtualMachine, mode: str) -> _Class:
        instance = vm.instance
        live = mode != COLD and instance is not None
        spec = instance.spec if live and instance else vm.spec
        labels = _spec_labels(spec)
        if instance is not None:
            source = self._nodes.get(instance.node)
            # nodes of older releases carry no machine types; then no pod selects one
            if source is not None and spec.machine_type and MACHINE_TYPE + spec.machine_type in source.labels:
                labels[MACHINE_TYPE + spec.machine_type] = "true"
            labels.update(_carried_labels(instance.launcher_selector, spec, source, live))
        return _Class(
            labels=labels,
            selector=dict(spec.node_selector),
            terms=list(required_node_terms(spec.affinity)),
            tolerations=list(spec.tolerations),
            volume_terms=self._volume_terms(vm),
        )

    def _volume_terms(self, vm: VirtualMachine) -> list[tuple[str, Sequence[Mapping[str, Any]]]]:
        spec = vm.instance.spec if vm.instance else vm.spec
        names = {volume.claim for volume in spec.volumes if volume.claim}
        names.update(status.claim for status in (vm.instance.volume_status if vm.instance else ()) if status.claim)
        found = []
        for name in sorted(names):
            claim = self._claims.get(f"{vm.namespace}/{name}")
            volume = self._volumes.get(claim.volume) if claim else None
            terms = volume.node_affinity.get("nodeSelectorTerms") if volume else None
            if terms:
                found.append((name, terms))
        return found

    def _judge(self, own: _Class, name: str) -> list[Refusal]:
        node = self._nodes.get(name)
        if node is None:
            return [Refusal("node_unknown", f"there is no node {name}")]
        found = _node_state(node, self._closed, self._handler_ready.get(name))
        for taint in untolerated(node, own.tolerations):
            text = f"{taint.key}{'=' + taint.value if taint.value else ''}:{taint.effect}"
            found.append(Refusal("taint", f"{name} has the taint {text}, which the VM does not tolerate"))
        for key, value in own.selector.items():
            if node.labels.get(key) != value:
                found.append(Refusal("node_selector", f"{name} lacks the label {key}={value} that the VM selects"))
        if own.terms and not node_terms_match(own.terms, name, node.labels):
            found.append(Refusal("node_affinity", f"{name} does not meet the VM's required node affinity"))
        for key, value in own.labels.items():
            if node.labels.get(key) != value:
                found.append(_label_refusal(name, key, value))
        for claim, terms in own.volume_terms:
            if not node_terms_match(terms, name, node.labels):
                found.append(Refusal("storage_topology", f"{name} cannot reach the volume of claim {claim}"))
        return found


def _node_state(node: Node, closed: frozenset[str], handler_ready: Optional[bool]) -> list[Refusal]:
    found = []
    if node.name in closed:
        found.append(Refusal("node_closed", f"{node.name} is to be emptied"))
    if not node.ready:
        found.append(Refusal("node_not_ready", f"{node.name} is not ready"))
    if node.unschedulable:
        found.append(Refusal("node_cordoned", f"{node.name} is cordoned"))
    if not node.runs_vms:
        found.append(Refusal("node_no_vms", f"{node.name} takes no VMs: its label {SCHEDULABLE} is not true"))
    elif handler_ready is False:
        found.append(Refusal("virt_handler", f"the virt-handler pod of {node.name} is not ready"))
    if node.control_plane and WORKER not in node.labels:
        found.append(Refusal("control_plane", f"{node.name} is a control-plane node"))
    return found


def _spec_labels(spec: VmSpec) -> dict[str, str]:
    """Labels that KubeVirt makes a launcher pod of this spec select."""
    labels = {}
    if spec.architecture:
        labels[ARCHITECTURE] = spec.architecture
    if spec.cpu_model and spec.cpu_model not in ("host-model", "host-passthrough"):
        labels[CPU_MODEL + spec.cpu_model] = "true"
    for feature in spec.cpu_features:
        labels[CPU_FEATURE + feature] = "true"
    if spec.dedicated_cpus:
        labels[CPU_MANAGER] = "true"
    return labels


def _carried_labels(
    launcher_selector: Mapping[str, str], spec: VmSpec, source: Optional[Node], live: bool
) -> dict[str, str]:
    """Labels beyond the spec: what the present launcher pod selects, and for a live migration what the source's CPU
    demands. A cold move starts anew, so the CPU of the source binds it no longer."""
    labels = {}
    for key, value in launcher_selector.items():
        prefix = key.partition("/")[0]
        if not prefix.endswith("kubevirt.io") or key == SCHEDULABLE:
            continue
        if live or not key.startswith((CPU_MODEL_MIGRATION, CPU_FEATURE, CPU_VENDOR, CPU_MODEL, MACHINE_TYPE)):
            labels[key] = value
    if not live or source is None:
        return labels
    labels.update(
        {key: "true" for key, value in source.labels.items() if key.startswith(CPU_VENDOR) and value == "true"}
    )
    bound = any(key.startswith(CPU_MODEL_MIGRATION) for key in labels)
    if spec.cpu_model in ("", "host-model") and not bound:
        for key in source.labels:
            if key.startswith(HOST_MODEL):
                labels[CPU_MODEL_MIGRATION + key[len(HOST_MODEL) :]] = "true"
            elif key.startswith(HOST_MODEL_FEATURES):
                labels[CPU_FEATURE + key[len(HOST_MODEL_FEATURES) :]] = "true"
    return labels


def _label_refusal(node: str, key: str, value: str) -> Refusal:
    for prefix, code, words in _LABEL_REFUSALS:
        if key.startswith(prefix):
            return Refusal(code, f"{node}: {words.format(value=key[len(prefix) :])}")
    return Refusal("node_label", f"{node} lacks the label {key}={value} that the VM's pod needs")
