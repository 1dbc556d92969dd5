"""The documentation as data: its files, code blocks, links, and the tables that code writes.

A table between `<!-- generated: name -->` and `<!-- end -->` is made here from the program itself.
Set HOSTSWARM_TEST_UPDATE_DOCS=1 to write the tables anew, then read the difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from swarm_tasks.measures import Measure, measures
from swarm_tasks.models.job import Specialist
from swarm_tasks.models.policy import Checks
from swarm_tasks.specialists import shipped_specialists
from tests.support import samples
from workers.tools.book import rulebook, toolbook
from workers.tools.spec import Tool

REPOSITORY = Path(__file__).parent.parent.parent
DOCUMENTS = tuple(
    sorted(
        path
        for pattern in ("*.md", "docs/*.md", "benchmarks/*.md")
        for path in REPOSITORY.glob(pattern)
    )
)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
GENERATED = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.S)
HEADING = re.compile(r"^#{1,6} (.+)$", re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")
UNKNOWN = "?"
"""What stands where a person has yet to write how a tool reads a platform."""

NEVER = "–"
"""What stands where a platform has no such tool."""


def named(name: str) -> str:
    """The text of a document, by its path in the repository."""
    return (REPOSITORY / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of one language."""
    return [body for word, body in FENCE.findall(text) if word == language]


def without_blocks(text: str) -> str:
    """The text with all fenced code taken out."""
    return FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """The fragments that a link into this document may name, as GitHub derives them."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {line.strip().replace(" ", "-") for line in plain}


def links(text: str) -> Iterator[str]:
    """The targets of all links that do not lead out of the repository."""
    for target in LINK.findall(without_blocks(text)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def with_tables(text: str) -> str:
    """The document with its generated tables as they should be."""

    def table(match: re.Match[str]) -> str:
        body = TABLES[match[2]](match[0])
        return f"{match[1]}\n{body}\n\n{match[3]}"

    return GENERATED.sub(table, text)


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row, head and rule left out."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def _table(head: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *(list(row) for row in body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def span(seconds: float) -> str:
    """Seconds in the largest unit that leaves no rest: 1209600 is 14 days."""
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds > size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def level(value: float | None, unit: str) -> str:
    """A level as it is written in the settings, and as a person reads it."""
    if value is None:
        return NEVER
    plain = f"{value:.0f}" if value == int(value) else f"{value:g}"
    if unit == "bytes":
        return f"{plain} ({value / 1e9:g} GB)"
    return f"{plain} ({span(value)})" if unit == "seconds" and value >= 60 else plain


def tools_by_metric() -> dict[str, list[str]]:
    """Which tools' answers each metric is read from."""
    found: dict[str, list[str]] = {name: [] for name in measures()}
    for rule in rulebook():
        if rule.tool not in found[rule.metric]:
            found[rule.metric].append(rule.tool)
    return found


def graded_table(_: str = "") -> str:
    """Metrics that are numbers, with their levels."""
    readers = tools_by_metric()

    def row(one: Measure) -> list[str]:
        sign = "≤ " if one.comparator == "<=" else "≥ "
        raised = (level(value, one.unit) for value in (one.warning, one.critical))
        cleared = (level(value, one.unit) for value in (one.warning_clear, one.critical_clear))
        return [
            f"`{one.name}`",
            one.meaning,
            one.unit,
            *(text if text == NEVER else sign + text for text in raised),
            *cleared,
            _listed(readers[one.name]) or NEVER,
            one.source,
        ]

    head = ("Metric", "Meaning", "Unit", "Warning", "Critical", "Warning clears", "Critical clears")
    return _table(
        (*head, "Read by", "Source"), (row(one) for one in measures().values() if not one.states)
    )


def state_table(_: str = "") -> str:
    """Metrics that are words, with the bad ones."""
    readers = tools_by_metric()

    def bad(one: Measure, severity: str) -> str:
        return _listed(word for word, grade in one.states.items() if grade == severity) or NEVER

    return _table(
        ("Metric", "Meaning", "Warning", "Critical", "Read by", "Source"),
        (
            [
                f"`{one.name}`",
                one.meaning,
                bad(one, "warning"),
                bad(one, "critical"),
                _listed(readers[one.name]) or NEVER,
                one.source,
            ]
            for one in measures().values()
            if one.states
        ),
    )


