"""One line of `doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "broken"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Args:
        mend: The command or change that mends it.
    """

    name: str
    state: State
    said: str
    mend: str = ""
