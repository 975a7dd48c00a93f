from __future__ import annotations

import time
import urllib.error
from typing import Any

import pytest
from simcluster.testing import Client

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def put(client: Client, *rules: dict[str, Any]) -> None:
    answer = client.put("/simcluster/faults", list(rules))
    assert answer.status == 200, answer.body


def test_throttling_for_a_number_of_times(client: Client) -> None:
    action = {"status": 429, "retry_after": 1}
    put(client, {"match": {"method": "GET", "path": "configmaps"}, "action": action, "times": 2})
    first = client.get(CONFIG_MAPS)
    assert (first.status, first.json()["reason"], first.header("Retry-After")) == (429, "TooManyRequests", "1")
    assert client.post(CONFIG_MAPS, {"metadata": {"name": "a"}}).status == 201
    assert [client.get(CONFIG_MAPS).status for _ in range(3)] == [429, 200, 200]
    (rule,) = client.get("/simcluster/faults").json()
    assert rule["met"] == 2
    client.delete("/simcluster/faults")
    assert client.get("/simcluster/faults").json() == []


def test_the_first_requests_that_match_are_spared(client: Client) -> None:
    put(client, {"match": {"verb": "list"}, "action": {"status": 500}, "after": 2, "times": 1})
    assert [client.get(CONFIG_MAPS).status for _ in range(4)] == [200, 200, 500, 200]
    (rule,) = client.get("/simcluster/faults").json()
    assert (rule["after"], rule["met"]) == (2, 1)


def test_faults_of_one_user_leave_others_alone(local: Any) -> None:
    put(local.client, {"match": {"user": "alice"}, "action": {"status": 503}})
    assert local.as_user("alice").get("/version").status == 503
    assert local.client.get("/version").status == 200


def test_connections_that_drop_before_and_after_the_write(client: Client) -> None:
    put(client, {"match": {"method": "POST", "path": "configmaps"}, "action": {"drop_connection": True}, "times": 1})
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        client.post(CONFIG_MAPS, {"metadata": {"name": "a"}})
    assert client.get(f"{CONFIG_MAPS}/a").status == 404
    put(client, {"match": {"method": "POST", "path": "configmaps"}, "action": {"drop_after_write": True}, "times": 1})
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        client.post(CONFIG_MAPS, {"metadata": {"name": "a"}})
    assert client.get(f"{CONFIG_MAPS}/a").status == 200


def test_delays_conflicts_and_expired_pages(client: Client) -> None:
    for name in "abc":
        client.post(CONFIG_MAPS, {"metadata": {"name": name}})
    put(client, {"match": {"verb": "patch"}, "action": {"conflict": True}, "times": 1})
    answer = client.patch(f"{CONFIG_MAPS}/a", {"data": {"x": "1"}})
    assert answer.status == 409 and "the object has been modified" in answer.json()["message"]
    assert client.patch(f"{CONFIG_MAPS}/a", {"data": {"x": "1"}}).status == 200
    put(client, {"match": {"path": "continue="}, "action": {"expire_continue": True}, "times": 1})
    token = client.get(CONFIG_MAPS, limit="1").json()["metadata"]["continue"]
    assert client.get(CONFIG_MAPS, limit="1", **{"continue": token}).status == 410
    put(client, {"match": {"path": "configmaps"}, "action": {"delay_seconds": 0.3}})
    began = time.monotonic()
    assert client.get(CONFIG_MAPS).status == 200
    assert time.monotonic() - began >= 0.3


def test_watches_that_expire_or_break(client: Client) -> None:
    put(client, {"match": {"verb": "watch"}, "action": {"expire_watch": True}, "times": 1})
    (event,) = client.watch(CONFIG_MAPS, resourceVersion="1", timeoutSeconds="5")
    assert event["object"]["code"] == 410
    put(client, {"match": {"verb": "watch"}, "action": {"drop_watch": True}})
    client.post(CONFIG_MAPS, {"metadata": {"name": "a"}})
    began = time.monotonic()
    with pytest.raises((OSError, ValueError, urllib.error.URLError)):
        for _ in client.watch(CONFIG_MAPS, timeoutSeconds="20"):
            pass
        raise ConnectionError("ended early")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({}, "JSON list"),
        ([{"match": {"verb": "get"}}], "rule 0: needs match and action"),
        ([{"match": {"colour": "red"}, "action": {}}], "unknown key 'colour' in match"),
        ([{"match": {}, "action": {"explode": True}}], "unknown key 'explode' in action"),
        ([{"match": {}, "action": {"status": "429"}}], "action.status cannot be '429'"),
        ([{"match": {}, "action": {"drop_watch": 1}}], "action.drop_watch cannot be 1"),
        ([{"match": {}, "action": {}, "times": "2"}], "times must be a number from 0, found '2'"),
        ([{"match": {"path": "("}, "action": {}}], "match.path is no regular expression"),
    ],
)
def test_rules_that_cannot_be_used_change_nothing(client: Client, rules: Any, told: str) -> None:
    put(client, {"match": {"verb": "watch"}, "action": {"status": 500}})
    answer = client.put("/simcluster/faults", rules)
    assert answer.status == 400 and told in answer.json()["message"]
    assert len(client.get("/simcluster/faults").json()) == 1


def test_requests_are_counted_by_user(local: Any) -> None:
    local.client.delete("/simcluster/stats")
    local.client.get(CONFIG_MAPS, limit="1")
    local.client.post(CONFIG_MAPS, {"metadata": {"name": "a"}})
    local.as_user("alice").get("/apis/kubevirt.io/v1/virtualmachines")
    users = local.client.get("/simcluster/stats").json()["users"]
    assert users["root"]["requests"] == {"list configmaps": 1, "create configmaps": 1}
    assert users["alice"]["requests"] == {"list virtualmachines.kubevirt.io": 1}
    assert users["alice"]["codes"] == {"403": 1}


def test_a_restarted_server_is_away_and_back_on_the_same_port(client: Client) -> None:
    assert client.post("/simcluster/restart", {"down_seconds": 0.6}).status == 200
    time.sleep(0.2)
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        client.get("/version")
    deadline = time.monotonic() + 5
    while True:
        try:
            assert client.get("/version").status == 200
            break
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline
            time.sleep(0.05)
