"""The ledger's Lua scripts. Each runs as one step, so two writers can never both win."""

_COUNT = """
-- Adds calls to what a job has spent. A call whose price is unknown is counted as such.
local function count(spent, tokens, calls, dollars, life)
  if calls == '0' then return end
  redis.call('HINCRBY', spent, 'tokens', tokens)
  redis.call('HINCRBY', spent, 'calls', calls)
  if dollars == '' then redis.call('HINCRBY', spent, 'unpriced', calls)
  else redis.call('HINCRBYFLOAT', spent, 'cost_usd', dollars) end
  redis.call('PEXPIRE', spent, life)
end
"""

SAVE_STEPS = (
    _COUNT
    + """
-- KEYS: part, steps, spent.
-- ARGV: attempt, position, tokens, calls, dollars ('' for unknown), steps ...
-- Steps stand one behind the other: those that are there already, as when an answer was lost and
-- the script is sent again, are neither kept nor counted twice; behind a gap none are kept.
-- Answer: 1, or 0 where they were not kept.
local part = redis.call('HMGET', KEYS[1], 'state', 'attempt')
local life = redis.call('PTTL', KEYS[1])
if life <= 0 then return 0 end
local there = redis.call('LLEN', KEYS[2])
local mine = part[1] == 'running' and part[2] == ARGV[1]
if mine and there > tonumber(ARGV[2]) then return 0 end
count(KEYS[3], ARGV[3], ARGV[4], ARGV[5], life)
if not mine or there < tonumber(ARGV[2]) then return 0 end
for at = 6, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[at]) end
redis.call('PEXPIRE', KEYS[2], life)
return 1
"""
)

CHARGE = (
    _COUNT
    + """
-- KEYS: job, spent, charges.  ARGV: tokens, calls, dollars ('' for unknown), charge.
local life = redis.call('PTTL', KEYS[1])
if life <= 0 then return 0 end
count(KEYS[2], ARGV[1], ARGV[2], ARGV[3], life)
redis.call('RPUSH', KEYS[3], ARGV[4])
redis.call('PEXPIRE', KEYS[3], life)
return 1
"""
)

CLOSE_JOB = """
-- KEYS: job, events, open, a day of the trust record.
-- ARGV: job id, report, status, event, stream length, life of the day in seconds, most fields of
-- it, then field, number ...
-- A job closes once, and only when all that was asked is closed. What became of its claims is
-- counted in the same step: once, and also where the answer is lost and the script is sent again.
-- Names come from hosts: where a day has as many as it may, new ones are left out.
-- Answer: 1, or 2 where the day could not be added to; 0 if the job was closed already.
local job = redis.call('HMGET', KEYS[1], 'state', 'total', 'closed')
if not job[1] or job[1] == 'closed' then return 0 end
if job[2] ~= job[3] then return -1 end
redis.call('HSET', KEYS[1], 'state', 'closed', 'report', ARGV[2], 'status', ARGV[3])
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', 'event', ARGV[4])
if #ARGV == 7 then return 1 end
local fields = redis.pcall('HLEN', KEYS[4])
if type(fields) == 'table' then return 2 end
local answer = 1
local room = tonumber(ARGV[7]) - fields
for at = 8, #ARGV, 2 do
  local known = redis.call('HEXISTS', KEYS[4], ARGV[at]) == 1
  if known or room > 0 then
    local sum = redis.pcall('HINCRBY', KEYS[4], ARGV[at], ARGV[at + 1])
    if type(sum) == 'table' then answer = 2 end
  end
  if not known then room = room - 1 end
end
redis.call('EXPIRE', KEYS[4], ARGV[6])
return answer
"""

DROP_SAME = """
-- KEYS: a hash.  ARGV: field, value, ...  Drops each field that still holds this value.
local dropped = 0
for at = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[at]) == ARGV[at + 1] then
    dropped = dropped + redis.call('HDEL', KEYS[1], ARGV[at])
  end
end
return dropped
"""
