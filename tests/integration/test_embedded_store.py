"""The embedded store: private, durable, one at a time, and gone with whoever started it."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from pydantic import SecretStr

from swarm_tasks.config import Settings
from swarm_tasks.embedded import SOCKET_PATH_BYTES, EmbeddedStore, running_store
from swarm_tasks.errors import StoreBusy, StoreError
from swarm_tasks.store.client import connect
from swarm_tasks.store.commands import Commands
from tests.support.fleets import REPOSITORY
from tests.support.waiting import wait_until

PARENT = """
import sys, time
from pathlib import Path
from swarm_tasks.embedded import EmbeddedStore
store = EmbeddedStore(Path(sys.argv[1])).start()
print(store.url, flush=True)
time.sleep(60)
"""
"""Somebody who starts a store and is killed before it can stop it."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory whose socket's path is short enough."""
    return tmp_path / "s"


@contextmanager
def client_of(url: str) -> Generator[Commands]:
    client = connect(Settings(broker_url=SecretStr(url)))
    try:
        yield client
    finally:
        client.close()


def get(store: EmbeddedStore, key: str) -> str | None:
    with client_of(store.url) as client:
        return client.get(key)


def put(store: EmbeddedStore, key: str, value: str) -> None:
    with client_of(store.url) as client:
        client.set(key, value)


