"""The addresses of a migration network, handed out by the real whereabouts to what we render: as many as we count."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.render import attachment_spec
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.wanted import Wanted, parse_wanted
from cni.lab import Lab, PluginError, missing
from simcluster.controllers.attachments import NotAttached, address_for

from .binaries import NotToBeHad, ensure, ensure_whereabouts
from .whereabouts.door import Door
from .whereabouts.store import Store

Obj = dict[str, Any]
Place = tuple[Store, Path]

CARD: Obj = {"topology": "ethernet", "interfaces": ["eth1"], "mtu": 8900}
BRIDGE: Obj = {"topology": "linux-bridge", "interfaces": ["eth1"], "mtu": 8900}
# each range is one that is used up after a few pods
SMALL: dict[str, Obj] = {
    "macvlan, exclude": {**CARD, "range": "10.200.5.0/29", "exclude": ["10.200.5.2/31"]},
    "macvlan, exclude at both ends": {**CARD, "range": "10.200.5.0/28", "exclude": ["10.200.5.0/29", "10.200.5.12/30"]},
    "macvlan, IPv6": {**CARD, "range": "fd00:200:5::/125", "exclude": ["fd00:200:5::2/127"]},
    "macvlan, named ends are the network's": {
        **CARD, "range": "10.200.5.0/29", "range_start": "10.200.5.0", "range_end": "10.200.5.7",
    },
    "bridge, range_start and range_end": {
        **BRIDGE, "range": "10.200.5.0/24", "range_start": "10.200.5.250", "range_end": "10.200.5.253",
        "exclude": ["10.200.5.251/32"],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The API server, and the folder of the plugin."""
    try:
        if why_not := missing():
            raise NotToBeHad(why_not)
        folder, binaries = ensure_whereabouts(), ensure()
    except NotToBeHad as error:
        assert not os.environ.get("CI"), error
        pytest.skip(str(error))
    with Store(binaries, folder / "crds") as store:
        yield store, folder


@contextmanager
def nodes(place: Place, *, bridged: bool = False) -> Iterator[Lab]:
    """Two nodes that reach the API server, with nothing handed out before."""
    store, plugins = place
    store.forget()
    with Lab(mtu=9000, etc=store.etc, more_plugins=plugins) as lab:
        for node in ("one", "two"):
            lab.keep(Door(lab.namespace(node), store.port))
            if bridged:
                lab.bridged(node, "br-lm")
        yield lab


def rendered(options: Obj) -> tuple[Wanted, Obj]:
    """What is wanted, and the configuration that the attachment has in the cluster."""
    wanted, problems = parse_wanted(options)
    assert not problems
    return wanted, json.loads(attachment_spec(wanted)["config"])


@pytest.mark.parametrize("options", SMALL.values(), ids=SMALL)
def test_just_as_many_addresses_are_handed_out_as_are_counted(options: Obj, place: Place) -> None:
    store = place[0]
    wanted, config = rendered(options)
    pool = wanted.pool
    assert pool is not None
    with nodes(place, bridged=options["topology"] == "linux-bridge") as lab:
        given: dict[str, tuple[str, str]] = {}
        for number in range(pool.size):
            node, pod = ("one", "two")[number % 2], lab.new_pod(str(number))
            address = lab.add(node, config, pod)
            # the simulated cluster gives out the same in the same order
            assert address == address_for(config, given, ())
            given[address] = node, pod
            assert lab.mtu(pod) == wanted.mtu
        assert sorted(map(ip_address, given)) == [each for each in pool.network if each in pool]
        assert store.allocations() == {str(pool.network): pool.size}

        with pytest.raises(PluginError, match="Could not allocate IP in range") as refused:
            lab.add("two", config, lab.new_pod("late"))
        with pytest.raises(NotAttached) as simulated:
            address_for(config, given, ())
        assert str(simulated.value) in str(refused.value)

        freed = list(given)[1]
        node, pod = given.pop(freed)
        lab.remove(node, config, pod)
        pod = lab.new_pod("later")
        assert lab.add("two", config, pod) == freed
        given[freed] = "two", pod
        for node, pod in given.values():
            lab.remove(node, config, pod)
        assert store.allocations() == {str(pool.network): 0}
        assert store.reservations() == []


