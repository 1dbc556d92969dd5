"""Which of the store's errors pass by themselves."""

from __future__ import annotations

import pytest
import redis
from redis.exceptions import AuthorizationError

from swarm_tasks.store.passing import passes

FULL = "MISCONF Errors writing to the AOF file: No space left on device"
COMMAND = "Command # 1 (SET k v) of pipeline caused error: "


@pytest.mark.parametrize(
    "error",
    [
        redis.ConnectionError("Connection refused"),
        redis.TimeoutError("Timeout reading from socket"),
        redis.BusyLoadingError("Valkey is loading the dataset in memory"),
        redis.ReadOnlyError("You can't write against a read only replica."),
        redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        redis.ResponseError(FULL),
        redis.ResponseError(f"{FULL} script: on @user_script:14."),
        redis.ResponseError(COMMAND + FULL),
        redis.ResponseError("NOREPLICAS Not enough good replicas to write."),
        redis.ResponseError("BUSY Valkey is busy running a script."),
    ],
    ids=str,
)
def test_a_store_that_is_away_or_has_no_room_is_waited_for(error: redis.RedisError) -> None:
    assert passes(error)


@pytest.mark.parametrize(
    "error",
    [
        redis.AuthenticationError("invalid username-password pair or user is disabled."),
        AuthorizationError("no"),
        redis.ResponseError("unknown command 'XREADE'"),
        redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        redis.ResponseError("Command # 1 (SET k MISCONF x) of pipeline caused error: ERR syntax"),
        redis.DataError("Invalid input of type"),
    ],
    ids=str,
)
def test_what_is_wrong_stays_wrong(error: redis.RedisError) -> None:
    assert not passes(error)
