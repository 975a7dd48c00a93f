"""The HyperConverged operator: copies its settings to the KubeVirt, takes back what others change there.

Source: hyperconverged-cluster-operator controllers/hyperconverged/hyperconverged_controller.go,
controllers/handlers/kubevirt.go, controllers/operands/generic_operand.go.
"""

from __future__ import annotations

import copy
from typing import Any

import orjson

from ..conversion import convert_hyperconverged
from .controller import Controller, condition_of
from .informer import Key

Obj = dict[str, Any]
V1 = "hco.kubevirt.io/v1"
KUBEVIRT_NAME = "kubevirt-kubevirt-hyperconverged"
TUNING_POLICY = "hco.kubevirt.io/tuningPolicy"
_RATE_LIMITED = ("apiConfiguration", "controllerConfiguration", "handlerConfiguration", "webhookConfiguration")
JSON_PATCH = "kubevirt.kubevirt.io/jsonpatch"
_JSON_PATCHES = (
    JSON_PATCH,
    "containerizeddataimporter.kubevirt.io/jsonpatch",
    "networkaddonsconfigs.kubevirt.io/jsonpatch",
    "ssp.kubevirt.io/jsonpatch",
)
_FINALIZER = "kubevirt.io/hyperconverged"
_GOOD = ("ReconcileCompleted", "Reconcile completed successfully")
_TAINTED = "Unsupported feature was activated via an HCO annotation"


