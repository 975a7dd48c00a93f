# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What every module says about itself; a module adds C(support) and C(details).
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything in the cluster.
  diff_mode:
    description: Returns what has changed, or would change, when in diff mode.
  idempotent:
    description: Running it again with the same options and nothing changed meanwhile changes nothing.
  platform:
    description: Where it runs.
    platforms: posix
"""

    # For modules that only read.
    READ_ONLY = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything in the cluster.
    support: full
    details:
      - This module only reads the cluster.
  diff_mode:
    description: Returns what has changed, or would change, when in diff mode.
    support: N/A
    details:
      - This module changes nothing in the cluster.
  idempotent:
    description: Running it again with the same options and nothing changed meanwhile changes nothing.
    support: full
    details:
      - This module changes nothing in the cluster.
  platform:
    description: Where it runs.
    platforms: posix
    support: full
"""

    # For modules that talk to a cluster with kubernetes.core's connection options.
    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/ocpv.scale.k8s) in C(module_defaults) to set connection options for this module.
    support: full
    membership:
      - ocpv.scale.k8s
"""
