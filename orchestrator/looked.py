"""Whether one job looked at what another job found. Pure.

It did if an agent of the finding's specialist answered on its host, every other host that the
finding is about was heard of, and what had shown each claim was called again, where it was called
before, and answered in full.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.change import Change
from swarm_tasks.models.evidence import Evidence, EvidenceStatus, ToolCall
from swarm_tasks.models.finding import Finding
from swarm_tasks.models.report import HostStatus, PartLine, Report


class Look:
    """What one job looked at.

    Args:
        report: That job's.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._asked = frozenset(report.coverage.asked)
        self._parts: dict[tuple[str, str], list[PartLine]] = {}
        for line in report.hosts:
            for part in line.parts:
                self._parts.setdefault((line.host, part.specialist), []).append(part)
        self._lines = {line.host: line for line in report.hosts}
        self._calls: dict[tuple[str, str], list[Evidence]] = {}
        for item in report.evidence:
            self._calls.setdefault((item.host, item.tool), []).append(item)

    def at(self, finding: Finding, seen_in: Report) -> tuple[Change, str]:
        """Whether this job would have seen a finding that it does not have: resolved if so, else
        unknown or not asked, with why."""
        job, host, specialist = self._report.job.id, finding.host, finding.specialist
        if host not in self._asked:
            return Change.NOT_ASKED, f"{job} did not ask {host}"
        line = self._lines.get(host)
        parts = self._parts.get((host, specialist), [])
        if not parts and (line is None or line.status is not HostStatus.ANSWERED):
            return Change.UNKNOWN, f"{host} did not answer in {job}"
        if not parts:
            return Change.NOT_ASKED, f"{job} had no agent for {specialist} on {host}"
        if all(part.status is not HostStatus.ANSWERED for part in parts):
            reason = f" ({parts[0].reason})" if parts[0].reason else ""
            return Change.UNKNOWN, f"{specialist} did not answer on {host} in {job}{reason}"
        for other in dict.fromkeys(claim.host for claim in finding.claims):
            if other not in ("", host) and not self._heard(other):
                if other not in self._asked:
                    return Change.NOT_ASKED, f"{job} did not ask {other}"
                return Change.UNKNOWN, f"{other} did not answer in {job}"
        return self._called(finding, seen_in)

    def _heard(self, host: str) -> bool:
        """Whether anything came from a host: part of an answer, or what it measured for others."""
        if any(item.host == host for item in self._report.evidence):
            return True
        line = self._lines.get(host)
        return line is not None and line.status is HostStatus.ANSWERED

    def _called(self, finding: Finding, seen_in: Report) -> tuple[Change, str]:
        """Whether what showed each claim in the other job was called in this one too."""
        shown = {item.call_id: item for item in seen_in.evidence}
        if not finding.claims:
            return Change.UNKNOWN, self._unnamed
        for claim in finding.claims:
            calls = [shown[ref.call_id] for ref in claim.evidence if ref.call_id in shown]
            if why := self._unseen(calls):
                return Change.UNKNOWN, why
        return Change.RESOLVED, ""

    @property
    def _unnamed(self) -> str:
        return f"nothing tells what {self._report.job.id} would have had to call"

    def _unseen(self, shown: Sequence[Evidence]) -> str:
        """Why none of these calls of the other job was made in this one, on the same host, and
        answered in full; empty where one was."""
        job, why = self._report.job.id, self._unnamed
        for item in shown:
            wanted = ToolCall(tool=item.tool, arguments=item.arguments)
            same = [
                one
                for one in self._calls.get((item.host, item.tool), [])
                if wanted.same_as(ToolCall(tool=one.tool, arguments=one.arguments))
            ]
            good = [one for one in same if one.status is EvidenceStatus.OK]
            if any(not one.truncated for one in good):
                return ""
            if good:
                why = f"the output of {item.tool} was cut in {job}"
            elif same:
                why = f"{item.tool} gave no answer in {job} ({same[0].reason or same[0].status})"
            else:
                why = f"{job} did not call {item.tool} in the same way"
        return why
