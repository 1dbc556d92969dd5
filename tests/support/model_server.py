"""A scripted model server for tests: a real HTTP process in OpenAI's wire form.

    from tests.support.model_script import answers, call, calls, faulty, Fault, plays
    from tests.support.model_server import ModelServer

    script = plays(
        calls(call("gauge", path="/tmp/g")),                       # 1st request of a conversation
        faulty(answers({"findings": []}), Fault(status=429, retry_after=0.1, times=2)),   # 2nd
    )
    with ModelServer(script) as server:
        Settings(router_url=server.url, …)
        …
        assert [seen.turn for seen in server.requests()] == [0, 1, 1, 1]

It answers `POST /v1/chat/completions`, plain and streaming, and `GET /v1/models`, each connection
kept alive. Several agents have a role each: `Script(roles=(role("a", "^alpha/", …), role("rest",
None, …)))`; a role's pattern is searched in the `user` field and in the system's and users' text.
`model_script.py` says what a role, a turn and a fault can do and which placeholders an answer may
hold; `model_form.py` what is refused with 400 as OpenAI and vLLM refuse it. Usage is counted over
the whole request, see `model_talk.py`.

`server.play(script)` changes the script, `forget()` clears the record and the tally, `kill()`,
`restart()`, `freeze()` and `thaw()` do to the process what they say; the URL stays the same. The
record is a file, so it can be read whatever became of the process. As a program it runs by itself:

    python -m tests.support.model_server --script script.json --host 0.0.0.0 --port 4100
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import http.client
import json
import os
import random
import resource
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from swarm_tasks.guarded import Guarded
from tests.support.model_playback import Playback, Tally
from tests.support.model_script import Script
from tests.support.model_talk import COUNT, counter
from tests.support.model_wire import Wire
from tests.support.waiting import wait_until

REPOSITORY = Path(__file__).parent.parent.parent
LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below what systems give to clients: where nobody listens for a while, a client that connects to
a port of that range can be given the same port and then speaks to itself."""

TRIES = 50
CONTROL_SECONDS = 20.0
READY = "ready"


@dataclass(frozen=True, slots=True)
class Seen:
    """One chat request that a server was sent.

    Args:
        headers: Names in lower case.
        role: The name of the role that answered; empty where none fits.
        turn: The assistant's messages before it.
        connection: Which of the server's connections it came by, from 1.
        status: What it was answered with, or would have been but for a fault without a status.
        replied: Whether the reply was sent to its end, faulty or not.
        hung_up: Whether the client closed the connection before that.
    """

    headers: dict[str, str]
    body: dict[str, Any]
    role: str
    turn: int
    connection: int
    status: int
    prompt_tokens: int
    completion_tokens: int
    replied: bool = False
    hung_up: bool = False


