"""node_sysctl_tune on a whole machine: keys of the first network namespace, real drops, real bonds."""

from __future__ import annotations

from typing import Any

import pytest

from .call import module, shell, warnings
from .guest import steps

pytestmark = [pytest.mark.usefixtures("kernel"), pytest.mark.slow]

MODULE = "node_sysctl_tune"
CEPH_HOST = ["arp_flux", "arp_cache", "window_scaling", "socket_buffers", "softirq_budget", "backlog_queue"]
REFERENCE: dict[str, Any] = {
    "profiles": [*CEPH_HOST, "low_latency"],
    "socket_buffers": {"method": "latency", "round_trip_ms": 0.208, "link_mbps": 50000},
    "softnet": {"method": "fixed"},
}
# the reference architecture's and the tuned example's
EXPECTED = {
    "net.ipv4.conf.all.arp_filter": "1",
    "net.ipv4.conf.all.arp_ignore": "1",
    "net.ipv4.conf.all.arp_announce": "1",
    "net.ipv4.neigh.default.gc_thresh1": "4096",
    "net.ipv4.neigh.default.gc_thresh2": "16384",
    "net.ipv4.neigh.default.gc_thresh3": "32768",
    "net.ipv4.tcp_window_scaling": "1",
    "net.core.rmem_max": "10905190",
    "net.core.wmem_max": "10905190",
    "net.core.wmem_default": "4362076",
    "net.core.netdev_budget": "1000",
    "net.core.netdev_max_backlog": "5000",
    "kernel.sem": "32000 1024000000 500 32000",
    "vm.dirty_ratio": "40",
    "vm.dirty_background_ratio": "10",
    "vm.swappiness": "10",
}
STATE = shell(
    "sysctl -a 2>/dev/null | grep -E '^(net.core|net.ipv4.(conf|neigh|tcp_w)|kernel.sem |vm.(dirty|swap))' | sort;"
    "cd /etc/sysctl.d && find . -printf '%M %u %g %p %l\\n' | sort && cat *; find /var/lib"
)
READ = shell("sysctl " + " ".join(EXPECTED))


def values(text: str) -> dict[str, str]:
    pairs = (line.split(" = ") for line in text.splitlines())
    return {key: " ".join(value.split()) for key, value in pairs}


def test_the_whole_profile_is_set_once_and_put_back_exactly() -> None:
    before, first, there, tuned, second, same, applied, back, after = steps(
        STATE,
        module(MODULE, **REFERENCE),
        READ,
        STATE,
        module(MODULE, **REFERENCE),
        STATE,
        # as at boot: from the files alone
        shell("for key in net.core.rmem_max vm.swappiness; do sysctl -qw $key=4700; done; /lib/systemd/systemd-sysctl"),
        module(MODULE, state="absent"),
        STATE,
    )
    assert first["changed"] is True
    assert values(there) == EXPECTED
    assert [item["key"] for item in first["kernel_keys"]] == list(EXPECTED)
    assert first["skipped"] == [
        "kernel.numa_balancing",
        "kernel.sched_min_granularity_ns",
        "kernel.sched_wakeup_granularity_ns",
    ]
    assert sum("this kernel does not have it" in text for text in warnings(first)) == 3
    assert second["changed"] is False
    assert (same, after) == (tuned, before)
    assert tuned != before
    assert back["drift"] == []


def test_what_contradicts_the_kernel_or_itself_is_refused_and_half_stored_values_are_taken_back() -> None:
    before, low, high, half, after = steps(
        STATE,
        module(MODULE, keys={"net.ipv4.neigh.default.gc_thresh1": 1024}),
        module(MODULE, keys={"net.core.wmem_default": 4362076}),
        # the kernel refuses the fourth number and keeps the first three
        module(MODULE, profiles=["arp_cache"], keys={"kernel.sem": [32000, 1024000000, 500, 2147483647]}),
        STATE,
    )
    assert (
        "gc_thresh1 = 1024 cannot be set: it must be less than net.ipv4.neigh.default.gc_thresh2, which is 512"
        in low["msg"]
    )
    assert "net.core.wmem_default = 4362076 cannot be set: it must be at most net.core.wmem_max" in high["msg"]
    assert "kernel.sem could not be set" in half["msg"]
    assert "All changes of this run were taken back." in half["msg"]
    assert after == before