def test_both_nodes_may_ask_at_once(place: Place) -> None:
    wanted, config = rendered({**CARD, "range": "fd00:200:5::/64", "exclude": ["fd00:200:5::/126"]})
    with nodes(place) as lab:
        pods = [(node, lab.new_pod(f"{node}-{number}")) for node in ("one", "two") for number in range(3)]
        with ThreadPoolExecutor(len(pods)) as at_once:
            found = list(at_once.map(lambda each: lab.add(each[0], config, each[1]), pods))
        assert sorted(found) == [f"fd00:200:5::{number}" for number in range(4, 10)]
        assert wanted.pool is not None
        assert all(ip_address(each) in wanted.pool for each in found)


# -- what whereabouts makes of other configurations, of which clusters are full ----------------------------------------

RANGE = "10.200.5.0/24"
OTHERS: list[Obj] = [
    {"range": "10.200.5.9/24"},
    {"range": "10.200.5.20-10.200.5.22/24"},
    {"range": RANGE, "range_start": "10.200.5.255"},
    {"range": RANGE, "range_start": "10.200.6.1"},
    {"range": "fd00:200:5::/125", "range_start": "fd00:200:5::7"},
    {"range": RANGE, "exclude": ["10.200.5.1"]},
    # this key is OVN-Kubernetes'
    {"range": RANGE, "excludeSubnets": "10.200.5.0/30"},
    {"ipRanges": [{"range": RANGE}, {"range": "fd00::/64"}], "exclude": ["10.200.5.0/30"]},
    {"ipRanges": [{"range": RANGE, "exclude": ["10.200.5.0/30"]}]},
    {"range": "10.200.7.0/24", "ipRanges": [{"range": RANGE}]},
]


def alone(**ipam: Any) -> Obj:
    """A configuration that the address plugin is called with by itself."""
    return {"cniVersion": "0.3.1", "name": "other", "type": "whereabouts", "ipam": {"type": "whereabouts", **ipam}}


def test_the_simulated_cluster_gives_out_the_same(place: Place) -> None:
    with nodes(place) as lab:
        for ipam in OTHERS:
            found = lab.add("one", alone(**ipam))
            assert (ipam, found) == (ipam, address_for(alone(**ipam), (), ()))
            lab.remove("one", alone(**ipam))
        with pytest.raises(PluginError, match="net mask is too short"):
            lab.add("one", alone(range="10.200.5.0/31"))


def test_an_end_before_the_start_counts_as_none(place: Place) -> None:
    """Which is why it is refused beforehand."""
    ends = {"range": "10.200.5.0/29", "range_start": "10.200.5.5", "range_end": "10.200.5.4"}
    with nodes(place) as lab:
        pods = [lab.new_pod(name) for name in ("first", "second")]
        assert [lab.add("one", alone(**ends), pod) for pod in pods] == ["10.200.5.5", "10.200.5.6"]
    assert [problem.code for problem in parse_wanted({**CARD, **ends})[1]] == ["range_backwards"]


@pytest.mark.parametrize(
    ("start", "given_back"), [("fd00:200:5:0:7fff:ffff:ffff:ffff", True), ("fd00:200:5:0:8000::1", False)]
)
def test_addresses_far_into_a_range_are_not_given_back_with_the_pod(start: str, given_back: bool, place: Place) -> None:
    """From 2**63 on whereabouts cannot read what it has written. It is refused."""
    config = alone(range="fd00:200:5::/64", range_start=start)
    with nodes(place) as lab:
        assert lab.add("one", config) == start
        lab.remove("one", config)
        assert len(place[0].reservations()) == (0 if given_back else 1)
        assert (lab.add("two", config) == start) == given_back
    refused = [problem.code for problem in parse_wanted({**CARD, "range": "fd00:200:5::/64", "range_start": start})[1]]
    assert refused == ([] if given_back else ["range_start_far"])


def test_the_account_has_no_more_rights_than_whereabouts_asks_for(place: Place) -> None:
    assert place[0].may("ippools")
    assert not place[0].may("secrets")
