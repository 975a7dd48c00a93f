"""host_network_tune on real interfaces, with the real NetworkManager, ip and ethtool."""

from __future__ import annotations

import json
from typing import Any

import pytest

from . import network_manager
from .call import module, shell, warnings
from .conftest import missing
from .guest import steps
from .namespace import Namespace

MODULE = "host_network_tune"
WANTED = [{"name": "eth1", "mtu": 9000, "offloads": {"gro": True, "tx": False}}]
LINKS = "ip link add eth1 type veth peer name far; ip link set far up mtu 9000; ip link set eth1 up"
STATE = "cat /sys/class/net/*/mtu; ethtool -k eth1; find /var/lib /run/ifcfg* -type f | xargs -r cat"
# a driver with rings, which no virtual interface has
ETHTOOL = """#!/bin/sh
case "$1" in
-g) . /run/rings
    printf 'Pre-set maximums:\\nRX:\\t8192\\nTX:\\t4096\\n'
    printf 'Current hardware settings:\\nRX:\\t%s\\nTX:\\t%s\\n' $RX $TX;;
-G) . /run/rings
    if [ "$4" = 77 ]; then echo 'netlink error: Invalid argument' >&2; exit 1; fi
    case "$3" in rx) RX=$4;; tx) TX=$4;; esac
    printf 'RX=%s\\nTX=%s\\n' $RX $TX > /run/rings;;
*) exec /run/ethtool "$@";;
esac
"""


@pytest.fixture
def eth1(host: Namespace) -> Namespace:
    """A host with an interface."""
    host.run(LINKS)
    return host


def test_mtu_and_offloads_are_set_once_and_put_back(eth1: Namespace) -> None:
    before = eth1.run(STATE)
    told = eth1.call(MODULE, interfaces=WANTED, check_mode=True, diff=True)
    assert eth1.run(STATE) == before
    done = eth1.call(MODULE, interfaces=WANTED, diff=True)
    assert (told["changed"], told["changes"], told["diff"]) == (True, done["changes"], done["diff"])
    (facts,) = done["interfaces"]
    assert (facts["mtu"], facts["speed_mbps"], facts["rings"], facts["persistence"]) == (9000, 10000, None, "none")
    assert facts["offloads"]["generic-receive-offload"] == {"active": True, "fixed": False}
    assert "mtu 9000" in eth1.run("ip link show eth1")
    assert "tx-checksum-ip-generic: off" in eth1.run("ethtool -k eth1")
    assert any("will not outlast a reboot" in text for text in warnings(done))
    assert eth1.call(MODULE, interfaces=WANTED)["changed"] is False
    assert eth1.call(MODULE, state="absent")["changed"] is True
    assert eth1.run(STATE) == before
    assert eth1.call(MODULE, state="absent")["changed"] is False


def test_drift_is_told_and_mended(eth1: Namespace) -> None:
    eth1.call(MODULE, interfaces=WANTED)
    eth1.run("ip link set eth1 mtu 1400")
    again = eth1.call(MODULE, interfaces=WANTED)
    assert again["drift"] == [{"interface": "eth1", "setting": "mtu", "expected": "9000", "found": "1400"}]
    assert again["changed"] is True
    assert eth1.call(MODULE, interfaces=WANTED)["drift"] == []


FAILURES: list[tuple[dict[str, Any], str]] = [
    (
        {"interfaces": [{"name": "eth9"}]},
        "interfaces: 'eth9' cannot be used: there is no such interface; there are: eth1",
    ),
    ({"interfaces": [{"name": "eth1"}, {"name": "eth1"}]}, "an interface can be given once"),
    ({"interfaces": [{"name": "eth1", "mtu": 70000}]}, "interfaces: eth1: mtu: 70000 cannot be used"),
    ({"interfaces": [{"name": "eth1", "rx_ring": "max"}]}, "its driver has no ring buffers that can be set"),
    ({"interfaces": [{"name": "eth1", "offloads": {"rx-gro-hw": True}}]}, "the driver keeps it off"),
    ({"interfaces": WANTED, "persistence": "network_manager"}, "eth1 has no active connection of NetworkManager"),
    ({"interfaces": WANTED, "persistence": "ifcfg"}, "there is no /etc/sysconfig/network-scripts/ifcfg-eth1"),
    ({"bond": {"interface": "bond9"}}, "bond.interface: 'bond9' cannot be used: there is no such interface"),
]


