"""Where the scheduler puts pods, and what it says when there is no place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simcluster.controllers.ledger import Ledger
from simcluster.controllers.pod import Pod, summarize
from simcluster.controllers.scheduling import ClaimState, Refusal, choose, tolerated

Obj = dict[str, Any]


def node(name: str, cpu: str = "4", memory: str = "8Gi", pods: str = "10", **more: Any) -> Obj:
    labels = {"kubernetes.io/hostname": name, **more.pop("labels", {})}
    allocatable = {"cpu": cpu, "memory": memory, "pods": pods, **more.pop("resources", {})}
    return {"metadata": {"name": name, "labels": labels}, "spec": more, "status": {"allocatable": allocatable}}


def pod(name: str = "p", cpu: str = "1", memory: str = "1Gi", *, on: str = "", **more: Any) -> Pod:
    requests = {"cpu": cpu, "memory": memory, **more.pop("resources", {})}
    return summarize(
        {
            "metadata": {
                "name": name,
                "namespace": more.pop("namespace", "ns"),
                "uid": f"uid-{name}",
                "labels": more.pop("labels", {}),
            },
            "spec": {"nodeName": on, "containers": [{"name": "c", "resources": {"requests": requests}}], **more},
            "status": {"phase": "Running" if on else "Pending"},
        }
    )


def ledger(nodes: list[Obj], *pods: Pod) -> Ledger:
    made = Ledger()
    for each in nodes:
        made.set_node(each)
    for placed in pods:
        made.put(placed)
    return made


def refusal(wanted: Pod, books: Ledger, claims: list[ClaimState] | None = None) -> str:
    with pytest.raises(Refusal) as caught:
        choose(wanted, books, claims or [])
    return str(caught.value)


def term(labels: Obj, topology: str = "kubernetes.io/hostname", **more: Any) -> Obj:
    return {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": {"matchLabels": labels}, "topologyKey": topology, **more}
        ]
    }


def test_emptiest_node_is_taken() -> None:
    books = ledger([node("a"), node("b")], pod("x", on="a"))
    assert choose(pod(), books).name == "b"


def test_requests_of_every_pod_count() -> None:
    books = ledger([node("a", cpu="2")], pod("x", cpu="1500m", on="a"))
    text = refusal(pod(cpu="600m"), books)
    assert text == (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims "
        "found for incoming pod."
    )
    books.remove("uid-x")
    assert choose(pod(cpu="600m"), books).name == "a"


def test_reasons_are_counted_per_node_and_sorted() -> None:
    books = ledger(
        [
            node("a", cpu="1", memory="1Gi"),
            node("b", unschedulable=True),
            node("c", taints=[{"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"}]),
            node("d", labels={"zone": "z"}),
        ]
    )
    text = refusal(pod(cpu="2", memory="2Gi", nodeSelector={"zone": "y"}, tolerations=[]), books)
    assert text == (
        "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/master: }, 1 node(s) were "
        "unschedulable, 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/4 nodes are available: 4 "
        "Preemption is not helpful for scheduling."
    )
    text = refusal(pod(cpu="2", memory="20Gi"), books)
    assert "1 Insufficient cpu, " in text and "2 Insufficient memory" in text


@pytest.mark.parametrize(
    ("resources", "allocatable", "reason"),
    [
        ({"hugepages-1Gi": "4Gi"}, {"hugepages-1Gi": "2Gi"}, "Insufficient hugepages-1Gi"),
        ({"example.com/gpu": "1"}, {}, "Insufficient example.com/gpu"),
        ({"devices.kubevirt.io/kvm": "1"}, {"devices.kubevirt.io/kvm": "1k"}, ""),
    ],
)
def test_every_resource_counts(resources: Obj, allocatable: Obj, reason: str) -> None:
    books = ledger([node("a", resources=allocatable)])
    wanted = pod(resources=resources)
    if reason:
        assert reason in refusal(wanted, books)
    else:
        assert choose(wanted, books).name == "a"


def test_number_of_pods_is_limited() -> None:
    books = ledger([node("a", pods="1")], pod("x", cpu="0", on="a"))
    assert "1 Too many pods" in refusal(pod(cpu="0"), books)


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"operator": "Exists"}, True),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_tolerations(toleration: Obj, expected: bool) -> None:
    assert tolerated({"key": "k", "value": "v", "effect": "NoSchedule"}, [toleration]) is expected


def test_taint_that_only_prefers_is_no_obstacle() -> None:
    books = ledger([node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}])])
    assert choose(pod(), books).name == "a"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "zone", "operator": "In", "values": ["z1"]}, {"a"}),
        ({"key": "zone", "operator": "NotIn", "values": ["z1"]}, {"b", "c"}),
        ({"key": "zone", "operator": "DoesNotExist"}, {"c"}),
        ({"key": "size", "operator": "Gt", "values": ["5"]}, {"b"}),
    ],
)
def test_required_node_affinity(expression: Obj, expected: set[str]) -> None:
    nodes = [
        node("a", labels={"zone": "z1", "size": "5"}),
        node("b", labels={"zone": "z2", "size": "6"}),
        node("c"),
    ]
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    wanted = pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}})
    allowed = set()
    for each in nodes:
        try:
            allowed.add(choose(wanted, ledger([each])).name)
        except Refusal:
            continue
    assert allowed == expected


class TestPodAffinity:
    zones = [node("a", labels={"zone": "z1"}), node("b", labels={"zone": "z1"}), node("c", labels={"zone": "z2"})]

    def test_keeps_apart_by_the_pods_own_rule(self) -> None:
        books = ledger(self.zones, pod("x", labels={"app": "db"}, on="a"))
        wanted = pod(affinity={"podAntiAffinity": term({"app": "db"}, "zone")})
        assert choose(wanted, books).name == "c"

    def test_keeps_apart_by_the_rule_of_pods_that_are_there(self) -> None:
        books = ledger(self.zones, pod("x", on="c", affinity={"podAntiAffinity": term({"app": "web"}, "zone")}))
        assert choose(pod(labels={"app": "web"}), books).name in ("a", "b")
        everywhere = ledger(
            self.zones[:1], pod("x", on="a", affinity={"podAntiAffinity": term({"app": "web"}, "zone")})
        )
        text = "node(s) didn't satisfy existing pods anti-affinity rules"
        assert text in refusal(pod(labels={"app": "web"}), everywhere)

    def test_rules_reach_other_namespaces_only_if_they_say_so(self) -> None:
        books = ledger(self.zones[:1], pod("x", labels={"app": "db"}, on="a", namespace="other"))
        apart = pod(affinity={"podAntiAffinity": term({"app": "db"})})
        assert choose(apart, books).name == "a"
        named = pod(affinity={"podAntiAffinity": term({"app": "db"}, namespaces=["other"])})
        assert "node(s) didn't match pod anti-affinity rules" in refusal(named, books)
        books.namespace_labels["other"] = {"team": "x"}
        selector = {"matchLabels": {"team": "x"}}
        selected = pod(affinity={"podAntiAffinity": term({"app": "db"}, namespaceSelector=selector)})
        assert "node(s) didn't match pod anti-affinity rules" in refusal(selected, books)

    def test_brings_together(self) -> None:
        books = ledger(self.zones, pod("x", labels={"app": "db"}, on="c"))
        wanted = pod(affinity={"podAffinity": term({"app": "db"}, "zone")})
        assert choose(wanted, books).name == "c"
        empty = ledger(self.zones)
        assert "node(s) didn't match pod affinity rules" in refusal(wanted, empty)

    def test_first_of_a_group_goes_anywhere(self) -> None:
        wanted = pod(labels={"app": "db"}, affinity={"podAffinity": term({"app": "db"}, "zone")})
        assert choose(wanted, ledger(self.zones)).name in ("a", "b", "c")

    def test_removed_pods_no_longer_matter(self) -> None:
        books = ledger(self.zones[:1], pod("x", on="a", affinity={"podAntiAffinity": term({"app": "web"})}))
        books.remove("uid-x")
        assert choose(pod(labels={"app": "web"}), books).name == "a"


def test_topology_spread() -> None:
    nodes = [node("a", labels={"zone": "z1"}), node("b", labels={"zone": "z2"}), node("c")]
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    wanted = pod(labels={"app": "web"}, topologySpreadConstraints=[constraint])
    books = ledger(nodes, pod("x", labels={"app": "web"}, on="a"))
    assert choose(wanted, books).name == "b"
    only_first = ledger([nodes[0], node("b", unschedulable=True, labels={"zone": "z2"}), nodes[2]], *[])
    only_first.put(pod("x", labels={"app": "web"}, on="a"))
    text = refusal(wanted, only_first)
    assert "1 node(s) didn't match pod topology spread constraints (missing required label)" in text
    assert "1 node(s) didn't match pod topology spread constraints," in text
    soft = replace(wanted, demand=replace(wanted.demand, spread=()))
    assert choose(soft, only_first).name in ("a", "c")


def test_volume_of_one_node_holds_the_pod_there() -> None:
    books = ledger([node("a"), node("b")])
    terms = ({"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["b"]}]},)
    assert choose(pod(), books, [ClaimState(terms)]).name == "b"
    absent = ({"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["z"]}]},)
    assert "2 node(s) had volume node affinity conflict" in refusal(pod(), books, [ClaimState(absent)])


def test_both_pods_of_a_migration_hold_room() -> None:
    books = ledger([node("a", cpu="2"), node("b", cpu="2")])
    books.put(pod("source", cpu="2", on="a"))
    books.put(pod("target", cpu="2", on="b"))
    assert "2 Insufficient cpu" in refusal(pod(cpu="1"), books)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 3000), max_size=40), st.integers(1, 4))
def test_no_node_is_ever_overfilled(sizes: list[int], count: int) -> None:
    books = ledger([node(f"n{number}", cpu="4", pods="8") for number in range(count)])
    for number, size in enumerate(sizes):
        wanted = pod(f"p{number}", cpu=f"{size}m", memory="1")
        try:
            target = choose(wanted, books)
        except Refusal:
            assert all(n.pods >= 8 or n.used.get("cpu", 0) + size > 4000 for n in books.offered())
            continue
        books.put(replace(wanted, node=target.name))
    assert all(n.used.get("cpu", 0) <= 4000 and n.pods <= 8 for n in books.offered())
