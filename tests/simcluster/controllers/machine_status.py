"""The status of a VirtualMachine, from itself, its instance and its data volumes. Pure.

Source: KubeVirt pkg/virt-controller/watch/vm/vm.go (updateStatus, setPrintableStatus, syncConditions,
syncRestartRequired).
"""

from __future__ import annotations

from typing import Any

from ..subresources import run_strategy
from .controller import condition_of, with_condition, without_condition

Obj = dict[str, Any]
_OWN_CONDITIONS = ("RestartRequired", "Failure", "ManualRecoveryRequired", "Initialized")
_NOT_LIVE = "a non-live-updatable field was changed in the template spec"
_LIVE_FIELDS = ("nodeSelector", "affinity", "tolerations")
_FINAL = ("Succeeded", "Failed")


def machine_status(
    machine: Obj, instance: Obj | None, data_volumes: list[Obj], now: str, *, crashing: bool = False
) -> Obj:
    """Every status field that the controller owns; None for what is absent. C(crashing): the last start failed."""
    status: Obj = machine.get("status") or {}
    phase = ((instance or {}).get("status") or {}).get("phase")
    conditions = _conditions(machine, instance, now)
    requests = _requests_left(status, instance)
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    generation = machine["metadata"].get("generation", 1)
    return {
        "printableStatus": printable_status(
            machine, instance, data_volumes, requested=bool(requests), crashing=crashing
        ),
        "created": True if phase not in (None, *_FINAL) else None,
        "ready": ready if instance is not None or "ready" in status else None,
        "conditions": conditions,
        "runStrategy": run_strategy(machine),
        "desiredGeneration": generation,
        "observedGeneration": generation,
        "stateChangeRequests": requests,
    }


def _requests_left(status: Obj, instance: Obj | None) -> list[Obj] | None:
    """A stop is done when its instance is gone, a start when there is one."""
    requests: list[Obj] = status.get("stateChangeRequests") or []
    if requests and requests[0]["action"] == "Stop":
        uid = instance["metadata"]["uid"] if instance else None
        if requests[0].get("uid") != uid:
            requests = requests[1:]
    if requests and requests[0]["action"] == "Start" and instance is not None and not _ending(instance):
        requests = requests[1:]
    return requests or None


def _ending(instance: Obj) -> bool:
    return "deletionTimestamp" in instance["metadata"] or (instance.get("status") or {}).get("phase") in _FINAL


def _conditions(machine: Obj, instance: Obj | None, now: str) -> list[Obj]:
    before: list[Obj] = (machine.get("status") or {}).get("conditions") or []
    own = [each for each in before if each["type"] in _OWN_CONDITIONS]
    copied: list[Obj] = []
    if instance is None:
        ready = ("False", "VMINotExists", "VMI does not exist")
        copied = with_condition(
            [each for each in before if each["type"] == "Ready"], "Ready", ready[0], now, *ready[1:]
        )
    else:
        copied = list((instance.get("status") or {}).get("conditions") or [])
        if all(each["type"] != "Ready" for each in copied):
            known = [each for each in before if each["type"] == "Ready"]
            text = "VMI is missing the Ready condition"
            copied = with_condition(known, "Ready", "False", now, "VMIConditionMissing", text) + copied
    if instance is not None and restart_required(machine, instance):
        own = with_condition(own, "RestartRequired", "True", now, "", _NOT_LIVE)
    else:
        own = without_condition(own, "RestartRequired")
    order = {each["type"]: index for index, each in enumerate(before)}
    together = copied + own
    together.sort(key=lambda each: order.get(each["type"], len(order)))
    return together


def restart_required(machine: Obj, instance: Obj) -> bool:
    """Whether the template says something that only a new instance can follow."""
    started_from = (instance["metadata"].get("annotations") or {}).get("kubevirt.io/vm-generation")
    if started_from == str(machine["metadata"].get("generation")):
        return False
    wanted: Obj = machine["spec"]["template"].get("spec") or {}
    return not all(
        _within(value, instance["spec"].get(field)) for field, value in wanted.items() if field not in _LIVE_FIELDS
    )


def _within(wanted: Any, actual: Any) -> bool:
    """Whether C(actual) says all that C(wanted) says (it may say more: defaults)."""
    if isinstance(wanted, dict):
        if not isinstance(actual, dict):
            return not wanted
        return all(_within(value, actual.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(actual, list):
            return not wanted
        return len(wanted) == len(actual) and all(map(_within, wanted, actual))
    return bool(wanted == actual)


def printable_status(
    machine: Obj, instance: Obj | None, data_volumes: list[Obj], *, requested: bool = False, crashing: bool = False
) -> str:
    """The first that applies, in KubeVirt's order. C(requested): a start or stop has been asked for; C(crashing): the
    last start failed."""
    if "deletionTimestamp" in machine["metadata"]:
        return "Terminating"
    status: Obj = (instance or {}).get("status") or {}
    phase = status.get("phase")
    if instance is not None and "deletionTimestamp" in instance["metadata"]:
        return "Stopping"
    state: Obj = status.get("migrationState") or {}
    if phase == "Running" and state.get("startTimestamp") and not state.get("endTimestamp"):
        return "Migrating"
    if instance is not None and phase == "Running":
        paused = condition_of(instance, "Paused")
        return "Paused" if paused and paused["status"] == "True" else "Running"
    if instance is not None:
        synchronized = condition_of(instance, "Synchronized")
        if synchronized and synchronized.get("reason") == "FailedPvcNotFound":
            return "ErrorPvcNotFound"
        scheduled = condition_of(instance, "PodScheduled")
        if scheduled and scheduled["status"] == "False" and scheduled.get("reason") == "Unschedulable":
            return "ErrorUnschedulable"
    strategy = run_strategy(machine)
    if strategy != "Halted" and any((each.get("status") or {}).get("phase") == "Failed" for each in data_volumes):
        return "DataVolumeError"
    if strategy != "Halted" and any(
        (each.get("status") or {}).get("phase") not in ("Succeeded", "WaitForFirstConsumer") for each in data_volumes
    ):
        return "Provisioning"
    if instance is not None and phase not in _FINAL:
        return "Starting"
    if strategy == "Always" or requested:
        return "CrashLoopBackOff" if crashing else "Starting"
    return "Stopped"
