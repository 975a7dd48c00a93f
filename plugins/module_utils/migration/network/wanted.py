# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The migration network that is wanted, from a module's options, and what is wrong with them in any cluster."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from .addresses import Network, Pool, parse_address, parse_network, pool_of, usable_by_virt_handler
from .problems import Problem

# what the node network policy makes of the network cards
EXISTING = "existing"
ETHERNET = "ethernet"
VLAN = "vlan"
BOND = "bond"
LINUX_BRIDGE = "linux-bridge"
OVS_BRIDGE = "ovs-bridge"
TOPOLOGIES = (EXISTING, ETHERNET, VLAN, BOND, LINUX_BRIDGE, OVS_BRIDGE)
# how pods are attached to it
MACVLAN = "macvlan"
IPVLAN = "ipvlan"
BRIDGE = "bridge"
LOCALNET = "localnet"
ATTACHMENT_KINDS = (MACVLAN, IPVLAN, BRIDGE, LOCALNET)
# the first is the default of the topology
ATTACHMENTS: Mapping[str, tuple[str, ...]] = {
    EXISTING: ATTACHMENT_KINDS,
    ETHERNET: (MACVLAN, IPVLAN),
    VLAN: (MACVLAN, IPVLAN),
    BOND: (MACVLAN, IPVLAN),
    LINUX_BRIDGE: (BRIDGE,),
    OVS_BRIDGE: (LOCALNET,),
}
BOND_MODES = (
    "balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb",
)  # fmt: skip

DEFAULT_NAME = "migration-network"
DEFAULT_BOND = "bond-lm"
DEFAULT_BRIDGE = "br-lm"
# live-migration-best-practices.md, "MTU Configuration"
DEFAULT_MTU = 9000
MTU_LIMITS = (1280, 65535)
WORKERS = "node-role.kubernetes.io/worker"
MAX_DEVICE_NAME = 15

# whereabouts stores where an address lies in its range, and reads it back as a signed 64 bit number
_READABLE = 2**63
_LONGEST_NAME = 63
_OBJECT_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
_DEVICE_NAME = re.compile(r"^[A-Za-z0-9_.:@-]+$")
_PERCENT = re.compile(r"^([1-9][0-9]?|100)%$")
_NOT_GIVEN = "(not given)"


@dataclass(frozen=True)
class Wanted:
    """The network that is to be. C(device) is the interface or bridge that pods are attached to; C(bond) is empty
    without one; C(pool) is None where an option about addresses cannot be used."""

    name: str
    namespace: str
    policy_name: str
    topology: str
    attachment: str
    interfaces: tuple[str, ...]
    device: str
    bond: str = ""
    bond_mode: str = "active-backup"
    bond_options: Mapping[str, Any] = field(default_factory=dict)
    vlan_id: Optional[int] = None
    mtu: int = DEFAULT_MTU
    node_selector: Mapping[str, str] = field(default_factory=dict)
    max_unavailable: str = "1"
    pool: Optional[Pool] = None
    range_start: str = ""
    range_end: str = ""
    exclude: tuple[str, ...] = ()
    other_ranges: tuple[Network, ...] = ()

    @property
    def uplink(self) -> str:
        """What carries the traffic below VLAN and bridge: the bond or the one network card."""
        return self.bond or (self.interfaces[0] if self.interfaces else "")

    @property
    def configures_nodes(self) -> bool:
        """Whether there is a node network policy: not where everything is there already."""
        return self.topology != EXISTING or self.attachment == LOCALNET

    @property
    def made(self) -> tuple[str, ...]:
        """Names of the interfaces that the policy makes, network cards not among them."""
        if self.topology == EXISTING:
            return ()
        vlan = self.bridge_vlan
        names = (self.bond, vlan, self.device if self.topology != ETHERNET else "")
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def bridge_vlan(self) -> str:
        """The VLAN interface that is a Linux bridge's port; empty without one."""
        return f"{self.uplink}.{self.vlan_id}" if self.topology == LINUX_BRIDGE and self.vlan_id else ""


