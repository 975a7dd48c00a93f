"""A way from a network namespace to a port outside of it."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self


class Door:
    """``with Door(path, port):`` what connects to 127.0.0.1 in the namespace gets to the same port outside."""

    def __init__(self, namespace: str, port: int) -> None:
        self._namespace = namespace
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        # a namespace is a thread's own, and the socket stays where it was made
        with ThreadPoolExecutor(1) as inside:
            listening = inside.submit(self._listen).result()
        self._thread.start()
        opening = asyncio.start_server(self._carry, sock=listening)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _listen(self) -> socket.socket:
        with open(self._namespace, "rb") as namespace:
            os.setns(namespace.fileno(), os.CLONE_NEWNET)
        return socket.create_server(("127.0.0.1", self._port))

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            self._tasks.discard(task)
            writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass
    finally:
        target.close()
