"""Which of the store's errors pass by themselves: whoever meets one may try again."""

from __future__ import annotations

import redis
from redis.exceptions import AuthorizationError, MasterDownError

LASTING = (redis.AuthenticationError, AuthorizationError)
"""A wrong password stays wrong, though the library counts it among lost connections."""

PASSING = (
    redis.ConnectionError,  # it is away, or loads its data
    redis.TimeoutError,
    redis.OutOfMemoryError,  # what it keeps has an end
    redis.ReadOnlyError,  # another takes its place
    MasterDownError,
)

REFUSALS = ("MISCONF", "NOREPLICAS", "BUSY")
"""How others begin: no room on its disk, too few copies of it, a script that takes long."""

IN_PIPELINE = "of pipeline caused error: "
"""The library puts this, and the command, before what the store said."""


def passes(error: redis.RedisError) -> bool:
    """Whether the store may well do tomorrow what it refuses now, with nobody asking otherwise."""
    if isinstance(error, PASSING):
        return not isinstance(error, LASTING)
    said = str(error).rpartition(IN_PIPELINE)[2]
    return said.partition(" ")[0] in REFUSALS
