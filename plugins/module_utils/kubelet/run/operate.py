# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kubelet_config as one call: reads, checks, decides, writes pool by pool, and tells the result."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, Optional, Sequence

from ...cluster.gateway import Gateway
from ...errors import InvalidInput
from ..checks import ACCEPTABLE, Job, Problem, Scene, cautions, check_pools, problems
from ..objects import CREATE, KEEP, REMOVE, object_name, step_for
from ..pools import UPDATED, node_document
from ..told import lines_of
from ..values import kubelet_values
from .keeper import Keeper, write_step
from .read import read_scene
from .rollout import DONE, FAILED, LEFT_PAUSED, UNCHANGED, Report, Rollout
from .wait import Patience, Waiter

Result = dict[str, Any]


def run(module: Any, connect: Callable[[], Gateway]) -> Result:
    """Make the change of a module call and return the module's result; fails with it if a pool does not get through."""
    params = module.params
    values = None
    if params["state"] == "present":
        values = kubelet_values(params["profile"], params, params["kubelet_config"])
    if params["name"] and len(params["pools"]) != 1:
        raise InvalidInput("name", params["name"], "it can be given for one pool only; each has an object of its own")
    names = {pool: params["name"] or object_name(pool) for pool in params["pools"]}
    patience = Patience(
        pool_seconds=params["pool_timeout_seconds"],
        node_seconds=params["node_timeout_seconds"],
        accept_degraded="pool_degraded" in params["accept_problems"],
    )
    call = Call(connect(), names, values, params["pause"], params["accept_problems"], patience)
    result = call.make(check_mode=module.check_mode)
    result["lines"] = lines_of(result)
    for caution in result["cautions"]:
        module.warn(caution)
    if result["msg"]:
        module.fail_json(**result)
    return result


class Call:
    """One call of the module; see Keeper for C(names) and C(values). C(clock) and C(sleep) are for tests that play."""

    def __init__(
        self,
        gateway: Gateway,
        names: Mapping[str, str],
        values: Optional[Mapping[str, Any]],
        managed: Sequence[str],
        accept: Sequence[str],
        patience: Patience,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gateway = gateway
        self._names = dict(names)
        self._values = values
        self._managed = tuple(managed)
        self._accept = tuple(accept)
        self._patience = patience
        self._clock = clock
        self._sleep = sleep

    def make(self, *, check_mode: bool) -> Result:
        """Return the result; C(msg) says why it is none to go on with, and is empty if all is well."""
        scene = read_scene(self._gateway, machines=False)
        check_pools(scene, list(self._names), self._managed)
        job = self._job(scene)
        if job.affected(scene):
            scene = read_scene(self._gateway)
            job = self._job(scene)
        against = problems(scene, job, self._accept)
        result: Result = {
            "changed": False,
            "msg": "",
            "problems": [_problem_document(problem) for problem in against],
            "cautions": [*cautions(scene, job), *(each.message for each in against if each.accepted)],
            "diff": _diff(job),
            "pools": [_planned(scene, job, pool) for pool in self._names],
        }
        refused = [problem for problem in against if not problem.accepted]
        if refused:
            result["msg"] = " ".join(["Nothing was changed.", *map(_told, refused)])
            return result
        for step in job.steps.values():
            write_step(self._gateway, step, dry_run=True)
        if check_mode:
            # what an earlier run left is gone on with, or restored
            left = any(pool.record for pool in scene.pools.values())
            result["changed"] = left or any(step.action != KEEP for step in job.steps.values())
            return result
        return self._roll_out(scene, result)

    def _job(self, scene: Scene) -> Job:
        configs = {item["metadata"]["name"]: item for item in scene.configs}
        steps = {
            pool: step_for(configs.get(name), scene.pools[pool], name, self._values)
            for pool, name in self._names.items()
        }
        return Job(steps, self._managed, self._values or {})

    def _roll_out(self, scene: Scene, result: Result) -> Result:
        keeper = Keeper(self._gateway, self._names, self._values)
        waiter = Waiter(keeper, self._patience, self._clock, self._sleep)
        rollout = Rollout(keeper, waiter, self._names, self._managed, present=self._values is not None)
        reports = rollout.run()
        bad = [report for report in reports if report.error]
        told = {document["name"]: document for document in result["pools"]}
        return {
            **result,
            "changed": any(report.changed for report in reports),
            "msg": " ".join(f"{report.error} {report.hint}".strip() for report in bad if report.status == FAILED),
            "pools": [_ended(told.get(report.pool) or _empty(scene, report.pool), report) for report in reports],
        }


def _told(problem: Problem) -> str:
    accepting = f" (accept_problems: {problem.code})" if problem.code in ACCEPTABLE else ""
    return f"{problem.message} {problem.hint}{accepting}"


def _problem_document(problem: Problem) -> dict[str, Any]:
    return {"code": problem.code, "message": problem.message, "hint": problem.hint, "accepted": problem.accepted}


def _diff(job: Job) -> dict[str, Any]:
    differing = [step for step in job.steps.values() if step.action != KEEP]
    return {
        "before": {step.name: dict(step.before) for step in differing if step.action != CREATE},
        "after": {step.name: dict(step.after) for step in differing if step.action != REMOVE},
    }


def _empty(scene: Scene, name: str) -> dict[str, Any]:
    pool, nodes = scene.pools[name], scene.nodes[name]
    return {
        "name": name,
        "kubelet_config": "",
        "action": KEEP,
        "status": UNCHANGED,
        "error": "",
        "hint": "",
        "paused": pool.record.paused if pool.record else pool.paused,
        "max_unavailable": pool.at_a_time(len(nodes)),
        "node_count": len(nodes),
        "updated_nodes": sum(1 for node in nodes if node.phase(pool.target) == UPDATED),
        "nodes": [node_document(node, pool.target) for node in nodes],
    }


def _planned(scene: Scene, job: Job, name: str) -> dict[str, Any]:
    step = job.steps[name]
    status = "planned" if name in job.due(scene) else UNCHANGED
    return {**_empty(scene, name), "kubelet_config": step.name, "action": step.action, "status": status}


def _ended(planned: dict[str, Any], report: Report) -> dict[str, Any]:
    ended = {**planned, "status": report.status, "error": report.error, "hint": report.hint}
    if report.status in (DONE, FAILED, LEFT_PAUSED) and report.nodes:
        ended["nodes"] = [node_document(node, report.target) for node in report.nodes]
        ended["updated_nodes"] = sum(1 for node in report.nodes if node.phase(report.target) == UPDATED)
    return ended
