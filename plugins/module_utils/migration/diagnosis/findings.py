# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a diagnosis says: a symptom of the field, its cause, the evidence, and what would change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional

from ..config.fields import BY_NAME
from ..policies.wanted import FIELDS as POLICY_FIELDS

_CLUSTER_MODULE = "hco_migration_config"
_POLICY_MODULE = "migration_policy"
_POLICY_OPTIONS = {name: option for option, name in POLICY_FIELDS.items()}

# the sections are those of the live-migration guide (Troubleshooting Common Issues) where it has one, else of another
# guide or of KubeVirt's sources
_ISSUE_1 = "live-migration guide, Issue 1: Migration Timeout"
_ISSUE_2 = "live-migration guide, Issue 2: Network Saturation"
_ISSUE_3 = "live-migration guide, Issue 3: virt-handler Pods Not Ready"
_ISSUE_4 = "live-migration guide, Issue 4: Migration Rejected - Cluster Limit Reached"
_LIMITS = "live-migration guide, Limitations and Constraints"
_CONTROLLER = "KubeVirt pkg/virt-controller/watch/migration/migration.go"
_HANDLER = "KubeVirt pkg/virt-handler/migration-source.go"

COMPLETION_TIMEOUT = "completion_timeout"
PROGRESS_TIMEOUT = "progress_timeout"
SATURATION = "network_saturation"
UNREACHABLE = "migration_network_unreachable"
HANDLER = "virt_handler_not_ready"
CLUSTER_LIMIT = "cluster_limit_reached"
NODE_LIMIT = "node_limit_reached"
NO_ROOM = "target_unschedulable"
CORDONED = "target_cordoned"
SELECTOR = "invalid_selector"
HOST_MODEL = "host_model"
QUOTA = "quota"
BACKOFF = "backoff"
BLOCKED = "blocked"
NOT_RUNNING = "vm_not_running"
REFUSED = "target_pod_refused"
STARTING = "target_pod_starting"
NOT_STARTED = "not_started"
PREPARING = "preparing_stuck"
POD_DIED = "target_pod_died"
NODE_LOST = "node_lost"
ABORTED = "aborted"
STOPPED = "vm_stopped"
OTHER = "other_migration"
SOURCE_FAILED = "source_failed"

SOURCES: Mapping[str, str] = {
    COMPLETION_TIMEOUT: _ISSUE_1,
    PROGRESS_TIMEOUT: _ISSUE_1,
    SATURATION: _ISSUE_2,
    UNREACHABLE: _ISSUE_3 + " (network configuration)",
    HANDLER: _ISSUE_3,
    CLUSTER_LIMIT: _ISSUE_4,
    NODE_LIMIT: "performance-tuning guide, Parallel Outbound Migrations Per Node",
    NO_ROOM: _LIMITS + " (capacity of the target)",
    CORDONED: _LIMITS + " (target cordoned or not ready)",
    SELECTOR: _CONTROLLER + " (createTargetPod)",
    HOST_MODEL: _CONTROLLER + " (createTargetPod)",
    QUOTA: _CONTROLLER + " (migrationRejectedByResourceQuota)",
    BACKOFF: _CONTROLLER + " (handleMigrationBackoff)",
    BLOCKED: _CONTROLLER + " (processMigrationPhase)",
    NOT_RUNNING: _LIMITS + " (VM currently running)",
    REFUSED: _CONTROLLER + " (createTargetPod)",
    STARTING: _CONTROLLER + " (handlePendingPodTimeout)",
    NOT_STARTED: _CONTROLLER + " (handleTargetPodCreation)",
    PREPARING: _ISSUE_3,
    POD_DIED: _CONTROLLER + " (updateStatus)",
    NODE_LOST: _LIMITS + " (target cordoned or not ready)",
    ABORTED: _CONTROLLER + " (deletion of the migration)",
    STOPPED: _CONTROLLER + " (updateStatus)",
    OTHER: _CONTROLLER + " (canMigrateVMI)",
    SOURCE_FAILED: _HANDLER,
}
SYMPTOMS = tuple(SOURCES)


@dataclass(frozen=True)
class Setting:
    """A setting that would change it: C(option) of the module C(module), its value in force, and one that follows from
    the evidence. No C(current) is a value that is not known, or no limit."""

    module: str
    option: str
    current: Any
    suggested: Any


@dataclass(frozen=True)
class Diagnosis:
    """One cause. C(evidence) are facts of the cluster, one sentence each; C(settings) may be empty, the best first."""

    symptom: str
    likely_cause: str
    evidence: tuple[str, ...]
    remedy: str
    settings: tuple[Setting, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the document: JSON types only."""
        return {
            "symptom": self.symptom,
            "likely_cause": self.likely_cause,
            "evidence": list(self.evidence),
            "settings": [
                {
                    "module": setting.module,
                    "option": setting.option,
                    "current": setting.current,
                    "suggested": setting.suggested,
                }
                for setting in self.settings
            ],
            "remedy": self.remedy,
            "source": SOURCES[self.symptom],
        }


def for_cluster(name: str, current: Any, suggested: Any) -> Setting:
    """Return a setting of the whole cluster by its name in the API."""
    return Setting(_CLUSTER_MODULE, BY_NAME[name].option, current, suggested)


def for_some(name: str, current: Any, suggested: Any) -> Setting:
    """Return a setting that a policy gives to some VMs, by its name in the API."""
    return Setting(_POLICY_MODULE, _POLICY_OPTIONS[name], current, suggested)


def found(
    symptom: str,
    likely_cause: str,
    evidence: Iterable[str],
    remedy: str,
    *settings: Optional[Setting],
) -> Diagnosis:
    """Return a diagnosis; evidence that is empty and settings that are None are left out."""
    facts = tuple(dict.fromkeys(fact for fact in evidence if fact))
    return Diagnosis(symptom, likely_cause, facts, remedy, tuple(item for item in settings if item is not None))
