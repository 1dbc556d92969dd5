"""The state of a scripted model server: its script, what came of it, and what is done next."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.support.model_replies import (
    WireReply,
    error,
    model_list,
    refusal,
    reply_to,
    role_for,
)
from tests.support.model_script import Fault, Role, Script
from tests.support.model_talk import Conversation, Count


@dataclass(slots=True)
class Tally:
    """What a server has done since it was last asked to forget.

    Args:
        at_once: The most requests that waited for their reply at the same time.
        connections: How many clients connected.
        cpu_seconds: User and system time of the server itself.
        by_role: Requests, prompt tokens and completion tokens of each role.
    """

    requests: int = 0
    replies: int = 0
    hung_up: int = 0
    at_once: int = 0
    connections: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cpu_seconds: float = 0.0
    by_role: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def add(self, role: str, prompt_tokens: int, completion_tokens: int) -> None:
        """Count a request."""
        self.requests += 1
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        sums = self.by_role.setdefault(role, [0, 0, 0])
        for place, more in enumerate((1, prompt_tokens, completion_tokens)):
            sums[place] += more


@dataclass(frozen=True, slots=True)
class Heard:
    """One HTTP request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Planned:
    """What is done with a request.

    Args:
        number: Of the chat requests, from 1; 0 for others.
    """

    reply: WireReply
    fault: Fault | None = None
    number: int = 0


@dataclass(slots=True)
class Playback:
    """The script that runs, and what came of it.

    Args:
        record: An open file that a line for each chat request and each ending goes to, or None.
    """

    script: Script
    count: Count
    record: int | None = None
    tally: Tally = field(default_factory=Tally)
    waiting: int = 0
    _cpu_before: float = 0.0
    _numbers: int = 0
    _failed: Counter[tuple[str, int, int]] = field(default_factory=Counter[tuple[str, int, int]])

    def plan(self, heard: Heard, connection: int) -> Planned:
        """What is done with a request."""
        path = urlsplit(heard.path).path
        if path.startswith("/_control/"):
            return Planned(self._control(path, heard.body))
        if (heard.method, path) == ("GET", "/v1/models"):
            key = _bearer(heard.headers)
            refused = self.script.key is not None and key != self.script.key
            reply = error(401, "Incorrect API key provided.", "invalid_api_key")
            return Planned(reply if refused else model_list(self.script))
        if (heard.method, path) != ("POST", "/v1/chat/completions"):
            return Planned(error(404, f"there is no {heard.method} {path} here"))
        return self._chat(heard, connection)

    def ended(self, number: int, hung_up: bool) -> None:
        """Keep how a chat request ended."""
        self.waiting -= 1
        self.tally.replies += not hung_up
        self.tally.hung_up += hung_up
        self._write({"n": number, "hung_up": hung_up})

    def _chat(self, heard: Heard, connection: int) -> Planned:
        self._numbers += 1
        self.waiting += 1
        self.tally.at_once = max(self.tally.at_once, self.waiting)
        role: Role | None = None
        fault: Fault | None = None
        talk = Conversation({})
        try:
            body: Any = json.loads(heard.body)
            talk = Conversation(body)
            role = role_for(self.script, talk)
            reply = refusal(self.script, role, talk, _bearer(heard.headers))
        except (ValueError, AttributeError, TypeError, LookupError) as problem:
            reply = error(400, f"this is no chat request: {problem!r}")
        if reply is None and role is not None:
            talk.turn = talk.count_turn(role.counts)
            turn = role.turn_at(talk.turn)
            reply = reply_to(role, turn, talk, self.count)
            fault = self._fault(role, talk.turn) if reply.status == 200 else None
        assert reply is not None
        failed = fault is not None and fault.status is not None
        self.tally.add(
            role.name if role else "",
            0 if failed else reply.prompt_tokens,
            0 if failed else reply.completion_tokens,
        )
        if self.record is not None:
            self._write(
                {
                    "n": self._numbers,
                    "connection": connection,
                    "role": role.name if role else "",
                    "turn": talk.turn,
                    "headers": dict(heard.headers),
                    "body": dict(talk.body),
                    "status": fault.status if failed else reply.status,  # pyright: ignore[reportOptionalMemberAccess]
                    "prompt_tokens": reply.prompt_tokens,
                    "completion_tokens": reply.completion_tokens,
                }
            )
        return Planned(reply, fault, self._numbers)

    def _fault(self, role: Role, turn: int) -> Fault | None:
        """The first fault of a turn whose times are not used up."""
        for place, fault in enumerate(role.turn_at(turn).faults):
            if fault.times is None:
                return fault
            key = (role.name, turn, place)
            self._failed[key] += 1
            if self._failed[key] <= fault.times:
                return fault
        return None

    def _control(self, path: str, body: bytes) -> WireReply:
        """What the test itself asks for."""
        if path == "/_control/play":
            self.script = Script.model_validate_json(body)
            self._failed.clear()
        elif path == "/_control/forget":
            self.tally = Tally()
            self._cpu_before = time.process_time()
        self.tally.cpu_seconds = time.process_time() - self._cpu_before
        return WireReply(200, (json.dumps(asdict(self.tally)).encode(),))

    def _write(self, line: Mapping[str, Any]) -> None:
        if self.record is not None:
            text = json.dumps({"pid": os.getpid(), **line}, ensure_ascii=False)
            os.write(self.record, text.encode() + b"\n")


def _bearer(headers: Mapping[str, str]) -> str:
    return headers.get("authorization", "").removeprefix("Bearer ")
