"""A job and the fleet become parts. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from swarm_tasks import __version__
from swarm_tasks.errors import JobError, UnknownName
from swarm_tasks.models.charge import Tier
from swarm_tasks.models.job import (
    ANY_SIGN,
    PART_FORMAT,
    AuditRequest,
    HostTask,
    Job,
    Specialist,
)
from swarm_tasks.models.policy import Checks, Policy
from swarm_tasks.routing import lane_of, part_queue


@dataclass(frozen=True, slots=True)
class Part:
    """One agent to be: a specialist on a host, and what it is asked.

    Args:
        host: Empty for whichever host takes it.
    """

    host: str
    specialist: Specialist
    question: str


def select_hosts(wanted: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """The hosts that names and globs mean, sorted and without repeats.

    Args:
        wanted: Names and globs; empty means every known host.
        known: The fleet.

    Raises:
        JobError: The fleet is empty.
        UnknownName: A name is not known, or a glob matches nothing.
    """
    fleet = sorted(set(known))
    if not fleet:
        raise JobError("no host has joined the fleet", "start `hostswarm worker` on a machine")
    if not wanted:
        return tuple(fleet)
    chosen: set[str] = set()
    for word in wanted:
        matched = [host for host in fleet if fnmatchcase(host, word)]
        if not matched:
            raise _no_such_host(word, fleet)
        chosen.update(matched)
    return tuple(sorted(chosen))


def select_specialists(
    wanted: Sequence[str], known: Mapping[str, Specialist]
) -> tuple[Specialist, ...]:
    """The specialists of these names, in their own order; all of them for none.

    Raises:
        UnknownName: There is none of that name.
    """
    for name in wanted:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise UnknownName(
                f"there is no specialist called {name!r}", f"{hint}there are: {', '.join(known)}"
            )
    return tuple(one for name, one in known.items() if not wanted or name in wanted)


def default_parts(
    hosts: Iterable[str], specialists: Sequence[Specialist], question: str
) -> tuple[Part, ...]:
    """The default plan: each specialist on each host, with the same question."""
    return tuple(
        Part(host=host, specialist=specialist, question=question)
        for host in hosts
        for specialist in specialists
    )


def parts_anywhere(request: AuditRequest, specialists: Sequence[Specialist]) -> tuple[Part, ...]:
    """A part for each question that any host may take, in the asker's order.

    Args:
        specialists: All that the request wants.
    """
    known = {one.name: one for one in specialists}
    return tuple(
        Part(
            host="",
            specialist=known[one.specialist or request.specialists[0]],
            question=one.question or request.question,
        )
        for one in request.anywhere
    )


def host_tasks(
    job: Job,
    parts: Sequence[Part],
    policy: Policy,
    deadline_at: float,
    images: int = 0,
    raised: Container[str] = (),
    *,
    periodic: bool = False,
) -> tuple[HostTask, ...]:
    """One task for each part, host by host, in the job's order of specialists; those that any host
    may take stay in the order that they have.

    A part is named after its host and specialist; one with a second question to the same
    specialist there is called `host/specialist/2`. `*` stands for any host. The asker's thresholds
    and overrides travel; its checks do not: what one machine must run is no fault where it is
    missing on another.

    Args:
        images: How many images the store keeps for the job.
        raised: Specialists whose agents get the orchestrator's model.
        periodic: Whether no person waits for the job.
    """
    policy = policy.model_copy(update={"checks": Checks()})
    order = {name: place for place, name in enumerate(job.specialists)}
    seen: Counter[str] = Counter()
    queued: Counter[str] = Counter()
    tasks: list[HostTask] = []
    for part in sorted(
        parts, key=lambda one: (one.host, order[one.specialist.name] if one.host else 0)
    ):
        name = f"{part.host or ANY_SIGN}/{part.specialist.name}"
        seen[name] += 1
        queue = part_queue(part.host)
        queued[queue] += 1
        tasks.append(
            HostTask(
                job=job.id,
                part=name if seen[name] == 1 else f"{name}/{seen[name]}",
                host=part.host,
                specialist=part.specialist,
                format=PART_FORMAT,
                version=__version__,
                lane=lane_of(queued[queue] - 1, periodic=periodic),
                question=part.question,
                brain=job.brain,
                policy=policy,
                deadline_at=deadline_at,
                allowance=job.allowance,
                images=images,
                tier=Tier.ORCHESTRATOR if part.specialist.name in raised else Tier.WORKER,
            )
        )
    return tuple(tasks)


def _no_such_host(word: str, fleet: Sequence[str]) -> UnknownName:
    shown = ", ".join(fleet[:8]) + (f" and {len(fleet) - 8} more" if len(fleet) > 8 else "")
    if any(sign in word for sign in "*?["):
        return UnknownName(f"no host matches {word!r}", f"the fleet is: {shown}")
    close = difflib.get_close_matches(word, fleet, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return UnknownName(f"there is no host called {word!r}", f"{hint}the fleet is: {shown}")
