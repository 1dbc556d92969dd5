"""Reports as audits make them, for the tests of what shows them. Nothing here is random.

`complete` is six hosts that all answered; `partial` the same with one dark and one failed;
`healthy` has no finding; `large` is a fleet; `thoughtful` is `complete` as models had a part in it;
`hostile` and `hostile_model` say dangerous things wherever they may.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from orchestrator.across.look import look_across
from orchestrator.across.readings import Peers
from orchestrator.across.scene import Scene
from swarm_tasks.measures import measure
from swarm_tasks.models.across import Outlier
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.charge import Allowance, Charge, Tier
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from swarm_tasks.models.finding import (
    Claim,
    EvidenceRef,
    Finding,
    Severity,
    Verdict,
    fingerprint,
)
from swarm_tasks.models.job import Plan, PlanLine
from swarm_tasks.models.outside import Echo, LastAudit, OutsideView, PortSeen
from swarm_tasks.models.report import (
    Coverage,
    Degraded,
    HostLine,
    HostReport,
    HostStatus,
    JobLine,
    JobStatus,
    NotSeen,
    PartLine,
    Report,
    StopReason,
    Usage,
)

CREATED = datetime(2026, 3, 2, 9, 14, 7, 310_000, tzinfo=UTC)
HOSTS = ("cache-1", "db-1", "db-2", "mail-1", "web-1", "web-2")
SPECIALISTS = ("compute", "network", "processes", "security", "services", "storage")

SWEEPS: dict[str, tuple[tuple[str, str], ...]] = {
    "compute": (("cpu", "/proc/stat"), ("load", "getloadavg()"), ("memory", "/proc/meminfo")),
    "network": (("interfaces", "/proc/net/dev"), ("dns_check", "dns.resolver.resolve()")),
    "processes": (("top_processes", "psutil.process_iter()"),),
    "security": (("updates", "apt-get --just-print upgrade"), ("reboot_required", "/run")),
    "services": (("failed_services", "systemctl list-units --failed --output=json"),),
    "storage": (("disk_usage", "findmnt --json --bytes --list"), ("inode_usage", "statvfs(/)")),
}
RULED_OUT = {
    "compute": "CPU, load and memory are within their limits",
    "network": "Every resolver answers, and no interface counts errors",
    "processes": "Process ids and file handles are far from their limits",
    "storage": "Every volume has inodes to spare",
}

SMART = NotSeen(
    tool="smart_health",
    reason="smartctl is not installed",
    remedy="apt install smartmontools",
)
GPU = NotSeen(tool="gpu", reason="no NVIDIA or AMD driver is loaded")
CONTAINERS = NotSeen(
    tool="containers",
    reason="permission denied on /var/run/docker.sock",
    remedy="usermod -aG docker hostswarm",
)

HOSTILE = (
    "<script>window.pwned=1</script>"
    '"><img src=x onerror="window.pwned=2">'
    "'><svg onload=window.pwned=3>"
    "</style></title></code></pre></details><details open ontoggle=window.pwned=4>"
    "<a href=javascript:window.pwned=5>{{7*7}}{% raw %}${7*7}--><!--]]>&lt;b&gt;"
    "[bold red]markup[/] :boom: [link=https://example.invalid]here[/link]"
    "\x1b[31mred\x1b]8;;https://example.invalid\x07\x9b2J\x00\x08\r\u202eorder\u2066\u200b"
)
"""What a hostile host may say, in one string: markup, templates, escapes, bidi overrides."""

FREE: tuple[object, ...] = (str, JsonScalar, JsonScalar | None)
"""Annotations under which a model takes any text."""

Model = TypeVar("Model", bound=BaseModel)


def evidence(
    host: str,
    specialist: str,
    tool: str,
    data: dict[str, Any],
    *,
    arguments: dict[str, Any] | None = None,
    source: tuple[str, ...] = (),
    after: float = 0.4,
    seconds: float = 0.03,
) -> Evidence:
    """One tool's answer, `after` seconds into the job."""
    return Evidence(
        call_id=f"{host}.{specialist}.{tool}",
        host=host,
        specialist=specialist,
        tool=tool,
        arguments=arguments or {},
        source=source,
        started=CREATED + timedelta(seconds=after),
        seconds=seconds,
        status=EvidenceStatus.OK,
        data=data,
    )


