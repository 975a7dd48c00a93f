# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be found about a VM that is to move: each finding's code, severity, the ways it rules out, and its remedy.

A VM's way to move follows from its findings alone: it is the best way that none of them rules out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Mapping, Optional

from ..cluster.quick_init import quick_init

LIVE = "live"
STORAGE_LIVE = "storage_live"
COLD = "cold"
BLOCKED = "blocked"
# ways that move a VM, the best first
MOVING_WAYS = (LIVE, STORAGE_LIVE, COLD)
WAYS = (*MOVING_WAYS, BLOCKED)

# keeps the VM from moving live until somebody changes something
ERROR = "error"
# rules out another way, passes by itself, or is a risk
WARNING = "warning"
INFO = "info"
SEVERITIES = (ERROR, WARNING, INFO)

_EVERY_WAY = MOVING_WAYS
# both ways that move the running guest
_RUNNING_WAYS = (LIVE, STORAGE_LIVE)
_WITH_THE_VM = (STORAGE_LIVE, COLD)


@quick_init
@dataclass(frozen=True)
class Finding:
    """One reason. C(volume) is the name of the volume it is about, empty if it is about the VM. C(rules_out) are the
    ways it makes impossible. A C(momentary) finding passes by itself or is soon put right: the way stays, but not now.
    """

    code: str
    severity: str
    volume: str
    message: str
    hint: str = ""
    rules_out: tuple[str, ...] = ()
    momentary: bool = False


@dataclass(frozen=True)
class _Kind:
    severity: str
    rules_out: tuple[str, ...] = ()
    hint: str = ""
    momentary: bool = False