class ModelServer:
    """The server's process; use it as a context manager.

    Args:
        script: What it says.
        record: Whether requests are kept; benchmarks keep none.
        tokens: What counts the tokens of a text, as `MODULE:FUNCTION`.
    """

    def __init__(self, script: Script, record: bool = True, tokens: str = COUNT) -> None:
        self._script = script
        self._options = ("--tokens", tokens)
        self._records = record
        self._skip_bytes = 0
        self._port = 0
        self._pid = 0

    def __enter__(self) -> ModelServer:
        self._directory = tempfile.TemporaryDirectory(prefix="hostswarm-model-")
        self._process = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        self._process.stop()
        log = self._path("log").read_text(encoding="utf-8")
        self._directory.cleanup()
        if "Traceback" in log:
            raise RuntimeError(f"the model server itself failed:\n{log}")

    @property
    def url(self) -> str:
        """The base URL, to be set as `router_url`."""
        return f"http://{LOOPBACK}:{self._port}/v1"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._pid

    def requests(self) -> list[Seen]:
        """Every chat request since the start or the last `forget`, oldest first."""
        if not self._records:
            raise RuntimeError("this server keeps no record")
        found: dict[tuple[int, int], dict[str, Any]] = {}
        with self._path("record").open("rb") as record:
            record.seek(self._skip_bytes)
            lines = record.read().splitlines()
        for line in map(json.loads, lines):
            key = (line.pop("pid"), line.pop("n"))
            if "body" in line:
                found[key] = line
            elif key in found:
                found[key] |= {"hung_up": line["hung_up"], "replied": not line["hung_up"]}
        return [Seen(**one) for one in found.values()]

    def tally(self) -> Tally:
        """Sums over all chat requests since the last `forget`, kept even without a record."""
        return Tally(**self._control("tally"))

    def play(self, script: Script) -> None:
        """Follow another script from the next request on."""
        self._script = script
        self._control("play", script.model_dump_json())

    def forget(self) -> None:
        """Clear the record and the tally."""
        if self._records:
            self._skip_bytes = self._path("record").stat().st_size
        self._control("forget")

    def kill(self) -> None:
        """SIGKILL, as a power cut would; nobody listens on its port then."""
        os.kill(self._pid, signal.SIGKILL)
        self._process.stop()

    def restart(self) -> None:
        """Start it again on the same port with the script that it had last."""
        self._process.stop()
        self._process = self._start()

    def freeze(self) -> None:
        """SIGSTOP: it accepts connections and never answers."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGCONT)

    def _path(self, name: str) -> Path:
        return Path(self._directory.name) / name

    def _start(self) -> Guarded:
        self._path("script").write_text(self._script.model_dump_json(), encoding="utf-8")
        log = self._path("log")
        log.write_bytes(b"")
        kept = ("--record", str(self._path("record"))) if self._records else ()
        module = ("-m", "tests.support.model_server", "--script", str(self._path("script")))
        argv = (sys.executable, *module, "--port", str(self._port), *kept, *self._options)
        process = Guarded(argv, {**os.environ, "PYTHONPATH": str(REPOSITORY)}, log, 1.0)

        def ready() -> list[str]:
            if process.ended() is not None:
                raise RuntimeError(f"the model server did not start:\n{log.read_text()}")
            words = log.read_text(encoding="utf-8").split()
            return words if words[:1] == [READY] and len(words) == 3 else []

        _, port, pid = wait_until("the model server is up", ready)
        self._port, self._pid = int(port), int(pid)
        return process

    def _control(self, verb: str, body: str = "") -> dict[str, Any]:
        address = urlsplit(self.url).netloc
        connection = http.client.HTTPConnection(address, timeout=CONTROL_SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", f"/_control/{verb}", body.encode())
            with connection.getresponse() as reply:
                text = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"the model server cannot {verb}: {text.decode()}")
        return json.loads(text)


async def serve(playback: Playback, host: str, port: int) -> None:
    """Answer until the process is ended. Port 0 takes one that is free."""
    server, bound = await _listen(playback, host, port)
    sys.stdout.write(f"{READY} {bound} {os.getpid()}\n")
    sys.stdout.flush()
    # What stands now stays: no need to look through it for garbage at each full collection.
    gc.collect()
    gc.freeze()
    async with server:
        await server.serve_forever()


async def _listen(playback: Playback, host: str, port: int) -> tuple[asyncio.Server, int]:
    """A server and its port."""
    loop = asyncio.get_running_loop()
    for one in [port] if port else random.sample(PORTS, TRIES):
        with contextlib.suppress(*(() if port else (OSError,))):
            return await loop.create_server(lambda: Wire(playback), host, one, backlog=4096), one
    raise OSError(f"none of {TRIES} ports of {PORTS.start} to {PORTS.stop} is free")


def main() -> None:
    """Run as a program, until it is ended by a signal."""
    parser = argparse.ArgumentParser(description="A model that follows a script.")
    parser.add_argument("--script", type=Path, required=True, help="a JSON file")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--record", type=Path, help="a file for every chat request")
    parser.add_argument("--tokens", default=COUNT, help="MODULE:FUNCTION that counts a text's")
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    record: int | None = None
    if given.record is not None:
        record = os.open(given.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    script = Script.model_validate_json(given.script.read_bytes())
    playback = Playback(script, counter(given.tokens), record)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(playback, given.host, given.port))


if __name__ == "__main__":
    main()
