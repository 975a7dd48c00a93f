"""Listing the reference cluster's VMs over HTTP, beside a server that only hands out the same bytes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection

from simcluster.testing import Client

from .measurement import SECONDS, Measurement, NotMeasured, in_turn, within_limit
from .workbench import Workbench

PATH = "/apis/kubevirt.io/v1/virtualmachines"
PAGE_SIZE = 500
LIST_SECONDS = 3.0


def measure(bench: Workbench) -> list[Measurement]:
    """With parsing and without; both through the same client, a new connection for each page."""
    client = bench.cluster.client()
    queries = _pages(client)
    answers = [client.get(PATH, **query) for query in queries]
    count = sum(len(answer.json()["items"]) for answer in answers)
    with _served([answer.body for answer in answers]) as url:
        plain = Client(url)
        listed, fetched, bare = in_turn(
            bench.rounds,
            lambda: client.items(PATH, PAGE_SIZE),
            lambda: [client.get(PATH, **query) for query in queries],
            lambda: [plain.get(f"/{number}") for number in range(len(answers))],
        )
    megabytes = sum(len(answer.body) for answer in answers) / 1e6
    what = f"{count:,} VMs in pages of {PAGE_SIZE}"
    peer = f"the bare fetch of the same {megabytes:.1f} MB"
    return [
        within_limit(f"{what}, parsed", SECONDS, listed, LIST_SECONDS),
        Measurement(f"{what}, parsed", SECONDS, listed, peer, bare),
        Measurement(f"{what}, not parsed", SECONDS, fetched, peer, bare),
    ]


def _pages(client: Client) -> list[dict[str, str]]:
    """The queries of all pages; their continue tokens can be used again and again."""
    query = {"limit": str(PAGE_SIZE)}
    found = []
    while True:
        found.append(dict(query))
        answer = client.get(PATH, **query)
        if answer.status != 200:
            raise NotMeasured(f"GET {PATH}: {answer.status} {answer.body[:200]!r}")
        token = answer.json()["metadata"].get("continue")
        if not token:
            return found
        query["continue"] = token


@contextmanager
def _served(pages: list[bytes]) -> Iterator[str]:
    """Serve these pages at /0, /1, ... in a process of its own; gives the URL."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(pages, there), daemon=True)
    process.start()
    try:
        if not here.poll(30):
            raise NotMeasured("the server of plain bytes did not start within 30 s")
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(pages: list[bytes], ready: Connection) -> None:
    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True  # or the end of a page waits for a delayed acknowledgement

        def do_GET(self) -> None:
            page = pages[int(self.path.removeprefix("/"))]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    ready.send(server.server_address[1])
    server.serve_forever()
