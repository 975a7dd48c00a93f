# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who else writes a HyperConverged, and may put back what this collection changes. Pure.

Signs are the marks that Argo CD, Flux and Helm leave on what they manage, and the field managers in
C(metadata.managedFields), by which the API server tells who wrote a field.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from .. import hyperconverged as hco

_MARKS: Mapping[str, str] = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "app.kubernetes.io/instance": "Argo CD or Helm",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}
# beginnings of field managers' names
_MANAGERS: Mapping[str, str] = {
    "argocd": "Argo CD",
    "openshift-gitops": "Argo CD",
    "kustomize-controller": "Flux",
    "helm": "Helm",
}


def signs_of_owner(hyperconverged: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the signs that a tool keeps this object as a repository says, as text: "Argo CD (label ...)"."""
    metadata = hco.read_path(hyperconverged, ("metadata",))
    found = [
        f"{tool} ({kind} {mark}: {metadata[place][mark]})"
        for kind, place in (("label", "labels"), ("annotation", "annotations"))
        for mark, tool in _MARKS.items()
        if mark in (metadata.get(place) or {})
    ]
    for name in sorted({str(entry.get("manager", "")) for entry in metadata.get("managedFields") or ()}):
        tool = next((tool for start, tool in _MANAGERS.items() if name.lower().startswith(start)), "")
        if tool:
            found.append(f"{tool} (field manager {name})")
    return tuple(found)


def managers_of(hyperconverged: Mapping[str, Any], fields: Iterable[str]) -> tuple[str, ...]:
    """Return who wrote one of these settings (API names), the last first; empty where the API server does not tell."""
    wanted = {f"f:{name}" for name in fields}
    metadata = hco.read_path(hyperconverged, ("metadata",))
    found: list[tuple[str, str]] = []
    for entry in metadata.get("managedFields") or ():
        layout = hco.layout_of(str(entry.get("apiVersion", "")))
        if layout is None:
            continue
        path = tuple(f"f:{step}" for step in layout.live_migration)
        if wanted & set(hco.read_path(entry.get("fieldsV1"), path)):
            found.append((str(entry.get("time", "")), str(entry.get("manager", ""))))
    return tuple(dict.fromkeys(name for _time, name in sorted(found, reverse=True)))
