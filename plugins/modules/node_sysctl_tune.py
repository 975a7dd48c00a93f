#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_sysctl_tune
short_description: Tune the kernel parameters of a host, in files and at run time
version_added: 0.1.0
description:
  - Sets all kernel parameters of a host in one call, at run time and in drop-ins of C(sysctl.d), reads them back, and
    can put back what was there before, byte for byte.
  - Everything is checked before anything is changed. A parameter that the kernel does not have, that cannot be written
    or that does not take the value is an error that names it.
  - Comments and lines of others in the drop-ins stay. Other files that win over a value are told, for the boot
    (C(systemd-sysctl)) and for C(sysctl --system), which read C(/etc/sysctl.conf) at different times.
  - A call says everything that is wanted. What an earlier call with the same O(state_file) set, and this one does not
    ask for, is put back.
  - If the kernel refuses a value nevertheless, or a file cannot be written, all that this call changed is taken back.
  - It is for hosts of an external Ceph cluster and for guests. Nodes of OpenShift are tuned by their operators.
  - Needs nothing on the host but Python 3.9 or later; C(ping) to measure a round-trip time.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  state:
    description:
      - V(present) tunes the host. V(absent) puts everything back that was changed since the host was first tuned; the
        options that say what to set do not matter then.
    type: str
    choices: [present, absent]
    default: present
  profiles:
    description:
      - Groups of parameters with their values, from the large-scale reference architecture.
      - V(arp_flux) answers ARP requests only on the interface that has the address (C(99.8-arp.conf)). Hosts with
        several interfaces in a subnet need source-based routing for it.
      - V(arp_cache) makes room for the addresses of a large cluster (C(99.7-arpcachesize.conf)).
      - V(window_scaling) makes sure that TCP windows can be large.
      - V(socket_buffers) sets the sizes that O(socket_buffers) gives.
      - V(softirq_budget) and V(backlog_queue) raise what O(softnet) finds too small.
      - V(low_latency) is for database guests with little patience. Parameters of the scheduler that newer kernels do
        not have, and C(kernel.numa_balancing) where there is none, are left out with a warning.
    type: list
    elements: str
    choices: [arp_flux, arp_cache, window_scaling, socket_buffers, softirq_budget, backlog_queue, low_latency]
    default: []
  keys:
    description:
      - Further parameters, by name, each with a number, a text, or a list for those with several fields.
      - Wins over the value of a profile.
      - Names are written as for C(sysctl), an interface with a dot in its name as
        V(net.ipv4.conf.eth0/10.arp_filter).
    type: dict
    default: {}
  file:
    description:
      - Name of the drop-in for O(keys) and for profiles that have no file of their own.
    type: str
    default: 99.9-ocpv-scale.conf
  socket_buffers:
    description:
      - How the sizes of V(socket_buffers) in O(profiles) are worked out. The default is the packet method.
    type: dict
    suboptions:
      method:
        description:
          - V(latency) is the round-trip time in seconds times the speed of the link in Mb/s times 1024^2, for networks
            with high latency. V(packet) is room for ten packets of O(socket_buffers.packet_bytes).
          - The default send buffer has room for four of ten packets.
        type: str
        choices: [latency, packet]
        default: packet
      packet_bytes:
        description:
          - Mean size of a packet for the packet method.
        type: int
        default: 524288
      round_trip_ms:
        description:
          - Round-trip time to the OpenShift cluster. It is measured if this is not given.
        type: float
      ping_address:
        description:
          - Address in the OpenShift cluster to measure the round-trip time to.
        type: str
      ping_count:
        description:
          - How many packets to send, five in a second.
        type: int
        default: 60
      interface:
        description:
          - Interface to send them over, and to read the speed from.
          - A bond has the sum of the speeds of its ports that are up; in C(active-backup) that of the active port, in
            C(broadcast) that of the slowest.
        type: str
      link_mbps:
        description:
          - Speed of the link. It is read from O(socket_buffers.interface) if this is not given.
        type: int
      tolerance_percent:
        description:
          - The sizes of an earlier call are kept while those of a new measurement differ by no more than this.
        type: float
        default: 25
  softnet:
    description:
      - How the values of V(softirq_budget) and V(backlog_queue) in O(profiles) are found.
    type: dict
    suboptions:
      method:
        description:
          - V(measured) reads C(/proc/net/softnet_stat) twice. Packets that were dropped raise the backlog, polls that
            were cut short raise the budget, by one step. Otherwise the values stay.
          - V(fixed) sets the limits at once.
        type: str
        choices: [measured, fixed]
        default: measured
      interval_seconds:
        description:
          - Time between the two readings.
        type: float
        default: 10
      budget_step:
        description:
          - By how much C(net.core.netdev_budget) is raised.
        type: int
        default: 100
      budget_limit:
        description:
          - Up to where it is raised.
        type: int
        default: 1000
      backlog_step:
        description:
          - By how much C(net.core.netdev_max_backlog) is raised.
        type: int
        default: 500
      backlog_limit:
        description:
          - Up to where it is raised.
        type: int
        default: 5000
  sysctl_directory:
    description:
      - Directory of the drop-ins.
    type: str
    default: /etc/sysctl.d
  root_directory:
    description:
      - Where the file system of the host is. Drop-ins and the files that may win over them are looked for below it.
    type: path
    default: /
  proc_directory:
    description:
      - Where the kernel shows its parameters.
    type: path
    default: /proc/sys
  state_file:
    description:
      - File in which the module keeps what was there before. It is written before anything is changed.
    type: path
    default: /var/lib/ocpv-scale/sysctl.json
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With V(measured) in O(softnet.method) values rise with each call for as long as packets are dropped or polls
        are cut short, up to the limits.
  platform:
    support: full
