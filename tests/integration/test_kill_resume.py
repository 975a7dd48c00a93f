"""ansible-playbook is killed at many moments and run again: the planned state is reached, each VM is moved once.

The moments are told by what is seen in the cluster. Some would pass too quickly to be seen; there the API leaves those
requests unanswered that lead out of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from simcluster.testing import ADMIN, RunningCluster
from support.auditing import Audit
from support.killing import EVERYTHING, GROUP, PARENT, KillableRun
from support.playbook import AS_JSON, run_playbook
from support.rehearsal import Rehearsal, moves_of
from support.running import Scene
from support.start import start_cluster
from support.waiting import set_model

Obj = dict[str, Any]
PLAYBOOK = "ocpv.scale.rebalance"
TIME_SCALE = 80.0
ONCE, ALWAYS, RERUN = "lab/once-01", "legacy/legacy-01", "lab/rerun-01"
REQUEST = {
    "rebalance_goal": "drain",
    "rebalance_nodes": ["worker-08", "worker-11", "worker-12"],
    "rebalance_modes": ["live", "cold"],
    # one whose run strategy has to be changed while it moves
    "rebalance_moves": [{"namespace": "lab", "name": "once-01", "target": "worker-07", "mode": "cold"}],
    "rebalance_approval": "plan_only",
    "rebalance_preflight": False,
}
NO_STATE = {"verb": "create", "path": "/configmaps"}
NO_RECORD = {"verb": "patch", "path": "/configmaps/"}
NO_MIGRATIONS = {"verb": "create", "path": "/virtualmachineinstancemigrations"}
NO_RESTART = {"path": "/virtualmachines/legacy-01/restart$"}
NO_CHANGE = {"verb": "patch", "path": "/virtualmachines/"}
LEASE = "/apis/coordination.k8s.io/v1/namespaces/ocpv-scale/leases/ocpv-scale-rebalance"
ELSEWHERE = "import socket\nsocket.gethostname = lambda: 'elsewhere'\n"


@dataclass(frozen=True)
class Moment:
    """When to kill, and what. Requests that match C(unanswered) get no answer from C(since) on, but for the first
    C(answered) ones, so that the run cannot get past the moment unseen."""

    seen: Callable[[Rehearsal], Any]
    way: str = EVERYTHING
    unanswered: Obj | None = None
    answered: int = 0
    since: Callable[[Rehearsal], Any] | None = None
    # whether the state existed, so that what follows counts as resumed
    begun: bool = True


def done(view: Rehearsal) -> int:
    return len(view.recorded("succeeded"))


def nearly_done(view: Rehearsal) -> bool:
    return done(view) >= len(view.moves) - 2


MOMENTS = {
    "lease-taken": Moment(lambda view: view.scene.holder(), unanswered=NO_STATE, begun=False),
    "state-written": Moment(lambda view: view.record, GROUP, unanswered=NO_MIGRATIONS),
    "first-migration": Moment(lambda view: view.migrations(), PARENT),
    "scheduling": Moment(lambda view: view.migrations("Scheduling")),
    "copying": Moment(lambda view: view.migrations("Running"), GROUP),
    "succeeded-unknown": Moment(
        lambda view: any(view.known(name) == "in_flight" for name in view.migrations("Succeeded")),
        unanswered=NO_RECORD,
        since=lambda view: view.recorded("in_flight"),
    ),
    "canary-over": Moment(lambda view: len(view.recorded("succeeded", stage="canary")) == 2, PARENT),
    "cold-noted": Moment(lambda view: view.noted(ALWAYS) and view.instance(ALWAYS), unanswered=NO_RESTART),
    "cold-not-restored": Moment(
        lambda view: view.arrived(ALWAYS) and view.noted(ALWAYS),
        unanswered=NO_CHANGE,
        since=lambda view: view.noted(ALWAYS),
    ),
    "near-the-end": Moment(nearly_done, unanswered=NO_RECORD, since=nearly_done),
}
RECORDED_BUT_NOT_CREATED = Moment(lambda view: view.recorded("in_flight"), unanswered=NO_MIGRATIONS)
COLD_STOPPED = Moment(
    lambda view: view.noted(ONCE) and not view.instance(ONCE),
    unanswered={"verb": "patch", "path": "/virtualmachines/once-01$"},
    # the one that notes and places it
    answered=1,
)
STEERED = Moment(lambda view: view.noted(), PARENT, unanswered=NO_MIGRATIONS)
STEERED_UNKNOWN = Moment(
    lambda view: view.arrived(RERUN) and view.noted(RERUN),
    unanswered={"verb": "patch", "path": "/virtualmachines/rerun-01$"},
    # the one that steers it
    answered=1,
)


@pytest.fixture(scope="module")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan with live and cold moves. All clusters of the scenario are alike in every id, so it is for all of them."""
    folder = tmp_path_factory.mktemp("plan")
    with start_cluster("small", time_scale=TIME_SCALE, tls=False) as cluster:
        run = run_playbook(PLAYBOOK, cluster.kubeconfig, {**REQUEST, "rebalance_dir": str(folder)})
    assert run.returncode == 0, run.output[-3000:]
    modes = {key: move["mode"] for key, move in moves_of(yaml.safe_load((folder / "plan.yml").read_text())).items()}
    assert 15 <= len(modes) <= 25
    assert (modes[ONCE], modes[ALWAYS]) == ("cold", "cold")
    assert list(modes.values()).count("live") > 10
    return folder / "plan.yml"


