"""Second interfaces of pods: what Multus and the CNI plugins make of a NetworkAttachmentDefinition on a node. Pure.

Source: multus-cni pkg/k8sclient/k8sclient.go; containernetworking plugins/main (macvlan, ipvlan, bridge) and
plugins/ipam; whereabouts pkg/types/types.go, pkg/allocate/allocate.go (which reads C(exclude), nothing else) and
pkg/iphelpers/iphelpers.go.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from .network_state import POD_MTU, bridge, interface

Obj = dict[str, Any]
NETWORKS = "k8s.v1.cni.cncf.io/networks"
NETWORK_STATUS = "k8s.v1.cni.cncf.io/network-status"
MIGRATION_INTERFACE = "migration0"
_DEFAULT_MTU = 1500
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NotAttached(Exception):
    """The pod's sandbox cannot be made; the text is what the plugin says."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entry of the annotation."""

    namespace: str
    name: str
    interface: str


@dataclass(frozen=True, slots=True)
class Attached:
    """An interface that a pod has."""

    network: str  # namespace/name
    interface: str
    address: str  # empty without one
    mtu: int


def wanted_networks(annotation: str, namespace: str) -> list[Wanted]:
    """What the annotation asks for: a JSON list, or names C([namespace/]name[@interface]) with commas."""
    text = annotation.strip()
    found = []
    if text.startswith("["):
        for number, each in enumerate(json.loads(text), 1):
            found.append(
                Wanted(each.get("namespace") or namespace, each["name"], each.get("interface") or f"net{number}")
            )
        return found
    for number, part in enumerate(filter(None, (each.strip() for each in text.split(","))), 1):
        name, _, interface_name = part.partition("@")
        space, _, short = name.rpartition("/")
        found.append(Wanted(space or namespace, short, interface_name or f"net{number}"))
    return found


def parsed(annotation: str) -> list[Attached]:
    """The network-status annotation; nothing for one that cannot be read."""
    try:
        return [
            Attached(
                each.get("name", ""), each.get("interface", ""), (each.get("ips") or [""])[0], int(each.get("mtu") or 0)
            )
            for each in json.loads(annotation or "[]")
        ]
    except (ValueError, AttributeError, TypeError):
        return []


def configuration(definition: Obj | None, wanted: Wanted) -> Obj:
    """The plugin configuration of a NetworkAttachmentDefinition, of a list the first plugin; raises NotAttached."""
    if definition is None:
        raise NotAttached(
            f"cannot find a network-attachment-definition ({wanted.name}) in namespace ({wanted.namespace}): "
            f'network-attachment-definitions.k8s.cni.cncf.io "{wanted.name}" not found'
        )
    try:
        config = json.loads((definition.get("spec") or {}).get("config") or "{}")
    except ValueError as error:
        raise NotAttached(f"error in getting k8s network: json: {error}") from error
    if not isinstance(config, dict):
        raise NotAttached("error in getting k8s network: json: cannot unmarshal into a CNI configuration")
    plugins = config.get("plugins")
    if plugins:
        config = {"name": config.get("name"), **plugins[0]}
    if not config.get("type"):
        raise NotAttached("error in getting k8s network: missing network type in the CNI configuration")
    return config


