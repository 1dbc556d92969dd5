"""Values, claims, headlines and blind spots in words for people."""

from __future__ import annotations

import unicodedata

import pytest

from orchestrator.render import claims, coverage, honesty, values, words
from orchestrator.render.html import state_of
from swarm_tasks.measures import measures
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.finding import Acknowledgement, Claim, Severity, Verdict
from swarm_tasks.models.report import Coverage, HostStatus, JobStatus, Report
from swarm_tasks.models.tally import Tally
from tests.support import reports


def claim(
    metric: str,
    observed: JsonScalar,
    limit: JsonScalar,
    verdict: Verdict = Verdict.VERIFIED,
    remeasured: JsonScalar | None = None,
) -> Claim:
    known = measures()[metric]
    return Claim(
        metric=metric,
        subject="it",
        comparator=known.comparator,
        value=limit,
        unit=known.unit,
        observed=observed,
        observed_at=reports.CREATED,
        remeasured=remeasured,
        verdict=verdict,
    )


def judged(report: Report, *pairs: tuple[Severity, Verdict]) -> Report:
    """The report with findings of these severities and verdicts, and no others."""
    one, _ = reports.full_volume("db-1")
    findings = tuple(
        one.model_copy(update={"severity": severity, "verdict": verdict})
        for severity, verdict in pairs
    )
    return report.model_copy(update={"findings": findings})


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (97.3, "percent", "97.3 %"),
        (90, "percent", "90 %"),
        (100, "percent", "100 %"),
        (99.99, "percent", "> 99.9 %"),
        (0.04, "percent", "0.04 %"),
        (0, "percent", "0 %"),
        (0, "bytes", "0 B"),
        (1023, "bytes", "1,023 B"),
        (1024, "bytes", "1 KiB"),
        (1_048_575, "bytes", "1 MiB"),
        (3_328_599_654, "bytes", "3.1 GiB"),
        (2**60, "bytes", "1,024 PiB"),
        (0, "seconds", "0 s"),
        (0.2, "seconds", "200 ms"),
        (0.000_04, "seconds", "0.04 ms"),
        (0.999_99, "seconds", "1 s"),
        (12.34, "seconds", "12.3 s"),
        (59.97, "seconds", "1 min"),
        (3_600, "seconds", "1 h"),
        (50_400, "seconds", "14 h"),
        (51_660, "seconds", "14 h 21 min"),
        (273_600, "seconds", "3 d 4 h"),
        (259_260, "seconds", "3 d"),
        (-90, "seconds", "−1 min 30 s"),
        (12.3, "milliseconds", "12.3 ms"),
        (1500, "milliseconds", "1.5 s"),
        (2.41, "ratio", "2.4"),
        (1, "packages", "1 package"),
        (1204, "events", "1,204 events"),
        (0, "errors", "0 errors"),
        ("client_error", "state", "client error"),
        (True, "state", "yes"),
        (False, "percent", "no"),
        ("n/a\nnext", "percent", "n/a next"),
        (7, "furlongs", "7 furlongs"),
    ],
)
def test_a_value_is_said_with_its_unit(value: JsonScalar, unit: str, said: str) -> None:
    assert values.value_text(value, unit) == said


@pytest.mark.parametrize(
    ("metric", "observed", "limit", "said"),
    [
        ("disk.used_percent", 97.3, 90, "97.3 % used (limit ≥ 90 %)"),
        ("disk.free_bytes", 3_328_599_654, 5_000_000_000, "3.1 GiB free (limit ≤ 4.7 GiB)"),
        ("disk.full_in_seconds", 10_800, 14_400, "full in 3 h (limit ≤ 4 h)"),
        ("tls.left_seconds", 273_600, 604_800, "expires in 3 d 4 h (limit ≤ 7 d)"),
        ("tls.left_seconds", -172_800, 604_800, "expired 2 d ago (limit ≤ 7 d)"),
        ("time.offset_seconds", 0.35, 0.2, "350 ms off (limit ≥ 200 ms)"),
        ("service.restarts", 7, 3, "7 restarts in 5 min (limit ≥ 3 restarts)"),
        ("service.state", "failed", "failed", "state of a service: failed"),
        ("service.state", "active", "failed", "state of a service: active (limit = failed)"),
        (
            "gpu.xid_errors",
            1,
            1,
            "errors that a GPU reported to the kernel: 1 event (limit ≥ 1 event)",
        ),
    ],
)
def test_a_claim_is_one_phrase(
    metric: str, observed: JsonScalar, limit: JsonScalar, said: str
) -> None:
    assert claims.claim_text(claim(metric, observed, limit)) == said