def servers(state: Path) -> list[psutil.Process]:
    """The Valkey servers whose configuration is below this directory."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        # The server rewrites its own command line; the guard's still names the file.
        if any(str(state) in word for word in words) and "valkey-server" in " ".join(words):
            found.append(process)
    return found


def server_of(state: Path) -> psutil.Process:
    (server,) = (one for one in servers(state) if one.name() != "sh")
    return server


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_can_reach_it(state: Path) -> None:
    with EmbeddedStore(state) as store:
        assert store.url == f"unix://{state}/store/run/s"
        for directory in (state / "store", state / "store" / "run"):
            assert mode(directory) == 0o700
        socket = state / "store" / "run" / "s"
        assert socket.is_socket()
        assert mode(socket) == 0o700
        server = server_of(state)
        assert server.net_connections(kind="inet") == []


def test_it_writes_everything_down_and_forgets_nothing_for_want_of_room(state: Path) -> None:
    with EmbeddedStore(state) as store, client_of(store.url) as client:
        asked = ("appendonly", "appendfsync", "maxmemory-policy", "port", "save")
        answer = {name: cast(Any, client).config_get(name)[name] for name in asked}
    assert answer == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "port": "0",
        "save": "",
    }


def test_what_it_was_told_is_there_the_next_time(state: Path) -> None:
    with EmbeddedStore(state) as store:
        put(store, "k", "kept")
    assert servers(state) == []
    with EmbeddedStore(state) as store:
        assert get(store, "k") == "kept"


def test_what_it_was_told_survives_its_own_violent_end(state: Path) -> None:
    with EmbeddedStore(state) as store:
        put(store, "k", "kept")
        assert not store.ended
        server_of(state).send_signal(signal.SIGKILL)
        wait_until("its end is noticed", lambda: store.ended)
    with EmbeddedStore(state) as store:
        assert get(store, "k") == "kept"


def test_only_one_at_a_time_uses_a_state_directory(state: Path) -> None:
    with EmbeddedStore(state) as first:
        with pytest.raises(StoreBusy, match=f"another hostswarm uses the store in {state}/store"):
            EmbeddedStore(state).start()
        put(first, "k", "unharmed")
        assert get(first, "k") == "unharmed"
    with EmbeddedStore(state) as next_one:
        assert get(next_one, "k") == "unharmed"


def test_others_on_this_machine_find_it_while_it_runs(state: Path) -> None:
    assert running_store(state) is None
    with EmbeddedStore(state) as store:
        assert running_store(state) == running_store(state, lasting=True) == store.url
    assert running_store(state) is None


def test_one_that_lasts_for_a_command_only_is_not_built_upon(state: Path) -> None:
    with EmbeddedStore(state, passing=True) as store:
        assert running_store(state) == store.url
        assert running_store(state, lasting=True) is None
    assert running_store(state) is None


def test_an_address_that_was_left_behind_fools_nobody(state: Path) -> None:
    with EmbeddedStore(state):
        left = (state / "store" / "address").read_text()
    (state / "store" / "address").write_text(left)
    assert running_store(state) is None
    with EmbeddedStore(state) as store:
        assert running_store(state) == store.url


def test_it_ends_with_its_parent_however_that_ends(state: Path) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", PARENT, str(state)),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        with client_of(url) as client:
            client.set("k", "kept")
        parent.kill()
    # The next one waits for the last words of the first: two servers never share the data.
    store = wait_until("another may start", lambda: started(state))
    assert store is not None
    try:
        assert get(store, "k") == "kept"
        assert server_of(state).is_running()
    finally:
        store.stop()
    wait_until("nothing is left", lambda: not servers(state))


def started(state: Path) -> EmbeddedStore | None:
    """A store that runs, unless another has the data still."""
    try:
        return EmbeddedStore(state).start()
    except StoreBusy:
        return None


def test_a_socket_s_path_that_is_too_long_goes_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * SOCKET_PATH_BYTES)
    with EmbeddedStore(deep) as store:
        elsewhere = Path(store.url.removeprefix("unix://")).parent
        assert elsewhere.parent == Path(tempfile.gettempdir())
        assert mode(elsewhere) == 0o700
        assert running_store(deep) == store.url
        put(store, "k", "kept")
    assert not elsewhere.exists()
    with EmbeddedStore(deep) as store:
        assert get(store, "k") == "kept"


def test_a_relative_state_directory_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with EmbeddedStore(Path("r")) as store:
        monkeypatch.chdir("/")
        assert store.url == f"unix://{tmp_path}/r/store/run/s"
        assert get(store, "k") is None


def append_only_file(state: Path) -> Path:
    (path,) = (state / "store" / "appendonlydir").glob("*.incr.aof")
    return path


def test_a_last_word_that_was_cut_off_costs_only_itself(state: Path) -> None:
    with EmbeddedStore(state) as store:
        put(store, "first", "kept")
        put(store, "second", "x" * 100)
    path = append_only_file(state)
    os.truncate(path, path.stat().st_size - 10)
    with EmbeddedStore(state) as store:
        assert get(store, "first") == "kept"
        assert get(store, "second") is None


def test_data_that_cannot_be_read_is_told_in_one_line_with_the_way_out(state: Path) -> None:
    with EmbeddedStore(state) as store:
        put(store, "k", "v")
    append_only_file(state).write_bytes(b"this is no append-only file\n" * 20)
    with pytest.raises(StoreError, match="Bad file format") as caught:
        EmbeddedStore(state).start()
    assert "\n" not in str(caught.value)
    assert f"its data is in {state}/store; move it away to start anew" in str(caught.value)
    wait_until("nothing runs", lambda: not servers(state))
    shutil.move(state / "store", state / "aside")
    with EmbeddedStore(state) as store:
        assert get(store, "k") is None


@pytest.mark.parametrize("place", ["/dev/null/here", "/proc/1/here"])
def test_a_state_directory_that_cannot_be_used_is_told(place: str) -> None:
    with pytest.raises(StoreError, match=r"cannot be used: .*: set HOSTSWARM_STATE_DIR"):
        EmbeddedStore(Path(place)).start()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
def test_a_full_disk_is_told(state: Path) -> None:
    state.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(state)), check=True)
    try:
        with (state / "filler").open("wb") as filler, pytest.raises(OSError, match="No space"):
            filler.write(b"x" * (1 << 20))
            filler.flush()
        with pytest.raises(StoreError, match="No space left on device: set HOSTSWARM_STATE_DIR"):
            EmbeddedStore(state).start()
    finally:
        subprocess.run(("umount", str(state)), check=True)


def test_it_may_be_stopped_twice_and_has_no_address_then(state: Path) -> None:
    store = EmbeddedStore(state).start()
    store.stop()
    store.stop()
    with pytest.raises(StoreError, match="is not running"):
        _ = store.url