def mtu_on(config: Obj, state: Obj) -> int:
    """MTU that an interface made by this configuration has on a node with this network state; raises NotAttached."""
    kind = config["type"]
    asked = int(config.get("mtu") or 0)
    if kind in ("macvlan", "ipvlan"):
        name = config.get("master") or _default_route(state)
        master = interface(state, name)
        if master is None:
            raise NotAttached(f'failed to lookup master "{name}": Link not found')
        if kind == "macvlan" and master.get("controller") and config.get("master"):
            raise NotAttached("failed to create macvlan: device or resource busy")
        limit = int(master.get("mtu") or _DEFAULT_MTU)
        if asked > limit:
            raise NotAttached(f"invalid MTU {asked}, must be [0, master MTU({limit})]")
        return asked or limit
    if kind in ("bridge", "cnv-bridge"):
        name = config.get("bridge") or "cni0"
        known = bridge(state, name, "linux-bridge")
        if known is None and kind == "cnv-bridge":
            raise NotAttached(f'failed to lookup bridge "{name}": Link not found')
        return asked or int((known or {}).get("mtu") or _DEFAULT_MTU)
    if kind == "ovs":
        if bridge(state, config.get("bridge", ""), "ovs-bridge") is None:
            raise NotAttached(f"failed to find bridge {config.get('bridge')}")
        return asked or _DEFAULT_MTU
    if kind == "ovn-k8s-cni-overlay":
        return asked or (_DEFAULT_MTU if config.get("topology") == "localnet" else POD_MTU)
    raise NotAttached(f'failed to find plugin "{kind}" in path [/opt/multus/bin /var/lib/cni/bin /usr/libexec/cni]')


def path_mtu(config: Obj, state: Obj) -> int:
    """The largest packet that leaves a node through this network: as on the interface, and what it stands on."""
    mtu = mtu_on(config, state)
    for name in (config.get("master"), config.get("bridge")):
        if not name:
            continue
        below = interface(state, name)
        sizes = [below] if below else []
        sizes += [each for each in state.get("interfaces") or [] if each.get("controller") == name]
        base = ((below or {}).get("vlan") or {}).get("base-iface")
        sizes += [each for each in [interface(state, base)] if each] if base else []
        mtu = min([mtu, *(int(each.get("mtu") or mtu) for each in sizes)])
    return mtu


def address_for(config: Obj, taken: Collection[str], taken_on_node: Collection[str]) -> str:
    """A free address of the configuration's range, empty if it gives none; raises NotAttached when none is left."""
    ipam: Obj = config.get("ipam") or {}
    kind = ipam.get("type", "")
    if config["type"] == "ovn-k8s-cni-overlay" and config.get("subnets"):
        ipam = {"range": str(config["subnets"]).split(",")[0], "exclude": _listed(config.get("excludeSubnets"))}
        kind = "whereabouts"
    if kind == "whereabouts":
        return _lowest(ipam, taken)
    if kind == "host-local":
        ranges = ipam.get("ranges") or [[{"subnet": ipam.get("subnet", "")}]]
        first = ranges[0][0]
        return _lowest(
            {"range": first["subnet"], "range_start": first.get("rangeStart"), "range_end": first.get("rangeEnd")},
            taken_on_node,
        )
    if kind == "static":
        addresses = ipam.get("addresses") or []
        return str(addresses[0]["address"]).partition("/")[0] if addresses else ""
    if kind == "dhcp":
        raise NotAttached("error calling DHCP.Allocate: no more tries")
    if kind:
        raise NotAttached(f'failed to find plugin "{kind}" in path [/opt/multus/bin /var/lib/cni/bin]')
    return ""


def addresses_of(ipam: Obj) -> Iterator[Address]:
    """The addresses that whereabouts may give out, lowest first; raises NotAttached for a range that is none.

    Of several ranges a pod gets an address each; here the first range counts.
    """
    part = _part(ipam)
    _, first, last = _bounds(part)
    excluded = [_network(each) for each in part.get("exclude") or []]
    number = int(first)
    while number <= int(last):
        found = type(first)(number)
        blocks = [each for each in excluded if each.version == found.version and found in each]
        if not blocks:
            yield found
            number += 1
        else:
            number = max(int(each.broadcast_address) for each in blocks) + 1


def _part(ipam: Obj) -> Obj:
    """The first range. What is excluded beside "range" does not count for those in "ipRanges"."""
    found: Obj = ipam if ipam.get("range") else (ipam.get("ipRanges") or [ipam])[0]
    return found


