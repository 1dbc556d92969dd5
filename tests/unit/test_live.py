"""The live board: what its rows say after the events that it took."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from orchestrator.surfaces.live import ROWS, Board, show_live, tell_lines
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.event import Event, EventKind


def event(kind: EventKind, host: str = "alpha", **more: object) -> Event:
    return Event.model_validate(
        {
            "kind": kind,
            "at": now_utc(),
            "part": f"{host}/storage",
            "host": host,
            "specialist": "storage",
            **more,
        }
    )


STORY = (
    Event(kind=EventKind.JOB_OPENED, at=now_utc(), total=2),
    event(EventKind.PART_STARTED),
    event(EventKind.TOOL_STARTED, tool="disk_usage"),
    event(EventKind.TOOL_STARTED, tool="smart_health"),
    event(EventKind.TOOL_ENDED, tool="disk_usage", status="ok", seconds=0.1),
)
END = (
    event(EventKind.TOOL_ENDED, tool="smart_health", status="unavailable"),
    event(EventKind.PART_CLOSED, status="answered", seconds=1.25, findings=2),
    event(EventKind.PART_CLOSED, host="bravo", status="dark"),
    Event(kind=EventKind.JOB_CLOSED, at=now_utc(), status="partial"),
)


def drawn(board: Board) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(board.render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_row_shows_the_tools_that_run_now() -> None:
    board = Board()
    for one in STORY:
        board.take(one)
    text = drawn(board)
    assert "smart_health" in text
    assert "disk_usage" not in text
    assert "0/2 parts" in text


def test_a_closed_row_shows_what_came_of_it() -> None:
    board = Board()
    for one in (*STORY, *END):
        board.take(one)
    text = drawn(board)
    assert "2 tools, 2 findings, 1 not available in 1.2 s" in text
    assert "2/2 parts" in text
    assert "1 answered, 1 dark" in text


def test_a_row_names_the_host_that_has_its_part_now() -> None:
    board = Board()
    for host in ("alpha", "bravo"):
        board.take(event(EventKind.PART_STARTED, host=host, part="*/storage"))
    assert "bravo" in drawn(board)
    assert "alpha" not in drawn(board)


def test_a_large_fleet_shows_what_still_runs() -> None:
    board = Board()
    for number in range(ROWS + 20):
        board.take(event(EventKind.PART_STARTED, host=f"h{number:03}"))
    for number in range(40):
        board.take(event(EventKind.PART_CLOSED, host=f"h{number:03}", status="answered"))
    text = drawn(board)
    assert "h000" not in text
    assert "h040" in text


def test_without_a_terminal_the_board_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show_live(iter((*STORY, *END)), Console(file=io.StringIO()))
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_watch_tells_each_event_in_a_line_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO(), width=200)
    tell_lines(iter(STORY), console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == len(STORY)
    assert lines[-1].endswith("alpha/storage tool ended disk_usage ok")


def test_watch_tells_which_host_took_a_part_for_any_host() -> None:
    console = Console(file=io.StringIO(), width=200)
    tell_lines([event(EventKind.PART_STARTED, part="*/storage/2")], console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().endswith(" */storage/2 part started on alpha\n")
