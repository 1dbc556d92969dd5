"""The Lua scripts of leases. Each runs as one step, on the store's clock, which all hosts share.

A part's hash has `state` (sent, running, closed), `attempt` (the fencing token: only who holds the
newest may close the part), `owner` (the life of a worker that holds it), `holder` (that worker's
host) and `lease_until`. Two sorted sets say where to look: parts that wait, by when to look after
them next, and parts that run, by when their lease ends.
"""

_NOW = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
-- A lease that ends later than any can is no lease: its entry was tampered with, or the clock set.
local function over(lease_until, longest)
  local ends = tonumber(lease_until)
  -- What is no number differs from itself.
  return not ends or ends ~= ends or ends <= now or ends > now + tonumber(longest)
end
"""

TAKE = (
    _NOW
    + """
-- KEYS: part, job, waiting, leases.
-- ARGV: member, owner, host, lease in seconds, the longest lease, most attempts.
-- Answer: {attempt, now, the job's deadline}, or {code <= 0}.
local part = redis.call('HMGET', KEYS[1], 'state', 'owner', 'holder', 'lease_until', 'attempt')
local job = redis.call('HMGET', KEYS[2], 'state', 'cancelled_at', 'deadline_at')
if not part[1] or not job[1] then return {-1} end
if part[1] == 'closed' then
  if job[1] == 'closed' then return {-5} end
  return {0}
end
local attempt = tonumber(part[5])
if not attempt or (part[1] ~= 'sent' and part[1] ~= 'running') then return {-7} end
if not tonumber(job[3]) then return {-7} end
if part[1] == 'running' then
  if part[2] == ARGV[2] then return {-3} end
  -- A former life of the same host holds nothing: a name has one worker at a time.
  if part[3] ~= ARGV[3] and not over(part[4], ARGV[5]) then return {-4} end
end
if job[2] then return {-2} end
if attempt >= tonumber(ARGV[6]) then return {-6} end
attempt = attempt + 1
local ends = string.format('%.6f', now + tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'state', 'running', 'attempt', attempt, 'owner', ARGV[2],
  'holder', ARGV[3], 'lease_until', ends)
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[4], ends, ARGV[1])
return {attempt, string.format('%.6f', now), job[3]}
"""
)

RENEW = (
    _NOW
    + """
-- KEYS: waiting, leases, part ...  ARGV: owner, lease in seconds, (member, attempt) ...
-- A part that was put back in its owner's silence, and that nobody has begun since, is its own
-- again: nothing of it is done twice.
-- Answer: for each part 1, or 0 where it is another's or closed.
local answer = {}
local ends = string.format('%.6f', now + tonumber(ARGV[2]))
for at = 3, #KEYS do
  local member, attempt = ARGV[2 * at - 3], ARGV[2 * at - 2]
  -- One entry that was tampered with is not to cost a host all its leases.
  local part = redis.pcall('HMGET', KEYS[at], 'state', 'owner', 'attempt')
  local held = not part.err and part[2] == ARGV[1] and part[3] == attempt
  if held and (part[1] == 'running' or part[1] == 'sent') then
    redis.call('HSET', KEYS[at], 'state', 'running', 'lease_until', ends)
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZADD', KEYS[2], ends, member)
    answer[#answer + 1] = 1
  else
    answer[#answer + 1] = 0
  end
end
return answer
"""
)

PUT_BACK = (
    _NOW
    + """
-- KEYS: part, waiting, leases, events.
-- ARGV: member, attempt ('' takes any whose lease is over), seconds until it is looked after, the
-- longest lease, event, stream length, 1 where its runner was lost.
-- Answer: 1, or 0 where it does not run, or not under that attempt, or its lease is not over.
local part = redis.pcall('HMGET', KEYS[1], 'state', 'attempt', 'lease_until')
if part.err or part[1] ~= 'running' then
  redis.call('ZREM', KEYS[3], ARGV[1])
  -- An entry that is broken is looked after with those that wait.
  if part.err or part[1] ~= 'closed' then
    redis.call('ZADD', KEYS[2], 'NX', now + tonumber(ARGV[3]), ARGV[1])
  end
  return 0
end
if ARGV[2] ~= '' then
  if part[2] ~= ARGV[2] then return 0 end
  -- Who gives it back is not to have it again by renewing it.
  redis.call('HSET', KEYS[1], 'owner', '')
elseif not over(part[3], ARGV[4]) then
  return 0
end
redis.call('HINCRBY', KEYS[1], 'falls', ARGV[7])
redis.call('HSET', KEYS[1], 'state', 'sent', 'lease_until', '0')
redis.call('HINCRBY', KEYS[1], 'returns', 1)
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), ARGV[1])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[6], '*', 'event', ARGV[5])
return 1
"""
)

CLOSE_PART = """
-- KEYS: part, job, events, steps, waiting, leases.
-- ARGV: attempt ('' takes any), report, event, status, stream length, member, then the state and
-- the attempt that whoever closes it in its runner's stead has seen ('' for any).
-- A part closes once: the first to close it wins, and only the newest attempt may.
-- Answer: 1; 2 where this attempt has closed it before, as when an answer was lost and the script
-- is sent again; 0 where another has closed it; -1 where another attempt runs it, or it is gone.
local part = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'closed_by')
if not part[1] then return -1 end
if part[1] == 'closed' then
  if ARGV[1] ~= '' and part[3] == ARGV[1] then return 2 end
  return 0
