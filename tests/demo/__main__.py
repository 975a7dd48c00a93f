"""Run the staged rebalance on an embedded cluster and leave its report: what `make demo` calls.

Starts the simulated cluster, an auditor that watches its API and knows nothing of the planner, and the playbook
ocpv.scale.demo; ends with what the auditor saw and where the report is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from simcluster.testing import SimCluster

ROOT = Path(__file__).resolve().parents[2]
# how many times faster than real time the embedded cluster runs
TIME_SCALE = {"small": 20.0, "reference": 20.0}


def say(text: str) -> None:
    print(f"demo: {text}", flush=True)


def audit(kubeconfig: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start the auditor; it ends when the file `finished` appears in the folder."""
    command = [sys.executable, "-m", "audit", "--kubeconfig", str(kubeconfig), "--output", str(folder / "audit.jsonl")]
    command += ["--until-file", str(folder / "finished"), "--ready-file", str(folder / "auditing")]
    process = subprocess.Popen(command, stdout=(folder / "audit.txt").open("wb"), stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while not (folder / "auditing").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return process


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenario", default="small", help="small, reference, or another one that simcluster knows")
    parser.add_argument("--report", type=Path, default=Path("demo-report"), help="folder for the report")
    parser.add_argument("--time-scale", type=float, help="how many times faster than real time the cluster runs")
    options = parser.parse_args()
    scale = options.time_scale or TIME_SCALE.get(options.scenario, 20.0)
    began = time.monotonic()
    report = options.report.resolve()
    with tempfile.TemporaryDirectory(prefix="ocpv-demo-") as name:
        folder = Path(name)
        say(f"starting an embedded cluster (scenario {options.scenario}, {scale:g} times faster than real time)")
        with SimCluster(scenario=options.scenario, time_scale=scale) as cluster:
            auditor = audit(Path(cluster.kubeconfig), folder)
            environment = {
                **os.environ,
                "K8S_AUTH_KUBECONFIG": str(cluster.kubeconfig),
                "ANSIBLE_CONFIG": str(ROOT / "tests" / "demo" / "ansible.cfg"),
            }
            playbook = ["ansible-playbook", "ocpv.scale.demo", "-e", json.dumps({"demo_report": str(report)})]
            say("running the playbook ocpv.scale.demo")
            result = subprocess.run(playbook, env=environment).returncode
            (folder / "finished").touch()
            audited = auditor.wait(120)
        say((folder / "audit.txt").read_text().strip() or "the auditor said nothing")
    took = time.monotonic() - began
    say(f"report: {report / 'report.html'}" if result == 0 else "the playbook failed")
    say(f"took {took:.0f} s")
    return result or audited


if __name__ == "__main__":
    sys.exit(main())
