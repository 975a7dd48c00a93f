from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from simcluster.testing import Client

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
HYPERCONVERGEDS = "/apis/hco.kubevirt.io/{}/namespaces/default/hyperconvergeds"


def create(client: Client, name: str, **labels: str) -> dict[str, Any]:
    answer = client.post(CONFIG_MAPS, {"metadata": {"name": name, "labels": labels}, "data": {}})
    assert answer.status == 201, answer.body
    return dict(answer.json())


def version(client: Client) -> str:
    return str(client.get(CONFIG_MAPS).json()["metadata"]["resourceVersion"])


def told(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"]["name"]


def all_events(client: Client, **params: str) -> list[dict[str, Any]]:
    return list(client.watch(CONFIG_MAPS, **{"timeoutSeconds": "1", **params}))


def test_without_a_version_everything_is_added_first(client: Client) -> None:
    create(client, "a")
    create(client, "b")
    assert [told(e) for e in all_events(client)] == [("ADDED", "a"), ("ADDED", "b")]


def test_from_a_version_only_later_changes_come_in_order(client: Client) -> None:
    create(client, "a")
    start = version(client)
    client.patch(f"{CONFIG_MAPS}/a", {"data": {"x": "1"}})
    create(client, "b")
    gone = client.get(f"{CONFIG_MAPS}/a").json()["metadata"]["resourceVersion"]
    client.delete(f"{CONFIG_MAPS}/a")
    events = all_events(client, resourceVersion=start)
    assert [told(e) for e in events] == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    assert int(events[-1]["object"]["metadata"]["resourceVersion"]) > int(gone)
    assert all(event["object"]["kind"] == "ConfigMap" for event in events)


def test_events_arrive_while_the_watch_is_open(client: Client) -> None:
    stream = client.watch(CONFIG_MAPS, resourceVersion=version(client), timeoutSeconds="20")
    timer = threading.Timer(0.2, create, (client, "later"))
    timer.start()
    assert told(next(stream)) == ("ADDED", "later")
    timer.join()
    client.delete(f"{CONFIG_MAPS}/later")
    assert told(next(stream)) == ("DELETED", "later")
    stream.close()


def test_a_change_that_changes_nothing_is_no_event(client: Client) -> None:
    create(client, "a")
    start = version(client)
    assert client.patch(f"{CONFIG_MAPS}/a", {"data": {}}).status == 200
    assert all_events(client, resourceVersion=start) == []


def test_what_stops_matching_a_selector_is_deleted_with_its_old_labels(client: Client) -> None:
    create(client, "a", team="red")
    start = version(client)
    new = client.patch(f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"team": "blue"}}}).json()
    red = all_events(client, resourceVersion=start, labelSelector="team=red")
    assert [told(e) for e in red] == [("DELETED", "a")]
    meta = red[0]["object"]["metadata"]
    assert meta["labels"] == {"team": "red"}
    assert meta["resourceVersion"] == new["metadata"]["resourceVersion"]
    blue = all_events(client, resourceVersion=start, labelSelector="team=blue")
    assert [told(e) for e in blue] == [("ADDED", "a")]


def test_a_version_that_is_too_old_is_told_in_a_line_of_a_good_answer(client: Client) -> None:
    start = version(client)
    create(client, "a")
    client.post("/simcluster/compact", {})
    answer = client.get(CONFIG_MAPS, watch="true", resourceVersion=start)
    assert answer.status == 200
    line = answer.json()
    assert line["type"] == "ERROR"
    assert (line["object"]["code"], line["object"]["reason"]) == (410, "Expired")
    assert line["object"]["message"].startswith(f"too old resource version: {start} (")


def test_a_small_history_forgets_the_oldest_changes(make_local: Callable[..., Any]) -> None:
    client = make_local(history=3).client
    start = version(client)
    for name in "abcde":
        create(client, name)
    assert all_events(client, resourceVersion=start)[0]["object"]["code"] == 410
    newest = str(int(version(client)) - 2)
    assert [told(e)[1] for e in all_events(client, resourceVersion=newest)] == ["d", "e"]


def test_a_version_from_the_future_is_silent_and_a_broken_one_an_error(client: Client) -> None:
    create(client, "a")
    assert all_events(client, resourceVersion="99999999") == []
    assert client.get(CONFIG_MAPS, watch="true", resourceVersion="abc").status == 500


