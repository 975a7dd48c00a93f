# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes and removes the network attachment."""

from __future__ import annotations

import json
from typing import Any, Mapping, Optional

from .... import names
from ....cluster.gateway import Gateway, Object
from ....cluster.resources import NETWORK_ATTACHMENTS, PODS
from ....errors import Conflict, NotFound, OcpvError
from ..records import Former, same_config
from .policy import changes_to

NETWORKS = "k8s.v1.cni.cncf.io/networks"
_ATTEMPTS = 5
_ENDED = ("Succeeded", "Failed")


def put_attachment(
    gateway: Gateway, namespace: str, name: str, spec: Mapping[str, Any], former: Former, network: str
) -> Object:
    """Give an attachment this spec and the marks of its owner, and return it. Raises OcpvError if the API server has
    stored something else."""
    marks = {"labels": {names.MIGRATION_NETWORK: network}, "annotations": {names.FORMER: former.text()}}
    stored = _put(gateway, namespace, name, spec, marks)
    if not same_config(stored.get("spec") or {}, spec):
        raise OcpvError(
            f"The network attachment {namespace}/{name} does not hold what was written.",
            hint="Something in the cluster changes it: look for webhooks and for GitOps tools that manage it.",
        )
    return stored


def remove_attachment(
    gateway: Gateway, namespace: str, name: str, target: Optional[Mapping[str, Any]], keep: bool
) -> None:
    """Give an attachment back its former spec, or delete it if there was none. C(keep): its marks stay."""
    if target is not None:
        marks = {"labels": {names.MIGRATION_NETWORK: None}, "annotations": {names.FORMER: None}}
        _put(gateway, namespace, name, target, {} if keep else marks)
        return
    current = _read(gateway, namespace, name)
    if current is not None:
        gateway.delete(NETWORK_ATTACHMENTS, name, namespace=namespace, uid=current["metadata"].get("uid"))


def attached_pods(gateway: Gateway, namespace: str, name: str) -> list[str]:
    """Return names of the pods that have an interface of an attachment in their own namespace, ended ones left out."""

    def using(pod: Object) -> Optional[str]:
        ended = (pod.get("status") or {}).get("phase") in _ENDED
        text = (pod["metadata"].get("annotations") or {}).get(NETWORKS) or ""
        return pod["metadata"]["name"] if not ended and name in networks_in(text, namespace) else None

    return sorted(filter(None, gateway.list_as(PODS, using, namespace=namespace).items))


def networks_in(text: str, namespace: str) -> list[str]:
    """Return the attachments of a namespace that a pod's annotation names: JSON, or "namespace/name@interface, ...".

    Source: Multus pkg/k8sclient/k8sclient.go (parsePodNetworkAnnotation).
    """
    try:
        entries = json.loads(text) if text.lstrip().startswith("[") else None
    except ValueError:
        return []
    if entries is not None:
        return [
            entry["name"] for entry in entries if entry.get("namespace", namespace) == namespace and "name" in entry
        ]
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        place, _slash, name = part.partition("@")[0].rpartition("/")
        if place in ("", namespace):
            found.append(name)
    return found


def _read(gateway: Gateway, namespace: str, name: str) -> Optional[Object]:
    try:
        return gateway.get(NETWORK_ATTACHMENTS, name, namespace)
    except NotFound:
        return None


def _put(gateway: Gateway, namespace: str, name: str, spec: Mapping[str, Any], marks: Mapping[str, Any]) -> Object:
    for attempt in range(_ATTEMPTS):
        current = _read(gateway, namespace, name)
        try:
            if current is None:
                body = {
                    "apiVersion": NETWORK_ATTACHMENTS.api_version,
                    "kind": NETWORK_ATTACHMENTS.kind,
                    "metadata": {"name": name, "namespace": namespace, **marks},
                    "spec": dict(spec),
                }
                return gateway.create(NETWORK_ATTACHMENTS, body, namespace=namespace)
            patch = changes_to(current, dict(spec), marks)
            if not patch:
                return current
            patch.setdefault("metadata", {})["resourceVersion"] = current["metadata"]["resourceVersion"]
            return gateway.merge_patch(NETWORK_ATTACHMENTS, name, patch, namespace=namespace)
        except Conflict:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")