class HyperConvergedOperator(Controller):
    """Reconciles the one HyperConverged."""

    name = "hyperconverged"
    component = "hyperconverged-cluster-operator"
    workers = 1

    def register(self) -> None:
        self._rest: Obj | None = None  # what of the KubeVirt's spec does not come from the HyperConverged
        self.caches.hyperconvergeds.on_change(lambda key, _before, _after: self.queue.add(key))
        self.caches.kubevirts.on_change(self._kubevirt_changed)

    def _kubevirt_changed(self, key: Key, before: object, after: object) -> None:
        self.enqueue_all(self.caches.hyperconvergeds)

    async def reconcile(self, key: Key) -> float | None:
        served = self.caches.hyperconvergeds.obj(key)
        if served is None:
            return None
        metadata: Obj = served["metadata"]
        if "deletionTimestamp" in metadata:
            left = [each for each in metadata.get("finalizers") or [] if each != _FINALIZER]
            await self.client.patch(self.caches.hyperconvergeds.kind, *key, {"metadata": {"finalizers": left or None}})
            return None
        if _FINALIZER not in (metadata.get("finalizers") or []):
            finalizers = [*(metadata.get("finalizers") or []), _FINALIZER]
            await self.patch(self.caches.hyperconvergeds, key, {"metadata": {"finalizers": finalizers}})
            return None
        kubevirt = self.caches.kubevirts.obj((key[0], KUBEVIRT_NAME))
        await self._tell(key, served, kubevirt)
        newest = served if served["apiVersion"] == V1 else convert_hyperconverged(served, "v1")
        if kubevirt is None:
            await self._create_kubevirt(key, served, newest)
            return None
        if self._rest is None:
            self._rest = kubevirt["spec"]
        wanted = kubevirt_spec(newest, self._rest)
        if wanted != kubevirt["spec"]:
            version = kubevirt["metadata"]["resourceVersion"]
            patch = [
                {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                {"op": "replace", "path": "/spec", "value": wanted},
            ]
            await self.patch(self.caches.kubevirts, (key[0], KUBEVIRT_NAME), patch)
        return None

    async def _create_kubevirt(self, key: Key, served: Obj, newest: Obj) -> None:
        owner = {
            "apiVersion": served["apiVersion"],
            "kind": "HyperConverged",
            "name": key[1],
            "uid": served["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        kubevirt = {
            "apiVersion": "kubevirt.io/v1",
            "kind": "KubeVirt",
            "metadata": {
                "name": KUBEVIRT_NAME,
                "namespace": key[0],
                "labels": {"app": "kubevirt-hyperconverged"},
                "ownerReferences": [owner],
            },
            "spec": kubevirt_spec(newest, self._rest or {}),
        }
        await self.create(self.caches.kubevirts, kubevirt)

    async def _tell(self, key: Key, served: Obj, kubevirt: Obj | None) -> None:
        """The observed generation comes first, before anything has been done for it."""
        status: Obj = served.get("status") or {}
        generation = served["metadata"].get("generation", 1)
        conditions = operator_conditions(served, kubevirt, generation, self.context.now())
        wanted: Obj = {
            "observedGeneration": generation,
            "conditions": conditions,
            "systemHealthStatus": health(conditions),
        }
        if "infrastructureHighlyAvailable" not in status:
            wanted["infrastructureHighlyAvailable"] = len(self.caches.nodes.items) > 1
        patch = {name: value for name, value in wanted.items() if status.get(name) != value}
        if patch:
            await self.patch(self.caches.hyperconvergeds, key, {"status": patch}, "status")


def kubevirt_spec(hyperconverged: Obj, rest: Obj) -> Obj:
    """The KubeVirt's spec for a HyperConverged in v1; C(rest) holds what the settings say nothing about.

    Source: controllers/handlers/kubevirt.go (getKVConfig, hcLiveMigrationToKv), operand.go (JSON patch annotation).
    """
    virtualization: Obj = (hyperconverged.get("spec") or {}).get("virtualization") or {}
    spec = copy.deepcopy(rest)
    configuration: Obj = spec.setdefault("configuration", {})
    configuration["migrations"] = copy.deepcopy(virtualization.get("liveMigrationConfig") or {})
    configuration["vmRolloutStrategy"] = "LiveUpdate"
    developer: Obj = configuration.setdefault("developerConfiguration", {})
    if virtualization.get("vmiCPUAllocationRatio") is not None:
        developer["cpuAllocationRatio"] = virtualization["vmiCPUAllocationRatio"]
    percentage = (virtualization.get("higherWorkloadDensity") or {}).get("memoryOvercommitPercentage")
    if percentage is not None:
        developer["memoryOvercommit"] = percentage
    if virtualization.get("evictionStrategy"):
        configuration["evictionStrategy"] = virtualization["evictionStrategy"]
    if virtualization.get("workloadUpdateStrategy"):
        spec["workloadUpdateStrategy"] = copy.deepcopy(virtualization["workloadUpdateStrategy"])
    if (hyperconverged.get("status") or {}).get("infrastructureHighlyAvailable") is False:
        spec.setdefault("infra", {})["replicas"] = 1
    annotations: dict[str, str] = hyperconverged["metadata"].get("annotations") or {}
    if virtualization.get("tuningPolicy") == "annotation" and annotations.get(TUNING_POLICY):
        limits = orjson.loads(annotations[TUNING_POLICY])
        for name in _RATE_LIMITED:
            configuration[name] = {"restClient": {"rateLimiter": {"tokenBucketRateLimiter": limits}}}
    text = annotations.get(JSON_PATCH)
    if text:
        document = {"spec": spec}
        for operation in orjson.loads(text):
            _apply(document, operation)
        spec = document["spec"]
    return spec


def _apply(document: Obj, operation: Obj) -> None:
    """One add, replace or remove of a JSON patch; what does not fit is left out."""
    steps = [each.replace("~1", "/").replace("~0", "~") for each in operation["path"].split("/")[1:]]
    parent: Any = document
    *inner, last = steps
    for number, step in enumerate(inner, 1):
        if last == "-" and number == len(inner) and step not in parent:
            return  # there is no list to append to
        parent = parent[int(step)] if isinstance(parent, list) else parent.setdefault(step, {})
    match operation["op"], parent:
        case "remove", dict():
            parent.pop(last, None)
        case "remove", list():
            del parent[int(last)]
        case (("add" | "replace"), dict()):
            parent[last] = operation["value"]
        case "add", list():
            parent.insert(len(parent) if last == "-" else int(last), operation["value"])
        case "replace", list():
            parent[int(last)] = operation["value"]


def operator_conditions(served: Obj, kubevirt: Obj | None, generation: int, now: str) -> list[Obj]:
    """The conditions of the HyperConverged, from those of the KubeVirt (aggregateComponentConditions)."""
    available = progressing = degraded = upgradeable = _GOOD
    states = {"Available": "True", "Progressing": "False", "Degraded": "False", "Upgradeable": "True"}
    found = {kind: condition_of(kubevirt or {}, kind) for kind in ("Available", "Progressing", "Degraded")}
    if not any(found.values()):
        text = ("KubevirtConditions", "KubeVirt resource has no conditions")
        available = progressing = upgradeable = text
        states.update(Available="False", Progressing="True", Upgradeable="False")
    else:
        if (found["Available"] or {}).get("status") == "False":
            available = ("KubeVirtNotAvailable", f"KubeVirt is not available: {_message(found['Available'])}")
            states["Available"] = "False"
        if (found["Progressing"] or {}).get("status") == "True":
            progressing = ("KubeVirtProgressing", f"KubeVirt is progressing: {_message(found['Progressing'])}")
            upgradeable = progressing
            states.update(Progressing="True", Upgradeable="False")
        if (found["Degraded"] or {}).get("status") == "True":
            degraded = ("KubeVirtDegraded", f"KubeVirt is degraded: {_message(found['Degraded'])}")
            states["Degraded"] = "True"
    texts = {"Available": available, "Progressing": progressing, "Degraded": degraded, "Upgradeable": upgradeable}
    wanted = [("ReconcileComplete", "True", *_GOOD), *((kind, states[kind], *texts[kind]) for kind in states)]
    annotations: dict[str, str] = served["metadata"].get("annotations") or {}
    if any(annotations.get(each) for each in _JSON_PATCHES):
        wanted.append(("TaintedConfiguration", "True", "UnsupportedFeatureAnnotation", _TAINTED))
    conditions = []
    for kind, status, reason, message in wanted:
        before = condition_of(served, kind) or {}
        same = before.get("status") == status
        conditions.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": before.get("lastTransitionTime", now) if same else now,
            }
        )
    return conditions


def _message(condition: Obj | None) -> str:
    return str((condition or {}).get("message", ""))


def health(conditions: list[Obj]) -> str:
    """C(systemHealthStatus) of these conditions."""
    states = {each["type"]: each["status"] for each in conditions}
    if states.get("Available") != "True" or states.get("Degraded") != "False" or states["ReconcileComplete"] != "True":
        return "error"
    return "healthy" if states.get("Progressing") == "False" else "warning"
