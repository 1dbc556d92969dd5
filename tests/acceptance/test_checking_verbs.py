"""The verbs trust, ack and diff, over a store with jobs that have ended."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.surfaces.acknowledging import AckOptions, run_ack
from orchestrator.surfaces.session import Given
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.errors import UsageError
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.finding import Severity
from swarm_tasks.models.job import Job
from swarm_tasks.models.report import Report
from swarm_tasks.models.tally import Tally
from swarm_tasks.store.acks import Acks
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.ledger import Ledger
from tests.support import reports
from tests.support.commands import Asker
from tests.support.trusted import count_claims

HOSTS = ("db-1", "web-1")
BEFORE, AFTER, OPEN = "before2222", "after33333", "open444444"
WELL = reports.report_of(HOSTS)


def sick(percent: float, severity: Severity) -> Report:
    """A volume of db-1 that is so full, and a claim that did not hold."""
    found, answers = reports.full_volume("db-1")
    told = found.claims[0].model_copy(update={"observed": percent, "remeasured": percent})
    changed = found.model_copy(update={"claims": (told,), "severity": severity})
    return reports.report_of(HOSTS, [(changed, answers), reports.busy_cpu("web-1")])


def keep(client: Commands, identifier: str, report: Report | None, minutes_ago: float) -> None:
    """Write down a job as control does; without a report it is still open."""
    created = now_utc() - timedelta(minutes=minutes_ago)
    job = Job(
        id=identifier, hosts=HOSTS, specialists=("storage",), created=created, deadline_seconds=60
    )
    ledger = Ledger(client, 3600)
    ledger.open(job, (), created.timestamp() + 60)
    if report is not None:
        line = report.job.model_copy(update={"id": identifier, "created": created})
        assert ledger.close_job(report.model_copy(update={"job": line}))


@pytest.fixture
def there(asker: Asker, store: EmbeddedStore, client: Commands) -> Asker:
    """Somebody with a store of two jobs that have ended, and one that has not."""
    keep(client, BEFORE, sick(82, Severity.WARNING), 60)
    keep(client, AFTER, sick(97, Severity.CRITICAL), 30)
    keep(client, OPEN, None, 1)
    return asker.with_variables(BROKER_URL=store.url)


def printed(asker: Asker, *words: str, code: int = 0) -> str:
    done = asker.run(*words)
    assert (done.stderr, done.returncode) == ("", code)
    return done.stdout


def as_json(asker: Asker, *words: str, code: int = 0) -> Any:
    return json.loads(printed(asker, *words, "--json", code=code))


def ack(store: EmbeddedStore, **options: Any) -> None:
    """What the verb does, without a process of its own."""
    nothing = AckOptions("", "", "", listed=False, remove="", as_json=True)
    settings = Settings(broker_url=SecretStr(store.url))
    run_ack(Given(settings, None), replace(nothing, **options))


def test_a_finding_is_acknowledged_and_listed(there: Asker, client: Commands) -> None:
    there.environment["LOGNAME"] = "ada"
    said = printed(there, "ack", f"{AFTER}:f1", "--until", "7d", "--reason", "a disk is coming")
    assert re.match(r"Acknowledged until \d{4}-.* UTC: db-1, Volume nearly full, /var/lib/po", said)
    ((mark, known),) = Acks(client).standing().items()
    assert said.strip().endswith(f"({mark})")
    assert (known.severity, known.reason, known.by) == ("critical", "a disk is coming", "ada")
    assert timedelta(days=6.9) < known.until - now_utc() <= timedelta(days=7)
    head, row = printed(there, "ack", "--list").splitlines()
    assert head.split()[:2] == ["fingerprint", "severity"]
    assert re.match(rf" {mark} +critical .* ada +db-1, Volume nearly full, .* a disk is com", row)


def test_what_is_acknowledged_by_its_fingerprint_can_be_taken_back(
    there: Asker, store: EmbeddedStore, client: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    ack(store, finding=f"{BEFORE}:f1", until="2h", reason="it is a warning")
    older = json.loads(capsys.readouterr().out)
    mark = older["fingerprint"]
    ack(store, finding=mark, until="3h", reason="it is grave by now")
    newer = json.loads(capsys.readouterr().out)
    assert (older["severity"], newer["severity"]) == ("warning", "critical")
    ack(store, listed=True)
    assert json.loads(capsys.readouterr().out) == [newer]
    assert mark in printed(there, "ack", "--remove", mark)
    ack(store, listed=True, as_json=False)
    assert capsys.readouterr().out == "Nothing is acknowledged.\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"finding": f"{AFTER}:f9"}, f"job {AFTER} has no finding 'f9': see `hostswarm show"),
        ({"finding": "nosuchjob:f1"}, "there is no job 'nosuchjob'"),
        ({"finding": "0" * 16}, "no finding of the last 50 jobs has the fingerprint 0000"),
        ({"finding": f"{AFTER}:f2"}, "web-1 did not hold when it was checked"),
        ({"finding": f"{AFTER}:f1", "until": "2020-01-01"}, "'2020-01-01' is not in the future"),
        ({"finding": f"{AFTER}:f1", "reason": ""}, "--reason is missing"),
        ({"finding": f"{AFTER}:f1", "listed": True}, "does one thing at a time"),
        ({}, "does one thing at a time"),
        ({"remove": "0123456789abcdef"}, "nothing is acknowledged as '0123456789abcdef'"),
    ],
)
def test_what_cannot_be_acknowledged_is_told_and_changes_nothing(
    there: Asker, store: EmbeddedStore, client: Commands, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        ack(store, **{"until": "7d", "reason": "x", **options})
    assert Acks(client).standing() == {}


def test_a_job_or_finding_that_is_not_there_is_told_in_a_line(there: Asker) -> None:
    words = ("ack", f"{AFTER}:f9", "--until", "7d", "--reason", "x")
    there.refused(*words, says=f"job {AFTER} has no finding 'f9': see `hostswarm show {AFTER}")
    there.refused("diff", "nosuchjob", AFTER, says="there is no job 'nosuchjob'")


def test_two_jobs_are_told_apart(there: Asker) -> None:
    text = printed(there, "diff", BEFORE, AFTER)
    assert "WORSE      critical  db-1  Volume nearly full" in text
    assert "warning → critical, 82 % → 97 % (limit ≥ 90 %)" in text
    assert "\x1b" not in text
    told = as_json(there, "diff", BEFORE, AFTER, "--exit-code", code=2)
    assert (told["schema"], told["old"]["id"], told["new"]["id"]) == (
        *("hostswarm.diff/1", BEFORE, AFTER),
    )
    assert {change: count for change, count in told["counts"].items() if count} == {"worse": 1}
    back = as_json(there, "diff", AFTER, BEFORE, "--exit-code")
    assert [one["change"] for one in back["findings"]] == ["better"]
    assert back["notes"] == [f"{BEFORE} is older than {AFTER}: they are compared as given"]


def test_a_job_that_is_open_is_compared_with_nothing_yet(there: Asker) -> None:
    there.refused("diff", BEFORE, OPEN, "--exit-code", code=3, says=f"job {OPEN} is still open")


def test_trust_is_told_for_each_model_and_specialist(there: Asker, client: Commands) -> None:
    assert printed(there, "trust").startswith("No model made a claim in the last 30 days.")
    liar = Tally(model="qwen3:8b", specialist="storage", verified=4, refuted=5, unsupported=1)
    count_claims(client, [liar, liar.model_copy(update={"specialist": "network"})])
    _, network, storage = printed(there, "trust").splitlines()
    assert network.split()[:2] == ["qwen3:8b", "network"]
    assert re.search(r"^ qwen3:8b +storage +10 .* 60\.0 % +31\.3 % +doubted$", storage.rstrip())
    calm = there.with_variables(DISTRUST_PERCENT="100")
    (row, _) = as_json(calm, "trust", "--days", "1")
    assert (row["wrong"], row["doubted"], row["limit_percent"]) == (6, False, 100)