end
if ARGV[1] ~= '' and part[2] ~= ARGV[1] then return -1 end
if ARGV[7] ~= '' and (part[1] ~= ARGV[7] or part[2] ~= ARGV[8]) then return -1 end
redis.call('HSET', KEYS[1], 'state', 'closed', 'status', ARGV[4], 'report', ARGV[2],
  'closed_by', ARGV[1])
redis.call('UNLINK', KEYS[4])
redis.call('ZREM', KEYS[5], ARGV[6])
redis.call('ZREM', KEYS[6], ARGV[6])
redis.call('HINCRBY', KEYS[2], 'closed', 1)
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'event', ARGV[3])
return 1
"""

RECOUNT = """
-- KEYS: job, part ...  Sets the job's count to the parts that are closed; answers with it.
local closed = 0
for at = 2, #KEYS do
  if redis.pcall('HGET', KEYS[at], 'state') == 'closed' then closed = closed + 1 end
end
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'closed', closed) end
return closed
"""

BEGIN_END = """
-- KEYS: job, controls.  ARGV: member, now, the longest time that one may take.
-- One process at a time makes a job's report: a model is not to be paid for its words twice. A
-- control that is gone holds nothing.
local job = redis.call('HMGET', KEYS[1], 'state', 'ended_by', 'ended_since')
if not job[1] or job[1] == 'closed' then return 0 end
local now = tonumber(ARGV[2])
if job[2] and job[2] ~= ARGV[1] then
  local ends = redis.call('ZSCORE', KEYS[2], job[2])
  local stuck = now - (tonumber(job[3]) or 0) > tonumber(ARGV[3])
  if ends and tonumber(ends) > now and not stuck then return 0 end
end
redis.call('HSET', KEYS[1], 'ended_by', ARGV[1], 'ended_since', ARGV[2])
return 1
"""

SHIFT = """
-- KEYS: job.  ARGV: seconds.  Moves the deadline of a job along with the store's clock.
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return 0 end
redis.call('HINCRBYFLOAT', KEYS[1], 'deadline_at', ARGV[1])
return 1
"""

HOLD = """
-- KEYS: lock.  ARGV: owner, life in milliseconds.
-- Answer: {1 while the lock is the owner's, seconds, microseconds}.
local clock = redis.call('TIME')
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return {0, clock[1], clock[2]} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, clock[1], clock[2]}
"""

LET_GO = """
-- KEYS: lock.  ARGV: owner.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
