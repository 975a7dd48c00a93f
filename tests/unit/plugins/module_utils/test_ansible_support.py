"""Modules connect with kubernetes.core's options, and their errors are messages, never tracebacks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import (
    auth_argument_spec,
    connect,
    run_module,
    store_file,
)
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import resources
from ansible_collections.ocpv.scale.plugins.module_utils.errors import (
    ApiError,
    Forbidden,
    InvalidInput,
    TimedOut,
    Unauthorized,
    Unreachable,
)
from support.http_api import HttpApi, Reply, http_api, status
from support.modules import run_module_main

TOKEN = "sha256~a-very-secret-token"


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No connection options, kubeconfig or discovery cache of the machine the tests run on."""
    for name in AUTH_ARG_SPEC:
        monkeypatch.delenv(f"K8S_AUTH_{name.upper()}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


@pytest.fixture
def api() -> Iterator[HttpApi]:
    with http_api() as server:
        server.collections[resources.NODES.path()] = [{"metadata": {"name": "w1"}}]
        yield server


def authorization(api: HttpApi) -> set[str | None]:
    """What the requests carried to authenticate."""
    return {
        {name.lower(): value for name, value in request.headers.items()}.get("authorization")
        for request in api.requests
    }


def kubeconfig(url: str, token: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


class TestConnect:
    def test_a_token_reaches_the_server_with_every_request(self, api: HttpApi) -> None:
        gateway = connect(host=api.url, api_key=TOKEN)
        gateway.list(resources.NODES)
        assert authorization(api) == {f"Bearer {TOKEN}"}
        assert api.asked(resources.NODES.path())

    def test_a_token_of_the_environment_does(self, api: HttpApi, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("K8S_AUTH_HOST", api.url)
        monkeypatch.setenv("K8S_AUTH_API_KEY", TOKEN)
        connect().list(resources.NODES)
        assert authorization(api) == {f"Bearer {TOKEN}"}

    @pytest.mark.parametrize("as_file", [True, False])
    def test_a_token_of_a_kubeconfig_does(self, api: HttpApi, tmp_path: Path, as_file: bool) -> None:
        content = kubeconfig(api.url, TOKEN)
        file = tmp_path / "config"
        file.write_text(yaml.safe_dump(content))
        connect(kubeconfig=str(file) if as_file else content).list(resources.NODES)
        assert authorization(api) == {f"Bearer {TOKEN}"}

    def test_an_explicit_token_wins_over_that_of_the_kubeconfig(self, api: HttpApi) -> None:
        gateway = connect(kubeconfig=kubeconfig(api.url, "sha256~old"), api_key=TOKEN)
        gateway.list(resources.NODES)
        headers = {name.lower(): value for name, value in api.asked(resources.NODES.path())[0].headers.items()}
        assert headers["authorization"] == f"Bearer {TOKEN}"

    def test_an_explicit_host_wins_over_that_of_the_kubeconfig(self, api: HttpApi) -> None:
        with http_api() as other:
            connect(kubeconfig=kubeconfig(other.url, TOKEN), host=api.url).list(resources.NODES)
        assert api.asked(resources.NODES.path())

    def test_connections_of_one_process_do_not_mix(self, api: HttpApi) -> None:
        with http_api() as other:
            connect(kubeconfig=kubeconfig(other.url, "sha256~other"))
            asked = len(other.requests)
            connect(host=api.url, api_key=TOKEN).list(resources.NODES)
            assert len(other.requests) == asked
        assert authorization(api) == {f"Bearer {TOKEN}"}

    def test_impersonation_is_sent(self, api: HttpApi) -> None:
        connect(host=api.url, api_key=TOKEN, impersonate_user="alice", impersonate_groups=["a", "b"]).list(
            resources.NODES
        )
        headers = {name.lower(): value for name, value in api.asked(resources.NODES.path())[0].headers.items()}
        assert headers["impersonate-user"] == "alice"
        assert headers["impersonate-group"] == "a,b"

    @pytest.mark.parametrize("by_environment", [True, False])
    def test_user_name_and_password_are_refused_before_anything_is_asked(
        self, api: HttpApi, monkeypatch: pytest.MonkeyPatch, by_environment: bool
    ) -> None:
        options = {"username": "admin", "password": "hunter2"}
        if by_environment:
            for name, value in options.items():
                monkeypatch.setenv(f"K8S_AUTH_{name.upper()}", value)
            options = {}
        with pytest.raises(InvalidInput, match="username: 'admin' cannot be used: .*pass it as api_key") as caught:
            connect(host=api.url, **options)
        assert "openshift_auth" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert api.requests == []

    def test_a_wrong_token_is_told(self, api: HttpApi) -> None:
        api.routes["/version"] = status(401, "Unauthorized", "Unauthorized")
        with pytest.raises(Unauthorized) as caught:
            connect(host=api.url, api_key=TOKEN)
        assert "expired" in caught.value.hint
        assert TOKEN not in str(caught.value)

    def test_a_server_that_is_not_there_is_told(self) -> None:
        slept: list[float] = []
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            host = f"http://127.0.0.1:{unused.getsockname()[1]}"
            with pytest.raises(Unreachable, match="Could not reach the API server.*refused") as caught:
                connect(host=host, api_key=TOKEN, clock=lambda: sum(slept), sleep=slept.append)
        assert "host" in caught.value.hint
        assert 5 < sum(slept) <= 10

    @pytest.mark.parametrize("trouble", [Reply(drop=True), status(503, "ServiceUnavailable", "starting")])
    def test_a_server_that_starts_is_waited_for(self, api: HttpApi, trouble: Reply) -> None:
        slept: list[float] = []
        api.script = [trouble] * 9
        connect(host=api.url, api_key=TOKEN, clock=lambda: sum(slept), sleep=slept.append)
        assert slept

    def test_no_connection_at_all_is_told(self) -> None:
        with pytest.raises(ApiError, match="Could not read the connection") as caught:
            connect()
        assert "kubeconfig" in caught.value.hint

    def test_a_kubeconfig_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match=f"kubeconfig: '{tmp_path}/gone'"):
            connect(kubeconfig=f"{tmp_path}/gone")

    def test_a_broken_kubeconfig_does_not_show_its_secrets(self, tmp_path: Path) -> None:
        file = tmp_path / "config"
        file.write_text(f"users:\n- user: {{token: {TOKEN}, x: [}}\n")
        with pytest.raises(ApiError, match="line 2") as caught:
            connect(kubeconfig=str(file))
        assert TOKEN not in str(caught.value)

    @pytest.mark.parametrize("version", ["36.0.0", "36.0.1", "27.2.0"])
    def test_a_library_that_does_not_work_is_refused(self, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
        monkeypatch.setattr(kubernetes, "__version__", version)
        with pytest.raises(InvalidInput, match=f"kubernetes: '{version}' cannot be used: 28.1.0 or later"):
            connect(host="http://127.0.0.1:1", api_key=TOKEN)


class TestRunModule:
    def result(self, operation: Any, **arguments: Any) -> dict[str, Any]:
        spec = {"size": {"type": "int"}, "path": {"type": "path"}}
        return run_module_main(lambda: run_module(spec, operation), arguments)

    def test_the_operation_s_result_is_the_module_s(self) -> None:
        result = self.result(lambda module, connect: {"twice": module.params["size"] * 2}, size=21)
        assert result["twice"] == 42
        assert result["changed"] is False

    def test_the_gateway_is_made_when_asked_for(self, api: HttpApi) -> None:
        def operation(module: Any, connect: Any) -> dict[str, Any]:
            return {"count": len(connect().list(resources.NODES).items)}

        assert self.result(operation, host=api.url, api_key=TOKEN)["count"] == 1
        assert authorization(api) == {f"Bearer {TOKEN}"}

    def test_errors_are_failures_with_hint_and_details(self) -> None:
        def operation(module: Any, connect: Any) -> dict[str, Any]:
            raise TimedOut("Waited too long.", hint="Wait longer.", details={"left": ["a"]})

        result = self.result(operation)
        assert result["failed"] is True
        assert result["msg"] == "Waited too long. Wait longer."
        assert (result["hint"], result["details"], result["error"]) == ("Wait longer.", {"left": ["a"]}, "TimedOut")
        assert "exception" not in result

    def test_errors_of_the_server_are(self, api: HttpApi) -> None:
        api.routes[resources.NODES.path()] = status(403, "Forbidden", 'User "x" cannot list resource "nodes"')
        result = self.result(lambda module, connect: connect().list(resources.NODES), host=api.url, api_key=TOKEN)
        assert result["error"] == Forbidden.__name__
        assert "docs/rbac" in result["hint"]
        assert result["details"]["request"] == "GET /api/v1/nodes"

    def test_a_token_in_a_message_is_hidden(self, api: HttpApi) -> None:
        api.routes["/version"] = Reply(400, f"bad header Authorization: Bearer {TOKEN}", {"Content-Type": "text/plain"})
        result = self.result(lambda module, connect: connect(), host=api.url, api_key=TOKEN)
        assert result["failed"] is True
        assert TOKEN not in str(result)


class FakeModule:
    def __init__(self, tmpdir: Path, check_mode: bool = False) -> None:
        self.tmpdir = str(tmpdir)
        self.check_mode = check_mode

    def atomic_move(self, source: str, target: str) -> None:
        Path(source).replace(target)


class TestStoreFile:
    def test_a_file_is_written_once(self, tmp_path: Path) -> None:
        (tmp_path / "tmp").mkdir()
        module, path = FakeModule(tmp_path / "tmp"), str(tmp_path / "plan.json")
        assert store_file(module, "path", path, b"1") is True
        assert store_file(module, "path", path, b"1") is False
        assert store_file(module, "path", path, b"2") is True
        assert (tmp_path / "plan.json").read_bytes() == b"2"

    def test_check_mode_only_tells(self, tmp_path: Path) -> None:
        path = tmp_path / "plan.json"
        assert store_file(FakeModule(tmp_path, check_mode=True), "path", str(path), b"1") is True
        assert not path.exists()

    @pytest.mark.parametrize("name", ["absent/plan.json", "."])
    def test_a_place_that_cannot_be_is_told(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InvalidInput, match="path: .*existing directory"):
            store_file(FakeModule(tmp_path), "path", str(tmp_path / name), b"1")


def test_the_specification_is_a_copy() -> None:
    spec = auth_argument_spec()
    assert spec == AUTH_ARG_SPEC
    spec["proxy_headers"]["options"]["basic_auth"]["no_log"] = False
    assert AUTH_ARG_SPEC["proxy_headers"]["options"]["basic_auth"]["no_log"] is True
