"""`--anywhere-from`: a file of questions, one a line. Only the command line reads files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from swarm_tasks.errors import ArgumentError
from swarm_tasks.models.base import NAME_PATTERN
from swarm_tasks.models.job import (
    ANYWHERE_LIMIT_CHARACTERS,
    MOST_ANYWHERE,
    QUESTION_LIMIT,
    Anywhere,
)

OPTION = "--anywhere-from"

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""What no question holds: control characters, but for a tab."""


def questions_from(path: Path, specialists: Sequence[str]) -> tuple[Anywhere, ...]:
    """The questions of a file. Empty lines and those that begin with `#` are none.

    Args:
        specialists: Who is asked each of them; none where each line names its own, as
            `SPECIALIST: QUESTION`.

    Raises:
        ArgumentError: It cannot be read, a line of it is wrong, or there are none or too many.
    """
    try:
        # Spreadsheets and editors of Windows begin a file with a mark, which is not of its text.
        with path.open(encoding="utf-8-sig") as stream:
            text = stream.read(ANYWHERE_LIMIT_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(
            f"{OPTION} {path} cannot be read: {error}", "name a text file, one question a line"
        ) from error
    if len(text) > ANYWHERE_LIMIT_CHARACTERS:
        raise ArgumentError(
            f"{OPTION} {path} has more than {ANYWHERE_LIMIT_CHARACTERS:,} characters",
            "ask in several jobs",
        )
    found = tuple(_questions(path, text, specialists))
    if not found:
        raise ArgumentError(f"{OPTION} {path} asks nothing", "write one question a line")
    if len(found) > MOST_ANYWHERE:
        raise ArgumentError(
            f"{OPTION} {path} asks {len(found):,} agents",
            f"at most {MOST_ANYWHERE:,} can be asked at once: ask in several jobs",
        )
    return found


def _questions(path: Path, text: str, specialists: Sequence[str]) -> Iterator[Anywhere]:
    # `splitlines` would also part a question at characters that editors show within a line.
    for number, line in enumerate(text.split("\n"), 1):
        whole, line = line, line.strip()
        if not line or line.startswith("#"):
            continue
        if odd := CONTROL.search(whole.rstrip("\r")):
            raise ArgumentError(
                f"{OPTION} {path}, line {number}: it holds the control character "
                f"U+{ord(odd[0]):04X}",
                "take it out",
            )
        asked, question = specialists, line
        if not specialists:
            name, colon, question = (word.strip() for word in line.partition(":"))
            if not colon or not question or re.fullmatch(NAME_PATTERN, name) is None:
                raise ArgumentError(
                    f"{OPTION} {path}, line {number}: it does not say who is asked",
                    "write SPECIALIST: QUESTION, or choose with --specialists",
                )
            asked = (name,)
        if len(question) > QUESTION_LIMIT:
            raise ArgumentError(
                f"{OPTION} {path}, line {number}: the question has {len(question):,} characters",
                f"at most {QUESTION_LIMIT:,} travel with a part: ask more briefly",
            )
        for name in asked:
            yield Anywhere(specialist=name, question=question)
