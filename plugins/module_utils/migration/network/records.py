# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was there before the first write, kept in an annotation of the object; and the way back to it.

nmstate leaves a node as it is when a policy is deleted, so that interfaces have to be stated absent first
(kubernetes-nmstate docs/user-guide).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence

from ... import names

Object = Mapping[str, Any]
Spec = dict[str, Any]

# interfaces that can be made and removed; all others are hardware
_VIRTUAL = ("bond", "vlan", "linux-bridge", "ovs-bridge", "ovs-interface")


@dataclass(frozen=True)
class Former:
    """C(spec) is that of the object before the first write, None if there was no object. C(cards) are state and MTU of
    the network cards that a policy configures, by name, where all nodes agreed. C(network) is what the HyperConverged
    named as its migration network when the attachment was made, empty for none."""

    spec: Optional[Spec] = None
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    network: str = ""

    def text(self) -> str:
        """Return the annotation's value."""
        return json.dumps({"spec": self.spec, "cards": self.cards, "network": self.network}, sort_keys=True)


def is_owned(item: Optional[Object]) -> bool:
    """Tell whether this collection has written an object."""
    metadata = (item or {}).get("metadata") or {}
    return names.MIGRATION_NETWORK in (metadata.get("labels") or {}) and names.FORMER in (
        metadata.get("annotations") or {}
    )


def former_of(item: Object) -> Former:
    """Return the record of an object that is owned; of a record that people have spoilt nothing is left."""
    text = (item["metadata"].get("annotations") or {}).get(names.FORMER) or ""
    try:
        document = json.loads(text)
        spec, cards, network = document["spec"], document.get("cards") or {}, document.get("network") or ""
    except (ValueError, KeyError, TypeError):
        return Former()
    return Former(spec if isinstance(spec, dict) else None, cards if isinstance(cards, dict) else {}, str(network))


def joined_spec(wanted: Spec, present: Optional[Object]) -> Spec:
    """Return the spec of a policy that was there before: its other interfaces and parts stay, ours are added."""
    if not present:
        return wanted
    spec: Spec = {**present, **{key: value for key, value in wanted.items() if key != "desiredState"}}
    before, ours = present.get("desiredState") or {}, wanted["desiredState"]
    state = {**before, **ours}
    if "interfaces" in before or "interfaces" in ours:
        state["interfaces"] = _joined(before.get("interfaces"), ours.get("interfaces"), "name")
    if "ovn" in before and "ovn" in ours:
        mappings = _joined(before["ovn"].get("bridge-mappings"), ours["ovn"].get("bridge-mappings"), "localnet")
        state["ovn"] = {**before["ovn"], "bridge-mappings": mappings}
    spec["desiredState"] = state
    return spec


def _joined(before: Any, ours: Any, key: str) -> list[Any]:
    mine = {entry[key] for entry in ours or ()}
    return [*(entry for entry in before or () if entry.get(key) not in mine), *(ours or ())]


def leaving_spec(current: Object, target: Optional[Object], cards: Mapping[str, Mapping[str, Any]]) -> Spec:
    """Return the spec that takes nodes from what C(current) states to C(target), or to nothing: what C(target) does not
    state is made absent, network cards get back state and MTU as in C(cards). C(current) may be such a spec itself."""
    state = current.get("desiredState") or {}
    aim = (target or {}).get("desiredState") or {}
    kept = {entry.get("name") for entry in aim.get("interfaces") or ()}
    gone = [
        _left(entry, cards)
        for entry in state.get("interfaces") or ()
        if entry.get("name") and entry["name"] not in kept
    ]
    leaving: Spec = {**aim, "interfaces": [*(aim.get("interfaces") or ()), *_ordered(gone)]}
    kept_mappings = {entry.get("localnet") for entry in _mappings(aim)}
    unmapped = [
        {"localnet": entry["localnet"], "state": "absent"}
        for entry in _mappings(state)
        if entry.get("localnet") not in kept_mappings
    ]
    if unmapped:
        leaving["ovn"] = {**(aim.get("ovn") or {}), "bridge-mappings": [*_mappings(aim), *unmapped]}
    if not leaving["interfaces"]:
        del leaving["interfaces"]
    spec: Spec = {key: value for key, value in (target or current).items() if key != "desiredState"}
    return {**spec, "desiredState": leaving}


def _mappings(state: Object) -> Sequence[Mapping[str, Any]]:
    return (state.get("ovn") or {}).get("bridge-mappings") or ()


def _left(entry: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> Spec:
    name, kind = entry["name"], entry.get("type", "")
    if kind in _VIRTUAL:
        return {"name": name, "type": kind, "state": "absent"}
    return {"name": name, "type": kind, **(cards.get(name) or {"state": "up"})}


def _ordered(entries: list[Spec]) -> list[Spec]:
    """Interfaces that go first, network cards last, so that such a spec keeps its order (nmstate needs none)."""
    absent = [entry for entry in entries if entry.get("state") == "absent"]
    rest = [entry for entry in entries if entry.get("state") != "absent"]
    return [*sorted(absent, key=lambda entry: (_VIRTUAL.index(entry["type"]), entry["name"])), *rest]


def merge_patch(current: Any, wanted: Any) -> Any:
    """Return the merge patch (RFC 7386) that makes C(wanted) of C(current), both objects; empty if they are equal."""
    patch: Spec = {}
    for key in {*current, *wanted}:
        if key not in wanted:
            patch[key] = None
        elif key not in current:
            patch[key] = wanted[key]
        elif current[key] != wanted[key]:
            both = isinstance(current[key], dict) and isinstance(wanted[key], dict)
            patch[key] = merge_patch(current[key], wanted[key]) if both else wanted[key]
    return patch


def same_config(one: Object, other: Object) -> bool:
    """Tell whether two attachments' specs mean the same, however their JSON is laid out."""
    try:
        return bool(json.loads(one.get("config") or "{}") == json.loads(other.get("config") or "{}"))
    except ValueError:
        return False
