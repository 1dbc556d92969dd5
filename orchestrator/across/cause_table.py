"""The causes that are known, as data: what to look at in findings, and what to say then. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.across.scene import Scene, place_of, word_of
from orchestrator.across.subjects import common_name_of, is_own, machine_of
from swarm_tasks.models.finding import Finding

HALF = 0.5

SERVICES = ("service.state", "service.expected", "service.restarts", "container.state")
ENDPOINTS = ("tcp.answer", "http.answer", "tls.answer")

Key = Callable[[Scene, Finding], str]
"""What a finding shares with others of one cause; empty where it shares nothing."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A rule: findings on several hosts that share one thing likely come from that thing.

    Args:
        metrics: Of what the findings are.
        key: What they share; `{key}` in the texts.
        share: Which part at least of the hosts that looked must have the finding.
        whole_group: Whether every host of one role must have it.
        states: For metrics that are words: the only words that fit; none means any.
        symptoms: Words of other endpoints' findings on the same hosts that it may explain.
    """

    kind: str
    metrics: tuple[str, ...]
    key: Key
    title: str
    advice: str
    share: float = HALF
    whole_group: bool = False
    states: frozenset[str] = frozenset()
    symptoms: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Chain:
    """A rule: on one host, trouble with these metrics likely leads to trouble with those.

    Args:
        words: What the symptom's own evidence must say, in lower case; none asks for nothing.
        states: The only words of a symptom that fit; none means any.
    """

    kind: str
    causes: tuple[str, ...]
    symptoms: tuple[str, ...]
    title: str
    why: str
    words: tuple[str, ...] = ()
    states: frozenset[str] = frozenset()


def _place(scene: Scene, finding: Finding) -> str:
    return place_of(finding)[1]


def _resolver(scene: Scene, finding: Finding) -> str:
    server = place_of(finding)[1]
    return "" if is_own(server) or " " in server else server


def machine_reached(scene: Scene, finding: Finding) -> str:
    target = place_of(finding)[1]
    return "" if is_own(target) or word_of(finding) == "unresolved" else machine_of(target)


def _name(scene: Scene, finding: Finding) -> str:
    return machine_of(place_of(finding)[1])


def _time_source(scene: Scene, finding: Finding) -> str:
    """The server that the time daemon names; hosts that follow none have that in common."""
    servers = (str((item.data or {}).get("server") or "") for item in scene.cited(finding))
    return next(filter(None, servers), "they are to follow")


def _certificate(scene: Scene, finding: Finding) -> str:
    return common_name_of(finding.claims[0].subject)


def _program(scene: Scene, finding: Finding) -> str:
    program = place_of(finding)[1]
    return "" if program == "processes killed" else program


def _make(scene: Scene, finding: Finding) -> str:
    make = place_of(finding)[1]
    return "" if make == "a disk" else make


SHARED = (
    Shared(
        kind="resolver",
        metrics=("dns.answer",),
        key=_resolver,
        title="Likely the resolver {key} itself, or the way to it",
        advice="Look at the resolver {key} before you look at each host.",
        symptoms=frozenset({"unresolved"}),
    ),
    Shared(
        kind="name",
        metrics=ENDPOINTS,
        key=_name,
        title="Likely the name {key}, which does not resolve",
        advice="See that the name {key} is in the DNS, before you look at each host.",
        states=frozenset({"unresolved"}),
    ),
    Shared(
        kind="target",
        metrics=(*ENDPOINTS, "ping.loss_percent"),
        key=machine_reached,
        title="Likely {key} itself, or the way to it",
        advice="Look at {key}, and at what stands between it and these hosts.",
    ),
    Shared(
        kind="service",
        metrics=SERVICES,
        key=_place,
        title="Likely what they share: a rollout, a setting or something {key} depends on",
        advice="Look for what changed for {key} on all of them before you mend each.",
        share=0.0,
        whole_group=True,
    ),
    Shared(
        kind="time",
        metrics=("time.offset_seconds", "time.synchronised"),
        key=_time_source,
        title="Likely the time source {key}, or the way to it",
        advice="Look at the time source {key}, and whether these hosts reach it.",
    ),
    Shared(
        kind="updates",
        metrics=("updates.security",),
        key=_place,
        title="Likely one round of updates that was not made",
        advice="Install the missing security updates on all of them in one go.",
    ),
    Shared(
        kind="certificate",
        metrics=("tls.left_seconds",),
        key=_certificate,
        title="Likely one certificate, for {key}, that was not renewed",
        advice="Renew the certificate for {key} once, and see that each host gets it.",
        share=0.0,
    ),
    Shared(
        kind="program",
        metrics=("kernel.oom_kills",),
        key=_program,
        title="Likely {key} itself, or a limit that is too low for it",
        advice="See what {key} needs its memory for, and give it that or less to do.",
        share=0.0,
    ),
    Shared(
        kind="make",
        metrics=("disk.smart",),
        key=_make,
        title="Likely one make of disk: {key}",
        advice="Replace these disks, and look at the others of this make.",
    ),
)

CHAINS = (
    Chain(
        kind="space",
        causes=("disk.used_percent", "disk.free_bytes", "disk.inodes_percent"),
        symptoms=SERVICES,
        title="Likely for want of space on {place}",
        why="what failed says in its log that there was no space left",
        words=("no space left on device", "enospc", "disk full", "disk quota exceeded"),
    ),
    Chain(
        kind="memory",
        causes=("kernel.oom_kills", "memory.used_percent", "swap.used_percent"),
        symptoms=SERVICES,
        title="Likely for want of memory",
        why="what failed says in its log that there was no memory left",
        words=("out of memory", "oom-kill", "oom killer", "cannot allocate memory", "enomem"),
    ),
    Chain(
        kind="handles",
        causes=("fds.used_percent",),
        symptoms=SERVICES,
        title="Likely for want of file handles",
        why="what failed says in its log that there were too many open files",
        words=("too many open files", "emfile", "enfile"),
    ),
    Chain(
        kind="disk",
        causes=("disk.smart", "kernel.io_errors"),
        symptoms=("raid.state", "disk.io_busy_percent", "disk.io_queue", "cpu.iowait_percent"),
        title="Likely a disk that fails: {place}",
        why="a disk of the same host is not well by its own account or the kernel's",
    ),
    Chain(
        kind="busy disk",
        causes=("disk.io_busy_percent",),
        symptoms=("disk.io_queue", "cpu.iowait_percent", "load.per_core"),
        title="Likely a disk that is busy all the time",
        why="what waits on this host waits for its disk",
    ),
    Chain(
        kind="resolver of the host",
        causes=("dns.answer",),
        symptoms=ENDPOINTS,
        title="Likely the resolver {place}",
        why="the same host could not resolve the names of what it should reach",
        states=frozenset({"unresolved"}),
    ),
    Chain(
        kind="clock",
        causes=("time.offset_seconds",),
        symptoms=ENDPOINTS,
        title="Likely the clock",
        why="a certificate does not fit where the clock is off",
        states=frozenset({"tls_error"}),
    ),
    Chain(
        kind="interface",
        causes=("net.errors", "net.drops_percent"),
        symptoms=("ping.loss_percent", "ping.rtt_ms", *ENDPOINTS),
        title="Likely {place} of the host itself",
        why="an interface of the same host loses packets",
        states=frozenset({"timeout"}),
    ),
)
