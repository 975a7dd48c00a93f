"""What nmstate makes of a desired state on one node. Pure.

Source: nmstate rust/src/lib/ifaces (inter_ifaces_controller.rs, ethernet.rs, vlan.rs, linux_bridge.rs, ovs.rs, bond.rs)
and rust/src/lib/state.rs (keys that are known); kubernetes-nmstate pkg/probe (the way to the default gateway).
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

Obj = dict[str, Any]
CLUSTER_MTU = 1500
POD_MTU = CLUSTER_MTU - 100  # what Geneve leaves
_TOP_LEVEL = frozenset(
    ["capture", "dispatch", "dns-resolver", "hostname", "interfaces", "ovn", "ovs-db", "route-rules", "routes"]
)
_BRIDGES = ("linux-bridge", "ovs-bridge")
_VIRTUAL = ("bond", "dummy", "linux-bridge", "mac-vlan", "ovs-bridge", "ovs-interface", "team", "vlan", "vrf", "vxlan")
_INTERFACE = frozenset(
    [
        "802.1x",
        "accept-all-mac-addresses",
        "bond",
        "bridge",
        "controller",
        "copy-mac-from",
        "description",
        "dispatch",
        "driver",
        "ethernet",
        "ethtool",
        "identifier",
        "ipv4",
        "ipv6",
        "link-aggregation",
        "lldp",
        "mac-address",
        "mac-vlan",
        "max-mtu",
        "min-mtu",
        "mptcp",
        "mtu",
        "name",
        "ovs-db",
        "patch",
        "permanent-mac-address",
        "pci-address",
        "profile-name",
        "state",
        "type",
        "veth",
        "vlan",
        "vrf",
        "vxlan",
        "wait-ip",
    ]
)
_DEFAULT_MTU = 1500
_MIN_MTU = 68
_MAX_MTU = 65535
_UNREACHABLE = (
    "rolling back desired state configuration: failed runnig probes after network changes: "
    "failed runnig probe 'default-gateway' with after network reconfiguration -> currentState: "
    "failed to retrieve default gw at runProbes: timed out waiting for the condition"
)
Key = tuple[str, bool]  # name, and whether it is an OVS bridge, which may share its name with its inner interface


class NmstateError(Exception):
    """The desired state cannot be applied; the text is what nmstate says."""


def applied(current: Obj, desired: Obj) -> Obj:
    """The node's state after C(desired) has been applied to C(current); raises NmstateError and changes neither."""
    _known(desired, _TOP_LEVEL)
    state = copy.deepcopy(current)
    found = {_key(each): each for each in state.get("interfaces") or []}
    wanted: list[Obj] = copy.deepcopy(desired.get("interfaces") or [])
    way_out = _way_out(found, state)
    for each in wanted:
        _known(each, _INTERFACE)
        if not each.get("name"):
            raise _invalid("missing field `name`")
        if each.get("state") == "absent":
            _remove(found, each)
    for each in wanted:
        if each.get("state") != "absent":
            _merge(found, each)
    owners = Counter(port for each in wanted if each.get("state") != "absent" for port in ports_of(each))
    for port, count in owners.items():
        if count > 1:
            raise _invalid(f"Port {port} cannot be assigned to more than one controller")
    changed = {_key(each) for each in wanted if each.get("state") != "absent"}
    for key in changed:
        if key in found:
            _take_ports(found, found[key])
    for key in changed:
        _check(found, found[key])
    for each in found.values():
        _check_parent(found, each)
    if way_out and way_out != _way_out(found, state):
        raise NmstateError(_UNREACHABLE)
    state["interfaces"] = list(found.values())
    if mappings := (desired.get("ovn") or {}).get("bridge-mappings"):
        _map_bridges(state, mappings)
    for part in ("routes", "dns-resolver", "route-rules"):
        if part in desired and "config" in desired[part]:
            state[part] = {**(state.get(part) or {}), "config": desired[part]["config"]}
    return state


def interface(state: Obj, name: str) -> Obj | None:
    """The kernel's interface of that name (not an OVS bridge), if it is there and up."""
    for each in state.get("interfaces") or []:
        if each["name"] == name and each.get("type") != "ovs-bridge" and each.get("state") == "up":
            found: Obj = each
            return found
    return None