def probe_table(_: str = "") -> str:
    """How each metric is measured again, and by how much that may differ."""

    def ways(one: Measure) -> Iterable[str]:
        for rule in rulebook():
            for reading in samples.readings(rule) if rule.metric == one.name else ():
                given = rule.again(reading.subject, Checks())
                if given is not None:
                    names = _listed(given)
                    yield f"`{rule.tool}`" + (f" with {names}" if names else "")

    def may_differ(one: Measure) -> str:
        share = f"{one.tolerance_percent:g} %" if one.tolerance_percent else ""
        by = f"{one.tolerance:g} {one.unit}" if one.tolerance else ""
        return " or ".join(filter(None, (by, share))) or NEVER

    def gone(one: Measure) -> str:
        rules = [rule for rule in rulebook() if rule.metric == one.name]
        return "recovered" if any(rule.absent_is_well for rule in rules) else "not to be seen"

    return _table(
        ("Metric", "Measured again with", "May differ by", "No longer shown means"),
        (
            [f"`{one.name}`", ", ".join(dict.fromkeys(ways(one))), may_differ(one), gone(one)]
            for one in measures().values()
        ),
    )


def argument(name: str, schema: Mapping[str, Any], *, needed: bool) -> str:
    """One argument of a tool with its default and bounds: `lines` = 200, 1 to 10000."""
    choices: list[dict[str, Any]] = schema.get("anyOf", [dict(schema)])
    kind = next(one for one in choices if one.get("type") != "null")
    default = schema.get("default")
    text = f"`{name}`" + (" (needed)" if needed else "")
    if default not in (None, []):
        text += f" = {default}"
    if "enum" in kind:
        return f"{text}: {', '.join(kind['enum'])}"
    low, high = kind.get("minimum", kind.get("exclusiveMinimum")), kind.get("maximum")
    return text if low is None or high is None else f"{text}, {low:g} to {high:.15g}"


def arguments(tool: Tool) -> str:
    """All arguments of a tool."""
    schema = tool.arguments.model_json_schema()
    needed = schema.get("required", [])
    found = (
        argument(name, row, needed=name in needed)
        for name, row in schema.get("properties", {}).items()
    )
    return "; ".join(found) or NEVER


def grouped_tools() -> dict[str, list[Tool]]:
    """Every tool under the specialist that always calls it, or else the first that may."""
    known = shipped_specialists().values()
    groups: dict[str, list[Tool]] = {one.name: [] for one in known}
    for tool in toolbook():
        users = [one.name for one in known if any(call.tool == tool.name for call in one.sweep)]
        users += [one.name for one in known if tool.name in one.tools]
        groups.setdefault(next(iter(users), ""), []).append(tool)
    return groups


def tool_tables(before: str) -> str:
    """A table of tools for each specialist. How a platform is read is kept from `before`."""
    sources = {row[0].strip("`"): row[3:5] for row in rows(before)}
    levels: dict[str, list[str]] = {}
    for rule in rulebook():
        known = levels.setdefault(rule.tool, [])
        if rule.metric not in known:
            known.append(rule.metric)

    def read(tool: Tool) -> list[str]:
        known = sources.get(tool.name, [UNKNOWN, UNKNOWN])
        return [
            NEVER if platform not in tool.reads else UNKNOWN if text == NEVER else text
            for platform, text in zip(("linux", "darwin"), known, strict=True)
        ]

    def section(name: str, tools: Iterable[Tool]) -> str:
        title = shipped_specialists()[name].title if name else "Used by no specialist"
        body = (
            [
                f"`{tool.name}`",
                arguments(tool),
                tool.summary,
                *read(tool),
                _listed(levels.get(tool.name, ())) or NEVER,
            ]
            for tool in tools
        )
        head = ("Tool", "Arguments", "Tells", "On Linux from", "On macOS from", "Graded metrics")
        return f"### {title}\n\n{_table(head, body)}"

    return "\n\n".join(section(name, tools) for name, tools in grouped_tools().items() if tools)


def short_tool_table(_: str = "") -> str:
    """Each specialist with the names of its tools."""

    def row(one: Specialist) -> list[str]:
        return [f"`{one.name}`", _listed(one.tools)]

    return _table(("Specialist", "Its tools"), (row(one) for one in shipped_specialists().values()))


TABLES: dict[str, Callable[[str], str]] = {
    "graded-metrics": graded_table,
    "state-metrics": state_table,
    "probes": probe_table,
    "tools": tool_tables,
    "tools-by-specialist": short_tool_table,
}
