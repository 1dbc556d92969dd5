"""The line between one process and the store, which a test can hold and cut."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from enum import Enum
from pathlib import Path

CHUNK_BYTES = 1 << 16


class Line(Enum):
    """How the line is."""

    WHOLE = "whole"
    HELD = "held"
    """Nothing passes, and nobody is told: as when a switch drops what it gets."""

    CUT = "cut"
    """All connections are closed, and new ones are refused."""


class Cable:
    """Passes on what comes to a Unix socket; use it as a context manager.

    Args:
        path: Where it listens.
        target: The socket that it leads to.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self._path = path
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._line = Line.WHOLE
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._turn, name="cable", daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> Cable:
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @property
    def url(self) -> str:
        """What a process is given as the store's URL."""
        return f"unix://{self._path}"

    def set(self, line: Line) -> None:
        """Hold, cut or mend the line; returns when that is done."""
        asyncio.run_coroutine_threadsafe(self._set(line), self._loop).result(5)

    async def _set(self, line: Line) -> None:
        self._line = line
        if line is Line.WHOLE:
            self._whole.set()
        else:
            self._whole.clear()
        if line is Line.CUT:
            for writer in self._open:
                writer.transport.abort()

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._whole.set()
        server = self._loop.run_until_complete(
            asyncio.start_unix_server(self._serve, str(self._path))
        )
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._join(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._line is Line.CUT:
            return
        await self._whole.wait()
        try:
            there, back = await asyncio.open_unix_connection(str(self._target))
        except OSError:
            return
        self._open |= {writer, back}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back))
                group.create_task(self._pump(there, writer))
        finally:
            self._open -= {writer, back}
            back.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK_BYTES):
                await self._whole.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
