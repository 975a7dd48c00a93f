# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live-migration settings in force, from a HyperConverged in either API version and from KubeVirt."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ..cluster.model import MigrationSettings
from ..quantity import parse_bytes
from . import hyperconverged as hco

Object = Mapping[str, Any]

_MIB = 1024**2
# KubeVirt pkg/virt-config/virt-config.go; the completion timeout was 800 up to KubeVirt 1.3
_BUILT_IN: Mapping[str, Any] = {
    hco.PARALLEL_PER_CLUSTER: 5,
    hco.PARALLEL_OUTBOUND_PER_NODE: 2,
    hco.COMPLETION_TIMEOUT_PER_GIB: 150,
    hco.PROGRESS_TIMEOUT: 150,
    hco.BANDWIDTH: "0",
    hco.NETWORK: "",
    hco.ALLOW_AUTO_CONVERGE: False,
    hco.ALLOW_POST_COPY: False,
}
_LONG_TIMEOUT_UNTIL = (1, 3)
_LONG_TIMEOUT_PER_GIB = 800


def settings_from(hyperconverged: Optional[Object], api_version: str, kubevirt: Optional[Object]) -> MigrationSettings:
    """Return the settings that KubeVirt obeys.

    C(hyperconverged) is the HyperConverged as read in C(api_version) ("hco.kubevirt.io/v1", "hco.kubevirt.io/v1beta1"),
    C(kubevirt) the KubeVirt that the operator derives from it; either may be None. Field by field KubeVirt's value
    counts, since its components read nothing else; then the HyperConverged's; then KubeVirt's built-in default of its
    version. C(source) names where to change them, and fields in which the HyperConverged was not followed (yet).
    Raises InvalidInput for a bandwidth that is no quantity.
    """
    layout = hco.layout_of(api_version)
    wished = hco.read_path(hyperconverged, layout.live_migration) if layout else {}
    applied = hco.read_path(kubevirt, hco.KUBEVIRT_MIGRATIONS)
    values = {**_built_in(kubevirt), **_stated(wished), **_stated(applied)}
    # unset means the same as allowPostCopy: KubeVirt pkg/virt-config/virt-config.go, GetMigrationConfiguration
    disruption = values.get(hco.ALLOW_WORKLOAD_DISRUPTION, values[hco.ALLOW_POST_COPY])
    return MigrationSettings(
        parallel_migrations_per_cluster=int(values[hco.PARALLEL_PER_CLUSTER]),
        parallel_outbound_migrations_per_node=int(values[hco.PARALLEL_OUTBOUND_PER_NODE]),
        completion_timeout_per_gib=int(values[hco.COMPLETION_TIMEOUT_PER_GIB]),
        progress_timeout_seconds=int(values[hco.PROGRESS_TIMEOUT]),
        bandwidth_bytes_per_second=bandwidth_in_force(values[hco.BANDWIDTH]),
        allow_auto_converge=bool(values[hco.ALLOW_AUTO_CONVERGE]),
        allow_post_copy=bool(values[hco.ALLOW_POST_COPY]),
        allow_workload_disruption=bool(disruption),
        network=str(values[hco.NETWORK]),
        source=_source(hyperconverged if layout else None, api_version, kubevirt, _differing(wished, applied)),
    )


def kubevirt_release(version: str) -> Optional[tuple[int, int]]:
    """Return (major, minor) of a version such as "v1.6.2"; None for anything else."""
    try:
        major, minor = version.lstrip("v").split(".")[:2]
        return int(major), int(minor)
    except ValueError:
        return None


def _stated(config: Object) -> Object:
    return {name: value for name, value in config.items() if value is not None}


def _built_in(kubevirt: Optional[Object]) -> dict[str, Any]:
    release = kubevirt_release(str(hco.read_path(kubevirt, ("status",)).get("observedKubeVirtVersion") or ""))
    values = dict(_BUILT_IN)
    # an unknown version is taken for a newer one
    if release is not None and release <= _LONG_TIMEOUT_UNTIL:
        values[hco.COMPLETION_TIMEOUT_PER_GIB] = _LONG_TIMEOUT_PER_GIB
    return values


def bandwidth_in_force(quantity: Any) -> int:
    """Return bytes per second as virt-launcher sets them: whole MiB/s, rounded to nearest, at least one; 0 is no limit.

    Source: KubeVirt pkg/virt-launcher/virtwrap/converter/vcpu/vcpu.go, QuantityToMebiByte.
    """
    stated = parse_bytes(quantity, hco.BANDWIDTH)
    return max(1, (stated + _MIB // 2) // _MIB) * _MIB if stated > 0 else 0


def _differing(wished: Object, applied: Object) -> list[str]:
    """Fields that both state differently; without anything applied there is nothing to compare."""
    return sorted(
        name for name, value in _stated(wished).items() if name in applied and not _same(name, applied, value)
    )


def _same(name: str, applied: Object, value: Any) -> bool:
    if name == hco.BANDWIDTH:
        return bandwidth_in_force(applied[name]) == bandwidth_in_force(value)
    return bool(applied[name] == value)


def _source(
    hyperconverged: Optional[Object], api_version: str, kubevirt: Optional[Object], differing: list[str]
) -> str:
    if hyperconverged is not None:
        stated = f"HyperConverged {_name(hyperconverged)} ({api_version})"
        if differing:
            return f"KubeVirt {_name(kubevirt)}, which does not follow {stated} in {', '.join(differing)}"
        return stated
    if hco.read_path(kubevirt, hco.KUBEVIRT_MIGRATIONS):
        return f"KubeVirt {_name(kubevirt)}"
    return "KubeVirt's built-in defaults"


def _name(item: Optional[Object]) -> str:
    metadata = hco.read_path(item, ("metadata",))
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