def bridge(state: Obj, name: str, kind: str) -> Obj | None:
    """The bridge of that name and type."""
    return next((i for i in state.get("interfaces") or [] if i["name"] == name and i.get("type") == kind), None)


def without(state: Obj, names: list[str]) -> Obj:
    """The state of a node that lacks these interfaces, with all that stands on them."""
    state = copy.deepcopy(state)
    found = {_key(each): each for each in state.get("interfaces") or []}
    for name in names:
        found.pop((name, False), None)
        _remove_children(found, name)
        _release(found, name)
    state["interfaces"] = list(found.values())
    return state


def ports_of(each: Obj) -> list[str]:
    """Names of the ports of a bridge or bond."""
    if each.get("type") == "bond":
        options = each.get("link-aggregation") or {}
        return list(options.get("port") or options.get("ports") or options.get("slaves") or [])
    options = each.get("bridge") or {}
    names = []
    for port in options.get("port") or options.get("ports") or []:
        inner = port.get("link-aggregation")
        names += [each["name"] for each in inner.get("port") or inner.get("ports") or []] if inner else [port["name"]]
    return names


def _key(each: Obj) -> Key:
    return each["name"], each.get("type") == "ovs-bridge"


def _invalid(text: str) -> NmstateError:
    return NmstateError(f"NmstateError: InvalidArgument: {text}")


def _known(mapping: Obj, known: frozenset[str]) -> None:
    for name in mapping:
        if name not in known:
            raise _invalid(f"unknown field `{name}`")


def _way_out(found: dict[Key, Obj], state: Obj) -> tuple[Any, ...]:
    """What carries the default route: interface, its bridge's ports, their MTU and addresses; empty without a route."""
    for route in (state.get("routes") or {}).get("running") or []:
        if route.get("destination") == "0.0.0.0/0":
            name = route["next-hop-interface"]
            inner, outer = found.get((name, False)), found.get((name, True))
            if inner is None or inner.get("state") != "up":
                return ("gone",)
            ports = tuple(ports_of(outer)) if outer else ()
            owners = tuple((found.get((port, False)) or {}).get("controller") for port in ports)
            return (name, str((inner.get("ipv4") or {}).get("address")), ports, owners)
    return ()


def _remove(found: dict[Key, Obj], each: Obj) -> None:
    """What is absent already is fine; a NIC cannot go, it only loses what was set."""
    keys = [key for key in ((each["name"], False), (each["name"], True)) if key in found]
    if "type" in each:
        keys = [key for key in keys if found[key].get("type") == each["type"]]
    for key in keys:
        known = found[key]
        if known.get("type") in _VIRTUAL:
            del found[key]
            for port in ports_of(known):
                if (port, False) in found:
                    found[port, False].pop("controller", None)
            _remove_children(found, each["name"])
            _release(found, each["name"])
        else:
            known.update(mtu=_DEFAULT_MTU, ipv4={"enabled": False}, ipv6={"enabled": False})


def _remove_children(found: dict[Key, Obj], name: str) -> None:
    for key, each in list(found.items()):
        if (each.get("vlan") or {}).get("base-iface") == name or (each.get("mac-vlan") or {}).get("base-iface") == name:
            del found[key]
            _release(found, key[0])


def _release(found: dict[Key, Obj], name: str) -> None:
    """Nothing is a port of anything any more once it is gone."""
    for each in found.values():
        if name in ports_of(each) and (name, False) not in found:
            _set_ports(each, [port for port in ports_of(each) if port != name])


def _set_ports(each: Obj, names: list[str]) -> None:
    if each.get("type") == "bond":
        each["link-aggregation"]["port"] = names
    else:
        ports = each["bridge"].get("port") or each["bridge"].get("ports") or []
        each["bridge"].pop("ports", None)
        each["bridge"]["port"] = [port for port in ports if port.get("name") in names]


