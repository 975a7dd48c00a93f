# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what kubelet_config decides by: pools, nodes, KubeletConfigs, VMs, the pod network."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Optional

from ...cluster import resources
from ...cluster.capture import capture
from ...cluster.gateway import Gateway
from ...cluster.model import Snapshot
from ...errors import Forbidden, NotFound
from ...migration.rwx_check import PARTS
from ..checks import Scene
from ..pools import PodCount, count_pods, nodes_by_pool, parse_pod_place, parse_pool, parse_pool_node

_NO_POOLS = "KubeletConfig needs OpenShift's machine config operator: is this the cluster that was meant?"


def read_scene(gateway: Gateway, *, machines: bool = True) -> Scene:
    """Return the cluster as it is now; without C(machines) nothing about VMs, pods and the pod network.

    Raises ApiError, NotFound with a hint where there are no machine config pools.
    """
    try:
        pools = gateway.list_as(resources.MACHINE_CONFIG_POOLS, parse_pool).items
    except NotFound as error:
        raise NotFound(error.message, status=error.status, request=error.request, hint=_NO_POOLS) from error
    nodes = gateway.list_as(resources.NODES, parse_pool_node).items
    return Scene(
        pools={pool.name: pool for pool in pools},
        nodes=nodes_by_pool(pools, nodes),
        configs=gateway.list(resources.KUBELET_CONFIGS).items,
        snapshot=_machines(gateway) if machines else None,
        host_prefix=_host_prefix(gateway) if machines else None,
        pods=_pods(gateway) if machines else None,
    )


def _machines(gateway: Gateway) -> Optional[Snapshot]:
    return capture(gateway, PARTS) if gateway.served_versions(resources.KUBEVIRT_GROUP) else None


def _pods(gateway: Gateway) -> dict[str, PodCount]:
    listing = gateway.list_as(resources.PODS, parse_pod_place, field_selector=resources.ACTIVE_PODS)
    return count_pods(listing.items)


def _host_prefix(gateway: Gateway) -> Optional[int]:
    """Return the IPv4 host prefix with the fewest addresses; OpenShift calls its only Network cluster."""
    found: dict[str, Any] = {}
    with suppress(NotFound, Forbidden):
        found = gateway.get(resources.CLUSTER_NETWORKS, "cluster")
    networks = (found.get("status") or {}).get("clusterNetwork") or (found.get("spec") or {}).get("clusterNetwork")
    prefixes = [item.get("hostPrefix") for item in networks or () if ":" not in str(item.get("cidr"))]
    return max((int(prefix) for prefix in prefixes if prefix), default=None)
