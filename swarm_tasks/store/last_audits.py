"""What each host's last audit said, kept small: for when the host itself can say nothing."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from swarm_tasks.models.finding import Finding
from swarm_tasks.models.outside import MOST_TITLES, LastAudit
from swarm_tasks.models.report import HostLine, Report
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.unseen import plain_line

PORTION = 1_000
"""Hosts that are written in one round trip."""

TITLE_CHARACTERS = 120


class LastAudits:
    """One short note a host, written as a job closes.

    To look through the reports of past jobs would take megabytes for each look at a dark host.

    Args:
        client: The store.
        forget_seconds: How long a note is kept.
    """

    def __init__(self, client: Commands, forget_seconds: int) -> None:
        self._client = client
        self._forget = forget_seconds

    def keep(self, report: Report) -> None:
        """Note what a job that is closed said of each host that it heard of."""
        notes = list(noted(report))
        for begin in range(0, len(notes), PORTION):
            pipe = self._client.pipeline(transaction=False)
            for host, note in notes[begin : begin + PORTION]:
                pipe.set(keys.LAST_AUDIT.at(host=host), note.model_dump_json(), ex=self._forget)
            pipe.execute()

    def of(self, host: str) -> LastAudit | None:
        """What was last said of a host; None where nothing is known, or it cannot be read."""
        text = self._client.get(keys.LAST_AUDIT.at(host=host))
        try:
            return None if text is None else LastAudit.model_validate_json(text)
        except ValidationError:
            return None


def noted(report: Report) -> Iterator[tuple[str, LastAudit]]:
    """The note of each host that at least one specialist answered for. Pure."""
    by_host: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.counts:
            by_host.setdefault(finding.host, []).append(finding)
    for line in report.hosts:
        if line.specialists:
            yield line.host, _note(report, line, by_host.get(line.host, []))


def _note(report: Report, line: HostLine, findings: list[Finding]) -> LastAudit:
    graded = sorted(findings, key=lambda one: one.severity.rank)
    titles = dict.fromkeys(plain_line(one.title, TITLE_CHARACTERS) for one in graded)
    return LastAudit(
        job=report.job.id,
        at=report.job.finished,
        specialists=line.specialists,
        findings=len(graded),
        worst=graded[0].severity if graded else None,
        titles=tuple(titles)[:MOST_TITLES],
    )
