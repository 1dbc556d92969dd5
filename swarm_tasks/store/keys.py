"""Every key in Redis, written down once, with how long it lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PREFIX = "hostswarm"

Lifetime = Literal["result", "presence", "forget", "history", "sweep", "trust", "for ever"]


@dataclass(frozen=True, slots=True)
class Key:
    """A family of keys.

    Args:
        pattern: The key with `{names}` to fill.
        kind: The Redis type behind it.
        lifetime: Which setting bounds its life; `history` and `sweep` are constants here.
        reason: What it holds; for one that lives for ever, why that is bounded.
    """

    pattern: str
    kind: str
    lifetime: Lifetime
    reason: str

    def at(self, **names: str) -> str:
        """The key for these names."""
        return f"{PREFIX}:{self.pattern.format(**names)}"


JOB = Key("job:{job}", "hash", "result", "a job: what was asked, its counts, its report")
PART = Key("part:{job}:{part}", "hash", "result", "a part: its task, state, attempt and report")
STEPS = Key("steps:{job}:{part}", "list", "result", "what a part's agent did so far, step by step")
SPENT = Key("spent:{job}", "hash", "result", "what all model calls of a job have cost so far")
CHARGES = Key("charges:{job}", "list", "result", "what planning and joining a job took of a model")
IMAGES = Key("images:{job}", "list", "result", "the images that belong to a job's question")
EVENTS = Key("events:{job}", "stream", "result", "what happens in a job, as it happens")
WAITING = Key(
    "waiting", "zset", "for ever", "parts that wait to be begun; each leaves when it is, or closes"
)
LEASES = Key(
    "leases", "zset", "for ever", "parts under way by when their lease ends; each leaves as it does"
)
WATCH = Key("watch", "string", "sweep", "who looks after the parts of the whole fleet now")
ASKED = Key("asked:{request}", "string", "result", "the job that came of a producer's message")
MACHINES = Key("machines", "hash", "for ever", "which machine a name is bound to; gone with it")
DRAINED = Key("drained", "hash", "for ever", "hosts that take no parts; each leaves by command")
OUTSIDE = Key("outside:{host}", "string", "sweep", "what a peer sees of a host that is dark")
LOOKED = Key("looked:{host}", "string", "sweep", "a peer has looked at a dark host just now")
ANSWER = Key("answer:{call}", "list", "result", "the answer to one tool called from afar")
SLOT = Key("slot:{schedule}", "string", "result", "a scheduled audit was asked for just now")
BEAT = Key("beat:{host}", "string", "presence", "a worker's sign of life")
CONTROLS = Key(
    "controls", "zset", "for ever", "controls by when their sign ends; those past it are dropped"
)
FACTS = Key("facts:{host}", "string", "forget", "what a host said about itself")
LAST_AUDIT = Key("last_audit:{host}", "string", "forget", "what a host's last audit said of it")
RAISED = Key("raised:{host}", "hash", "forget", "which findings stand raised, for hysteresis")
SAMPLES = Key("samples:{host}:{metric}:{subject}", "list", "history", "values over time")
TRUST = Key("trust:{day}", "hash", "trust", "what became of models' claims on one day")
ACKS = Key("acks", "hash", "for ever", "findings that somebody knows of; each is dropped when due")
JOBS = Key("jobs", "zset", "for ever", "jobs by time; those past the result's life are dropped")
OPEN = Key("open", "set", "for ever", "jobs not closed; each leaves when it closes")
HOSTS = Key("hosts", "zset", "for ever", "hosts by last sign; those past `forget` are dropped")
UNACKED = Key("unacked:{owner}", "hash", "for ever", "messages under way; each leaves when acked")
UNACKED_INDEX = Key("unacked_index:{owner}", "zset", "for ever", "since when; as the messages")
UNACKED_MUTEX = Key("unacked_mutex:{owner}", "string", "sweep", "who looks through them now")

ALL = (
    *(
        JOB,
        PART,
        STEPS,
        SPENT,
        CHARGES,
        IMAGES,
        EVENTS,
        ANSWER,
        SLOT,
        BEAT,
        CONTROLS,
        FACTS,
        LAST_AUDIT,
        RAISED,
        SAMPLES,
    ),
    *(TRUST, ACKS, WAITING, LEASES, WATCH, ASKED, MACHINES, DRAINED, OUTSIDE, LOOKED),
    *(JOBS, OPEN, HOSTS, UNACKED, UNACKED_INDEX, UNACKED_MUTEX),
)

SWEEP_TTL_SECONDS = 300
"""kombu's own: after this a sweep that was broken off is taken up by another process."""

HISTORY_TTL_SECONDS = 8 * 86_400
HISTORY_LENGTH = 2_304
"""Eight days of a sample every five minutes."""

TRUST_DAYS = 30
"""How long a model's claims are held against it, or for it."""

TRUST_TTL_SECONDS = TRUST_DAYS * 86_400
