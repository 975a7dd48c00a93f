# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named policies: what the performance-tuning guide and the production guide say about each class of workload.

Where the guide gives a range of time-outs the upper end is taken: one that is too short cancels a migration that would
have ended, one that is too long only tells later. The numbers are absolute; they were written when the cluster's own
default was 800 s/GiB, which newer releases lowered to 150 and to 20.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from .. import hyperconverged as hco

_TABLE = "performance-tuning guide, Timeout Configuration, Tuning by Workload Type"
_LARGE_OR_BUSY = "performance-tuning guide, Timeout Configuration, Completion Timeout Per GiB (large or busy VMs)"
_TYPES = "production guide, Common Workload Types"
_CONVERGE = "live-migration guide, Issue 1: Migration Timeout (auto-converge for high write rates)"


@dataclass(frozen=True)
class NamedPolicy:
    """C(spec) are fields of a MigrationPolicy; C(sources) says where each of them is from, by field; C(timeout_range)
    are the guide's seconds per GiB where it gives a range; C(advice) is what no policy can express."""

    spec: Mapping[str, Any]
    sources: Mapping[str, str]
    timeout_range: Optional[tuple[int, int]] = None
    advice: str = ""


def _policy(
    timeout: Optional[int] = None,
    source: str = _TABLE,
    *,
    timeout_range: Optional[tuple[int, int]] = None,
    converge: bool = False,
    advice: str = "",
) -> NamedPolicy:
    spec: dict[str, Any] = {}
    sources = {}
    if timeout is not None:
        spec[hco.COMPLETION_TIMEOUT_PER_GIB] = timeout
        sources[hco.COMPLETION_TIMEOUT_PER_GIB] = source
    if converge:
        spec[hco.ALLOW_AUTO_CONVERGE] = True
        sources[hco.ALLOW_AUTO_CONVERGE] = _CONVERGE
    return NamedPolicy(spec, sources, timeout_range, advice)


# by the value of the label ocpv.scale/workload
NAMED: Mapping[str, NamedPolicy] = {
    "general": _policy(800),
    "web": _policy(800, timeout_range=(600, 800)),
    "database": _policy(
        1600, timeout_range=(1200, 1600), converge=True, advice="Choose a quiet hour for its migrations."
    ),
    "caching": _policy(2000, timeout_range=(1600, 2000), converge=True),
    "analytics": NamedPolicy(
        spec={
            hco.ALLOW_AUTO_CONVERGE: False,
            hco.ALLOW_POST_COPY: False,
            hco.ALLOW_WORKLOAD_DISRUPTION: False,
        },
        sources=dict.fromkeys(
            (hco.ALLOW_AUTO_CONVERGE, hco.ALLOW_POST_COPY, hco.ALLOW_WORKLOAD_DISRUPTION),
            f"{_TYPES} (sensitive to the pause)",
        ),
        advice="It is sensitive to the pause of a migration: use a dedicated network.",
    ),
    "media": _policy(1200, _LARGE_OR_BUSY, converge=True, advice="It writes most while it processes."),
    "ai": _policy(1200, _LARGE_OR_BUSY, advice="Its memory is large: its migrations take long."),
    "hpc": _policy(1200, _LARGE_OR_BUSY, advice="Its migrations are extremely long: consider moving it cold."),
}
# classes for which the guides name no value of a policy, and what they say instead (production guide, Common Workload
# Types)
WITHOUT_POLICY: Mapping[str, str] = {
    "streaming": "It uses the network much: let its VMs not migrate at the same time.",
    "batch": "Migrate it while no job runs.",
    "edge": "It is easy to migrate.",
    "dev-test": "Higher overcommit is acceptable.",
}
