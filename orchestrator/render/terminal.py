"""Where a report is written on a terminal, or as plain text where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.render import words

if TYPE_CHECKING:
    from rich.console import Console

WIDEST = 110
"""Columns beyond which prose is no longer read with ease, however wide the terminal."""

PLAIN = str.maketrans(
    {"≥": ">=", "≤": "<=", "≠": "!=", "−": "-", "–": "-", "…": "...", "·": "-", "→": "->"}
)
"""Our own signs for a terminal that has nothing but ASCII."""

Piece = str | tuple[str, str]
"""Text, or text and its style."""


@dataclass(frozen=True, slots=True)
class Page:
    """Where the report is written. Every text passes `say`, which lets nothing act unseen."""

    console: Console

    @property
    def width(self) -> int:
        """Columns of a line."""
        return min(self.console.width, WIDEST)

    def say(
        self, *pieces: Piece, indent: int = 0, hang: int = 0, label: tuple[str, str] = ("", "")
    ) -> None:
        """Write one paragraph; no piece is read as markup.

        Args:
            indent: Columns before every line.
            hang: Columns more before each line but the first.
            label: Our own word and its style, in the first line's indent.
        """
        # Imported here: a verb that prints no report should not wait for it.
        from rich.text import Text

        paragraph = Text()
        for piece in pieces:
            said, style = (piece, "") if isinstance(piece, str) else piece
            paragraph.append(self._printable(said), style)
        width = max(self.width - indent - hang, 20)
        for index, line in enumerate(paragraph.wrap(self.console, width)):
            line.rstrip()
            left = Text(" " * (indent + hang)) if index else Text(*label)
            if line:
                left.pad_right(indent - len(left))
            self.console.print(left.append_text(line), highlight=False, soft_wrap=True)

    def gap(self) -> None:
        """Write an empty line."""
        self.console.print()

    def _printable(self, text: str) -> str:
        cleaned = words.clean(text).expandtabs(4)
        if not self.console.options.ascii_only:
            return cleaned
        return cleaned.translate(PLAIN).encode("ascii", "backslashreplace").decode()