def test_a_value_just_below_its_limit_never_reads_as_the_limit() -> None:
    near = claim("disk.used_percent", 90.2, 90, Verdict.REFUTED, remeasured=89.97)
    assert claims.check_text(near) == "refuted: 89.97 % when measured again"
    assert claims.claim_text(near) == "90.2 % used (limit ≥ 90 %)"


def test_every_phrase_is_about_a_metric_of_the_table() -> None:
    assert set(claims.PHRASES) <= set(measures())


def test_a_metric_that_is_not_in_the_table_is_said_by_its_name() -> None:
    made_up = claim("disk.used_percent", 3, 2).model_copy(
        update={"metric": "moon.phase", "unit": "x"}
    )
    assert claims.claim_text(made_up) == "moon.phase: 3 x (limit ≥ 2 x)"


@pytest.mark.parametrize(
    ("verdict", "remeasured", "said"),
    [
        (Verdict.VERIFIED, 97.4, "verified: 97.4 % when measured again"),
        (Verdict.VERIFIED, None, "verified"),
        (Verdict.REFUTED, 45.2, "refuted: 45.2 % when measured again"),
        (Verdict.STALE, 45.2, "stale: it has changed since, 45.2 % when measured again"),
        (Verdict.UNVERIFIABLE, None, "measured once: nothing could measure it again"),
        (Verdict.UNSUPPORTED, None, "unsupported: the evidence does not say so"),
    ],
)
def test_a_check_is_said_with_its_second_number(
    verdict: Verdict, remeasured: float | None, said: str
) -> None:
    checked = claim("disk.used_percent", 97.3, 90, verdict, remeasured)
    assert claims.check_text(checked) == said


def test_nothing_that_acts_unseen_is_left_in_clean_text() -> None:
    everything = "".join(map(chr, range(0x110000)))
    unseen = [
        char
        for char in words.clean(everything)
        if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(char) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI")
        or unicodedata.bidirectional(char) in ("FSI", "PDI")
    ]
    assert unseen == ["\t", "\n"]


def test_what_acts_unseen_is_written_out_and_not_dropped() -> None:
    assert words.clean("a\x1b[31mb\x00\u202ec\n") == "a\\x1b[31mb\\x00\\u202ec\n"
    assert words.one_line("a\r\n\tb  c") == "a\\r b c"


def test_a_long_name_keeps_both_ends() -> None:
    assert words.shorten("abcdefghij", 5) == "ab…ij"
    assert words.shorten("abcde", 5) == "abcde"


def test_a_call_is_said_with_the_arguments_that_were_given() -> None:
    arguments: dict[str, object] = {"mount": "/var", "n": 10, "since": None, "exclude": []}
    assert claims.call_text("largest_paths", arguments) == 'largest_paths(mount="/var", n=10)'


def test_the_headline_counts_what_stands() -> None:
    assert coverage.headline(reports.complete()) == (
        "2 critical, 2 warnings, 1 info; 1 could not be measured again"
    )
    assert coverage.headline(reports.healthy()) == "No findings"


def test_the_headline_never_tells_silence_as_health() -> None:
    silent = judged(reports.partial())
    assert coverage.headline(silent) == "No findings on the 4 hosts that answered"
    nobody = Coverage(asked=("db-1",), dark=("db-1",))
    assert coverage.headline(silent.model_copy(update={"coverage": nobody})) == "No host answered"


def test_coverage_names_who_did_not_answer() -> None:
    assert coverage.coverage_text(reports.complete()) == "6 of 6 hosts answered"
    assert coverage.coverage_text(reports.partial()) == (
        "4 of 6 hosts answered; 1 dark (db-2); 1 failed (cache-1)"
    )


def test_absence_says_when_the_host_was_last_seen() -> None:
    report = reports.partial()
    line = next(line for line in report.hosts if line.status is HostStatus.DARK)
    assert coverage.absence_text(report, line) == (
        "no sign of life; last seen 2026-03-02 08:47:56 UTC, 26 min 11 s before the question"
    )
    never = line.model_copy(update={"last_seen": None})
    assert coverage.absence_text(report, never) == "no sign of life"


def test_blind_spots_are_grouped_by_reason_over_hosts() -> None:
    spots = coverage.blind_spots(reports.partial())
    assert [(spot.what, spot.hosts) for spot in spots] == [
        (("storage",), ("mail-1",)),
        (("gpu",), ("db-1", "mail-1", "web-1", "web-2")),
        (("smart_health",), ("db-1", "mail-1", "web-1", "web-2")),
        (("containers",), ("db-1", "web-1")),
    ]
    assert spots[0].reason == "was stopped by the deadline"
    assert spots[2].remedy == "apt install smartmontools"


