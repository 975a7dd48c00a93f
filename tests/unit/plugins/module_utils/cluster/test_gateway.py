"""The gateway against a real HTTP server that pages, throttles, fails and hangs up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import resources
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Gateway
from ansible_collections.ocpv.scale.plugins.module_utils.errors import (
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    NotFound,
    Unauthorized,
    Unreachable,
)
from support.http_api import CAPTURED_AT, NOT_SERVED, HttpApi, Reply, status

PODS = "/api/v1/pods"
VMS = "/apis/kubevirt.io/v1/virtualmachines"


class FakeTime(Protocol):
    slept: list[float]

    def sleep(self, seconds: float) -> None: ...


def items(count: int) -> list[dict[str, object]]:
    return [{"metadata": {"namespace": "shop", "name": f"pod-{number}"}} for number in range(count)]


def names(found: list[dict[str, object]]) -> list[str]:
    return [item["metadata"]["name"] for item in found]  # type: ignore[index]


BUSY = status(500, "InternalError", "etcdserver: leader changed")
THROTTLED = Reply(429, status(429, "TooManyRequests", "too many requests").body, {"Retry-After": "7"})
EXPIRED = status(410, "Expired", "The provided continue parameter is too old", retryAfterSeconds=0)


class TestLists:
    def test_all_pages_are_joined(self, api: HttpApi, gateway: Gateway) -> None:
        api.collections[PODS] = items(25)
        listing = gateway.list(resources.PODS, page_size=10)
        assert names(listing.items) == [f"pod-{number}" for number in range(25)]
        assert listing.resource_version == "1000"
        assert [request.query.get("continue") for request in api.requests] == [None, "10", "20"]
        assert {request.query["limit"] for request in api.requests} == {"10"}

    def test_selectors_and_namespace_are_sent(self, api: HttpApi, gateway: Gateway) -> None:
        api.collections["/api/v1/namespaces/shop/pods"] = items(1)
        gateway.list(
            resources.PODS, namespace="shop", label_selector="a in (b, c)", field_selector="status.phase!=Failed"
        )
        query = api.requests[0].query
        assert query["labelSelector"] == "a in (b, c)"
        assert query["fieldSelector"] == "status.phase!=Failed"

    def test_a_token_that_expires_in_the_middle_starts_the_list_again(self, api: HttpApi, gateway: Gateway) -> None:
        api.collections[PODS] = items(25)
        pass_on = [lambda request: None] * 2
        api.script = [*pass_on, EXPIRED]
        assert len(gateway.list(resources.PODS, page_size=10).items) == 25
        assert [request.query.get("continue") for request in api.requests] == [None, "10", "20", None, "10", "20"]

    def test_a_token_that_always_expires_is_told(self, api: HttpApi, gateway: Gateway) -> None:
        api.collections[PODS] = items(25)
        api.routes[PODS] = lambda request: EXPIRED if request.query.get("continue") else None
        with pytest.raises(Expired) as caught:
            gateway.list(resources.PODS, page_size=10)
        assert "list pods" in str(caught.value)
        assert len(api.requests) == 8

    def test_converted_lists_keep_only_what_the_conversion_returns(self, api: HttpApi, gateway: Gateway) -> None:
        api.collections[PODS] = items(3)
        listing = gateway.list_as(resources.PODS, lambda item: str(item["metadata"]["name"]), page_size=2)
        assert listing.items == ["pod-0", "pod-1", "pod-2"]

    def test_a_kind_that_is_not_served_is_not_found(self, gateway: Gateway) -> None:
        with pytest.raises(NotFound, match=r"Could not list virtualmachines.kubevirt.io: 404 page not found"):
            gateway.list(resources.VIRTUAL_MACHINES)

    def test_several_threads_share_one_gateway(self, api: HttpApi, gateway: Gateway) -> None:
        api.collections[PODS] = items(40)
        with ThreadPoolExecutor(8) as pool:
            counts = list(pool.map(lambda _: len(gateway.list(resources.PODS, page_size=10).items), range(16)))
        assert counts == [40] * 16


class TestRetries:
    @pytest.mark.parametrize("trouble", [BUSY, status(503, "ServiceUnavailable", "down"), Reply(drop=True), THROTTLED])
    def test_reading_goes_on_after_trouble(
        self, api: HttpApi, gateway: Gateway, trouble: Reply, fake_time: FakeTime
    ) -> None:
        api.collections[PODS] = items(12)
        api.script = [lambda request: None, trouble, trouble]
        assert len(gateway.list(resources.PODS, page_size=10).items) == 12
        assert len(fake_time.slept) == 2

    def test_the_server_says_how_long_to_wait(self, api: HttpApi, gateway: Gateway, fake_time: FakeTime) -> None:
        api.collections[PODS] = items(1)
        api.script = [THROTTLED]
        gateway.list(resources.PODS)
        assert fake_time.slept == [7.0]

    def test_waits_grow_to_a_cap_and_end(self, api: HttpApi, gateway: Gateway, fake_time: FakeTime) -> None:
        api.routes[PODS] = BUSY
        with pytest.raises(Unreachable, match="leader changed") as caught:
            gateway.list(resources.PODS)
        assert fake_time.slept[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
        assert 50 < sum(fake_time.slept) <= 60
        assert caught.value.status == 500
        assert "Check host" in caught.value.hint

    def test_throttling_without_end_says_so(self, api: HttpApi, gateway: Gateway) -> None:
        api.routes[PODS] = THROTTLED
        with pytest.raises(Unreachable) as caught:
            gateway.list(resources.PODS)
        assert caught.value.status == 429
        assert "overloaded" in caught.value.hint

    def test_a_server_that_never_answered_is_given_up_earlier(
        self, make_gateway: Callable[..., Gateway], fake_time: FakeTime
    ) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            gateway = make_gateway(f"http://127.0.0.1:{unused.getsockname()[1]}")
            with pytest.raises(Unreachable, match="Connection refused") as caught:
                gateway.list(resources.PODS)
        assert sum(fake_time.slept) <= 10
        assert "Could not list pods" in str(caught.value)

    def test_an_unknown_host_is_not_tried_again(
        self, make_gateway: Callable[..., Gateway], fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(Unreachable, match="api.cluster.invalid"):
            make_gateway("http://api.cluster.invalid:6443").list(resources.PODS)
        assert fake_time.slept == []

    def test_a_server_without_tls_is_not_tried_again(
        self, api: HttpApi, make_gateway: Callable[..., Gateway], fake_time: FakeTime
    ) -> None:
        with pytest.raises(Unreachable, match="Could not list pods"):
            make_gateway(api.url.replace("http:", "https:")).list(resources.PODS)
        assert fake_time.slept == []

    def test_the_server_s_time_is_known_to_all_gateways_to_it(self, gateway: Gateway) -> None:
        impatient = gateway.with_retry_seconds(1)
        impatient.server_version()
        assert gateway.server_time == CAPTURED_AT

    def test_patience_can_be_shortened(self, api: HttpApi, gateway: Gateway, fake_time: FakeTime) -> None:
        api.routes[PODS] = BUSY
        with pytest.raises(Unreachable):
            gateway.with_retry_seconds(3).list(resources.PODS)
        assert sum(fake_time.slept) <= 3


class TestErrors:
    def test_an_expired_token_is_not_tried_again_and_has_a_hint(self, api: HttpApi, gateway: Gateway) -> None:
        api.routes[PODS] = status(401, "Unauthorized", "Unauthorized")
        with pytest.raises(Unauthorized, match="Unauthorized") as caught:
            gateway.list(resources.PODS)
        assert "expired" in caught.value.hint
        assert "api_key" in caught.value.hint
        assert len(api.requests) == 1

    def test_a_missing_right_is_named(self, api: HttpApi, gateway: Gateway) -> None:
        message = 'pods is forbidden: User "alice" cannot list resource "pods" in API group "" at the cluster scope'
        api.routes[PODS] = status(403, "Forbidden", message)
        with pytest.raises(Forbidden) as caught:
            gateway.list(resources.PODS)
        assert message in caught.value.message
        assert "docs/rbac" in caught.value.hint

    def test_an_answer_that_is_no_json_says_what_host_should_be(self, api: HttpApi, gateway: Gateway) -> None:
        api.routes[PODS] = Reply(200, "<html>log in</html>", {"Content-Type": "text/html"})
        with pytest.raises(ApiError, match="not a JSON object") as caught:
            gateway.list(resources.PODS)
        assert "URL of the API server" in caught.value.hint
        assert "<html>" not in str(caught.value)

    def test_a_redirect_is_not_followed(self, api: HttpApi, gateway: Gateway) -> None:
        api.routes[PODS] = Reply(302, "", {"Location": "https://login.example.com/"})
        with pytest.raises(ApiError) as caught:
            gateway.list(resources.PODS)
        assert "URL of the API server" in caught.value.hint
        assert len(api.requests) == 1

    def test_conflicts_carry_their_causes(self, api: HttpApi, gateway: Gateway) -> None:
        cause = {"reason": "FieldManagerConflict", "message": 'conflict with "m1"', "field": ".spec.x"}
        api.script = [status(409, "Conflict", "Apply failed with 1 conflict", causes=[cause])]
        with pytest.raises(Conflict) as caught:
            gateway.merge_patch(resources.NODES, "n1", {"spec": {}})
        assert caught.value.causes == (cause,)

    def test_quoted_objects_stay_out_of_messages(self, api: HttpApi, gateway: Gateway) -> None:
        quoted = '" "" is invalid: patch: Invalid value: "{\\"spec\\":{\\"userData\\":\\"password: hunter2\\"}}": '
        api.script = [status(422, "Invalid", quoted + 'strict decoding error: unknown field "spec.zzz"')]
        with pytest.raises(ApiError) as caught:
            gateway.merge_patch(resources.VIRTUAL_MACHINES, "web", {"spec": {"zzz": 1}}, namespace="shop")
        assert 'unknown field "spec.zzz"' in caught.value.message
        assert "hunter2" not in str(caught.value)


class TestWrites:
    BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "state"}}

    def test_every_write_is_strict_and_names_its_manager(self, api: HttpApi, gateway: Gateway) -> None:
        for path in ("/api/v1/namespaces/shop/configmaps", "/api/v1/namespaces/shop/configmaps/state"):
            api.routes[path] = Reply(200, self.BODY)
        gateway.create(resources.CONFIG_MAPS, self.BODY, namespace="shop")
        gateway.merge_patch(resources.CONFIG_MAPS, "state", {"data": {"a": None}}, namespace="shop")
        gateway.json_patch(resources.CONFIG_MAPS, "state", [{"op": "remove", "path": "/data"}], namespace="shop")
        gateway.replace(resources.CONFIG_MAPS, "state", self.BODY, namespace="shop")
        assert [request.method for request in api.requests] == ["POST", "PATCH", "PATCH", "PUT"]
        assert {request.query["fieldValidation"] for request in api.requests} == {"Strict"}
        assert {request.query["fieldManager"] for request in api.requests} == {"ocpv-scale"}
        assert not any("dryRun" in request.query for request in api.requests)
        assert [request.headers["Content-Type"] for request in api.requests] == [
            "application/json",
            "application/merge-patch+json",
            "application/json-patch+json",
            "application/json",
        ]
        assert api.requests[1].document == {"data": {"a": None}}

    def test_a_dry_run_says_so(self, api: HttpApi, gateway: Gateway) -> None:
        api.routes["/api/v1/nodes/n1"] = Reply(200, {"kind": "Node"})
        gateway.merge_patch(resources.NODES, "n1", {"spec": {"unschedulable": True}}, dry_run=True)
        assert api.requests[0].query["dryRun"] == "All"

    def test_subresources_have_their_own_path(self, api: HttpApi, gateway: Gateway) -> None:
        stop = "/apis/subresources.kubevirt.io/v1/namespaces/shop/virtualmachines/web/stop"
        api.routes[stop] = Reply(202, "")
        gateway.put_subresource(resources.SUBRESOURCES_GROUP_VERSION, "shop", "virtualmachines", "web", "stop")
        assert [(request.method, request.document) for request in api.asked(stop)] == [("PUT", {})]

    def test_a_delete_can_be_bound_to_one_object(self, api: HttpApi, gateway: Gateway) -> None:
        path = "/api/v1/namespaces/shop/configmaps/state"
        api.routes[path] = Reply(200, {"kind": "Status", "status": "Success"})
        gateway.delete(resources.CONFIG_MAPS, "state", namespace="shop", uid="u1", resource_version="7")
        assert api.requests[0].document["preconditions"] == {"uid": "u1", "resourceVersion": "7"}

    def test_throttled_writes_are_repeated(self, api: HttpApi, gateway: Gateway) -> None:
        api.script = [THROTTLED, THROTTLED, Reply(201, self.BODY)]
        assert gateway.create(resources.CONFIG_MAPS, self.BODY, namespace="shop") == self.BODY
        assert len(api.requests) == 3

    @pytest.mark.parametrize(
        "trouble", [Reply(drop=True), status(504, "Timeout", "timed out"), Reply(502, "bad gateway")]
    )
    def test_a_lost_answer_is_never_repeated(self, api: HttpApi, gateway: Gateway, trouble: Reply) -> None:
        api.script = [trouble]
        with pytest.raises(Unreachable) as caught:
            gateway.create(resources.CONFIG_MAPS, self.BODY, namespace="shop")
        assert caught.value.details["outcome"] == "unknown"
        assert len(api.requests) == 1

    def test_a_dry_run_whose_answer_is_lost_is_repeated(self, api: HttpApi, gateway: Gateway) -> None:
        api.script = [Reply(drop=True), Reply(201, self.BODY)]
        gateway.create(resources.CONFIG_MAPS, self.BODY, namespace="shop", dry_run=True)
        assert len(api.requests) == 2

    def test_a_webhook_that_is_down_is_an_error_at_once(self, api: HttpApi, gateway: Gateway) -> None:
        api.script = [status(500, "InternalError", "failed calling webhook")]
        with pytest.raises(ApiError, match="failed calling webhook") as caught:
            gateway.create(resources.CONFIG_MAPS, self.BODY, namespace="shop")
        assert "outcome" not in caught.value.details

    def test_a_budget_s_refusal_is_not_taken_for_throttling(self, api: HttpApi, gateway: Gateway) -> None:
        api.script = [status(429, "TooManyRequests", "Cannot evict pod", causes=[{"reason": "DisruptionBudget"}])]
        with pytest.raises(ApiError, match="Cannot evict"):
            gateway.create(resources.CONFIG_MAPS, self.BODY, namespace="shop")
        assert len(api.requests) == 1

    def test_writes_go_on_when_the_server_comes_back(
        self, make_gateway: Callable[..., Gateway], fake_time: FakeTime
    ) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        servers: list[HttpApi] = []

        def come_back(seconds: float) -> None:
            fake_time.sleep(seconds)
            api = HttpApi(port)
            api.routes["/api/v1/namespaces/shop/configmaps"] = Reply(201, self.BODY)
            api.start()
            servers.append(api)

        gateway = make_gateway(f"http://127.0.0.1:{port}", sleep=come_back)
        try:
            assert gateway.create(resources.CONFIG_MAPS, self.BODY, namespace="shop") == self.BODY
        finally:
            for server in servers:
                server.stop()
        assert fake_time.slept == [0.5]


class TestWatches:
    POD = {"metadata": {"name": "a"}}

    def watch(self, gateway: Gateway) -> list[tuple[str, dict[str, object]]]:
        return list(gateway.watch(resources.PODS, resource_version="5", timeout_seconds=60, label_selector="a=b"))

    def test_events_come_as_pairs_and_end_quietly(self, api: HttpApi, gateway: Gateway) -> None:
        bookmark = {"metadata": {"resourceVersion": "9"}}
        events = [("ADDED", self.POD), ("BOOKMARK", bookmark), ("DELETED", self.POD)]
        api.routes[PODS] = Reply(lines=[{"type": kind, "object": body} for kind, body in events])
        assert self.watch(gateway) == events
        assert api.requests[0].query == {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": "5",
            "timeoutSeconds": "60",
            "labelSelector": "a=b",
        }

    def test_events_arrive_while_the_stream_is_open(self, api: HttpApi, gateway: Gateway) -> None:
        first_seen = threading.Event()

        def lines() -> Iterator[object]:
            yield {"type": "ADDED", "object": self.POD}
            assert first_seen.wait(10)
            yield {"type": "DELETED", "object": self.POD}

        api.routes[PODS] = Reply(lines=lines())
        events = gateway.watch(resources.PODS, resource_version="5", timeout_seconds=60)
        assert next(events)[0] == "ADDED"
        first_seen.set()
        assert next(events)[0] == "DELETED"

    def test_a_version_that_is_too_old_expires(self, api: HttpApi, gateway: Gateway) -> None:
        body = status(410, "Expired", "too old resource version: 1 (376)").body
        api.routes[PODS] = Reply(lines=[{"type": "ERROR", "object": body}])
        with pytest.raises(Expired, match="too old resource version"):
            self.watch(gateway)

    def test_another_error_in_the_stream_is_an_error(self, api: HttpApi, gateway: Gateway) -> None:
        body = status(500, "InternalError", "cache was stopped").body
        api.routes[PODS] = Reply(lines=[{"type": "ERROR", "object": body}])
        with pytest.raises(ApiError, match="cache was stopped"):
            self.watch(gateway)

    @pytest.mark.parametrize("cut", ["", '{"type": "ADDED", "obj'])
    def test_a_broken_stream_is_told(self, api: HttpApi, gateway: Gateway, cut: str) -> None:
        api.routes[PODS] = Reply(lines=[{"type": "ADDED", "object": self.POD}], cut=cut)
        events = gateway.watch(resources.PODS, resource_version="5", timeout_seconds=60)
        assert next(events)[0] == "ADDED"
        with pytest.raises(Unreachable):
            next(events)

    def test_an_unfinished_last_line_is_told(self, api: HttpApi, gateway: Gateway) -> None:
        api.routes[PODS] = Reply(lines=[{"type": "ADDED", "object": self.POD}, '{"type": "ADD'])
        with pytest.raises(Unreachable):
            self.watch(gateway)

    def test_opening_is_tried_again(self, api: HttpApi, gateway: Gateway) -> None:
        api.script = [Reply(drop=True), BUSY]
        api.routes[PODS] = Reply(lines=[])
        assert self.watch(gateway) == []


class TestQuestions:
    def test_the_preferred_version_of_a_group_comes_first(self, api: HttpApi, gateway: Gateway) -> None:
        versions = [{"version": "v1beta1"}, {"version": "v1"}]
        api.routes["/apis/hco.kubevirt.io"] = Reply(
            body={"kind": "APIGroup", "versions": versions, "preferredVersion": {"version": "v1"}}
        )
        assert gateway.served_versions("hco.kubevirt.io") == ("v1", "v1beta1")

    def test_an_absent_group_has_no_versions(self, api: HttpApi, gateway: Gateway) -> None:
        api.routes["/apis/hco.kubevirt.io"] = NOT_SERVED
        assert gateway.served_versions("hco.kubevirt.io") == ()

    def test_the_server_s_version_and_time(self, gateway: Gateway) -> None:
        assert gateway.server_time == ""
        assert gateway.server_version() == "v1.31.4"
        assert gateway.server_time == CAPTURED_AT

    @pytest.mark.parametrize("allowed", [True, False])
    def test_rights_can_be_asked_for(self, api: HttpApi, gateway: Gateway, allowed: bool) -> None:
        api.routes["/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"] = Reply(
            201, {"kind": "SelfSubjectAccessReview", "status": {"allowed": allowed}}
        )
        assert gateway.can_i("create", resources.MIGRATIONS, "shop") is allowed
        assert api.requests[0].document["spec"]["resourceAttributes"] == {
            "verb": "create",
            "group": "kubevirt.io",
            "resource": "virtualmachineinstancemigrations",
            "namespace": "shop",
        }


class TestCredentials:
    def test_a_bearer_token_reaches_the_server(self, api: HttpApi, make_gateway: Callable[..., Gateway]) -> None:
        make_gateway(api.url, token="sesame").server_version()
        headers = {name.lower(): value for name, value in api.requests[0].headers.items()}
        assert headers["authorization"] == "Bearer sesame"
        assert headers["user-agent"] == "ocpv-scale"
