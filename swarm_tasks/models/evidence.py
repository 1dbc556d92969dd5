"""What an agent asked of its host, and what the host answered."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from swarm_tasks.models.base import Frozen, HostName, Moment, Name, digest


class ToolCall(Frozen):
    """One tool, to be called with these arguments."""

    tool: Name
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])

    def same_as(self, other: ToolCall) -> bool:
        """Whether the two would ask the host the same thing."""
        return self.tool == other.tool and self.arguments == other.arguments


class EvidenceStatus(StrEnum):
    """How a tool call ended."""

    OK = "ok"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    TIMEOUT = "timeout"


class Evidence(Frozen):
    """A tool's answer, kept whole; claims point into its `data`.

    Args:
        call_id: Unique in its job; claims name it.
        arguments: The arguments as validated, defaults filled in.
        source: The exact argv or library call that gave the answer, in order.
        seconds: How long the call took.
        truncated: Whether the tool's output was cut at its cap.
        reason: Why there is no answer; empty when the status is ok.
        remedy: What would make the tool available or the call succeed.
        data: The tool's typed answer as JSON; None when the status is not ok.
    """

    call_id: str
    host: HostName
    specialist: Name
    tool: Name
    arguments: dict[str, Any]
    source: tuple[str, ...] = ()
    started: Moment
    seconds: float
    status: EvidenceStatus
    truncated: bool = False
    reason: str = ""
    remedy: str = ""
    data: dict[str, Any] | None = None

    def sha256(self) -> str:
        """The digest of `data`, which a claim quotes."""
        return digest(self.data)