def test_bookmarks_come_in_long_watches_and_shortly_before_the_timeout(make_local: Callable[..., Any]) -> None:
    client = make_local(bookmark_seconds=0.5).client
    start = version(client)
    client.post("/api/v1/namespaces", {"metadata": {"name": "other"}})
    events = list(client.watch(CONFIG_MAPS, resourceVersion=start, timeoutSeconds="3", allowWatchBookmarks="true"))
    assert {event["type"] for event in events} == {"BOOKMARK"} and len(events) >= 2
    bookmark = events[-1]["object"]
    assert bookmark["kind"] == "ConfigMap" and set(bookmark["metadata"]) == {"resourceVersion"}
    assert int(bookmark["metadata"]["resourceVersion"]) > int(start)
    assert all_events(client, resourceVersion=start) == []


def test_initial_events_end_in_a_bookmark(client: Client) -> None:
    create(client, "a")
    asked = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    events = all_events(client, **asked)
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    refused = client.get(CONFIG_MAPS, watch="true", sendInitialEvents="true", allowWatchBookmarks="true")
    assert refused.status == 422


def test_a_watch_of_one_namespace_sees_no_other(client: Client) -> None:
    client.post("/api/v1/namespaces", {"metadata": {"name": "other"}})
    start = version(client)
    client.post("/api/v1/namespaces/other/configmaps", {"metadata": {"name": "far"}, "data": {}})
    create(client, "near")
    assert [told(e) for e in all_events(client, resourceVersion=start)] == [("ADDED", "near")]
    everywhere = list(client.watch("/api/v1/configmaps", resourceVersion=start, timeoutSeconds="1"))
    assert [told(e)[1] for e in everywhere] == ["far", "near"]


def test_a_restart_ends_watches_and_forgets_history(client: Client) -> None:
    start = version(client)
    create(client, "a")
    ended = threading.Event()

    def read(stream: Iterator[Any]) -> None:
        with contextlib.suppress(OSError, ValueError):
            list(stream)
        ended.set()

    thread = threading.Thread(
        target=read, args=(client.watch(CONFIG_MAPS, resourceVersion=version(client), timeoutSeconds="60"),)
    )
    thread.start()
    assert client.post("/simcluster/restart", {"down_seconds": 0}).status == 200
    assert ended.wait(5)
    thread.join()
    _await_listening(client)
    assert all_events(client, resourceVersion=start)[0]["object"]["code"] == 410


def _await_listening(client: Client) -> None:
    """Connections drop a moment before the server listens again."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            client.get("/livez")
            return
        time.sleep(0.01)


def test_an_abandoned_watch_is_let_go(local: Any) -> None:
    client = local.client
    with socket.create_connection(("127.0.0.1", int(client.url.rpartition(":")[2]))) as connection:
        head = f"GET {CONFIG_MAPS}?watch=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n\r\n"
        connection.sendall(head.encode())
        assert b"200" in connection.recv(100)
        assert client.get("/simcluster/stats").json()["watches_open"] == 1
    for _ in range(100):
        if client.get("/simcluster/stats").json()["watches_open"] == 0:
            break
        threading.Event().wait(0.02)
    assert client.get("/simcluster/stats").json()["watches_open"] == 0


def test_watches_speak_the_version_they_were_asked_in(client: Client) -> None:
    spec = {"liveMigrationConfig": {"parallelMigrationsPerCluster": 7}}
    meta = {"name": "kubevirt-hyperconverged"}
    body = {"apiVersion": "hco.kubevirt.io/v1beta1", "kind": "HyperConverged", "metadata": meta, "spec": spec}
    assert client.post(HYPERCONVERGEDS.format("v1beta1"), body).status == 201
    seen = {}
    for asked in ("v1", "v1beta1"):
        (event,) = client.watch(HYPERCONVERGEDS.format(asked), timeoutSeconds="1")
        seen[asked] = event["object"]
        assert event["object"]["apiVersion"] == f"hco.kubevirt.io/{asked}"
    new = seen["v1"]["spec"]["virtualization"]["liveMigrationConfig"]
    assert json.dumps(new, sort_keys=True) == json.dumps(seen["v1beta1"]["spec"]["liveMigrationConfig"], sort_keys=True)
    assert new["parallelMigrationsPerCluster"] == 7
