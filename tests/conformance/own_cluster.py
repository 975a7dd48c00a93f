"""``python -m conformance --own-cluster``: what is done to a team's own cluster is said first, and asked about."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

LABEL = "ocpv.scale/conformance"
NAMESPACE_VARIABLE = "OCPV_TEST_NAMESPACE"
_TESTS = Path(__file__).with_name("own")


def main(more: list[str], *, ask: bool) -> int:
    """Run the tests against the cluster of KUBECONFIG; returns pytest's exit status, or 2 if they were not run."""
    kubeconfig = os.environ.get("KUBECONFIG", "")
    if not kubeconfig or not Path(kubeconfig).is_file():
        print(
            f"conformance: KUBECONFIG: {kubeconfig!r} is no file; name the kubeconfig of your cluster", file=sys.stderr
        )
        return 2
    namespace = f"ocpv-scale-conformance-{secrets.token_hex(3)}"
    print(_announcement(kubeconfig, namespace), flush=True)
    if ask and not _agreed():
        print("conformance: nothing was done", file=sys.stderr)
        return 2
    environment = {**os.environ, NAMESPACE_VARIABLE: namespace}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(_TESTS), *more]
    return subprocess.run(command, env=environment).returncode


def _announcement(kubeconfig: str, namespace: str) -> str:
    return f"""conformance: the current context of {kubeconfig} will be used.
  Written: namespace {namespace} (new, label {LABEL}=true), in it ConfigMaps and one Lease. It is deleted at the end.
  Read: nodes, namespaces, pods, claims, volumes, storage classes, VirtualMachines, their instances and migrations,
    migration policies, KubeVirt, HyperConverged, quotas, the descheduler, metrics of nodes.
  Asked: which rights this account has (SelfSubjectAccessReviews, which are not stored).
  Nothing else is touched: no VM is moved, no setting is changed."""


def _agreed() -> bool:
    if not sys.stdin.isatty():
        print("conformance: there is no terminal to ask on; --yes agrees beforehand", file=sys.stderr)
        return False
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
