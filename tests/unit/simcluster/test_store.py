from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcluster.schema.resource import Resource
from simcluster.store import Compacted, Event, Store

PODS = Resource("", ("v1",), "v1", "pods", "pod", "Pod", True, builtin=True)
NODES = Resource("", ("v1",), "v1", "nodes", "node", "Node", False, builtin=True)


def pod(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def keys(store: Store, namespace: str = "", *, at: int = 0, after: str = "") -> list[str]:
    return [entry.key for entry in store.entries(PODS, namespace, at=at, after=after)]


def test_versions_rise_over_all_resources() -> None:
    store = Store([PODS, NODES])
    first = store.put(PODS, pod("a", "x"))
    node = store.put(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    changed = store.put(PODS, pod("a", "x", nodeName="n"))
    gone = store.remove(PODS, "a", "x")
    assert first.version < node.version < changed.version < gone.version == store.version
    assert gone.obj()["metadata"]["resourceVersion"] == str(gone.version)
    assert gone.fields["spec.nodeName"] == "n"


def test_objects_are_kept_as_bytes_that_begin_with_their_type() -> None:
    store = Store([PODS])
    given_object = {"metadata": {"name": "x", "namespace": "a"}, "kind": "Pod", "apiVersion": "v1"}
    entry = store.put(PODS, given_object)
    assert entry.data.startswith(b'{"apiVersion":"v1","kind":"Pod",')
    copy = entry.obj()
    copy["metadata"]["name"] = "other"
    found = store.get(PODS, "a", "x")
    assert found is not None and found.obj()["metadata"]["name"] == "x"


def test_order_is_that_of_keys_so_that_a_dash_sorts_before_the_slash() -> None:
    store = Store([PODS])
    for namespace in ("a", "a-b", "ab"):
        store.put(PODS, pod(namespace, "x"))
    assert keys(store) == ["a-b/x", "a/x", "ab/x"]
    assert keys(store, "a") == ["a/x"]


def test_history_that_was_sealed_or_overflowed_is_too_old() -> None:
    store = Store([PODS], history=2)
    start = store.version
    for name in "abc":
        store.put(PODS, pod("n", name))
    with pytest.raises(Compacted):
        store.entries(PODS, at=start)
    assert keys(store, at=store.version - 2) == ["n/a"]
    store.seal()
    with pytest.raises(Compacted):
        store.entries(PODS, at=store.version - 1)
    assert keys(store, at=store.version) == ["n/a", "n/b", "n/c"]


def test_loaded_objects_have_no_history() -> None:
    store = Store([PODS])
    start = store.version
    assert store.load(PODS, [pod("b", "y"), pod("a", "x")]) == 2
    assert keys(store) == ["a/x", "b/y"]
    with pytest.raises(Compacted):
        store.entries(PODS, at=start)
    with pytest.raises(ValueError, match="twice"):
        store.load(PODS, [pod("a", "x")])


CHANGES = st.lists(
    st.tuples(st.sampled_from(["put", "remove"]), st.sampled_from("ab"), st.sampled_from(["x", "y", "z", "x-y"])),
    max_size=25,
)


@given(changes=CHANGES, namespace=st.sampled_from(["", "a", "b"]), size=st.integers(1, 4))
def test_any_past_state_can_be_listed_in_pages_while_things_change(
    changes: list[tuple[str, str, str]], namespace: str, size: int
) -> None:
    store = Store([PODS])
    states: dict[int, dict[str, int]] = {store.version: {}}
    present: dict[str, int] = {}
    for change, space, name in changes:
        key = f"{space}/{name}"
        if change == "put":
            present[key] = store.put(PODS, pod(space, name)).version
        elif key in present:
            store.remove(PODS, space, name)
            del present[key]
        states[store.version] = dict(present)
    for version, state in states.items():
        wanted = {k: v for k, v in state.items() if not namespace or k.startswith(f"{namespace}/")}
        read: dict[str, int] = {}
        after = ""
        while True:
            page = list(islice(store.entries(PODS, namespace, at=version, after=after), size))
            read |= {entry.key: entry.version for entry in page}
            if len(page) < size:
                break
            after = page[-1].key
        assert read == wanted and list(read) == sorted(read)


@given(changes=CHANGES, start=st.integers(0, 25))
def test_events_after_a_version_turn_its_state_into_the_present_one(
    changes: list[tuple[str, str, str]], start: int
) -> None:
    store = Store([PODS])
    copy: dict[str, int] = {}
    begin = store.version
    for number, (change, space, name) in enumerate(changes):
        if change == "put":
            store.put(PODS, pod(space, name))
        elif store.get(PODS, space, name):
            store.remove(PODS, space, name)
        if number == start:
            copy = {entry.key: entry.version for entry in store.entries(PODS)}
            begin = store.version
    if start >= len(changes):
        copy, begin = {}, 1

    def follow(events: list[Event]) -> None:
        for event in events:
            assert (event.before is not None) == (event.after.key in copy)
            if event.deleted:
                del copy[event.after.key]
            else:
                copy[event.after.key] = event.version

    with store.subscribe(PODS, begin) as subscription:
        follow(list(subscription.pending))
        subscription.pending.clear()
        store.put(PODS, pod("late", "x"))
        follow(list(subscription.pending))
    assert copy == {entry.key: entry.version for entry in store.entries(PODS)}
    store.put(PODS, pod("late", "y"))
    assert len(subscription.pending) == 1
