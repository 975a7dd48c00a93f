"""Subresources that act: binding and evicting pods, and KubeVirt's verbs on machines. Pure: they say what to write.

Sources: KubeVirt pkg/virt-api/rest/lifecycle.go (start, stop, restart, migrate),
pkg/virt-api/webhooks/validating-webhook/admitters/pod-eviction-admitter.go; Kubernetes
pkg/registry/core/pod/storage/{storage,eviction}.go.
"""

from __future__ import annotations

from collections.abc import Callable

from . import admission, eviction
from .actions import Obj, Outcome, SubresourceRequest, Write, accepted, conflict, failure, not_found, success
from .auth import ACCOUNT_PREFIX, User

__all__ = ["Outcome", "SubresourceRequest", "Write", "handle"]

_GROUP = "kubevirt.io"
_VMS = "virtualmachines"
_INSTANCES = "virtualmachineinstances"
_FINAL = ("Succeeded", "Failed")


def handle(request: SubresourceRequest, lookup: admission.Lookup) -> Outcome:
    """Answer one call of a subresource; 404 for a verb that does not exist."""
    verb = _VERBS.get((request.resource, request.subresource))
    if verb is None:
        return failure(404, "NotFound", "the server could not find the requested resource")
    return verb(request, lookup)


def _bind(request: SubresourceRequest, lookup: admission.Lookup) -> Outcome:
    pod = lookup.get("", "pods", request.namespace, request.name)
    if pod is None:
        return not_found("pods", request.name)
    node = ((request.body or {}).get("target") or {}).get("name")
    if not node:
        return failure(400, "BadRequest", "binding target name is empty")
    bound = (pod.get("spec") or {}).get("nodeName")
    problem = ""
    if bound:
        problem = f"pod {request.name} is already assigned to node {bound!r}".replace("'", '"')
    elif pod["metadata"].get("deletionTimestamp"):
        problem = f"pod {request.name} is being deleted, cannot be assigned to a host"
    if problem:
        text = f'Operation cannot be fulfilled on pods/binding "{request.name}": {problem}'
        return failure(409, "Conflict", text, {"name": request.name, "kind": "pods/binding"})
    conditions = [each for each in (pod.get("status") or {}).get("conditions") or [] if each["type"] != "PodScheduled"]
    conditions.append(
        {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": request.now}
    )
    body = {"spec": {"nodeName": node}, "status": {"conditions": conditions}}
    write = Write("merge-patch", "", "pods", request.namespace, request.name, body)
    return success(201, request, write)


def _instance_and_owner(request: SubresourceRequest, lookup: admission.Lookup) -> tuple[Obj | None, Obj | None]:
    machine = lookup.get(_GROUP, _VMS, request.namespace, request.name)
    instance = lookup.get(_GROUP, _INSTANCES, request.namespace, request.name)
    return machine, instance


def _alive(instance: Obj | None) -> bool:
    return instance is not None and (instance.get("status") or {}).get("phase") not in _FINAL


def run_strategy(machine: Obj) -> str:
    """The run strategy in force, also of a machine that still says C(running)."""
    spec: Obj = machine.get("spec") or {}
    if spec.get("runStrategy"):
        return str(spec["runStrategy"])
    return "Always" if spec.get("running") else "Halted"


def _set_run_strategy(request: SubresourceRequest, machine: Obj, strategy: str) -> Outcome:
    spec: Obj = {"runStrategy": strategy}
    if (machine.get("spec") or {}).get("running") is not None:
        spec = {"running": strategy == "Always"}
    return accepted(request, Write("merge-patch", _GROUP, _VMS, request.namespace, request.name, {"spec": spec}))


def _request_change(request: SubresourceRequest, *changes: Obj) -> Outcome:
    body = {"status": {"stateChangeRequests": list(changes)}}
    return accepted(request, Write("merge-patch", _GROUP, _VMS, request.namespace, request.name, body, "status"))


def _start(request: SubresourceRequest, lookup: admission.Lookup) -> Outcome:
    machine, instance = _instance_and_owner(request, lookup)
    if machine is None:
        return not_found("virtualmachine.kubevirt.io", request.name, _GROUP)
    if _alive(instance):
        return conflict(_VM, request, "VM is already running")
    for condition in (machine.get("status") or {}).get("conditions") or []:
        if condition["type"] == "ManualRecoveryRequired" and condition["status"] == "True":
            return conflict(_VM, request, "VM has the ManualRecoveryRequired condition set")
    strategy = run_strategy(machine)
    if strategy in ("Always", "Once", "WaitAsReceiver"):
        return conflict(_VM, request, f"{strategy} does not support manual start requests")
    if strategy == "Halted":
        return _set_run_strategy(request, machine, "Always")
    return _request_change(request, {"action": "Start"})


def _stop(request: SubresourceRequest, lookup: admission.Lookup) -> Outcome:
    machine, instance = _instance_and_owner(request, lookup)
    if machine is None:
        return not_found("virtualmachine.kubevirt.io", request.name, _GROUP)
    strategy = run_strategy(machine)
    if strategy in ("Always", "Once"):
        return _set_run_strategy(request, machine, "Halted")
    if instance is None or not _alive(instance):
        return conflict(_VM, request, "VM is not running")
    if strategy == "Halted":
        grace = (request.body or {}).get("gracePeriod")
        granted = (instance.get("spec") or {}).get("terminationGracePeriodSeconds", 30)
        if grace is None or grace >= granted:
            text = "Halted only supports manual stop requests with a shorter graceperiod"
            return conflict(_VM, request, text)
        body = {"spec": {"terminationGracePeriodSeconds": grace}}
        return accepted(request, Write("merge-patch", _GROUP, _INSTANCES, request.namespace, request.name, body))
    return _request_change(request, {"action": "Stop", "uid": instance["metadata"]["uid"]})


def _restart(request: SubresourceRequest, lookup: admission.Lookup) -> Outcome:
    machine, instance = _instance_and_owner(request, lookup)
    if machine is None:
        return not_found("virtualmachine.kubevirt.io", request.name, _GROUP)
    if ((request.body or {}).get("gracePeriodSeconds") or 0) > 0:
        return failure(400, "BadRequest", "For force restart, only gracePeriod=0 is supported for now")
    strategy = run_strategy(machine)
    if strategy in ("Halted", "Once"):
        return conflict(_VM, request, f"RunStategy {strategy} does not support manual restart requests")
    if instance is None or not _alive(instance):
        return conflict(_VM, request, f"VM is not running: {strategy}")
    if (machine.get("status") or {}).get("stateChangeRequests"):
        return conflict(_VM, request, "unable to complete request: stop/start already underway")
    return _request_change(request, {"action": "Stop", "uid": instance["metadata"]["uid"]}, {"action": "Start"})


def _migrate(request: SubresourceRequest, lookup: admission.Lookup) -> Outcome:
    machine, instance = _instance_and_owner(request, lookup)
    if machine is None:
        return not_found("virtualmachine.kubevirt.io", request.name, _GROUP)
    if instance is None:
        return not_found("virtualmachineinstance.kubevirt.io", request.name, _GROUP)
    if (instance.get("status") or {}).get("phase") != "Running":
        return conflict(_VM, request, "VM is not running")
    spec: Obj = {"vmiName": request.name}
    if (request.body or {}).get("addedNodeSelector"):
        spec["addedNodeSelector"] = dict((request.body or {})["addedNodeSelector"])
    migration: Obj = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"generateName": "kubevirt-migrate-vm-", "namespace": request.namespace},
        "spec": spec,
    }
    plural = "virtualmachineinstancemigrations"
    asked = admission.Request(
        "CREATE",
        _GROUP,
        "v1",
        plural,
        request.namespace,
        "",
        migration,
        user=_VIRT_API,
    )
    try:
        admission.mutate(asked, lookup)
        admission.validate(asked, lookup)
    except admission.Denied as denied:
        text = f"Internal error occurred: {denied.message}"
        return failure(500, "InternalError", text, {"causes": [{"message": denied.message}]})
    return accepted(request, Write("create", _GROUP, plural, request.namespace, "", migration))


