"""The command against a server: pages, watches that drop and expire, and an exit that says what was seen."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

ROOT = Path(__file__).parents[2]
GROUPS = {"hyperconvergeds": "hco.kubevirt.io/v1beta1"}
Obj = dict[str, Any]


class Server:
    """Just enough of an API server: lists in pages, watches from any version, versions that expire on demand."""

    def __init__(self, objects: dict[str, list[Obj]], page_size: int = 100) -> None:
        self.page_size = page_size
        self.version = 100
        self.expired_before = 0
        self.fail_lists = False
        self.requests: list[str] = []
        self.objects = {plural: [self._stamp(obj) for obj in of_kind] for plural, of_kind in objects.items()}
        self.events: list[tuple[int, str, str, Obj]] = []
        self.changed = asyncio.Condition()
        self.streams: set[asyncio.Task[None]] = set()

    def _stamp(self, obj: Obj) -> Obj:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        return obj

    async def change(self, plural: str, obj: Obj, event: str = "MODIFIED") -> None:
        async with self.changed:
            known = self.objects.setdefault(plural, [])
            known[:] = [other for other in known if other["metadata"]["uid"] != obj["metadata"]["uid"]]
            self._stamp(obj)
            if event != "DELETED":
                known.append(obj)
            self.events.append((self.version, plural, event, copy.deepcopy(obj)))
            self.changed.notify_all()

    async def expire(self) -> None:
        """Forget history and end all watches."""
        async with self.changed:
            self.version += 1
            self.expired_before = self.version
            self.events.clear()
        for stream in list(self.streams):
            stream.cancel()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        if request.headers.get("Authorization") != "Bearer secret":
            return web.json_response({"message": "Unauthorized"}, status=401)
        if request.path == "/apis/hco.kubevirt.io":
            return web.json_response({"preferredVersion": {"groupVersion": GROUPS["hyperconvergeds"]}})
        plural = request.path.rpartition("/")[2]
        if plural not in self.objects:
            return web.Response(status=404, text="404 page not found")
        if request.query.get("watch"):
            return await self._watch(request, plural)
        if self.fail_lists:
            return web.json_response({"message": "slow down"}, status=429)
        start = int(request.query.get("continue", "0"))
        items = self.objects[plural][start : start + self.page_size]
        more = str(start + self.page_size) if start + self.page_size < len(self.objects[plural]) else ""
        return web.json_response({"items": items, "metadata": {"resourceVersion": str(self.version), "continue": more}})

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        version = int(request.query["resourceVersion"])
        answer = web.StreamResponse()
        await answer.prepare(request)
        if version < self.expired_before:
            await answer.write(b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n')
            return answer
        task = asyncio.current_task()
        assert task
        self.streams.add(task)
        try:
            while True:
                async with self.changed:
                    due = [event for event in self.events if event[0] > version and event[1] == plural]
                    if not due:
                        await self.changed.wait()
                        continue
                for number, _, event, obj in due:
                    version = number
                    await answer.write(json.dumps({"type": event, "object": obj}).encode() + b"\n")
        except asyncio.CancelledError:
            return answer
        finally:
            self.streams.discard(task)


@contextlib.asynccontextmanager
async def serving(server: Server, tmp_path: Path) -> AsyncIterator[Path]:
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": [{"name": "k", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "u", "user": {"token": "secret"}}],
            }
        )
    )
    try:
        yield kubeconfig
    finally:
        await runner.cleanup()


async def audit(
    server: Server, tmp_path: Path, during: Callable[[], Awaitable[None]], *options: str
) -> tuple[int, list[Obj], str]:
    """Exit status, lines of the output file and printed text of an audit during which C(during) happens."""
    async with serving(server, tmp_path) as kubeconfig:
        stop, ready, output = tmp_path / "stop", tmp_path / "ready", tmp_path / "audit.jsonl"
        command = [
            *(sys.executable, "-m", "audit", "--kubeconfig", str(kubeconfig), "--output", str(output)),
            *("--until-file", str(stop), "--ready-file", str(ready)),
            *("--lag-seconds", "0.3", "--overlap-seconds", "0.3", "--settle-seconds", "0.5", *options),
        ]
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            for _ in range(300):
                if ready.exists() or process.returncode is not None:
                    break
                await asyncio.sleep(0.05)
            await during()
            stop.touch()
            text, _ = await asyncio.wait_for(process.communicate(), 30)
        finally:
            if process.returncode is None:
                process.kill()
        lines = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
        return process.returncode or 0, lines, text.decode()


async def nothing() -> None:
    await asyncio.sleep(0)


def test_a_quiet_cluster_passes_and_is_read_in_pages(cluster: Callable[..., Any], tmp_path: Path) -> None:
    server = Server(cluster().objects)
    status, lines, text = asyncio.run(audit(server, tmp_path, nothing))
    assert (status, [line["severity"] for line in lines]) == (0, ["summary"])
    assert "no rule was broken" in text
    pages = [path for path in server.requests if path.startswith("/api/v1/pods?") and "watch" not in path]
    assert len(pages) == 2 * 5
    assert "/apis/hco.kubevirt.io/v1beta1/hyperconvergeds?limit=500" in server.requests


def test_a_broken_rule_is_written_printed_and_decides_the_exit(cluster: Callable[..., Any], tmp_path: Path) -> None:
    world = cluster()
    server = Server(world.objects)

    async def overload() -> None:
        pod = copy.deepcopy(world.launcher("web-01"))
        pod["metadata"].update(name="virt-launcher-web-01-xxxxx", uid="x")
        pod["spec"]["nodeName"] = "worker-12"
        pod["status"]["phase"] = "Pending"
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "15"
        await server.change("pods", pod, "ADDED")
        await asyncio.sleep(0.6)
        await server.change("pods", pod, "DELETED")

    status, lines, text = asyncio.run(audit(server, tmp_path, overload))
    assert status == 1
    assert [(line["severity"], line.get("rule")) for line in lines[:-1]] == [("violation", "node_requests")]
    assert lines[-1]["by_rule"] == {"node_requests": 1}
    assert "node_requests: worker-12: cpu 1" in text


def test_what_is_left_at_the_end_is_found(cluster: Callable[..., Any], tmp_path: Path) -> None:
    world = cluster()
    server = Server(world.objects)

    async def pin() -> None:
        machine = copy.deepcopy(world.find("virtualmachines", "web-01"))
        machine["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "worker-12"}
        await server.change("virtualmachines", machine)

    status, lines, _ = asyncio.run(audit(server, tmp_path, pin))
    assert status == 1
    assert [(line["rule"], line["subject"]) for line in lines[:-1]] == [("vm_changed", "shop/web-01")]


def test_an_expired_watch_is_noted_and_caught_up(cluster: Callable[..., Any], tmp_path: Path) -> None:
    world = cluster()
    server = Server(world.objects)

    async def blink() -> None:
        await asyncio.sleep(0.3)
        gone = world.find("virtualmachineinstances", "web-01")
        server.objects["virtualmachineinstances"].remove(gone)
        await server.expire()
        await asyncio.sleep(1)

    status, lines, _ = asyncio.run(audit(server, tmp_path, blink))
    assert status == 1
    rules = {(line["severity"], line.get("rule")) for line in lines}
    assert ("note", "gap") in rules
    assert ("violation", "vm_lost") in rules
    assert ("violation", "not_running") in rules


def test_an_auditor_that_cannot_see_does_not_pass(cluster: Callable[..., Any], tmp_path: Path) -> None:
    server = Server(cluster().objects)
    server.fail_lists = True
    status, _, text = asyncio.run(audit(server, tmp_path, nothing))
    assert status == 2
    assert "HTTP 429" in text


def test_a_kubeconfig_without_a_context_is_refused(tmp_path: Path) -> None:
    from audit.__main__ import main

    (tmp_path / "kubeconfig").write_text("contexts: []\n")
    assert main(["--kubeconfig", str(tmp_path / "kubeconfig"), "--output", str(tmp_path / "o")]) == 2
