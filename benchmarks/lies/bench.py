"""One run: a machine with faults and without, agents whose model lies, and what came of it.

As a program it runs in a mount namespace of its own; see `benchmarks.lies`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lies.afar import spoken
from benchmarks.lies.book import Book, unfinished
from benchmarks.lies.host import KEY, Host
from benchmarks.lies.hostile import crowded, hostile, unasked
from benchmarks.lies.places import Place, agree, places_in
from benchmarks.lies.stage import ALWAYS, CHANGE_TOOL, ILL, WELL, Stage, planted
from benchmarks.lies.teller import Teller
from benchmarks.lies.things import Truth
from benchmarks.lies.told import Faults, Kind, Round, Told
from swarm_tasks.models.job import BrainChoice, Specialist
from tests.support.model_script import Script, Turn, answers, call, calls
from tests.support.model_server import ModelServer

MOST_FINDINGS = 45
"""Of one answer; a model's answer may have a few more."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is said.

    Args:
        bare: Agents on the ill host whose findings are the model's alone.
        ruled: Agents there beside whose model the rules speak.
        changing: Agents there under whose eyes things change.
        honest: Agents on the healthy host that say what is so, …
        lying: … and such that do not.
        elsewhere: Times that it is asked to measure what was said of it on the ill host.
        hostile: Every how many-th hostile form is tried.
    """

    bare: int
    ruled: int
    changing: int
    honest: int
    lying: int
    elsewhere: int
    hostile: int


CROWD_SECONDS = 15.0
"""What a part with a crowded answer has."""

CALM_TRIES = 8
CALM = {"process.cpu_percent": "<= 5", "service.restarts": "<= 2", "service.state": "!= failed"}

SILENT = 3
"""Agents that claim nothing, to know what the others' claims cost."""

SIZES = {
    "full": Size(bare=24, ruled=4, changing=6, honest=4, lying=10, elsewhere=4, hostile=1),
    "small": Size(bare=8, ruled=2, changing=3, honest=1, lying=3, elsewhere=1, hostile=3),
}