def claim(
    metric: str,
    subject: str,
    observed: JsonScalar,
    limit: JsonScalar,
    found: Sequence[tuple[Evidence, str]],
    *,
    verdict: Verdict = Verdict.VERIFIED,
    remeasured: JsonScalar | None = None,
) -> Claim:
    """A claim on a metric of the table, pointing at `found`: evidence and pointer."""
    return Claim(
        metric=metric,
        subject=subject,
        comparator=measure(metric).comparator,
        value=limit,
        unit=measure(metric).unit,
        observed=observed,
        observed_at=found[0][0].started,
        remeasured=remeasured,
        verdict=verdict,
        evidence=tuple(
            EvidenceRef(call_id=one.call_id, pointer=pointer, sha256=one.sha256())
            for one, pointer in found
        ),
    )


def finding(
    severity: Severity, title: str, advice: str, found: Evidence, *claims: Claim
) -> Finding:
    """A finding over these claims, with the first one's subject and verdict."""
    first = claims[0]
    mark = fingerprint(found.host, first.metric, first.subject)
    return Finding(
        id=mark,
        fingerprint=mark,
        host=found.host,
        specialist=found.specialist,
        severity=severity,
        title=title,
        subject=first.subject,
        advice=advice,
        verdict=first.verdict,
        claims=claims,
    )


def full_volume(host: str) -> tuple[Finding, list[Evidence]]:
    """A critical finding with a look at the cause."""
    usage = evidence(
        host,
        "storage",
        "disk_usage",
        {
            "volumes": [
                {
                    "mount": "/",
                    "device": "/dev/nvme0n1p2",
                    "fstype": "ext4",
                    "total_bytes": 53_660_876_800,
                    "used_bytes": 19_542_101_196,
                    "free_bytes": 31_363_000_320,
                    "used_percent": 38.39,
                },
                {
                    "mount": "/var/lib/postgresql",
                    "device": "/dev/nvme1n1p1",
                    "fstype": "xfs",
                    "total_bytes": 536_608_768_000,
                    "used_bytes": 522_120_331_264,
                    "free_bytes": 14_488_436_736,
                    "used_percent": 97.3,
                },
            ],
            "left_out": {"/proc": "no storage behind it", "/snap/core22/1380": "a read-only image"},
        },
        arguments={"mount": None, "exclude_fstypes": []},
        source=(
            "findmnt --json --bytes --list --output TARGET,SOURCE,FSTYPE,OPTIONS",
            "statvfs(/)",
            "statvfs(/var/lib/postgresql)",
        ),
    )
    largest = evidence(
        host,
        "storage",
        "largest_paths",
        {
            "mount": "/var/lib/postgresql",
            "whole": True,
            "paths": [
                {"path": "/var/lib/postgresql/15/main/pg_wal", "bytes": 391_422_869_504},
                {"path": "/var/lib/postgresql/15/main/base/16401", "bytes": 118_003_138_560},
                {"path": "/var/lib/postgresql/15/main/log", "bytes": 9_813_622_784},
            ],
        },
        arguments={"mount": "/var/lib/postgresql", "depth": 4, "n": 10},
        source=("walk(/var/lib/postgresql, one file system)",),
        after=0.6,
        seconds=0.84,
    )
    subject = "/var/lib/postgresql (/dev/nvme1n1p1, xfs)"
    found = [(usage, "/volumes/1/used_percent"), (largest, "")]
    return (
        finding(
            Severity.CRITICAL,
            "Volume nearly full",
            "Free space or grow the volume; the largest paths are in the evidence. Most of it is "
            "write-ahead log: look for a replication slot that nobody reads.",
            usage,
            claim("disk.used_percent", subject, 97.3, 90, found, remeasured=97.31),
        ),
        [usage, largest],
    )


