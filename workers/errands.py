"""What a host does for others beside its parts: one tool for a person, claims to be measured."""

from __future__ import annotations

from swarm_tasks.contracts import ClaimCheck, ClaimsChecked, RemoteCall
from swarm_tasks.models.evidence import Evidence, ToolCall
from swarm_tasks.models.policy import Policy
from workers.checker import Checker
from workers.investigate import CHECK_SECONDS, Investigator, evidence_of

OPERATOR = "operator"
CONTROL = "control"
"""In place of a specialist's name in evidence that none of them asked for."""

MEASURING_SHARE = 0.8
"""Of the time that somebody waits for verdicts. The rest is for the way back: a host that measures
until nobody waits any more has measured in vain, also what it was quick with."""


async def called(investigator: Investigator, call: RemoteCall) -> Evidence:
    """One tool, called for a person who waits."""
    outcome = await investigator.outcome(ToolCall(tool=call.tool, arguments=call.arguments))
    return evidence_of(outcome, call.call, call.host, OPERATOR)


async def checked(
    investigator: Investigator, asked: ClaimCheck, policy: Policy, seconds: float
) -> ClaimsChecked:
    """Claims that were made elsewhere about this host, measured here.

    Args:
        policy: This host's own.
        seconds: How long the one who asked waits.
    """

    async def call_tool(call: ToolCall, call_id: str) -> Evidence:
        return evidence_of(await investigator.outcome(call), call_id, asked.host, CONTROL)

    rules = investigator.rules()
    prefix = f"{asked.host}/{asked.call}.check"
    checker = Checker(asked.host, investigator.registry, rules, policy, call_tool, prefix)
    claims = await checker.check_for_others(
        asked.claims, min(seconds * MEASURING_SHARE, CHECK_SECONDS)
    )
    return ClaimsChecked(claims=claims, evidence=checker.taken)
