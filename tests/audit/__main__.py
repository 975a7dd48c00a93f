"""C(python -m audit --kubeconfig FILE --output FILE.jsonl): watch until told to stop, exit 1 if a rule was broken."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from .api import Api, Unreachable, connection
from .auditor import Auditor
from .final import Picture, compare, picture
from .findings import Finding, note
from .watcher import Watcher

_TICK_SECONDS = 0.25
_SETTLE_POLL_SECONDS = 1.0


def main(arguments: list[str] | None = None) -> int:
    """0: no violation, 1: violations, 2: the cluster could not be audited."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_audit(options))
    except Unreachable as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="audit", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="findings, one JSON object a line")
    parser.add_argument("--until-file", type=Path, help="stop when this file exists (SIGTERM and SIGINT stop as well)")
    parser.add_argument("--ready-file", type=Path, help="written when the state before the run has been taken")
    parser.add_argument("--ignore", action="append", default=[], metavar="NAMESPACE/VM", help="a VM that others change")
    parser.add_argument("--settle-seconds", type=float, default=15.0, help="how long the end state may take to settle")
    parser.add_argument("--lag-seconds", type=float, default=3.0, help="how far apart two watches may be")
    parser.add_argument(
        "--overlap-seconds", type=float, default=15.0, help="how long a source pod may outlive its migration"
    )
    return parser


async def _audit(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    auditor = Auditor(lag_seconds=options.lag_seconds, overlap_seconds=options.overlap_seconds, ignored=options.ignore)
    counts: Counter[str] = Counter()
    async with Api(connection(options.kubeconfig)) as api:
        watcher = Watcher(api)
        start_objects = await watcher.begin()
        before = picture(start_objects)
        auditor.begin(start_objects, time.time())
        del start_objects
        with options.output.open("w", encoding="utf-8") as output:
            watching = asyncio.create_task(watcher.run())
            try:
                if options.ready_file:
                    options.ready_file.write_text("ready\n", encoding="utf-8")
                await _follow(watcher, auditor, options, stop, output, counts)
                await _finish(watcher, auditor, before, options, output, counts)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            blind = dict(watcher.blind)
            _summary(auditor, counts, blind, output)
    if counts["violation"]:
        return 1
    return 2 if blind else 0


async def _follow(
    watcher: Watcher,
    auditor: Auditor,
    options: argparse.Namespace,
    stop: asyncio.Event,
    output: TextIO,
    counts: Counter[str],
) -> None:
    while not stop.is_set() and not (options.until_file and options.until_file.exists()):
        await asyncio.sleep(_TICK_SECONDS)
        _consume(watcher, auditor, output, counts)


def _consume(watcher: Watcher, auditor: Auditor, output: TextIO, counts: Counter[str]) -> None:
    while not watcher.queue.empty():
        event = watcher.queue.get_nowait()
        counts["events"] += 1
        if event.type == "GAP":
            _write([note("gap", event.kind, event.message, event.time)], output, counts)
        else:
            auditor.observe(event.kind, event.type, event.obj, event.time)
    auditor.tick(time.time())
    _write(auditor.take(), output, counts)


async def _finish(
    watcher: Watcher,
    auditor: Auditor,
    before: Picture,
    options: argparse.Namespace,
    output: TextIO,
    counts: Counter[str],
) -> None:
    """Compare start and end; what does not fit is given time to settle (a source pod that is just ending)."""
    drained = time.time() + options.lag_seconds + 2 * _TICK_SECONDS
    while time.time() < drained:
        await asyncio.sleep(_TICK_SECONDS)
        _consume(watcher, auditor, output, counts)
    deadline = time.time() + options.settle_seconds
    while True:
        left = compare(before, picture(await watcher.lists()), time.time(), options.ignore)
        if not left or time.time() >= deadline:
            break
        await asyncio.sleep(_SETTLE_POLL_SECONDS)
    _consume(watcher, auditor, output, counts)
    _write(left, output, counts)


def _write(findings: list[Finding], output: TextIO, counts: Counter[str]) -> None:
    for finding in findings:
        counts[finding.severity] += 1
        counts[f"{finding.severity} {finding.rule}"] += 1
        record = {**asdict(finding), "time": _timestamp(finding.time)}
        output.write(json.dumps(record) + "\n")
        output.flush()
        if finding.severity == "violation":
            print(f"{record['time']} {finding.rule}: {finding.subject}: {finding.message}", flush=True)


def _summary(auditor: Auditor, counts: Counter[str], blind: dict[str, str], output: TextIO) -> None:
    rules = {name.removeprefix("violation "): count for name, count in counts.items() if name.startswith("violation ")}
    record = {
        "severity": "summary",
        "violations": counts["violation"],
        "by_rule": rules,
        "notes": counts["note"],
        "events": counts["events"],
        "vms_moved_live": len(auditor.live_moves),
        "vms_moved_cold": len(auditor.cold_moves),
        "blind": blind,
    }
    output.write(json.dumps(record) + "\n")
    verdict = "no rule was broken" if not counts["violation"] else f"{counts['violation']} violations {rules}"
    print(
        f"audit: {verdict}; {counts['events']} events, {len(auditor.live_moves)} VMs moved live and "
        f"{len(auditor.cold_moves)} cold by runs, {counts['note']} notes",
        flush=True,
    )
    for kind, reason in blind.items():
        print(f"audit: {kind} was not being watched at the end: {reason}", file=sys.stderr)


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    sys.exit(main())
