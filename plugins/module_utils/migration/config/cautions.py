# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people should know about the settings they ask for: one code and one sentence or two each. Pure.

Thresholds are those of "Concurrency Limits Tuning" in the performance tuning guide and of "VMs migration" in the
reference architecture; what fields do is in KubeVirt pkg/virt-config/virt-config.go and
pkg/virt-launcher/virtwrap/live-migration-source.go.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from ...quantity import parse_bytes
from .. import hyperconverged as hco
from .fields import BY_NAME, applied_bandwidth
from .profiles import ADDED_IN
from .window import Window
from .wish import PRESENT, RESTORED, Wish

# more than this in the whole cluster needs a network of its own
SHARED_NETWORK_PARALLEL = 10
# more than this leaving one node does
SHARED_NETWORK_OUTBOUND = 1
# the most that the reference architecture ran with
TESTED_PARALLEL = 20
TESTED_OUTBOUND = 4
VIRT_HANDLER_RESTARTS = "virt_handler_restarts"
_GB = 10**9
_MIB = 1024**2


@dataclass(frozen=True)
class Caution:
    """Something to know before or after a change: a code for programs, text for people."""

    code: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """Return it as a module tells it."""
        return {"code": self.code, "message": self.message}


def cautions(after: Mapping[str, Any], wish: Wish, before: Mapping[str, Any]) -> list[Caution]:
    """Return what there is to say about the settings C(after) a change that C(wish) asked for, C(before) being those
    from which it started; all by API field. Only what the call itself asks for is commented on."""
    asked = set(wish.settings)
    found = _of_limits(after, asked)
    found += _of_times(after, asked)
    found += _of_convergence(after, asked)
    if hco.NETWORK in asked and before.get(hco.NETWORK) != after.get(hco.NETWORK):
        found.append(
            Caution(
                VIRT_HANDLER_RESTARTS,
                "The network changes, so virt-handler is restarted on all nodes, one after the other and then a tenth "
                "at a time; a node takes no new VMs while its own restarts.",
            )
        )
    return found


def left_out(fields: frozenset[str], version: str) -> list[Caution]:
    """Return the caution about fields (API names) that a profile states and the installed release does not know."""
    return [
        Caution(
            "unknown_to_release",
            f"{BY_NAME[name].option} is left out, since the installed release ({version}) does not know it; it came "
            "with {}.{} of the HyperConverged operator.".format(*ADDED_IN.get(name, (0, 0))),
        )
        for name in sorted(fields)
    ]


def overridden(annotations: Mapping[str, str], asked: Sequence[str]) -> frozenset[str]:
    """Return the settings asked for (API names) that the JSON patch in a HyperConverged's annotations sets otherwise.

    The operator applies that patch to the KubeVirt after all settings (controllers/operands/operand.go).
    """
    try:
        paths = [str(operation["path"]) for operation in json.loads(annotations.get(hco.JSON_PATCH) or "[]")]
    except (ValueError, KeyError, TypeError):
        return frozenset()
    parent = "/" + "/".join(hco.KUBEVIRT_MIGRATIONS)
    whole = any(parent == path or parent.startswith(path + "/") for path in paths)
    return frozenset(name for name in asked if whole or f"{parent}/{name}" in paths)


def kept_by(owners: Sequence[str]) -> list[Caution]:
    """Return the caution about a tool that keeps the object, by the signs of it."""
    if not owners:
        return []
    text = (
        f"The HyperConverged is kept by {', '.join(owners)}, which may change the settings back. Change them there, or "
        "let it ignore them."
    )
    return [Caution("kept_by_others", text)]


def not_well(told: str) -> Caution:
    """Return the caution about an operator that was not well before the change, with what its conditions say."""
    text = (
        f"The HyperConverged was not well before{told}. It is only waited for KubeVirt to be through with the change."
    )
    return Caution("not_well_before", text)


def of_surroundings(
    ignored: frozenset[str], owners: Sequence[str], window: Optional[Window], config: Mapping[str, Any], state: str
) -> list[Caution]:
    """Return the cautions about what else decides on the settings.

    C(ignored): fields that a JSON patch overrides, C(owners): signs of a tool that keeps the object, C(window) the one
    that was open before, C(config) the settings before, C(state) what the call is about.
    """
    found = []
    for name in sorted(ignored):
        found.append(
            Caution(
                "overridden",
                f"{BY_NAME[name].option} has no effect: the annotation {hco.JSON_PATCH} overrides it.",
            )
        )
    found += kept_by(owners)
    if window is not None and state == PRESENT:
        found.append(
            Caution(
                "window_open",
                f"A window is open since {window.opened_at}: state={RESTORED} will put back "
                f"{', '.join(sorted(window.to_dict()['former']))}, whatever is set now.",
            )
        )
    changed = window.changed_within(config) if window is not None and state == RESTORED else []
    if changed:
        found.append(
            Caution(
                "changed_within_window",
                f"Somebody changed {', '.join(changed)} while the window was open; what was there before the window is "
                "put back nevertheless.",
            )
        )
    return found


