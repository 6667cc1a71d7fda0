-- read --
-- The beginning of every script on a BullMQ queue: is it one, and which version has written it? It has no write command.
--
-- KEYS[1]  {prefix}:{queue}:meta; the queue's other keys are named after it
-- ARGV[1]  the moment (ms, by Redis' own clock) after which the script refuses to act, so that a lookup of the outcome
--          is final; 0 for a script that only reads
--
-- Redis serves no other client while a script runs.

-- meta.version tells the layouts of BullMQ 3 to 6 apart; 3, early 4 and early 5 do not write it. A 5 without a version
-- whose marker was just taken is treated like 3: its workers find the jobs a few seconds later.
local base = string.sub(KEYS[1], 1, -1 - #'meta')
if redis.call('EXISTS', base .. 'meta') == 0 or redis.call('EXISTS', base .. 'events') == 0 then
  return redis.error_reply('NOQUEUE there is no BullMQ queue of this name')
end
-- A key of another type would stop the script half way, after it has moved a job.
local TYPES = {
  meta = 'hash', events = 'stream', failed = 'zset', wait = 'list', paused = 'list', active = 'list',
  prioritized = 'zset', marker = 'zset', pc = 'string',
}
for name, expected in pairs(TYPES) do
  local found = redis.call('TYPE', base .. name).ok
  if found ~= expected and found ~= 'none' then
    return redis.error_reply('NOQUEUE the keys of this name are not a BullMQ queue')
  end
end
local meta = redis.call('HMGET', base .. 'meta', 'paused', 'version', 'concurrency', 'opts.maxLenEvents')
local paused, version, concurrency, max_events = meta[1], meta[2], tonumber(meta[3] or ''), meta[4] or '10000'

local major = redis.call('EXISTS', base .. 'marker') == 1 and 5 or 3
if version then
  major = tonumber(string.match(version, '^bullmq:(%d+)%.') or '')
end
if not major or major < 3 or major > 6 then
  return redis.error_reply('BADVERSION the queue was written by ' .. tostring(version) .. '; BullMQ 3 to 6 are supported')
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local deadline = tonumber(ARGV[1])
if deadline ~= 0 and now > deadline then
  return redis.error_reply('TOOLATE the request reached Redis too late')
end

-- A key of another type has the length 0, like a missing one.
local function length(id, field)
  local bytes = redis.pcall('HSTRLEN', base .. id, field)
  return type(bytes) == 'number' and bytes or 0
end

-- write --
-- Follows the part above in scripts that write.
local function emit(...)
  redis.call('XADD', base .. 'events', 'MAXLEN', '~', max_events, '*', ...)
end

-- Workers of 5 and 6 sleep until there is a marker. A queue that is paused or at its concurrency limit gets none.
local function wake_worker()
  local full = concurrency and redis.call('LLEN', base .. 'active') >= concurrency
  if major >= 5 and not paused and not full then
    redis.call('ZADD', base .. 'marker', 0, '0')
  end
end
