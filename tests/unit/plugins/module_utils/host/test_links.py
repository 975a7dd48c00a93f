"""Links: which speed counts, and how a bond differs from the expected one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.host.links import (
    BOND_MODES,
    Bond,
    Link,
    Port,
    differences,
    speed_of,
)

# that of the reference architecture
PORTS = (Port("ens1f0", 25000, True), Port("ens1f1", 25000, True))
REFERENCE = Link("bond0", 50000, 9000, Bond("balance-alb", "ens1f0", PORTS))


def with_bond(mode: str, *ports: Port, active: str = "") -> Link:
    return replace(REFERENCE, bond=Bond(mode, active, ports))


def test_the_reference_s_bond_has_the_sum_of_its_ports() -> None:
    assert speed_of(REFERENCE) == 50000
    assert differences(REFERENCE, "balance-alb", 2, 25000) == []


@pytest.mark.parametrize("mode", BOND_MODES)
def test_the_mode_decides_about_the_speed(mode: str) -> None:
    link = with_bond(mode, Port("a", 25000, True), Port("b", 10000, True), Port("c", 40000, False), active="b")
    expected = {"active-backup": 10000, "broadcast": 10000}.get(mode, 35000)
    assert speed_of(link) == expected


def test_an_interface_without_a_bond_has_its_own_speed() -> None:
    assert speed_of(Link("eth0", 10000, 1500)) == 10000


@pytest.mark.parametrize(
    ("link", "why"),
    [
        (Link("eth0", None, 1500), "its driver tells no speed"),
        (with_bond("802.3ad"), "none of its ports is up"),
        (with_bond("802.3ad", Port("a", 25000, False)), "none of its ports is up"),
        (with_bond("802.3ad", Port("a", 25000, True), Port("b", None, True)), "no speed is known of b"),
    ],
)
def test_a_speed_that_is_not_known_is_asked_for(link: Link, why: str) -> None:
    with pytest.raises(InvalidInput, match=f"{why}.*link_mbps"):
        speed_of(link)


@pytest.mark.parametrize(
    ("link", "told"),
    [
        (Link("eth0", 25000, 9000), ["eth0 is no bond; a balance-alb bond of 2 ports was expected"]),
        (with_bond("active-backup", *PORTS), ["bond0 has the mode active-backup; balance-alb was expected"]),
        (with_bond("balance-alb", PORTS[0]), ["bond0 has 1 ports (ens1f0); 2 were expected"]),
        (
            with_bond("balance-alb", Port("a", 10000, True), Port("b", 25000, False)),
            ["a of bond0 has 10000 Mb/s; 25000 was expected", "b of bond0 is down"],
        ),
        (
            with_bond("balance-alb", PORTS[0], Port("b", None, True)),
            ["b of bond0 tells no speed; 25000 Mb/s was expected"],
        ),
    ],
)
def test_each_difference_is_told(link: Link, told: list[str]) -> None:
    assert differences(link, "balance-alb", 2, 25000) == told