extends_documentation_fragment:
  - ocpv.scale.attributes
seealso:
  - module: ocpv.scale.host_network_tune
  - module: ansible.posix.sysctl
"""

EXAMPLES = r"""
- name: Tune the network of a Ceph host, with buffers for the measured round-trip time
  ocpv.scale.node_sysctl_tune:
    profiles: [arp_flux, arp_cache, window_scaling, socket_buffers, softirq_budget, backlog_queue]
    socket_buffers:
      method: latency
      ping_address: 192.168.216.90
      interface: bond0

- name: Use the values of the reference architecture as they are, and one of our own
  ocpv.scale.node_sysctl_tune:
    profiles: [arp_flux, arp_cache, window_scaling, socket_buffers, softirq_budget, backlog_queue]
    socket_buffers:
      method: latency
      round_trip_ms: 0.208
      link_mbps: 50000
    softnet:
      method: fixed
    keys:
      net.ipv4.tcp_rmem: [4096, 131072, 10905190]

- name: See what somebody has changed since, without changing anything
  ocpv.scale.node_sysctl_tune:
    profiles: [arp_flux, arp_cache]
  check_mode: true
  register: tuned
  failed_when: tuned.drift | length > 0

- name: Put everything back
  ocpv.scale.node_sysctl_tune:
    state: absent
"""

RETURN = r"""
kernel_keys:
  description: The parameters that are set, or were put back.
  returned: success
  type: list
  elements: dict
  contains:
    key:
      description: Name of the parameter.
      type: str
      sample: net.core.rmem_max
    value:
      description: Its value after the call, or as it would be.
      type: str
      sample: "10905190"
    before:
      description: Its value before the call.
      type: str
      sample: "212992"
    original:
      description: Its value before the host was first tuned.
      type: str
      sample: "212992"
    file:
      description: The drop-in that keeps it; empty if it was put back.
      type: str
      sample: /etc/sysctl.d/99.9-ocpv-scale.conf
    origin:
      description: The profile that asked for it, V(keys), or V(restored).
      type: str
      sample: socket_buffers
    changed:
      description: Whether the kernel had another value.
      type: bool
      sample: true
files:
  description: The files that were, or would be, written or removed.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path of the file.
      type: str
      sample: /etc/sysctl.d/99.8-arp.conf
    action:
      description: V(created), V(changed) or V(removed).
      type: str
      sample: created
drift:
  description: Where the host was, before this call, no longer as the last call had left it.
  returned: success
  type: list
  elements: dict
  contains:
    key:
      description: Name of the parameter.
      type: str
      sample: vm.swappiness
    where:
      description: V(runtime), or the path of the file.
      type: str
      sample: runtime
    expected:
      description: What the last call had set.
      type: str
      sample: "10"
    found:
      description: What there was instead; empty if nothing.
      type: str
      sample: "33"
