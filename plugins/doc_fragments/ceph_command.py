# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  ceph_command:
    description:
      - The command that calls C(ceph) where the module runs, as a list.
      - Where Ceph runs in containers, V([cephadm, shell, --, ceph]) works on a host with the admin keyring; options for
        C(cephadm), such as C(--fsid), go before C(shell) or after it.
    type: list
    elements: str
    default: [ceph]
  conf:
    description:
      - Path of the cluster's configuration file; C(/etc/ceph/ceph.conf) if left out.
      - With C(cephadm shell) it is a path on the host, which is mounted into the container.
    type: path
  keyring:
    description:
      - Path of the keyring with the user's key. The key itself is neither read nor shown by the module.
    type: path
  client_name:
    description:
      - Name of the user, such as V(client.admin), which is the default.
      - It needs the capabilities C(mon 'allow rw, allow service config-key rw') and C(mgr 'allow rw'); to read only,
        C(allow r) of both is enough.
    type: str
  connect_timeout_seconds:
    description:
      - How long to look for a monitor that answers.
    type: int
    default: 20
  command_timeout_seconds:
    description:
      - How long one command may take.
    type: int
    default: 120
requirements:
  - the C(ceph) command of Ceph 14 or later, or C(cephadm), on the host the module runs on
attributes:
  action_group:
    description: Use C(group/ocpv.scale.ceph) in C(module_defaults) to set how C(ceph) is called for this module.
    support: full
    membership:
      - ocpv.scale.ceph
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything in the cluster.
    support: full
  diff_mode:
    description: Returns what has changed, or would change, when in diff mode.
    support: full
  idempotent:
    description: Running it again with the same options and nothing changed meanwhile changes nothing.
    support: full
  platform:
    description: Where it runs.
    platforms: posix
    support: full
"""