@pytest.fixture
def view(plan_file: Path, request: pytest.FixtureRequest) -> Iterator[Rehearsal]:
    with start_cluster(getattr(request, "param", "small"), time_scale=TIME_SCALE, tls=False, faults=True) as cluster:
        yield Rehearsal(Scene(cluster), yaml.safe_load(plan_file.read_text()))


@pytest.fixture
def audit(view: Rehearsal, tmp_path: Path) -> Iterator[Audit]:
    with Audit(view.scene.cluster.kubeconfig, tmp_path) as audit:
        yield audit


class Starter:
    """Starts the playbook with a plan again and again; each run has its own folder for log and report."""

    def __init__(self, view: Rehearsal, plan_file: Path, folder: Path) -> None:
        self._view = view
        self._plan_file = plan_file
        self._folder = folder
        self._number = 0

    def __call__(self, *, folder: Path | None = None, plan_file: Path | None = None, **more: str) -> KillableRun:
        self._number += 1
        variables = {
            "rebalance_approval": "automatic",
            "rebalance_plan_file": str(plan_file or self._plan_file),
            "rebalance_dir": str(self._folder / f"report-{self._number}"),
            "rebalance_lease_seconds": 3,
            "rebalance_preflight": False,
        }
        log = self._folder / f"run-{self._number}.log"
        return KillableRun(PLAYBOOK, self._view.scene.cluster.kubeconfig, variables, log, folder=folder, **more)


@pytest.fixture
def start(view: Rehearsal, plan_file: Path, tmp_path: Path) -> Starter:
    return Starter(view, plan_file, tmp_path)


def leave_unanswered(cluster: RunningCluster, requests: Obj, *, answered: int = 0) -> None:
    cluster.faults({"match": {"user": ADMIN, **requests}, "action": {"drop_connection": True}, "after": answered})


def hold(moment: Moment, view: Rehearsal) -> Moment:
    """Let the run that is started next get no further than to the moment, where requests are known beforehand."""
    if moment.unanswered and not moment.since:
        leave_unanswered(view.scene.cluster, moment.unanswered, answered=moment.answered)
    return moment


def kill_at(moment: Moment, view: Rehearsal, run: KillableRun) -> None:
    """Kill a run when it is as the moment says; it is frozen until then, so that nothing of it gets further."""
    cluster = view.scene.cluster
    run.until(view.scene.holder, "it has the Lease", pause=0.05)
    if moment.unanswered and (since := moment.since):
        run.until(lambda: since(view), "it comes near the moment", pause=0.005)
        leave_unanswered(cluster, moment.unanswered)
    run.until(lambda: moment.seen(view), "the moment to kill it", pause=0.005)
    run.freeze()
    run.kill(moment.way)
    cluster.faults()


def run_to_the_end(run: KillableRun, view: Rehearsal, audit: Audit, *, resumed: int) -> None:
    """Let a run end, and look whether all is as it should be then."""
    run.until(lambda: (view.record or {}).get("status") == "completed", "it is completed", seconds=120)
    audit.end()
    finished = run.result()
    assert finished.returncode == 0, finished.output[-3000:]
    view.check(resumed=resumed)
    view.check_that_another_run_changes_nothing()
    audit.finish()


@pytest.mark.parametrize("name", MOMENTS)
def test_killed_and_run_again(view: Rehearsal, audit: Audit, start: Starter, name: str) -> None:
    moment = hold(MOMENTS[name], view)
    with start() as killed:
        kill_at(moment, view, killed)
        with start() as run:
            run_to_the_end(run, view, audit, resumed=int(moment.begun))
        killed.gone()


