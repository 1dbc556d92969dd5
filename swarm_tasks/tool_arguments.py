"""A tool's arguments as a person types them, and its answer as a person reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from swarm_tasks.errors import ArgumentError
from swarm_tasks.models.evidence import Evidence, EvidenceStatus


def parse_pairs(pairs: Iterable[str]) -> dict[str, object]:
    """`key=value` words as arguments. Lists and objects are JSON; all else stays text, which
    the tool's own types turn into numbers and truth values.

    Raises:
        ArgumentError: A word has no `=` or no key, or a key comes twice.
    """
    arguments: dict[str, object] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise ArgumentError(f"{pair!r} is not an argument", "write key=value")
        if key in arguments:
            raise ArgumentError(f"the argument {key} is given twice", "give it once")
        arguments[key] = _value(key, value)
    return arguments


def _value(key: str, text: str) -> object:
    if not text.startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ArgumentError(f"{key} is not JSON: {error}", "write [1, 2] or plain text") from None


def evidence_text(evidence: Evidence) -> str:
    """An answer in plain lines: what was asked, how it ended, where it came from, the data."""
    asked = " ".join(f"{key}={value}" for key, value in evidence.arguments.items())
    lines = [
        f"{evidence.tool} {asked}".rstrip() + f"  on {evidence.host}",
        f"{evidence.status.value} in {evidence.seconds:.2f} s"
        + (", its output was cut" if evidence.truncated else ""),
    ]
    if evidence.status is not EvidenceStatus.OK:
        lines.append(evidence.reason + (f"; {evidence.remedy}" if evidence.remedy else ""))
    lines.extend(f"  source: {source}" for source in evidence.source)
    if evidence.data is not None:
        lines.append(json.dumps(evidence.data, indent=2, ensure_ascii=True))
    return "\n".join(lines)


def exit_code_of(evidence: Evidence) -> int:
    """0 for an answer, 1 for none."""
    return 0 if evidence.status is EvidenceStatus.OK else 1
