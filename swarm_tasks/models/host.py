"""What a host says about itself."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from swarm_tasks.addresses import machine_address
from swarm_tasks.models.base import Frozen, HostName, Moment

Platform = Literal["linux", "darwin"]

ROLE_PATTERN = r"^([a-z0-9][a-z0-9_-]{0,40})?$"
"""What `Settings.role` takes."""

MOST_ADDRESSES = 8
MOST_PORTS = 32
"""What a host may say of where it is found; what is beyond is left out."""


class OpenPort(Frozen):
    """A TCP port on which a host takes connections from others.

    Args:
        service: The program behind it; empty where the worker may not see whose it is.
    """

    number: int = Field(ge=1, le=65_535)
    service: str = Field(default="", max_length=64)


class HostFacts(Frozen):
    """What a worker announces when it comes up and now and then again; it rarely changes.

    Args:
        machine_id: The same over restarts, different between machines.
        instance: Different for each start of the worker.
        os: As a person would name it, such as `Debian GNU/Linux 12`.
        tools: Names of the tools that this machine can run.
        unavailable: The other tools, with the reason.
        role: What it is among others, such as `web`; empty where nobody said.
        format: The newest `PART_FORMAT` that it understands.
        addresses: Where others may find it, the likeliest first.
        ports: What took connections from others when it was last looked.
    """

    host: HostName
    machine_id: str
    instance: str
    version: str
    platform: Platform
    os: str
    kernel: str
    architecture: str
    cpus: int
    memory_bytes: int
    started: Moment
    tools: tuple[str, ...] = ()
    unavailable: dict[str, str] = Field(default_factory=dict[str, str])
    role: str = ""
    format: int = 1
    addresses: tuple[str, ...] = ()
    ports: tuple[OpenPort, ...] = ()

    @field_validator("addresses")
    @classmethod
    def _of_machines(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """What is no machine's address is none, whoever says so: peers will try what is here."""
        plain = dict.fromkeys(machine_address(one) for one in addresses)
        return tuple(one for one in plain if one)[:MOST_ADDRESSES]

    @field_validator("ports")
    @classmethod
    def _bounded(cls, ports: tuple[OpenPort, ...]) -> tuple[OpenPort, ...]:
        return ports[:MOST_PORTS]

    @field_validator("role")
    @classmethod
    def _role_or_none(cls, role: str) -> str:
        """A role that no worker could be given is none: its host is in the fleet all the same."""
        return role if re.fullmatch(ROLE_PATTERN, role) else ""


class Beat(Frozen):
    """A sign of life, short enough to send every two seconds.

    Args:
        load1: The load average over one minute.
        agents: How many agents run on the host now.
        capacity: How many may, as busy as it is.
        draining: Whether it takes no more parts.
        strain: Why fewer agents may run than on a host that is well; empty where all may.
    """

    host: HostName
    instance: str
    at: Moment
    load1: float
    agents: int
    capacity: int
    draining: bool = False
    strain: str = ""


class Drained(Frozen):
    """A host takes no parts until somebody takes this back.

    Args:
        by: Who said so; empty where that is not known.
    """

    since: Moment
    by: str = ""
    reason: str = ""


class HostView(Frozen):
    """A host as control sees it: its facts, and its last sign of life.

    Args:
        facts: None for a host that the settings expect and that never came.
        beat: None when there is no sign of life now.
        last_seen: None when it was never seen.
        drained: None for one that takes parts.
    """

    host: HostName
    facts: HostFacts | None = None
    beat: Beat | None = None
    last_seen: Moment | None = None
    drained: Drained | None = None

    @property
    def alive(self) -> bool:
        """Whether its worker gave a sign of life within the presence's time to live."""
        return self.beat is not None