def _of_limits(after: Mapping[str, Any], asked: set[str]) -> list[Caution]:
    found = []
    network = after.get(hco.NETWORK)
    limits = (
        (hco.PARALLEL_PER_CLUSTER, SHARED_NETWORK_PARALLEL, TESTED_PARALLEL, "in the cluster"),
        (hco.PARALLEL_OUTBOUND_PER_NODE, SHARED_NETWORK_OUTBOUND, TESTED_OUTBOUND, "leaving one node"),
    )
    for name, shared, tested, where in limits:
        value = after.get(name)
        if value is None or not asked & {name, hco.NETWORK}:
            continue
        option = BY_NAME[name].option
        if value == 0:
            found.append(Caution("nothing_starts", f"With {option}=0 no migration ever starts, drains included."))
        elif value > shared and not network:
            found.append(
                Caution(
                    "shared_network",
                    f"{option} is {value}, and migrations have no network of their own: as many {where} share the "
                    f"links with applications and the cluster itself. Set a network, or go back to {shared} or less.",
                )
            )
        if value > tested:
            found.append(
                Caution(
                    "beyond_tested", f"{option} is {value}; more than {tested} {where} has not been tried at scale."
                )
            )
    return found


def _of_times(after: Mapping[str, Any], asked: set[str]) -> list[Caution]:
    found = []
    for name, what in (
        (hco.COMPLETION_TIMEOUT_PER_GIB, "a migration that never converges goes on until somebody cancels it"),
        (hco.PROGRESS_TIMEOUT, "a migration that is stuck is not ended for that"),
    ):
        if name in asked and after.get(name) == 0:
            found.append(Caution("no_time_limit", f"{BY_NAME[name].option} is 0, which is no limit: {what}."))
    bandwidth = after.get(hco.BANDWIDTH)
    if not bandwidth or not asked & {hco.BANDWIDTH, hco.COMPLETION_TIMEOUT_PER_GIB}:
        return found
    applied = applied_bandwidth(bandwidth)
    seconds = after.get(hco.COMPLETION_TIMEOUT_PER_GIB) or 0
    if seconds and applied and _GB / applied >= seconds:
        found.append(
            Caution(
                "bandwidth_below_timeout",
                f"At {bandwidth} per second one GB takes {_GB / applied:.0f} s, and "
                f"{BY_NAME[hco.COMPLETION_TIMEOUT_PER_GIB].option} allows {seconds} s for it: migrations of VMs that "
                "use their memory would be aborted. Raise one of the two.",
            )
        )
    if applied != parse_bytes(bandwidth) and hco.BANDWIDTH in asked:
        found.append(
            Caution(
                "bandwidth_rounded",
                f"{BY_NAME[hco.BANDWIDTH].option} {bandwidth} is applied as {applied // _MIB} MiB/s, since it has to "
                "be whole MiB/s.",
            )
        )
    return found


def _of_convergence(after: Mapping[str, Any], asked: set[str]) -> list[Caution]:
    found = []
    post_copy, disruption = after.get(hco.ALLOW_POST_COPY), after.get(hco.ALLOW_WORKLOAD_DISRUPTION)
    if hco.ALLOW_AUTO_CONVERGE in asked and after.get(hco.ALLOW_AUTO_CONVERGE):
        found.append(
            Caution(
                "auto_converge",
                "allow_auto_converge slows the vCPUs of VMs that write faster than their memory can be copied; their "
                "applications feel it. MigrationPolicies limit that to some VMs.",
            )
        )
    if not asked & {hco.ALLOW_POST_COPY, hco.ALLOW_WORKLOAD_DISRUPTION}:
        return found
    if post_copy and disruption is False:
        found.append(
            Caution(
                "post_copy_without_disruption",
                "allow_post_copy does nothing without allow_workload_disruption on this release: the operator always "
                "sends that as false.",
            )
        )
    elif post_copy:
        found.append(
            Caution(
                "post_copy",
                "In post-copy a VM runs on the target before all its memory is there: if the network or the source "
                "node fails meanwhile, the VM crashes.",
            )
        )
    elif disruption:
        found.append(
            Caution(
                "workload_disruption",
                "With allow_workload_disruption a VM whose migration takes longer than its completion timeout is "
                "paused until it has been copied.",
            )
        )
    return found