def _instance_verb(change: Callable[[SubresourceRequest, Obj], Obj | str]) -> Callable[..., Outcome]:
    """A verb on a running instance: C(change) returns the patch, or why not."""

    def verb(request: SubresourceRequest, lookup: admission.Lookup) -> Outcome:
        instance = lookup.get(_GROUP, _INSTANCES, request.namespace, request.name)
        if instance is None:
            return not_found("virtualmachineinstance.kubevirt.io", request.name, _GROUP)
        patch = change(request, instance)
        if isinstance(patch, str):
            return conflict("virtualmachineinstance.kubevirt.io", request, patch)
        return accepted(request, Write("merge-patch", _GROUP, _INSTANCES, request.namespace, request.name, patch))

    return verb


def _pause(request: SubresourceRequest, instance: Obj) -> Obj | str:
    if not _alive(instance) or instance["status"].get("phase") != "Running":
        return "VM is not running"
    conditions = (instance.get("status") or {}).get("conditions") or []
    if any(each["type"] == "Paused" and each["status"] == "True" for each in conditions):
        return "VMI is already paused"
    paused = {
        "type": "Paused",
        "status": "True",
        "reason": "PausedByUser",
        "message": "VMI was paused by user",
        "lastProbeTime": None,
        "lastTransitionTime": request.now,
    }
    return {"status": {"conditions": [*(each for each in conditions if each["type"] != "Paused"), paused]}}


def _unpause(request: SubresourceRequest, instance: Obj) -> Obj | str:
    conditions = (instance.get("status") or {}).get("conditions") or []
    if not any(each["type"] == "Paused" and each["status"] == "True" for each in conditions):
        return "VMI is not paused"
    return {"status": {"conditions": [each for each in conditions if each["type"] != "Paused"]}}


def _cancel_evacuation(request: SubresourceRequest, instance: Obj) -> Obj | str:
    return {"status": {"evacuationNodeName": None}}


def _soft_reboot(request: SubresourceRequest, instance: Obj) -> Obj | str:
    return {} if (instance.get("status") or {}).get("phase") == "Running" else "VMI is not running"


_VM = "virtualmachine.kubevirt.io"
_VIRT_API = User(f"{ACCOUNT_PREFIX}kubevirt:kubevirt-apiserver")
_VERBS: dict[tuple[str, str], Callable[[SubresourceRequest, admission.Lookup], Outcome]] = {
    ("pods", "binding"): _bind,
    ("pods", "eviction"): eviction.evict,
    (_VMS, "start"): _start,
    (_VMS, "stop"): _stop,
    (_VMS, "restart"): _restart,
    (_VMS, "migrate"): _migrate,
    (_VMS, "evacuate/cancel"): _instance_verb(_cancel_evacuation),
    (_INSTANCES, "pause"): _instance_verb(_pause),
    (_INSTANCES, "unpause"): _instance_verb(_unpause),
    (_INSTANCES, "softreboot"): _instance_verb(_soft_reboot),
    (_INSTANCES, "evacuate/cancel"): _instance_verb(_cancel_evacuation),
}
