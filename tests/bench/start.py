"""How long the reference scenario takes to be there, and how much memory its processes take."""

from __future__ import annotations

from pathlib import Path

from simcluster.testing import SimCluster

from .measurement import BYTES, SECONDS, Measurement, NotMeasured, seconds_of, within_limit
from .workbench import SCENARIO, Workbench

READY_SECONDS = 20.0
MEMORY_MB = 1500.0


def measure(bench: Workbench) -> list[Measurement]:
    """From the start of the process until all objects are served and the controllers have read them."""
    seconds, memory, objects = [], [], 0
    for _round in range(bench.few_rounds):
        cluster = SimCluster(SCENARIO)
        try:
            seconds.append(seconds_of(cluster.start))
            memory.append(sum(peak_bytes(cluster.ready[key]) for key in ("pid", "controllers_pid")) / 1e6)
            objects = cluster.ready["objects"]
        finally:
            cluster.stop()
    return [
        within_limit(f"{objects:,} objects ready", SECONDS, seconds, READY_SECONDS),
        within_limit("peak memory of server and controllers", BYTES, memory, MEMORY_MB),
    ]


def peak_bytes(pid: int) -> int:
    """The most resident memory that a process had so far (VmHWM, see proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        name, _colon, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    raise NotMeasured(f"/proc/{pid}/status has no line VmHWM; peak memory can be read on Linux only")
