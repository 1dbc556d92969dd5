"""What stands apart from the facts: known of, unsure, an opinion, withdrawn, disputed, doubted."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

import pytest
from rich.console import Console

from orchestrator.facts import facts_of_report
from orchestrator.material import head_of, lines_of
from orchestrator.render import coverage, honesty, tally
from orchestrator.render.console import print_report
from orchestrator.render.html import render_html
from orchestrator.render.numbers import settle
from swarm_tasks.models.finding import Finding, Verdict
from swarm_tasks.models.report import Report
from tests.support import reports
from tests.support.quarrels import quarrelsome
from tests.unit.test_render_console import printed
from tests.unit.test_render_html import Seen, findings

HONEST = "31 claims: 3 refuted, 1 rejected, 25 verified, 2 unverifiable"


def titles(found: Iterable[Finding]) -> list[str]:
    return [one.title for one in found]


def test_each_finding_is_in_exactly_one_group() -> None:
    report = quarrelsome()
    groups = (tally.standing, tally.acknowledged, tally.unsure, tally.opinions, tally.withdrawn)
    told = [one.id for group in groups for one in group(report.findings)]
    assert sorted(told) == sorted(one.id for one in report.findings)
    assert titles(tally.acknowledged(report.findings)) == ["Service failed"]
    assert titles(tally.unsure(report.findings)) == ["Certificate near its end"]
    assert titles(tally.opinions(report.findings)) == ["Another host may be busy"]
    assert coverage.headline(report) == (
        "1 critical, 2 warnings, 1 info; 1 could not be measured again"
    )


def test_on_a_terminal_the_groups_follow_the_facts_in_order() -> None:
    text = printed(quarrelsome(), 110)
    assert text.splitlines()[2] == HONEST
    heads = [
        *("CRITICAL  Volume nearly full", "INFO      Booted", "Could not be measured again"),
        *("Acknowledged", "A model's notes", "Did not hold when checked", "Agents contradicted"),
    ]
    places = [text.index(f"\n{head}") for head in heads]
    assert places == sorted(places)


def test_a_claim_that_was_withdrawn_is_told_with_a_word_and_all_numbers() -> None:
    dropped = printed(quarrelsome(), 110).partition("Did not hold when checked")[2]
    assert (
        "  db-1  The volume is nearly empty: /var/lib/postgresql (/dev/nvme1n1p1, xfs) (said by "
        "qwen3-8b)\n"
        "    refuted: ≤ 20 % used; the evidence said 12 %, measured again: 97.3 %\n"
    ) in dropped
    assert (
        "    refuted: db-2 /var/lib/postgresql (/dev/nvme1n1p1, xfs): ≥ 90 % used; measured there: "
        "38.4 %\n"
    ) in dropped


def test_on_a_terminal_that_can_the_claim_is_struck_through() -> None:
    console = Console(file=io.StringIO(), width=110, force_terminal=True, _environ={})
    print_report(quarrelsome(), console)
    assert isinstance(console.file, io.StringIO)
    struck = re.findall("\x1b\\[9m(.*?)\x1b\\[0m", console.file.getvalue())
    assert struck == ["≥ 95 % busy", "≤ 20 % used", "≥ 90 % used"]


def test_what_is_unsure_keeps_its_severity_and_says_why() -> None:
    text = printed(quarrelsome(), 110)
    assert (
        "Could not be measured again\n"
        "  mail-1  Certificate near its end: mail.example.org:993  f7\n"
        "    warning: expires in 8 d 20 h (limit ≤ 14 d), measured once: mail.example.org:993 did "
        "not answer"
    ) in text
    assert "WARNING   Certificate" not in text


def test_what_is_acknowledged_says_until_when_why_and_by_whom() -> None:
    text = " ".join(printed(quarrelsome(), 110).split())
    assert (
        "web-1 Service failed: checkout-queue.service (critical): state of a service: failed f5 "
        "until 2026-03-04 09:14:07 UTC: the queue moves to another host on Wednesday (anna)"
    ) in text


def test_who_contradicted_whom_is_told_with_what_was_measured() -> None:
    said = "storage says 97.3 % used, services says 12 % used; measured: 97.3 %"
    report = quarrelsome()
    (one,) = report.contradictions
    assert honesty.contradiction_text(report, one) == said
    assert said in " ".join(printed(report, 110).split())
    assert said in Seen(render_html(report)).text
    nothing = one.model_copy(update={"value": None, "settled_at": None})
    told = honesty.contradiction_text(report, nothing)
    assert told.endswith("12 % used; no new measurement settled it")
    why = nothing.model_copy(update={"reason": "mail-1 gives no sign of life"})
    told = honesty.contradiction_text(report, why)
    assert told.endswith("no new measurement settled it: mail-1 gives no sign of life")
    gone = one.model_copy(update={"value": None})
    assert honesty.contradiction_text(report, gone).endswith("it is not there any more")


def test_a_model_that_is_doubted_is_named_with_its_share() -> None:
    said = (
        "qwen3-8b is doubted as services: 2 of its 21 checked claims of late were wrong (14.3 %, "
        "where 10 % may be)."
    )
    report = quarrelsome()
    assert said in " ".join(printed(report, 110).split())
    page = Seen(render_html(report)).text
    assert said in page
    assert "said by qwen3-8b, which is doubted" in page


def test_on_the_page_the_groups_follow_the_facts_in_order() -> None:
    page = render_html(quarrelsome())
    assert findings(page) == [
        *("finding critical", "finding warning row", "finding warning row", "finding info"),
        *("finding critical", "finding warning"),
        *("finding dropped",) * 4,
    ]
    heads = re.findall('<h2 id="([a-z]+)"', page)
    order = ["findings", "known", "unsure", "opinions", "withdrawn", "contradictions"]
    assert [head for head in heads if head in order] == order
    assert re.findall("<s>(.*?)</s>", page) == ["≥ 95 % busy", "≤ 20 % used", "≥ 90 % used"]
    text = Seen(page).text
    assert HONEST in text
    assert "qwen3-8b as services 23 claims: 2 refuted, 1 rejected, 19 verified" in text
    assert "claimed as critical" in text
    assert "not measured: db-9 was not asked in this job" in text
    assert "Acknowledged until 2026-03-04 09:14:07 UTC: the queue moves" in text


def test_a_report_in_which_nothing_was_claimed_says_nothing_of_it() -> None:
    for text in (printed(reports.healthy()), Seen(render_html(reports.healthy())).text):
        assert not re.search(r"\d claims?:", text)
        assert "doubted" not in text


def test_nothing_that_is_no_fact_is_given_to_a_model_as_one() -> None:
    report = quarrelsome()
    facts = facts_of_report(report, ())
    ids = {name.partition(".")[0] for name in facts.values if re.match(r"f\d", name)}
    assert ids == {one.id for one in tally.standing(report.findings)}
    assert settle("It is 12 % used.", facts).removed == 1
    head = head_of(report, facts)
    assert (
        "Claims of agents: {n.claims} = 31 were made: {n.refuted} = 3 refuted; {n.rejected} = 1 "
        "rejected; {n.verified} = 25 verified; {n.unverifiable} = 2 unverifiable"
    ) in head
    lines = "\n".join(lines_of(report, facts))
    assert "warning, measured once and not again, so no fact: mail-1, " in lines
    assert "agents contradicted each other on db-1, space used on a volume" in lines
    assert "measured anew; what stands is f4" in lines
    assert "doubted: qwen3-8b as services" in lines
    assert "nearly empty" not in lines
    assert "Service failed" not in lines


@pytest.mark.parametrize("width", [40, 80])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    hostile = poisoned(quarrelsome())
    lines = printed(hostile, width, verbose=True).splitlines()
    assert max(map(len, lines)) <= width


def poisoned(report: Report) -> Report:
    """The report with hostile words wherever a host, a model or an operator may write some."""
    bad = reports.HOSTILE
    found = tuple(
        one.model_copy(
            update={
                "title": bad,
                "subject": bad,
                "model": bad,
                "claims": tuple(
                    claim.model_copy(update={"subject": bad, "reason": bad}) for claim in one.claims
                ),
                "acknowledged": one.acknowledged
                and one.acknowledged.model_copy(update={"reason": bad[:400], "by": bad[:90]}),
            }
        )
        for one in report.findings
    )
    subjects = tuple(one.model_copy(update={"subject": bad}) for one in report.contradictions)
    names = tuple(
        one.model_copy(update={"tally": one.tally.model_copy(update={"model": bad})})
        for one in report.doubts
    )
    return report.model_copy(
        update={"findings": found, "contradictions": subjects, "doubts": names}
    )


def test_hostile_words_act_nowhere() -> None:
    report = poisoned(quarrelsome())
    page = render_html(report)
    for tag, attributes in Seen(page).elements:
        assert tag not in ("script", "img")
        assert not [name for name in attributes if name.startswith("on")]
    unseen = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]"
    assert not re.search(unseen, page)
    assert not re.search(unseen, printed(report, 110).replace("\n", ""))


@pytest.mark.parametrize("verdict", [one for one in Verdict if not one.counts])
def test_every_verdict_that_withdraws_names_itself_before_the_claim(verdict: Verdict) -> None:
    report = quarrelsome()
    finding = next(one for one in report.findings if one.id == "f20")
    claims = tuple(one.model_copy(update={"verdict": verdict}) for one in finding.claims)
    changed = finding.model_copy(update={"claims": claims, "verdict": verdict})
    text = printed(report.model_copy(update={"findings": (changed,)}), 110)
    assert f"    {verdict}: ≤ 20 % used; the evidence said 12 %, measured again: 97.3 %" in text
