"""How much a host takes on while it is strained: the diagnosis must not be what hurts it.

Each look halves what may run at the same time while the host is strained, and lets it grow again
by a quarter once it is well below its lines: to give way quickly and come back slowly is what
keeps many that share one thing stable, as TCP does (RFC 5681). What the agents themselves cause
counts as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swarm_tasks.log import logger
from workers.strain import Strain

CALM_SHARE = 0.8
"""More is allowed again only below this share of each line: at the line itself one more agent
would put the host over it at once."""


@dataclass(frozen=True, slots=True)
class Lines:
    """What a host may be under before it is strained.

    Args:
        load_per_cpu: `busy_load_per_cpu`.
        memory_percent: `busy_memory_percent`.
    """

    load_per_cpu: float
    memory_percent: float

    @property
    def waited_percent(self) -> float:
        """How much work must be waiting for a load at the line to be a load of now.

        The load average looks back for minutes. The kernel counts as pressure the share of
        processors with somebody waiting, `min(waiting / processors, 1)` (kernel/sched/psi.c); of a
        load L for each processor, L - 1 wait. Half of that is asked for, as the two are averages
        over different times.
        """
        return 50.0 * min(max(self.load_per_cpu - 1.0, 0.0), 1.0)


def strained(seen: Strain, lines: Lines) -> str:
    """Why a host is to do less, as a person would say it; empty if it is not."""
    if (seen.memory_percent or 0.0) > lines.memory_percent:
        return f"memory in use {seen.memory_percent:.0f} % is over {lines.memory_percent:g} %"
    waited, enough = seen.waited_percent, lines.waited_percent
    if seen.load_per_cpu is None:
        if waited is not None and waited > enough:
            return f"its container waited for processors {waited:.0f} % of the time"
        return ""
    if seen.load_per_cpu > lines.load_per_cpu and (waited is None or waited >= enough):
        return f"load {seen.load_per_cpu:.2f} for each processor is over {lines.load_per_cpu:g}"
    return ""


def allowed_next(now: int, most: int, seen: Strain, lines: Lines) -> int:
    """How many may run after this look, of at most `most`; always at least one."""
    if strained(seen, lines):
        return max(1, now // 2)
    calm = Lines(CALM_SHARE * lines.load_per_cpu, CALM_SHARE * lines.memory_percent)
    if strained(seen, calm):
        return now
    return min(most, now + max(1, now // 4))


class Governor:
    """Holds a host's agents and tools to what it bears.

    Args:
        lines: Where strain begins.
        agents: How many agents may run at the same time on a host that is well.
        tools: The same for tools.
        look: Looks at the machine.
        allow_agents: Is told when another number of agents may run.
        allow_tools: The same for tools.
    """

    def __init__(
        self,
        lines: Lines,
        agents: int,
        tools: int,
        look: Callable[[], Strain],
        allow_agents: Callable[[int], None],
        allow_tools: Callable[[int], None],
    ) -> None:
        self._lines = lines
        self._most_agents = agents
        self._most_tools = tools
        self._look = look
        self._allow_agents = allow_agents
        self._allow_tools = allow_tools
        self.agents = agents
        self._tools = tools
        self.why = ""

    def look(self) -> None:
        """Look at the machine, and let as much run as it bears."""
        seen = self._look()
        agents = allowed_next(self.agents, self._most_agents, seen, self._lines)
        tools = allowed_next(self._tools, self._most_tools, seen, self._lines)
        if agents != self.agents:
            self._allow_agents(agents)
        if tools != self._tools:
            self._allow_tools(tools)
        self.agents, self._tools = agents, tools
        self._tell(strained(seen, self._lines))

    def _tell(self, strain: str) -> None:
        """Log when the host begins to be held back and when it no longer is; not each step."""
        full = self.agents == self._most_agents and self._tools == self._most_tools
        if not full and not self.why:
            logger("governor").warning("held back to fewer agents and tools at a time: %s", strain)
        elif full and self.why:
            logger("governor").info("no longer held back")
        self.why = "" if full else strain or self.why


def allow_agents(app: object, most: int) -> None:
    """Have the pool that runs an app's tasks run no more agents than so many. Only ours can."""
    act: Any = getattr(getattr(app, "hostswarm_pool", None), "allow", None)
    if act is not None:
        act(most)
