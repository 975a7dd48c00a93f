# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kubelet's settings that are asked for: a named profile, own values, and what may not be set."""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional

from ..errors import InvalidInput

MAX_PODS = "maxPods"
# Large-scale reference architecture, KubeletConfig: its two objects as one, since two for one pool do not merge
# (machine-config-operator pkg/controller/kubelet-config). nodeStatusMaxImages -1 spreads VMs evenly over nodes.
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "reference": {MAX_PODS: 500, "kubeAPIBurst": 200, "kubeAPIQPS": 100, "nodeStatusMaxImages": -1},
}
# option -> (field of KubeletConfiguration, lowest value)
OPTIONS: Mapping[str, tuple[str, int]] = {
    "max_pods": (MAX_PODS, 1),
    "kube_api_burst": ("kubeAPIBurst", 0),
    "kube_api_qps": ("kubeAPIQPS", 0),
    "node_status_max_images": ("nodeStatusMaxImages", -1),
}
# OpenShift's own value (machine-config-operator templates/worker/01-worker-kubelet); the reference architecture says
# that more is not tested for long
DEFAULT_MAX_PODS = 250
# machine-config-operator pkg/controller/kubelet-config/helpers.go
_REFUSED = ("cgroupDriver", "clusterDNS", "clusterDomain", "featureGates", "failSwapOn", "staticPodPath")
_FIELD = re.compile(r"^[a-z][A-Za-z0-9]*$")
_INT32 = 2**31 - 1


def kubelet_values(
    profile: Optional[str], options: Mapping[str, Any], others: Optional[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the fields of KubeletConfiguration: the profile's, overridden by C(others) and those by C(options).

    Raises InvalidInput for a value that cannot be, for fields that OpenShift does not let anybody set, and when there
    is nothing to set.
    """
    values: dict[str, Any] = dict(PROFILES[profile]) if profile else {}
    for field, value in (others or {}).items():
        _check_field(str(field), value)
        values[str(field)] = value
    for option, (field, _lowest) in OPTIONS.items():
        if options.get(option) is not None:
            values[field] = options[option]
    for option, (field, lowest) in OPTIONS.items():
        if field in values:
            _check_number(
                option if options.get(option) is not None else f"kubelet_config.{field}", values[field], lowest
            )
    if not values:
        allowed = f"a profile ({', '.join(PROFILES)}), one of {', '.join(OPTIONS)}, or kubelet_config is needed"
        raise InvalidInput("profile", profile, allowed)
    return values


def _check_number(option: str, value: Any, lowest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= _INT32:
        raise InvalidInput(option, value, f"a whole number from {lowest} up is needed")


def _check_field(field: str, value: Any) -> None:
    option = f"kubelet_config.{field}"
    if not _FIELD.match(field):
        raise InvalidInput(option, value, "fields are written as the kubelet's own configuration does, such as maxPods")
    if field in _REFUSED:
        raise InvalidInput(option, value, "OpenShift does not allow this field in a KubeletConfig")
    if field == "memorySwap" and isinstance(value, Mapping) and value.get("swapBehavior"):
        raise InvalidInput(f"{option}.swapBehavior", value, "OpenShift does not allow this field in a KubeletConfig")


def addresses_of(host_prefix: int) -> int:
    """Return how many addresses a node has for pods: an IPv4 /23 has 512, less the network's and the broadcast's."""
    return int(2 ** (32 - host_prefix) - 2)