def failed_service(host: str) -> tuple[Finding, list[Evidence]]:
    """A critical finding whose value is a word, with a log longer than a page shows."""
    unit = "checkout-queue.service"
    failed = evidence(
        host,
        "services",
        "failed_services",
        {"manager": "systemd", "services": [{"unit": unit, "state": "failed", "restarts": 5}]},
        source=("systemctl list-units --failed --all --output=json --no-pager",),
        seconds=0.04,
    )
    logs = evidence(
        host,
        "services",
        "service_logs",
        {
            "unit": unit,
            "lines": [
                f"Mar 02 08:{at // 60:02}:{at % 60:02} {host} checkout-queue[{4100 + at}]: could "
                "not write the order: server closed the connection unexpectedly"
                for at in range(400)
            ],
        },
        arguments={"unit": unit, "lines": 400, "since": None, "priority": None},
        source=(f"journalctl --unit={unit} --lines=400 --no-pager --output=short",),
        after=0.5,
        seconds=0.19,
    )
    found = [(failed, "/services/0/state"), (logs, "")]
    return (
        finding(
            Severity.CRITICAL,
            "Service failed",
            "Read its log in the evidence, mend the cause, then start it again.",
            failed,
            claim("service.state", unit, "failed", "failed", found, remeasured="failed"),
        ),
        [failed, logs],
    )


def missing_updates(host: str, packages: int) -> tuple[Finding, list[Evidence]]:
    """A warning that comes on many hosts."""
    names = ["linux-image-amd64", "openssl", "libssl3", "curl", "libc6", "sudo", "vim-tiny"]
    updates = evidence(
        host,
        "security",
        "updates",
        {
            "manager": "apt",
            "lists_age_seconds": 14_211.0,
            "security": packages,
            "packages": [
                {"package": names[index % len(names)], "security": index < packages}
                for index in range(packages + 4)
            ],
        },
        source=("apt-get --just-print -o Debug::NoLocking=true upgrade",),
        seconds=0.61,
    )
    return (
        finding(
            Severity.WARNING,
            "Security updates are not installed",
            "Install them, and plan a restart of what uses them.",
            updates,
            claim("updates.security", "apt", packages, 1, [(updates, "/security")]),
        ),
        [updates],
    )


def old_certificate(host: str, left_seconds: float) -> tuple[Finding, list[Evidence]]:
    """A warning that was measured once."""
    answer = evidence(
        host,
        "network",
        "tls_cert",
        {
            "host": "mail.example.org",
            "port": 993,
            "subject": "CN=mail.example.org",
            "issuer": "CN=R11, O=Let's Encrypt, C=US",
            "not_after": "2026-03-11T06:00:12Z",
            "left_seconds": left_seconds,
        },
        arguments={"host": "mail.example.org", "port": 993},
        source=("ssl.create_connection(mail.example.org:993)",),
        seconds=0.12,
    )
    return (
        finding(
            Severity.WARNING,
            "Certificate near its end",
            "Renew it, and see why the timer that should have done so did not.",
            answer,
            claim(
                "tls.left_seconds",
                "mail.example.org:993",
                left_seconds,
                1_209_600,
                [(answer, "/left_seconds")],
                verdict=Verdict.UNVERIFIABLE,
            ),
        ),
        [answer],
    )


def busy_cpu(host: str) -> tuple[Finding, list[Evidence]]:
    """A finding that did not hold when it was measured again."""
    answer = evidence(
        host,
        "compute",
        "cpu",
        {"window_seconds": 0.5, "cores": 8, "busy_percent": 96.2, "iowait_percent": 0.4},
        arguments={"window": 0.5},
        source=("/proc/stat", "/proc/stat"),
        seconds=0.5,
    )
    return (
        finding(
            Severity.CRITICAL,
            "CPU time nearly used up",
            "See which processes use it.",
            answer,
            claim(
                "cpu.busy_percent",
                "all cores",
                96.2,
                95,
                [(answer, "/busy_percent")],
                verdict=Verdict.REFUTED,
                remeasured=31.8,
            ),
        ),
        [answer],
    )


