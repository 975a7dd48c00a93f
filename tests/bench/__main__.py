"""Run the benchmarks and print a table: each value beside its limit or its peer.

Nothing is asserted here. The exit code is 0 if everything could be measured, whatever the values are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import listing, planning, running, rwx_check, snapshot, start, sysctl
from .measurement import Measurement, NotMeasured, table
from .workbench import ROUNDS, TIME_SCALE, Workbench

Benchmark = Callable[[Workbench], list[Measurement]]
# in this order: those that share the cluster next to each other
BENCHMARKS: Mapping[str, Benchmark] = {
    "start": start.measure,
    "list": listing.measure,
    "rwx_check": rwx_check.measure,
    "snapshot": snapshot.measure,
    "plan": planning.measure,
    "run": running.measure,
    "sysctl": sysctl.measure,
}


def main(arguments: list[str] | None = None, benchmarks: Mapping[str, Benchmark] = BENCHMARKS) -> int:
    """Returns the exit code."""
    options = _options(arguments, benchmarks)
    rows: list[tuple[str, Measurement]] = []
    errors: dict[str, str] = {}
    with Workbench(options.rounds, options.time_scale) as bench:
        for name in options.only or benchmarks:
            print(f"bench: {name}", file=sys.stderr, flush=True)
            try:
                rows += [(name, item) for item in benchmarks[name](bench)]
            except NotMeasured as error:
                errors[name] = str(error)
            except Exception as error:  # whatever one benchmark meets, the others are still measured
                traceback.print_exc()
                errors[name] = f"{type(error).__name__}: {error}"
    if rows:
        print(table(rows))
    for name, text in errors.items():
        print(f"bench: {name} could not be measured: {text}", file=sys.stderr)
    if options.json is not None:
        options.json.write_text(json.dumps(document(rows, errors), indent=2) + "\n", encoding="utf-8")
    return 1 if errors else 0


def document(rows: list[tuple[str, Measurement]], errors: Mapping[str, str]) -> dict[str, Any]:
    """What --json writes: JSON types only."""
    machine = {"processors": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()}
    measured = [{"benchmark": name, **item.to_dict()} for name, item in rows]
    return {"machine": machine, "measurements": measured, "not_measured": dict(errors)}


def _options(arguments: list[str] | None, benchmarks: Mapping[str, Benchmark]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(benchmarks), help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of each measurement, fewer of long ones")
    parser.add_argument(
        "--time-scale", type=float, default=TIME_SCALE, help="how many times faster than real time the cluster runs"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the values of all rounds there as well")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"argument --rounds: {options.rounds}: a number of at least 1 is needed")
    if not 1 <= options.time_scale <= 1000:
        parser.error(f"argument --time-scale: {options.time_scale:g}: a number from 1 to 1000 is needed")
    if options.json is not None and (options.json.is_dir() or not options.json.resolve().parent.is_dir()):
        parser.error(f"argument --json: {options.json}: the name of a file in an existing directory is needed")
    return options


if __name__ == "__main__":
    sys.exit(main())
