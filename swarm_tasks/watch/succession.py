"""A worker that starts takes over from the one that had its name before."""

from __future__ import annotations

from collections.abc import Iterator

from swarm_tasks.models.job import ANY_SIGN
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.leases import named
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.watch.messages import give_back

READ_AT_ONCE = 500
"""Leases that are looked at in one script: it holds the store for that long, most of a millisecond.
"""

HELD_BY = """
-- KEYS: leases.
-- ARGV: cursor, how many, what stands before a member in its part's key, host, the sign that stands
-- for any host in a part's name.
-- A scan by the names' own order: by time, leases that are renewed meanwhile would move the others.
-- Answer: {next cursor, member, attempt, ...} of the parts that run on that host.
local found = redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local own, anybodys = ':' .. ARGV[4] .. '/', ':' .. ARGV[5] .. '/'
local answer = {found[1]}
for at = 1, #found[2], 2 do
  local member = found[2][at]
  if string.find(member, own, 1, true) or string.find(member, anybodys, 1, true) then
    local part = redis.pcall('HMGET', ARGV[3] .. member, 'state', 'holder', 'attempt')
    if part[1] == 'running' and part[2] == ARGV[4] and part[3] then
      answer[#answer + 1] = member
      answer[#answer + 1] = part[3]
    end
  end
end
return answer
"""


def succeed(ledger: Ledger, host: str) -> tuple[int, int]:
    """Have what a former life of this host's worker held done again, without waiting until its
    leases are over: a name has one worker at a time, and this one does not consume yet.

    Returns:
        How many parts are put back, and how many messages go back to their queues.
    """
    parts = 0
    for member, attempt in dict(_held_by(ledger.client, host)).items():
        job, name = named(member)
        why = "its worker fell and came back"
        parts += ledger.leases.put_back(job, name, attempt, why, host, fell=True)
    return parts, give_back(ledger.client, host)


def _held_by(client: Commands, host: str) -> Iterator[tuple[str, int]]:
    """The parts that run on a host, by their tasks' ids, and their attempts. A scan may tell of
    one twice."""
    held_by = client.register_script(HELD_BY)
    before = keys.PART.at(job="", part="").removesuffix(":")
    cursor = "0"
    while True:
        answer: list[str] = held_by(
            keys=[keys.LEASES.at()], args=[cursor, READ_AT_ONCE, before, host, ANY_SIGN]
        )
        cursor, found = answer[0], answer[1:]
        for member, attempt in zip(found[::2], found[1::2], strict=True):
            if attempt.isdigit():
                yield member, int(attempt)
        if cursor == "0":
            return
