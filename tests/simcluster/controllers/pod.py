"""What controllers keep of a pod: a small value instead of the whole object, since a cluster has tens of thousands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..pod_requests import pod_requests
from .attachments import NETWORK_STATUS, NETWORKS, Attached, parsed

Obj = dict[str, Any]
Requests = Mapping[str, int]  # cpu in millicores, everything else in its own unit

_FINAL = ("Succeeded", "Failed")
_EMPTY: dict[str, Any] = {}
_shared: dict[object, Any] = {}


@dataclass(frozen=True, slots=True)
class Term:
    """A required pod (anti-)affinity term; C(namespace_selector) None: only C(namespaces)."""

    selector: Obj | None
    namespaces: frozenset[str]
    namespace_selector: Obj | None
    topology_key: str


@dataclass(frozen=True, slots=True)
class Demand:
    """What a pod asks of a node besides room."""

    node_selector: Mapping[str, str]
    node_terms: tuple[Obj, ...] | None  # required node affinity: one of these; None: none asked
    tolerations: tuple[Obj, ...]
    affinity: tuple[Term, ...]
    spread: tuple[Obj, ...]  # constraints with DoNotSchedule
    claims: tuple[str, ...]


NO_DEMAND = Demand(_EMPTY, None, (), (), (), ())


@dataclass(frozen=True, slots=True)
class Launcher:
    """What is kept of a virt-launcher pod only."""

    instance: str
    instance_uid: str
    job_uid: str
    node_selector: Mapping[str, str]
    containers_ready: bool
    digests: bool  # every container status names an image by digest
    marks: Mapping[str, str]  # annotations and labels that controllers write


@dataclass(frozen=True, slots=True)
class Plugged:
    """What is kept of a pod that has more to do with networks: virt-handler's, probes, those that ask for a second
    interface."""

    handler: bool
    probe: bool
    networks: str  # what it asks for
    interfaces: tuple[Attached, ...]  # what it has
    address: str  # in the pod network
    revision: str  # of the DaemonSet's template
    crashed: bool  # a container crashes again and again

    def address_of(self, interface: str) -> str:
        """Its address on an interface, empty without one."""
        return next((each.address for each in self.interfaces if each.interface == interface), "")


PROBE_LABEL = "ocpv.scale/probe"
HANDLER_LABEL = ("kubevirt.io", "virt-handler")
REVISION_LABEL = "controller-revision-hash"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod. C(node) is empty until it is bound; C(demand) is kept until then."""

    namespace: str
    name: str
    uid: str
    created: str
    node: str
    phase: str
    labels: Mapping[str, str]
    requests: Requests
    deleting: bool
    ready: bool
    owner_uid: str = ""
    owner_kind: str = ""
    unschedulable: str = ""  # message of the condition PodScheduled=False
    anti_affinity: tuple[Term, ...] = ()
    demand: Demand = NO_DEMAND
    launcher: Launcher | None = None
    claims: tuple[str, ...] = ()
    containers: tuple[tuple[str, str], ...] = ()  # name, image
    plugged: Plugged | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def final(self) -> bool:
        """Whether its containers have ended for good."""
        return self.phase in _FINAL

    @property
    def occupies(self) -> bool:
        """Whether it holds room on its node."""
        return bool(self.node) and self.phase not in _FINAL


def _share(value: Any, token: object) -> Any:
    """The one copy of an immutable value that many pods have."""
    return _shared.setdefault(token, value)


