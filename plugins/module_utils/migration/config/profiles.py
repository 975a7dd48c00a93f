# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named sets of live-migration settings. Each states every value, since releases changed their defaults. Pure.

Only the network is in none of them: its name is a site's own. C(release_defaults) are those of
hyperconverged-cluster-operator api/v1/hyperconverged_types.go at each release branch (and assets/upgradePatches.json);
the others follow "Concurrency Limits Tuning" and "Migration Bandwidth Management" of the performance tuning guide,
"Issue 2: Network Saturation" of the live migration best practices, and "VMs migration" of the reference architecture.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional

from ...errors import InvalidInput
from .. import hyperconverged as hco

RELEASE_DEFAULTS = "release_defaults"
CONSERVATIVE = "conservative"
MODERATE = "moderate"
AGGRESSIVE = "aggressive"
REFERENCE = "reference"
DRAIN_WINDOW = "drain_window"
PROFILES = (RELEASE_DEFAULTS, CONSERVATIVE, MODERATE, AGGRESSIVE, REFERENCE, DRAIN_WINDOW)

Release = tuple[int, int]
# None is a field that is not set
Settings = Mapping[str, Any]

_OLDEST: Release = (1, 4)
_RELEASE = re.compile(r"^v?(\d+)\.(\d+)(?:[.+-].*)?$")


def _stated(
    per_cluster: int, per_node: int, bandwidth: Optional[str], completion_per_gib: int, progress: int
) -> Settings:
    return {
        hco.PARALLEL_PER_CLUSTER: per_cluster,
        hco.PARALLEL_OUTBOUND_PER_NODE: per_node,
        hco.BANDWIDTH: bandwidth,
        hco.COMPLETION_TIMEOUT_PER_GIB: completion_per_gib,
        hco.PROGRESS_TIMEOUT: progress,
        hco.ALLOW_AUTO_CONVERGE: False,
        hco.ALLOW_POST_COPY: False,
        hco.ALLOW_WORKLOAD_DISRUPTION: False,
    }


# the first release (of the HyperConverged operator) with each set of defaults, the newest first
_DEFAULTS: tuple[tuple[Release, Settings], ...] = (
    ((1, 19), _stated(5, 1, None, 20, 150)),
    ((1, 14), _stated(5, 2, None, 150, 150)),
    ((1, 5), _stated(5, 2, None, 800, 150)),
    (_OLDEST, _stated(5, 2, "64Mi", 800, 150)),
)
_NAMED: Mapping[str, Settings] = {
    CONSERVATIVE: _stated(3, 1, "32Mi", 800, 150),
    MODERATE: _stated(10, 2, "64Mi", 800, 150),
    AGGRESSIVE: _stated(20, 2, None, 800, 150),
    REFERENCE: _stated(20, 4, None, 800, 150),
    DRAIN_WINDOW: _stated(20, 4, None, 1200, 300),
}
# fields that came with a later release; before that KubeVirt does what False says
ADDED_IN: Mapping[str, Release] = {
    hco.NETWORK: (1, 6),
    hco.ALLOW_AUTO_CONVERGE: (1, 9),
    hco.ALLOW_POST_COPY: (1, 9),
    hco.ALLOW_WORKLOAD_DISRUPTION: (1, 19),
}


def release_of(version: str) -> Optional[Release]:
    """Return (major, minor) of a HyperConverged operator's version such as "1.16.3"; None if it is none."""
    match = _RELEASE.match(version.strip())
    return (int(match[1]), int(match[2])) if match else None


def profile(name: str, release: Optional[Release] = None) -> Settings:
    """Return the settings of a profile by API field, None where a field is not set.

    C(release) counts for C(release_defaults) only. Raises InvalidInput when it is not known or older than 1.4.
    """
    if name != RELEASE_DEFAULTS:
        return _NAMED[name]
    if release is None:
        raise InvalidInput(
            "release", "", "the HyperConverged does not tell its operator's version, so a release is needed"
        )
    for first, settings in _DEFAULTS:
        if release >= first:
            return settings
    raise InvalidInput("release", "{}.{}".format(*release), "defaults are known from {}.{} on".format(*_OLDEST))
