# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a VM's volumes mean for moving it.

The rules of live migration are those of KubeVirt pkg/virt-handler/vm.go checkVolumesForMigration: claims must be
shared, which means that their access modes contain ReadWriteMany, whatever their volume mode; other volumes are copied,
except a host disk that is not shared.
"""

from __future__ import annotations

from typing import Iterator, Mapping, Optional

from ..cluster.model import Claim, Instance, VirtualMachine, Volume, VolumeStatus
from .findings import COLD, LIVE, STORAGE_LIVE, Finding, finding
from .surroundings import READ_WRITE_MANY, Surroundings

CLAIM_KINDS = ("persistentVolumeClaim", "dataVolume")
# their content is on the node, and is copied by a live migration
LOCAL_KINDS = (
    "containerDisk",
    "emptyDisk",
    "ephemeral",
    "cloudInitNoCloud",
    "cloudInitConfigDrive",
    "configMap",
    "secret",
    "serviceAccount",
    "downwardAPI",
    "downwardMetrics",
    "sysprep",
    "memoryDump",
)
# what a guest writes there is gone when it stops
_FORGETFUL_KINDS = ("containerDisk", "emptyDisk", "ephemeral")
_STATE_VOLUME = "persistent-state-for"
_FILESYSTEM = "filesystem"
_LUN = "lun"
# phases of a DataVolume in which nothing is under way: done, or waiting for the first pod
_SETTLED = ("", "Succeeded", "WaitForFirstConsumer", "PendingPopulation")
_HOTPLUG_SETTLED = ("", "Ready")


def volume_findings(around: Surroundings, vm: VirtualMachine, running: bool) -> Iterator[Finding]:
    """Yield what is to be said about the volumes of a VM, in their order.

    Of a C(running) VM those count that its instance uses. Where the VM names others they start with its next restart;
    then the latter decide whether it can move cold.
    """
    wished = {volume.name: volume for volume in vm.spec.volumes}
    instance = vm.instance if running else None
    if instance is None:
        for volume in vm.spec.volumes:
            yield from _judge(around, vm, volume, None, None)
        return
    statuses = {status.name: status for status in instance.volume_status}
    used = set()
    for volume in instance.spec.volumes:
        used.add(volume.name)
        wish = wished.get(volume.name)
        found = _judge(around, vm, volume, instance, statuses.get(volume.name))
        if wish is not None and (wish.kind, wish.claim) == (volume.kind, volume.claim):
            yield from found
            continue
        # after a restart the volume is no longer this one
        yield from (_without(item, COLD) for item in found)
        if wish is not None:
            message = f"The VM names {_words(wish)}, its running instance uses {_words(volume)}."
            yield finding("volume_change_waits", message, volume=volume.name)
            yield from _start_findings(around, vm, wish)
        elif not volume.hotplugged:
            message = f"The running instance uses {_words(volume)}, which is no longer a volume of the VM."
            yield finding("volume_change_waits", message, volume=volume.name)
    for volume in vm.spec.volumes:
        if volume.name not in used:
            message = f"The VM has {_words(volume)}, which its running instance does not use."
            yield finding("volume_change_waits", message, volume=volume.name)
            yield from _start_findings(around, vm, volume)
    yield from _state_findings(around, vm, instance)


def restart_findings(vm: VirtualMachine) -> Iterator[Finding]:
    """Yield what a running VM loses when it is stopped, as a cold move does."""
    if vm.instance is None:
        return
    wished = {volume.name for volume in vm.spec.volumes}
    for volume in vm.instance.spec.volumes:
        if volume.kind in _FORGETFUL_KINDS and not _read_only_cdrom(volume):
            message = f"What the guest has written to {_words(volume)} is gone when it stops."
            yield finding("lost_on_restart", message, volume=volume.name)
        if volume.hotplugged and volume.name not in wished:
            message = f"{_words(volume, upper=True)} was attached to the running instance only."
            yield finding("unplugged_on_restart", message, volume=volume.name)


def copies_volumes(vm: VirtualMachine) -> bool:
    """Tell whether a live migration has to copy volumes (migrationMethod BlockMigration)."""
    spec = vm.instance.spec if vm.instance else vm.spec
    return any(_copied(volume) for volume in spec.volumes)


def _judge(
    around: Surroundings,
    vm: VirtualMachine,
    volume: Volume,
    instance: Optional[Instance],
    status: Optional[VolumeStatus],
) -> Iterator[Finding]:
    if volume.kind in CLAIM_KINDS:
        yield from _claim_findings(around, vm, volume, instance, status)
    elif volume.kind == "hostDisk":
        if volume.shared_host_disk:
            yield finding("host_disk_shared", f"{_words(volume, upper=True)} is declared shared.", volume=volume.name)
        else:
            message = f"{_words(volume, upper=True)} is a file on the node and is not shared."
            yield finding("host_disk", message, volume=volume.name)
    elif volume.kind in LOCAL_KINDS:
        if volume.kind == "ephemeral":
            yield from _backing_findings(around, vm, volume)
        if _copied(volume):
            yield finding("volume_copied", f"{_words(volume, upper=True)} is local to the node.", volume=volume.name)
    else:
        message = f"{_words(volume, upper=True)} is of a kind this check does not know."
        yield finding("volume_unknown", message, volume=volume.name)
    if volume.hotplugged or (status is not None and status.hotplugged):
        yield finding("hotplugged", f"{_words(volume, upper=True)} is hotplugged.", volume=volume.name)
        if status is not None and status.phase not in _HOTPLUG_SETTLED:
            message = f"{_words(volume, upper=True)} is being attached or detached ({status.phase})."
            yield finding("hotplug_in_progress", message, volume=volume.name)


def _claim_findings(
    around: Surroundings,
    vm: VirtualMachine,
    volume: Volume,
    instance: Optional[Instance],
    status: Optional[VolumeStatus],
) -> Iterator[Finding]:
    claim = around.claim(vm.namespace, volume.claim)
    absent = _absence(around, vm, volume, claim, instance is not None)
    if absent is not None:
        yield absent
    modes: tuple[str, ...] = ()
    if status is not None and status.access_modes:
        modes = status.access_modes  # what KubeVirt itself looks at
    elif claim is not None:
        modes = claim.access_modes
    if modes:
        migrating = instance is not None and volume.name in instance.migrated_volumes
        if READ_WRITE_MANY not in modes and not migrating:
            yield _not_shared(around, volume, modes, claim, status)
            if volume.device in (_FILESYSTEM, _LUN):
                message = f"{_words(volume, upper=True)} is a {volume.device} of the guest."
                yield finding("volume_not_migratable", message, volume=volume.name)
    elif absent is None:
        message = f"Whether {_words(volume)} is shared is not known."
        yield finding("claim_modes_unknown", message, volume=volume.name)
    allowed = around.reach(claim) if claim is not None else None
    if allowed is not None:
        yield from _reach_findings(around, volume, allowed, instance)


def _absence(
    around: Surroundings, vm: VirtualMachine, volume: Volume, claim: Optional[Claim], running: bool
) -> Optional[Finding]:
    """Return what is wrong with the existence of a claim; of one in use by a running guest only that it is gone."""
    if running and claim is not None and claim.phase == "Bound":
        return None
    name = volume.name
    data_volume = around.snapshot.data_volumes.get(f"{vm.namespace}/{volume.claim}")
    phase = data_volume.phase if data_volume and volume.kind == "dataVolume" and not running else ""
    if phase == "Failed":
        return finding("data_volume_failed", f"DataVolume {volume.claim} of volume {name} has failed.", volume=name)
    if phase not in _SETTLED:
        message = f"DataVolume {volume.claim} of volume {name} is not filled yet ({phase})."
        return finding("data_volume_not_ready", message, volume=name)
    if claim is None:
        if not around.claims_read:
            return None
        if not running and (data_volume is not None or volume.claim in vm.data_volume_templates):
            message = f"Claim {volume.claim} of volume {name} is not there yet."
            return finding("claim_from_template", message, volume=name)
        message = f"Claim {vm.namespace}/{volume.claim} of volume {name} does not exist."
        return finding("claim_missing", message, volume=name)
    if claim.phase == "Lost":
        return finding("claim_lost", f"Claim {claim.name} of volume {name} has lost its volume.", volume=name)
    if claim.phase != "Bound":
        of_class = f" (storage class {claim.storage_class})" if claim.storage_class else ""
        message = f"Claim {claim.name} of volume {name} is not bound to a volume{of_class}."
        waits = (volume.hotplugged or not running) and around.waits_for_consumer(claim)
        return finding("claim_awaits_consumer" if waits else "claim_unbound", message, volume=name)
    return None


def _not_shared(
    around: Surroundings,
    volume: Volume,
    modes: tuple[str, ...],
    claim: Optional[Claim],
    status: Optional[VolumeStatus],
) -> Finding:
    volume_mode = claim.volume_mode if claim else status.volume_mode if status else ""
    of_class = f", storage class {claim.storage_class}" if claim and claim.storage_class else ""
    message = (
        f"Claim {volume.claim} of volume {volume.name} is {'/'.join(modes)} ({volume_mode or 'Filesystem'}{of_class}); "
        f"moving live needs {READ_WRITE_MANY}."
    )
    offered = around.shared_classes
    if claim and claim.storage_class in offered:
        hint = f"Its storage class offers {READ_WRITE_MANY} as well: migrate it to a new volume of that class."
    elif offered:
        hint = f"Migrate it to a volume of a storage class with {READ_WRITE_MANY}: {', '.join(offered)}."
    else:
        hint = f"Move the VM cold, or provide a storage class with {READ_WRITE_MANY}."
    return finding("claim_not_shared", message, volume=volume.name, hint=hint)


def _reach_findings(
    around: Surroundings, volume: Volume, allowed: frozenset[str], instance: Optional[Instance]
) -> Iterator[Finding]:
    names = ", ".join(sorted(allowed)) or "none of the nodes that run VMs"
    message = f"The persistent volume of claim {volume.claim} (volume {volume.name}) can be used on {names}."
    elsewhere = allowed - {instance.node} if instance is not None else allowed
    if not elsewhere or (instance is None and len(allowed) == 1):
        yield finding("volume_on_one_node", message, volume=volume.name)
    elif len(allowed) < len(around.vm_nodes):
        where = f"on {len(allowed)} of {len(around.vm_nodes)} nodes"
        message = f"The persistent volume of claim {volume.claim} (volume {volume.name}) can be used {where}."
        yield finding("volume_limits_nodes", message, volume=volume.name)


def _backing_findings(around: Surroundings, vm: VirtualMachine, volume: Volume) -> Iterator[Finding]:
    claim = around.claim(vm.namespace, volume.claim)
    absent = _absence(around, vm, volume, claim, False)
    if absent is not None:
        yield absent
    if claim is not None and READ_WRITE_MANY not in claim.access_modes and "ReadOnlyMany" not in claim.access_modes:
        message = f"Claim {claim.name} behind volume {volume.name} is {'/'.join(claim.access_modes)}."
        yield finding("ephemeral_backing_not_shared", message, volume=volume.name)


def _start_findings(around: Surroundings, vm: VirtualMachine, volume: Volume) -> Iterator[Finding]:
    """Yield what keeps the VM from starting elsewhere with a volume that its instance does not use yet."""
    for item in _judge(around, vm, volume, None, None):
        if COLD in item.rules_out:
            yield _without(item, LIVE, STORAGE_LIVE)


def _state_findings(around: Surroundings, vm: VirtualMachine, instance: Instance) -> Iterator[Finding]:
    """Yield what becomes of the claim that keeps TPM and EFI state.

    Source: KubeVirt pkg/storage/backend-storage/backend-storage.go, CreatePVCForMigrationTarget.
    """
    for status in instance.volume_status:
        if not status.name.startswith(_STATE_VOLUME) or not status.claim:
            continue
        claim = around.claim(vm.namespace, status.claim)
        modes = status.access_modes or (claim.access_modes if claim else ())
        how = "is shared" if READ_WRITE_MANY in modes else "is handed over through a second claim when it migrates"
        message = f"Claim {status.claim} with the TPM or EFI state {how}."
        yield finding("state_follows", message, volume=status.name)
        allowed = around.reach(claim) if claim else None
        if allowed is not None and not allowed - {instance.node}:
            message = f"The persistent volume of claim {status.claim} can be used on {instance.node} only."
            yield finding("state_on_one_node", message, volume=status.name)


def _copied(volume: Volume) -> bool:
    return volume.kind in LOCAL_KINDS and volume.device != _FILESYSTEM and not _read_only_cdrom(volume)


def _read_only_cdrom(volume: Volume) -> bool:
    return volume.device == "cdrom" and volume.read_only


def _without(item: Finding, *ways: str) -> Finding:
    """Return the finding without these ways among those it rules out."""
    return finding(
        item.code,
        item.message,
        volume=item.volume,
        hint=item.hint,
        rules_out=[way for way in item.rules_out if way not in ways],
    )


_KIND_WORDS: Mapping[str, str] = {
    "persistentVolumeClaim": "claim {claim}",
    "dataVolume": "data volume {claim}",
    "memoryDump": "memory dump claim {claim}",
    "ephemeral": "an ephemeral copy of claim {claim}",
}


def _words(volume: Volume, *, upper: bool = False) -> str:
    words = _KIND_WORDS.get(volume.kind, "{kind}").format(claim=volume.claim, kind=volume.kind)
    return f"Volume {volume.name} ({words})" if upper else f"volume {volume.name} ({words})"
