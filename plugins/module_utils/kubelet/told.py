# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of kubelets comes to, as lines for people. Pure."""

from __future__ import annotations

from typing import Any, Mapping


def lines_of(result: Mapping[str, Any]) -> list[str]:
    """Return the lines of a result of kubelet_config: each pool, the nodes that are not through, problems, cautions."""
    told = []
    for pool in result["pools"]:
        config = f", KubeletConfig {pool['kubelet_config']}: {pool['action']}" if pool["kubelet_config"] else ""
        counts = f"{pool['updated_nodes']} of {pool['node_count']} nodes have its configuration"
        told.append(f"Pool {pool['name']}: {pool['status']}{config}; {counts}")
        if pool["error"]:
            told.append(f"  {pool['error']} {pool['hint']}".rstrip())
        for node in pool["nodes"]:
            if node["phase"] not in ("updated", "waiting"):
                told.append(f"  {node['name']} is {node['phase']}" + (f": {node['reason']}" if node["reason"] else ""))
    for problem in result["problems"]:
        accepted = "Accepted" if problem["accepted"] else "Problem"
        told.append(f"{accepted} ({problem['code']}): {problem['message']} {problem['hint']}".rstrip())
    return told + [f"Caution: {caution}" for caution in result["cautions"]]
