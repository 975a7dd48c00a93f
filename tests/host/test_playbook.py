"""The playbook for Ceph hosts: on two hosts beside a real Ceph cluster, and on a whole kernel."""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from ceph.cluster import CephCluster, missing_programs
from support.playbook import AS_JSON, CONFIG, PlaybookRun, run_playbook, start_playbook

from .call import shell
from .conftest import missing
from .guest import steps
from .namespace import Namespace

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = "ocpv.scale.tune_ceph_hosts"
JSON = AS_JSON["ANSIBLE_STDOUT_CALLBACK"]
OLDEST = ROOT / ".cache" / "oldest-modules" / "bin" / "python"
STATE = (
    "cat /sys/class/net/eth1/mtu /proc/sys/net/ipv4/conf/all/arp_* /proc/sys/net/ipv4/tcp_window_scaling;"
    "find /etc/sysctl.d /var/lib -printf '%M %u %g %p\\n' | sort; cat /etc/sysctl.d/*"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[CephCluster]:
    """A real cluster of three OSDs, all on this machine."""
    if missing_programs():
        missing("no Ceph here")
    with tempfile.TemporaryDirectory(prefix="ceph-") as folder, CephCluster(Path(folder) / "c", osds=3) as made:
        made.wait(lambda: "device_health_metrics" in made.ceph("osd", "pool", "ls"), 60)
        yield made


class Hosts:
    """Two hosts for ansible-playbook, each a namespace; the second one has the oldest Python, if that is here."""

    def __init__(self, folder: Path, cluster: CephCluster, one: Namespace, two: Namespace) -> None:
        self.one, self.two = one, two
        oldest = str(OLDEST) if OLDEST.exists() else sys.executable
        lines = [f"admin ansible_python_interpreter={sys.executable}", "[ceph]"]
        for name, host, python in (("one", one, sys.executable), ("two", two, oldest)):
            host.run("ip link add eth1 type veth peer name far; ip link set far up mtu 9000; ip link set eth1 up")
            wrapper = folder / f"python-{name}"
            wrapper.write_text(f'#!/bin/sh\nexec {" ".join(host.enter(python))} "$@"\n')
            wrapper.chmod(0o755)
            lines.append(f"{name} ansible_python_interpreter={wrapper}")
        self.inventory = folder / "hosts"
        self.inventory.write_text("\n".join([*lines, "[all:vars]", "ansible_connection=local", ""]))
        self.variables: dict[str, Any] = {
            "ceph_hosts": "ceph",
            "ceph_hosts_become": False,
            "ceph_host_network_admin_host": "admin",
            "ceph_host_network_name": next(iter(cluster.json("node", "ls", "osd"))),
            "ceph_host_network_conf": str(cluster.conf),
            "ceph_host_network_profiles": ["arp_flux", "window_scaling"],
            "ceph_host_network_interfaces": [{"name": "eth1", "mtu": 9000}],
            "ceph_host_network_stable_seconds": 1,
            "ceph_host_network_poll_seconds": 0.2,
        }

    def play(self, *arguments: str, **variables: Any) -> PlaybookRun:
        given = ("-i", str(self.inventory), *arguments)
        return run_playbook(PLAYBOOK, None, {**self.variables, **variables}, *given, ANSIBLE_STDOUT_CALLBACK=JSON)

    def start(self, **variables: Any) -> Any:
        given = ("-i", str(self.inventory))
        return start_playbook(PLAYBOOK, None, {**self.variables, **variables}, *given, ANSIBLE_STDOUT_CALLBACK=JSON)

    def state(self) -> list[str]:
        return [host.run(STATE, check=False) for host in (self.one, self.two)]


@pytest.fixture
def hosts(tmp_path: Path, cluster: CephCluster) -> Iterator[Hosts]:
    with Namespace(tmp_path) as one, Namespace(tmp_path) as two:
        yield Hosts(tmp_path, cluster, one, two)


def test_hosts_are_tuned_one_by_one_once_and_put_back_exactly(hosts: Hosts) -> None:
    before = hosts.state()
    told = hosts.play("--check", "--diff")
    assert (told.returncode, told.recap("one")["changed"], hosts.state()) == (0, 2, before)
    done = hosts.play("--diff")
    assert done.returncode == 0, done.output
    assert [done.recap(name)["changed"] for name in ("one", "two")] == [2, 2]
    assert told.result("Tune the kernel", "two")["diff"] == done.result("Tune the kernel", "two")["diff"]
    assert done.ran("See that the host's Ceph daemons stay up and in", "two")
    for host in (hosts.one, hosts.two):
        assert host.value("net.ipv4.conf.all.arp_filter") == "1"
        assert "mtu 9000" in host.run("ip link show eth1")
    again = hosts.play()
    assert [again.recap(name)["changed"] for name in ("one", "two")] == [0, 0]
    back = hosts.play(ceph_host_network_state="absent")
    assert back.returncode == 0, back.output
    assert hosts.state() == before


def test_a_host_that_is_not_well_beforehand_is_left_alone(hosts: Hosts, cluster: CephCluster) -> None:
    before = hosts.state()
    cluster.kill_osd(1)
    try:
        run = hosts.play()
        assert run.returncode != 0
        failure = run.failure("one")
        assert "are not all up and in: osd.1 is down." in failure["msg"]
        assert failure["details"]["troubled"] == ["osd.1"]
        assert hosts.state() == before
    finally:
        cluster.start_osd(1)
        cluster.wait(lambda: cluster.json("status")["osdmap"]["num_up_osds"] == 3, 60)


def test_the_playbook_stops_when_daemons_of_a_tuned_host_do_not_stay_up(hosts: Hosts, cluster: CephCluster) -> None:
    before = hosts.state()
    process = hosts.start(ceph_host_network_stable_seconds=15, ceph_host_network_timeout_seconds=16)
    try:
        for _try in itertools.takewhile(lambda _number: process.poll() is None, itertools.count()):
            if hosts.one.value("net.ipv4.conf.all.arp_filter") == "1":
                break
            time.sleep(0.2)
        time.sleep(1)
        cluster.kill_osd(2)
        output, _nothing = process.communicate(timeout=120)
        run = PlaybookRun(process.returncode, output)
        assert run.returncode != 0
        assert "are not all up and in for 16 s: osd.2 is down." in run.failure("one")["msg"]
        assert "two" not in run.document["stats"] or run.recap("two")["changed"] == 0
        assert hosts.state()[1] == before[1]
        assert hosts.one.value("net.ipv4.conf.all.arp_filter") == "1"
        # it can be put back all the same
        back = hosts.play(ceph_host_network_state="absent", ceph_host_network_timeout_seconds=2)
        assert "osd.2 is down" in back.failure("one")["msg"]
        assert hosts.state() == before
    finally:
        process.kill()
        cluster.start_osd(2)
        cluster.wait(lambda: cluster.json("status")["osdmap"]["num_up_osds"] == 3, 60)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ceph_host_network_admin_host": ""}, "ceph_host_network_admin_host is needed: a host of the inventory"),
        ({"ceph_host_network_name": "elsewhere"}, "host: 'elsewhere' cannot be used: Ceph knows of no daemon there"),
        ({"ceph_host_network_ceph_command": ["no-such-ceph"]}, "`no-such-ceph` could not be started"),
        ({"ceph_host_network_profiles": ["nothing"]}, "value of ceph_host_network_profiles must be one or more of"),
        ({"ceph_host_network_stable_seconds": 400}, "stable_seconds: 400.0 cannot be used: it cannot be more than"),
    ],
)
def test_wrong_variables_stop_before_a_second_host(hosts: Hosts, variables: dict[str, Any], message: str) -> None:
    untouched = hosts.state()[1]
    run = hosts.play(**variables)
    assert run.returncode != 0
    failure = run.failure("one")
    assert message in failure["msg"] + json.dumps(failure.get("argument_errors", ""))
    assert hosts.state()[1] == untouched