@pytest.mark.parametrize(("arguments", "message"), FAILURES, ids=[message for _arguments, message in FAILURES])
def test_what_cannot_be_set_is_told_before_anything_is_changed(
    eth1: Namespace, arguments: dict[str, Any], message: str
) -> None:
    before = eth1.run(STATE)
    result = eth1.call(MODULE, **arguments)
    assert message in result["msg"]
    assert eth1.run(STATE) == before


def test_rings_and_an_ifcfg_file(eth1: Namespace) -> None:
    eth1.run("mkdir /run/ifcfg; cp $(command -v ethtool) /run/ethtool; printf 'RX=512\\nTX=256\\n' > /run/rings")
    eth1.write("/run/standin", ETHTOOL)
    eth1.run("chmod +x /run/standin; mount --bind /run/standin $(command -v ethtool)")
    eth1.write("/run/ifcfg/ifcfg-eth1", "# by hand\nDEVICE=eth1\nMTU=1500\n")
    before = eth1.run(STATE + "; cat /run/rings")
    options: dict[str, Any] = {"ifcfg_directory": "/run/ifcfg"}
    wanted = [{"name": "eth1", "mtu": 9000, "rx_ring": "max", "tx_ring": "1024"}]
    done = eth1.call(MODULE, interfaces=wanted, **options)
    assert (done["changed"], done["files"], warnings(done)) == (True, ["/run/ifcfg/ifcfg-eth1"], [])
    assert done["interfaces"][0]["rings"] == {"rx": 8192, "rx_max": 8192, "tx": 1024, "tx_max": 4096}
    assert eth1.run("cat /run/ifcfg/ifcfg-eth1") == (
        '# by hand\nDEVICE=eth1\nMTU=9000\nETHTOOL_OPTS="-G eth1 rx 8192 tx 1024"\n'
    )
    assert eth1.call(MODULE, interfaces=wanted, **options)["changed"] is False
    refused = eth1.call(MODULE, interfaces=[{"name": "eth1", "rx_ring": "100", "tx_ring": "77"}], **options)
    assert "tx_ring of eth1 could not be set to 77: netlink error: Invalid argument." in refused["msg"]
    assert eth1.run("cat /run/rings").split() == ["RX=8192", "TX=1024"]
    assert eth1.call(MODULE, state="absent", **options)["changed"] is True
    assert eth1.run(STATE + "; cat /run/rings") == before


def test_killed_anywhere_it_can_be_finished_and_be_put_back(eth1: Namespace) -> None:
    eth1.run("mkdir /run/ifcfg")
    eth1.write("/run/ifcfg/ifcfg-eth1", "DEVICE=eth1\n# by hand\nMTU=1500")
    before = eth1.run(STATE)
    options: dict[str, Any] = {"ifcfg_directory": "/run/ifcfg"}
    for number in range(1, 20):
        dead = eth1.dies({**module(MODULE, interfaces=WANTED, **options), "die_at": number})
        if number % 2:
            assert "failed" not in eth1.call(MODULE, interfaces=WANTED, **options)
            assert eth1.call(MODULE, interfaces=WANTED, **options)["changed"] is False
        for back in range(1, 20):
            if not eth1.dies({**module(MODULE, state="absent", **options), "die_at": back}):
                break
        eth1.call(MODULE, state="absent", **options)
        assert eth1.run(STATE) == before, f"killed at change {number}"
        if not dead:
            break
    assert number > 5