def _merge(found: dict[Key, Obj], each: Obj) -> None:
    key = _key(each)
    if "type" not in each:
        key = next((known for known in ((each["name"], False), (each["name"], True)) if known in found), key)
    known = found.get(key)
    kind = each.get("type") or (known or {}).get("type", "")
    if known is not None and kind != known.get("type") and known.get("type") == "ethernet":
        raise _invalid(f"Interface {each['name']} has type ethernet, cannot be changed to {kind}")
    if known is None:
        if kind in ("", "unknown"):
            raise _invalid(f"Interface {each['name']} has no type and is not found in current state")
        if kind not in _VIRTUAL:
            raise _invalid(f"Ethernet interface {each['name']} does not exists")
        known = found.setdefault(key, {"name": each["name"], "type": kind, "state": "up"})
        if kind != "ovs-bridge":
            known.update({"mtu": _DEFAULT_MTU, "min-mtu": _MIN_MTU, "max-mtu": _MAX_MTU})
            known.update({"ipv4": {"enabled": False}, "ipv6": {"enabled": False}})
        if kind == "vlan":
            base = found.get(((each.get("vlan") or {}).get("base-iface", ""), False))
            known["mtu"] = (base or {}).get("mtu", _DEFAULT_MTU)
    for name in ("bridge", "link-aggregation"):
        # either spelling of the list of ports replaces the other
        if {"port", "ports"} & set(each.get(name) or {}):
            for spelling in ("port", "ports", "slaves"):
                (known.get(name) or {}).pop(spelling, None)
    _overlay(known, each)


def _overlay(target: Obj, source: Obj) -> None:
    for name, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(name), dict):
            _overlay(target[name], value)
        else:
            target[name] = value


def _take_ports(found: dict[Key, Obj], each: Obj) -> None:
    if each.get("type") not in (*_BRIDGES, "bond"):
        return
    name, ports = each["name"], ports_of(each)
    for (port, _), known in found.items():
        if known.get("controller") == name and port not in ports:
            known.pop("controller")
    for port in ports:
        known_port = found.get((port, False))
        if known_port is None:
            raise _invalid(f"Controller interface {name} is holding unknown port {port}")
        before = known_port.get("controller")
        if before and before != name:
            for kind in (True, False):
                if (before, kind) in found and port in ports_of(found[before, kind]):
                    _set_ports(found[before, kind], [p for p in ports_of(found[before, kind]) if p != port])
        known_port["controller"] = name
        if each.get("type") == "bond" and "mtu" in each:
            # the kernel gives a bond's MTU to its ports
            known_port["mtu"] = each["mtu"]
            _check(found, known_port)


def _check(found: dict[Key, Obj], each: Obj) -> None:
    name, kind = each["name"], each.get("type")
    if kind == "linux-bridge":
        stp = ((each.get("bridge") or {}).get("options") or {}).get("stp", {})
        if not isinstance(stp, dict):
            raise _invalid(f"invalid type: {type(stp).__name__} `{stp}`, expected struct LinuxBridgeStpOptions")
    if kind == "vlan":
        vlan = each.get("vlan") or {}
        for field in ("base-iface", "id"):
            if field not in vlan:
                raise _invalid(f"vlan: missing field `{field}`")
        if not 0 <= int(vlan["id"]) <= 4095:
            raise _invalid(f"Invalid VLAN id {vlan['id']}, should be 0-4095")
    if kind == "bond" and not (each.get("link-aggregation") or {}).get("mode"):
        raise _invalid(f"Bond mode is mandatory for interface {name}")
    mtu = each.get("mtu")
    if mtu is not None:
        low, high = each.get("min-mtu", _MIN_MTU), each.get("max-mtu", _MAX_MTU)
        if not low <= int(mtu) <= high:
            raise _invalid(f"Desired MTU {mtu} for interface {name} is out of range: {low} - {high}")


def _check_parent(found: dict[Key, Obj], each: Obj) -> None:
    base_name = (each.get("vlan") or {}).get("base-iface", "")
    if each.get("type") != "vlan":
        return
    base = found.get((base_name, False))
    if base is None:
        raise _invalid(f"Interface {each['name']} has base-iface {base_name} which is not found")
    if int(each.get("mtu") or 0) > int(base.get("mtu") or _DEFAULT_MTU):
        raise NmstateError(
            f"NmstateError: VerificationError: Verification failure: {each['name']}.interface.mtu desire "
            f"'{each['mtu']}', current '{base.get('mtu')}'"
        )


def _map_bridges(state: Obj, mappings: list[Obj]) -> None:
    known = {each["localnet"]: each for each in (state.get("ovn") or {}).get("bridge-mappings") or []}
    for each in mappings:
        if each.get("state") == "absent":
            known.pop(each["localnet"], None)
        else:
            known[each["localnet"]] = {"localnet": each["localnet"], "bridge": each.get("bridge", "")}
    state["ovn"] = {"bridge-mappings": list(known.values())}