def test_an_automation_platform_runs_it(hosts: Hosts, tmp_path: Path) -> None:
    """By ansible-runner, which is what runs jobs there."""
    before = hosts.state()
    for state, unchanged in (("present", False), ("absent", True)):
        # a folder for each job: what the last one was called with would count again
        folder = tmp_path / state
        folder.mkdir()
        job = ansible_runner.run(
            private_data_dir=str(folder),
            playbook=PLAYBOOK,
            inventory=str(hosts.inventory),
            extravars={**hosts.variables, "ceph_host_network_state": state},
            envvars={"ANSIBLE_CONFIG": str(CONFIG)},
            quiet=True,
        )
        assert (job.status, job.rc) == ("successful", 0), job.stdout.read()
        assert job.stats["changed"] == {"one": 2, "two": 2}
        assert (hosts.state() == before) is unchanged


@pytest.mark.usefixtures("kernel")
def test_the_reference_s_profile_by_the_playbook_on_a_whole_kernel() -> None:
    variables = {
        "ceph_hosts_become": False,
        "ceph_host_network_verify": False,
        "ceph_host_network_socket_buffers": {"method": "latency", "round_trip_ms": 0.208, "link_mbps": 50000},
        "ceph_host_network_softnet": {"method": "fixed"},
    }
    play = (
        "export ANSIBLE_HOME=/var/tmp/ansible ANSIBLE_LOCAL_TEMP=/var/tmp/l ANSIBLE_REMOTE_TEMP=/var/tmp/r "
        f"ANSIBLE_COLLECTIONS_PATH={ROOT}/.cache/link:{ROOT}/.cache/collections ANSIBLE_NOCOLOR=1; "
        f"{Path(sys.executable).parent}/ansible-playbook {PLAYBOOK} -i 'host,' -c local -e @/var/tmp/v.json"
        f" -e ansible_python_interpreter={sys.executable}"
    )
    state = "sysctl -a 2>/dev/null | grep -E '^net.(core|ipv4.(neigh|conf|tcp_w))'; cat /etc/sysctl.d/*; ls /var/lib"
    before, _written, first, values, second, back, after = steps(
        shell(state),
        shell(f"cat > /var/tmp/v.json <<'E'\n{json.dumps(variables)}\nE"),
        shell(play),
        shell("sysctl -n net.core.rmem_max net.core.wmem_default net.core.netdev_budget net.core.netdev_max_backlog"),
        shell(play),
        shell(f"{play} -e ceph_host_network_state=absent"),
        shell(state),
        timeout_seconds=400,
    )
    assert "changed=1" in first, first
    assert values.split() == ["10905190", "4362076", "1000", "5000"]
    assert "changed=0" in second, second
    assert "failed=0" in back, back
    assert after == before
