-- judge --
-- Judges named jobs of one BullMQ queue: is each still the failure that was planned? This part has no write command, so
-- planning cannot change anything.
--
-- KEYS[1]  {prefix}:{queue}:failed; the queue's other keys are named after it
-- ARGV[1]  the moment (ms, by Redis' own clock) after which the script refuses to act
-- ARGV[2…] id and planned score of each job, in turn
--
-- meta.version tells the layouts of BullMQ 3 to 6 apart; 3, early 4 and early 5 do not write it. A 5 without a version
-- whose marker was just taken is treated like 3: its workers find the jobs a few seconds later.
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
  return redis.error_reply('BADVERSION the queue was written by ' .. tostring(version) .. '; BullMQ 3 to 6 are supported')
end

-- Retrying a member of a flow means updating its relations in other queues, which only the application can do. A parent
-- whose child failed has never run itself (3, 4), or records its child's failure (5, 6).
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

-- Jobs of a paused queue are not retried: no worker would take them, so the retry could not be verified.
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
-- Returns the version, then {word, name, attempts made, class of its error} per job.
local answer = {version or ''}
for _, job in ipairs(jobs) do
  answer[#answer + 1] = {job.word, job.name, job.attempts, string.match(job.stacktrace, '^%["([%w_$.]+)') or ''}
end
return answer

-- act --
-- Retries each job that is still the planned failure. Returns one word per job: retried, or why not.
-- Redis does not undo a script that fails half way, so all jobs are judged first, and the first write of a job is the
-- command that Redis refuses when its memory is full.
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

-- Workers of 5 and 6 sleep until there is a marker. A queue at its concurrency limit gets none.
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
      job.word = 'gone'  -- the job was named twice, and has just been retried
    end
  end
  words[#words + 1] = job.word
end
if moved then wake_worker() end
return words
