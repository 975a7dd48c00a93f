"""The scheduler's rules, one by one."""

from __future__ import annotations

from typing import Any

import pytest
from audit import facts, placement, quantity
from hypothesis import given
from hypothesis import strategies as st


def node(name: str = "n1", labels: dict[str, str] | None = None, **spec: Any) -> facts.Node:
    all_labels = {"kubernetes.io/hostname": name, **(labels or {})}
    return facts.node({"metadata": {"name": name, "labels": all_labels}, "spec": spec, "status": {}})


def pod(
    name: str = "p", where: str = "n1", namespace: str = "a", labels: dict[str, str] | None = None, **spec: Any
) -> facts.Pod:
    return facts.pod(
        {
            "metadata": {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}", "labels": labels or {}},
            "spec": {"nodeName": where, "containers": [], **spec},
            "status": {"phase": "Running"},
        }
    )


def required(kind: str, *terms: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def term(labels: dict[str, str], key: str = "kubernetes.io/hostname", **more: Any) -> dict[str, Any]:
    return {"labelSelector": {"matchLabels": labels}, "topologyKey": key, **more}


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ({"key": "gen", "operator": "In", "values": ["1", "2"]}, True),
        ({"key": "gen", "operator": "In", "values": ["3"]}, False),
        ({"key": "gen", "operator": "NotIn", "values": ["3"]}, True),
        ({"key": "none", "operator": "NotIn", "values": ["3"]}, True),
        ({"key": "gen", "operator": "Exists"}, True),
        ({"key": "gen", "operator": "DoesNotExist"}, False),
        ({"key": "gen", "operator": "Gt", "values": ["1"]}, True),
        ({"key": "gen", "operator": "Lt", "values": ["1"]}, False),
        ({"key": "none", "operator": "Lt", "values": ["1"]}, False),
    ],
)
def test_required_node_affinity_understands_every_operator(expression: dict[str, Any], matches: bool) -> None:
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [expression]}]
            }
        }
    }
    broken = placement.node_rules(pod(affinity=affinity), node(labels={"gen": "2"}))
    assert (broken == []) == matches


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "k", "value": "other"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_taints_are_matched_by_key_value_and_effect(toleration: dict[str, Any], tolerated: bool) -> None:
    tainted = node(taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    assert (placement.node_rules(pod(tolerations=[toleration]), tainted) == []) == tolerated


def test_soft_taints_forbid_nothing() -> None:
    assert placement.node_rules(pod(), node(taints=[{"key": "k", "effect": "PreferNoSchedule"}])) == []


def test_anti_affinity_binds_both_ways_and_only_in_its_namespaces() -> None:
    nodes = {name: node(name) for name in ("n1", "n2")}
    loner = pod("loner", affinity=required("podAntiAffinity", term({"g": "1"})))
    peer = pod("peer", labels={"g": "1"})
    for placed, other in ((loner, peer), (peer, loner)):
        assert [rule for rule, _ in placement.pod_rules(placed, nodes, [placed, other])] == ["anti_affinity"]
    assert placement.pod_rules(loner, nodes, [pod("peer", "n2", labels={"g": "1"})]) == []
    assert placement.pod_rules(loner, nodes, [pod("peer", namespace="b", labels={"g": "1"})]) == []
    for more in ({"namespaces": ["b"]}, {"namespaceSelector": {}}):
        wide = pod("wide", affinity=required("podAntiAffinity", term({"g": "1"}, **more)))
        assert placement.pod_rules(wide, nodes, [pod("peer", namespace="b", labels={"g": "1"})]) != []


def test_the_first_of_a_group_needs_no_company() -> None:
    nodes = {"n1": node("n1")}
    affinity = required("podAffinity", term({"g": "1"}))
    assert placement.pod_rules(pod(labels={"g": "1"}, affinity=affinity), nodes, []) == []
    assert [rule for rule, _ in placement.pod_rules(pod(affinity=affinity), nodes, [])] == ["pod_affinity"]


def test_spread_does_not_count_zones_that_the_pod_cannot_select() -> None:
    nodes = {
        "n1": node("n1", {"zone": "a", "pool": "x"}),
        "n2": node("n2", {"zone": "b", "pool": "x"}),
        "n3": node("n3", {"zone": "c", "pool": "y"}),
    }
    constraint = {
        "topologyKey": "zone",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"g": "1"}},
    }
    spread = {"labels": {"g": "1"}, "topologySpreadConstraints": [constraint]}
    others = [pod("o1", "n1", labels={"g": "1"}), pod("o2", "n2", labels={"g": "1"})]
    assert placement.pod_rules(pod(nodeSelector={"pool": "x"}, **spread), nodes, others) == []
    assert [rule for rule, _ in placement.pod_rules(pod(**spread), nodes, others)] == ["topology_spread"]


def test_init_containers_and_sidecars_count_as_the_scheduler_counts_them() -> None:
    def container(cpu: str, **more: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "containers": [container("100m"), container("200m")],
        "initContainers": [container("50m", restartPolicy="Always"), container("1"), container("10m")],
        "overhead": {"cpu": "5m"},
    }
    assert pod(**spec).requests["cpu"] == 1050 + 5
    spec["initContainers"] = [container("50m", restartPolicy="Always")]
    assert pod(**spec).requests["cpu"] == 350 + 5


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("250m", 250),
        ("2", 2000),
        (2, 2000),
        ("4Gi", 4 * 2**30 * 1000),
        ("4G", 4 * 10**12),
        ("1e3", 10**6),
        ("100u", 1),
        ("64639976Ki", 64639976 * 1024 * 1000),
    ],
)
def test_quantities(written: object, expected: int) -> None:
    assert quantity.thousandths(written) == expected


@given(st.text(max_size=6))
def test_what_is_no_quantity_raises_value_error(text: str) -> None:
    try:
        assert isinstance(quantity.thousandths(text), int)
    except ValueError as error:
        assert repr(text) in str(error)
