"""Interfaces: what ethtool prints, what can be set, in which order."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.host.nic import (
    Change,
    Feature,
    Nic,
    NicWanted,
    Rings,
    current,
    live_changes,
    parse_features,
    parse_rings,
    resolve,
    snapshot,
)

RINGS = """\
Ring parameters for ens1f0:
Pre-set maximums:
RX:\t\t8192
RX Mini:\tn/a
RX Jumbo:\tn/a
TX:\t\t4096
Current hardware settings:
RX:\t\t1024
RX Mini:\tn/a
RX Jumbo:\tn/a
TX:\t\t512
RX Buf Len:\t\tn/a
"""
FEATURES = """\
Features for ens1f0:
rx-checksumming: on
tx-checksumming: on
\ttx-checksum-ipv4: off [fixed]
\ttx-checksum-ip-generic: on
scatter-gather: on
generic-receive-offload: off [requested on]
large-receive-offload: off [fixed]
"""
NIC = Nic("ens1f0", 1500, 68, 9702, parse_rings(RINGS), parse_features(FEATURES), 0)


def test_rings_are_read() -> None:
    assert parse_rings(RINGS) == Rings(rx=1024, rx_max=8192, tx=512, tx_max=4096)


@pytest.mark.parametrize("text", ["", "netlink error: Operation not supported\n", RINGS.replace("1024", "n/a")])
def test_devices_without_rings_have_none(text: str) -> None:
    assert parse_rings(text) is None


def test_features_are_read() -> None:
    features = parse_features(FEATURES)
    assert len(features) == 7
    assert features["tx-checksum-ipv4"] == Feature(active=False, fixed=True)
    assert features["generic-receive-offload"] == Feature(active=False, fixed=False)
    assert features["rx-checksumming"] == Feature(active=True, fixed=False)


def test_wanted_settings_get_the_device_s_names_and_numbers() -> None:
    wanted = NicWanted("ens1f0", 9000, "max", "512", {"gro": "on", "tx-checksumming": False, "lro": False})
    assert resolve(wanted, NIC) == {
        "mtu": "9000",
        "rx_ring": "8192",
        "tx_ring": "512",
        "offload generic-receive-offload": "on",
        "offload tx-checksumming": "off",
        "offload large-receive-offload": "off",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mtu": 9703}, "interfaces: ens1f0: mtu: 9703 cannot be used: the interface takes 68 to 9702"),
        ({"rx_ring": "8193"}, "rx_ring: '8193' cannot be used: a number from 1 to 8192, or max"),
        ({"tx_ring": "0"}, "a number from 1 to 4096"),
        ({"offloads": {"lro": True}}, "'lro' cannot be used: the driver keeps it off"),
        ({"offloads": {"warp": True}}, "'warp' cannot be used: what can be switched is: generic-receive-offload, "),
        ({"offloads": {"gro": "maybe"}}, "gro: 'maybe' cannot be used: true or false"),
    ],
)
def test_what_the_device_does_not_take_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as error:
        resolve(NicWanted("ens1f0", **options), NIC)
    assert message in str(error.value)


def test_an_mtu_grows_upwards_and_shrinks_downwards() -> None:
    nics = {name: Nic(name, 1500, 68, 0, depth=depth) for name, depth in (("vlan", 2), ("bond", 1), ("port", 0))}
    grown = live_changes({name: {"mtu": "9000"} for name in nics}, nics)
    assert [change.interface for change in grown] == ["port", "bond", "vlan"]
    shrunk = live_changes({name: {"mtu": "1400"} for name in nics}, nics)
    assert [change.interface for change in shrunk] == ["vlan", "bond", "port"]


def test_only_what_differs_and_is_there_is_changed() -> None:
    aims = {
        "ens1f0": {"mtu": "1500", "rx_ring": "8192", "offload warp": "on"},
        "gone": {"mtu": "9000"},
    }
    assert live_changes(aims, {"ens1f0": NIC}) == [Change("ens1f0", "rx_ring", "1024", "8192")]


def test_all_offloads_that_can_change_are_remembered_with_one() -> None:
    assert snapshot(NIC, ["mtu"]) == {"mtu": "1500"}
    kept = snapshot(NIC, ["offload scatter-gather"])
    assert set(kept) == {f"offload {name}" for name, feature in NIC.features.items() if not feature.fixed}
    assert all(current(NIC, setting) == value for setting, value in kept.items())
