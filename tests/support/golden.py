"""Golden files: a parser's input beside what it must make of it.

`tests/golden/<parser>/<platform>-<case>.in` is the input and `.json` beside it the answer. An
input that begins with `darwin-documented-` follows Apple's documentation and was not yet seen
on a Mac. Set HOSTSWARM_TEST_GOLDEN_UPDATE=1 to write the answers anew, then read the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import TypeAdapter

GOLDEN = Path(__file__).parent.parent / "golden"


def inputs(parser: str) -> list[Path]:
    """Every input of one parser; a parser without any is a mistake."""
    found = sorted((GOLDEN / parser).glob("*.in"))
    if not found:
        raise FileNotFoundError(f"no golden files in {GOLDEN / parser}")
    return found


def assert_golden(parsed: object, source: Path) -> None:
    """Compare what a parser made of `source` with the answer beside it."""
    got = TypeAdapter[object](object).dump_python(parsed, mode="json")
    answer = source.with_suffix(".json")
    if os.environ.get("HOSTSWARM_TEST_GOLDEN_UPDATE"):
        answer.write_text(json.dumps(got, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert got == json.loads(answer.read_text(encoding="utf-8"))
