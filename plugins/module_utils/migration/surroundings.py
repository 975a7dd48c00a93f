# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a VM's assessment needs to know of its cluster, looked up once per snapshot and not once per VM."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Mapping, Optional

from ..cluster.model import Claim, Migration, Node, Snapshot, VmSpec
from ..cluster.selectors import labels_match, node_terms_match, required_node_terms
from .settings import kubevirt_release

READ_WRITE_MANY = "ReadWriteMany"
_SCHEDULABLE = "kubevirt.io/schedulable"
_HOST_MODEL = "host-model-cpu.node.kubevirt.io/"
_LIVE_UPDATE = "LiveUpdate"
_LIVE_MIGRATE = "LiveMigrate"
# volume migration is on without gates from this KubeVirt release on; before it takes both gates
_VOLUME_MIGRATION_SINCE = (1, 5)
_VOLUME_MIGRATION_GATES = ("VolumesUpdateStrategy", "VolumeMigration")


class Surroundings:
    """Answers about one snapshot; each is worked out when first asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._reach: dict[str, Optional[frozenset[str]]] = {}
        self._fitting: dict[str, frozenset[str]] = {}

    @property
    def claims_read(self) -> bool:
        return "claims" in self.snapshot.parts

    def claim(self, namespace: str, name: str) -> Optional[Claim]:
        return self.snapshot.claims.get(f"{namespace}/{name}")

    @cached_property
    def vm_nodes(self) -> Mapping[str, Node]:
        """Nodes that virt-handler runs on, whatever state they are in now; empty if nodes were not read."""
        return {name: node for name, node in self.snapshot.nodes.items() if _SCHEDULABLE in node.labels}

    @cached_property
    def in_flight(self) -> Mapping[str, Migration]:
        """Migrations that have not ended, by "namespace/name" of their VMI."""
        return {f"{item.namespace}/{item.vmi}": item for item in self.snapshot.migrations if not item.final}

    @cached_property
    def shared_classes(self) -> tuple[str, ...]:
        """Storage classes whose profile offers ReadWriteMany, the default for VMs first."""
        offering = [
            item
            for item in self.snapshot.storage_classes.values()
            if any(mode == READ_WRITE_MANY for mode, _volume_mode in item.claim_property_sets)
        ]
        return tuple(
            item.name
            for item in sorted(offering, key=lambda item: (not item.virt_default, not item.default, item.name))
        )

    def waits_for_consumer(self, claim: Claim) -> bool:
        storage_class = self.snapshot.storage_classes.get(claim.storage_class)
        return storage_class is not None and storage_class.waits_for_consumer

    def reach(self, claim: Claim) -> Optional[frozenset[str]]:
        """Return the nodes that can use the claim's persistent volume; None if all can, or it is not known."""
        if not claim.volume or not self.vm_nodes:
            return None
        if claim.volume not in self._reach:
            volume = self.snapshot.persistent_volumes.get(claim.volume)
            terms = volume.node_affinity.get("nodeSelectorTerms") if volume else None
            self._reach[claim.volume] = (
                frozenset(
                    name for name, node in self.vm_nodes.items() if node_terms_match(terms, node.name, node.labels)
                )
                if terms
                else None
            )
        return self._reach[claim.volume]

    def fitting(self, spec: VmSpec) -> Optional[frozenset[str]]:
        """Return the nodes that the spec's node selector and required node affinity accept; None if it has neither."""
        terms = required_node_terms(spec.affinity) if spec.affinity else ()
        if not (spec.node_selector or terms) or not self.vm_nodes:
            return None
        key = json.dumps([spec.node_selector, terms], sort_keys=True, default=dict)
        if key not in self._fitting:
            self._fitting[key] = frozenset(
                name
                for name, node in self.vm_nodes.items()
                if labels_match(spec.node_selector, node.labels)
                and (not terms or node_terms_match(terms, node.name, node.labels))
            )
        return self._fitting[key]

    @cached_property
    def nodes_without_host_model(self) -> frozenset[str]:
        """Nodes of which the node labeller tells no host model; none if it tells none of any node."""
        silent = frozenset(
            name
            for name, node in self.vm_nodes.items()
            if not any(label.startswith(_HOST_MODEL) for label in node.labels)
        )
        return frozenset() if len(silent) == len(self.vm_nodes) else silent

    @cached_property
    def volume_migration_obstacle(self) -> str:
        """Why no VM's volumes can be migrated while it runs, empty if they can.

        Source: KubeVirt pkg/virt-controller/watch/vm/vm.go (handleVolumeUpdateRequest) and
        pkg/virt-controller/watch/workload-updater.
        """
        virtualization = self.snapshot.virtualization
        if "virtualization" not in self.snapshot.parts:
            return "whether KubeVirt may migrate volumes could not be read"
        if virtualization.vm_rollout_strategy != _LIVE_UPDATE:
            return f"KubeVirt's vmRolloutStrategy is {virtualization.vm_rollout_strategy or 'not set'}, not LiveUpdate"
        if _LIVE_MIGRATE not in virtualization.workload_update_methods:
            return "KubeVirt's workloadUpdateMethods do not contain LiveMigrate"
        release = kubevirt_release(virtualization.kubevirt_version)
        if release is not None and release >= _VOLUME_MIGRATION_SINCE:
            return ""
        missing = [gate for gate in _VOLUME_MIGRATION_GATES if gate not in virtualization.feature_gates]
        return f"KubeVirt {virtualization.kubevirt_version} lacks the gates {', '.join(missing)}" if missing else ""
