"""Answers that do not show everything, and readings that no level fits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from swarm_tasks.models.base import now_utc
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from swarm_tasks.models.policy import Checks, Policy
from tests.support import samples
from workers.rules.judge import Judgement, judge
from workers.rules.rule import Rule
from workers.tools import runner
from workers.tools.access import this_machine
from workers.tools.book import rulebook, toolbook
from workers.tools.catalog.processes import MOST_SHOWN
from workers.tools.catalog.smart import port_of
from workers.tools.spec import Result

BY_NAME = {rule.name: rule for rule in rulebook()}
SQUASHED = {"fstype": "squashfs", "device": "/dev/loop3", "kind": "image", "read_only": True}


def changed(tool: str, changes: Mapping[str, Any]) -> Result:
    """The sample answer of a tool, but for some of its fields."""
    return samples.answer(tool).model_validate({**samples.ANSWERS[tool], **changes})


# Answers that leave something out

CUT_SHORT: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("oom-kills", {"oom_kills_total": 51}),
    ("ecc-uncorrectable", {"ecc_uncorrectable_total": 2}),
    ("ecc-uncorrectable", {"ecc_corrected_total": 1}),
    ("kernel-io-errors", {"io_errors_total": 4}),
    ("gpu-xid", {"xid_errors_total": 2}),
    *(
        (name, {"unread": {"/var/log/kern.log": "permission denied"}})
        for name in ("oom-kills", "ecc-uncorrectable", "kernel-io-errors", "gpu-xid")
    ),
    ("service-failed", {"total": 101}),
    ("container-state", {"total": 501}),
    ("service-restarts", {"units_total": 101}),
    (
        "service-restarts",
        {"units": [{"unit": "a.service", "total": 9, "recent": None, "counted_from": ""}]},
    ),
    ("process-cpu", {"processes": samples.ANSWERS["top_processes"]["processes"] * MOST_SHOWN}),
)


@pytest.mark.parametrize(
    "rule", [rule for rule in rulebook() if rule.absent_is_well], ids=lambda rule: rule.name
)
def test_whoever_is_missing_from_a_whole_answer_is_gone(rule: Rule) -> None:
    assert rule.complete(samples.answer(rule.tool))


@pytest.mark.parametrize(("name", "changes"), CUT_SHORT)
def test_whoever_is_missing_from_an_answer_cut_short_may_still_be_there(
    name: str, changes: Mapping[str, Any]
) -> None:
    rule = BY_NAME[name]
    assert rule.absent_is_well
    assert not rule.complete(changed(rule.tool, changes))


def test_jobs_of_the_system_itself_are_not_missed() -> None:
    vendor = {"unit": "com.apple.x", "state": "failed", "description": "", "vendor": True}
    answer = changed("failed_services", {"failed": [vendor], "total": 0})
    assert BY_NAME["service-failed"].complete(answer)


# Readings that no level fits


def told(name: str, answer: Result) -> tuple[int, Judgement]:
    """How many values a rule reads in an answer, and what it makes of them."""
    rule = BY_NAME[name]
    evidence = Evidence(
        call_id="alpha/it#1",
        host="alpha",
        specialist="it",
        tool=rule.tool,
        arguments={},
        started=now_utc(),
        seconds=0.1,
        status=EvidenceStatus.OK,
        data=answer.model_dump(mode="json"),
    )
    return len(tuple(rule.readings(answer))), judge(rule, evidence, answer, Policy(), {})


def full(tool: str, mount: Mapping[str, Any]) -> Result:
    """A full volume as one of the tools tells of it."""
    told_of = samples.ANSWERS[tool]
    if tool == "disk_fill_eta":
        return changed(tool, {"full_in_seconds": 60.0, **mount})
    return changed(tool, {"volumes": [{**told_of["volumes"][-1], **mount}]})


VOLUMES = pytest.mark.parametrize(
    "name", [rule.name for rule in rulebook() if "mount" in (rule.probe("/a (b, c)") or {})]
)


@VOLUMES
@pytest.mark.parametrize(
    "mount",
    [
        {"mount": "/snap/core/1", **SQUASHED},
        {"mount": "/cdrom", "fstype": "iso9660", "kind": "image", "read_only": True},
        {"mount": "/mnt", "read_only": True},
        {"mount": "/var/lib/docker/overlay2/x", "fstype": "overlay", "kind": "pseudo"},
    ],
)
def test_a_mount_that_cannot_fill_up_is_there_to_be_claimed_and_not_to_be_judged(
    name: str, mount: Mapping[str, Any]
) -> None:
    assert told(name, full(BY_NAME[name].tool, mount)) == (1, Judgement())


@VOLUMES
@pytest.mark.parametrize("mount", [{"mount": "/srv/bound"}, {"mount": "/", "fstype": "overlay"}])
def test_a_volume_is_judged_wherever_it_is_mounted(name: str, mount: Mapping[str, Any]) -> None:
    kind = {"kind": "pseudo"} if mount.get("fstype") else {}
    _, judgement = told(name, full(BY_NAME[name].tool, {**mount, **kind}))
    assert len(judgement.findings) == 1


KERNEL = pytest.mark.parametrize(
    "name", [rule.name for rule in rulebook() if rule.tool == "kernel_events"]
)
OLD = {"oom_kills": samples.ANSWERS["kernel_events"]["oom_kills"][:1], "oom_kills_total": 1}
SILENT: dict[str, Any] = {
    **{kind: [] for kind in ("oom_kills", "ecc", "io_errors", "xid_errors")},
    **{f"{kind}_total": 0 for kind in ("oom_kills", "io_errors", "xid_errors")},
    "ecc_uncorrectable_total": 0,
}


@KERNEL
@pytest.mark.parametrize("changes", [OLD, SILENT])
def test_what_the_kernel_said_in_a_longer_time_is_not_judged(
    name: str, changes: Mapping[str, Any]
) -> None:
    for minutes in (31, 10_080):
        answer = changed("kernel_events", {**changes, "since_minutes": minutes})
        _, judgement = told(name, answer)
        assert judgement == Judgement()


@KERNEL
def test_what_the_kernel_said_in_the_usual_time_is_judged(name: str) -> None:
    _, judgement = told(name, changed("kernel_events", {**OLD, "since_minutes": 30}))
    assert len(judgement.findings) == 1


def test_a_kill_of_this_half_hour_is_judged_however_far_back_somebody_looked() -> None:
    _, judgement = told("oom-kills", samples.answer("kernel_events"))
    assert [finding.subject for finding, _ in judgement.findings] == ["java (pid 8)"]


# Subjects of which there is one alone


def behind_controller(directory: Path) -> None:
    """A smartctl that knows two disks behind one controller, neither with a label."""
    one = {"smartctl": {"exit_status": 0}, "device": {"name": "/dev/sda", "protocol": "SCSI"}}
    scanned = [{"name": "/dev/sda", "type": f"megaraid,{port}"} for port in (0, 1)]
    words = {
        "--scan-open": {"smartctl": {"exit_status": 0}, "devices": scanned},
        "--device=megaraid,0": {**one, "smart_status": {"passed": True}},
        "--device=megaraid,1": {**one, "smart_status": {"passed": False}},
    }
    cases = "".join(
        f"*' {option} '*) echo '{json.dumps(said)}';;\n" for option, said in words.items()
    )
    program = directory / "smartctl"
    program.write_text(f'#!/bin/sh\ncase " $* " in\n{cases}esac\n')
    program.chmod(0o755)


def test_disks_behind_a_controller_are_told_apart_by_their_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_controller(tmp_path)
    monkeypatch.setattr(runner, "SEARCH_PATH", str(tmp_path))
    rule = BY_NAME["disk-smart"]
    answer = asyncio.run(toolbook().call("smart_health", {}, this_machine())).result
    readings = {one.subject: one.value for one in rule.readings(answer)}
    assert readings == {"/dev/sda [megaraid,0]": "ok", "/dev/sda [megaraid,1]": "failing"}
    # By its device alone it would be the controller that answers.
    for subject in readings:
        assert rule.again(subject, Checks()) == {}
    labelled = samples.answer("smart_health").model_validate(
        {"disks": [{"device": "/dev/sda", "port": "3ware,2", "serial": "S1", "health": "ok"}]}
    )
    (reading,) = rule.readings(labelled)
    assert reading.subject == "/dev/sda [3ware,2] (S1)"
    assert rule.again(reading.subject, Checks()) == {}


@pytest.mark.parametrize("kind", ["", "sat", "scsi", "nvme", "ata", "sat,auto"])
def test_a_disk_of_its_own_has_no_port(kind: str) -> None:
    assert port_of(kind) == ""


def test_a_stricter_question_to_a_resolver_is_another_one() -> None:
    rule = BY_NAME["dns-answer"]
    plain = rule.again("127.0.0.53 asking for localhost", Checks())
    assert plain is not None
    asked = {"name": "localhost", "server": "127.0.0.53", "type": "A"}
    differ = {name for name in asked if asked[name] != plain.get(name)}
    assert differ == {"type"}
    assert differ <= set(rule.decisive)