def short_uptime(host: str) -> tuple[Finding, list[Evidence]]:
    """Information."""
    answer = evidence(
        host,
        "compute",
        "uptime",
        {"uptime_seconds": 412.6},
        source=("/proc/uptime",),
        seconds=0.002,
    )
    return (
        finding(
            Severity.INFO,
            "Booted a short while ago",
            "",
            answer,
            claim(
                "uptime.seconds", host, 412.6, 600, [(answer, "/uptime_seconds")], remeasured=414.2
            ),
        ),
        [answer],
    )


def report_of(
    hosts: Sequence[str],
    troubles: Sequence[tuple[Finding, list[Evidence]]] = (),
    *,
    dark: Sequence[str] = (),
    failed: Sequence[str] = (),
    question: str = "",
    summary: str = "",
) -> Report:
    """A report over `hosts` with these troubles; what no trouble measured was healthy."""
    answers = [answer for _, answers in troubles for answer in answers]
    lines = [_line(host, index, host in dark, host in failed) for index, host in enumerate(hosts)]
    answered = tuple(one.host for one in lines if one.status is HostStatus.ANSWERED)
    taken = {answer.call_id for answer in answers}
    healthy = (one for host in answered for one in _healthy(host) if one.call_id not in taken)
    answers.extend(healthy)
    wall = 12.0 if dark else 2.31
    findings = tuple(
        found.model_copy(update={"id": f"f{number}"})
        for number, (found, _) in enumerate(troubles, 1)
    )
    across = look_across(
        Scene(
            findings=[one for one in findings if one.counts],
            parts=[_measured(one, answers) for one in answered],
            readings={},
            peers=Peers(platforms=dict.fromkeys(hosts, "linux")),
            answered=frozenset(answered),
            dark=frozenset(dark),
        )
    )
    return Report(
        schema="hostswarm.report/1",
        job=JobLine(
            id="k7m2q9xw4t",
            question=question,
            created=CREATED,
            finished=CREATED + timedelta(seconds=wall),
            status=JobStatus.COMPLETE if len(answered) == len(hosts) else JobStatus.PARTIAL,
            brain="rules",
            deadline_seconds=12.0 if dark else 300.0,
        ),
        coverage=Coverage(
            asked=tuple(hosts), answered=answered, dark=tuple(dark), failed=tuple(failed)
        ),
        hosts=tuple(lines),
        findings=findings,
        evidence=tuple(answers),
        summary=summary,
        usage=Usage(tool_calls=sum(one.tool_calls for one in lines), wall_seconds=wall),
        patterns=across.patterns,
        causes=across.causes,
        actions=across.actions,
    )


def _measured(host: str, answers: Sequence[Evidence]) -> HostReport:
    """A host's evidence, as the rules over hosts are given it."""
    return HostReport(
        job="k7m2q9xw4t",
        part=f"{host}/storage",
        host=host,
        specialist="storage",
        status=HostStatus.ANSWERED,
        stop=StopReason.ANSWERED,
        evidence=tuple(one for one in answers if one.host == host),
    )


def complete() -> Report:
    """Six hosts, all answered: two critical, three warnings, one for information, one refuted."""
    return report_of(
        HOSTS,
        [
            busy_cpu("web-2"),
            short_uptime("cache-1"),
            missing_updates("web-1", 3),
            full_volume("db-1"),
            failed_service("web-1"),
            missing_updates("web-2", 3),
            old_certificate("mail-1", 765_965.0),
        ],
        question="Why has checkout been slow since this morning?",
        summary=(
            "The database volume on db-1 is nearly full, and most of it is write-ahead log. That "
            "is the likeliest cause of a slow checkout, and of the failed queue on web-1: look at "
            "its replication slots first.\n\n"
            "The web servers are otherwise well. Their security updates and the certificate on "
            "mail-1 can wait for today's maintenance."
        ),
    )


