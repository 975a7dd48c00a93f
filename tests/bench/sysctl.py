"""node_sysctl_tune of seventeen keys of a host, beside a loop over ansible.posix.sysctl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from host.namespace import Namespace
from support.playbook import AS_JSON, run_playbook

from .measurement import SECONDS, Measurement, NotMeasured
from .workbench import Workbench

# a loop takes ten times as long
MOST_TIMES = 0.1
# of the network namespace, so that the machine keeps its own
KEYS = {
    **{
        f"net.ipv4.conf.{where}.arp_{what}": 1
        for where in ("all", "default")
        for what in ("filter", "ignore", "announce")
    },
    "net.ipv4.tcp_window_scaling": 1,
    "net.ipv4.tcp_rmem": "4096 131072 10905190",
    "net.ipv4.tcp_wmem": "4096 65536 10905190",
    "net.ipv4.tcp_timestamps": 0,
    "net.ipv4.tcp_sack": 1,
    "net.ipv4.tcp_mtu_probing": 1,
    "net.ipv4.tcp_fin_timeout": 30,
    "net.ipv4.tcp_keepalive_time": 600,
    "net.ipv4.tcp_slow_start_after_idle": 0,
    "net.ipv4.ip_local_port_range": "15000 64000",
    "net.core.somaxconn": 8192,
}
_LOOP = {
    "ansible.posix.sysctl": {
        "name": "{{ item.key }}",
        "value": "{{ item.value }}",
        "sysctl_file": "/etc/sysctl.d/loop.conf",
        "sysctl_set": True,
        "reload": False,
    },
    "loop": "{{ wanted | dict2items }}",
}
_TUNE = {"ocpv.scale.node_sysctl_tune": {"keys": "{{ wanted }}"}}


def measure(bench: Workbench) -> list[Measurement]:
    """The seconds that Ansible needs for the tasks, the first time and when all is as it should be."""
    if subprocess.run(["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-n", "-m", "true"]).returncode:
        raise NotMeasured("no namespaces here")
    rounds = [_round() for _number in range(bench.rounds)]
    return [
        Measurement(
            f"{len(KEYS)} keys by node_sysctl_tune, {when}",
            SECONDS,
            tuple(found[f"tune {when}"] for found in rounds),
            "a loop over ansible.posix.sysctl",
            tuple(found[f"loop {when}"] for found in rounds),
            at_most=MOST_TIMES,
        )
        for when in ("first run", "second run")
    ]


def _round() -> dict[str, float]:
    """The seconds of each task on two hosts that are equal: networks and drop-ins of their own."""
    found: dict[str, float] = {}
    for name, task in (("loop", _LOOP), ("tune", _TUNE)):
        with tempfile.TemporaryDirectory() as place, Namespace(Path(place)) as host:
            wrapper, playbook = Path(place) / "python", Path(place) / "play.yml"
            wrapper.write_text(f'#!/bin/sh\nexec {" ".join(host.enter(sys.executable))} "$@"\n')
            wrapper.chmod(0o755)
            tasks: list[dict[str, Any]] = [{"name": f"{name} {when}", **task} for when in ("first run", "second run")]
            play = {"hosts": "all", "gather_facts": False, "vars": {"wanted": KEYS}, "tasks": tasks}
            playbook.write_text(json.dumps([play]))
            variables = {"ansible_connection": "local", "ansible_python_interpreter": str(wrapper)}
            callback = AS_JSON["ANSIBLE_STDOUT_CALLBACK"]
            run = run_playbook(str(playbook), None, variables, "-i", "host,", ANSIBLE_STDOUT_CALLBACK=callback)
            changed = [run.result(str(task["name"]))["changed"] for task in tasks]
            if run.returncode or changed != [True, False]:
                raise NotMeasured(f"{name}: {run.output[-500:]}")
            for entry in run.document["plays"][0]["tasks"]:
                times = entry["task"]["duration"]
                begun, ended = (datetime.fromisoformat(times[when]) for when in ("start", "end"))
                found[entry["task"]["name"]] = (ended - begun).total_seconds()
    return found
