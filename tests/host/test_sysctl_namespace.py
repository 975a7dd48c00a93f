"""node_sysctl_tune on this machine's kernel, in a network and with drop-ins of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from .call import module, warnings
from .namespace import Namespace

MODULE = "node_sysctl_tune"
FOLDERS = ("/etc/sysctl.d", "/etc/sysctl.conf", "/run/sysctl.d", "/var/lib")
PROFILES = ["arp_flux", "window_scaling"]
OWN = {"net.ipv4.tcp_rmem": [4096, 131072, 10905190], "net.core.somaxconn": 8192}
KEYS = (
    "net.ipv4.conf.all.arp_filter",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.arp_announce",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_rmem",
    "net.core.somaxconn",
)
ARP = "/etc/sysctl.d/99.8-arp.conf"
OURS = "/etc/sysctl.d/99.9-ocpv-scale.conf"


def state(host: Namespace) -> tuple[str, list[str]]:
    return host.tree(*FOLDERS), host.run(
        f"cd /proc/sys && cat {' '.join(key.replace('.', '/') for key in KEYS)}"
    ).split("\n")


def test_files_and_kernel_are_set_and_a_second_run_changes_nothing(host: Namespace) -> None:
    before = state(host)
    first = host.call(MODULE, profiles=PROFILES, keys=OWN)
    assert first["changed"] is True
    assert [host.value(key) for key in KEYS] == ["1", "1", "1", "1", "4096 131072 10905190", "8192"]
    assert host.run(f"grep -v '^#' {ARP} {OURS} -h").splitlines() == [
        "net.ipv4.conf.all.arp_filter = 1",
        "net.ipv4.conf.all.arp_ignore = 1",
        "net.ipv4.conf.all.arp_announce = 1",
        "net.ipv4.tcp_window_scaling = 1",
        "net.ipv4.tcp_rmem = 4096 131072 10905190",
        "net.core.somaxconn = 8192",
    ]
    tuned = state(host)
    second = host.call(MODULE, profiles=PROFILES, keys=OWN, diff=True)
    assert (second["changed"], second["diff"], second["drift"], second["overridden"]) == (False, [], [], [])
    assert state(host) == tuned != before


def test_the_way_back_is_exact(host: Namespace) -> None:
    host.run(f"printf '# by hand \\377\\n\\nnet.ipv4.conf.all.arp_filter=1 #default value 0\\nother.key = 1' > {ARP}")
    host.run(f"chmod 640 {ARP}; chown 7:8 {ARP}; echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce", check=False)
    before = state(host)
    assert host.call(MODULE, profiles=PROFILES, keys=OWN)["changed"] is True
    assert host.run(f"cat -v {ARP}").splitlines()[:3] == ["# by hand M-^?", "", "#default value 0"]
    assert "other.key = 1\n" in host.run(f"cat -v {ARP}")
    assert host.run(f"stat -c '%a' {ARP}") == "640\n"
    assert host.call(MODULE, profiles=["window_scaling"])["changed"] is True
    assert host.call(MODULE, state="absent")["changed"] is True
    assert state(host) == before
    assert host.call(MODULE, state="absent")["changed"] is False


def test_a_file_that_somebody_removed_comes_back_as_it_was(host: Namespace) -> None:
    host.run(f"printf '# by hand\n' > {ARP}; chmod 640 {ARP}")
    before = state(host)
    host.call(MODULE, profiles=PROFILES)
    host.run(f"rm {ARP} {OURS}")
    assert host.call(MODULE, profiles=PROFILES)["changed"] is True
    assert host.run(f"stat -c %a {OURS}") == "644\n"
    host.run(f"rm {ARP} {OURS}")
    assert host.call(MODULE, state="absent")["changed"] is True
    assert state(host) == before


def test_check_mode_tells_what_the_run_does_and_does_nothing(host: Namespace) -> None:
    before = state(host)
    told = host.call(MODULE, profiles=PROFILES, keys=OWN, check_mode=True, diff=True)
    assert state(host) == before
    done = host.call(MODULE, profiles=PROFILES, keys=OWN, diff=True)
    assert told == done
    after = state(host)
    told = host.call(MODULE, state="absent", check_mode=True, diff=True)
    assert state(host) == after
    assert told == host.call(MODULE, state="absent", diff=True)


FAILURES: list[tuple[dict[str, Any], str]] = [
    ({"keys": {"net.ipv4.nothing": 1}}, "net.ipv4.nothing = 1 cannot be set: this kernel"),
    ({"keys": {"net.ipv4.conf.*.arp_filter": 1}}, "net.ipv4.conf.*.arp_filter"),
    ({"keys": {"net.ipv4.conf": 1}}, "net.ipv4.conf = 1 cannot be set: it is a group"),
    (
        {"keys": {"net.core.rmem_max": 4194304}},
        "net.core.rmem_max = 4194304 cannot be set: it belongs to the machine's",
    ),
    (
        {"profiles": ["arp_cache"]},
        "net.ipv4.neigh.default.gc_thresh3 = 32768 (profile arp_cache) cannot be set: it belongs",
    ),
    ({"profiles": ["backlog_queue"]}, "net.core.netdev_max_backlog (profile backlog_queue) cannot be set: it belongs"),
    (
        {"keys": {"net.ipv4.tcp_available_congestion_control": "reno"}},
        "net.ipv4.tcp_available_congestion_control = reno cannot be set: the kernel does not let it be changed",
    ),
    (
        {"keys": {"net.ipv4.tcp_window_scaling": 2}},
        "net.ipv4.tcp_window_scaling = 2 cannot be set: a whole number from 0",
    ),
    ({"keys": {"net.ipv4.tcp_rmem": [4096]}}, "net.ipv4.tcp_rmem = 4096 cannot be set: 3 whole numbers"),
    (
        {"keys": {"net.ipv4.tcp_fin_timeout": "soon"}},
        "net.ipv4.tcp_fin_timeout = soon cannot be set: a whole number is",
    ),
    ({"keys": {"net.core.somaxconn": "1 #default"}}, "net.core.somaxconn: '1 #default' cannot be used: a comment"),
    ({"keys": {"net.core.somaxconn": ""}}, "net.core.somaxconn: '' cannot be used: a value is needed"),
    ({"keys": {"net.core.somaxconn": 1, "net/core/somaxconn": 2}}, "net.core.somaxconn is given twice"),
    ({"keys": {"vm.swappiness": 10}}, "vm.swappiness = 10 cannot be set: /proc/sys is mounted read-only"),
    ({"profiles": ["no_such"]}, "value of profiles must be one or more of"),
    ({"file": "../x.conf"}, "file: '../x.conf' cannot be used: a file name that ends in .conf"),
    ({"file": "x"}, "a file name that ends in .conf"),
    (
        {"file": "link.conf", "keys": {"net.core.somaxconn": 9000}},
        "/etc/sysctl.d/link.conf' cannot be used: it is a link",
    ),
    ({"state_file": "/proc/none/state"}, "state_file: '/proc/none/state' cannot be used"),
    (
        {"state_file": "/run/garbage"},
        "state_file: '/run/garbage' cannot be used: it is not a file that this module wrote",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), FAILURES, ids=[message[:60] for _arguments, message in FAILURES])
def test_what_cannot_be_set_is_told_before_anything_is_changed(
    host: Namespace, arguments: dict[str, Any], message: str
) -> None:
    host.run("ln -s /dev/null /etc/sysctl.d/link.conf; echo '{}' > /run/garbage")
    before = state(host)
    if "profiles" not in arguments:
        arguments = {**arguments, "profiles": ["arp_flux"]}
    result = host.call(MODULE, **arguments)
    assert result["failed"] is True
    assert message in result["msg"]
    assert state(host) == before


def test_all_that_cannot_be_set_is_told_at_once(host: Namespace) -> None:
    result = host.call(MODULE, profiles=["arp_cache"], keys={"net.ipv4.nothing": 1, "net.core.somaxconn": 0})
    problems = {item["key"] for item in result["details"]["problems"]}
    assert problems == {
        "net.ipv4.nothing",
        "net.core.somaxconn",
        *(f"net.ipv4.neigh.default.gc_thresh{number}" for number in (1, 2, 3)),
    }


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("net.ipv4.tcp_congestion_control", "no_such", "the kernel refused it: No such file or directory"),
        # the kernel sorts the list
        ("net.ipv4.ip_local_reserved_ports", "8443,8080", "the kernel keeps '8080,8443' instead"),
    ],
)
def test_what_the_kernel_refuses_takes_the_whole_run_back(host: Namespace, key: str, value: str, message: str) -> None:
    before = [*state(host), host.value(key)]
    result = host.call(MODULE, profiles=PROFILES, keys={key: value})
    assert f"{key} could not be set to '{value}': {message}" in result["msg"]
    assert "All changes of this run were taken back." in result["msg"]
    assert [*state(host), host.value(key)] == before


def test_a_file_that_cannot_be_written_takes_the_whole_run_back(host: Namespace) -> None:
    host.run("mount -o remount,ro /etc/sysctl.d")
    before = state(host)
    result = host.call(MODULE, profiles=PROFILES)
    assert f"{ARP} could not be written: Read-only file system" in result["msg"]
    assert state(host) == before


def test_a_file_that_cannot_be_replaced_takes_the_whole_run_back(host: Namespace) -> None:
    host.run(f"touch /run/busy {OURS} && mount --bind /run/busy {OURS}")
    before = state(host)
    result = host.call(MODULE, profiles=PROFILES)
    assert f"{OURS} could not be written: Device or resource busy" in result["msg"]
    assert "All changes of this run were taken back." in result["msg"]
    assert state(host) == before


def test_a_file_keeps_its_selinux_context(host: Namespace) -> None:
    host.write(ARP, "# ours\n")
    host.run(f'{sys.executable} -c \'import os; os.setxattr("{ARP}", "security.selinux", b"system_conf_t")\'')
    assert host.call(MODULE, profiles=PROFILES)["changed"]
    read = f'{sys.executable} -c \'import os; print(os.getxattr("{ARP}", "security.selinux"))\''
    assert "system_conf_t" in host.run(read)


@pytest.mark.parametrize(
    ("path", "command", "reader"),
    [
        ("/etc/sysctl.conf", "sysctl --system", "sysctl --system"),
        ("/run/sysctl.d/zz.conf", "/lib/systemd/systemd-sysctl", "systemd-sysctl"),
        ("/usr/lib/sysctl.d/zz.conf", "sysctl --system", "sysctl --system"),
    ],
)
def test_a_file_that_wins_is_told_and_really_does(host: Namespace, path: str, command: str, reader: str) -> None:
    key = "net.ipv4.conf.all.arp_filter"
    host.run(f"printf '# x\\n{key} = 0\\n' > {path}")
    result = host.call(MODULE, profiles=["arp_flux"])
    expected = {"key": key, "wanted": "1", "value": "0", "path": path, "line": 2, "reader": reader}
    assert expected in result["overridden"]
    assert any(path in text and key in text for text in warnings(result))
    assert host.value(key) == "1"
    host.run(command, check=False)
    assert host.value(key) == "0"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/run/sysctl.d/99.5-x.conf", "net.ipv4.conf.all.arp_filter = 0"),
        ("/run/sysctl.d/99.8-arp.conf", "net.ipv4.conf.all.arp_filter = 0"),
        ("/etc/sysctl.d/zz.conf", "net.ipv4.conf.*.arp_filter = 0"),
        ("/etc/sysctl.d/zz", "net.ipv4.conf.all.arp_filter = 0"),
    ],
)
def test_a_file_that_loses_is_not_told_and_really_does(host: Namespace, path: str, text: str) -> None:
    host.run(f"echo '{text}' > {path}")
    assert host.call(MODULE, profiles=["arp_flux"])["overridden"] == []
    for command in ("sysctl --system", "/lib/systemd/systemd-sysctl"):
        host.run(command, check=False)
        assert host.value("net.ipv4.conf.all.arp_filter") == "1"


def test_a_file_that_is_hidden_by_ours_is_told(host: Namespace) -> None:
    host.run("echo 'net.ipv4.tcp_sack = 0' > /run/sysctl.d/99.8-arp.conf")
    assert any(
        "/run/sysctl.d/99.8-arp.conf is not read any more" in text
        for text in warnings(host.call(MODULE, profiles=["arp_flux"]))
    )


def test_drift_is_told_and_mended(host: Namespace) -> None:
    host.call(MODULE, profiles=["arp_flux"])
    host.run(f"echo 0 > /proc/sys/net/ipv4/conf/all/arp_filter; sed -i /arp_ignore/d {ARP}")
    seen = host.call(MODULE, profiles=["arp_flux"], check_mode=True)
    assert seen["drift"] == [
        {"key": "net.ipv4.conf.all.arp_filter", "where": "runtime", "expected": "1", "found": "0"},
        {"key": "net.ipv4.conf.all.arp_ignore", "where": ARP, "expected": "1", "found": ""},
    ]
    assert host.call(MODULE, profiles=["arp_flux"])["changed"] is True
    assert host.call(MODULE, profiles=["arp_flux"])["drift"] == []
    assert host.value("net.ipv4.conf.all.arp_filter") == "1"


def test_killed_anywhere_it_can_be_finished_and_be_put_back(host: Namespace) -> None:
    host.run(f"printf '# by hand\\nnet.ipv4.conf.all.arp_filter=0 # was\\n' > {ARP}")
    before = state(host)
    step = module(MODULE, profiles=["arp_flux"], keys=OWN)
    for number in range(1, 40):
        dead = host.dies({**step, "die_at": number})
        if number % 2:
            finished = host.call(MODULE, profiles=["arp_flux"], keys=OWN)
            assert "failed" not in finished
            assert host.call(MODULE, profiles=["arp_flux"], keys=OWN)["changed"] is False
        for back in range(1, 40):
            if not host.dies({**module(MODULE, state="absent"), "die_at": back}):
                break
        assert state(host) == before, f"killed at change {number}"
        if not dead:
            break
    assert number > 6


def test_two_runs_at_once_do_not_meet(host: Namespace) -> None:
    host.run("mkdir /var/lib/ocpv-scale")
    with subprocess.Popen(
        host.enter("flock", "/var/lib/ocpv-scale", "sh", "-c", "echo; sleep 60"), stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        result = host.call(MODULE, profiles=["arp_flux"])
        other.kill()
    assert "Another run is tuning this host" in result["msg"]
    assert host.value("net.ipv4.conf.all.arp_filter") == "0"


def test_interfaces_with_dots_are_meant(host: Namespace) -> None:
    host.run("ip link add ve2.10 type veth peer name other")
    assert host.call(MODULE, keys={"net.ipv4.conf.ve2/10.arp_filter": 1})["changed"] is True
    assert host.run("cat /proc/sys/net/ipv4/conf/ve2.10/arp_filter") == "1\n"
    host.run("echo 0 > /proc/sys/net/ipv4/conf/ve2.10/arp_filter; sysctl --system")
    assert host.run("cat /proc/sys/net/ipv4/conf/ve2.10/arp_filter") == "1\n"
    host.run("ip link del ve2.10")
    result = host.call(MODULE, state="absent")
    assert result["changed"] is True
    assert any("net.ipv4.conf.ve2/10.arp_filter cannot be put back" in text for text in warnings(result))