def partial() -> Report:
    """The same fleet with a dark host, a failed one, and a part cut short."""
    whole = report_of(
        HOSTS,
        [full_volume("db-1"), failed_service("web-1"), missing_updates("web-1", 3)],
        dark=("db-2",),
        failed=("cache-1",),
        summary="The database volume on db-1 is nearly full. Nothing is known of db-2 and cache-1.",
    )
    mail = next(line for line in whole.hosts if line.host == "mail-1")
    short = mail.parts[-1].model_copy(update={"stop": StopReason.DEADLINE, "seconds": 11.6})
    line = mail.model_copy(update={"parts": (*mail.parts[:-1], short)})
    lines = tuple(line if one.host == "mail-1" else one for one in whole.hosts)
    return whole.model_copy(update={"hosts": lines})


def healthy() -> Report:
    """Six hosts with nothing wrong."""
    return report_of(HOSTS, summary="All six hosts are well.")


def large(hosts: int = 200) -> Report:
    """A fleet with a trouble on every third host, two dark hosts and one that failed."""
    names = tuple(f"node-{index:03}.rack-{index % 8}.example.org" for index in range(hosts))
    troubles = [full_volume(name) for name in names[5:12]]
    troubles += [missing_updates(name, 1 + index % 9) for index, name in enumerate(names[12::3])]
    return report_of(names, troubles, dark=names[1:3], failed=names[4:5])


def thoughtful() -> Report:
    """The complete report as a model told it, with all that a model adds and all that went wrong:
    words, answers, explanations, a note, a plan, a bill with an unknown price, three that went on
    without a model, a budget that was used up, and an outlier."""
    report = complete()
    budget = Allowance(budget_usd=0.05)
    gone = budget.exceeded(0, 1.0)
    degraded = (
        Degraded(step="agent", host="web-1", specialist="services", reason=DOWN.format(3.2)),
        Degraded(step="agent", host="web-2", specialist="storage", reason=DOWN.format(4.1)),
        Degraded(step="agent", host="mail-1", specialist="network", reason=gone),
    )
    charges = (
        Charge(
            tier=Tier.ORCHESTRATOR,
            model="deepthought-2",
            calls=2,
            prompt_tokens=5_120,
            completion_tokens=610,
            seconds=6.4,
        ),
        Charge(
            tier=Tier.WORKER,
            model="qwen3-8b",
            calls=50,
            prompt_tokens=38_400,
            cached_tokens=21_000,
            completion_tokens=4_270,
            cost_usd=0.0312,
            counted=False,
            seconds=51.0,
        ),
    )
    whole = Usage.of(charges)
    job = report.job.model_copy(
        update={"brain": "degraded", "allowance": budget, "plan": _planned()}
    )
    return report.model_copy(
        update={
            "job": job,
            "hosts": tuple(_thinking(line, degraded) for line in report.hosts),
            "findings": (*map(_explained, report.findings), _note(report)),
            "summary_source": "model",
            "usage": whole.model_copy(
                update={
                    "tool_calls": report.usage.tool_calls,
                    "wall_seconds": report.usage.wall_seconds,
                }
            ),
            "charges": charges,
            "degraded": degraded,
            "prose_removed": 2,
            "outliers": (
                Outlier(
                    id="o1",
                    host="cache-1",
                    metric="memory.used_percent",
                    subject="physical memory",
                    unit="percent",
                    value=71.4,
                    median=22.0,
                    spread=3.1,
                    score=10.7,
                    peers=6,
                    group="linux hosts without a role",
                ),
            ),
        }
    )


