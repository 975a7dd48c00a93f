"""Every desired state that can be rendered, and the ways back from it, read by nmstate's own parser.

The parser is a Rust crate, built once by cargo (about a minute and a half on one processor) into ~/.cache/ocpv-scale.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.records import leaving_spec
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.render import policy_spec
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.wanted import (
    ATTACHMENTS,
    BOND_MODES,
    LOCALNET,
    TOPOLOGIES,
    parse_wanted,
)

Obj = dict[str, Any]
HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "ocpv-scale" / "nmstate"
CARDS = {"ens2f0": {"state": "up", "mtu": 1500}, "ens2f1": {"state": "down", "mtu": 1500}}


@functools.cache
def parser() -> str:
    """Path of the built program; empty where it cannot be built."""
    cargo = shutil.which("cargo") or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
    if cargo is None:
        return ""
    command = [cargo, "build", "--quiet", "--release", "--locked", "-j", "1", "--target-dir", str(TARGET)]
    result = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if result.returncode and "failed to" in result.stderr and not os.environ.get("CI"):
        # without a network, for example
        pytest.skip(f"nmstate's parser could not be built: {result.stderr.strip().splitlines()[-1]}")
    assert result.returncode == 0, result.stderr
    return str(TARGET / "release" / "check-desired-states")


def problems(*states: Obj) -> list[str]:
    """What nmstate says to each state; empty for one that it takes."""
    program = parser()
    if not program:
        if os.environ.get("CI"):
            pytest.fail("cargo is missing: nmstate's parser cannot be built")
        pytest.skip("cargo is missing: nmstate's parser cannot be built")
    result = subprocess.run([program], input=json.dumps(states), capture_output=True, text=True, check=True)
    found: list[str] = json.loads(result.stdout)
    return found


def rendered() -> dict[str, Obj]:
    """The specs of policies of all topologies, with all that can be combined with them, by name."""
    found: dict[str, Obj] = {}
    for topology, cards, vlan in itertools.product(TOPOLOGIES, (1, 2), (None, 3030)):
        for attachment in ATTACHMENTS[topology]:
            options = {
                "topology": topology,
                "attachment": attachment,
                "interfaces": ["ens2f0", "ens2f1"][:cards],
                "vlan_id": vlan,
                "range": "10.200.5.0/24",
                "bond_mode": "802.3ad",
                "bond_options": {"miimon": 100, "lacp_rate": "fast"},
            }
            wanted, wrong = parse_wanted(options)
            if not wrong and wanted.configures_nodes:
                found[f"{topology}-{attachment}-{cards}-{vlan}"] = policy_spec(wanted)
    for mode in BOND_MODES:
        options = {"topology": "bond", "interfaces": ["ens2f0", "ens2f1"], "range": "10.200.5.0/24", "bond_mode": mode}
        found[f"bond-{mode}"] = policy_spec(parse_wanted(options)[0])
    return found


def test_the_table_has_every_topology() -> None:
    names = set(rendered())
    assert {name.partition("-")[0] for name in names} == {"existing", "ethernet", "vlan", "bond", "linux", "ovs"}
    assert f"existing-{LOCALNET}-1-3030" in names
    assert len(names) >= 15


def test_nmstate_takes_every_state_that_is_rendered() -> None:
    specs = rendered()
    said = problems(*(spec["desiredState"] for spec in specs.values()))
    assert dict(zip(specs, said, strict=True)) == dict.fromkeys(specs, "")


def test_nmstate_takes_every_way_back() -> None:
    specs = rendered()
    former = {"desiredState": {"interfaces": [{"name": "dummy1", "type": "dummy", "state": "up"}]}}
    ways = [leaving_spec(spec, target, CARDS) for spec in specs.values() for target in (None, former)]
    assert set(problems(*(way["desiredState"] for way in ways))) == {""}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        # the seeds' example with a Linux bridge instead: there stp has to be a map
        (
            {"name": "br-lm", "type": "linux-bridge", "state": "up", "bridge": {"options": {"stp": False}}},
            "LinuxBridgeStpOptions",
        ),
        ({"name": "br-lm", "type": "ovs-bridge", "state": "up", "bridge": {"porty": []}}, "unknown field `porty`"),
        ({"name": "b", "type": "bond", "state": "up", "link-aggregation": {"mode": "fast"}}, "fast"),
    ],
)
def test_the_parser_refuses_what_is_wrong(state: Obj, said: str) -> None:
    assert said in problems({"interfaces": [state]})[0]
