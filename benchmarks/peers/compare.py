"""Runs every peer, the floor and ours against the same server, and puts them in one table."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.brain import (
    CORES,
    KILOBYTE,
    LARGE,
    MIDDLE,
    MOST_TOKENS,
    SCALES,
    SMALL,
    Opening,
    Scale,
    agents,
    opening,
    script_of,
    turns,
)
from benchmarks.peers.task import STEPS, Brief, Taken
from benchmarks.support import MEGABYTE, Figure, Table
from tests.support.fleets import REPOSITORY
from tests.support.model_script import plays
from tests.support.model_server import ModelServer

HERE = Path(__file__).parent
ENVIRONMENTS = REPOSITORY / ".venv-peers"
OURS, FLOOR = "hostswarm", "bare aiohttp"
COUNTING = "swarms"
"""The peer whose environment has a public tokenizer."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that does the task.

    Args:
        requirements: The file of what it needs, beside this one; empty for the project's own.
    """

    name: str
    module: str
    requirements: str = ""

    @property
    def home(self) -> Path:
        """Its virtual environment."""
        return ENVIRONMENTS / self.module

    @property
    def python(self) -> str:
        """Its Python."""
        return str(self.home / "bin" / "python") if self.requirements else sys.executable


PEERS = (
    Peer("langgraph", "on_langgraph", "requirements-langgraph.txt"),
    Peer("openai-agents", "on_openai_agents", "requirements-openai-agents.txt"),
    Peer("pydantic-ai", "on_pydantic_ai", "requirements-pydantic-ai.txt"),
    Peer(COUNTING, "on_swarms", "requirements-swarms.txt"),
)
ALL = (Peer(FLOOR, "bare"), *PEERS)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one program at one scale.

    Args:
        cpu_seconds: Of ours: of all workers.
        agent_kilobytes: What each task at once adds to resident memory; 0 where not measured.
    """

    wall_seconds: float
    cpu_seconds: float
    agent_kilobytes: float = 0.0
    rest_megabytes: float = 0.0


Runs = Mapping[tuple[str, str], Sequence[Run]]
"""By program and scale."""

RETRIED_SHARE = 0.01
"""How many of a peer's calls may be tried again before its run is thrown away."""


def compare(runs: int) -> Table:
    """Measure all of them, in turn, as many times as is asked for."""
    for peer in PEERS:
        install(peer)
    with ModelServer(script_of(*turns(seconds=0.0))) as server:
        told, prompts = conversations(server)
    with ModelServer(script_of(*turns()), record=False) as server:
        found: dict[tuple[str, str], list[Run]] = {}
        for scale in SCALES:
            for _ in range(runs):
                found.setdefault((OURS, scale.name), []).append(ours(scale, server))
                for peer in ALL:
                    found.setdefault((peer.name, scale.name), []).append(
                        theirs(peer, scale, server, told)
                    )
    return Table("peers: four-call tasks, ours and others", (*rows(found, prompts),), notes())


