# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a migration's target pod finds no node: its selectors, the CPU it needs, cordons, or room.

A migration narrows the nodes down to those that its addedNodeSelector and the VM select; KubeVirt adds the CPU model
and features of a host-model guest and the source's vendor (pkg/virt-controller/watch/migration/migration.go,
createTargetPod). The scheduler says of none of them which one it was.
"""

from __future__ import annotations

from typing import Iterable, Mapping, Sequence

from ...cluster.model import Node
from ...cluster.selectors import labels_match
from ..checks import in_words
from .case import Case
from .findings import CORDONED, HANDLER, HOST_MODEL, NO_ROOM, SELECTOR, Diagnosis, found

_SCHEDULABLE = "kubevirt.io/schedulable"
_HOST_MODEL_OF_NODE = "host-model-cpu.node.kubevirt.io/"
_MODEL = "cpu-model-migration.node.kubevirt.io/"
_CPU_LABELS = (
    _MODEL,
    "cpu-model.node.kubevirt.io/",
    "host-model-required-features.node.kubevirt.io/",
    "cpu-feature.node.kubevirt.io/",
    "cpu-vendor.node.kubevirt.io/",
    "scheduling.node.kubevirt.io/tsc-frequency-",
)


def unschedulable(case: Case) -> Diagnosis:
    """Return why no node takes the target pod."""
    evidence = [*_told(case)]
    added = case.migration.added_node_selector
    others = [node for name, node in sorted(case.nodes.items()) if name != case.source and _SCHEDULABLE in node.labels]
    named = _matching(others, added)
    if added and case.nodes and not named:
        return _no_node_selected(case, evidence)
    cpu, rest = _selectors(case)
    lacking = {key: value for key, value in cpu.items() if not _matching(named, {key: value})}
    if named and lacking:
        return _cpu(case, evidence, named, lacking)
    named = _matching(named, cpu)
    if named and rest and not _matching(named, rest):
        return found(
            SELECTOR,
            "No other node has the labels that the VM selects its nodes by.",
            [*evidence, f"The VM selects {_pairs(rest)}; of {len(named)} nodes that could take it none has that."],
            "Label a node so, or change the VM's nodeSelector.",
        )
    named = _matching(named, rest)
    if named and all(node.unschedulable or not node.ready for node in named):
        return found(
            CORDONED,
            "Every node that it could go to is cordoned or not ready.",
            [*evidence, *(f"Node {node.name} is {_state(node)}." for node in named)],
            "Uncordon the node, or choose another target; a migration to a cordoned node is accepted and never starts.",
        )
    if named and not any(node.runs_vms and case.handlers.get(node.name, True) for node in named):
        return found(
            HANDLER,
            "virt-handler is not ready on any node that it could go to.",
            [*evidence, *(f"Node {node.name} has {_SCHEDULABLE}={node.labels[_SCHEDULABLE]}." for node in named)],
            "Wait if its DaemonSet is being rolled out; else look at the logs of the virt-handler pods.",
        )
    return _no_room(case, evidence, named)


def _told(case: Case) -> Iterable[str]:
    pod = case.pod
    if pod is not None and pod.unschedulable:
        name = f" {case.migration.namespace}/{pod.name}" if pod.name else ""
        yield f"Target pod{name} cannot be scheduled: {pod.unschedulable}"
    for event in case.events:
        if "unschedulable" in event or "timeout period exceeded" in event:
            yield f"Event: {event}"


def _selectors(case: Case) -> tuple[dict[str, str], dict[str, str]]:
    """What the target pod selects besides what was added, CPU labels first and the VM's own second."""
    instance = case.instance
    added = case.migration.added_node_selector
    own = dict(instance.spec.node_selector) if instance else {}
    known = dict(case.pod.selector) if case.pod else {}
    if not known and instance is not None:
        known = {**instance.launcher_selector, **_cpu_of_source(case)}
    cpu = {key: value for key, value in known.items() if key.startswith(_CPU_LABELS)}
    rest = {key: value for key, value in own.items() if key not in added}
    return cpu, rest


def _cpu_of_source(case: Case) -> dict[str, str]:
    """What a first migration of a host-model guest will ask for."""
    instance, source = case.instance, case.nodes.get(case.source)
    if instance is None or source is None or instance.spec.cpu_model not in ("", "host-model"):
        return {}
    if any(key.startswith(_MODEL) for key in instance.launcher_selector):
        return {}
    models = [key[len(_HOST_MODEL_OF_NODE) :] for key in source.labels if key.startswith(_HOST_MODEL_OF_NODE)]
    return {_MODEL + model: "true" for model in models}


def _no_node_selected(case: Case, evidence: Sequence[str]) -> Diagnosis:
    added = case.migration.added_node_selector
    source = case.nodes.get(case.source)
    if source is not None and labels_match(added, source.labels):
        cause = "It is sent to the node that the VM is on already."
    else:
        cause = "It is sent to a node that does not exist or does not run VMs."
    return found(
        SELECTOR,
        cause,
        [*evidence, f"Its addedNodeSelector is {_pairs(added)}, which no other node that runs VMs has."],
        "Name a node by its label kubernetes.io/hostname, which may differ from its name, or leave the choice open.",
    )


def _cpu(case: Case, evidence: Sequence[str], nodes: Sequence[Node], lacking: Mapping[str, str]) -> Diagnosis:
    where = in_words(node.name for node in nodes)
    return found(
        HOST_MODEL,
        "The nodes that it may go to have another CPU than the one that the guest was started on.",
        [
            *evidence,
            f"The guest needs {_pairs(lacking)}; of {where} none has that.",
            f"The VM runs on {case.source} with CPU model {_model(case)}.",
        ],
        "Choose a target of the same CPU generation, give the VM a CPU model that all nodes have (it takes effect at "
        "its next start), or move it cold.",
    )


def _no_room(case: Case, evidence: Sequence[str], nodes: Sequence[Node]) -> Diagnosis:
    message = case.pod.unschedulable if case.pod else case.told
    causes = (
        ("Insufficient", "No node that it may go to has room for the pod's requests."),
        ("untolerated taint", "The nodes that it may go to have taints that the VM does not tolerate."),
        ("anti-affinity", "Rules about which VMs may run together leave it no node."),
        ("topology spread", "The VM's topology spread constraints leave it no node."),
        ("node affinity", "The VM's node affinity leaves it no other node."),
    )
    cause = next((text for word, text in causes if word in message), "The scheduler found no node for the target pod.")
    instance = case.instance
    facts = []
    if instance is not None and instance.requests is not None:
        requests = instance.requests
        gib = requests.memory_bytes / 1024**3
        facts.append(
            f"The pod requests {requests.cpu_millicores}m CPU and {gib:.1f} GiB of memory; source and target hold both."
        )
    if nodes:
        facts.append(f"By their labels {in_words(node.name for node in nodes)} could take it.")
    return found(
        NO_ROOM,
        cause,
        [*evidence, *facts],
        "Make room on a node, choose another target, or add nodes; the pod is given up 300 s after its creation, and "
        "holds one of the cluster's slots until then.",
    )


def _matching(nodes: Sequence[Node], selector: Mapping[str, str]) -> list[Node]:
    return [node for node in nodes if labels_match(selector, node.labels)]


def _pairs(selector: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))


def _model(case: Case) -> str:
    instance = case.instance
    return (instance.spec.cpu_model if instance else "") or "host-model"


def _state(node: Node) -> str:
    return "cordoned" if node.unschedulable else "not ready"
