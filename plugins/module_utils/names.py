# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that this collection gives to things in a cluster: labels, annotations, objects. No other place has them."""

from __future__ import annotations

import hashlib
import re

DOMAIN = "ocpv.scale/"

# labels of VMs, templates and namespaces that teams set
TIER = DOMAIN + "tier"
WORKLOAD = DOMAIN + "workload"

# labels of migrations and ConfigMaps that a run makes
RUN = DOMAIN + "run"
MOVE = DOMAIN + "move"
# what a ConfigMap of a run holds: state, plan or record
CONTENT = DOMAIN + "content"
# annotation of a VM that is being moved cold: its original placement and run strategy (JSON)
COLD_MOVE = DOMAIN + "cold-move"
# the same for a live move that is steered by the VM's node selector
STEERED_MOVE = DOMAIN + "steered-move"
# annotation of the HyperConverged while a window of other migration settings is open: the former ones (JSON)
MIGRATION_WINDOW = DOMAIN + "migration-window"
# annotation of the HyperConverged: the number of virt-api replicas that this collection asked for in its JSON patch
API_REPLICAS = DOMAIN + "virt-api-replicas"
# annotation of a run's ConfigMap by which people ask it to pause or stop
REQUEST = DOMAIN + "request"

# label of the node network policy and the network attachment that migration_network writes: the attachment's name
MIGRATION_NETWORK = DOMAIN + "migration-network"
# annotation of these: what was there before the first write (JSON), so that removal can restore it
FORMER = DOMAIN + "former"
# label of the pods and migrations by which a migration network is tried out
PROBE = DOMAIN + "probe"

# label of objects that this collection made and may remove when they are not asked for any more
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "ocpv-scale"
# annotation of a machine config pool while kubelet_config works on it: how it was before (JSON)
POOL_RECORD = DOMAIN + "kubelet-rollout"

STATE_NAMESPACE = "ocpv-scale"
LEASE = "ocpv-scale-rebalance"
_STATE_PREFIX = "ocpv-rebalance-"

_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")


def state_name(run_id: str, part: str = "") -> str:
    """Return the name of the ConfigMap that holds a run's state, or a further part of it."""
    return f"{_STATE_PREFIX}{run_id}" + (f"-{part}" if part else "")


def move_label(move_id: str) -> str:
    """Return a move's id as it can stand in names and labels; ids written by hand may hold other characters."""
    if _NAME.match(move_id):
        return move_id
    return "x" + hashlib.sha256(move_id.encode()).hexdigest()[:16]


def migration_name(run_id: str, move_id: str, attempt: int) -> str:
    """Return the name of the migration of one attempt: always the same, so that it can be created only once."""
    return f"ocpv-{run_id}-{move_label(move_id)}-{attempt}"
