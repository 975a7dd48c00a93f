# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether this account may do what a plan needs, asked before anything is changed."""

from __future__ import annotations

from ...cluster.gateway import Gateway
from ...cluster.resources import CONFIG_MAPS, LEASES, MIGRATIONS, VIRTUAL_MACHINES, ResourceType
from ...errors import Forbidden
from ..plan import COLD, LIVE, Plan

_SUBRESOURCES = "subresources.kubevirt.io"


def check_rights(gateway: Gateway, plan: Plan, state_namespace: str, *, steering: bool = False) -> None:
    """Raise Forbidden naming every right that is missing. C(steering): live moves need the VM's node selector."""
    missing = []
    for verb in ("get", "create", "patch"):
        for resource in (CONFIG_MAPS, LEASES):
            if not gateway.can_i(verb, resource, state_namespace):
                missing.append(f"{verb} {resource.full_name} in namespace {state_namespace}")
    live = {move.namespace for move in plan.moves if move.mode == LIVE}
    cold = {move.namespace for move in plan.moves if move.mode == COLD}
    for verb in ("create", "delete"):
        missing += _denied(gateway, verb, MIGRATIONS, live)
    missing += _denied(gateway, "patch", VIRTUAL_MACHINES, cold | (live if steering else set()))
    for verb in ("restart", "stop", "start"):
        missing += _denied(gateway, "update", VIRTUAL_MACHINES, cold, subresource=verb)
    if missing:
        raise Forbidden(
            f"This account may not do what the plan needs: {'; '.join(missing)}.",
            status=403,
            hint="Grant the rights in docs/rbac/rebalance.yaml to this account. Nothing was changed.",
            details={"missing": missing},
        )


def _denied(
    gateway: Gateway, verb: str, resource: ResourceType, namespaces: set[str], *, subresource: str = ""
) -> list[str]:
    """Ask for all namespaces at once, and only if that is denied for each."""
    group = _SUBRESOURCES if subresource else None
    if not namespaces or gateway.can_i(verb, resource, subresource=subresource, group=group):
        return []
    denied = [
        namespace
        for namespace in sorted(namespaces)
        if not gateway.can_i(verb, resource, namespace, subresource=subresource, group=group)
    ]
    what = f"{resource.plural}/{subresource}.{_SUBRESOURCES}" if subresource else resource.full_name
    return [f"{verb} {what} in namespaces {', '.join(denied)}"] if denied else []
