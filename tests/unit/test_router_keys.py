"""Whose key a router takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.router.keys import FLEET, Keys, digest_of, parse_keys
from swarm_tasks.errors import SettingsError


def line(holder: str, key: str) -> str:
    return f"{holder} {digest_of(key)}\n"


def test_the_shared_key_is_the_fleet_s_and_no_other_is_anybody_s() -> None:
    keys = Keys("sk-shared")
    assert keys.holder("sk-shared") == FLEET
    for other in ("", "sk-share", "sk-shared ", digest_of("sk-shared")):
        assert keys.holder(other) is None


def test_without_any_key_an_empty_one_is_nobody_s() -> None:
    assert Keys().holder("") is None


def test_each_host_has_its_own_and_a_line_taken_out_revokes_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# the fleet\n\n" + line("web1", "sk-one") + line("db1", "sk-two"))
    keys = Keys(path=path)
    assert (keys.holder("sk-one"), keys.holder("sk-two")) == ("web1", "db1")
    path.write_text(line("db1", "sk-two"))
    assert (keys.holder("sk-one"), keys.holder("sk-two")) == (None, "db1")


def test_a_file_that_goes_bad_later_admits_nobody_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(line("web1", "sk-one"))
    keys = Keys("sk-shared", path)
    path.write_text(line("web1", "sk-one") + "half a li")
    assert keys.holder("sk-one") is None
    assert keys.holder("sk-shared") == FLEET
    path.unlink()
    assert keys.holder("sk-one") is None
    path.write_text(line("web1", "sk-one"))
    assert keys.holder("sk-one") == "web1"


@pytest.mark.parametrize("text", ["web1\n", "web1 sk-plain\n", f"-x {'0' * 64}", f"a {'0' * 63}"])
def test_a_line_that_is_none_is_named_and_not_shown(text: str) -> None:
    with pytest.raises(SettingsError, match="line 2 of the router's keys") as caught:
        parse_keys("# first\n" + text)
    assert "sk-plain" not in str(caught.value)


def test_a_file_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ROUTER_KEYS_FILE"):
        Keys(path=tmp_path / "none")
