"""Files: bounded walks, logs that cannot be escaped from, ages and backups."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from swarm_tasks.errors import ToolFailed
from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from tests.support.grading import graded, rule_called
from workers.rules.files import RULES
from workers.tools.access import Machine, this_machine
from workers.tools.catalog import backups, files, logfile
from workers.tools.catalog.backups import Backups
from workers.tools.catalog.file_age import FileAge, Looked, matches
from workers.tools.catalog.files import LargestPaths
from workers.tools.catalog.logfile import LogTail
from workers.tools.registry import Outcome, Registry

REGISTRY = Registry(files.TOOLS)
SWAP_SECONDS = 0.3
SECRET = "root:$6$correct-horse"


def call(tool: str, machine: Machine | None = None, **arguments: object) -> Outcome:
    return asyncio.run(REGISTRY.call(tool, arguments, machine or this_machine()))


class Logs:
    """A log directory with a log, and a secret beside it that must not be read."""

    def __init__(self, base: Path) -> None:
        self.root = base / "log"
        self.root.mkdir()
        self.secret = base / "secret"
        self.secret.write_text(SECRET)
        (self.root / "app.log").write_text("first\nsecond\nthird\n")
        self.machine = Machine(platform="linux", log_roots=(self.root,))

    def read(self, name: str, lines: int = 200) -> Outcome:
        return call("read_log", self.machine, path=f"{self.root}/{name}", lines=lines)

    def tail(self, name: str, lines: int = 200) -> LogTail:
        outcome = self.read(name, lines)
        assert isinstance(outcome.result, LogTail), outcome.reason
        return outcome.result


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def refused(outcome: Outcome) -> str:
    """Why a call was refused; a call that gave anything away fails the test."""
    assert outcome.result is None
    assert outcome.status in (EvidenceStatus.FAILED, EvidenceStatus.UNAVAILABLE)
    assert outcome.reason
    assert SECRET not in f"{outcome}"
    return outcome.reason


def test_the_last_lines_of_a_log_are_read(logs: Logs) -> None:
    tail = logs.tail("app.log", lines=2)
    assert tail.lines == ("second", "third")
    assert tail.more
    assert tail.size_bytes == 19


def test_a_short_log_is_read_whole(logs: Logs) -> None:
    tail = logs.tail("app.log")
    assert tail.lines == ("first", "second", "third")
    assert not tail.more


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", ()), ("no end of line", ("no end of line",)), ("a\n\nb\n", ("a", "", "b"))],
)
def test_odd_ends_are_read_as_they_are(logs: Logs, text: str, lines: tuple[str, ...]) -> None:
    (logs.root / "odd.log").write_text(text)
    assert logs.tail("odd.log").lines == lines


def test_a_large_log_is_read_from_its_end(logs: Logs) -> None:
    with (logs.root / "large.log").open("w") as stream:
        stream.writelines(f"line {number:07d}\n" for number in range(400_000))
    tail = logs.tail("large.log", lines=10_000)
    assert tail.lines[0] == "line 0390000"
    assert tail.lines[-1] == "line 0399999"


def test_a_line_without_end_is_cut_at_the_limit(logs: Logs) -> None:
    (logs.root / "flood.log").write_text("x" * 3_000_000)
    tail = logs.tail("flood.log")
    assert tail.more
    assert [len(line) for line in tail.lines] == [logfile.LINE_LIMIT]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("a\tb", "a\tb"),
        ("over\rwritten", "overwritten"),
        ("\u202etxt.exe", "txt.exe"),
        ("nul\x00 bell\x07 c1\x9b", "nul bell c1"),
        ("zero\u200bwidth", "zerowidth"),
    ],
)
def test_a_line_cannot_look_like_something_else(logs: Logs, written: str, shown: str) -> None:
    (logs.root / "hostile.log").write_text(written + "\n")
    assert logs.tail("hostile.log").lines == (shown,)


def test_a_link_is_not_followed(logs: Logs) -> None:
    (logs.root / "link.log").symlink_to(logs.secret)
    assert "link" in refused(logs.read("link.log"))


def test_a_link_in_the_middle_is_not_followed(logs: Logs) -> None:
    (logs.root / "up").symlink_to(logs.root.parent)
    assert "link" in refused(logs.read("up/secret"))


def test_a_link_to_a_log_of_the_same_directory_is_not_followed_either(logs: Logs) -> None:
    (logs.root / "current.log").symlink_to("app.log")
    assert "link" in refused(logs.read("current.log"))


@pytest.mark.parametrize(
    "name", ["../secret", "sub/../../secret", "./../secret", "..//secret", "sub/../app.log"]
)
def test_no_path_climbs_out(logs: Logs, name: str) -> None:
    (logs.root / "sub").mkdir()
    assert "log directory" in refused(logs.read(name))


def test_only_the_log_directories_are_readable(logs: Logs) -> None:
    for path in (str(logs.secret), "/etc/shadow", f"{logs.root}-other/app.log", str(logs.root)):
        outcome = call("read_log", logs.machine, path=path)
        assert "log directory" in refused(outcome)
        assert str(logs.root) in outcome.remedy


@pytest.mark.parametrize("path", ["etc/shadow", "", "/var/log/a\nb", "/var/log/a\x00b", 7, None])
def test_a_path_is_absolute_and_on_one_line(logs: Logs, path: object) -> None:
    assert "path" in refused(call("read_log", logs.machine, path=path))


def test_a_second_name_of_another_file_is_not_read(logs: Logs) -> None:
    os.link(logs.secret, logs.root / "hard.log")
    assert "2 names" in refused(logs.read("hard.log"))


def test_a_fifo_neither_is_read_nor_holds_the_reader(logs: Logs) -> None:
    os.mkfifo(logs.root / "fifo.log")
    began = time.monotonic()
    assert "regular" in refused(logs.read("fifo.log"))
    assert time.monotonic() - began < 1


def test_a_fifo_that_appears_after_the_look_does_not_hold_the_opener(logs: Logs) -> None:
    os.mkfifo(logs.root / "fifo.log")
    os.close(os.open(logs.root / "fifo.log", logfile.FILE_FLAGS))


def test_a_link_that_appears_after_the_look_is_not_followed(logs: Logs) -> None:
    (logs.root / "link.log").symlink_to(logs.secret)
    with pytest.raises(OSError, match="symbolic links"):
        os.open(logs.root / "link.log", logfile.FILE_FLAGS)


def test_a_socket_is_no_log(logs: Logs) -> None:
    # A socket's path may be 108 bytes long, and pytest's directories have long names.
    with contextlib.chdir(logs.root), socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.log")
        assert "regular" in refused(logs.read("s.log"))


def test_a_directory_is_no_log(logs: Logs) -> None:
    (logs.root / "sub").mkdir()
    assert "regular" in refused(logs.read("sub"))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a device")
def test_a_device_is_no_log(logs: Logs) -> None:
    try:
        os.mknod(logs.root / "zero.log", 0o20600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this container may not make a device")
    assert "regular" in refused(logs.read("zero.log"))


def test_a_path_below_a_file_is_refused(logs: Logs) -> None:
    refused(logs.read("app.log/inner"))


def test_a_log_that_is_not_there_is_no_failure_of_ours(logs: Logs) -> None:
    assert logs.read("nothing.log").status is EvidenceStatus.UNAVAILABLE


def test_a_compressed_log_says_what_to_do_instead(logs: Logs) -> None:
    with gzip.open(logs.root / "app.log.1.gz", "wt") as stream:
        stream.write("old\n")
    outcome = logs.read("app.log.1.gz")
    assert "compressed" in refused(outcome)
    assert outcome.remedy


def test_a_binary_file_is_no_log(logs: Logs) -> None:
    (logs.root / "wtmp").write_bytes(b"\x07\x00\x00\x00" * 96)
    assert "no text" in refused(logs.read("wtmp"))


@pytest.mark.parametrize(
    "name", ["server.key", "id_ed25519", "cert.PEM", "shadow", "gshadow-", "environ", "host.keytab"]
)
def test_key_material_is_never_read(logs: Logs, name: str) -> None:
    (logs.root / name).write_text(SECRET)
    assert "key material" in refused(logs.read(name))


def test_even_a_root_of_everything_gives_no_environment_away() -> None:
    machine = Machine(platform="linux", log_roots=(Path("/"),))
    for path in ("/proc/self/environ", f"/proc/{os.getpid()}/environ", "/etc/shadow"):
        refused(call("read_log", machine, path=path))


def link_to_directory(logs: Logs, bad: Path) -> str:
    bad.symlink_to(logs.root.parent)
    return "app/secret"


def link_to_file(logs: Logs, bad: Path) -> str:
    bad.symlink_to(logs.secret)
    return "app"


def second_name(logs: Logs, bad: Path) -> str:
    os.link(logs.secret, bad)
    return "app"


@pytest.mark.parametrize("trap", [link_to_directory, link_to_file, second_name])
def test_what_is_swapped_while_it_is_read_gives_nothing_away(
    logs: Logs, trap: Callable[[Logs, Path], str]
) -> None:
    good, bad, name = logs.root / "good", logs.root / "bad", logs.root / "app"
    asked = trap(logs, bad)
    fill(good if asked == "app" else good / "secret", 0)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for target in (good, bad):
                target.rename(name)
                name.rename(target)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        began = time.monotonic()
        while time.monotonic() - began < SWAP_SECONDS:
            with contextlib.suppress(OSError, ToolFailed):
                assert logfile.tail_of(f"/{asked}", 9, (Path("/"),), logs.root).lines == ()
    finally:
        done.set()
        swapper.join()


def fill(path: Path, size_bytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size_bytes))


def walk(top: Path, **arguments: float) -> LargestPaths:
    raw = {"mount": str(top), **arguments}
    outcome = asyncio.run(REGISTRY.call("largest_paths", raw, this_machine()))
    assert isinstance(outcome.result, LargestPaths), outcome.reason
    return outcome.result


def test_space_is_told_by_directory_and_by_file(tmp_path: Path) -> None:
    fill(tmp_path / "a/b/c/d/large", 1_000_000)
    fill(tmp_path / "a/small", 10_000)
    fill(tmp_path / "e/medium", 300_000)
    answer = walk(tmp_path, depth=2, n=4)
    assert [one.path for one in answer.directories] == [
        str(tmp_path / name) for name in ("", "a", "a/b", "e")
    ]
    assert [Path(one.path).name for one in answer.files] == ["large", "medium", "small"]
    assert answer.files[0].allocated_bytes >= 1_000_000
    assert answer.directories[1].allocated_bytes > answer.directories[2].allocated_bytes
    assert answer.entries_seen == 8
    assert not answer.cut_short


def test_what_is_allocated_counts_and_not_what_a_sparse_file_claims(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1 << 30)
    assert walk(tmp_path).directories[0].allocated_bytes < 1 << 20


def test_a_file_of_two_names_counts_once(tmp_path: Path) -> None:
    fill(tmp_path / "one", 500_000)
    os.link(tmp_path / "one", tmp_path / "two")
    assert walk(tmp_path).directories[0].allocated_bytes < 900_000


def test_the_walk_follows_no_link(tmp_path: Path) -> None:
    fill(tmp_path / "outside/large", 1_000_000)
    (tmp_path / "top").mkdir()
    (tmp_path / "top/link").symlink_to(tmp_path / "outside")
    (tmp_path / "top/loop").symlink_to(tmp_path / "top")
    answer = walk(tmp_path / "top")
    assert answer.directories[0].allocated_bytes < 100_000
    assert answer.entries_seen == 2
    outcome = call("largest_paths", mount=str(tmp_path / "top/link"))
    assert outcome.status is EvidenceStatus.FAILED


def test_the_walk_stays_on_its_file_system() -> None:
    # /proc and /sys are file systems of their own on every Linux.
    answer = walk(Path("/"), depth=1, n=200, seconds=0.5)
    assert {one.path for one in answer.directories}.isdisjoint({"/proc", "/sys"})


def test_a_walk_out_of_time_says_so() -> None:
    began = time.monotonic()
    answer = walk(Path("/usr"), seconds=0.1)
    assert time.monotonic() - began < 2
    assert answer.cut_short or answer.seconds <= 0.1


def test_a_walk_out_of_entries_says_so(tmp_path: Path) -> None:
    for number in range(150):
        (tmp_path / f"{number}").touch()
    answer = walk(tmp_path, entries=100)
    assert answer.cut_short
    assert answer.entries_seen == 100


def test_a_name_of_any_bytes_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\n\x1b[2J")).write_bytes(b"x" * 8192)
    (only,) = walk(tmp_path).files
    assert Path(only.path).name == "???[2J"


def age(glob: str | Path) -> FileAge:
    outcome = call("file_age", glob=str(glob))
    assert isinstance(outcome.result, FileAge), outcome.reason
    return outcome.result


def test_the_newest_match_is_found_with_its_age(tmp_path: Path) -> None:
    now = time.time()
    for name, seconds in (("a.tar", 7200), ("b.tar", 3600), ("c.txt", 1), (".d.tar", 1)):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (now - seconds, now - seconds))
    seen = age(tmp_path / "*.tar")
    assert seen.newest == str(tmp_path / "b.tar")
    assert seen.age_seconds == pytest.approx(3600, abs=5)
    assert (seen.count, seen.size_bytes) == (2, 5)


def test_patterns_match_at_every_step(tmp_path: Path) -> None:
    fill(tmp_path / "db1/daily/dump.gz", 1)
    fill(tmp_path / "db2/daily/dump.gz", 1)
    fill(tmp_path / "db2/weekly/dump.gz", 1)
    assert age(tmp_path / "db[0-9]/d*/dump.??").count == 2
    assert age(tmp_path / "db2/weekly/dump.gz").count == 1


def test_no_match_is_an_answer(tmp_path: Path) -> None:
    seen = age(tmp_path / "*.tar")
    assert (seen.count, seen.newest, seen.age_seconds) == (0, None, None)
    assert graded(rule_called("file-age", RULES), seen) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_what_may_not_be_looked_at_is_not_said_to_be_missing(tmp_path: Path) -> None:
    fill(tmp_path / "closed/a.tar", 1)
    (tmp_path / "closed").chmod(0)
    outcome = call("file_age", glob=f"{tmp_path}/closed/*.tar")
    (tmp_path / "closed").chmod(0o700)
    assert outcome.status is EvidenceStatus.UNAVAILABLE
    assert "permission" in outcome.reason


def test_what_a_last_link_points_to_counts(tmp_path: Path) -> None:
    fill(tmp_path / "2026-01-01.tar", 3)
    (tmp_path / "latest").symlink_to("2026-01-01.tar")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert age(tmp_path / "latest").size_bytes == 3
    assert age(tmp_path / "d*").count == 0


def test_a_pattern_that_matches_too_much_is_cut_short(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}").touch()
    looked = Looked(limit=10)
    assert len(list(matches(tmp_path, ["*"], looked))) == 10
    assert looked.cut_short
    enough = Looked(limit=20)
    assert len(list(matches(tmp_path, ["*"], enough))) == 20
    assert not enough.cut_short


def test_a_cut_search_is_told_beside_the_age() -> None:
    (reading,) = rule_called("file-age", RULES).readings(an_age(3600, cut_short=True))
    assert "more entries" in reading.detail


def an_age(seconds: float, *, cut_short: bool = False) -> FileAge:
    return FileAge(
        glob="/backup/*.tar",
        state="present",
        count=3,
        newest="/backup/c.tar",
        modified=datetime(2026, 1, 1, tzinfo=UTC),
        age_seconds=seconds,
        size_bytes=1,
        cut_short=cut_short,
        denied=0,
    )


@pytest.mark.parametrize("glob", ["*.log", "", "/a\nb", "/a\x00b", "~/x"])
def test_a_pattern_is_absolute_and_on_one_line(glob: str) -> None:
    assert "glob" in refused(call("file_age", glob=glob))


@pytest.mark.parametrize(
    ("hours", "severity"), [(2, None), (30, Severity.WARNING), (60, Severity.CRITICAL)]
)
def test_the_age_of_the_newest_file_is_graded(hours: int, severity: Severity | None) -> None:
    answer = an_age(hours * 3600.0)
    assert graded(rule_called("file-age", RULES), answer) == {"/backup/*.tar": severity}


@pytest.mark.parametrize("source", inputs("tmutil_destinations"), ids=lambda path: path.stem)
def test_time_machines_destinations_are_parsed(source: Path) -> None:
    parsed = backups.parse_destinations(source.read_text())
    assert_golden(parsed, source)
    assert "not-for-reports" not in json.dumps([one.model_dump() for one in parsed])


@pytest.mark.parametrize(
    "path",
    [
        "/Volumes/Backup/Backups.backupdb/mac/2026-01-02-030405\n",
        "/Volumes/.timemachine/7F1C7A52/2026-01-02-030405.backup/2026-01-02-030405.backup\n",
    ],
)
def test_time_machines_last_backup_carries_its_time(path: str) -> None:
    made = datetime(2026, 1, 2, 3, 4, 5).astimezone()
    backup = backups.parse_latest_backup(path, made.timestamp() + 60)
    assert backup.made == made
    assert backup.age_seconds == 60


def test_a_path_without_a_time_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="no time"):
        backups.parse_latest_backup("\n", 0)


def test_backup_tools_are_known_by_their_traces(tmp_path: Path) -> None:
    fill(tmp_path / "root/.cache/restic/6d7013/snapshots/72/72353d", 1)
    fill(tmp_path / "var/cache/rsnapshot/daily.0/etc/passwd", 1)
    fill(tmp_path / "var/backups/dpkg.status.0", 1)
    fill(tmp_path / "var/backups/passwd.bak", 1)
    os.utime(tmp_path / "var/cache/rsnapshot/daily.0", (1e9, 1e9))
    answer = call("backups", Machine("linux", tmp_path)).result
    assert isinstance(answer, Backups)
    assert [one.tool for one in answer.backups] == ["restic", "rsnapshot"]
    assert answer.backups[1].made == datetime.fromtimestamp(1e9, tz=UTC)


def test_no_backup_tool_is_no_failure_and_says_what_to_do(tmp_path: Path) -> None:
    fill(tmp_path / "var/backups/dpkg.status.0", 1)
    outcome = call("backups", Machine("linux", tmp_path))
    assert outcome.status is EvidenceStatus.UNAVAILABLE
    assert "checks.files" in outcome.remedy


def test_backups_answer_here_or_say_what_to_do() -> None:
    outcome = call("backups")
    if outcome.status is not EvidenceStatus.OK:
        assert outcome.status is EvidenceStatus.UNAVAILABLE, outcome.reason
        assert "checks.files" in outcome.remedy


def test_a_listed_file_that_is_not_there_is_critical() -> None:
    gone = an_age(0).model_copy(update={"state": "missing", "count": 0, "age_seconds": None})
    assert graded(rule_called("file-present", RULES), gone) == {"/backup/*.tar": "critical"}
