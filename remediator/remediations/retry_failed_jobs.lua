-- judge --
-- The jobs of one BullMQ queue that are named here, each told apart as the failure that was planned or not. No write
-- command stands in this part, so planning can not change anything.
--
-- KEYS[1]  {prefix}:{queue}:failed; the queue's other keys are named after it
-- ARGV[1]  the moment (ms, by Redis' own clock) after which nothing may be done any more
-- ARGV[2…] id and planned score of each job, in turn
--
-- The layout is that of BullMQ 3 to 6, told by meta.version; 3, early 4 and early 5 do not write one. A 5 without
-- version whose marker is just taken is treated like 3: its workers find the jobs a few seconds later.
local base = string.sub(KEYS[1], 1, -1 - #'failed')
if redis.call('EXISTS', base .. 'meta') == 0 or redis.call('EXISTS', base .. 'events') == 0 then
  return redis.error_reply('NOQUEUE there is no BullMQ queue of this name')
end
local meta = redis.call('HMGET', base .. 'meta', 'paused', 'version', 'concurrency', 'opts.maxLenEvents')
local paused, version, concurrency, max_events = meta[1], meta[2], tonumber(meta[3] or ''), meta[4] or '10000'

local major = redis.call('EXISTS', base .. 'marker') == 1 and 5 or 3
if version then
  major = tonumber(string.match(version, '^bullmq:(%d+)%.') or '')
end
if not major or major < 3 or major > 6 then
  return redis.error_reply('BADVERSION the queue was written by ' .. tostring(version) .. '; known are BullMQ 3 to 6')
end

-- Members of a flow stand in relations that a retry would have to mend in other queues: that is the application's to
-- do. A parent whose child failed has never run itself (3, 4), or bears its child's failure (5, 6).
local function in_flow(key, job)
  return job.parent or job.child_failure or not job.processed_on
    or redis.call('EXISTS', key .. ':dependencies', key .. ':unsuccessful', key .. ':failed') > 0
end

local function read(id)
  local fields = redis.call('HMGET', base .. id,
    'timestamp', 'processedOn', 'parentKey', 'defa', 'priority', 'opts', 'name', 'attemptsMade', 'atm', 'stacktrace')
  return {
    id = id, key = base .. id, exists = fields[1], processed_on = fields[2], parent = fields[3],
    child_failure = fields[4], priority = tonumber(fields[5] or '') or 0, options = fields[6] or '',
    name = fields[7] or '', attempts = fields[9] or fields[8] or '0', stacktrace = fields[10] or '',
  }
end

-- On a paused queue nothing is retried: no worker would take the job, so nothing could be proven.
local function judge(id, planned)
  local score, job = redis.call('ZSCORE', KEYS[1], id), read(id)
  if not score then
    job.word = 'gone'
  elseif tonumber(score) ~= tonumber(planned) then
    job.word = 'changed'
  elseif not job.exists then
    job.word = 'vanished'
  else
    job.word = in_flow(job.key, job) and 'in_flow' or paused and 'paused' or 'failed'
  end
  return job
end

local jobs = {}
for position = 2, #ARGV, 2 do
  jobs[#jobs + 1] = judge(ARGV[position], ARGV[position + 1])
end

-- ask --
-- Returns the version, and of each job {word, name, attempts made, class of its error}.
local answer = {version or ''}
for _, job in ipairs(jobs) do
  answer[#answer + 1] = {job.word, job.name, job.attempts, string.match(job.stacktrace, '^%["([%w_$.]+)') or ''}
end
return answer

-- act --
-- Puts each job back that is still the failure it was when planned. Returns one word a job: retried, or why not.
-- Redis undoes nothing when a script fails half way, so everything that can be judged has been judged by now, and the
-- first write of a job is the one that a full memory refuses.
local clock = redis.call('TIME')
if clock[1] * 1000 + clock[2] / 1000 > tonumber(ARGV[1]) then
  return redis.error_reply('TOOLATE the request reached Redis too late')
end

local function is_lifo(options)
  local ok, decoded = pcall(cjson.decode, options)
  return ok and type(decoded) == 'table' and decoded.lifo == true
end

local function enqueue(job)
  if major == 6 and job.priority > 0 then
    local counter = redis.call('INCR', base .. 'pc')
    redis.call('ZADD', base .. 'prioritized', job.priority * 0x100000000 + counter % 0x100000000, job.id)
  else
    redis.call(is_lifo(job.options) and 'RPUSH' or 'LPUSH', base .. 'wait', job.id)
  end
end

local function retry(job)
  enqueue(job)
  redis.call('ZREM', KEYS[1], job.id)
  redis.call('HDEL', job.key, 'finishedOn', 'processedOn', 'failedReason')
  redis.call('XADD', base .. 'events', 'MAXLEN', '~', max_events, '*',
    'event', 'waiting', 'jobId', job.id, 'prev', 'failed')
end

-- Workers of 5 and 6 sleep until a marker tells them of work. A queue with all that it may have gets none.
local function wake_worker()
  local full = concurrency and redis.call('LLEN', base .. 'active') >= concurrency
  if major >= 5 and not full then
    redis.call('ZADD', base .. 'marker', 0, '0')
  end
end

local words, moved = {}, false
for _, job in ipairs(jobs) do
  if job.word == 'failed' then
    if redis.call('ZSCORE', KEYS[1], job.id) then
      retry(job)
      job.word, moved = 'retried', true
    else
      job.word = 'gone'  -- it is named twice, and was moved a moment ago
    end
  end
  words[#words + 1] = job.word
end
if moved then wake_worker() end
return words
