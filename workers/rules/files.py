"""Rules about files that must be fresh."""

from __future__ import annotations

from collections.abc import Iterable

from workers.rules.rule import Reading, Rule, named
from workers.tools.catalog.file_age import FileAge


def age(answer: FileAge) -> Iterable[Reading]:
    """Age of the newest file, where there is one."""
    if answer.age_seconds is not None:
        detail = f"newest of {answer.count}: {answer.newest}"
        if answer.cut_short:
            detail += "; there are more entries than were looked at"
        yield Reading(
            subject=answer.glob, value=answer.age_seconds, pointer="/age_seconds", detail=detail
        )


def presence(answer: FileAge) -> Iterable[Reading]:
    """Whether there is any such file."""
    yield Reading(subject=answer.glob, value=answer.state, pointer="/state")


RULES = (
    Rule(
        name="file-present",
        tool="file_age",
        metric="file.state",
        readings=presence,
        title="Expected file missing",
        advice="See why what writes these files did not run, or mend the path under checks.files.",
        probe=named("glob"),
        of_choice=True,
    ),
    Rule(
        name="file-age",
        tool="file_age",
        metric="file.age_seconds",
        readings=age,
        title="No fresh file",
        advice="See why what writes these files did not run, or did not finish.",
        probe=named("glob"),
        of_choice=True,
    ),
)
