#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hco_migration_config
short_description: Set the live-migration settings of the whole cluster
version_added: 0.1.0
author: the ocpv.scale contributors (@ocpv)
description:
  - Sets the live-migration settings in the HyperConverged, as single values, as a named profile, or both. Settings that
    are not named stay as they are.
  - Uses the API version that the cluster serves, C(v1) where there is one. Writes only what differs, has the server try
    it out first, and compares what the server stored with what was asked for.
  - Waits until the change is obeyed. The operator has to have handed it on to KubeVirt, KubeVirt has to be through with
    it, and for a change of the network virt-handler has to be rolled out on all nodes.
  - Can open a window of other settings, such as for the drain of many nodes, and put the former settings back exactly.
    They are kept in an annotation of the HyperConverged, so any later call from any machine can do that.
  - Tells when somebody changes the settings back meanwhile, such as a GitOps tool.
  - Migrations that are under way keep the settings that they were started with.
options:
  state:
    description:
      - V(present) sets what the other options say.
      - V(window) does the same, and records what was there before for each setting it touches. Doing it again keeps
        what was recorded first.
      - V(restored) puts back what a window has recorded, and removes the record. A setting that was not set is not set
        afterwards. Without a window nothing is changed.
    type: str
    choices: [present, window, restored]
    default: present
  profile:
    description:
      - A named set of settings that states every value but the network. Options with a value win over the profile.
      - V(release_defaults) are the defaults of an operator release, by default of the one that is installed. They
        differ between releases, and an update does not change all values of a cluster that was installed before.
      - "V(conservative) is for a network that is shared with applications: 3 migrations in the cluster, 1 leaving a
        node, 32Mi per second each, 800 s per GiB, 150 s without progress."
      - "V(moderate) is 10, 2, 64Mi, 800 s, 150 s."
      - "V(aggressive) needs a dedicated network: 20, 2, no limit of bandwidth, 800 s, 150 s."
      - "V(reference) is what the reference architecture with 3000 VMs ran with: 20, 4, no limit, 800 s, 150 s."
      - "V(drain_window) is for emptying nodes in a maintenance window: 20, 4, no limit, 1200 s, 300 s."
      - Each of them has auto-converge, post-copy and workload disruption switched off.
    type: str
    choices: [release_defaults, conservative, moderate, aggressive, reference, drain_window]
  release:
    description:
      - The release of the HyperConverged operator whose defaults O(profile=release_defaults) stands for, such as
        V(1.16). OpenShift Virtualization 4.Y is thought to carry 1.(Y-4).
      - The installed release when this is not set.
    type: str
  parallel_migrations_per_cluster:
    description: The most migrations at once in the cluster. With 0 none ever starts.
    type: int
  parallel_outbound_migrations_per_node:
    description: The most migrations at once that leave one node. With 0 none ever starts.
    type: int
  bandwidth_per_migration:
    description:
      - The most bytes per second of one migration, as a quantity such as V(64Mi). It is applied in whole MiB.
      - Name it in O(unset) to have no limit.
    type: str
  completion_timeout_seconds_per_gib:
    description:
      - How many seconds a migration may take for each GiB (the API's name; each 1000000000 bytes are counted) of the
        VM's memory and of the disks that are copied with it. With 0 there is no limit.
    type: int
  progress_timeout_seconds:
    description: After how many seconds without progress a migration is ended. With 0 there is no limit.
    type: int
  network:
    description:
      - Name of the NetworkAttachmentDefinition of the dedicated migration network, without a namespace. It has to exist
        in the namespace of the HyperConverged.
      - A change restarts virt-handler on all nodes.
      - Name it in O(unset) to have migrations on the pod network.
    type: str
  allow_auto_converge:
    description: Whether vCPUs of VMs that do not converge are slowed down.
    type: bool
  allow_post_copy:
    description:
      - Whether a VM that does not converge may run on the target before all of its memory is there. If the network or
        the source node fails meanwhile, the VM crashes.
      - Does nothing without O(allow_workload_disruption=true) from release 1.19 of the operator on.
    type: bool
  allow_workload_disruption:
    description:
      - Whether a VM whose migration takes too long is paused, or switched to post-copy where that is allowed, instead
        of giving up. Since release 1.19 of the operator.
    type: bool
  unset:
    description:
      - Settings that are given back to the operator, which puts its default there or none, by the names of options.
      - V(all) are all settings that have no value in this call.
    type: list
    elements: str
    choices:
      - all
      - parallel_migrations_per_cluster
      - parallel_outbound_migrations_per_node
      - bandwidth_per_migration
      - completion_timeout_seconds_per_gib
      - progress_timeout_seconds
      - network
      - allow_auto_converge
      - allow_post_copy
      - allow_workload_disruption
  namespace:
    description: Namespace of the HyperConverged. It is looked for when this is not set.
    type: str
  wait:
    description:
      - Whether to wait until the settings are obeyed.
      - Where nothing had to be changed, only the values of KubeVirt (and for O(network) the rollout of virt-handler)
        are waited for.
    type: bool
    default: true
  wait_timeout_seconds:
    description:
      - How long to wait before failing. The change stays and goes on; C(details) of the failure has C(before), C(after)
        and C(changed_fields).
    type: int
    default: 1200
extends_documentation_fragment:
  - ocpv.scale.auth
  - ocpv.scale.attributes
  - ocpv.scale.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - The server tries the change out, with its admission webhooks, and stores nothing.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
seealso:
  - module: ocpv.scale.hco_density_config
  - module: ocpv.scale.migration_preflight
"""

EXAMPLES = r"""
- name: Ten migrations at once, each with at most 64 MiB/s
  ocpv.scale.hco_migration_config:
    parallel_migrations_per_cluster: 10
    bandwidth_per_migration: 64Mi

- name: The settings of the reference architecture, over a network of their own
  ocpv.scale.hco_migration_config:
    profile: reference
    network: migration-network

- name: Give everything back to the operator
  ocpv.scale.hco_migration_config:
    unset: [all]

- name: Open a window for draining nodes
  ocpv.scale.hco_migration_config:
    state: window
    profile: drain_window

- name: Put back what was there before the window
  ocpv.scale.hco_migration_config:
    state: restored

- name: Read the settings
  ocpv.scale.hco_migration_config:
    wait: false
  register: settings
"""

RETURN = r"""
api_version:
  description: The API version of the HyperConverged that was used.
  returned: success
  type: str
  sample: hco.kubevirt.io/v1
namespace:
  description: Namespace of the HyperConverged.
  returned: success
  type: str
  sample: openshift-cnv
before:
  description: All settings before, by the names of options. Null is a setting that is not set.
  returned: success
  type: dict
  sample:
    parallel_migrations_per_cluster: 5
    parallel_outbound_migrations_per_node: 1
    bandwidth_per_migration: null
    completion_timeout_seconds_per_gib: 20
    progress_timeout_seconds: 150
    network: null
    allow_auto_converge: false
    allow_post_copy: false
    allow_workload_disruption: false
after:
  description: All settings afterwards; in check mode as they would be.
  returned: success
  type: dict
  sample:
    parallel_migrations_per_cluster: 10
    parallel_outbound_migrations_per_node: 1
    bandwidth_per_migration: null
    completion_timeout_seconds_per_gib: 20
    progress_timeout_seconds: 150
    network: null
    allow_auto_converge: false
    allow_post_copy: false
    allow_workload_disruption: false
lines:
  description: The settings, what has changed, and what to know, as lines for people.
  returned: success
  type: list
  elements: str
  sample:
    - "HyperConverged openshift-cnv/kubevirt-hyperconverged (hco.kubevirt.io/v1):"
    - "  parallel_migrations_per_cluster        10   (was 5)"
changed_fields:
  description: The settings that have changed, or would.
  returned: success
  type: list
  elements: str
  sample: [parallel_migrations_per_cluster]
cautions:
  description: What to know about the settings. Each is given as a warning of the task as well.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: >-
        What it is about, for programs, such as V(shared_network), V(beyond_tested), V(nothing_starts),
        V(no_time_limit), V(bandwidth_below_timeout), V(bandwidth_rounded), V(post_copy_without_disruption),
        V(post_copy), V(workload_disruption), V(auto_converge), V(virt_handler_restarts), V(unknown_to_release),
        V(overridden), V(kept_by_others), V(not_well_before), V(window_open) or V(changed_within_window).
      type: str
      sample: shared_network
    message:
      description: The caution, for people.
      type: str
      sample: >-
        parallel_migrations_per_cluster is 20, and migrations have no network of their own: as many in the cluster share
        the links with applications and the cluster itself. Set a network, or go back to 10 or less.
window:
  description: The window that is open afterwards.
  returned: success
  type: dict
  contains:
    open:
      description: Whether one is open.
      type: bool
      sample: true
    opened_at:
      description: When it was opened, by the API server's clock; empty without one.
      type: str
      sample: "2026-03-01T22:00:00Z"
    former:
      description: The settings that O(state=restored) puts back, by the names of options.
      type: dict
      sample: {parallel_migrations_per_cluster: 5, bandwidth_per_migration: null}
waited_for:
  description: What was waited for.
  returned: success
  type: dict
  contains:
    in_force:
      description: Whether the settings are known to be obeyed; false when that was not waited for.
      type: bool
      sample: true
    waited_seconds:
      description: How long that took.
      type: int
      sample: 3
    virt_handler:
      description: For a change of the network, how many nodes virt-handler is to be on, updated on and available on.
      type: dict
      sample: {networks: migration-network@migration0, desired: 12, updated: 12, available: 12}
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.apply.migration import configure_migration
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.fields import ARGUMENTS
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.profiles import PROFILES
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.wish import PRESENT, STATES, UNSET_CHOICES


def main():
    run_module(
        {
            "state": {"type": "str", "choices": list(STATES), "default": PRESENT},
            "profile": {"type": "str", "choices": list(PROFILES)},
            "release": {"type": "str"},
            **ARGUMENTS,
            "unset": {"type": "list", "elements": "str", "choices": UNSET_CHOICES},
            "namespace": {"type": "str"},
            "wait": {"type": "bool", "default": True},
            "wait_timeout_seconds": {"type": "int", "default": 1200},
        },
        configure_migration,
    )


if __name__ == "__main__":
    main()
