"""A model's plan: its words become parts, as far as they name what there is. Pure."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orchestrator.plan import Part, default_parts
from orchestrator.scope import Scope, matching
from swarm_tasks.brain.words import json_object
from swarm_tasks.models.charge import Charge
from swarm_tasks.models.job import Plan, PlanLine, Specialist

MOST_PARTS_A_HOST = 8
"""How many agents a plan may put on one host: as many as a worker runs at once by default."""

PART_QUESTION_LIMIT = 1_000
"""The longest question that a planner may put to an agent, in characters."""

WHY_LIMIT = 300
MOST_ASSIGNMENTS = 200
MOST_WORDS = 200
"""How many names and globs one assignment may list."""

MOST_WORDS_IN_ALL = 1_000
WORD_LIMIT = 100
REPLY_LIMIT = 256 * 1024
"""Characters of a reply that are read: no plan within the other bounds needs more."""

MOST_NOTES = 20
MOST_PROBLEMS = 5

_TEXT = {"type": "string"}
PLAN_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["why", "assignments", "left_out"],
    "properties": {
        "why": _TEXT,
        "assignments": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["hosts", "specialist", "question", "why"],
                "properties": {
                    "hosts": {"type": "array", "items": _TEXT},
                    "specialist": _TEXT,
                    "question": _TEXT,
                    "why": _TEXT,
                },
            },
        },
        "left_out": _TEXT,
    },
}
"""What a plan must fit, in the narrow JSON schema that endpoints take as strict: every property
is required, and none is added."""


Word = Annotated[str, Field(max_length=WORD_LIMIT)]


class WireAssignment(BaseModel):
    """One line of a plan as a model writes it; read more kindly than it is asked for."""

    model_config = ConfigDict(extra="ignore")

    hosts: list[Word] = Field(min_length=1, max_length=MOST_WORDS)
    specialist: str
    question: str = ""
    why: str = ""

    @field_validator("hosts", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        """One text may name one host, or several with commas."""
        return value.split(",") if isinstance(value, str) else value


class WirePlan(BaseModel):
    """A plan as a model writes it."""

    model_config = ConfigDict(extra="ignore")

    why: str = ""
    assignments: list[WireAssignment] = Field(min_length=1, max_length=MOST_ASSIGNMENTS)
    left_out: str = ""

    @field_validator("assignments")
    @classmethod
    def _not_too_many(cls, value: list[WireAssignment]) -> list[WireAssignment]:
        """Each word is looked for in the whole fleet."""
        if sum(len(one.hosts) for one in value) > MOST_WORDS_IN_ALL:
            raise ValueError(f"more than {MOST_WORDS_IN_ALL:,} names of hosts: use globs")
        return value


@dataclass(frozen=True, slots=True)
class Planned:
    """What a job is to be broken into, and how that came about.

    Args:
        charges: What it took of a model.
    """

    parts: tuple[Part, ...]
    plan: Plan
    charges: tuple[Charge, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host with a part that is bound to it, sorted."""
        return tuple(sorted({part.host for part in self.parts if part.host}))

    def specialists(self, order: Sequence[Specialist]) -> tuple[str, ...]:
        """The specialists that have a part, in this order."""
        used = {part.specialist.name for part in self.parts}
        return tuple(one.name for one in order if one.name in used)


@dataclass(frozen=True, slots=True)
class NoPlan:
    """A text that holds no plan which can be used, and why: the model is told, once."""

    problem: str


def planned_by_default(scope: Scope, why: str, degraded: str = "") -> Planned:
    """The default plan.

    Args:
        why: Why no model was asked.
        degraded: Why a model that was to be asked did not plan.
    """
    parts = default_parts(scope.hosts, scope.specialists, scope.question)
    return Planned(parts, Plan(by="default", why=why, degraded=degraded))


def planned_by_asker(parts: tuple[Part, ...]) -> Planned:
    """The plan of an asker whose questions any host may take."""
    return Planned(parts, Plan(by="asker", why="each question goes to one agent, on any host"))


def read_plan(text: str, scope: Scope) -> Planned | NoPlan:
    """The plan that a model's words hold.

    What is not there, a host or a specialist, is left out with a note; a plan of which nothing
    is left is none. Hosts that the asker named and the plan leaves out are looked at as the
    default plan would; so is, by one agent of each kind that is used, a host that is silent:
    nobody can tell whether it has to do with the question. Others that are left out are not
    part of the job.
    """
    found = json_object(text[:REPLY_LIMIT])
    if found is None:
        return NoPlan("it holds no JSON object")
    try:
        wire = WirePlan.model_validate(found)
    except ValidationError as error:
        return NoPlan(_told(error))
    reading = _Reading(scope)
    for assignment in wire.assignments:
        reading.take(assignment)
    if not reading.parts:
        return NoPlan(f"nothing of it can be done: {'; '.join(reading.notes[:MOST_PROBLEMS])}")
    return reading.finish(wire)


@dataclass(slots=True)
class _Line:
    """What one specialist is asked with one question, wherever that is."""

    specialist: Specialist
    question: str
    why: str
    words: list[str] = field(default_factory=list[str])
    hosts: set[str] = field(default_factory=set[str])


