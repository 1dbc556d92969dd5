"""What a tool is: typed arguments in, a typed model out, one way to read per platform."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from swarm_tasks.errors import ArgumentError
from swarm_tasks.models.host import Platform

if TYPE_CHECKING:
    from workers.tools.access import Access


class Arguments(BaseModel):
    """A tool's arguments. Bounds stand in the types: they are the guard and the documentation.

    Names that reach a command line carry an anchored pattern that starts alphanumeric.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NoArguments(Arguments):
    """For tools that take none."""


class Result(BaseModel):
    """A tool's answer. Field names carry their unit: `used_bytes`, `rtt_ms`, `age_seconds`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Command:
    """A program's command line, as data.

    Args:
        argv: The program's plain name, then its arguments. `{name}` inside an argument is
            filled from the operands of the call; nothing else is ever interpreted.
        ok: Exit codes that carry an answer; None takes any.
        package: What to install where the program is missing.
        timeout_seconds: After this the whole process group is killed.
        output_limit_bytes: Output past this is not read, and the answer says so.
    """

    argv: tuple[str, ...]
    ok: tuple[int, ...] | None = (0,)
    package: str = ""
    timeout_seconds: float = 10.0
    output_limit_bytes: int = 1 << 20

    def filled(self, operands: Mapping[str, str | int]) -> tuple[str, ...]:
        """The arguments with their operands; KeyError names one that is missing."""
        return tuple(item.format_map(operands) if "{" in item else item for item in self.argv)


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command printed and how it ended."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """A value worth keeping for the host's own history; it is stamped when it is stored."""

    metric: str
    subject: str
    value: float


Read = Callable[[Any, "Access"], Awaitable[Result]]


def no_samples(result: Any) -> Iterable[Sample]:
    """For tools whose answers need no history."""
    return ()


@dataclass(frozen=True, slots=True)
class Tool:
    """One entry of the catalog.

    Args:
        name: What agents, rules and people call it.
        summary: One sentence: what it tells. A model chooses by it.
        arguments: The model of its arguments.
        result: The model of its answer.
        reads: How to read it, by platform; a platform that is not there is `unavailable`.
        needs: Programs without which it cannot work at all, by platform, so that presence can
            say beforehand what this machine lacks.
        samples: Which values of an answer to keep, for tools that look at growth and rates.
        timeout_seconds: For the whole call, whatever it is made of.
    """

    name: str
    summary: str
    arguments: type[Arguments]
    result: type[Result]
    reads: Mapping[Platform, Read]
    needs: Mapping[Platform, tuple[Command, ...]] = field(
        default_factory=dict[Platform, tuple[Command, ...]]
    )
    samples: Callable[[Any], Iterable[Sample]] = no_samples
    timeout_seconds: float = 15.0

    @property
    def sampled(self) -> bool:
        """Whether an answer may hold something to keep."""
        return self.samples is not no_samples

    def parse_arguments(self, raw: Mapping[str, Any]) -> Arguments:
        """Check `raw` against the tool's arguments.

        Raises:
            ArgumentError: With every argument that is wrong, in one line.
        """
        try:
            return self.arguments.model_validate(dict(raw))
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(str(step) for step in item['loc']) or 'arguments'}: {item['msg']}"
                for item in error.errors(include_url=False)
            )
            known = ", ".join(self.arguments.model_fields) or "none"
            raise ArgumentError(f"{self.name}: {wrong}", f"its arguments are: {known}") from None


def every_platform(read: Read) -> dict[Platform, Read]:
    """One way to read that works on Linux and macOS alike."""
    return {"linux": read, "darwin": read}
