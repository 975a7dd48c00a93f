from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.problems import refuse
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.wanted import parse_wanted

Obj = dict[str, Any]
VLAN: Obj = {"topology": "vlan", "interfaces": ["enp4s0"], "vlan_id": 3030, "range": "10.200.5.0/24"}


def test_the_defaults_are_those_of_the_seeds() -> None:
    wanted, problems = parse_wanted(VLAN)
    assert problems == []
    assert (wanted.name, wanted.policy_name, wanted.mtu) == ("migration-network", "migration-network", 9000)
    assert wanted.node_selector == {"node-role.kubernetes.io/worker": ""}
    assert (wanted.max_unavailable, wanted.attachment) == ("1", "macvlan")


@pytest.mark.parametrize(
    ("options", "device", "made", "attachment"),
    [
        ({}, "enp4s0.3030", ("enp4s0.3030",), "macvlan"),
        ({"interfaces": ["a", "b"]}, "bond-lm.3030", ("bond-lm", "bond-lm.3030"), "macvlan"),
        ({"device": "mig0"}, "mig0", ("mig0",), "macvlan"),
        ({"topology": "ethernet", "vlan_id": None}, "enp4s0", (), "macvlan"),
        ({"topology": "bond", "vlan_id": None, "bond_name": "b9"}, "b9", ("b9",), "macvlan"),
        ({"topology": "linux-bridge", "vlan_id": None}, "br-lm", ("br-lm",), "bridge"),
        ({"topology": "linux-bridge"}, "br-lm", ("enp4s0.3030", "br-lm"), "bridge"),
        ({"topology": "ovs-bridge"}, "br-lm", ("br-lm",), "localnet"),
        ({"topology": "existing", "vlan_id": None}, "enp4s0", (), "macvlan"),
        ({"topology": "existing", "vlan_id": None, "attachment": "localnet"}, "enp4s0", (), "localnet"),
    ],
)
def test_what_is_made_follows_from_the_topology(
    options: Obj, device: str, made: tuple[str, ...], attachment: str
) -> None:
    wanted, problems = parse_wanted({**VLAN, **options})
    assert problems == []
    assert (wanted.device, wanted.made, wanted.attachment) == (device, made, attachment)


@pytest.mark.parametrize(
    ("options", "code", "option"),
    [
        ({"vlan_id": None}, "vlan_missing", "vlan_id"),
        ({"vlan_id": 0}, "vlan_invalid", "vlan_id"),
        ({"vlan_id": 4095}, "vlan_invalid", "vlan_id"),
        ({"topology": "ethernet"}, "vlan_unused", "vlan_id"),
        ({"topology": "existing"}, "vlan_unused", "vlan_id"),
        ({"interfaces": []}, "interfaces_count", "interfaces"),
        ({"interfaces": ["a", "a"]}, "interface_twice", "interfaces"),
        ({"topology": "ethernet", "vlan_id": None, "interfaces": ["a", "b"]}, "interfaces_count", "interfaces"),
        ({"topology": "linux-bridge", "attachment": "macvlan"}, "attachment_unfit", "attachment"),
        ({"topology": "ovs-bridge", "attachment": "bridge"}, "attachment_unfit", "attachment"),
        ({"attachment": "localnet"}, "attachment_unfit", "attachment"),
        ({"topology": "bond", "vlan_id": None, "device": "b"}, "device_unused", "device"),
        # enp129s0f1np1.3030 has 18 characters
        ({"interfaces": ["enp129s0f1np1"]}, "device_name_invalid", "device"),
        ({"device": "a/b"}, "device_name_invalid", "device"),
        ({"device": ".."}, "device_name_invalid", "device"),
        ({"name": "Migration"}, "name_invalid", "name"),
        ({"name": "a" * 64}, "name_invalid", "name"),
        ({"policy_name": "a_b"}, "name_invalid", "policy_name"),
        ({"mtu": 1279}, "mtu_invalid", "mtu"),
        ({"mtu": 65536}, "mtu_invalid", "mtu"),
        ({"mtu": 0}, "mtu_invalid", "mtu"),
        ({"max_unavailable": "none"}, "max_unavailable_invalid", "max_unavailable"),
        ({"max_unavailable": "0%"}, "max_unavailable_invalid", "max_unavailable"),
        ({"max_unavailable": "101%"}, "max_unavailable_invalid", "max_unavailable"),
        ({"max_unavailable": "1.5"}, "max_unavailable_invalid", "max_unavailable"),
        ({"topology": "bond", "vlan_id": None, "bond_mode": "fast"}, "bond_mode_invalid", "bond_mode"),
        ({"range": None}, "range_missing", "range"),
        ({"range": "10.200.5.0"}, "range_invalid", "range"),
        ({"range": "10.200.5.1/24"}, "range_host_bits", "range"),
        ({"range": "10.200.5.0/31"}, "range_unusable", "range"),
        ({"range": "fd00:5::/64", "range_start": "fd00:5::8000:0:0:0"}, "range_start_far", "range_start"),
        ({"range": "169.254.7.0/24"}, "range_unusable", "range"),
        ({"range": "224.1.0.0/24"}, "range_unusable", "range"),
        ({"range_start": "10.200.6.1"}, "range_end_invalid", "range_start"),
        ({"range_end": "last"}, "range_end_invalid", "range_end"),
        ({"range_start": "10.200.5.9", "range_end": "10.200.5.8"}, "range_backwards", "range_end"),
        ({"exclude": ["10.200.6.0/30"]}, "exclude_invalid", "exclude"),
        # the key of the seeds takes a text; a single address needs its length
        ({"exclude": ["10.200.5.1"]}, "exclude_invalid", "exclude"),
        ({"exclude": ["fd00::/64"]}, "exclude_invalid", "exclude"),
        ({"topology": "ovs-bridge", "range_start": "10.200.5.9"}, "range_end_unused", "range_start"),
        ({"other_ranges": ["storage"]}, "other_range_invalid", "other_ranges"),
    ],
)
def test_what_cannot_be_in_any_cluster_is_found(options: Obj, code: str, option: str) -> None:
    problems = parse_wanted({**VLAN, **options})[1]
    assert (code, option) in [(problem.code, problem.option) for problem in problems]


def test_one_problem_names_option_value_what_is_allowed_and_what_to_do() -> None:
    problems = parse_wanted({**VLAN, "range": "10.200.5.9/24"})[1]
    with pytest.raises(InvalidInput) as caught:
        refuse(problems)
    assert str(caught.value) == (
        "range: '10.200.5.9/24' cannot be used: it has bits set behind its prefix. "
        "Write 10.200.5.0/24, and range_start for where to begin. Nothing has been changed."
    )


def test_several_problems_are_told_at_once() -> None:
    problems = parse_wanted({**VLAN, "vlan_id": 5000, "mtu": 100})[1]
    with pytest.raises(InvalidInput) as caught:
        refuse(problems)
    assert "for 2 reasons: (1) vlan_id: 5000" in str(caught.value)
    assert "(2) mtu: 100" in str(caught.value)
    assert [item["code"] for item in caught.value.details["problems"]] == ["vlan_invalid", "mtu_invalid"]


def test_warnings_alone_refuse_nothing() -> None:
    refuse([])
