"""The verb `ack`: no alarm for a finding until a date, and what was said so of others."""

from __future__ import annotations

import getpass
import json
import os
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich.table import Table
from rich.text import Text

from orchestrator.render.values import moment_text
from orchestrator.render.words import one_line
from orchestrator.service import Fleet
from orchestrator.surfaces.options import parse_seconds
from orchestrator.surfaces.page import page
from orchestrator.surfaces.session import Given, open_fleet
from swarm_tasks.errors import ArgumentError, UnknownName
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.finding import Acknowledgement, Finding
from swarm_tasks.models.job import JOB_ID_PATTERN
from swarm_tasks.unseen import plain_line

REASON_LIMIT = 500
LONGEST = timedelta(days=366)
"""Who knows of a finding for longer has made an exception: that is a setting."""

JOBS_SEARCHED = 50
"""In how many of the newest jobs a fingerprint is looked for."""

SHAPE = "write a fingerprint, or JOB:ID such as 7k2mbq4wxp:f3"


@dataclass(frozen=True, slots=True)
class AckOptions:
    """What the command line asked for."""

    finding: str
    until: str
    reason: str
    listed: bool
    remove: str
    as_json: bool


def run_ack(given: Given, options: AckOptions) -> None:
    """Acknowledge, list or take back.

    Raises:
        ArgumentError: What was asked for is wrong; nothing was changed.
        UnknownName: There is no such job, finding or acknowledgement.
    """
    if [bool(options.finding), options.listed, bool(options.remove)].count(True) != 1:
        raise ArgumentError("`hostswarm ack` does one thing at a time", f"{SHAPE}, or --list")
    if options.finding:
        _add(given, options)
        return
    with open_fleet(given) as fleet:
        if options.listed:
            standing = fleet.acks.standing()
            _print_list(standing, {} if options.as_json else _found(fleet, standing), options)
        elif not fleet.acks.remove(options.remove):
            raise UnknownName(
                f"nothing is acknowledged as {options.remove!r}", "see `hostswarm ack --list`"
            )
        elif options.as_json:
            sys.stdout.write(json.dumps({"removed": options.remove}) + "\n")
        else:
            page().print(f"{options.remove} is not acknowledged any more.", markup=False)


def _add(given: Given, options: AckOptions) -> None:
    at = now_utc()
    until = parse_until(options.until, at)
    reason = parse_reason(options.reason)
    named = parse_finding(options.finding)
    with open_fleet(given) as fleet:
        finding = _in_job(fleet, *named) if isinstance(named, tuple) else _newest(fleet, named)
        if not finding.verdict.counts:
            raise ArgumentError(
                f"{one_line(finding.title)} on {finding.host} did not hold when it was checked",
                "it raises no alarm",
            )
        ack = Acknowledgement(
            fingerprint=finding.fingerprint,
            severity=finding.severity,
            until=until,
            reason=reason,
            by=login(),
            at=at,
        )
        fleet.acks.add(ack)
    if options.as_json:
        sys.stdout.write(ack.model_dump_json(indent=2) + "\n")
        return
    text = f"Acknowledged until {moment_text(until)}: {_told(finding)} ({ack.fingerprint})"
    page().print(text, markup=False)


def parse_until(text: str, now: datetime) -> datetime:
    """A date, a moment or a duration from now.

    Raises:
        ArgumentError: It is none, not in the future, or further off than a year.
    """
    remedy = "write a date such as 2026-12-24, or 7d"
    if not text.strip():
        raise ArgumentError("--until is missing", remedy)
    if re.fullmatch(r"\d+(?:\.\d+)?\s*[smhd]", text.strip()):
        seconds = parse_seconds(text, "--until")
        until = now + timedelta(seconds=min(seconds, 2 * LONGEST.total_seconds()))
    else:
        try:
            until = datetime.fromisoformat(text.strip())
        except ValueError:
            raise ArgumentError(f"--until {text!r} is no date", remedy) from None
        until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    if until <= now:
        raise ArgumentError(f"--until {text!r} is not in the future", remedy)
    if until - now > LONGEST:
        raise ArgumentError(
            f"--until {text!r} is more than a year off",
            "for an exception that is to last, see `overrides` in docs/thresholds.md",
        )
    return until


def parse_reason(text: str) -> str:
    """A reason in one line.

    Raises:
        ArgumentError: There is none, or it is a story.
    """
    reason = plain_line(text, REASON_LIMIT + 1)
    if not reason:
        raise ArgumentError("--reason is missing", "say for those after you why no alarm is wanted")
    if len(reason) > REASON_LIMIT:
        raise ArgumentError(f"--reason is longer than {REASON_LIMIT} characters", "say it in brief")
    return reason


def parse_finding(text: str) -> str | tuple[str, str]:
    """A fingerprint, or a job with a finding's id in it.

    Raises:
        ArgumentError: It is neither.
    """
    job, colon, identifier = text.strip().partition(":")
    if colon and re.fullmatch(JOB_ID_PATTERN, job) and identifier:
        return job, identifier
    if not colon and re.fullmatch(r"[0-9a-f]{16}", job):
        return job
    raise ArgumentError(f"{text!r} names no finding", SHAPE)


def login() -> str:
    """The name of the user who types, as far as the system knows one."""
    try:
        return plain_line(getpass.getuser(), 100)
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"


def _in_job(fleet: Fleet, job: str, identifier: str) -> Finding:
    for finding in fleet.report(job).findings:
        if finding.id == identifier:
            return finding
    raise UnknownName(f"job {job} has no finding {identifier!r}", f"see `hostswarm show {job}`")


def _newest(fleet: Fleet, mark: str) -> Finding:
    found = _found(fleet, (mark,))
    if mark not in found:
        raise UnknownName(
            f"no finding of the last {JOBS_SEARCHED} jobs has the fingerprint {mark}",
            "see `hostswarm show JOB --json`",
        )
    return found[mark]


def _found(fleet: Fleet, marks: Collection[str]) -> dict[str, Finding]:
    """The newest findings with these fingerprints, as far as recent jobs have any; one that held
    goes over one that did not."""
    found: dict[str, Finding] = {}
    wanted = set(marks)
    for summary in fleet.jobs(JOBS_SEARCHED) if wanted else ():
        report = fleet.ledger.report(summary.id) if summary.state == "closed" else None
        for finding in report.findings if report else ():
            known = found.get(finding.fingerprint)
            if finding.fingerprint in wanted and (known is None or not known.verdict.counts):
                found[finding.fingerprint] = finding
        if all(mark in found and found[mark].verdict.counts for mark in wanted):
            break
    return found


def _told(finding: Finding) -> str:
    return one_line(f"{finding.host}, {finding.title}, {finding.subject}")


def _print_list(
    standing: Mapping[str, Acknowledgement], found: Mapping[str, Finding], options: AckOptions
) -> None:
    if options.as_json:
        rows = [ack.model_dump(mode="json") for ack in standing.values()]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    if not standing:
        page().print("Nothing is acknowledged.")
        return
    table = Table("fingerprint", "severity", "until (UTC)", "by", "finding", "reason", box=None)
    for mark, ack in standing.items():
        table.add_row(
            Text(mark, "bold"),
            ack.severity.value,
            f"{ack.until.astimezone(UTC):%Y-%m-%d %H:%M}",
            Text(one_line(ack.by)),
            Text(_told(found[mark]) if mark in found else "in no recent report"),
            Text(one_line(ack.reason)),
        )
    page().print(table)