@dataclass(slots=True)
class _Reading:
    """A plan being read: lines so far, parts a host, and what has to be said about it."""

    scope: Scope
    lines: dict[tuple[str, str], _Line] = field(default_factory=dict[tuple[str, str], _Line])
    parts: Counter[str] = field(default_factory=Counter[str])
    notes: list[str] = field(default_factory=list[str])
    too_many: set[str] = field(default_factory=set[str])

    def take(self, wire: WireAssignment) -> None:
        """Add an assignment to the line of its specialist and question."""
        specialist = self._specialist(wire.specialist)
        hosts = self._hosts(wire.hosts)
        if specialist is None or not hosts:
            return
        question = self._question(wire.question)
        line = self.lines.setdefault(
            (specialist.name, normalised(question)),
            _Line(specialist, question, one_line(wire.why, WHY_LIMIT)),
        )
        named = (one_line(word, 80) for word in wire.hosts)
        line.words += [word for word in named if word and word not in line.words]
        for host in sorted(hosts - line.hosts):
            if self.parts[host] >= MOST_PARTS_A_HOST:
                self.too_many.add(host)
                continue
            self.parts[host] += 1
            line.hosts.add(host)

    def finish(self, wire: WirePlan) -> Planned:
        """The plan with all that must be added to it."""
        if self.too_many:
            self.notes.append(
                f"more than {MOST_PARTS_A_HOST} agents were planned for {listed(self.too_many)}: "
                "those beyond were left out"
            )
        lines = [line for line in self.lines.values() if line.hosts]
        parts = [
            Part(host=host, specialist=line.specialist, question=line.question)
            for line in lines
            for host in sorted(line.hosts)
        ]
        parts += self._added([line.specialist for line in lines], wire.left_out)
        plan = Plan(
            by="model",
            why=one_line(wire.why, WHY_LIMIT),
            lines=tuple(
                PlanLine(
                    hosts=tuple(line.words),
                    parts=len(line.hosts),
                    specialist=line.specialist.name,
                    question=line.question,
                    why=line.why,
                )
                for line in lines
            ),
            notes=self._notes(),
        )
        return Planned(tuple(parts), plan)

    def _added(self, used: Sequence[Specialist], left_out: str) -> tuple[Part, ...]:
        """Parts for hosts that must not be missing, and a note about those that are."""
        scope = self.scope
        missing = [host for host in scope.hosts if not self.parts[host]]
        if scope.named:
            if missing:
                self.notes.append(
                    f"{listed(missing)} asked for by name and left out of the plan: "
                    "looked at as by default"
                )
            return default_parts(missing, scope.specialists, scope.question)
        skipped = [host for host in missing if host in scope.alive]
        if skipped:
            why = one_line(left_out, WHY_LIMIT) or "the plan does not say why"
            self.notes.append(f"not asked: {listed(skipped)} ({why})")
        kinds = [one for one in scope.specialists if one in used]
        return default_parts(
            (host for host in missing if host not in scope.alive), kinds, scope.question
        )

    def _specialist(self, word: str) -> Specialist | None:
        """The specialist that is meant, by its name or title; None and a note for nobody."""
        asked = word.strip().casefold()
        for one in self.scope.specialists:
            if asked in (one.name, one.title.casefold()):
                return one
        self._note(f"no specialist that was asked is called {one_line(word, 40)!r}")
        return None

    def _hosts(self, words: Iterable[str]) -> set[str]:
        """The hosts that names, globs, roles and `all` mean; a note for each that means nobody."""
        found: set[str] = set()
        for word in map(str.strip, words):
            matched = matching(word, self.scope)
            if not matched and word:
                self._note(f"no host that was asked is called {one_line(word, 80)!r}")
            found |= matched
        return found

    def _question(self, text: str) -> str:
        """The question in a line; the asker's own where the plan has none."""
        whole = one_line(text, len(text))
        if len(whole) > PART_QUESTION_LIMIT:
            self._note(f"a question was cut to {PART_QUESTION_LIMIT:,} characters")
        return one_line(whole, PART_QUESTION_LIMIT) or self.scope.question

    def _note(self, said: str) -> None:
        if said not in self.notes:
            self.notes.append(said)

    def _notes(self) -> tuple[str, ...]:
        more = len(self.notes) - MOST_NOTES
        if more <= 0:
            return tuple(self.notes)
        # The last ones tell who was added and who was left out: they are kept.
        return (*self.notes[: MOST_NOTES - 3], f"and {more} more", *self.notes[-3:])


def normalised(question: str) -> str:
    """What two questions have in common if they ask the same: case, white space, last marks."""
    plain = unicodedata.normalize("NFKC", question).casefold()
    return " ".join(plain.split()).rstrip(" .,;:?!…")


def one_line(text: str, limit: int) -> str:
    """A model's words in one line, without characters that are not shown, and cut."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    line = " ".join(shown.split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names in order, the first few of them."""
    ordered = sorted(names)
    shown = ", ".join(ordered[:most])
    return shown if len(ordered) <= most else f"{shown} and {len(ordered) - most:,} more"


def _told(error: ValidationError) -> str:
    """What is wrong with the form of a plan, as far as one line goes."""
    rows = error.errors(include_url=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in rows[:MOST_PROBLEMS]
    )
