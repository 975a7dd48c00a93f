"""The network attachments that are rendered, at work: real plugins, real MTUs, real packets, our own probe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.addresses import ranges_of
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.checks import check
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.facts import Facts, NodeFacts
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.node_state import Interface, NodeNetwork
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.probe import (
    SCRIPT,
    parse_answer,
    payload_bytes,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.render import attachment_config
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.wanted import parse_wanted
from cni.lab import Lab, PluginError, addresses_of_one_node, kernel_knows, missing
from host import guest

Obj = dict[str, Any]
WHY_NOT = missing()
pytestmark = pytest.mark.skipif(bool(WHY_NOT) and not os.environ.get("CI"), reason=WHY_NOT)

VLAN: Obj = {"topology": "vlan", "interfaces": ["eth1"], "vlan_id": 3030, "range": "10.200.5.0/24"}
CARD: Obj = {"topology": "ethernet", "interfaces": ["eth1"], "range": "10.200.5.0/24"}
SIX: Obj = {"topology": "ethernet", "interfaces": ["eth1"], "range": "fd00:200:5::/64"}
BRIDGE: Obj = {**CARD, "topology": "linux-bridge", "range_start": "10.200.5.10"}


def test_the_plugins_are_there_in_ci() -> None:
    assert not WHY_NOT


def rendered(**options: Any) -> Obj:
    wanted, problems = parse_wanted(options)
    assert not problems
    config: Obj = attachment_config(wanted)
    return config


def attach(lab: Lab, config: Obj) -> dict[str, str]:
    """Give both pods an interface; return their addresses by node."""
    configs = addresses_of_one_node(config, lab.folder)
    return {node: lab.add(node, next(configs)) for node in ("one", "two")}


def probed(lab: Lab, peer: str, mtu: int) -> str:
    """What the first pod finds out about an address."""
    verdicts = parse_answer(lab.probe("pod-one", SCRIPT, [peer], payload_bytes(mtu, peer)))
    return str(verdicts[peer])


@pytest.mark.parametrize(("options", "card"), [(VLAN, "eth1.3030"), (CARD, "eth1"), (SIX, "eth1")])
def test_macvlan_has_the_mtu_and_whole_packets_arrive(options: Obj, card: str) -> None:
    # a card stands for the VLAN, which not every kernel can make
    with Lab(card) as lab:
        addresses = attach(lab, rendered(**options))
        assert [lab.kind(pod) for pod in ("pod-one", "pod-two")] == ["macvlan", "macvlan"]
        assert [lab.mtu(pod) for pod in ("pod-one", "pod-two")] == [9000, 9000]
        assert probed(lab, addresses["two"], 9000) == "ok"
        assert probed(lab, addresses["two"], 9001) == "too-long"


def test_bridge_has_the_mtu_and_whole_packets_arrive() -> None:
    with Lab() as lab:
        for node in ("one", "two"):
            lab.bridged(node, "br-lm")
        addresses = attach(lab, rendered(**BRIDGE))
        assert addresses["one"] == "10.200.5.10"
        assert lab.kind("pod-one") == "veth"
        assert [lab.mtu(pod) for pod in ("pod-one", "pod-two")] == [9000, 9000]
        assert lab.mtu("one", "br-lm") == 9000
        assert probed(lab, addresses["two"], 9000) == "ok"


def test_ipvlan_has_the_mtu(tmp_path: Path) -> None:
    if not kernel_knows("ipvlan mode l2"):
        this_test = f"{sys.executable} -m pytest {__file__} -n 0 -p no:cacheprovider -k test_ipvlan_has_the_mtu"
        output = in_another_kernel(this_test, tmp_path)
        assert "1 passed" in output, output
        return
    with Lab() as lab:
        addresses = attach(lab, rendered(**CARD, attachment="ipvlan"))
        assert [lab.kind(pod) for pod in ("pod-one", "pod-two")] == ["ipvlan", "ipvlan"]
        assert [lab.mtu(pod) for pod in ("pod-one", "pod-two")] == [9000, 9000]
        assert probed(lab, addresses["two"], 9000) == "ok"
        assert probed(lab, addresses["two"], 9001) == "too-long"


def in_another_kernel(command: str, folder: Path) -> str:
    """What a command says in a throwaway kernel that knows ipvlan."""
    if not guest.available():
        assert not os.environ.get("CI"), "`make setup-system` installs User-Mode-Linux"
        pytest.skip("neither this kernel nor User-Mode-Linux has ipvlan")
    return guest.boot(f"set -e\nmodprobe -d /run/m -a veth bridge ipvlan\nTMPDIR=/run {command}\n", folder)


@pytest.mark.parametrize("options", [CARD, SIX], ids=["IPv4", "IPv6"])
def test_a_switch_without_jumbo_frames_is_told_from_a_dead_peer(options: Obj) -> None:
    with Lab(second_port=1500) as lab:
        addresses = attach(lab, rendered(**options))
        assert lab.mtu("pod-one") == 9000
        assert probed(lab, addresses["two"], 9000) == "too-long"
        assert probed(lab, addresses["two"], 1500) == "ok"
        nobody = str(list(ranges_of(rendered(**options)))[0][77])
        assert probed(lab, nobody, 9000) == "lost"
        lab.ip("two", "link", "set", "eth1", "down")
        assert probed(lab, addresses["two"], 9000) == "lost"


def test_several_peers_are_told_apart_in_one_answer() -> None:
    with Lab() as lab:
        addresses = attach(lab, rendered(**CARD))
        peers = ["10.200.5.77", addresses["two"]]
        text = lab.probe("pod-one", SCRIPT, peers, 8972)
        assert text == f"10.200.5.77 lost\n{addresses['two']} ok\n"
        assert len(text) < 4096


def test_without_ping_the_answer_says_so() -> None:
    with Lab() as lab:
        text = lab.probe("pod-one", f"ping() {{ return 2; }}\n{SCRIPT}", ["10.200.5.77"], 8972)
        with pytest.raises(ValueError, match="ping cannot be used"):
            parse_answer(text)


# -- what the plugin refuses is refused beforehand ---------------------------------------------------------------------


def found(there: Interface, **options: Any) -> list[str]:
    """Codes of what our own checks say where nodes have these interfaces."""
    wanted, problems = parse_wanted({"namespace": "openshift-cnv", "range": "10.200.5.0/24", **options})
    node = NodeFacts("one", {"kubevirt.io/schedulable": "true", "node-role.kubernetes.io/worker": ""})
    facts = Facts(nodes=(node,), states={"one": NodeNetwork("one", (there,))}, namespace="openshift-cnv")
    return [problem.code for problem in [*problems, *check(wanted, facts)]]


REFUSALS: list[tuple[str, Obj, int, str, str, Callable[[Lab], Any]]] = [
    (
        "an MTU above the master's",
        {"topology": "existing", "interfaces": ["eth1"], "mtu": 9000},
        1500,
        "invalid MTU 9000",
        "mtu_above_master",
        lambda lab: None,
    ),
    (
        "a master that is not there",
        {"topology": "existing", "interfaces": ["eth7"], "mtu": 1500},
        1500,
        "Link not found",
        "interface_missing",
        lambda lab: None,
    ),
    (
        "a master that is a bridge's port",
        {"topology": "existing", "interfaces": ["eth1"], "mtu": 1500},
        1500,
        "busy",
        "interface_enslaved",
        lambda lab: lab.bridged("one", "br9"),
    ),
]


@pytest.mark.parametrize(
    ("options", "mtu", "said", "code", "prepare"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS]
)
def test_what_the_plugin_refuses_our_checks_refuse_beforehand(
    options: Obj, mtu: int, said: str, code: str, prepare: Callable[[Lab], Any]
) -> None:
    with Lab(mtu=mtu) as lab:
        prepare(lab)
        config = next(addresses_of_one_node(rendered(**options, range="10.200.5.0/24"), lab.folder))
        with pytest.raises(PluginError, match=said):
            lab.add("one", config)
    controller = "br9" if code == "interface_enslaved" else ""
    assert code in found(Interface("eth1", "ethernet", mtu=mtu, controller=controller), **options)


def test_what_our_checks_allow_the_plugin_takes() -> None:
    options: Obj = {"topology": "existing", "interfaces": ["eth1"], "mtu": 1500}
    with Lab(mtu=1500) as lab:
        attach(lab, rendered(**options, range="10.200.5.0/24"))
        assert lab.mtu("pod-one") == 1500
    codes = found(Interface("eth1", "ethernet", mtu=1500), **options)
    assert codes == []
