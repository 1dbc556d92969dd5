"""The verb `audit`: ask, show it happen, print the report."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pydantic import ValidationError
from rich.console import Console

from orchestrator.opening import resolve
from orchestrator.plan import select_specialists
from orchestrator.render.console import print_report
from orchestrator.render.coverage import plugin_exit_code
from orchestrator.render.html import write_html
from orchestrator.service import Fleet
from orchestrator.surfaces.host_files import expand_files
from orchestrator.surfaces.image_files import image_urls
from orchestrator.surfaces.live import show_live
from orchestrator.surfaces.question_files import questions_from
from orchestrator.surfaces.session import Given, open_fleet
from swarm_tasks.config import Settings
from swarm_tasks.embedded import running_store
from swarm_tasks.errors import ArgumentError, JobError, OutputError
from swarm_tasks.models.job import QUESTION_LIMIT, Anywhere, AuditRequest, BrainChoice
from swarm_tasks.models.report import Report


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What the command line asked for."""

    question: str
    hosts: tuple[str, ...]
    specialists: tuple[str, ...]
    anywhere: bool
    anywhere_from: Path | None
    brain: str
    deadline_seconds: float | None
    budget_usd: float | None
    max_tokens: int | None
    images: tuple[str, ...]
    as_json: bool
    html: Path | None
    wait: bool
    exit_code: bool


def run_audit(given: Given, options: AuditOptions) -> int:
    """Run one audit; the exit code.

    Raises:
        UsageError: Something that was asked for is wrong; nothing was started for it.
        JobError: The job could not be brought to a report.
        OutputError: There is a report, but it could not be written where it should go.
    """
    request = request_from(options, given.settings)
    resolve(request, given.settings)
    if options.html is not None:
        check_writable(options.html)
    if not options.wait:
        check_lasting(given)
    job = None
    try:
        with terminate_as_interrupt(), open_fleet(given, with_worker=True) as fleet:
            with show_planning(given, request, quiet=options.as_json):
                job = fleet.audit(request)
            if not options.wait:
                Console().print(job.id, markup=False, highlight=False)
                return 0
            report = follow_to_report(fleet, job.id, quiet=options.as_json)
    except KeyboardInterrupt:
        raise JobError("interrupted" + (f"; see job {job.id}" if job else "")) from None
    return deliver(report, options.as_json, options.html, options.exit_code)


