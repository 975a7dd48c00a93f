"""A few nodes with nmstate, in memory: it answers like a Gateway, and time passes when somebody sleeps."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, Optional

from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Listing
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.resources import ResourceType
from ansible_collections.ocpv.scale.plugins.module_utils.errors import ApiError, Conflict, NotFound

Obj = dict[str, Any]
NAMESPACE = "openshift-cnv"
NODES = ("worker-01", "worker-02", "worker-03")
_LABELS = {"node-role.kubernetes.io/worker": "", "kubevirt.io/schedulable": "true"}


class Killed(BaseException):
    """The process is gone."""


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class PlayedCluster:
    """C(fails): nodes on which nmstate fails, given node and desired state. C(works): whether nmstate does anything.
    C(before_write): called before each write, and may change things or raise."""

    host = "https://played.example.com"

    def __init__(self) -> None:
        self.seconds = 0.0
        self.version = 1
        self.policies: dict[str, Obj] = {}
        self.attachments: dict[str, Obj] = {}
        self.applied: dict[str, int] = {}
        self.interfaces: dict[str, dict[str, Obj]] = {node: {"ens2f0": _card("ens2f0")} for node in NODES}
        self.not_ready: set[str] = set()
        self.network = ""
        self.pods: list[Obj] = []
        self.fails: Callable[[str, Obj], str] = lambda node, state: ""
        self.works = True
        self.before_write: Callable[[], None] = lambda: None
        self.writes: list[str] = []
        # changes that nmstate's webhook did not let through
        self.refused = 0
        self._enactments: dict[str, Obj] = {}

    # -- time and nmstate

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for name, policy in self.policies.items():
            if self.works:
                self._advance(name, policy)

    def _advance(self, name: str, policy: Obj) -> None:
        """One node takes a step; all later ones are given up after a failure."""
        generation = policy["metadata"]["generation"]
        for node in NODES:
            known = self._enactments.get(f"{node}.{name}", {})
            if node in self.not_ready or known.get("status", {}).get("policyGeneration") == generation:
                continue
            broken = any(self._failed(name, other, generation) for other in NODES)
            reason = self.fails(node, policy["spec"]["desiredState"])
            condition = "Aborted" if broken else "Failing" if reason else "Available"
            if condition == "Available":
                self._apply(node, policy["spec"]["desiredState"])
            self._enactments[f"{node}.{name}"] = {
                "metadata": {"name": f"{node}.{name}", "labels": {"nmstate.io/policy": name, "nmstate.io/node": node}},
                "status": {
                    "policyGeneration": generation,
                    "conditions": [{"type": condition, "status": "True", "message": reason}],
                },
            }
            break
        ready = [node for node in NODES if node not in self.not_ready]
        good = all(
            self._enactments.get(f"{node}.{name}", {}).get("status", {}).get("policyGeneration") == generation
            and not self._failed(name, node, generation)
            for node in ready
        )
        ended = good or any(self._failed(name, node, generation) for node in ready)
        condition = {
            "type": "Available",
            "status": "True" if good else "False",
            "reason": "SuccessfullyConfigured"
            if good
            else "FailedToConfigure"
            if ended
            else "ConfigurationProgressing",
        }
        policy["status"] = {"conditions": [condition]}

    def _failed(self, name: str, node: str, generation: int) -> bool:
        status = self._enactments.get(f"{node}.{name}", {}).get("status", {})
        return status.get("policyGeneration") == generation and status["conditions"][0]["type"] != "Available"

    def _apply(self, node: str, state: Obj) -> None:
        there = self.interfaces[node]
        for entry in state.get("interfaces") or ():
            if entry.get("state") == "absent":
                there.pop(entry["name"], None)
            else:
                there[entry["name"]] = {**there.get(entry["name"], {}), **entry}

    def mtus(self) -> dict[str, dict[str, int]]:
        return {
            node: {name: item.get("mtu", 0) for name, item in found.items()} for node, found in self.interfaces.items()
        }

    # -- as a Gateway

    def served_versions(self, group: str) -> tuple[str, ...]:
        return ("v1",)

    def _all(self, resource: ResourceType) -> list[Obj]:
        hyperconverged: Obj = {
            "metadata": {"name": "kubevirt-hyperconverged", "namespace": NAMESPACE},
            "spec": {"virtualization": {"liveMigrationConfig": {"network": self.network or None}}},
        }
        kinds: dict[str, list[Obj]] = {
            "nodes": [self._node(name) for name in NODES],
            "nodenetworkstates": [self._state(name) for name in NODES],
            "nodenetworkconfigurationpolicies": list(self.policies.values()),
            "nodenetworkconfigurationenactments": list(self._enactments.values()),
            "network-attachment-definitions": list(self.attachments.values()),
            "hyperconvergeds": [hyperconverged],
            "pods": self.pods,
        }
        return kinds[resource.plural]

    def _node(self, name: str) -> Obj:
        ready = "False" if name in self.not_ready else "True"
        return {
            "metadata": {"name": name, "labels": _LABELS},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }

    def _state(self, name: str) -> Obj:
        return {
            "metadata": {"name": name},
            "status": {"currentState": {"interfaces": list(self.interfaces[name].values())}},
        }

    def list(self, resource: ResourceType, **query: Any) -> Listing[Obj]:
        return Listing(copy.deepcopy(self._all(resource)), str(self.version))

    def list_as(self, resource: ResourceType, convert: Callable[[Obj], Any], **query: Any) -> Listing[Any]:
        return Listing([convert(item) for item in self.list(resource).items], str(self.version))

    def get(self, resource: ResourceType, name: str, namespace: Optional[str] = None) -> Obj:
        found = self._store(resource).get(name)
        if found is None:
            raise NotFound(f"{resource.full_name} {name!r} not found", status=404)
        return copy.deepcopy(found)

    def create(self, resource: ResourceType, body: Obj, *, namespace: Optional[str] = None) -> Obj:
        self._about_to_write("create", resource)
        name = body["metadata"]["name"]
        if name in self._store(resource):
            raise Conflict("already exists", status=409)
        made: Obj = json.loads(json.dumps(body))
        made["metadata"].update(uid=f"uid-{self.version}", generation=1, resourceVersion=str(self.version))
        self._store(resource)[name] = made
        return copy.deepcopy(made)

    def merge_patch(self, resource: ResourceType, name: str, body: Obj, *, namespace: Optional[str] = None) -> Obj:
        self._about_to_write("patch", resource)
        current = self.get(resource, name)
        if body["metadata"]["resourceVersion"] != current["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", status=409)
        changed = merged(current, body)
        if changed["spec"] != current["spec"]:
            conditions = (current.get("status") or {}).get("conditions") or [{"reason": ""}]
            if resource.group == "nmstate.io" and conditions[0]["reason"] in ("", "ConfigurationProgressing"):
                self.refused += 1
                raise ApiError(f"message: policy {name} is still in progress.", status=422)
            changed["metadata"]["generation"] += 1
            changed.pop("status", None)
        changed["metadata"]["resourceVersion"] = str(self.version)
        self._store(resource)[name] = changed
        return copy.deepcopy(changed)

    def delete(
        self, resource: ResourceType, name: str, *, namespace: Optional[str] = None, uid: Optional[str] = None
    ) -> Obj:
        self._about_to_write("delete", resource)
        assert uid == self._store(resource)[name]["metadata"]["uid"]
        return self._store(resource).pop(name)

    def _about_to_write(self, verb: str, resource: ResourceType) -> None:
        self.before_write()
        self.version += 1
        self.writes.append(f"{verb} {resource.kind}")

    def _store(self, resource: ResourceType) -> dict[str, Obj]:
        if resource.plural == "networks":
            return {}
        return self.policies if resource.plural == "nodenetworkconfigurationpolicies" else self.attachments


def _card(name: str) -> Obj:
    return {"name": name, "type": "ethernet", "state": "up", "mtu": 1500, "max-mtu": 9216}
