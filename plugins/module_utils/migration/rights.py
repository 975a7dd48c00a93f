# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rights that moving VMs needs; docs/rbac/rebalance.yaml gives them."""

from __future__ import annotations

from dataclasses import dataclass

from ..cluster import resources
from ..cluster.resources import ResourceType

SUBRESOURCES_GROUP = resources.SUBRESOURCES_GROUP_VERSION.partition("/")[0]


@dataclass(frozen=True)
class Right:
    """One right, in all namespaces or (C(in_state_namespace)) where runs keep their state. C(optional): live moves that
    can be aimed at a node do without it. C(group) is empty for that of the resource."""

    verb: str
    resource: ResourceType
    subresource: str = ""
    group: str = ""
    in_state_namespace: bool = False
    optional: bool = False

    @property
    def text(self) -> str:
        """The right as people write it: "create virtualmachineinstancemigrations.kubevirt.io"."""
        group = self.group or self.resource.group
        name = self.resource.plural + (f"/{self.subresource}" if self.subresource else "")
        where = " in the state namespace" if self.in_state_namespace else ""
        return f"{self.verb} {name}.{group}{where}" if group else f"{self.verb} {name}{where}"


RIGHTS = (
    Right("create", resources.MIGRATIONS),
    Right("delete", resources.MIGRATIONS),
    Right("watch", resources.MIGRATIONS),
    Right("watch", resources.VIRTUAL_MACHINE_INSTANCES),
    *(
        Right(verb, resources.CONFIG_MAPS, in_state_namespace=True)
        for verb in ("get", "list", "create", "update", "patch")
    ),
    *(Right(verb, resources.LEASES, in_state_namespace=True) for verb in ("get", "create", "update")),
    Right("patch", resources.VIRTUAL_MACHINES, optional=True),
    *(
        Right("update", resources.VIRTUAL_MACHINES, subresource, SUBRESOURCES_GROUP, optional=True)
        for subresource in ("start", "stop", "restart")
    ),
)
