"""Snapshots survive being written and read; what is no snapshot is told by file and place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Node, Resources, Snapshot
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.snapshot_file import (
    FORMAT,
    VERSION,
    from_document,
    read_snapshot,
    to_bytes,
    to_document,
    write_snapshot,
)
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PLAIN = Snapshot(
    captured_at="2026-03-01T12:00:00Z",
    cluster_uid="c1",
    nodes={"w1": Node("w1", "n", {"a": "b"}, (), False, True, Resources(4000, 5, 250, {"x/y": 1}))},
    parts=("nodes",),
    missing={"usage": "no metrics"},
)

texts = st.text(max_size=6)
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63),
    float: st.floats(allow_nan=False, allow_infinity=False),
    Any: st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | texts,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
        max_leaves=3,
    ),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that the model uses."""
    if kind in SCALARS:
        return SCALARS[kind]
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.deferred(lambda: st.builds(kind, **{item.name: values(hints[item.name]) for item in fields(kind)}))
    arguments = get_args(kind)
    if get_origin(kind) is Union:
        return st.none() | values(arguments[0])
    if get_origin(kind) is Mapping:
        return st.dictionaries(texts, values(arguments[1]), max_size=2)
    if arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    return st.tuples(*map(values, arguments))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(values(Snapshot))
def test_any_snapshot_comes_back_equal(snapshot: Snapshot) -> None:
    assert from_document(json.loads(to_bytes(snapshot, "x.json"))) == snapshot


@pytest.mark.parametrize("name", ["cluster.json", "cluster.json.gz", "cluster"])
def test_files_are_written_and_read(tmp_path: Path, name: str) -> None:
    write_snapshot(PLAIN, tmp_path / name)
    assert read_snapshot(tmp_path / name) == PLAIN
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes().startswith(b"\x1f\x8b") is name.endswith(".gz")


def test_equal_snapshots_are_equal_files() -> None:
    nodes = {name: replace(PLAIN.nodes["w1"], name=name) for name in ("w1", "w2")}
    forwards = replace(PLAIN, nodes=nodes)
    backwards = replace(PLAIN, nodes=dict(reversed(nodes.items())))
    assert to_bytes(forwards, "x.json.gz") == to_bytes(backwards, "x.json.gz")


def test_the_document_says_what_it_is_and_leaves_out_what_is_empty() -> None:
    document = to_document(PLAIN)
    assert (document["format"], document["version"]) == (FORMAT, VERSION)
    assert "pods" not in document
    assert document["nodes"]["w1"]["allocatable"]["extended"] == {"x/y": 1}


def change(path: str, value: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(to_bytes(PLAIN, "x.json"))
    *steps, last = path.split("/")
    place = document
    for step in steps:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "snapshot: 'list' cannot be used: a mapping is needed"),
        (
            change("format", "ocpv.scale/plan"),
            "snapshot: format: 'ocpv.scale/plan' cannot be used: .*ocpv.scale/snapshot",
        ),
        (change("version", VERSION + 1), "newer release"),
        (change("version", 0), "make the snapshot again"),
        (change("version", "1"), "make the snapshot again"),
        (change("captured_at", None), "the field captured_at is needed"),
        (change("nodes/w1/ready", "yes"), "snapshot: nodes.w1.ready: 'yes' cannot be used: true or false is needed"),
        (change("nodes/w1/allocatable/pods", True), "nodes.w1.allocatable.pods: True .*a whole number is needed"),
        (change("nodes/w1/colour", "red"), "nodes.w1.colour: 'red' .*no such field is known"),
        (change("nodes/w1/name", None), "nodes.w1: .*the field name is needed"),
        (change("nodes/w1/taints", [{"key": 1}]), "nodes.w1.taints.0.key: 1 .*text is needed"),
        (change("nodes", ["w1"]), "snapshot: nodes: .*a mapping is needed"),
        (change("parts", "nodes"), "snapshot: parts: 'nodes' .*a list is needed"),
        (
            change("storage_classes", {"c": {"name": "c", "provisioner": "p", "claim_property_sets": [["a"]]}}),
            "2 values",
        ),
    ],
)
def test_documents_that_do_not_fit_are_told_by_place(document: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        from_document(document)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no virtual machines"),
        (b'{"format": "ocpv.scale/snapshot", "version"', "JSON is needed; is the file complete"),
        (gzip.compress(b'{"format": "ocpv.scale/snapshot"}', mtime=0)[:-9], "a readable file is needed"),
        (b'{"format": "ocpv.scale/run", "version": 1}', "format"),
        (b"a: [1, 2", r"not YAML at line \d"),
        (b"\x7fELF\x00\x01", "not YAML"),
    ],
)
def test_files_that_are_no_snapshot_are_told_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "odd.json"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=message) as caught:
        read_snapshot(file)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="absent.json: 'No such file or directory' cannot be used"):
        read_snapshot(tmp_path / "absent.json")
