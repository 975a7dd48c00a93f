"""Scenario files change what comes with the simulated cluster, or are refused with a reason."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from simcluster.scenarios import InvalidScenario, load, names


def test_a_file_changes_a_known_scenario(tmp_path: Path) -> None:
    node = next(o for o in load("small").objects if (o["kind"], o["metadata"]["name"]) == ("Node", "worker-02"))
    node["spec"]["unschedulable"] = True
    path = tmp_path / "cordoned.json"
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more", "namespace": "default"}}
    path.write_text(json.dumps({"base": "small", "settings": {"time_scale": 60}, "objects": [node, extra]}))
    scenario = load(str(path))
    objects = list(scenario.objects)
    assert scenario.name == "cordoned"
    assert scenario.settings["time_scale"] == 60
    nodes = {o["metadata"]["name"]: o for o in objects if o["kind"] == "Node"}
    assert nodes["worker-02"]["spec"].get("unschedulable") is True
    assert len(objects) == len(list(load("small").objects)) + 1


def test_a_file_gives_sizes(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yml"
    path.write_text("sizes: {workers: 6, control_plane: 0, rhel: 20, windows: 4, fedora: 6, pods: 60}\n")
    found = Counter(obj["kind"] for obj in load(str(path)).objects)
    assert (found["Node"], found["VirtualMachine"], found["Pod"]) == (6, 30, 90)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must hold a mapping, found list"),
        ("base: [", "cannot be read"),
        ("bas: small", "unknown key 'bas', use base, description"),
        ("name: empty", "builds nothing: give base, sizes or objects"),
        ("base: huge", "base 'huge' is unknown, use one of mixed-cpu, reference"),
        ("{base: small, sizes: {}}", "base and sizes exclude each other"),
        ("sizes: {worker: 3}", "unknown size 'worker', use ceiling, control_plane"),
        ("sizes: {workers: many}", "size workers must be a number from 0, found 'many'"),
        ("sizes: {workers: 1, rhel: 400, windows: 0, fedora: 0}", "no node takes team-"),
        ("objects: [{kind: Pod}]", r"objects\[0\] needs apiVersion, kind and metadata.name"),
        ("{base: small, objects: {}}", "objects must be a list"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_a_reason(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yml"
    path.write_text(text)
    with pytest.raises(InvalidScenario, match=message):
        list(load(str(path)).objects)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        InvalidScenario, match="scenario 'smal' is unknown: use mixed-cpu, reference, single-node, small"
    ):
        load("smal")
    assert "small" in names()
