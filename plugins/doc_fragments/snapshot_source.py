# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Where a module gets the state of the cluster from.
    DOCUMENTATION = r"""
options:
  snapshot:
    description:
      - Path of a snapshot that M(ocpv.scale.cluster_snapshot) wrote (C(.json) or C(.json.gz)), or of a dump, which is a
        file or directory of what C(oc get -o yaml) or C(oc get -o json) printed, or a directory of must-gather.
      - Without it the live cluster is read, with list calls only.
    type: path
"""
