"""What the verbs about the worth of findings read and print."""

from __future__ import annotations

import getpass
import io
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from orchestrator.compare import compare
from orchestrator.surfaces.acknowledging import (
    REASON_LIMIT,
    login,
    parse_finding,
    parse_reason,
    parse_until,
)
from orchestrator.surfaces.diff_page import LISTED, print_diff
from orchestrator.surfaces.trust_page import print_trust, trust_json
from swarm_tasks.errors import ArgumentError
from swarm_tasks.models.finding import Acknowledgement, Severity
from swarm_tasks.models.report import Report
from swarm_tasks.models.tally import Tally
from tests.support import reports

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("2026-12-24", datetime(2026, 12, 24, tzinfo=UTC)),
        ("2026-11-21T13:00", datetime(2026, 11, 21, 13, tzinfo=UTC)),
        ("2026-11-21T13:00+05:00", None),
        ("2026-11-21T13:00-05:00", datetime(2026, 11, 21, 18, tzinfo=UTC)),
        ("7d", NOW + timedelta(days=7)),
        ("12h", NOW + timedelta(hours=12)),
        ("366d", NOW + timedelta(days=366)),
        *((text, None) for text in ("", " ", "2026-11-21", "2025-12-24", "2026-02-30", "soon")),
        *((text, None) for text in ("367d", "2028-01-01", "9" * 300 + "d", "0d", "-7d", "7", "7w")),
        *((text, None) for text in ("nan", "1e9d", "0001-01-01T00:00+14:00")),
    ],
)
def test_a_date_is_in_the_future_and_at_most_a_year_off(text: str, until: datetime | None) -> None:
    if until is not None:
        assert parse_until(text, NOW) == until
        return
    with pytest.raises(ArgumentError, match="--until"):
        parse_until(text, NOW)


def test_a_reason_is_one_plain_line_that_says_something() -> None:
    assert parse_reason(" the disk\n\x1b[31mcomes ") == "the disk [31mcomes"
    assert len(parse_reason("x" * REASON_LIMIT)) == REASON_LIMIT
    for text in ("", " \n", "\u200b", "x" * (REASON_LIMIT + 1)):
        with pytest.raises(ArgumentError, match="--reason"):
            parse_reason(text)


def test_a_finding_is_named_by_its_fingerprint_or_by_its_job() -> None:
    assert parse_finding("0123456789abcdef") == "0123456789abcdef"
    assert parse_finding("7k2mbq4wxp:f3") == ("7k2mbq4wxp", "f3")
    for text in (
        "f3",
        "7k2mbq4wxp:",
        ":f3",
        "7k2:f3",
        "0123456789ABCDEF",
        "0123456789abcde",
        "*:f1",
    ):
        with pytest.raises(ArgumentError, match="names no finding"):
            parse_finding(text)


def test_whoever_types_has_a_name_even_where_the_system_knows_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOGNAME", "ada\x1b[31m")
    assert login() == "ada[31m"

    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert login() == f"uid {os.getuid()}"


def printed(old: Report, new: Report) -> str:
    console = Console(file=io.StringIO(), width=90, force_terminal=False)
    print_diff(compare(old, new), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def at(level: float, severity: Severity) -> Report:
    """A volume of db-1 that is so full."""
    found, answers = reports.full_volume("db-1")
    told = found.claims[0].model_copy(update={"observed": level, "remeasured": level})
    changed = found.model_copy(update={"claims": (told,), "severity": severity})
    return reports.report_of(reports.HOSTS, [(changed, answers)])


def test_a_difference_is_told_with_both_numbers_and_the_limit() -> None:
    text = printed(at(82, Severity.WARNING), at(97.25, Severity.CRITICAL))
    assert (
        "1 worse.\n"
        "it is the same job twice\n"
        "\n"
        "WORSE      critical  db-1  Volume nearly full  /var/lib/postgresql (/dev/nvme1n1p1, xfs)\n"
        "             k7m2q9xw4t:f1\n"
        "             warning → critical, 82 % → 97.25 % (limit ≥ 90 %)\n"
    ) in text
    same = printed(reports.complete(), reports.complete())
    assert "SAME       critical  web-1  Service failed" in same
    assert printed(reports.healthy(), reports.healthy()).splitlines()[2] == "No finding in either."


def test_what_nobody_can_tell_of_is_marked_where_it_was_acknowledged() -> None:
    old = at(92, Severity.CRITICAL)
    (found,) = old.findings
    ack = Acknowledgement(
        fingerprint=found.fingerprint,
        severity=found.severity,
        until=old.job.created + timedelta(days=1),
        reason="known",
        at=old.job.created,
    )
    known = old.model_copy(update={"findings": (found.model_copy(update={"acknowledged": ack}),)})
    blind = reports.report_of(["db-1"]).model_copy(update={"evidence": ()})
    assert "acknowledged" not in printed(old, blind)
    assert "in the same way; acknowledged" in " ".join(printed(known, blind).split())


def test_a_long_difference_is_cut_and_a_hostile_one_is_harmless() -> None:
    names = tuple(f"node-{number}" for number in range(LISTED + 5))
    many = reports.report_of(names, [reports.missing_updates(name, 2) for name in names])
    text = printed(reports.report_of(names), many)
    assert text.count("NEW ") == LISTED
    assert "and 5 more" in text
    for old, new in (
        (reports.hostile(), reports.complete()),
        (reports.complete(), reports.hostile()),
    ):
        assert not set(printed(old, new)) & set("\x1b\x08\r\x00\x9b\u202e\u200b")


def test_trust_is_a_row_for_each_model_and_specialist(capsys: pytest.CaptureFixture[str]) -> None:
    liar = Tally(model="small\x1b[31m", specialist="storage", verified=30, refuted=10, rejected=2)
    young = Tally(model="big", specialist="storage", refuted=1)
    unheard = Tally(model="big", specialist="network", opinions=3)
    print_trust((liar, young, unheard), 10, 30)
    head, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head[:3] == ["model", "specialist", "claims"]
    assert rows[0][1:] == [
        *("storage", "42", "30", "10", "0", "0", "0", "2", "25.0", "%", "14.2", "%", "doubted"),
    ]
    assert rows[1][2:] == [
        *("1", "0", "1", "0", "0", "0", "0", "100.0", "%", "20.7", "%", "too", "few", "to", "tell"),
    ]
    assert rows[2][1:9] == ["network", *("0" * 7)]
    rows_as_json = json.loads(trust_json((liar, young), 10))
    assert [row["doubted"] for row in rows_as_json] == [True, False]
    assert (rows_as_json[0]["claims"], rows_as_json[0]["wrong_percent"]) == (42, 25.0)
    print_trust((), 10, 7)
    assert capsys.readouterr().out.startswith("No model made a claim in the last 7 days.")