def test_a_connection_of_network_manager_keeps_the_settings(host: Namespace) -> None:
    if not network_manager.available():
        missing("no NetworkManager below .cache/debian")
    network_manager.start(host)
    host.run(LINKS)
    host.run(
        "nmcli con add type ethernet ifname eth1 con-name data ipv4.method manual ipv4.addresses 10.1.0.1/24 "
        "ipv6.method disabled; nmcli con up data"
    )
    # it writes when the connection was last used
    keyfile = "grep -v ^timestamp /etc/NetworkManager/system-connections/*; cat /sys/class/net/*/mtu; ethtool -k eth1"
    before = host.run(keyfile)
    done = host.call(MODULE, interfaces=WANTED)
    assert done["interfaces"][0]["persistence"] == "network_manager"
    assert warnings(done) == []
    text = host.run("cat /etc/NetworkManager/system-connections/*")
    assert "[ethernet]\nmtu=9000\n" in text
    assert "[ethtool]\nfeature-gro=true\nfeature-tx=false\n" in text
    assert host.call(MODULE, interfaces=WANTED)["changed"] is False
    # the connection alone brings all of it back
    host.run("ip link set eth1 mtu 1400; ethtool -K eth1 gro off tx on; nmcli con down data; nmcli con up data")
    assert host.call(MODULE, interfaces=WANTED)["drift"] == []
    assert host.call(MODULE, state="absent")["changed"] is True
    assert host.run(keyfile) == before


@pytest.mark.slow
@pytest.mark.usefixtures("kernel")
def test_a_real_bond_with_a_vlan_on_it() -> None:
    state = shell("ip -j link show")
    jumbo = [{"name": "bond0", "mtu": 9000}, {"name": "bond0.7", "mtu": 9000}]
    expected = {"interface": "bond0.7", "port_speed_mbps": 10000}
    before, alone, other, first, there, second, _down, downed, back, after = steps(
        state,
        module(MODULE, interfaces=[{"name": "bond0.7", "mtu": 9000}]),
        module(MODULE, interfaces=[{"name": "bond0"}], bond={**expected, "mode": "802.3ad", "ports": 4}),
        module(MODULE, interfaces=list(reversed(jumbo)), bond=expected),
        shell("ip -o link show | sed 's/ qdisc.*//'"),
        module(MODULE, interfaces=jumbo, bond=expected),
        shell("ip link set far0 down; sleep 1"),
        module(MODULE, interfaces=jumbo, bond={"interface": "bond0"}),
        module(MODULE, state="absent"),
        shell("ip link set far0 up; sleep 1; ip -j link show"),
        before="modprobe -d /run/m veth; modprobe -d /run/m 8021q; modprobe -d /run/m bonding max_bonds=0; "
        "ip link add bond0 type bond mode balance-alb miimon 100; "
        "for n in 0 1; do ip link add p$n type veth peer name far$n; ip link set far$n up mtu 9000; "
        "ip link set p$n master bond0; ip link set p$n up; done; ip link set bond0 up; "
        "ip link add link bond0 name bond0.7 type vlan id 7; ip link set bond0.7 up; sleep 1",
    )
    assert "interfaces: bond0.7: mtu: 9000 cannot be used: bond0, which lies below, has 1500" in alone["msg"]
    assert other["changed"] is False
    assert other["differences"] == [
        "bond0.7 has the mode balance-alb; 802.3ad was expected",
        "bond0.7 has 2 ports (p0, p1); 4 were expected",
    ]
    assert len(warnings(other)) == 2
    assert (first["changed"], first["differences"]) == (True, [])
    assert first["interfaces"][0]["bond"]["mode"] == "balance-alb"
    assert sum("mtu 9000" in line for line in there.splitlines()) == 6
    assert second["changed"] is False
    assert downed["differences"] == ["p0 of bond0 is down", "p1 of bond0 has 10000 Mb/s; 25000 was expected"]
    assert back["changed"] is True
    assert mtus(after) == mtus(before)


def mtus(links: str) -> dict[str, int]:
    return {link["ifname"]: link["mtu"] for link in json.loads(links)}