def _bounds(part: Obj) -> tuple[Network, Address, Address]:
    """An end that is not between the network's first and last address counts as none, as one does that lies before the
    start."""
    text = str(part.get("range") or "")
    start, end = part.get("range_start"), part.get("range_end")
    if "-" in text:
        start, _, rest = text.partition("-")
        end, _, length = rest.partition("/")
        text = f"{start}/{length}"
    network = _network(text)
    if network.num_addresses < 4:
        raise NotAttached(
            f"error at storage engine: net mask is too short, subnet {network} has no usable IP addresses"
        )
    low, high = int(network.network_address) + 1, int(network.broadcast_address) - 1
    ends = [ipaddress.ip_address(each) if each else None for each in (start, end)]
    first, last = (int(each) if each and each.version == network.version else -1 for each in ends)
    first = first if low <= first <= high else low
    last = last if first <= last <= high else high
    kind = type(network.network_address)
    return network, kind(first), kind(last)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise NotAttached(f"invalid CIDR {text}: {error}") from error


def _lowest(ipam: Obj, taken: Collection[str]) -> str:
    for found in addresses_of(ipam):
        if str(found) not in taken:
            return str(found)
    part = _part(ipam)
    network, first, last = _bounds(part)
    raise NotAttached(
        f"error at storage engine: Could not allocate IP in range: ip: {first} / - {last} / range: {network}"
        f" / excludeRanges: [{' '.join(part.get('exclude') or [])}]"
    )


def _listed(value: Any) -> list[str]:
    if isinstance(value, str):
        return [each.strip() for each in value.split(",") if each.strip()]
    return list(value or [])


def _default_route(state: Obj) -> str:
    for route in (state.get("routes") or {}).get("running") or []:
        if route.get("destination") == "0.0.0.0/0":
            return str(route["next-hop-interface"])
    return ""


def sandbox_problem(namespace: str, name: str, uid: str, network: str, problem: str) -> str:
    """The message of the event FailedCreatePodSandBox."""
    container = uid.replace("-", "") * 2
    return (
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create pod network sandbox "
        f"k8s_{name}_{namespace}_{uid}_0({container}): error adding pod {namespace}_{name} to CNI network "
        '"multus-cni-network": plugin type="multus-shim" name="multus-cni-network" failed (add): CmdAdd (shim): '
        "CNI request failed with status 400: 'ERRORED: error configuring pod "
        f"[{namespace}/{name}] networking: [{namespace}/{name}/{uid}:{network}]: error adding container to network "
        f'"{network}": {problem}\''
    )


def status_entry(wanted: Wanted, uid: str, address: str, mtu: int) -> Obj:
    """What Multus tells of an interface in the annotation network-status."""
    digits = uid.replace("-", "")
    entry: Obj = {"name": f"{wanted.namespace}/{wanted.name}", "interface": wanted.interface}
    if address:
        entry["ips"] = [address]
    return {**entry, "mac": "02:" + ":".join(digits[at : at + 2] for at in range(0, 10, 2)), "mtu": mtu, "dns": {}}


def pod_network_entry(address: str) -> Obj:
    """The same of the pod network."""
    mac = "0a:58:" + ":".join(f"{int(part):02x}" for part in address.split("."))
    return {
        "name": "ovn-kubernetes",
        "interface": "eth0",
        "ips": [address],
        "mac": mac,
        "default": True,
        "mtu": POD_MTU,
        "dns": {},
    }


def segment(config: Obj, state: Obj) -> tuple[Any, ...] | None:
    """What two nodes must have in common to reach each other through a network; None: there is no way out."""
    if config["type"] == "ovn-k8s-cni-overlay":
        if config.get("topology") != "localnet":
            return ("overlay", config.get("netAttachDefName") or config.get("name"))
        wanted = config.get("physicalNetworkName") or config.get("name")
        mapped = {each["localnet"] for each in (state.get("ovn") or {}).get("bridge-mappings") or []}
        return ("vlan", config.get("vlanID")) if wanted in mapped else None
    name = config.get("master") or ""
    vlan = ((interface(state, name) or {}).get("vlan") or {}).get("id") if name else None
    return ("vlan", vlan or config.get("vlan"))