DOWN = "http://router:4000/v1 gave no answer in {} s: see that it is up"
ANSWERS = {
    ("db-1", "storage"): "The volume of the database is 97.3 % used, and most of it is write-ahead "
    "log that a replication slot keeps. Nothing else on it grew.",
    ("web-1", "compute"): "This host is not slow: its processors and memory are mostly idle.",
    ("web-1", "processes"): "No process of the shop stands out.",
}


def _planned() -> Plan:
    return Plan(
        by="model",
        why="Checkout passes the web servers, their queue and the database.",
        lines=(
            PlanLine(hosts=("db-1", "db-2"), parts=2, specialist="storage", question="Is it full?"),
            PlanLine(hosts=("web-*",), parts=2, specialist="services", question="What failed?"),
        ),
        notes=("db-9 was left out: no host is called so",),
    )


def _thinking(line: HostLine, degraded: Sequence[Degraded]) -> HostLine:
    """A host's line with what its agents said and took, and who of them lost the model."""
    took = Usage(llm_calls=2, prompt_tokens=1_600, completion_tokens=180, cost_usd=0.0013)
    lost = {one.specialist: one.reason for one in degraded if one.host == line.host}
    parts = tuple(
        part.model_copy(
            update={
                "answer": ANSWERS.get((line.host, part.specialist), ""),
                "usage": took,
                "degraded": lost.get(part.specialist, ""),
                "stop": StopReason.MODEL if part.specialist in lost else part.stop,
            }
        )
        for part in line.parts
    )
    count = len(parts)
    usage = Usage(
        llm_calls=2 * count,
        prompt_tokens=1_600 * count,
        completion_tokens=180 * count,
        cost_usd=0.0013 * count,
    )
    role = line.host.rpartition("-")[0]
    return line.model_copy(
        update={"parts": parts, "usage": usage, "llm_calls": 2 * count, "role": role}
    )


def _explained(finding: Finding) -> Finding:
    said = {
        "Volume nearly full": "Most of it is write-ahead log: a replication slot that nobody reads "
        "keeps it from being removed.",
        "Service failed": "It lost its connection to the database when that could not write.",
    }
    return finding.model_copy(update={"explanation": said.get(finding.title, "")})


def _note(report: Report) -> Finding:
    """What a model says and nothing confirmed."""
    return report.findings[0].model_copy(
        update={
            "id": "f99",
            "fingerprint": "0" * 16,
            "host": "web-1",
            "severity": Severity.INFO,
            "title": "The queue gives up too early",
            "subject": "checkout-queue.service",
            "advice": "Let it try its connection again for longer.",
            "verdict": Verdict.UNVERIFIABLE,
            "claims": (),
            "explanation": "Its log ends at the first lost connection.",
            "source": "model",
        }
    )


def hostile() -> Report:
    """A report with `HOSTILE` before every string that is free to be anything."""
    return _poisoned(partial())


def hostile_model() -> Report:
    """The same of a report that models had a part in."""
    return _poisoned(thoughtful())


def _line(host: str, index: int, dark: bool, failed: bool) -> HostLine:
    if dark:
        reason = "no sign of life"
        return HostLine(
            host=host,
            status=HostStatus.DARK,
            reason=reason,
            last_seen=CREATED - timedelta(minutes=26, seconds=11),
            parts=tuple(_absent(name, StopReason.DARK, reason) for name in SPECIALISTS),
            outside=_seen(host),
        )
    if failed:
        reason = "the worker was killed for want of memory"
        return HostLine(
            host=host,
            status=HostStatus.FAILED,
            reason=reason,
            platform="linux",
            last_seen=CREATED + timedelta(seconds=3),
            parts=tuple(
                _absent(name, StopReason.LOST, reason).model_copy(
                    update={"started": CREATED + timedelta(seconds=0.1), "seconds": 2.4}
                )
                for name in SPECIALISTS
            ),
        )
    parts = tuple(_part(name, index, place) for place, name in enumerate(SPECIALISTS))
    return HostLine(
        host=host,
        status=HostStatus.ANSWERED,
        specialists=SPECIALISTS,
        tool_calls=sum(part.tool_calls for part in parts),
        seconds=max(part.seconds for part in parts) + 0.2,
        platform="linux",
        last_seen=CREATED + timedelta(seconds=2),
        parts=parts,
    )