def test_killed_three_times_and_continued_by_others(
    view: Rehearsal, audit: Audit, start: Starter, plan_file: Path, tmp_path: Path
) -> None:
    """Each call but the first comes from another machine, as far as it can tell, with a copy of the plan."""
    other = tmp_path / "other-machine"
    other.mkdir()
    (other / "plan.yml").write_bytes(plan_file.read_bytes())
    (other / "sitecustomize.py").write_text(ELSEWHERE)
    path = os.pathsep.join(filter(None, (str(other), os.environ.get("PYTHONPATH"))))
    elsewhere: Obj = {"folder": other, "plan_file": Path("plan.yml"), "PYTHONPATH": path}
    hold(RECORDED_BUT_NOT_CREATED, view)
    with start() as first:
        kill_at(RECORDED_BUT_NOT_CREATED, view, first)
        hold(COLD_STOPPED, view)
        with start(**elsewhere) as second:
            second.until(lambda: "/elsewhere/" in view.scene.holder(), "the Lease goes to the other machine")
            kill_at(COLD_STOPPED, view, second)
        with start(**elsewhere) as third:
            third.until(lambda: view.record["resumed"] == 2, "it goes on")
            kill_at(MOMENTS["near-the-end"], view, third)
        with start() as last:
            run_to_the_end(last, view, audit, resumed=3)


def test_a_lease_left_by_a_process_that_was_killed_when_all_was_done_is_given_back(view: Rehearsal) -> None:
    """Between its last two writes: the record is complete, the Lease not yet given back."""
    scene = view.scene
    plan = scene.plan({"non-critical": [("shop/web-01", "worker-10")]})
    run_id = scene.run(plan)["run"]["run_id"]
    left = {"holderIdentity": f"{run_id}/another-machine/4711-abcdef", "leaseDurationSeconds": 3}
    assert scene.client.patch(LEASE, {"spec": left}).status == 200
    again = scene.run(plan)
    assert (again["changed"], again["run"]["status"]) == (False, "completed")
    assert scene.holder() == ""


@pytest.mark.simulated("the plan is of another scenario, and only simulated clusters of both have the same ids")
@pytest.mark.parametrize("view", ["v1beta1"], indirect=True)
def test_killed_where_vms_are_steered_by_their_node_selector(view: Rehearsal, audit: Audit, start: Starter) -> None:
    hold(STEERED, view)
    with start() as first:
        kill_at(STEERED, view, first)
        hold(STEERED_UNKNOWN, view)
        with start() as second:
            kill_at(STEERED_UNKNOWN, view, second)
        with start() as last:
            run_to_the_end(last, view, audit, resumed=2)


def test_terminated_it_pauses_and_goes_on_when_run_again(view: Rehearsal, audit: Audit, start: Starter) -> None:
    """SIGTERM ends ansible-playbook at once, so the module does not wait for what is in flight either."""
    set_model(view.scene.cluster, stream_bytes_per_second="2e7")
    with start() as terminated:
        terminated.until(lambda: view.migrations("Running"), "a migration runs")
        terminated.terminate()
        assert terminated.result().returncode != 0
        terminated.gone()
    set_model(view.scene.cluster)
    record = view.record
    assert record["status"] == "paused"
    assert {move["status"] for move in record["moves"]} >= {"in_flight", "not_attempted"}
    assert view.scene.holder() == ""
    with start() as run:
        run_to_the_end(run, view, audit, resumed=1)


def test_a_second_run_of_another_plan_is_refused_with_the_name_of_the_first(
    view: Rehearsal, audit: Audit, start: Starter, tmp_path: Path
) -> None:
    plan = view.scene.plan({"non-critical": [("shop/web-01", "worker-10"), ("shop/web-02", "worker-09")]})
    (tmp_path / "other.yml").write_text(yaml.safe_dump(plan))
    leave_unanswered(view.scene.cluster, NO_MIGRATIONS)
    with start() as first:
        first.until(lambda: view.recorded("in_flight"), "it begins")
        with start(plan_file=tmp_path / "other.yml", **AS_JSON) as second:
            refused = second.result()
        holder = view.scene.holder()
        assert refused.returncode == 2, refused.output[-3000:]
        assert refused.failure()["error"] == "LeaseTaken", refused.failure()["msg"]
        assert f"run {view.record['run_id']} ({holder})" in refused.failure()["msg"]
        view.scene.cluster.faults()
        run_to_the_end(first, view, audit, resumed=0)
