from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from simcluster.api.table import age, columns_of, find, row_of
from simcluster.schema.registry import Registry

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OBJECT = {
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Paused", "status": "False"}]},
    "metadata": {"labels": {"kubevirt.io/nodeName": "n1"}},
    "spec": {"ports": [{"p": 1}, {"p": 2}]},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".status.conditions[?(@.type=='Ready')].status", ["True"]),
        ('.status.conditions[?(@.type == "Paused")].status', ["False"]),
        (".status.conditions[?(@.type=='Absent')].status", []),
        (r".metadata.labels.kubevirt\.io/nodeName", ["n1"]),
        (".metadata.labels['kubevirt.io/nodeName']", ["n1"]),
        (".spec.ports[*].p", [1, 2]),
        (".spec.ports[1].p", [2]),
        (".spec.ports[7].p", []),
        (".absent.path", []),
        ("what is this", []),
    ],
)
def test_values_at_a_path(path: str, expected: list[Any]) -> None:
    assert find(OBJECT, path) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "5s"),
        (119, "119s"),
        (125, "2m5s"),
        (660, "11m"),
        (3 * 3600 + 60, "3h1m"),
        (9 * 3600, "9h"),
        (50 * 3600, "2d2h"),
        (30 * 86400, "30d"),
        (800 * 86400, "2y70d"),
        (3000 * 86400, "8y"),
        (-10, "<invalid>"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    created = (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    assert age(created, NOW) == text


def test_rows_of_nodes_and_of_machines() -> None:
    registry = Registry()
    nodes, machines = registry.find("", "nodes"), registry.find("kubevirt.io", "virtualmachines")
    assert nodes is not None and machines is not None
    node = {
        "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/worker": ""}, "creationTimestamp": None},
        "spec": {"unschedulable": True},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1"}},
    }
    cells = row_of(columns_of(registry, nodes, "v1"), node, NOW)
    assert cells == ["n", "Ready,SchedulingDisabled", "worker", "<unknown>", "v1"]
    columns = columns_of(registry, machines, "v1")
    assert [column.definition["name"] for column in columns] == ["Name", "Age", "Status", "Ready"]
    machine = {"metadata": {"name": "vm"}, "status": {"printableStatus": "Running"}}
    assert row_of(columns, machine, NOW) == ["vm", None, "Running", None]
