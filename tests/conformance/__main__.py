"""``python -m conformance``: the tests of `tests/integration` and `tests/conformance` against a real API server.

python -m conformance                 # all; builds kube-apiserver if it is nowhere to be found
python -m conformance --if-available  # the same, or one line that says why it is left out (in CI: fails)
python -m conformance --own-cluster   # the cluster that KUBECONFIG names, in a namespace of its own
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from support.start import TEMPLATES_VARIABLE

from . import own_cluster
from .binaries import NotToBeHad, ensure, ensure_whereabouts, find

TESTS = Path(__file__).resolve().parents[1]


def say(text: str) -> None:
    print(f"conformance: {text}", flush=True)


def main(values: list[str] | None = None) -> int:
    """Run pytest with what is asked for; its exit status, or 2 if the API server cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=(__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--if-available", action="store_true", help="leave it out, with one line, where it is not to be had"
    )
    what.add_argument("--own-cluster", action="store_true", help="test the cluster that KUBECONFIG names")
    parser.add_argument("--yes", action="store_true", help="with --own-cluster: do not ask before it is touched")
    parser.add_argument("--no-build", action="store_true", help="do not build kube-apiserver and whereabouts")
    options, more = parser.parse_known_args(values)
    if options.own_cluster:
        return own_cluster.main(more, ask=not options.yes)
    optional = options.if_available and os.environ.get("CI") != "true"
    try:
        found = find() if options.no_build else ensure()
        if found is None:
            raise NotToBeHad("kube-apiserver is not there, and is not to be built")
    except NotToBeHad as error:
        say(f"left out: {error}")
        return 0 if optional else 2
    say(f"{found.version()} from {found.origin}")
    if not options.no_build:
        # before the tests begin, which leave a build little of the machine; theirs say why if it is not to be had
        with contextlib.suppress(NotToBeHad):
            ensure_whereabouts()
    # what takes longest comes first
    command = [sys.executable, "-m", "pytest", str(TESTS / "conformance"), str(TESTS / "integration"), *more]
    with tempfile.TemporaryDirectory(prefix="conformance-templates-") as templates:
        environment = {**os.environ, "OCPV_TEST_API": "real", TEMPLATES_VARIABLE: templates}
        environment.pop("KUBECONFIG", None)
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
