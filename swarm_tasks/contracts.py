"""The tasks that travel through Celery: their names, payloads and queues. No bodies."""

from __future__ import annotations

from pydantic import Field

from swarm_tasks.models.base import Frozen, HostName, Name
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import Claim

AUDIT = "swarm.audit"
"""`AuditRequest` fields as keyword arguments, to `control`. Answers with the job's id."""

INVESTIGATE = "swarm.investigate"
"""One `HostTask` as its only argument, to `host.<name>`. Answers with the part's name."""

SYNTHESIZE = "swarm.synthesize"
"""A job's id, to `control`: the chord's body. Answers with the job's status."""

TOOL = "swarm.tool"
"""One `RemoteCall` as its only argument, to `host.<name>`. The evidence goes to the store."""

CHECK = "swarm.check"
"""One `ClaimCheck` as its only argument, to `host.<name>`. `ClaimsChecked` goes to the store."""

OUTSIDE = "swarm.outside"
"""One `OutsideLook` as its only argument, to `host.<name>` of a peer of the host that is looked
at. `OutsideView` goes to the store."""

CANCEL_COMMAND = "hostswarm_cancel"
"""The remote-control command that stops a job's running agents. Argument: `job`."""


class RemoteCall(Frozen):
    """One tool, to be called on one host for a person who waits.

    Args:
        call: Names the answer's key.
        expires_at: Unix time on the store's clock after which nobody waits any more.
    """

    call: str
    host: HostName
    tool: Name
    arguments: dict[str, object]
    expires_at: float


MOST_CHECKS = 200
"""Claims that one host is asked to check in one go."""


class ClaimCheck(Frozen):
    """Claims about one host that others made, to be measured there.

    Args:
        call: Names the answer's key.
        expires_at: Unix time on the store's clock after which nobody waits any more.
    """

    call: str
    job: str
    host: HostName
    claims: tuple[Claim, ...] = Field(max_length=MOST_CHECKS)
    expires_at: float


class OutsideLook(Frozen):
    """A host that is dark, to be looked at from outside by one of its peers.

    Args:
        call: Names the look, for logs.
        host: The peer.
        dark: The host that gives no sign of life.
        expires_at: Unix time on the store's clock after which nobody waits any more.
    """

    call: str
    host: HostName
    dark: HostName
    expires_at: float


class ClaimsChecked(Frozen):
    """The same claims in the same order with their verdicts, and what was measured for them."""

    claims: tuple[Claim, ...]
    evidence: tuple[Evidence, ...] = ()