def test_hosts_are_named_unless_they_are_all_that_answered() -> None:
    report = reports.complete()
    assert coverage.hosts_text(report, reports.HOSTS) == "every host that answered"
    assert coverage.hosts_text(report, reports.HOSTS[:4], 3) == "cache-1, db-1, db-2 and 1 more"


def test_what_is_ruled_out_is_said_once_with_its_hosts() -> None:
    said = coverage.ruled_out(reports.complete())
    assert said["CPU, load and memory are within their limits"] == reports.HOSTS


@pytest.mark.parametrize(
    ("severity", "code"), [(Severity.CRITICAL, 2), (Severity.WARNING, 1), (Severity.INFO, 0)]
)
def test_the_exit_code_is_the_gravest_finding(severity: Severity, code: int) -> None:
    found = judged(reports.healthy(), (Severity.INFO, Verdict.VERIFIED), (severity, Verdict.STALE))
    assert coverage.plugin_exit_code(found) == 0
    assert (
        coverage.plugin_exit_code(judged(reports.healthy(), (severity, Verdict.VERIFIED))) == code
    )


def test_what_could_not_be_measured_again_is_unknown_and_never_hides_an_alarm() -> None:
    unsure = (Severity.CRITICAL, Verdict.UNVERIFIABLE)
    report = judged(reports.healthy(), unsure)
    assert coverage.plugin_exit_code(report) == 3
    assert coverage.headline(report) == "No findings; 1 could not be measured again"
    assert state_of(report) == "unknown"
    for severity, code in ((Severity.INFO, 3), (Severity.WARNING, 1), (Severity.CRITICAL, 2)):
        both = judged(reports.healthy(), unsure, (severity, Verdict.VERIFIED))
        assert coverage.plugin_exit_code(both) == code
    harmless = judged(reports.healthy(), (Severity.INFO, Verdict.UNVERIFIABLE))
    assert coverage.plugin_exit_code(harmless) == 0


@pytest.mark.parametrize("verdict", [Verdict.VERIFIED, Verdict.UNVERIFIABLE])
def test_what_is_acknowledged_alarms_nobody(verdict: Verdict) -> None:
    report = judged(reports.healthy(), (Severity.CRITICAL, verdict))
    ack = Acknowledgement(
        fingerprint="0" * 16,
        severity=Severity.CRITICAL,
        until=reports.CREATED,
        reason="a new disk comes",
        at=reports.CREATED,
    )
    known = tuple(one.model_copy(update={"acknowledged": ack}) for one in report.findings)
    report = report.model_copy(update={"findings": known})
    assert coverage.plugin_exit_code(report) == 0
    assert coverage.headline(report) == "No findings"
    assert state_of(report) == "ok"


def test_an_opinion_changes_no_exit_code() -> None:
    report = judged(reports.healthy(), (Severity.CRITICAL, Verdict.UNVERIFIABLE))
    said = tuple(one.model_copy(update={"source": "model"}) for one in report.findings)
    report = report.model_copy(update={"findings": said})
    assert coverage.plugin_exit_code(report) == 0
    assert coverage.headline(report) == "No findings"


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        (Tally(), ""),
        (Tally(opinions=3), ""),
        (Tally(verified=1), "1 claim: 1 verified"),
        (
            Tally(verified=28, refuted=2, unverifiable=1),
            "31 claims: 2 refuted, 28 verified, 1 unverifiable",
        ),
        (
            Tally(verified=1, stale=2, unsupported=3, rejected=4, refuted=5, unverifiable=6),
            "21 claims: 5 refuted, 3 unsupported, 4 rejected, 1 verified, 2 stale, 6 unverifiable",
        ),
        (Tally(verified=1_200), "1,200 claims: 1,200 verified"),
    ],
)
def test_the_honesty_line_says_first_what_was_never_so(tally: Tally, said: str) -> None:
    assert honesty.honesty_text(tally) == said


@pytest.mark.parametrize("verdict", [one for one in Verdict if not one.counts])
def test_a_withdrawn_finding_does_not_count(verdict: Verdict) -> None:
    report = judged(reports.healthy(), (Severity.CRITICAL, verdict))
    assert coverage.plugin_exit_code(report) == 0
    assert coverage.headline(report) == "No findings"


def test_incomplete_coverage_is_unknown_but_never_hides_a_finding() -> None:
    assert coverage.plugin_exit_code(judged(reports.partial())) == 3
    grave = judged(reports.partial(), (Severity.WARNING, Verdict.VERIFIED))
    assert coverage.plugin_exit_code(grave) == 1


def test_a_job_that_is_not_complete_is_unknown() -> None:
    report = reports.healthy()
    cut = report.job.model_copy(update={"status": JobStatus.PARTIAL})
    assert coverage.plugin_exit_code(report.model_copy(update={"job": cut})) == 3