class Bench:
    """The agents of one run, in turn."""

    def __init__(self, stage: Stage, server: ModelServer, seed: str, size: Size) -> None:
        self._stage, self._size, self._seed = stage, size, seed
        self._ill = Host(ILL, stage, server)
        self._well = Host(WELL, stage, server)
        self._book = Book()
        self._swept = 0
        self._crowded: list[str] = []
        self._bare = stage.specialist("liar", rules=False)
        self._ruled = stage.specialist("ruled", rules=True)

    async def run(self) -> Round:
        """All of it."""
        stage, size = self._stage, self._size
        well = await self._scout(self._well)
        stage.make(ill=True)
        ill = await self._scout(self._ill)
        tellers = self._tellers(ill, well)
        for number in range(size.bare + size.ruled):
            specialist = self._bare if number < size.bare else self._ruled
            await self._mixed(self._ill, specialist, tellers[number % 2], ill, number)
        await self._crowd()
        for number in range(size.changing):
            await self._changing(tellers[number % 2], ill, number)
        stage.make(ill=False)
        tellers = self._tellers(well, ill)
        for number in range(size.honest):
            told = [tellers[number % 2].truth(place) for place in _some(well, number)]
            await self._said(self._well, self._ruled, told)
        for number in range(size.lying):
            told = [tellers[number % 2].lie(place) for place in _some(well, number)]
            await self._said(self._well, self._ruled, told)
        await self._unasked()
        await self._calm()
        await self._elsewhere(tellers, well)
        await self._hostile(well)
        silent = stage.specialist("silent", rules=False)
        for _ in range(SILENT):
            await self._well.part(silent, answers({"answer": "All is well.", "findings": []}))
        for host in (self._ill, self._well):
            await host.thinker.close()
        return Round(
            seed=self._seed,
            rows=tuple(self._book.rows),
            ill=self._book.faults.get(ILL, Faults()),
            well=self._book.faults.get(WELL, Faults()),
            costs=(*self._ill.costs, *self._well.costs),
            false_verified=tuple(self._book.false_verified),
            crowded=tuple(self._crowded),
        )

    def _tellers(self, places: Sequence[Place], others: Sequence[Place]) -> tuple[Teller, Teller]:
        """One whose templates are fixed, and one whose are drawn from the seed."""
        log = f"c{len(ALWAYS) + 1}"
        return (
            Teller(places, others, random.Random("fixed"), fresh=False, log=log),  # noqa: S311
            Teller(places, others, random.Random(self._seed), fresh=True, log=log),  # noqa: S311
        )

    async def _scout(self, host: Host) -> list[Place]:
        """What an honest agent of the rules reads now."""
        report = await host.part(self._bare, brain=BrainChoice.RULES)
        host.costs.clear()
        self._swept = len(report.evidence)
        return places_in(report.evidence, self._stage.truths())

    async def _mixed(
        self, host: Host, specialist: Specialist, teller: Teller, places: list[Place], number: int
    ) -> None:
        """An agent that says what is so of some and lies of the others."""
        told = [
            teller.truth(place) if (at + number // 2) % 2 else teller.lie(place)
            for at, place in enumerate(_some(places, number))
        ]
        await self._said(host, specialist, told)

    async def _changing(self, teller: Teller, places: list[Place], number: int) -> None:
        """All that is ill is mended between the reading and the check."""
        self._stage.make(ill=False)
        later = self._stage.truths()
        self._stage.make(ill=True)
        told: list[Told] = []
        for place in _some(places, number):
            then = later.get((place.metric, place.key))
            # What is gone for good is left out: that it was so stays true.
            one = None
            if then is not None:
                stays = agree(then.value, place.truth)
                one = teller.truth(place) if stays else teller.stale(place, then)
            told += [one] if one is not None else []
        self._ill.on_change = lambda: self._stage.make(ill=False)
        try:
            await self._said(self._ill, self._bare, told, calls(call(CHANGE_TOOL)))
        finally:
            self._ill.on_change = None
            self._stage.make(ill=True)

    async def _elsewhere(self, tellers: Sequence[Teller], places: list[Place]) -> None:
        """Agents of the ill host speak of the healthy one, which measures what they say."""
        for number in range(self._size.elsewhere):
            told = spoken(tellers[number % 2].afar, _some(places, number), number // 2)
            checked = await self._well.check([claim for _, claim in told])
            self._book.elsewhere(WELL, [one for one, _ in told], checked)

    async def _said(
        self, host: Host, specialist: Specialist, told: Sequence[Told], *before: Turn
    ) -> None:
        told = told[:MOST_FINDINGS]
        answer = {"answer": "This is so.", "findings": [one.finding for one in told]}
        report = await host.part(specialist, *before, answers(answer))
        self._book.enter(report, told, self._known(*told))

    def _known(self, *told: Told) -> dict[tuple[str, str], Truth]:
        """All that is true now, with what a model found that nobody expects."""
        asked = [one for one in told if one.kind is Kind.UNASKED and " == " in one.claims[0]]
        found = {
            (one.metric, one.key): Truth(one.metric, one.key, one.claims[0].split(" ")[2])
            for one in asked
        }
        return {**self._stage.aside(), **found, **self._stage.truths()}

    async def _unasked(self) -> None:
        """A model looks for trouble where nothing is expected."""
        rng = random.Random(self._seed)  # noqa: S311 - lies, no secrets
        for _ in range(self._size.honest):
            told, looks = unasked(self._stage, rng)
            claims = [
                one.model_copy(update={"claims": (one.claims[0].format(self._swept + at),)})
                for at, one in enumerate(told, 1)
            ]
            await self._said(self._well, self._ruled, claims, looks)

    async def _calm(self) -> None:
        """What is said of a process that does nothing and of a service, by both tellers."""
        rng = random.Random(self._seed)  # noqa: S311 - lies, no secrets
        known = {(one.metric, one.key): one for one in self._stage.calm_truths()}
        specialist = self._stage.calm()
        for fresh in (False, True):
            for _ in range(CALM_TRIES):
                scouted = await self._well.part(specialist, brain=BrainChoice.RULES)
                self._well.costs.pop()
                places = places_in(scouted.evidence, known)
                told = _calmly(Teller(places, [], rng, fresh=fresh, log="c99"), places)
                answer = {"answer": "This is so.", "findings": [one.finding for one in told]}
                report = await self._well.part(specialist, answers(answer))
                # The order of processes changes: what was said must still stand where it did.
                read = places_in(report.evidence[: len(specialist.sweep)], known)
                if [one.pointer for one in read] == [one.pointer for one in places]:
                    self._book.enter(report, told, self._known())
                    break
            else:
                raise RuntimeError("the processes here come and go too fast to speak of one")

    async def _crowd(self) -> None:
        """What takes long to hold against its subjects keeps no alarm of the rules back."""
        rng = random.Random(self._seed)  # noqa: S311 - lies, no secrets
        turn = crowded(self._stage, rng)
        report = await self._ill.part(self._stage.crowded(), turn, seconds=CROWD_SECONDS)
        self._ill.costs.pop()
        self._crowded += unfinished(report, self._stage.truths(), CROWD_SECONDS)

    async def _hostile(self, places: list[Place]) -> None:
        """Each hostile form alone, about a healthy volume: nothing of it may be an alarm."""
        place = next(one for one in places if one.metric == "disk.used_percent" and one.number < 70)
        small = self._stage.specialist("hostile", rules=True, all_of_it=False)
        rng = random.Random(self._seed)  # noqa: S311 - lies, no secrets
        forms = hostile(place, rng)
        rng.shuffle(forms)
        for told, turn in forms[:: self._size.hostile]:
            report = await self._well.part(small, turn)
            self._book.enter(report, [told], self._known(told))


def _calmly(teller: Teller, places: Sequence[Place]) -> list[Told]:
    """What is so and what is not, and of each thing that is calm that it is."""
    told = [made(place) for place in places for made in (teller.truth, teller.wrong_value)]
    for place in places:
        if said := CALM.get(place.metric):
            line = f"{place.metric} {said} @{place.alias}{place.pointer}"
            told.append(teller.truth(place).model_copy(update={"claims": (line,)}))
    return told


def _some(places: list[Place], number: int) -> list[Place]:
    """As many as one answer may speak of, others each time."""
    turned = number * 7 % len(places)
    return [*places[turned:], *places[:turned]][:MOST_FINDINGS]


def main() -> None:
    """Run once and write what came of it."""
    parser = argparse.ArgumentParser(description="One run of the lie bench.")
    parser.add_argument("--seed", required=True)
    parser.add_argument("--size", choices=SIZES, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    given = parser.parse_args()
    rng = random.Random(given.seed)  # noqa: S311 - lies, no secrets
    with (
        planted(given.directory / "host", rng) as stage,
        ModelServer(Script(key=KEY), record=False) as server,
    ):
        found = asyncio.run(Bench(stage, server, given.seed, SIZES[given.size]).run())
    (given.directory / "round.json").write_text(found.model_dump_json())


if __name__ == "__main__":
    main()
