# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a migration network works, judged from what was seen: rollout, interfaces, MTU, and migrations."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Collection, Mapping, Optional, Sequence

from ..checks import FAILED, OK, UNKNOWN, Check, count_of, in_words, some
from ..config.settled import MIGRATION_INTERFACE, networks_annotation, rollout
from .addresses import Network, parse_address
from .probe import LOST, TOO_LONG, Answer

Object = Mapping[str, Any]

ROLLOUT = "rollout"
INTERFACE = "interface"
MTU = "mtu"
MIGRATIONS = "migrations"
CHECKS = (ROLLOUT, INTERFACE, MTU, MIGRATIONS)
NETWORK_STATUS = "k8s.v1.cni.cncf.io/network-status"

_SHOWN = 5


@dataclass(frozen=True)
class Handler:
    """virt-handler of one node: its C(address) (empty without one) and C(mtu) (0 if not told) in the network."""

    node: str
    pod: str
    started_at: str
    address: str = ""
    mtu: int = 0
    attached: bool = False


def parse_handler(pod: Object) -> Handler:
    """Return what a pod of virt-handler tells of its second interface, in Multus' annotation."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    text = (metadata.get("annotations") or {}).get(NETWORK_STATUS) or "[]"
    try:
        entries = json.loads(text)
    except ValueError:
        entries = []
    entry = next((item for item in entries if item.get("interface") == MIGRATION_INTERFACE), None)
    return Handler(
        node=(pod.get("spec") or {}).get("nodeName") or "",
        pod=metadata["name"],
        started_at=status.get("startTime") or metadata.get("creationTimestamp") or "",
        address=next(iter((entry or {}).get("ips") or ()), ""),
        mtu=int((entry or {}).get("mtu") or 0),
        attached=entry is not None,
    )


def rolled_out(daemon_set: Optional[Object], network: str) -> bool:
    """Tell whether virt-handler runs everywhere as its DaemonSet says now, with this network."""
    if daemon_set is None:
        return False
    numbers = rollout(daemon_set)
    observed = (daemon_set.get("status") or {}).get("observedGeneration") or 0
    return (
        numbers["networks"] == networks_annotation(network)
        and observed >= (daemon_set["metadata"].get("generation") or 0)
        and numbers["updated"] == numbers["available"] == numbers["desired"]
    )


def check_rollout(daemon_set: Optional[Object], network: str) -> Check:
    """Is virt-handler rolled out with the network?"""
    if daemon_set is None:
        return Check(ROLLOUT, FAILED, "There is no DaemonSet virt-handler.", "Look at KubeVirt first.")
    numbers = rollout(daemon_set)
    if rolled_out(daemon_set, network):
        text = f"virt-handler is rolled out with {network} on {count_of(numbers['desired'], 'node')}."
        return Check(ROLLOUT, OK, text, evidence=numbers)
    if numbers["networks"] != networks_annotation(network):
        text = f"virt-handler's DaemonSet is for network {numbers['networks'] or 'none'}, not {network}."
        hint = "Set the network in the HyperConverged with ocpv.scale.hco_migration_config."
        return Check(ROLLOUT, FAILED, text, hint, numbers)
    text = (
        f"virt-handler is rolled out on {numbers['updated']} and available on {numbers['available']} of "
        f"{count_of(numbers['desired'], 'node')}."
    )
    hint = (
        "Look at the pods that are not ready (`oc describe pod -l kubevirt.io=virt-handler`): one in ContainerCreating "
        "gets no interface or no address; one that ends again and again has no usable address."
    )
    return Check(ROLLOUT, FAILED, text, hint, numbers)


def check_handlers(handlers: Sequence[Handler], nodes: Collection[str], ranges: Sequence[Network], mtu: int) -> Check:
    """Has virt-handler on each of C(nodes) its interface, with an address of C(ranges) and, if told, the MTU?"""
    by_node = {handler.node: handler for handler in handlers}
    missing = [node for node in nodes if node not in by_node]
    plain = [handler.node for handler in handlers if not handler.attached]
    outside = [handler.node for handler in handlers if handler.attached and not within(handler.address, ranges)]
    small = [handler.node for handler in handlers if 0 < handler.mtu < mtu]
    twice = [address for address, times in Counter(h.address for h in handlers if h.address).items() if times > 1]
    evidence = {
        "addresses": {handler.node: handler.address for handler in sorted(handlers, key=lambda item: item.node)[:20]},
        "without_interface": some(plain),
        "without_pod": some(missing),
    }
    if plain or missing:
        text = f"virt-handler has no interface {MIGRATION_INTERFACE} on {in_words([*plain, *missing], _SHOWN)}."
        hint = (
            "Migrations of these nodes go over the pod network, without any error. Wait for the rollout, or restart it."
        )
        return Check(INTERFACE, FAILED, text, hint, evidence)
    if outside:
        text = (
            f"The address of {MIGRATION_INTERFACE} is missing or outside of the range on {in_words(outside, _SHOWN)}."
        )
        return Check(INTERFACE, FAILED, text, "Look at the network attachment's ipam.", evidence)
    if twice:
        return Check(INTERFACE, FAILED, f"Addresses are in use twice: {in_words(twice)}.", _TWICE, evidence)
    if small:
        text = f"{MIGRATION_INTERFACE} has a smaller MTU than {mtu} on {in_words(small, _SHOWN)}."
        return Check(INTERFACE, FAILED, text, "Raise it on the interface below, then restart these pods.", evidence)
    if not handlers:
        return Check(INTERFACE, FAILED, "There are no pods of virt-handler.", "Look at KubeVirt first.", evidence)
    text = f"All {len(handlers)} have {MIGRATION_INTERFACE} with an address of the range."
    return Check(INTERFACE, OK, text, evidence=evidence)


_TWICE = "Use a range for this network alone, and look at whereabouts' ippools."


def check_mtu(found: Sequence[Answer], broken: Mapping[str, str], mtu: int) -> Check:
    """Do packets of the whole MTU arrive? C(broken) are probes that could not be made, by node, with the reason."""
    long = [item for item in found if item.verdict == TOO_LONG]
    lost = [item for item in found if item.verdict == LOST]
    evidence: dict[str, Any] = {
        "paths": len(found),
        "too_long": [_path(item) for item in long][:20],
        "lost": [_path(item) for item in lost][:20],
        "not_probed": dict(sorted(broken.items())[:20]),
    }
    if lost:
        text = f"No packets arrive on {len(lost)} of {count_of(len(found), 'path')}: {_paths(lost)}."
        hint = "Cable, switch port, VLAN, or an address that is in use elsewhere; the interface may be down."
        return Check(MTU, FAILED, text, hint, evidence)
    if long:
        text = f"Packets of {mtu} bytes do not arrive on {len(long)} of {count_of(len(found), 'path')}: {_paths(long)}."
        hint = (
            "Smaller ones do: a switch port in between, or the interface of a node, has a smaller MTU. Raise it there, "
            "or make the network with a smaller mtu."
        )
        return Check(MTU, FAILED, text, hint, evidence)
    if broken:
        reasons = "; ".join(f"{node}: {why}" for node, why in sorted(broken.items())[:_SHOWN])
        text = f"It could not be tried out on {count_of(len(broken), 'node')}. {reasons}"
        hint = (
            "The image needs sh and ping; name another one with probe_image. Without NET_RAW (probe_raw_sockets) ping "
            "has to be allowed by net.ipv4.ping_group_range."
        )
        return Check(MTU, FAILED, text, hint, evidence)
    if not found:
        text = "There is only one node with virt-handler, or none: no path to try out."
        return Check(MTU, UNKNOWN, text, evidence=evidence)
    return Check(
        MTU, OK, f"Packets of {mtu} bytes arrive unfragmented on {count_of(len(found), 'path')}.", evidence=evidence
    )


def check_migrations(migrations: Sequence[Object], ranges: Sequence[Network], since: str, *, asked: bool) -> Check:
    """Did migrations that started at C(since) (RFC 3339) or later, and have succeeded, go to addresses of the range?

    C(asked): there has to be one. C(targetNodeAddress) is there when a migration is final.
    """
    done = {}
    for item in migrations:
        state = (item.get("status") or {}).get("migrationState") or {}
        succeeded = (item.get("status") or {}).get("phase") == "Succeeded"
        if succeeded and state.get("targetNodeAddress") and (state.get("startTimestamp") or "") >= since:
            metadata = item["metadata"]
            done[f"{metadata.get('namespace')}/{metadata['name']}"] = str(state["targetNodeAddress"])
    wrong = {name: address for name, address in done.items() if not within(address, ranges)}
    evidence: dict[str, Any] = {"since": since, "migrations": dict(sorted(done.items())[:20]), "outside": some(wrong)}
    if wrong:
        shown = in_words([f"{name} to {address}" for name, address in wrong.items()])
        text = f"{len(wrong)} of {count_of(len(done), 'migration')} went over another network: {shown}."
        hint = f"Their virt-handler had no {MIGRATION_INTERFACE} when it started: restart the pods of these nodes."
        return Check(MIGRATIONS, FAILED, text, hint, evidence)
    if done:
        text = f"{count_of(len(done), 'migration')} went over the network."
        return Check(MIGRATIONS, OK, text, evidence=evidence)
    text = (
        "No migration has succeeded since virt-handler has the network."
        if not asked
        else "The migration did not succeed."
    )
    hint = "Migrate a VM (test_vm), then verify again."
    return Check(MIGRATIONS, FAILED if asked else UNKNOWN, text, hint, evidence)


def within(address: str, ranges: Sequence[Network]) -> bool:
    """Tell whether an address, with or without a prefix length, is in one of the ranges."""
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in ranges)


def _path(item: Answer) -> str:
    return f"{item.node} to {item.peer_node or item.peer}"


def _paths(items: Sequence[Answer]) -> str:
    return in_words(map(_path, items), _SHOWN)
