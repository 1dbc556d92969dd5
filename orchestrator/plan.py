"""A job and the fleet become parts. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from swarm_tasks.errors import JobError, UnknownName
from swarm_tasks.models.job import BrainChoice, HostTask, Job, Specialist
from swarm_tasks.models.policy import Checks, Policy


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


def plan(
    job: Job, specialists: Sequence[Specialist], policy: Policy, deadline_at: float
) -> tuple[HostTask, ...]:
    """One part per host and specialist, host by host.

    The asker's thresholds and overrides travel; its checks do not: what one machine must run
    is no fault where it is missing on another.
    """
    policy = policy.model_copy(update={"checks": Checks()})
    return tuple(
        HostTask(
            job=job.id,
            part=f"{host}/{specialist.name}",
            host=host,
            specialist=specialist,
            question=job.question,
            brain=BrainChoice.RULES,
            policy=policy,
            deadline_at=deadline_at,
        )
        for host in job.hosts
        for specialist in specialists
    )


def _no_such_host(word: str, fleet: Sequence[str]) -> UnknownName:
    shown = ", ".join(fleet[:8]) + (f" and {len(fleet) - 8} more" if len(fleet) > 8 else "")
    if any(sign in word for sign in "*?["):
        return UnknownName(f"no host matches {word!r}", f"the fleet is: {shown}")
    close = difflib.get_close_matches(word, fleet, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return UnknownName(f"there is no host called {word!r}", f"{hint}the fleet is: {shown}")