overridden:
  description: Parameters for which another file wins once a program has read all files.
  returned: success
  type: list
  elements: dict
  contains:
    key:
      description: Name of the parameter.
      type: str
      sample: net.ipv4.tcp_window_scaling
    wanted:
      description: Its value by this module.
      type: str
      sample: "1"
    value:
      description: Its value by the other file.
      type: str
      sample: "0"
    path:
      description: The other file.
      type: str
      sample: /etc/sysctl.conf
    line:
      description: Number of the line, from 1.
      type: int
      sample: 12
    reader:
      description: The program, C(systemd-sysctl) as at boot or C(sysctl --system).
      type: str
      sample: sysctl --system
skipped:
  description: Parameters of profiles that are left out because this kernel does not have them.
  returned: success
  type: list
  elements: str
  sample: [kernel.sched_min_granularity_ns]
socket_buffers:
  description: How the sizes of socket buffers came about; empty if not asked for.
  returned: success
  type: dict
  contains:
    method:
      description: V(latency) or V(packet).
      type: str
      sample: latency
    round_trip_ms:
      description: The round-trip time, given or measured.
      type: float
      sample: 0.208
    link_mbps:
      description: The speed of the link, given or read.
      type: int
      sample: 50000
    largest_bytes:
      description: Size of the largest receive and send buffers.
      type: int
      sample: 10905190
    default_bytes:
      description: Size of the default send buffer.
      type: int
      sample: 4362076
    kept:
      description: Whether these are sizes of an earlier call, from which the new measurement differs little.
      type: bool
      sample: false
softnet:
  description: What was counted, and what it advises; empty if not asked for.
  returned: success
  type: dict
  contains:
    method:
      description: V(measured) or V(fixed).
      type: str
      sample: measured
    dropped:
      description: Packets dropped between the readings because a backlog queue was full.
      type: int
      sample: 0
    squeezed:
      description: Polls cut short between the readings.
      type: int
      sample: 17
    advice:
      description: For each of the two parameters that was asked for its C(key), C(current) and C(wanted) value and
        the C(reason).
      type: list
      elements: dict
"""

from ansible_collections.ocpv.scale.plugins.module_utils.host.run.module import run_host_module
from ansible_collections.ocpv.scale.plugins.module_utils.host.run.sysctl import tune
from ansible_collections.ocpv.scale.plugins.module_utils.host.sysctl_profiles import DEFAULT_FILE, PROFILES

SOCKET_BUFFERS = {
    "method": {"type": "str", "choices": ["latency", "packet"], "default": "packet"},
    "packet_bytes": {"type": "int", "default": 524288},
    "round_trip_ms": {"type": "float"},
    "ping_address": {"type": "str"},
    "ping_count": {"type": "int", "default": 60},
    "interface": {"type": "str"},
    "link_mbps": {"type": "int"},
    "tolerance_percent": {"type": "float", "default": 25},
}
SOFTNET = {
    "method": {"type": "str", "choices": ["measured", "fixed"], "default": "measured"},
    "interval_seconds": {"type": "float", "default": 10},
    "budget_step": {"type": "int", "default": 100},
    "budget_limit": {"type": "int", "default": 1000},
    "backlog_step": {"type": "int", "default": 500},
    "backlog_limit": {"type": "int", "default": 5000},
}
SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "profiles": {"type": "list", "elements": "str", "choices": list(PROFILES), "default": []},
    "keys": {"type": "dict", "default": {}, "no_log": False},
    "file": {"type": "str", "default": DEFAULT_FILE},
    "socket_buffers": {"type": "dict", "options": SOCKET_BUFFERS, "apply_defaults": True},
    "softnet": {"type": "dict", "options": SOFTNET, "apply_defaults": True},
    "sysctl_directory": {"type": "str", "default": "/etc/sysctl.d"},
    "root_directory": {"type": "path", "default": "/"},
    "proc_directory": {"type": "path", "default": "/proc/sys"},
    "state_file": {"type": "path", "default": "/var/lib/ocpv-scale/sysctl.json"},
}


def main() -> None:
    run_host_module(SPEC, tune)


if __name__ == "__main__":
    main()