def parse_wanted(options: Mapping[str, Any]) -> tuple[Wanted, list[Problem]]:
    """Return what a module's options ask for, and what is wrong with them whatever the cluster is like.

    Options that are None or absent take their defaults. With problems that are errors the result is of no use.
    """
    topology = options["topology"]
    interfaces = tuple(options.get("interfaces") or ())
    allowed = ATTACHMENTS[topology]
    attachment = options.get("attachment") or allowed[0]
    bond = (options.get("bond_name") or DEFAULT_BOND) if topology == BOND or len(interfaces) > 1 else ""
    name = options.get("name") or DEFAULT_NAME
    selector = options.get("node_selector")
    pool, pool_problems = _pool(options, attachment)
    wanted = Wanted(
        name=name,
        namespace=options.get("namespace") or "",
        policy_name=options.get("policy_name") or name,
        topology=topology,
        attachment=attachment,
        interfaces=interfaces,
        device=options.get("device") or _device(topology, interfaces, bond, options.get("vlan_id")),
        bond=bond,
        bond_mode=options.get("bond_mode") or "active-backup",
        bond_options=options.get("bond_options") or {},
        vlan_id=options.get("vlan_id"),
        mtu=DEFAULT_MTU if options.get("mtu") is None else options["mtu"],
        node_selector={WORKERS: ""} if selector is None else {key: str(value) for key, value in selector.items()},
        max_unavailable=str(options.get("max_unavailable") or "1"),
        pool=pool,
        range_start=options.get("range_start") or "",
        range_end=options.get("range_end") or "",
        exclude=tuple(options.get("exclude") or ()),
        other_ranges=tuple(filter(None, map(parse_network, options.get("other_ranges") or ()))),
    )
    return wanted, [*_shape(wanted, options), *_names(wanted), *_numbers(wanted), *pool_problems, *_others(options)]


def _device(topology: str, interfaces: tuple[str, ...], bond: str, vlan_id: Optional[int]) -> str:
    base = bond or (interfaces[0] if interfaces else "")
    if topology == VLAN:
        return f"{base}.{vlan_id}"
    if topology in (LINUX_BRIDGE, OVS_BRIDGE):
        return DEFAULT_BRIDGE
    return base


def _shape(wanted: Wanted, options: Mapping[str, Any]) -> list[Problem]:
    found = []
    topology, attachment = wanted.topology, wanted.attachment
    if attachment not in ATTACHMENTS[topology]:
        reason = "a network card that is a bridge's port can carry no macvlan" if attachment in (MACVLAN, IPVLAN) else (
            "the attachment needs a bridge"
        )  # fmt: skip
        text = f"with topology {topology} it must be {' or '.join(ATTACHMENTS[topology])}, since {reason}"
        found.append(Problem("attachment_unfit", "attachment", attachment, text, "Leave it out, or change topology."))
    one = topology in (EXISTING, ETHERNET)
    if not wanted.interfaces or (one and len(wanted.interfaces) > 1):
        many = "one interface is" if one else "one interface or (bonded) several are"
        found.append(Problem("interfaces_count", "interfaces", list(wanted.interfaces), f"{many} needed"))
    if len(set(wanted.interfaces)) < len(wanted.interfaces):
        found.append(Problem("interface_twice", "interfaces", list(wanted.interfaces), "each may be named once"))
    if topology == VLAN and wanted.vlan_id is None:
        found.append(Problem("vlan_missing", "vlan_id", _NOT_GIVEN, "topology vlan needs the VLAN's number"))
    if wanted.vlan_id is not None and (
        topology in (ETHERNET, BOND) or (topology == EXISTING and attachment != LOCALNET)
    ):
        remedy = "Use topology vlan (several interfaces are bonded below it), or leave vlan_id out."
        found.append(Problem("vlan_unused", "vlan_id", wanted.vlan_id, f"topology {topology} makes no VLAN", remedy))
    device = options.get("device")
    if device and device != wanted.uplink and topology in (EXISTING, ETHERNET, BOND):
        remedy = "Name a bond with bond_name."
        text = f"topology {topology} makes no interface above {wanted.uplink}"
        found.append(Problem("device_unused", "device", device, text, remedy if topology == BOND else "Leave it out."))
    return found


def _names(wanted: Wanted) -> list[Problem]:
    found = []
    # both become values of labels: nmstate's webhook asks it of a policy's name
    for option, value in (("name", wanted.name), ("policy_name", wanted.policy_name)):
        if not _OBJECT_NAME.match(value) or len(value) > _LONGEST_NAME:
            text = f"lower case letters, digits and inner hyphens are needed, at most {_LONGEST_NAME}"
            found.append(Problem("name_invalid", option, value, text))
    devices = [("interfaces", name) for name in wanted.interfaces]
    devices += [("bond_name", wanted.bond)] if wanted.bond else []
    devices += [("device", wanted.device)] if wanted.device not in (wanted.uplink, f"{wanted.uplink}.None") else []
    devices += [("interfaces", wanted.bridge_vlan)] if wanted.bridge_vlan else []
    for option, value in devices:
        if not _DEVICE_NAME.match(value) or value in (".", "..") or len(value) > MAX_DEVICE_NAME:
            text = f"the kernel takes names of at most {MAX_DEVICE_NAME} letters, digits and .-_"
            remedy = "Give a shorter one as device." if option == "device" else ""
            if value == wanted.bridge_vlan:
                remedy = (
                    "Make the VLAN with a policy of your own and name it with topology existing or as the interface."
                )
            found.append(Problem("device_name_invalid", option, value, text, remedy))
    return found


