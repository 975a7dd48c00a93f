#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_network_tune
short_description: Tune the interfaces of a host, and tell how its bond differs from the expected one
version_added: 0.1.0
description:
  - Sets MTU, ring buffers and offloads of interfaces, at run time and where the host keeps them over a reboot, reads
    them back, and can put back what was there before.
  - Everything is checked before anything is changed. If a driver refuses a value nevertheless, all that this call
    changed is taken back.
  - Tells facts about the interfaces, and warns where a bond is not the expected one. Bonds are never made or changed.
  - A setting that is not given stays as it is, also if an earlier call has set it.
  - Needs C(ip) on the host, and C(ethtool) for ring buffers and offloads.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  state:
    description:
      - V(present) sets what O(interfaces) asks for. V(absent) puts everything back that was changed since the first
        call; O(interfaces) does not matter then.
    type: str
    choices: [present, absent]
    default: present
  interfaces:
    description:
      - The interfaces. One with a name only is looked at and not changed.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the interface.
        type: str
        required: true
      mtu:
        description:
          - Its MTU. A bond hands it on to its ports. What an interface rests on, such as a VLAN's, needs at least the
            same.
        type: int
      rx_ring:
        description:
          - Number of receive descriptors, or V(max) for as many as the device has.
        type: str
      tx_ring:
        description:
          - Number of send descriptors, or V(max).
        type: str
      offloads:
        description:
          - Offloads to switch on or off, by the names that C(ethtool -k) prints or C(ethtool -K) takes.
          - Some switch others. All of the interface are put back by O(state=absent).
        type: dict
        default: {}
  bond:
    description:
      - The bond that is expected. A difference is a warning.
    type: dict
    suboptions:
      interface:
        description:
          - Name of the bond, or of an interface that rests on it.
        type: str
        required: true
      mode:
        description:
          - Its mode.
        type: str
        choices: [balance-rr, balance-xor, 802.3ad, balance-tlb, balance-alb, active-backup, broadcast]
        default: balance-alb
      ports:
        description:
          - How many ports it has.
        type: int
        default: 2
      port_speed_mbps:
        description:
          - The speed of each port.
        type: int
        default: 25000
  persistence:
    description:
      - Where settings are kept over a reboot.
      - V(network_manager) sets properties of the interface's active connection, V(ifcfg) writes C(MTU) and
        C(ETHTOOL_OPTS) of its ifcfg file.
      - V(auto) is the first of these that looks after the interface; if there is none, the settings last until the
        next reboot, with a warning. V(none) keeps them nowhere.
    type: str
    choices: [auto, network_manager, ifcfg, none]
    default: auto
  ifcfg_directory:
    description:
      - Where ifcfg files are.
    type: path
    default: /etc/sysconfig/network-scripts
  state_file:
    description:
      - File in which the module keeps what was there before. It is written before anything is changed.
    type: path
    default: /var/lib/ocpv-scale/network.json
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
extends_documentation_fragment:
  - ocpv.scale.attributes
seealso:
  - module: ocpv.scale.node_sysctl_tune
"""

EXAMPLES = r"""
- name: Large frames and the largest ring buffers for the ports of the storage network
  ocpv.scale.host_network_tune:
    interfaces:
      - name: bond0
        mtu: 9000
      - name: ens1f0
        rx_ring: max
        tx_ring: max
      - name: ens1f1
        rx_ring: max
        tx_ring: max
        offloads:
          lro: false
    bond:
      interface: bond0

- name: Only look
  ocpv.scale.host_network_tune:
    interfaces:
      - name: bond0
    bond:
      interface: bond0
      mode: 802.3ad
  register: network
  failed_when: network.differences | length > 0

- name: Put everything back
  ocpv.scale.host_network_tune:
    state: absent
"""

RETURN = r"""
interfaces:
  description: The interfaces as they are after the call; in check mode as they are.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the interface.
      type: str
      sample: bond0
    mtu:
      description: Its MTU.
      type: int
      sample: 9000
    speed_mbps:
      description: Its speed, if its driver tells one.
      type: int
      sample: 50000
    bond:
      description: The bond that it is, or rests on, with C(mode), C(active_port) and C(ports), each with C(name),
        C(speed_mbps) and C(up).
      type: dict
    rings:
      description: Its ring buffers, C(rx) and C(tx), with the most of each, C(rx_max) and C(tx_max); null if it has
        none.
      type: dict
    offloads:
      description: Its offloads by name, whether each is C(active) and whether it is C(fixed).
      type: dict
    persistence:
      description: Where its settings are kept over a reboot.
      type: str
      sample: network_manager
changes:
  description: What was, or would be, changed.
  returned: success
  type: list
  elements: dict
  contains:
    interface:
      description: Name of the interface.
      type: str
      sample: bond0
    setting:
      description: C(mtu), C(rx_ring), C(tx_ring), an offload, or a property of a connection.
      type: str
      sample: mtu
    before:
      description: Its value before.
      type: str
      sample: "1500"
    after:
      description: Its value after.
      type: str
      sample: "9000"
    where:
      description: V(runtime), or the connection of NetworkManager.
      type: str
      sample: runtime
files:
  description: The ifcfg files that were, or would be, changed.
  returned: success
  type: list
  elements: str
  sample: [/etc/sysconfig/network-scripts/ifcfg-bond0]
drift:
  description: Where an interface was, before this call, no longer as the last call had left it; C(interface),
    C(setting), C(expected) and C(found).
  returned: success
  type: list
  elements: dict
differences:
  description: How the bond differs from the expected one, in words.
  returned: success
  type: list
  elements: str
  sample: [bond0 has the mode active-backup; balance-alb was expected]
"""

from ansible_collections.ocpv.scale.plugins.module_utils.host.links import BOND_MODES
from ansible_collections.ocpv.scale.plugins.module_utils.host.run.module import run_host_module
from ansible_collections.ocpv.scale.plugins.module_utils.host.run.nics import tune

INTERFACE = {
    "name": {"type": "str", "required": True},
    "mtu": {"type": "int"},
    "rx_ring": {"type": "str"},
    "tx_ring": {"type": "str"},
    "offloads": {"type": "dict", "default": {}},
}
BOND = {
    "interface": {"type": "str", "required": True},
    "mode": {"type": "str", "choices": list(BOND_MODES), "default": "balance-alb"},
    "ports": {"type": "int", "default": 2},
    "port_speed_mbps": {"type": "int", "default": 25000},
}
SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "interfaces": {"type": "list", "elements": "dict", "options": INTERFACE, "default": []},
    "bond": {"type": "dict", "options": BOND},
    "persistence": {"type": "str", "choices": ["auto", "network_manager", "ifcfg", "none"], "default": "auto"},
    "ifcfg_directory": {"type": "path", "default": "/etc/sysconfig/network-scripts"},
    "state_file": {"type": "path", "default": "/var/lib/ocpv-scale/network.json"},
}


def main() -> None:
    run_host_module(SPEC, tune)


if __name__ == "__main__":
    main()