def _terms(affinity: Obj, kind: str, namespace: str) -> tuple[Term, ...]:
    required = (affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or []
    return tuple(
        Term(
            each.get("labelSelector"),
            frozenset(each.get("namespaces") or ([namespace] if each.get("namespaceSelector") is None else [])),
            each.get("namespaceSelector"),
            each["topologyKey"],
        )
        for each in required
    )


def summarize(obj: Obj) -> Pod:
    """A pod object as a Pod."""
    metadata: Obj = obj["metadata"]
    spec: Obj = obj.get("spec") or {}
    status: Obj = obj.get("status") or {}
    namespace = metadata.get("namespace", "")
    labels: dict[str, str] = metadata.get("labels") or {}
    owner = next((each for each in metadata.get("ownerReferences") or [] if each.get("controller")), _EMPTY)
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    affinity: Obj = spec.get("affinity") or {}
    requests = pod_requests(spec)
    launcher = _launcher(metadata, spec, status, owner) if labels.get("kubevirt.io") == "virt-launcher" else None
    scheduled: Obj = conditions.get("PodScheduled") or {}
    node = spec.get("nodeName", "")
    claims = _claims(spec)
    containers = tuple((each["name"], each.get("image", "")) for each in spec.get("containers") or [])
    return Pod(
        namespace=_share(namespace, namespace),
        name=metadata["name"],
        uid=metadata["uid"],
        created=_share(metadata.get("creationTimestamp", ""), metadata.get("creationTimestamp", "")),
        node=_share(node, node),
        phase=_share(status.get("phase") or "Pending", status.get("phase") or "Pending"),
        labels=labels if launcher else _share(labels, ("labels", tuple(sorted(labels.items())))),
        requests=_share(requests, ("requests", tuple(sorted(requests.items())))),
        deleting="deletionTimestamp" in metadata,
        ready=(conditions.get("Ready") or {}).get("status") == "True",
        owner_uid=owner.get("uid", ""),
        owner_kind=owner.get("kind", ""),
        unschedulable=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        anti_affinity=_terms(affinity, "podAntiAffinity", namespace),
        demand=NO_DEMAND if node else _demand(spec, affinity, namespace, claims),
        launcher=launcher,
        claims=claims,
        containers=_share(containers, containers),
        plugged=None if launcher else _plugged(metadata, status),
    )


def _plugged(metadata: Obj, status: Obj) -> Plugged | None:
    labels: dict[str, str] = metadata.get("labels") or {}
    annotations: dict[str, str] = metadata.get("annotations") or {}
    handler = labels.get(HANDLER_LABEL[0]) == HANDLER_LABEL[1]
    probe = labels.get(PROBE_LABEL) == "mtu"
    networks = annotations.get(NETWORKS, "")
    if not (handler or probe or networks):
        return None
    return Plugged(
        handler=handler,
        probe=probe,
        networks=networks,
        interfaces=tuple(parsed(annotations.get(NETWORK_STATUS, ""))),
        address=status.get("podIP", ""),
        revision=labels.get(REVISION_LABEL, ""),
        crashed=any(
            ((each.get("state") or {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff"
            for each in status.get("containerStatuses") or []
        ),
    )


def _claims(spec: Obj) -> tuple[str, ...]:
    return tuple(
        volume["persistentVolumeClaim"]["claimName"]
        for volume in spec.get("volumes") or []
        if volume.get("persistentVolumeClaim")
    )


def _demand(spec: Obj, affinity: Obj, namespace: str, claims: tuple[str, ...]) -> Demand:
    required = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    return Demand(
        node_selector=spec.get("nodeSelector") or {},
        node_terms=None if required is None else tuple(required.get("nodeSelectorTerms") or []),
        tolerations=tuple(spec.get("tolerations") or []),
        affinity=_terms(affinity, "podAffinity", namespace),
        spread=tuple(
            each
            for each in spec.get("topologySpreadConstraints") or []
            if each.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
        ),
        claims=claims,
    )


def _launcher(metadata: Obj, spec: Obj, status: Obj, owner: Obj) -> Launcher:
    labels: dict[str, str] = metadata.get("labels") or {}
    annotations: dict[str, str] = metadata.get("annotations") or {}
    containers = status.get("containerStatuses") or []
    compute = next((each for each in containers if each["name"] == "compute"), _EMPTY)
    marks = {
        key: value
        for key, value in annotations.items()
        if key.startswith(("descheduler.alpha.kubernetes.io/", "kubevirt.io/migration"))
    }
    marks["kubevirt.io/nodeName"] = labels.get("kubevirt.io/nodeName", "")
    unpaused = next(
        (e["status"] for e in status.get("conditions") or [] if e["type"] == "kubevirt.io/virtual-machine-unpaused"), ""
    )
    marks["kubevirt.io/virtual-machine-unpaused"] = unpaused
    return Launcher(
        instance=annotations.get("kubevirt.io/domain") or owner.get("name", ""),
        instance_uid=labels.get("kubevirt.io/created-by", ""),
        job_uid=labels.get("kubevirt.io/migrationJobUID", ""),
        node_selector=spec.get("nodeSelector") or {},
        containers_ready="running" in (compute.get("state") or {}) and all(each.get("ready") for each in containers),
        digests=bool(containers) and all("@sha256:" in each.get("imageID", "") for each in containers),
        marks=marks,
    )
