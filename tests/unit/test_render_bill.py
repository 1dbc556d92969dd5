"""What thinking cost, and who went on without it, in words."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from orchestrator.render import bill, claims, coverage, degraded, tally
from orchestrator.render.console import print_report
from swarm_tasks.models.charge import Allowance, Charge, Tier
from swarm_tasks.models.finding import Claim, Severity, Verdict
from swarm_tasks.models.report import Degraded, Usage
from tests.support import reports
from tests.support.scenes import job, part, report, trouble


def charge(model: str = "qwen3", **more: Any) -> Charge:
    given: dict[str, Any] = {"tier": Tier.WORKER, "prompt_tokens": 900, "completion_tokens": 100}
    return Charge(model=model, **{**given, **more})


@pytest.mark.parametrize(
    ("cost_usd", "said"),
    [
        (0, "$0"),
        (0.0000004, "under $0.0001"),
        (0.0001, "$0.0001"),
        (0.0312, "$0.0312"),
        (0.031, "$0.031"),
        (0.5, "$0.5"),
        (0.12345, "$0.123"),
        (1, "$1.00"),
        (1234.5, "$1,234.50"),
    ],
)
def test_small_sums_keep_their_digits(cost_usd: float, said: str) -> None:
    assert bill.money_text(cost_usd) == said


def test_an_unknown_price_is_not_told_as_nothing() -> None:
    assert bill.cost_text(Usage(cost_usd=None)) == "price unknown"
    assert bill.sum_text((charge(),)) == "the price of qwen3 is unknown"
    assert bill.short_sum_text((charge(),)) == "price unknown"
    free = charge("local", cost_usd=0.0)
    assert bill.sum_text((free,)) == "$0"
    assert bill.sum_text((free, charge())) == "the price of qwen3 is unknown"


def test_a_part_that_is_known_is_told_as_the_least() -> None:
    both = (charge("wise", cost_usd=0.02), charge())
    assert bill.sum_text(both) == "at least $0.02; the price of qwen3 is unknown"
    assert bill.short_sum_text(both) == "≥ $0.02"
    assert "$0" not in bill.sum_text((charge(), charge("other")))


def test_what_was_counted_here_is_about() -> None:
    assert bill.charge_text(charge(cost_usd=0.1)) == "worker qwen3: 1 call, 1,000 tokens, $0.1"
    assert bill.charge_text(charge(counted=False)) == (
        "worker qwen3: 1 call, about 1,000 tokens, price unknown"
    )


def test_the_bill_is_a_line_and_none_without_a_model() -> None:
    one = reports.complete().model_copy(update={"charges": (charge(calls=5, cost_usd=0.031),)})
    assert bill.bill_text(one) == "5 calls, 1,000 tokens, $0.031 (worker qwen3)"
    assert bill.bill_text(reports.complete()) == bill.whole_text(reports.complete()) == ""


def test_a_bound_is_told_and_who_was_stopped_by_it() -> None:
    assert bill.allowance_text(Allowance()) == ""
    both = Allowance(budget_usd=0.5, max_tokens=20_000)
    assert bill.allowance_text(both) == "a budget of $0.5 and at most 20,000 tokens"
    asked = job("a", "b", "c", allowance=both)
    reasons = (
        both.exceeded(20_000, 0.0),
        both.exceeded(0, 0.5),
        both.exceeded(0, None),
        "the router is down",
    )
    made = report(asked, *(part("a", degraded=reason) for reason in reasons))
    assert [one.reason for one in bill.stopped_by_budget(made)] == list(reasons[:3])


def test_a_budget_that_could_not_be_kept_is_not_told_as_used_up() -> None:
    bound = Allowance(budget_usd=0.5)
    used, unknown = bound.exceeded(0, 0.5), bound.exceeded(0, None)
    for reasons, why in (
        ((), ""),
        ((used,), "it is used up"),
        ((unknown,), unknown),
        ((used, unknown), f"it is used up and {unknown}"),
    ):
        parts = [part("a", degraded=reason) for reason in reasons or ("it is down",)]
        made = report(job("a", allowance=bound), *parts)
        assert bill.stop_text(made) == why
        console = Console(file=io.StringIO(), width=200)
        print_report(made, console)
        assert isinstance(console.file, io.StringIO)
        printed = " ".join(console.file.getvalue().split())
        assert (f"a budget of $0.5; {why}, and {len(reasons)} part" in printed) == bool(why)
        assert ("went on without a model" in printed) == bool(why)


def test_calls_tokens_and_dollars_add_up_by_agent_host_tier_and_job() -> None:
    dear = charge("wise", tier=Tier.ORCHESTRATOR, cost_usd=0.25)
    parts = [
        part(host, charges=(spent,), usage=Usage.of((spent,)).model_copy(update={"tool_calls": 3}))
        for host, spent in (
            ("a", charge(calls=2, cost_usd=0.5)),
            ("a", charge(calls=3, cost_usd=0.125)),
            ("b", charge("quick", cost_usd=None)),
        )
    ]
    made = report(job("a", "b"), *parts, charges=(dear,))
    assert [(one.model, one.calls, one.cost_usd) for one in made.charges] == [
        ("wise", 1, 0.25),
        ("quick", 1, None),
        ("qwen3", 5, 0.625),
    ]
    first, second = made.hosts
    assert (first.llm_calls, first.usage.prompt_tokens, first.usage.cost_usd) == (5, 1_800, 0.625)
    assert second.usage.cost_usd is None
    assert [one.usage.llm_calls for one in first.parts] == [2, 3]
    assert [(one.host, one.usage.llm_calls) for one in bill.agents_of(made)] == [
        *(("a", 2), ("a", 3), ("b", 1)),
    ]
    assert (made.usage.llm_calls, made.usage.prompt_tokens, made.usage.tool_calls) == (7, 3_600, 9)
    assert made.usage.cost_usd is None


def test_reasons_that_differ_in_numbers_alone_are_one() -> None:
    lost = [
        part(host, degraded=f"http://r:4000/v1 gave no answer in {seconds} s (tried {tries} times)")
        for host, seconds, tries in (("a", 3.2, 2), ("b", 4.0, 3))
    ]
    made = report(job("a", "b"), *lost)
    (one,) = degraded.shortfalls(made)
    assert one.agents == ("a/storage", "b/storage")
    assert degraded.shortfall_text(one) == (
        "2 agents went on by the rules (a/storage, b/storage): http://r:4000/v1 gave no answer in "
        "3.2 s (tried 2 times)"
    )


def test_planning_and_joining_say_what_was_done_instead() -> None:
    both = tuple(Degraded(step=step, reason="it is down") for step in ("planning", "synthesis"))
    made = reports.complete().model_copy(update={"degraded": both})
    assert [degraded.shortfall_text(one) for one in degraded.shortfalls(made)] == [
        "the default plan was taken: it is down",
        "the summary is made from counts: it is down",
    ]


def test_a_part_that_lost_its_model_saw_what_the_rules_see() -> None:
    spots = coverage.blind_spots(reports.thoughtful())
    assert spots == coverage.blind_spots(reports.complete())


def spread(*values: float, metric: str = "disk.used_percent", **more: Any) -> str:
    return claims.spread_text([claim_of(metric, value, **more) for value in values])


def claim_of(metric: str, value: float | str, **more: Any) -> Claim:
    return trouble("a", metric, "x", value, **more).claims[0]


def test_the_values_of_a_pattern_are_told_as_a_range() -> None:
    assert spread(97.3, 82.0, 90.0) == "82 % to 97.3 % used (limit ≥ 80 %)"
    assert spread(97.3, 97.3) == "97.3 % used (limit ≥ 80 %)"
    assert (
        spread(3, 1, metric="updates.security")
        == "1 to 3 packages not installed (limit ≥ 1 package)"
    )
    assert spread(-86_400.0, 86_400.0, metric="tls.left_seconds") == (
        "expired 1 d ago to 1 d (limit ≤ 14 d)"
    )
    words = [claim_of("tcp.answer", word) for word in ("refused", "timeout", "refused")]
    assert claims.spread_text(words) == "a port's answer: refused (2); a port's answer: timeout (1)"
    assert claims.spread_text(words[:1]) == "a port's answer: refused"


def test_how_a_pattern_was_checked_is_counted() -> None:
    once = claim_of("disk.used_percent", 97.3, verdict=Verdict.UNVERIFIABLE)
    twice = claim_of("disk.used_percent", 97.3)
    assert claims.checks_text([twice, twice, once]) == "2 verified, 1 measured once"
    assert claims.checks_text([twice, twice]) == "all verified"
    assert claims.checks_text([once]) == "measured once"


def test_each_finding_that_counts_is_in_exactly_one_entry() -> None:
    for made in (reports.complete(), reports.large(), reports.thoughtful(), reports.healthy()):
        entries = tally.entries(made)
        shown = [finding.id for entry in entries for finding in entry.findings]
        assert sorted(shown) == sorted(one.id for one in tally.standing(made.findings))
        ranks = [entry.severity.rank for entry in entries]
        assert ranks == sorted(ranks)


def test_a_note_is_neither_an_alarm_nor_withdrawn() -> None:
    made = reports.thoughtful()
    (note,) = tally.opinions(made.findings)
    assert note not in tally.standing(made.findings)
    assert note not in tally.withdrawn(made.findings)
    grave = note.model_copy(update={"severity": Severity.CRITICAL})
    alone = reports.healthy().model_copy(update={"findings": (grave,)})
    assert coverage.headline(alone) == "No findings"
    assert coverage.plugin_exit_code(alone) == 0
    held = grave.model_copy(update={"verdict": Verdict.VERIFIED})
    assert coverage.plugin_exit_code(alone.model_copy(update={"findings": (held,)})) == 2


def test_an_outlier_is_told_with_what_is_usual() -> None:
    (outlier,) = reports.thoughtful().outliers
    said = claims.outlier_text(outlier)
    assert said == (
        "physical memory: 71.4 % used, where the median of 6 linux hosts without a role is 22 %"
    )
    unknown = outlier.model_copy(update={"metric": "made.up", "unit": "x"})
    assert re.search(r"made\.up: 71\.4 x", claims.outlier_text(unknown))
