"""Record what a real cluster answers, for the unit tests: python -m ceph.record FOLDER.

One folder for each situation, in it what ceph prints for each question. Addresses, keys and identities of this one
cluster are not asked for or are removed.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .cluster import CephCluster

QUESTIONS = {
    "osd_dump": ("osd", "dump"),
    "crush_dump": ("osd", "crush", "dump"),
    "osd_df": ("osd", "df"),
    "df": ("df",),
    "autoscale_status": ("osd", "pool", "autoscale-status"),
}
# of the map of OSDs: what no code reads, and what is different each time
_LEFT_OUT = ("uuid", "addr", "fsid", "xinfo", "tunables")
HOSTS = 4


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, CephCluster(Path(folder) / "cluster", osds=12) as cluster:
        _arrange(cluster)
        _record(cluster, target / "overlapping")
        cluster.ceph("osd", "pool", "set", "device_health_metrics", "crush_rule", "fast")
        cluster.wait(cluster.clean, 60)
        _record(cluster, target / "classes")
        _record_states(cluster, target / "states")


def _arrange(cluster: CephCluster) -> None:
    """Four hosts; six OSDs of class nvme, one of them larger; six of class hdd; pools of each kind."""
    for number in range(cluster.osds):
        kind = "nvme" if number < cluster.osds // 2 else "hdd"
        cluster.ceph("osd", "crush", "rm-device-class", f"osd.{number}")
        cluster.ceph("osd", "crush", "set-device-class", kind, f"osd.{number}")
        weight = "2.9" if number == 0 else "1.75" if kind == "nvme" else "3.5"
        cluster.ceph("osd", "crush", "set", f"osd.{number}", weight, "root=default", f"host=h{number % HOSTS}")
    for rule, kind in (("fast", "nvme"), ("slow", "hdd")):
        cluster.ceph("osd", "crush", "rule", "create-replicated", rule, "default", "osd", kind)
    profile = ("k=4", "m=2", "crush-failure-domain=osd", "crush-device-class=hdd")
    cluster.ceph("osd", "erasure-code-profile", "set", "ec42", *profile)
    for name, pgs, *more in (
        ("vms", "64", "replicated", "fast"),
        ("images", "32", "replicated", "fast"),
        ("archive", "32", "erasure", "ec42"),
        ("scratch", "16", "replicated", "slow"),
    ):
        cluster.ceph("osd", "pool", "create", name, pgs, pgs, *more)
    cluster.ceph("osd", "pool", "set", "images", "target_size_ratio", "0.2")
    cluster.ceph("osd", "pool", "set", "scratch", "bulk", "true")
    cluster.ceph("osd", "pool", "set", "vms", "pg_autoscale_mode", "off")
    cluster.ceph("osd", "pool", "set", "archive", "pg_autoscale_mode", "warn")
    cluster.ceph("osd", "pool", "set", "scratch", "pg_autoscale_mode", "warn")
    cluster.ceph("osd", "pool", "set", "images", "pg_autoscale_mode", "warn")
    cluster.wait(cluster.clean, 120)
    content = cluster.folder / "content"
    content.write_bytes(bytes(4 << 20))
    for pool, objects in (("vms", 20), ("archive", 6), ("scratch", 3)):
        for number in range(objects):
            cluster.run("rados", "--conf", cluster.conf, "--pool", pool, "put", f"object-{number}", content)
    time.sleep(5)


def _record(cluster: CephCluster, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name, question in QUESTIONS.items():
        _write(target / f"{name}.json", cluster.json(*question))


def _record_states(cluster: CephCluster, target: Path) -> None:
    """C(status) of a healthy cluster, while PGs split, with an OSD down, and with that muted."""
    target.mkdir(parents=True, exist_ok=True)
    _write(target / "healthy.json", cluster.json("status"))
    cluster.ceph("osd", "pool", "set", "vms", "pg_num", "128")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = cluster.json("status")
        if any(entry["state_name"] != "active+clean" for entry in status["pgmap"]["pgs_by_state"]):
            _write(target / "splitting.json", status)
            break
    cluster.wait(cluster.clean, 60)
    cluster.kill_osd(11)
    time.sleep(3)
    _write(target / "osd_down.json", cluster.json("status"))
    cluster.ceph("health", "mute", "OSD_DOWN", "1h")
    time.sleep(1)
    _write(target / "muted.json", cluster.json("status"))
    _write(target / "osd_down_dump.json", cluster.json("osd", "dump"))


def _write(path: Path, answer: Any) -> None:
    path.write_text(json.dumps(_kept(answer), separators=(",", ":")) + "\n", encoding="utf-8")


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _kept(item) for key, item in value.items() if not any(part in key for part in _LEFT_OUT)}
    return [_kept(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