def install(peer: Peer) -> None:
    """Make a peer's environment, unless it stands as its requirements say."""
    wanted = (HERE / peer.requirements).read_bytes()
    stamp = peer.home / "made-for"
    digest = hashlib.sha256(wanted).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return
    print(f"installing {peer.name}; this takes a while", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(peer.home)], check=True)
    pip = [peer.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(["nice", *pip, "-r", str(HERE / peer.requirements)], check=True)
    stamp.write_text(digest, encoding="utf-8")


def conversations(server: ModelServer) -> tuple[Opening, dict[str, list[dict[str, Any]]]]:
    """What ours tells its model, and the requests of one task of each program."""
    prompts: dict[str, list[dict[str, Any]]] = {}
    one = Scale(1, 1, 1, 0.0)
    with agents(one, server) as running:
        running.job()
        told = opening(server)
        prompts[OURS] = [seen.body for seen in server.requests() if seen.role == "worker"]
    for peer in ALL:
        theirs(peer, one, server, told)
        # The first half is its task to warm up.
        prompts[peer.name] = [seen.body for seen in server.requests()][-STEPS:]
    return told, prompts


def ours(scale: Scale, server: ModelServer) -> Run:
    """One run of ours, on a fleet that is started for it."""
    with agents(scale, server) as running:
        kilobytes = running.waiting_bytes() / KILOBYTE if scale is LARGE else 0.0
        rest = running.resident_bytes() / MEGABYTE
        sample = running.job()
    return Run(sample.wall, sample.cpu["workers"], kilobytes, rest)


def theirs(peer: Peer, scale: Scale, server: ModelServer, told: Opening) -> Run:
    """One run of a peer's program, in a process and a directory of its own."""
    server.play(plays(*turns(), counts="tool"))
    server.forget()
    brief = Brief(server.url, told.system, told.question, scale.tasks, scale.at_once)
    with tempfile.TemporaryDirectory(prefix="hostswarm-peer-") as directory:
        done = subprocess.run(
            [peer.python, "-m", f"benchmarks.peers.{peer.module}", json.dumps(asdict(brief))],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "WORKSPACE_DIR": directory},
            capture_output=True,
            check=False,
            text=True,
            cwd=directory,
        )
    if done.returncode != 0:
        raise RuntimeError(f"{peer.name} failed at {scale.name}:\n{done.stderr[-2000:]}")
    asked, wanted = server.tally().requests, STEPS * (scale.tasks + 1)
    # Peers try again as they come, and under load some do; fewer calls would be another task.
    if not wanted <= asked <= wanted * (1 + RETRIED_SHARE):
        raise RuntimeError(f"{peer.name} made {asked} calls in place of {wanted}")
    taken = Taken(**json.loads(done.stdout.splitlines()[-1]))
    return Run(
        taken.wall_seconds,
        taken.cpu_seconds,
        (taken.most_bytes - taken.rest_bytes) / scale.at_once / KILOBYTE,
        taken.rest_bytes / MEGABYTE,
    )


def rows(found: Runs, prompts: Mapping[str, list[dict[str, Any]]]) -> Iterator[Figure]:
    """Every figure of every program, ours first."""
    names = (OURS, *(peer.name for peer in ALL))
    for scale in SCALES:
        for name in names:
            ratios = [run.wall_seconds / scale.ideal_seconds for run in found[name, scale.name]]
            yield Figure(f"{scale.name}: {name}, wall ÷ ideal", "×", ratios, None, 2)
    for name in names:
        each = 1000 / (STEPS * MIDDLE.tasks)
        used = [each * run.cpu_seconds for run in found[name, MIDDLE.name]]
        yield Figure(f"CPU a call at {MIDDLE.name}: {name}", "ms", used, None, 2)
    for name in names:
        added = [run.agent_kilobytes for run in found[name, LARGE.name]]
        yield Figure(f"memory an agent adds: {name}", "KB", added, None, 0)
    for name in names:
        rest = [run.rest_megabytes for run in found[name, SMALL.name]]
        yield Figure(f"memory at rest: {name}", "MB", rest, None, 0)
    counted = public_tokens([prompts[name] for name in names])
    for name, tokens in zip(names, counted, strict=True):
        most = MOST_TOKENS if name == OURS else None
        yield Figure(f"prompt tokens a task, cl100k_base: {name}", "", [tokens], most, 0)


def public_tokens(tasks: Sequence[list[dict[str, Any]]]) -> list[int]:
    """What the prompts of each task hold, by OpenAI's public tokenizer."""
    (peer,) = (one for one in PEERS if one.name == COUNTING)
    done = subprocess.run(
        [peer.python, "-m", "benchmarks.peers.tokens"],
        input="".join(f"{json.dumps(task)}\n" for task in tasks),
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return [int(line) for line in done.stdout.split()]


def notes() -> tuple[str, ...]:
    """What the figures rest on."""
    pins = [
        line
        for peer in PEERS
        for line in (HERE / peer.requirements).read_text(encoding="utf-8").split()
    ]
    return (
        f"{', '.join(pins)}; each in one process, its tracing off, retries as they come.",
        f"Ours is the whole product: six workers ({CORES} at {LARGE.name}), control, store, a "
        "claim that is measured again, every step kept. Its CPU is that of all workers.",
        "All have the same standing orders, question, tool and replies: those of ours.",
        "A peer's memory is the most it had over what it had after one task, a task at once; "
        "ours is what its workers grow by until all agents wait.",
    )
