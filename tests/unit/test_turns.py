"""Turns are taken in order, by as many as may at that time, and are never lost."""

from __future__ import annotations

import asyncio

from workers.turns import Turns


class Crowd:
    """Callers that wait for a turn, and keep it until they are told to go."""

    def __init__(self, most: int) -> None:
        self.turns = Turns(most)
        self.inside: list[int] = []
        self._go: dict[int, asyncio.Event] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}

    async def come(self, *numbers: int) -> None:
        for number in numbers:
            self._go[number] = asyncio.Event()
            self.tasks[number] = asyncio.create_task(self._one(number))
        await self.settle()

    async def go(self, *numbers: int) -> None:
        for number in numbers:
            self._go[number].set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def _one(self, number: int) -> None:
        async with self.turns:
            self.inside.append(number)
            try:
                await self._go[number].wait()
            finally:
                self.inside.remove(number)


def test_turns_are_taken_in_order() -> None:
    async def play() -> None:
        crowd = Crowd(2)
        await crowd.come(1, 2, 3, 4)
        assert crowd.inside == [1, 2]
        await crowd.go(2)
        assert crowd.inside == [1, 3]
        await crowd.go(1, 3, 4)
        assert crowd.inside == []

    asyncio.run(play())


def test_fewer_turns_are_given_once_some_have_ended_and_more_when_one_ends() -> None:
    async def play() -> None:
        crowd = Crowd(3)
        await crowd.come(1, 2, 3, 4, 5, 6, 7)
        crowd.turns.allow(0)
        await crowd.go(1, 2)
        assert crowd.inside == [3]
        await crowd.go(3)
        assert crowd.inside == [4]
        crowd.turns.allow(2)
        await crowd.go(4)
        assert crowd.inside == [5, 6]

    asyncio.run(play())


def test_who_is_cancelled_while_waiting_takes_no_turn() -> None:
    async def play() -> None:
        crowd = Crowd(1)
        await crowd.come(1, 2, 3)
        crowd.tasks[2].cancel()
        await crowd.go(1)
        assert crowd.inside == [3]
        await crowd.go(3)
        await crowd.come(4)
        assert crowd.inside == [4]

    asyncio.run(play())


def test_a_turn_that_comes_together_with_the_cancel_is_given_on() -> None:
    async def play() -> None:
        crowd = Crowd(1)
        await crowd.come(1, 2, 3)
        crowd.tasks[1].cancel()
        await asyncio.sleep(0)  # the first one's turn is given to the second, which cannot know yet
        crowd.tasks[2].cancel()
        await crowd.settle()
        assert crowd.inside == [3]

    asyncio.run(play())
