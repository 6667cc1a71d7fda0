-- ask --
-- Returns the version, whether the queue is paused (1 or 0), and the lengths of wait, paused, prioritized and active.
return {
  version or '', paused and 1 or 0, redis.call('LLEN', base .. 'wait'), redis.call('LLEN', base .. 'paused'),
  redis.call('ZCARD', base .. 'prioritized'), redis.call('LLEN', base .. 'active'),
}

-- move --
-- BullMQ 3 to 5 keep the jobs of a paused queue in `paused`, and rename the list on both ways. RENAME replaces a list that
-- exists, with the jobs in it; so where both exist, the jobs of one are put behind the other's. 6 keeps them in `wait`.
local wait, held = base .. 'wait', base .. 'paused'
local MAX_MOVED, STEP = 100000, 5000

local function too_many()
  local both = redis.call('EXISTS', wait, held) == 2
  return both and redis.call('LLEN', held) > MAX_MOVED
end

-- The last entry is the next job, so the jobs of `held` stay the next ones, in their order.
local function append_held_to_wait()
  while redis.call('EXISTS', held) == 1 do
    local jobs = redis.call('LRANGE', held, 0, STEP - 1)
    redis.call('RPUSH', wait, unpack(jobs))
    redis.call('LTRIM', held, #jobs, -1)
  end
end

if too_many() then
  return redis.error_reply('TOOMANY jobs are in both of its lists; resume the queue from the application')
end

-- pause --
-- Pauses the queue unless it is paused. Returns `done` or `changed`.
if paused then return 'changed' end
redis.call('HSET', base .. 'meta', 'paused', 1)  -- the first write, because Redis refuses it when its memory is full
if major <= 5 then
  if redis.call('EXISTS', wait, held) == 2 then append_held_to_wait() end
  if redis.call('EXISTS', wait) == 1 then redis.call('RENAME', wait, held) end
end
if major >= 5 then redis.call('ZREM', base .. 'marker', '0', '1') end
emit('event', 'paused')
return 'done'

-- resume --
-- Resumes the queue if it is paused. Returns `done` or `changed`.
if not paused then return 'changed' end
if redis.call('EXISTS', wait) == 1 then
  append_held_to_wait()
elseif redis.call('EXISTS', held) == 1 then
  redis.call('RENAME', held, wait)
end
redis.call('HDEL', base .. 'meta', 'paused')

-- Workers of 5 and 6 sleep until there is a marker, of a job or of the next delayed one; those of 4 need one in `wait`.
local prioritized = redis.call('ZCARD', base .. 'prioritized')
local has_jobs = redis.call('LLEN', wait) > 0 or prioritized > 0
if major >= 5 and has_jobs then
  redis.call('ZADD', base .. 'marker', 0, '0')
elseif major >= 5 then
  local delayed = redis.call('ZRANGE', base .. 'delayed', 0, 0, 'WITHSCORES')
  if delayed[2] then redis.call('ZADD', base .. 'marker', math.floor(tonumber(delayed[2]) / 0x1000), '1') end
elseif version and prioritized > 0 and redis.call('EXISTS', wait) == 0 then
  redis.call('LPUSH', wait, '0:0')
end
emit('event', 'resumed')
return 'done'
