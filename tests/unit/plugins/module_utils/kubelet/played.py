"""A cluster in played time with a machine config operator of a few lines, for tests of rollouts.

It does what the real one does as far as kubelet_config can see: it renders a configuration of each pool from the
KubeletConfigs that select it and, for custom pools, from those of worker; and it drains and reboots the nodes of pools
that are not paused, as many at a time as maxUnavailable allows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Listing
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.resources import ResourceType
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.selectors import selector_matches
from ansible_collections.ocpv.scale.plugins.module_utils.errors import Conflict, NotFound
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.checks import ACCEPTABLE
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.objects import object_name
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.pools import ROLE, pool_label
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.run.operate import Call
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.run.wait import Patience

Obj = dict[str, Any]
POOLS, NODES, CONFIGS = "machineconfigpools", "nodes", "kubeletconfigs"
PREFIX = "machineconfiguration.openshift.io/"
# what a node goes through, one each time the operator looks
STAGES = ("drain", "reboot", "done")


class Killed(BaseException):
    """The process is ended."""


def pool_object(name: str, *, paused: bool = False, max_unavailable: Any = None, label: bool = True) -> Obj:
    roles = [name] if name in ("master", "worker") else ["worker", name]
    spec: Obj = {
        "machineConfigSelector": {"matchExpressions": [{"key": ROLE, "operator": "In", "values": roles}]},
        "nodeSelector": {"matchLabels": {f"node-role.kubernetes.io/{name}": ""}},
        "paused": paused,
        "configuration": {"name": ""},
    }
    if max_unavailable is not None:
        spec["maxUnavailable"] = max_unavailable
    labels = {pool_label(name): ""} if label else {}
    metadata = {"name": name, "labels": labels, "uid": f"uid-{name}", "resourceVersion": "1", "generation": 1}
    return {"metadata": metadata, "spec": spec, "status": {}}


def node_object(name: str, *roles: str) -> Obj:
    labels = {f"node-role.kubernetes.io/{role}": "" for role in roles}
    ready = {"type": "Ready", "status": "True"}
    metadata: Obj = {"name": name, "labels": labels, "annotations": {}, "resourceVersion": "1"}
    return {"metadata": metadata, "spec": {}, "status": {"conditions": [ready]}}


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class PlayedCluster:
    """What Call needs of a gateway, its clock, and the operator behind it."""

    def __init__(self, pools: Iterable[Obj], nodes: Iterable[Obj], configs: Iterable[Obj] = ()) -> None:
        self.objects: dict[str, dict[str, Obj]] = {
            "pods": {},
            POOLS: {item["metadata"]["name"]: item for item in pools},
            NODES: {item["metadata"]["name"]: item for item in nodes},
            CONFIGS: {item["metadata"]["name"]: item for item in configs},
        }
        self.now = 0.0
        self.writes: list[tuple[str, str, Any]] = []
        self.history: list[tuple[str, str]] = []  # (node, configuration) as nodes came back
        self.most_at_once: dict[str, int] = {}
        self.stuck: set[str] = set()
        self.broken: set[str] = set()
        self.refused_fields: set[str] = set()
        self.sleeping_operator = False
        # how often the operator looks before it renders what it has accepted
        self.render_delay = 0
        self.render_degraded: set[str] = set()
        self.die_before: int | None = None
        self.die_after: int | None = None
        self.before_write: Callable[[], None] = lambda: None
        self._version = 1
        self.settle()

    # the API

    def list(self, resource: ResourceType, **_: Any) -> Listing[Obj]:
        found = self.objects.get(resource.plural)
        if found is None:
            raise NotFound(f"no {resource.plural}", status=404)
        return Listing([deepcopy(item) for item in found.values()], str(self._version))

    def list_as(self, resource: ResourceType, convert: Callable[[Obj], Any], **_: Any) -> Listing[Any]:
        return Listing([convert(item) for item in self.list(resource).items], str(self._version))

    def get(self, resource: ResourceType, name: str, namespace: str | None = None) -> Obj:
        try:
            return deepcopy(self.objects[resource.plural][name])
        except KeyError:
            raise NotFound(f"no {resource.plural} {name}", status=404) from None

    def served_versions(self, group: str) -> tuple[str, ...]:
        return ()

    def create(self, resource: ResourceType, body: Obj, *, dry_run: bool = False) -> Obj:
        name = body["metadata"]["name"]
        stored = deepcopy(dict(body))
        stored["metadata"] = {**stored["metadata"], "uid": f"uid-{name}", "resourceVersion": "1", "generation": 1}
        return self._store(resource.plural, name, stored, "create", body, dry_run)

    def merge_patch(self, resource: ResourceType, name: str, body: Obj, *, dry_run: bool = False) -> Obj:
        self.before_write()
        current = self.get(resource, name)
        version = body.get("metadata", {}).get("resourceVersion")
        if version and version != current["metadata"]["resourceVersion"]:
            raise Conflict("it changed", status=409)
        stored = merged(current, body)
        if stored["spec"] != current["spec"]:
            stored["metadata"]["generation"] = current["metadata"].get("generation", 1) + 1
        return self._store(resource.plural, name, stored, "patch", body, dry_run)

    def delete(self, resource: ResourceType, name: str, *, uid: str | None = None, dry_run: bool = False) -> Obj:
        self.get(resource, name)
        if dry_run:
            return {}
        with_count = self._count(("delete", name, None))
        del self.objects[resource.plural][name]
        with_count()
        return {}

    def _store(self, plural: str, name: str, stored: Obj, verb: str, body: Any, dry_run: bool) -> Obj:
        if dry_run:
            return stored
        with_count = self._count((verb, name, deepcopy(body)))
        self._version += 1
        stored["metadata"]["resourceVersion"] = str(self._version)
        self.objects[plural][name] = stored
        with_count()
        return deepcopy(stored)

    def _count(self, write: tuple[str, str, Any]) -> Callable[[], None]:
        if self.die_before == len(self.writes):
            raise Killed
        self.writes.append(write)

        def after() -> None:
            if self.die_after == len(self.writes) - 1:
                raise Killed

        return after

    # the clock

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.operate()

    # the operator

    def settle(self) -> None:
        """Let all nodes have what their pools have now."""
        self._render()
        for name in self.objects[POOLS]:
            target = self.target(name)
            for node in self.nodes_of(name):
                self._annotate(node, currentConfig=target, desiredConfig=target, state="Done", reason="")
        self._tell()

    def operate(self) -> None:
        if self.sleeping_operator:
            return
        self._render()
        for name, pool in self.objects[POOLS].items():
            if not pool["spec"]["paused"]:
                self._update(name, pool)
        self._tell()

    def target(self, pool: str) -> str:
        return str(self.objects[POOLS][pool]["spec"]["configuration"]["name"])

    def nodes_of(self, pool: str) -> list[Obj]:
        found = []
        for node in self.objects[NODES].values():
            roles = {key.rpartition("/")[2] for key in node["metadata"]["labels"]}
            own = "master" if "master" in roles else next(iter(sorted(roles - {"worker"})), "worker")
            if own == pool:
                found.append(node)
        return found

    def configuration_of(self, node: str) -> str:
        return str(self.objects[NODES][node]["metadata"]["annotations"][f"{PREFIX}currentConfig"])

    def _render(self) -> None:
        for config in self.objects[CONFIGS].values():
            bad = sorted(self.refused_fields & set(config["spec"]["kubeletConfig"]))
            text = f"Error: {bad[0]} is not allowed" if bad else "Success"
            condition = {"type": "Failure" if bad else "Success", "status": "True", "message": text}
            config["status"] = {
                "conditions": [condition],
                "observedGeneration": config["metadata"].get("generation", 1),
            }
        if any(config.setdefault("seen", 0) < self.render_delay for config in self.objects[CONFIGS].values()):
            for config in self.objects[CONFIGS].values():
                config["seen"] += 1
            return
        for name, pool in self.objects[POOLS].items():
            roles = pool["spec"]["machineConfigSelector"]["matchExpressions"][0]["values"]
            effective: Obj = {}
            for config in self.objects[CONFIGS].values():
                selector = config["spec"]["machineConfigPoolSelector"]
                labels = [
                    self.objects[POOLS][role]["metadata"]["labels"] for role in roles if role in self.objects[POOLS]
                ]
                accepted = config["status"]["conditions"][0]["type"] == "Success"
                if accepted and any(selector_matches(selector, each) for each in labels):
                    effective = config["spec"]["kubeletConfig"]
            digest = hashlib.sha256(json.dumps(effective, sort_keys=True).encode()).hexdigest()[:8]
            pool["spec"]["configuration"]["name"] = f"rendered-{name}-{digest}"

    def _update(self, name: str, pool: Obj) -> None:
        target, nodes = self.target(name), self.nodes_of(name)
        limit = int(pool["spec"].get("maxUnavailable") or 1)
        busy = [node for node in nodes if self._of(node, "state") == "Working"]
        idle = [
            node for node in nodes if self._of(node, "state") == "Done" and self._of(node, "currentConfig") != target
        ]
        for node in busy:
            self._go_on(node)
        still = sum(1 for node in nodes if self._of(node, "state") == "Working")
        for node in idle[: max(0, limit - still)]:
            self._annotate(node, desiredConfig=target, state="Working", desiredDrain=f"drain-{target}")
            still += 1
        self.most_at_once[name] = max(self.most_at_once.get(name, 0), still)

    def _go_on(self, node: Obj) -> None:
        name, desired = node["metadata"]["name"], self._of(node, "desiredConfig")
        if name in self.stuck:
            return
        if name in self.broken:
            self._annotate(node, state="Degraded", reason="the disk is full")
            return
        if self._of(node, "lastAppliedDrain") != self._of(node, "desiredDrain"):
            self._annotate(node, lastAppliedDrain=self._of(node, "desiredDrain"))
            node["status"]["conditions"][0]["status"] = "False"
            return
        node["status"]["conditions"][0]["status"] = "True"
        self._annotate(node, state="Done", currentConfig=desired, desiredDrain="", lastAppliedDrain="")
        self.history.append((name, desired))

    def _tell(self) -> None:
        for name, pool in self.objects[POOLS].items():
            target, nodes = self.target(name), self.nodes_of(name)
            done = [node for node in nodes if self._of(node, "currentConfig") == target]
            working = [node for node in nodes if self._of(node, "state") == "Working"]
            degraded = [node for node in nodes if self._of(node, "state") == "Degraded"]
            updated = len(done) == len(nodes) and not working
            before = (pool["status"].get("configuration") or {}).get("name", target)
            pool["status"] = {
                "observedGeneration": pool["metadata"]["generation"],
                "machineCount": len(nodes),
                "configuration": {"name": target if updated else before},
                "conditions": [
                    {"type": "Updated", "status": str(updated)},
                    {"type": "RenderDegraded", "status": str(name in self.render_degraded)},
                    {"type": "Updating", "status": str(not updated and not pool["spec"]["paused"])},
                    {
                        "type": "NodeDegraded",
                        "status": str(bool(degraded)),
                        "message": "".join(f"Node {node['metadata']['name']} is degraded" for node in degraded),
                    },
                ],
            }

    def _of(self, node: Obj, key: str) -> str:
        return str(node["metadata"]["annotations"].get(f"{PREFIX}{key}", ""))

    def _annotate(self, node: Obj, **values: str) -> None:
        for key, value in values.items():
            node["metadata"]["annotations"][f"{PREFIX}{key}"] = value


def call(
    cluster: PlayedCluster,
    *pools: str,
    values: Mapping[str, Any] | None,
    pause: Iterable[str] = (),
    accept: Iterable[str] = (),
    check_mode: bool = False,
    name: str = "",
) -> Obj:
    """Make a call with short patience; returns its result."""
    assert set(accept) <= set(ACCEPTABLE)
    made = Call(
        cluster,  # type: ignore[arg-type]
        {pool: name or object_name(pool) for pool in pools},
        values,
        list(pause),
        list(accept),
        Patience(pool_seconds=2000.0, node_seconds=300.0, accept_degraded="pool_degraded" in accept),
        clock=cluster.clock,
        sleep=cluster.sleep,
    )
    return made.make(check_mode=check_mode)