def request_from(options: AuditOptions, settings: Settings) -> AuditRequest:
    """The request that the options make.

    Raises:
        ArgumentError: One of them is wrong.
        UnknownName: A specialist that is to be asked anywhere is not known.
    """
    anywhere = questions_anywhere(options, settings)
    if len(options.question) > QUESTION_LIMIT:
        raise ArgumentError(
            f"the question has {len(options.question):,} characters",
            f"at most {QUESTION_LIMIT:,} travel with every part: ask more briefly",
        )
    try:
        return AuditRequest.model_validate(
            {
                "question": options.question,
                "hosts": expand_files(options.hosts),
                "specialists": () if anywhere else options.specialists,
                "anywhere": anywhere,
                "brain": options.brain,
                "deadline_seconds": options.deadline_seconds,
                "budget_usd": options.budget_usd,
                "max_tokens": options.max_tokens,
                "img": image_urls(options.images),
                "asked_by": "command line",
            }
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        option = str(first["loc"][0]).removesuffix("_seconds")
        said = first["msg"].removeprefix("Value error, ")
        raise ArgumentError(f"--{option}: {said}", "see `hostswarm audit --help`") from None


def questions_anywhere(options: AuditOptions, settings: Settings) -> tuple[Anywhere, ...]:
    """What is asked of any host: each chosen specialist once, or as a file has it.

    Raises:
        ArgumentError: Hosts are named as well, or a question beside the file's, or the file cannot
            be used.
        UnknownName: There is no such specialist.
    """
    if not options.anywhere and options.anywhere_from is None:
        return ()
    if options.hosts:
        raise ArgumentError(
            "--anywhere asks any host, and --hosts names some", "leave one of the two out"
        )
    if options.anywhere_from is not None:
        _see_file_alone(options)
    chosen = select_specialists(options.specialists, settings.all_specialists)
    if options.anywhere_from is None:
        return tuple(Anywhere(specialist=one.name) for one in chosen)
    names = [one.name for one in chosen] if options.specialists else []
    return questions_from(options.anywhere_from, names)


def _see_file_alone(options: AuditOptions) -> None:
    """See that nothing else says what is asked of any host: a file's lines are all that is.

    Raises:
        ArgumentError: Something does.
    """
    if options.anywhere:
        raise ArgumentError(
            "--anywhere asks each specialist once, and --anywhere-from what its file says",
            "leave one of the two out",
        )
    if options.question.strip():
        raise ArgumentError(
            "--anywhere-from asks the questions of its file, and there is another beside it",
            "write it into the file, or leave one of the two out",
        )


def show_planning(
    given: Given, request: AuditRequest, *, quiet: bool
) -> AbstractContextManager[object]:
    """Say that a model is being waited for, where one is to plan and there is a terminal."""
    if quiet or request.brain is BrainChoice.RULES or request.anywhere:
        return nullcontext()
    if not request.question.strip() or not given.settings.has_model:
        return nullcontext()
    return Console(stderr=True).status("planning who looks at what")


def follow_to_report(fleet: Fleet, job: str, *, quiet: bool) -> Report:
    """Show the job while it runs; its report. Ctrl-C cancels the job and leaves."""
    try:
        show_live(fleet.follow(job), Console(stderr=True, quiet=quiet))
        return fleet.report(job)
    except KeyboardInterrupt:
        fleet.cancel(job)
        raise JobError(f"job {job} was cancelled") from None


def deliver(report: Report, as_json: bool, html: Path | None, exit_code: bool) -> int:
    """Print the report, write it, and say with what code to leave.

    Neither keeps the other from being done: a full disk or a reader that leaves early costs
    only its own copy.

    Raises:
        OutputError: The report could not be printed, or the file not written.
    """
    try:
        print_out(report, as_json)
    finally:
        if html is not None:
            write_html(report, html)
    if html is not None and not as_json:
        Console(stderr=True).print(f"Written: {html}", markup=False, highlight=False)
    return plugin_exit_code(report) if exit_code else 0


def print_out(report: Report, as_json: bool) -> None:
    """Print the report to standard output.

    Raises:
        OutputError: It does not take it; a reader that left early is no error of ours.
    """
    try:
        if as_json:
            sys.stdout.write(report.to_json() + "\n")
        else:
            print_report(report, Console())
        sys.stdout.flush()
    except OutputError as error:
        raise OutputError(
            error.message, f"the report is kept: hostswarm show {report.job.id}"
        ) from error


def check_lasting(given: Given) -> None:
    """See that there is a fleet which lasts longer than this command.

    Raises:
        ArgumentError: There is none.
    """
    if given.settings.broker_url is None and not running_store(
        given.settings.state_dir, lasting=True
    ):
        raise ArgumentError(
            "--no-wait needs a fleet that stays", "start one with `hostswarm up`, or leave it out"
        )


def check_writable(path: Path) -> None:
    """See before any work that a file can be made there.

    Raises:
        OutputError: It cannot.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "is a directory")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}",
            "name a file in a directory that this user may write",
        ) from error


@contextmanager
def terminate_as_interrupt() -> Generator[None]:
    """While this lasts, SIGTERM and SIGHUP end the program as Ctrl-C does: tidily."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # What was told to be ignored, as nohup does, stays ignored.
    heeded = [
        name
        for name in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(name) is not signal.SIG_IGN
    ]
    before = {name: signal.signal(name, interrupt) for name in heeded}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