def _seen(host: str) -> OutsideView:
    """A machine that is up, without its worker, as a peer sees it."""
    return OutsideView(
        host=host,
        seen_by="web-1",
        at=CREATED + timedelta(seconds=6.4),
        address="10.20.0.12",
        resolved="its worker announced it",
        ping=Echo(state="answers", milliseconds=0.412),
        ports=(
            PortSeen(number=22, service="sshd", state="answers"),
            PortSeen(number=5432, service="postgres", state="refused"),
            PortSeen(number=9100, state="silent"),
        ),
        last_seen=CREATED - timedelta(minutes=26, seconds=11),
        last_audit=LastAudit(
            job="h4n8s2v6bc",
            at=CREATED - timedelta(hours=3),
            specialists=("storage", "services"),
            findings=2,
            worst=Severity.CRITICAL,
            titles=("Volume nearly full", "Security updates missing"),
        ),
        notes=("nothing more at fd20::12",),
    )


def _part(specialist: str, index: int, place: int) -> PartLine:
    missed = {"storage": (SMART,), "compute": (GPU,)}.get(specialist, ())
    if specialist == "services" and index % 3 == 1:
        missed = (CONTAINERS,)
    said = RULED_OUT.get(specialist)
    return PartLine(
        specialist=specialist,
        status=HostStatus.ANSWERED,
        stop=StopReason.ANSWERED,
        started=CREATED + timedelta(seconds=0.12 + 0.31 * (place // 3) + 0.04 * (index % 5)),
        seconds=0.42 + 0.23 * ((index * 7 + place * 5) % 6),
        tool_calls=len(SWEEPS[specialist]) + 1 + place % 2,
        ruled_out=(said,) if said else (),
        not_seen=missed,
    )


def _absent(specialist: str, stop: StopReason, reason: str) -> PartLine:
    status = HostStatus.DARK if stop is StopReason.DARK else HostStatus.FAILED
    return PartLine(specialist=specialist, status=status, stop=stop, reason=reason)


def _healthy(host: str) -> list[Evidence]:
    answers = [
        evidence(
            host, specialist, tool, {"ok": True}, source=(source,), seconds=0.012 * (1 + place)
        )
        for specialist, sweep in SWEEPS.items()
        for place, (tool, source) in enumerate(sweep)
    ]
    smart = evidence(host, "storage", SMART.tool, {}, arguments={"device": None}, seconds=0.001)
    return [
        *answers,
        smart.model_copy(
            update={
                "status": EvidenceStatus.UNAVAILABLE,
                "reason": SMART.reason,
                "remedy": SMART.remedy,
                "data": None,
            }
        ),
    ]


def _poisoned(model: Model) -> Model:
    """A copy with `HOSTILE` in each field that takes any text, then checked by its model."""
    filled: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        free = field.annotation in FREE and not field.metadata
        filled[field.alias or name] = _poison(getattr(model, name), free=free)
    # A pattern, an enum or a literal keeps its value: such a report would be refused on arrival.
    if isinstance(filled.get("source"), list):
        filled["source"] = tuple(f"{HOSTILE}{one}" for one in filled["source"])
    for name in {"ruled_out", "notes", "titles"} & filled.keys():
        filled[name] = tuple(f"{HOSTILE}{one}" for one in filled[name])
    return type(model).model_validate(filled)


def _poison(value: object, *, free: bool) -> object:
    if isinstance(value, BaseModel):
        return _poisoned(value)
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return {f"{HOSTILE}{key}": _poison(one, free=True) for key, one in pairs}
    if isinstance(value, (tuple, list)):
        items = cast("Sequence[object]", value)
        return [_poison(one, free=free and isinstance(one, (str, NoneType))) for one in items]
    if free and type(value) is str:
        return f"{HOSTILE}{value}"
    return value
