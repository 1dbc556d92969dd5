"""What thinking cost, in words. An unknown price is never told as nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.render.words import count_text, names_text, one_line
from swarm_tasks.models.charge import Allowance, Charge
from swarm_tasks.models.report import Degraded, Report, Usage

LEAST_USD = 0.0001
NO_END = 1 << 62


def money_text(cost_usd: float) -> str:
    """Dollars, with as many decimals as it takes to tell small sums apart: `$1.25`, `$0.031`."""
    if cost_usd == 0:
        return "$0"
    if cost_usd < LEAST_USD:
        return f"under ${LEAST_USD:.4f}"
    if cost_usd >= 1:
        return f"${cost_usd:,.2f}"
    text = f"{cost_usd:.4f}" if cost_usd < 0.1 else f"{cost_usd:.3f}"
    return f"${text.rstrip('0')}"


def cost_text(usage: Usage) -> str:
    """What something cost: a sum, or that nobody knows."""
    return "price unknown" if usage.cost_usd is None else money_text(usage.cost_usd)


def usage_text(usage: Usage, *, about: bool = False) -> str:
    """What a host or an agent took of a model: `5 calls, 4,300 tokens, $0.002`."""
    return ", ".join(
        (
            count_text(usage.llm_calls, "call"),
            tokens_text(usage.prompt_tokens + usage.completion_tokens, about=about),
            cost_text(usage),
        )
    )


def tokens_text(tokens: int, *, about: bool = False) -> str:
    """Tokens; `about` where no endpoint counted them."""
    return ("about " if about else "") + count_text(tokens, "token")


def is_about(charges: Iterable[Charge]) -> bool:
    """Whether any of these was counted here, since the endpoint did not say."""
    return any(not charge.counted for charge in charges)


def who_text(charge: Charge) -> str:
    """Whose calls these are: `worker qwen3`."""
    return f"{charge.tier} {one_line(charge.model)}"


def charge_text(charge: Charge) -> str:
    """What one model of a tier took: `worker qwen3: 48 calls, 38,000 tokens, $0.02`."""
    took = Usage.of((charge,))
    return f"{who_text(charge)}: {usage_text(took, about=not charge.counted)}"


def sum_text(charges: Sequence[Charge]) -> str:
    """What all of it cost: `$0.031`, `at least $0.02; the price of MODEL is unknown`."""
    known = [charge.cost_usd for charge in charges if charge.cost_usd is not None]
    unknown = list(
        dict.fromkeys(one_line(charge.model) for charge in charges if charge.cost_usd is None)
    )
    if not unknown:
        return money_text(sum(known))
    said = f"the price of {names_text(unknown, 3)} is unknown"
    return f"at least {money_text(sum(known))}; {said}" if sum(known) else said


def short_sum_text(charges: Sequence[Charge]) -> str:
    """What all of it cost, where there is little room: `$0.031`, `≥ $0.02`, `price unknown`."""
    known = sum(charge.cost_usd for charge in charges if charge.cost_usd is not None)
    if all(charge.cost_usd is not None for charge in charges):
        return money_text(known)
    return f"≥ {money_text(known)}" if known else "price unknown"


def usage_of(charge: Charge) -> Usage:
    """A charge as what it took."""
    return Usage.of((charge,))


@dataclass(frozen=True, slots=True)
class AgentBill:
    """What one agent took of a model."""

    host: str
    specialist: str
    usage: Usage


def agents_of(report: Report) -> list[AgentBill]:
    """What each agent took that called a model."""
    return [
        AgentBill(line.host, part.specialist, part.usage)
        for line in report.hosts
        for part in line.parts
        if part.usage.llm_calls
    ]


def whole_text(report: Report) -> str:
    """All that models took: `52 calls, 48,400 tokens, $0.031`; empty where none was called."""
    if not report.charges:
        return ""
    whole = Usage.of(report.charges)
    calls = count_text(whole.llm_calls, "call")
    tokens = whole.prompt_tokens + whole.completion_tokens
    took = tokens_text(tokens, about=is_about(report.charges))
    return f"{calls}, {took}, {sum_text(report.charges)}"


def bill_text(report: Report) -> str:
    """The whole bill in a line, with who took what; empty where no model was called."""
    charges = report.charges
    each = "; ".join(map(charge_text if len(charges) > 1 else who_text, charges))
    return f"{whole_text(report)} ({each})" if charges else ""


def allowance_text(allowance: Allowance) -> str:
    """What a job might cost; empty where there was no bound."""
    said: list[str] = []
    if allowance.budget_usd is not None:
        said.append(f"a budget of ${allowance.budget_usd:g}")
    if allowance.max_tokens is not None:
        said.append(f"at most {count_text(allowance.max_tokens, 'token')}")
    return " and ".join(said)


def stopped_by_budget(report: Report) -> tuple[Degraded, ...]:
    """Who went on without a model since the job's allowance was reached."""
    allowance = report.job.allowance
    reasons = {
        allowance.exceeded(NO_END, 0.0),
        allowance.exceeded(0, float(NO_END)),
        allowance.exceeded(0, None),
    } - {""}
    return tuple(one for one in report.degraded if one.reason in reasons)


def stop_text(report: Report) -> str:
    """Why the job's allowance let some go on without a model: that it is used up, or that it could
    not be kept since a price is unknown; empty where nobody was stopped."""
    unknown = report.job.allowance.exceeded(0, None)
    reasons = {one.reason for one in stopped_by_budget(report)}
    said = ["it is used up"] if reasons - {unknown} else []
    return " and ".join((*said, unknown) if unknown in reasons else said)
