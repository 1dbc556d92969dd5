"""What `drain` says of hosts that it did not see come to rest, and what `doctor` says of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from orchestrator.surfaces.doctor import host_checks
from orchestrator.surfaces.drain import DrainOptions, run_drain
from orchestrator.surfaces.session import Given
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.host import Beat, Drained, HostView
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.draining import Draining
from swarm_tasks.store.presence import Presence
from tests.support.waiting import wait_until


def beat(host: str, agents: int = 0, **more: object) -> Beat:
    given = {"host": host, "instance": "i", "at": now_utc(), "load1": 0, "agents": agents}
    return Beat.model_validate({**given, "capacity": 2, **more})


@pytest.mark.parametrize("agents", [0, 1])
def test_a_host_that_is_not_waited_for_is_not_said_to_be_at_rest(
    store: EmbeddedStore, client: Commands, capsys: pytest.CaptureFixture[str], agents: int
) -> None:
    Presence(client, 180, 3600).beat(beat("alpha", agents))
    given = Given(Settings(broker_url=SecretStr(store.url)), None)

    def drained(*, as_json: bool) -> str:
        options = DrainOptions(["alpha"], undo=False, wait="0", reason="", as_json=as_json)
        assert run_drain(given, options) == 0
        return capsys.readouterr().out

    assert drained(as_json=False) == (
        "alpha takes no more parts; it was not waited for.\n"
        "alpha stays drained until `hostswarm drain alpha --undo`.\n"
    )
    (row,) = json.loads(drained(as_json=True))
    assert (row["quiet"], row["agents"]) == (None, agents or None)


def test_ctrl_c_leaves_the_hosts_drained_and_says_so(
    store: EmbeddedStore, client: Commands
) -> None:
    Presence(client, 180, 3600).beat(beat("alpha", 1))

    def looks() -> int:
        return cast(Any, client).info("commandstats")["cmdstat_mget"]["calls"]

    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "hostswarm"), "drain", "alpha"],
        env={**os.environ, "HOSTSWARM_BROKER_URL": store.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        wait_until("it is marked", Draining(client).drained)
        before = looks()
        wait_until("it is waited for", lambda: looks() > before)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)
    assert (process.returncode, said[0]) == (130, "")
    assert said[1] == (
        "Not waited for any longer. alpha stays drained until `hostswarm drain alpha --undo`.\n"
    )


def test_doctor_names_hosts_that_are_drained_or_held_back_and_what_mends_it() -> None:
    since = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    views = (
        HostView(host="alpha", beat=beat("alpha"), drained=Drained(since=since, by="ann")),
        HostView(host="bravo", drained=Drained(since=since, reason="new disk")),
        HostView(host="charlie", beat=beat("charlie", strain="load 3 is over 2")),
    )
    told = [(one.said, one.mend) for one in host_checks(views) if one.state == "warning"]
    assert (
        "alpha is drained by ann since 2026-03-02 09:00 UTC",
        "hostswarm drain alpha --undo, once it may take parts again",
    ) in told
    assert "bravo is drained since 2026-03-02 09:00 UTC: new disk" in dict(told)
    assert "charlie is held back to 2 agents at a time: load 3 is over 2" in dict(told)
