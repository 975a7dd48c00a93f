"""C(python -m simcluster.controllers): the controllers of a cluster, beside its API server."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from . import manager


def _arguments(values: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simcluster.controllers", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="how to reach the API server")
    parser.add_argument("--time-scale", type=float, help="simulated seconds per second, for a server without a clock")
    parser.add_argument("--only", default="", help=f"comma separated, of: {', '.join(manager.names())}")
    parser.add_argument("--ready-file", type=Path, help="written when all objects have been listed")
    parser.add_argument("--seed", type=int, default=0, help="for faults that befall by chance")
    parser.add_argument("--log-level", default="WARNING")
    arguments = parser.parse_args(values)
    unknown = set(filter(None, arguments.only.split(","))) - set(manager.names())
    if unknown:
        parser.error(f"--only: unknown controller {', '.join(sorted(unknown))}; known: {', '.join(manager.names())}")
    return arguments


async def _run(arguments: argparse.Namespace) -> None:
    url, token, trust = manager.read_kubeconfig(arguments.kubeconfig)
    task = asyncio.ensure_future(
        manager.run(
            url,
            token,
            trust=trust,
            scale=arguments.time_scale,
            only=filter(None, arguments.only.split(",")),
            seed=arguments.seed,
            synced=lambda: arguments.ready_file and arguments.ready_file.write_text(f"{os.getpid()}\n"),
        )
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return


def main(values: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    arguments = _arguments(sys.argv[1:] if values is None else values)
    logging.basicConfig(level=arguments.log_level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    asyncio.run(_run(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