_KINDS: Mapping[str, _Kind] = {
    # claims and data volumes
    "claim_not_shared": _Kind(ERROR, (LIVE,)),
    "claim_modes_unknown": _Kind(
        ERROR, (LIVE,), "Claims were not read: allow listing persistentvolumeclaims, or add them to the dump."
    ),
    "claim_missing": _Kind(
        ERROR, _EVERY_WAY, "Create or restore the claim, or take the volume out of the VM; it cannot start without it."
    ),
    "claim_from_template": _Kind(INFO, (), "It is made when CDI works off the VM's dataVolumeTemplates."),
    "claim_unbound": _Kind(
        ERROR,
        _EVERY_WAY,
        "Look at the claim's events (`oc describe pvc`): no volume fits, or the storage class cannot provision one.",
    ),
    "claim_awaits_consumer": _Kind(INFO, (), "It is bound where the VM first starts."),
    "claim_lost": _Kind(ERROR, _EVERY_WAY, "Its persistent volume is gone: restore the data from a backup."),
    "data_volume_failed": _Kind(ERROR, _EVERY_WAY, "Look at the DataVolume's conditions; delete it to try again."),
    "data_volume_not_ready": _Kind(WARNING, (), "Wait until CDI has filled it.", momentary=True),
    # other volumes
    "host_disk": _Kind(
        ERROR, _EVERY_WAY, "Its data is a file on one node: copy it into a claim, or leave the VM where it is."
    ),
    "host_disk_shared": _Kind(INFO, (), "Make sure that the path is the same shared directory on all nodes."),
    "volume_on_one_node": _Kind(
        ERROR,
        (LIVE, COLD),
        "No other node can use the volume: migrate the volume to network storage, or leave the VM where it is.",
    ),
    "volume_limits_nodes": _Kind(INFO),
    "volume_unknown": _Kind(WARNING, (), "What the instance reports decides (condition LiveMigratable)."),
    "volume_copied": _Kind(INFO, (), "Its content is sent along with the memory, which takes longer."),
    "ephemeral_backing_not_shared": _Kind(
        WARNING, (), "KubeVirt does not check this, but the target's pod has to mount the backing claim as well."
    ),
    "volume_not_migratable": _Kind(
        WARNING, (STORAGE_LIVE,), "Volumes shared with virtiofs and LUNs cannot be migrated while the VM runs."
    ),
    "hotplugged": _Kind(INFO),
    "hotplug_in_progress": _Kind(WARNING, (), "Wait until the volume is attached or detached.", momentary=True),
    "lost_on_restart": _Kind(WARNING, (), "Save what is needed from the volume before the VM is stopped."),
    "unplugged_on_restart": _Kind(
        WARNING, (), "Add it to the VM (`virtctl addvolume --persist`) if it is to be there after a restart."
    ),
    "state_follows": _Kind(INFO),
    "state_on_one_node": _Kind(
        WARNING, (COLD,), "The VM can start with its TPM or EFI state on that node only: move it live."
    ),
    # network, devices, CPU
    "interface_not_migratable": _Kind(
        ERROR,
        _RUNNING_WAYS,
        "Use masquerade on the pod network, a secondary network, or for a bridge the annotation "
        "kubevirt.io/allow-pod-bridge-network-live-migration.",
    ),
    "binding_unknown": _Kind(
        WARNING, (), "Whether it migrates is decided by `migration` of the plugin in spec.configuration.network."
    ),
    "host_device": _Kind(ERROR, _RUNNING_WAYS, "Move it cold to a node that has such a device free."),
    "gpu": _Kind(ERROR, _RUNNING_WAYS, "Move it cold to a node that has such a GPU free."),
    "gpu_perhaps": _Kind(WARNING, (), "Only mediated devices (vGPU) whose driver supports it migrate."),
    "host_model_unknown": _Kind(
        ERROR, _RUNNING_WAYS, "virt-handler's node labeller found no CPU model: look at its log, or name a CPU model."
    ),
    "host_passthrough": _Kind(
        WARNING, (), "KubeVirt does not check whether the target's CPU is the same: move only between equal hosts."
    ),
    "single_channel": _Kind(INFO, (), "Allow for more time: with CPU limits or dedicated CPUs one channel is used."),
    # where it may run
    "pinned": _Kind(
        ERROR, _EVERY_WAY, "Widen the VM's nodeSelector or required node affinity, if it does not have to stay there."
    ),
    # state of the VM
    "stopped": _Kind(INFO, _RUNNING_WAYS, "It can be started elsewhere; start it first to move it live."),
    "no_instance": _Kind(ERROR, _RUNNING_WAYS, "Look at the VM's status and events: it should run but does not."),
    "instance_ended": _Kind(INFO, _RUNNING_WAYS, "It has ended; start it again to move it live."),
    "instance_starting": _Kind(WARNING, (), "Wait until it runs.", momentary=True),
    "instance_unknown": _Kind(ERROR, _EVERY_WAY, "virt-handler of its node does not answer: look at the node first."),
    "instance_stopping": _Kind(WARNING, (), "Wait until it has stopped, or started again.", momentary=True),
    "paused": _Kind(WARNING, (), "Unpause it, or have its owner do so.", momentary=True),
    "migrating": _Kind(WARNING, (), "Wait until its migration has ended.", momentary=True),
    "volumes_changing": _Kind(WARNING, (), "Wait until its volumes have been migrated.", momentary=True),
    "evacuating": _Kind(WARNING, (), "It is already being moved away by KubeVirt.", momentary=True),
    "deleting": _Kind(ERROR, _EVERY_WAY, "It is being deleted; there is nothing to move."),
    "snapshot_in_progress": _Kind(WARNING, (), "Wait until the snapshot is complete.", momentary=True),
    "restore_in_progress": _Kind(WARNING, (), "Wait until the restore is complete.", momentary=True),
    "manual_recovery_required": _Kind(
        WARNING, _WITH_THE_VM, "KubeVirt refuses to start it: put its volumes right by hand before it is stopped."
    ),
    "restart_required": _Kind(
        WARNING, (STORAGE_LIVE,), "The change takes effect at its next restart; until then no other change does."
    ),
    "change_waits": _Kind(WARNING, (), "It takes effect at the next restart, so a cold move starts a changed VM."),
    "volume_change_waits": _Kind(WARNING, (), "It takes effect at the next restart, so also with a cold move."),
    "receiver": _Kind(ERROR, _EVERY_WAY, "It waits for a migration from another cluster."),
    "run_strategy_unknown": _Kind(WARNING, (COLD,), "Use Always, RerunOnFailure, Manual, Once or Halted."),
    # owners and their wishes
    "no_virtual_machine": _Kind(
        WARNING, _WITH_THE_VM, "There is no VirtualMachine that could start it again or take changed volumes."
    ),
    "managed_by_owner": _Kind(WARNING, _WITH_THE_VM, "Its owner would undo a changed placement: change the owner."),
    "owned": _Kind(INFO, (), "Its owner may undo a changed placement."),
    "prefer_no_eviction": _Kind(
        WARNING, (), "Its owner asks that the descheduler leaves it alone: ask before it is moved."
    ),
    "blocks_drain": _Kind(
        WARNING, (), "A drain of its node would wait for ever: set evictionStrategy LiveMigrateIfPossible or None."
    ),
    # what KubeVirt itself says
    "not_live_migratable": _Kind(ERROR, (LIVE,)),
    "not_storage_live_migratable": _Kind(WARNING, (STORAGE_LIVE,)),
    "volume_migration_unavailable": _Kind(WARNING, (STORAGE_LIVE,)),
    "not_reported": _Kind(WARNING, (), "The way is predicted from its volumes, devices and networks."),
    "contradiction": _Kind(WARNING, (), "What the instance reports counts, since KubeVirt goes by it."),
}
CODES = tuple(_KINDS)


def finding(
    code: str, message: str, *, volume: str = "", hint: Optional[str] = None, rules_out: Optional[Iterable[str]] = None
) -> Finding:
    """Return a finding of a known code; C(hint) and C(rules_out) replace those of the code where it depends.

    What does not rule out moving live is no error, whatever it is elsewhere.
    """
    kind = _KINDS[code]
    ways = kind.rules_out if rules_out is None else tuple(rules_out)
    return Finding(
        code=code,
        severity=WARNING if kind.severity == ERROR and LIVE not in ways else kind.severity,
        volume=volume,
        message=message,
        hint=kind.hint if hint is None else hint,
        rules_out=ways,
        momentary=kind.momentary,
    )


def possible_ways(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the ways that no finding rules out, the best first."""
    ruled_out: set[str] = set()
    for item in findings:
        ruled_out.update(item.rules_out)
    return tuple([way for way in MOVING_WAYS if way not in ruled_out]) if ruled_out else MOVING_WAYS
