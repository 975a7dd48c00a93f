"""Progress is seen while a run is under way: on the terminal, and by ansible-runner, which is what AAP uses."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from simcluster.testing import RunningCluster
from support.clusters import apply_rights, migrations
from support.playbook import environment, start_playbook
from support.start import start_cluster

RUN = "Run the plan stage by stage"
LINE = re.compile(
    r"rebalance \[localhost\] stage [a-z-]+ \(\d/\d\), wave \d+/\d+: "
    r"\d+ done, \d+ failed, \d+ in flight, \d+ waiting(, about \S+ left)?"
)


@pytest.fixture
def cluster() -> Iterator[RunningCluster]:
    # slow enough for a run to last a few seconds
    with start_cluster(scenario="small", time_scale=20) as running:
        apply_rights(running)
        yield running


def unfinished(cluster: RunningCluster) -> list[dict[str, Any]]:
    ended = ("Succeeded", "Failed")
    return [item for item in migrations(cluster) if (item.get("status") or {}).get("phase") not in ended]


def variables(folder: Path) -> dict[str, Any]:
    return {
        "rebalance_approval": "automatic",
        "rebalance_dir": str(folder / "rebalance"),
        "rebalance_max_moves": 8,
        "rebalance_preflight": False,
    }


def run_by_runner(cluster: RunningCluster, folder: Path, given: dict[str, Any], **options: Any) -> Any:
    """Run the playbook as AAP does; return ansible-runner's result."""
    (folder / "runner").mkdir()
    return ansible_runner.run(
        private_data_dir=str(folder / "runner"),
        playbook="ocpv.scale.rebalance",
        envvars=environment(cluster.kubeconfig),
        extravars=given,
        quiet=True,
        **options,
    )


def test_lines_appear_on_the_terminal_while_vms_move(cluster: RunningCluster, tmp_path: Path) -> None:
    seen: list[str] = []
    moving_when_seen = 0
    with start_playbook("ocpv.scale.rebalance", cluster.kubeconfig, variables(tmp_path)) as process:
        assert process.stdout is not None
        deadline = time.monotonic() + 120
        for line in process.stdout:
            assert time.monotonic() < deadline
            if LINE.match(line.strip()):
                seen.append(line.strip())
                moving_when_seen += bool(unfinished(cluster))
                assert process.poll() is None
        assert process.wait(30) == 0
    assert moving_when_seen >= 1
    assert len(seen) >= 2
    done = [int(re.search(r"(\d+) done", line)[1]) for line in seen]
    assert done == sorted(done)
    assert seen[-1].endswith("8 done, 0 failed, 0 in flight, 0 waiting")


def test_lines_reach_the_events_of_ansible_runner_before_the_task_has_ended(
    cluster: RunningCluster, tmp_path: Path
) -> None:
    events: list[tuple[str, str, bool]] = []

    def handle(event: dict[str, Any]) -> bool:
        moving = bool(unfinished(cluster)) if "rebalance [" in event["stdout"] else False
        events.append((event["event"], event["stdout"] + str(event.get("event_data", {}).get("task", "")), moving))
        return True

    run = run_by_runner(cluster, tmp_path, variables(tmp_path), event_handler=handle)
    assert (run.status, run.rc) == ("successful", 0), [text for _event, text, _moving in events][-5:]
    (ended,) = [index for index, event in enumerate(events) if event[0] == "runner_on_ok" and RUN in event[1]]
    lines = [index for index, (_event, text, _moving) in enumerate(events) if "rebalance [localhost] stage" in text]
    assert [index for index in lines if index < ended and events[index][2]]


def test_where_nobody_can_answer_the_job_ends_instead_of_waiting(cluster: RunningCluster, tmp_path: Path) -> None:
    asking = {**variables(tmp_path), "rebalance_approval": "prompt"}
    run = run_by_runner(cluster, tmp_path, asking, timeout=60)
    assert (run.status, run.rc) == ("failed", 2)
    assert "was not approved; nothing was moved" in run.stdout.read()
    assert migrations(cluster) == []
