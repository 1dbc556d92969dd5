"""What a plan may choose from, and how it may name it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property

from orchestrator.belief import Belief
from swarm_tasks.models.host import HostView
from swarm_tasks.models.job import Specialist

EVERYBODY = ("all", "*")
ROLE = "role:"


@dataclass(frozen=True)
class Scope:
    """What a plan may choose from.

    Args:
        question: The asker's.
        views: Every host that the job is about, by name.
        named: Whether the asker named them; then each gets a part, whatever a plan says.
        belief: Which of the specialists' models is doubted, and what follows for its tier.
    """

    question: str
    views: tuple[HostView, ...]
    specialists: tuple[Specialist, ...]
    named: bool
    belief: Belief = field(default_factory=Belief)

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(sorted(view.host for view in self.views))

    @cached_property
    def alive(self) -> frozenset[str]:
        """Those that give a sign of life."""
        return frozenset(view.host for view in self.views if view.alive)

    @cached_property
    def roles(self) -> dict[str, str]:
        """What each host is among others, where it says so."""
        return {view.host: view.facts.role for view in self.views if view.facts}

    @cached_property
    def folded(self) -> Mapping[str, frozenset[str]]:
        """Hosts by their names without regard to case."""
        alike: dict[str, set[str]] = {}
        for host in self.hosts:
            alike.setdefault(host.casefold(), set()).add(host)
        return {name: frozenset(hosts) for name, hosts in alike.items()}


def matching(word: str, scope: Scope) -> set[str]:
    """The hosts of a scope that a word of a plan means: a name, `all`, a role, or a glob."""
    alike = scope.folded.get(word.casefold(), frozenset())
    if word in alike:
        return {word}
    if word.casefold() in EVERYBODY:
        return set(scope.hosts)
    role = word.removeprefix(ROLE).strip()
    of_role = {host for host in scope.hosts if role and scope.roles.get(host) == role}
    if of_role:
        return of_role
    if any(sign in word for sign in "*?["):
        return {host for host in scope.hosts if fnmatchcase(host, word)}
    return set(alike) if len(alike) == 1 else set()
