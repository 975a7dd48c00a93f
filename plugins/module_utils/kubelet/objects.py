# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""KubeletConfig objects: what has to be written for a pool, and what the operator says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from ..cluster.resources import KUBELET_CONFIGS
from ..cluster.selectors import selector_matches
from ..names import MANAGED_BY, MANAGER
from .pools import Pool, pool_label

Object = Mapping[str, Any]

CREATE, CHANGE, REMOVE, KEEP = "create", "change", "remove", "keep"
_NAME_PREFIX = "ocpv-scale-"


def object_name(pool: str) -> str:
    """Return the name of the KubeletConfig of a pool."""
    return f"{_NAME_PREFIX}{pool}"


@dataclass(frozen=True)
class Step:
    """What happens to the KubeletConfig of a pool. C(body) is the object to create or the merge patch; C(before) and
    C(after) are its spec, empty if there is none."""

    name: str
    action: str
    before: Object = field(default_factory=dict)
    after: Object = field(default_factory=dict)
    body: Object = field(default_factory=dict)
    uid: str = ""


def step_for(live: Optional[Object], pool: Pool, name: str, values: Optional[Mapping[str, Any]]) -> Step:
    """Return what to do about the KubeletConfig C(name) of a pool as it is now; C(values) None: it is to be absent.

    One that this collection made gets these values and no others; in one of others they are set and the rest stays, and
    so does its selector if it selects the pool.
    """
    if live is None:
        if values is None:
            return Step(name, KEEP)
        spec = {"machineConfigPoolSelector": _selector(pool.name), "kubeletConfig": dict(values)}
        body = {
            "apiVersion": KUBELET_CONFIGS.api_version,
            "kind": KUBELET_CONFIGS.kind,
            "metadata": {"name": name, "labels": {MANAGED_BY: MANAGER}},
            "spec": spec,
        }
        return Step(name, CREATE, after=spec, body=body)
    before: Object = live.get("spec") or {}
    metadata = live["metadata"]
    uid = metadata.get("uid", "")
    if values is None:
        return Step(name, REMOVE, before, uid=uid)
    own = (metadata.get("labels") or {}).get(MANAGED_BY) == MANAGER
    kept = {} if own else before.get("kubeletConfig") or {}
    selector = before.get("machineConfigPoolSelector")
    selecting = selects(live, pool) or (own and selector == _selector(pool.name))
    after = {
        **before,
        "kubeletConfig": {**kept, **values},
        "machineConfigPoolSelector": selector if selecting else _selector(pool.name),
    }
    if after == before:
        return Step(name, KEEP, before, after, uid=uid)
    patch: dict[str, Any] = {
        "kubeletConfig": merge_difference(before.get("kubeletConfig") or {}, after["kubeletConfig"])
    }
    if not selecting:
        patch["machineConfigPoolSelector"] = merge_difference(selector or {}, _selector(pool.name))
    # what is written holds for this very version of the object, or not at all
    version = {"uid": uid, "resourceVersion": metadata.get("resourceVersion", "")}
    body = {"metadata": {key: value for key, value in version.items() if value}, "spec": patch}
    return Step(name, CHANGE, before, after, body, uid)


def _selector(pool: str) -> dict[str, Any]:
    return {"matchLabels": {pool_label(pool): ""}}


def merge_difference(before: Object, after: Object) -> dict[str, Any]:
    """Return the merge patch (RFC 7386) from one mapping to another."""
    patch: dict[str, Any] = dict.fromkeys(set(before) - set(after))
    for key, value in after.items():
        former = before.get(key)
        if isinstance(value, Mapping) and isinstance(former, Mapping):
            inside = merge_difference(former, value)
            if inside:
                patch[key] = inside
        elif key not in before or former != value:
            patch[key] = value
    return patch


def selects(config: Object, pool: Pool) -> bool:
    """Whether a KubeletConfig object selects a pool; the empty selector selects none."""
    selector = (config.get("spec") or {}).get("machineConfigPoolSelector")
    return bool(selector) and selector_matches(selector, pool.labels)


def stored_otherwise(step: Step, stored: Object) -> list[str]:
    """Return the parts of spec that the server stored in another way than they were sent."""
    spec: Object = stored.get("spec") or {}
    return sorted(key for key in ("kubeletConfig", "machineConfigPoolSelector") if spec.get(key) != step.after.get(key))


def verdict(config: Object) -> tuple[Optional[bool], str]:
    """Return whether the operator has taken a KubeletConfig over, None if it has not looked yet, and what it says.

    Conditions are a history of which the last one counts. Source: machine-config-operator
    pkg/controller/kubelet-config/kubelet_config_controller.go.
    """
    status = config.get("status") or {}
    conditions = status.get("conditions") or ()
    observed = status.get("observedGeneration")
    if not conditions or (observed is not None and observed < (config["metadata"].get("generation") or 0)):
        return None, ""
    last = conditions[-1]
    good = last.get("type") != "Failure" and last.get("status") == "True"
    return good, last.get("message") or last.get("reason") or ""