def _numbers(wanted: Wanted) -> list[Problem]:
    found = []
    if wanted.vlan_id is not None and not 1 <= wanted.vlan_id <= 4094:
        found.append(Problem("vlan_invalid", "vlan_id", wanted.vlan_id, "VLANs are numbered from 1 to 4094"))
    low, high = MTU_LIMITS
    if not low <= wanted.mtu <= high:
        remedy = "Jumbo frames are 9000; use what all switch ports in between allow."
        found.append(Problem("mtu_invalid", "mtu", wanted.mtu, f"it must be {low} to {high} bytes", remedy))
    if not (wanted.max_unavailable.isdigit() and int(wanted.max_unavailable)) and not _PERCENT.match(
        wanted.max_unavailable
    ):
        text = "a number of nodes from 1 on, or a percentage such as 10% is needed"
        found.append(Problem("max_unavailable_invalid", "max_unavailable", wanted.max_unavailable, text))
    if wanted.bond and wanted.bond_mode not in BOND_MODES:
        text = f"the modes are {', '.join(BOND_MODES)}"
        found.append(Problem("bond_mode_invalid", "bond_mode", wanted.bond_mode, text))
    return found


def _pool(options: Mapping[str, Any], attachment: str) -> tuple[Optional[Pool], list[Problem]]:
    text = options.get("range")
    if not text:
        remedy = "Give a network of its own, such as 10.200.5.0/24."
        return None, [Problem("range_missing", "range", _NOT_GIVEN, "addresses for virt-handler are needed", remedy)]
    network = parse_network(text)
    if network is None:
        return None, [Problem("range_invalid", "range", text, "a network such as 10.200.5.0/24 is needed")]
    found = []
    if ipaddress.ip_interface(str(text).strip()).ip != network.network_address:
        remedy = f"Write {network}, and range_start for where to begin."
        found.append(Problem("range_host_bits", "range", text, "it has bits set behind its prefix", remedy))
    if network.max_prefixlen - network.prefixlen < 2 or not usable_by_virt_handler(network.network_address + 1):
        why = "a network with at least two addresses for hosts, neither multicast, loopback nor link-local, is needed"
        return None, [*found, Problem("range_unusable", "range", text, why)]
    ends = {}
    for option in ("range_start", "range_end"):
        value = options.get(option)
        if not value:
            continue
        ends[option] = parse_address(value)
        if attachment == LOCALNET:
            remedy = "Use exclude."
            found.append(Problem("range_end_unused", option, value, "OVN-Kubernetes does not know it", remedy))
        if "/" in value or ends[option] is None or ends[option] not in network:
            found.append(Problem("range_end_invalid", option, value, f"an address of {network} is needed"))
    excluded = []
    for value in options.get("exclude") or ():
        part = parse_network(value)
        if (
            part is None
            or part.version != network.version
            or not (
                network.network_address <= part.network_address and part.broadcast_address <= network.broadcast_address  # type: ignore[operator]
            )
        ):
            remedy = "A single address is written with /32 (IPv6: /128)."
            found.append(Problem("exclude_invalid", "exclude", value, f"a network within {network} is needed", remedy))
        else:
            excluded.append(part)
    if any(problem.code == "range_end_invalid" for problem in found):
        return None, found
    pool = pool_of(network, ends.get("range_start"), ends.get("range_end"), excluded)
    if pool.first > pool.last:
        found.append(Problem("range_backwards", "range_end", options.get("range_end"), "it lies before range_start"))
    elif attachment != LOCALNET and pool.first - int(network.network_address) >= _READABLE:
        text = "whereabouts does not give addresses so far into a range back when a pod ends"
        remedy = f"Begin before {network.network_address + _READABLE}."
        found.append(Problem("range_start_far", "range_start", options.get("range_start"), text, remedy))
    return pool, found


def _others(options: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem("other_range_invalid", "other_ranges", value, "a network such as 10.0.0.0/16 is needed")
        for value in options.get("other_ranges") or ()
        if parse_network(value) is None
    ]