def test_drops_and_squeezes_raise_the_limits_by_one_step_up_to_the_limit() -> None:
    traffic = (
        "ip netns exec far python3 -c 'import socket,time\n"
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); end=time.time()+{seconds}\n"
        'while time.time()<end: s.sendto(b"x"*100,("10.9.0.1",9))\' > /dev/null 2>&1 & sleep 0.5'
    )
    options: dict[str, Any] = {
        "profiles": ["softirq_budget", "backlog_queue"],
        "softnet": {"interval_seconds": 1.5, "budget_step": 100, "budget_limit": 150, "backlog_step": 500},
    }
    quiet, _traffic, told, first, _more, second, _wait, third, _back, after = steps(
        module(MODULE, **options),
        shell(
            "sysctl -qw net.core.netdev_budget=1 net.core.netdev_max_backlog=1; "
            # packets that are late come together
            "ip netns exec far tc qdisc add dev v1 root netem delay 5ms limit 5000; " + traffic.format(seconds=12)
        ),
        module(MODULE, **options, check_mode=True),
        module(MODULE, **options),
        # large limits end the trouble, which then is no longer there to see
        shell("sysctl -qw net.core.netdev_budget=1 net.core.netdev_max_backlog=1; sleep 0.2"),
        module(MODULE, **options),
        shell("wait; sleep 12"),
        module(MODULE, **options),
        module(MODULE, state="absent"),
        shell("sysctl -n net.core.netdev_budget net.core.netdev_max_backlog"),
        before="modprobe -d /run/m veth; modprobe -d /run/m sch_netem; mount -t tmpfs tmpfs /run/netns 2>/dev/null || "
        "mkdir -p /run/netns; ip netns add far; ip link add v0 type veth peer name v1 netns far; "
        "ip addr add 10.9.0.1/24 dev v0; ip link set v0 up; ip -n far addr add 10.9.0.2/24 dev v1; "
        "ip -n far link set v1 up",
    )
    assert (quiet["changed"], quiet["kernel_keys"]) == (False, [])
    assert first["softnet"]["squeezed"] > 0
    assert first["softnet"]["dropped"] > 0
    assert told["changed"] is True
    assert {item["key"]: item["value"] for item in first["kernel_keys"]} == {
        "net.core.netdev_budget": "101",
        "net.core.netdev_max_backlog": "501",
    }
    assert {item["key"]: item["value"] for item in second["kernel_keys"]} == {
        "net.core.netdev_budget": "150",
        "net.core.netdev_max_backlog": "1001",
    }
    assert {item["key"] for item in second["drift"]} == {"net.core.netdev_budget", "net.core.netdev_max_backlog"}
    assert third["changed"] is False
    assert after.split() == ["1", "1"]


BOND = (
    "modprobe -d /run/m veth; modprobe -d /run/m sch_netem; modprobe -d /run/m 8021q; "
    "modprobe -d /run/m bonding max_bonds=0; mkdir -p /run/netns; ip netns add far; "
    "ip link add bond0 type bond mode {mode} miimon 100; "
    "for n in 0 1; do ip link add p$n type veth peer name q$n netns far; ip link set p$n master bond0; "
    "ip link set p$n up; ip -n far link set q$n up; done; "
    "ip link set bond0 up; ip addr add 10.9.0.1/24 dev bond0; ip -n far addr add 10.9.0.2/24 dev q0; "
    "ip link add link bond0 name bond0.7 type vlan id 7; ip link set bond0.7 up; "
    "ip -n far link set q1 down; sleep 1; "
)
LATENCY: dict[str, Any] = {
    "method": "latency",
    "ping_address": "10.9.0.2",
    "interface": "bond0",
    "ping_count": 5,
    "tolerance_percent": 50,
}


def buffers(*, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return module(MODULE, profiles=["socket_buffers"], socket_buffers=options, check_mode=check_mode)


def test_buffers_are_worked_out_from_a_real_bond_and_a_real_round_trip() -> None:
    given: dict[str, Any] = {"method": "latency", "round_trip_ms": 0.208, "check_mode": True}
    measured, again, slower, nobody, nowhere, _up, both, vlan = steps(
        buffers(**LATENCY),
        buffers(**LATENCY),
        buffers(**{**LATENCY, "round_trip_ms": 60}),
        buffers(**{**LATENCY, "ping_address": "10.9.0.77", "ping_count": 1}),
        buffers(**{**LATENCY, "interface": "bond9"}),
        shell("ip -n far link set q1 up; sleep 1"),
        buffers(**given, interface="bond0"),
        buffers(**given, interface="bond0.7"),
        before=BOND.format(mode="balance-alb") + "ip netns exec far tc qdisc add dev q0 root netem delay 20ms",
    )
    assert 18 < measured["socket_buffers"]["round_trip_ms"] < 80
    assert measured["changed"] is True
    assert again["changed"] is False
    assert slower["changed"] is True
    told = "socket_buffers.ping_address: '10.9.0.77' cannot be used: it does not answer over bond0"
    assert told in nobody["msg"]
    told = "socket_buffers.interface: 'bond9' cannot be used: there is no such interface; there are: bond0, "
    assert told in nowhere["msg"]
    # a port of the guest has 10 Gb/s
    assert measured["socket_buffers"]["link_mbps"] == 10000
    assert both["socket_buffers"]["link_mbps"] == vlan["socket_buffers"]["link_mbps"] == 20000
    assert both["socket_buffers"]["largest_bytes"] == 4362076


@pytest.mark.parametrize(("mode", "mbps"), [("active-backup", 10000), ("802.3ad", 10000), ("balance-xor", 10000)])
def test_ports_that_are_down_do_not_count(mode: str, mbps: int) -> None:
    (result,) = steps(
        module(
            MODULE,
            profiles=["socket_buffers"],
            socket_buffers={"method": "latency", "round_trip_ms": 0.208, "interface": "bond0"},
            check_mode=True,
        ),
        before=BOND.format(mode=mode),
    )
    assert result["socket_buffers"]["link_mbps"] == mbps
