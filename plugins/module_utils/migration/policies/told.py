# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies and what they change, as lines for people. Pure."""

from __future__ import annotations

from typing import Any, Mapping

_NONE = "the cluster's settings"


def lines_of(document: Mapping[str, Any]) -> list[str]:
    """Return the lines of a result of migration_policy: each policy, VMs by workload, cautions."""
    policies = document["policies"]
    width = max((len(policy["name"]) for policy in policies), default=0)
    told = ["Migration policies:"]
    for policy in policies:
        line = f"  {policy['name']:<{width}}  {policy['status']}"
        if policy["spec"]:
            line += f", matches {policy['matches']} VMs and holds for {policy['wins']}"
        if policy["loses_to"]:
            line += f"; the others get {', '.join(policy['loses_to'])}"
        told.append(line + (f". {policy['error']} {policy['hint']}".rstrip() if policy["error"] else ""))
    told.append("What holds for the VMs, by their workload:")
    for entry in document["effects"]["by_workload"]:
        before, after = (entry[key] or _NONE for key in ("before", "after"))
        change = f"{before} -> {after}" if before != after else after
        told.append(f"  {entry['workload'] or 'no workload'}: {entry['virtual_machines']} VMs, {change}")
    return told + [f"Caution: {caution}" for caution in document["cautions"]]
