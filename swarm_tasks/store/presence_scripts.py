"""The Lua scripts of presence. Each runs as one step, on the store's clock, which all hosts share.

A name is bound to one life of one machine's worker: the hash of machines holds, for each host, its
machine's id, the worker's instance, since when, and whether it has left in order.
"""

_READ = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
-- What was tampered with, or is half written, says nothing.
local function read(text)
  if not text then return nil end
  local good, known = pcall(cjson.decode, text)
  if good and type(known) == 'table' and type(known.instance) == 'string' then return known end
  return nil
end
local function bind(machines, host, machine, instance)
  redis.call('HSET', machines, host, cjson.encode({machine_id = machine, instance = instance,
    since = string.format('%.6f', now), left = false}))
end
"""

CLAIM = (
    _READ
    + """
-- KEYS: machines, hosts, beat.
-- ARGV: host, machine, instance, the life before it ('' if none is known to be over), seconds for
-- which a silent machine keeps its name, the life of a sign.
-- Answer: {'ours', what was bound}, or {'elsewhere' or 'here', binding, sign, last seen, now}.
local text = redis.call('HGET', KEYS[1], ARGV[1])
local bound, sign = read(text), redis.call('GET', KEYS[3])
local beat = read(sign)
local function over(instance) return instance == ARGV[3] or instance == ARGV[4] end
local since = bound and tonumber(bound.since) or 0
local seen = math.max(tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0) or 0, since)
local others = bound and not bound.left and not over(bound.instance)
-- A sign counts only where its life has the name: any other is what a former one left behind.
local stale = beat and bound and not bound.left and beat.instance ~= bound.instance
local mark = ''
if beat and not stale and not over(beat.instance) then
  mark = sign
elseif others and since > now - tonumber(ARGV[6]) then
  mark = 'starts ' .. bound.instance
end
local keeps = mark ~= '' or seen > now - tonumber(ARGV[5])
if others and bound.machine_id ~= ARGV[2] and keeps then
  return {'elsewhere', text, mark, string.format('%.6f', seen), string.format('%.6f', now)}
end
if mark ~= '' then
  return {'here', text or '', mark, string.format('%.6f', seen), string.format('%.6f', now)}
end
bind(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
return {'ours', text or ''}
"""
)

BEAT = (
    _READ
    + """
-- KEYS: beat, hosts, machines, drained.
-- ARGV: host, sign of life, its life in milliseconds, machine ('' asks for no name), instance.
-- Answer: {1, whether the host is drained}, or {0, 0} where the name is another's now.
if ARGV[4] ~= '' then
  local bound = read(redis.call('HGET', KEYS[3], ARGV[1]))
  if not bound or bound.left then
    bind(KEYS[3], ARGV[1], ARGV[4], ARGV[5])
  elseif bound.instance ~= ARGV[5] then
    return {0, 0}
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], string.format('%.6f', now), ARGV[1])
return {1, redis.call('HEXISTS', KEYS[4], ARGV[1])}
"""
)

LEAVE = (
    _READ
    + """
-- KEYS: beat, machines.  ARGV: host, instance.  Takes back what is this life's own.
local beat = read(redis.call('GET', KEYS[1]))
if beat and beat.instance == ARGV[2] then redis.call('DEL', KEYS[1]) end
local bound = read(redis.call('HGET', KEYS[2], ARGV[1]))
if bound and bound.instance == ARGV[2] then
  bound.left = true
  redis.call('HSET', KEYS[2], ARGV[1], cjson.encode(bound))
end
return 1
"""
)

_FORGOTTEN = (
    _READ
    + """
-- KEYS: hosts, machines ...  ARGV: seconds ...
-- A host that was silent for that long; or a name that was bound so long ago, or cannot be read,
-- and never gave a sign of life: nothing else would end it.
local before = now - tonumber(ARGV[1])
local function forgotten(host)
  local seen = redis.call('ZSCORE', KEYS[1], host)
  if seen then return tonumber(seen) <= before end
  local text = redis.call('HGET', KEYS[2], host)
  local bound = read(text)
  return text and (not bound or (tonumber(bound.since) or 0) <= before)
end
"""
)

FORGOTTEN = (
    _FORGOTTEN
    + """
-- KEYS: hosts, machines.  ARGV: seconds, how many silent hosts, how many bound names to look at.
-- The names are drawn by chance: to look at all would hold the store for longer the larger the
-- fleet is, and another sweep draws others.
-- Answer: the hosts to be forgotten.
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', before, 'LIMIT', 0, ARGV[2])
for _, host in ipairs(redis.call('HRANDFIELD', KEYS[2], ARGV[3])) do
  if not redis.call('ZSCORE', KEYS[1], host) and forgotten(host) then gone[#gone + 1] = host end
end
return gone
"""
)

SWEEP = (
    _FORGOTTEN
    + """
-- KEYS: hosts, machines, drained.  ARGV: seconds, host ...  Drops those that are still silent.
local count = 0
for at = 2, #ARGV do
  local host = ARGV[at]
  if forgotten(host) then
    -- Whoever drains a host that is yet to come means it.
    if redis.call('ZREM', KEYS[1], host) == 1 then redis.call('HDEL', KEYS[3], host) end
    redis.call('HDEL', KEYS[2], host)
    count = count + 1
  end
end
return count
"""
)
