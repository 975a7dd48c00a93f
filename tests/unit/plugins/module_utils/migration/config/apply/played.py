"""A cluster of a few objects that answers like a Gateway, in time that only passes while somebody sleeps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Listing
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.resources import ResourceType
from ansible_collections.ocpv.scale.plugins.module_utils.errors import ApiError, Conflict, NotFound
from ansible_collections.ocpv.scale.plugins.module_utils.migration import hyperconverged as hco

Obj = dict[str, Any]
NAMESPACE = "openshift-cnv"
DEFAULTS = {
    "parallelMigrationsPerCluster": 5,
    "parallelOutboundMigrationsPerNode": 1,
    "completionTimeoutPerGiB": 20,
    "progressTimeout": 150,
    "allowAutoConverge": False,
    "allowPostCopy": False,
    "allowWorkloadDisruption": False,
}
_GOOD = [
    {"type": kind, "status": status}
    for kind, status in {
        "ReconcileComplete": "True",
        "Available": "True",
        "Progressing": "False",
        "Degraded": "False",
    }.items()
]


def merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(old) if isinstance(old, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


class PlayedCluster:
    """One HyperConverged and what follows from it. C(unknown): fields that the schema does not have. C(before_write)
    and C(after_write) are called around each write that is none of a dry run, C(each_second) while time passes."""

    def __init__(self, version: str = "v1", served: tuple[str, ...] = ("v1", "v1beta1")) -> None:
        self.served = served
        self.layout = hco.LAYOUTS[version]
        self.unknown: set[str] = set()
        self.seconds = 0.0
        self.writes: list[Obj] = []
        self.dry_runs = 0
        self.follows = True
        self.before_write: Callable[[], None] = lambda: None
        self.after_write: Callable[[], None] = lambda: None
        self.each_second: Callable[[], None] = lambda: None
        self.hyperconverged: Obj = {
            "metadata": {"name": hco.NAME, "namespace": NAMESPACE, "generation": 1, "resourceVersion": "1"},
            "status": {
                "conditions": _GOOD,
                "observedGeneration": 1,
                "versions": [{"name": "operator", "version": "1.19.0"}],
            },
            **hco.nested(self.layout.live_migration, dict(DEFAULTS)),
        }
        self.attachments: list[tuple[str, str]] = []
        self.pods: list[Obj] = []
        self.nodes: list[Obj] = []
        self.daemon_set: Obj = {
            "metadata": {"generation": 1},
            "spec": {"template": {"metadata": {"annotations": {}}}},
            "status": {
                "observedGeneration": 1,
                "desiredNumberScheduled": 3,
                "updatedNumberScheduled": 3,
                "numberAvailable": 3,
            },
        }
        self.kubevirt: Obj = {}
        self.follow()

    @property
    def config(self) -> Obj:
        return dict(hco.read_path(self.hyperconverged, self.layout.live_migration))

    def follow(self) -> None:
        """The operators do what they have to."""
        generation = self.hyperconverged["metadata"]["generation"]
        self.hyperconverged["status"]["observedGeneration"] = generation
        self.kubevirt = {
            "metadata": {"name": hco.KUBEVIRT_NAME, "generation": generation},
            "status": {"observedGeneration": generation, "conditions": _GOOD},
            **hco.nested(hco.KUBEVIRT_MIGRATIONS, self.config),
        }

    def write_as_somebody(self, **settings: Any) -> None:
        """Somebody else changes settings."""
        self._store(merged(self.hyperconverged, hco.nested(self.layout.live_migration, settings)))

    # -- as a Gateway

    server_time = "2026-03-01T22:00:00Z"

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.each_second()

    def served_versions(self, group: str) -> tuple[str, ...]:
        return self.served

    def get(self, resource: ResourceType, name: str, namespace: str | None = None) -> Obj:
        found = {
            "hyperconvergeds": self.hyperconverged if namespace == NAMESPACE else {},
            "kubevirts": self.kubevirt,
            "daemonsets": self.daemon_set,
        }.get(resource.plural)
        if not found:
            raise NotFound(f"{resource.full_name} {name!r} not found", status=404)
        return copy.deepcopy(found)

    def list(self, resource: ResourceType, *, namespace: str | None = None, label_selector: str = "") -> Listing[Obj]:
        found: list[Obj] = {
            "hyperconvergeds": [self.hyperconverged],
            "network-attachment-definitions": [
                {"metadata": {"namespace": place, "name": name}}
                for place, name in self.attachments
                if namespace in (None, place)
            ],
            "pods": self.pods,
            "nodes": self.nodes,
        }[resource.plural]
        return Listing(copy.deepcopy(found), "1")

    def merge_patch(
        self, resource: ResourceType, name: str, body: Obj, *, namespace: str, dry_run: bool = False
    ) -> Obj:
        if not dry_run:
            self.before_write()
        now = self.hyperconverged["metadata"]["resourceVersion"]
        if (body.get("metadata") or {}).get("resourceVersion", now) != now:
            raise Conflict("the object has been modified", status=409)
        path = ".".join(self.layout.live_migration)
        unknown = set(hco.read_path(body, self.layout.live_migration)) & self.unknown
        if unknown:
            told = ", ".join(f'unknown field "{path}.{field}"' for field in sorted(unknown))
            raise ApiError(f"Could not change: strict decoding error: {told}", status=400)
        after = merged(self.hyperconverged, body)
        config = hco.read_path(after, self.layout.live_migration)
        defaults = {field: value for field, value in DEFAULTS.items() if field not in self.unknown}
        after = merged(after, hco.nested(self.layout.live_migration, {**defaults, **config}))
        if dry_run:
            self.dry_runs += 1
            return after
        self.writes.append(body)
        self._store(after)
        self.after_write()
        return copy.deepcopy(self.hyperconverged)

    def _store(self, after: Obj) -> None:
        metadata = after["metadata"]
        if after.get("spec") != self.hyperconverged.get("spec"):
            metadata["generation"] += 1
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        self.hyperconverged = after
        if self.follows:
            self.follow()
