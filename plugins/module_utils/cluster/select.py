# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which VMs a job is about: by namespace, name, label or JMESPath."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Collection, Mapping, Optional

from ..errors import InvalidInput
from .labels import label_test
from .model import Instance, Resources, Snapshot, Usage, VirtualMachine, Volume

try:
    import jmespath
except ImportError:  # needed for select only, and told then
    jmespath = None  # type: ignore[assignment]

_WILDCARDS = frozenset("*?[")
_SELECT_NEEDED = (
    "a JMESPath expression that takes the list of VMs and returns those to select is needed, such as "
    "[?memory_bytes > `8589934592` && labels.app == 'db']"
)


@dataclass(frozen=True)
class Selection:
    """What is asked for; a VM is selected when it fits everything that is not empty.

    C(names) and C(exclude) hold "namespace/name" or "name" (in any namespace); both may contain shell wildcards.
    C(label_selector) is about the labels of the VM object, C(select) is a JMESPath expression from the list of all VM
    documents (vm_document) to those selected.
    """

    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    label_selector: str = ""
    select: str = ""
    exclude: tuple[str, ...] = ()


def choose(snapshot: Snapshot, selection: Selection) -> list[VirtualMachine]:
    """Return the selected VMs in the order of their keys.

    Raises InvalidInput naming the option for namespaces and names that are not there and expressions that do not work.
    """
    machines = [snapshot.virtual_machines[key] for key in sorted(snapshot.virtual_machines)]
    _check_namespaces(snapshot, selection.namespaces)
    if selection.namespaces:
        machines = [vm for vm in machines if vm.namespace in selection.namespaces]
    if selection.names:
        machines = _named(machines, selection.names, "names")
    if selection.label_selector:
        fits = label_test(selection.label_selector)
        machines = [vm for vm in machines if fits(vm.labels)]
    if selection.exclude:
        every = list(snapshot.virtual_machines.values())
        excluded = {vm.key for vm in _named(every, selection.exclude, "exclude")}
        machines = [vm for vm in machines if vm.key not in excluded]
    if selection.select:
        machines = _selected(snapshot, machines, selection.select)
    return machines


def _check_namespaces(snapshot: Snapshot, namespaces: Collection[str]) -> None:
    if not namespaces:
        return
    known = set(snapshot.namespaces) | {vm.namespace for vm in snapshot.virtual_machines.values()}
    unknown = sorted(set(namespaces) - known)
    if unknown:
        raise InvalidInput("namespaces", unknown, "existing namespaces are needed")


def _named(machines: list[VirtualMachine], names: Collection[str], option: str) -> list[VirtualMachine]:
    by_name: dict[str, list[VirtualMachine]] = {}
    for vm in machines:
        by_name.setdefault(vm.key, []).append(vm)
        by_name.setdefault(vm.name, []).append(vm)
    found: set[str] = set()
    unknown = []
    for name in names:
        if _WILDCARDS & set(name):
            found.update(vm.key for vm in machines if fnmatchcase(vm.key if "/" in name else vm.name, name))
        elif name in by_name:
            found.update(vm.key for vm in by_name[name])
        else:
            unknown.append(name)
    if unknown:
        hint = "Check the spelling (`oc get vm -A`); a name without namespace is looked for in all selected namespaces."
        raise InvalidInput(option, unknown, "names of existing VMs are needed", hint=hint)
    return [vm for vm in machines if vm.key in found]


def _selected(snapshot: Snapshot, machines: list[VirtualMachine], expression: str) -> list[VirtualMachine]:
    if jmespath is None:
        raise InvalidInput("select", expression, "the Python library jmespath is needed (`pip install jmespath`)")
    try:
        found = jmespath.compile(expression).search([vm_document(snapshot, vm) for vm in machines])
    except jmespath.exceptions.JMESPathError as error:
        raise InvalidInput("select", expression, f"{_SELECT_NEEDED} ({' '.join(str(error).split())})") from error
    keys = set()
    for item in found if isinstance(found, list) else [found]:
        if not isinstance(item, Mapping) or not {"namespace", "name"} <= set(item):
            raise InvalidInput("select", expression, f"{_SELECT_NEEDED}; this one returns {_shape(item)}")
        keys.add(f"{item['namespace']}/{item['name']}")
    return [vm for vm in machines if vm.key in keys]


def _shape(item: Any) -> str:
    return "something else than VMs: " + (repr(item) if len(repr(item)) < 60 else type(item).__name__)


def vm_document(snapshot: Snapshot, vm: VirtualMachine) -> dict[str, Any]:
    """Return what a select expression sees of a VM (documented in doc_fragments/vm_selection.py); JSON types only.

    Sizes are those of the instance if it runs, else those of the VM's template. C(requests) and C(usage) are null where
    they are not known.
    """
    instance = vm.instance
    spec = instance.spec if instance else vm.spec
    node = snapshot.nodes.get(vm.node)
    return {
        "namespace": vm.namespace,
        "name": vm.name,
        "uid": vm.uid,
        "labels": dict(vm.labels),
        "annotations": dict(vm.annotations),
        "namespace_labels": dict(snapshot.namespaces.get(vm.namespace, {})),
        "owner": vm.owner,
        "run_strategy": vm.run_strategy,
        "status": vm.printable_status,
        "running": vm.running,
        "paused": bool(instance and instance.paused),
        "node": vm.node,
        "node_labels": dict(node.labels) if node else {},
        "vcpus": spec.vcpus,
        "memory_bytes": spec.guest_memory_bytes,
        "requests": _resources(instance.requests if instance else None),
        "usage": _usage(instance.usage if instance else None),
        "node_selector": dict(spec.node_selector),
        "eviction_strategy": spec.eviction_strategy,
        "dedicated_cpus": spec.dedicated_cpus,
        "host_devices": list(spec.host_devices + spec.gpus),
        "networks": list(spec.multus_networks),
        "volumes": [_volume(snapshot, vm, volume) for volume in spec.volumes],
        "conditions": _conditions(vm, instance),
    }


def _resources(resources: Optional[Resources]) -> Optional[dict[str, int]]:
    if resources is None:
        return None
    return {"cpu_millicores": resources.cpu_millicores, "memory_bytes": resources.memory_bytes}


def _usage(usage: Optional[Usage]) -> Optional[dict[str, int]]:
    if usage is None:
        return None
    return {"cpu_millicores": usage.cpu_millicores, "memory_bytes": usage.memory_bytes}


def _conditions(vm: VirtualMachine, instance: Optional[Instance]) -> dict[str, str]:
    conditions = {**vm.conditions, **(instance.conditions if instance else {})}
    return {name: condition.status for name, condition in conditions.items()}


def _volume(snapshot: Snapshot, vm: VirtualMachine, volume: Volume) -> dict[str, Any]:
    claim = snapshot.claims.get(f"{vm.namespace}/{volume.claim}") if volume.claim else None
    return {
        "name": volume.name,
        "kind": volume.kind,
        "claim": volume.claim,
        "hotplugged": volume.hotplugged,
        "access_modes": list(claim.access_modes) if claim else [],
        "volume_mode": claim.volume_mode if claim else "",
        "storage_class": claim.storage_class if claim else "",
        "capacity_bytes": claim.capacity_bytes if claim else 0,
    }
