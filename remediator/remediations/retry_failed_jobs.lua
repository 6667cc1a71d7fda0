-- judge --
-- Judges named jobs of one BullMQ queue: is each still the failure that was planned, and may it be retried? This part has
-- no write command, so planning cannot change anything.
--
-- ARGV[2]  the age (ms) beyond which a job is left to a person
-- ARGV[3]  the reasons (JSON) with which a job is left to a person, in any case
-- ARGV[4…] id and planned score of each job, in turn
--
-- Redis serves no other client while a script runs. A job's stack can have megabytes, so each script judges only as many
-- of the jobs as it can read in a few milliseconds, at least one, and the caller sends the rest again.
local MAX_STEP_BYTES, MAX_STACK, MAX_OPTIONS, MAX_NAME = 1024 * 1024, 2 * 1024 * 1024, 64 * 1024, 1000
local MAX_REASON = 256 * 1024

local failed = base .. 'failed'

local function read_field(job, field, max)
  local bytes = length(job.id, field)
  return bytes > 0 and bytes <= max and redis.call('HGET', job.key, field) or ''
end

local function decode(options)
  local ok, decoded = pcall(cjson.decode, options)
  return ok and type(decoded) == 'table' and decoded or {}
end

local function read(id)
  local job = { id = id, key = base .. id, name = '', attempts = '0' }
  job.exists = length(id, 'timestamp') > 0
  if not job.exists then
    return job
  end
  local fields = redis.call('HMGET', job.key, 'timestamp', 'processedOn', 'priority', 'attemptsMade', 'atm')
  job.added_at, job.processed_on = tonumber(fields[1]) or 0, fields[2]
  job.priority, job.attempts = tonumber(fields[3] or '') or 0, fields[5] or fields[4] or '0'
  job.name, job.reason = read_field(job, 'name', MAX_NAME), read_field(job, 'failedReason', MAX_REASON)
  job.options = decode(read_field(job, 'opts', MAX_OPTIONS))
  return job
end

-- Retrying a member of a flow means updating its relations in other queues, which only the application can do. A parent
-- whose child failed has never run itself (3, 4), or records its child's failure (5, 6).
local function in_flow(job)
  return length(job.id, 'parentKey') > 0 or length(job.id, 'defa') > 0 or not job.processed_on
    or redis.call('EXISTS', job.key .. ':dependencies', job.key .. ':unsuccessful', job.key .. ':failed') > 0
end

-- BullMQ's own reasons: such a job may have ended its worker, and would end the next one.
local STALLED = {
  ['job stalled more than allowable limit'] = true,
  ['job started more than allowable limit'] = true,
}

-- A job that failed with attempts left was given up by the application: UnrecoverableError and classes derived from it,
-- discard(), a backoff of -1. Without attempts left, the class of one of its errors tells: BullMQ for Python keeps a
-- traceback, whose last line begins with the class and its module.
local function given_up(job)
  return job.reason == 'bullmq:unrecoverable'
    or (tonumber(job.attempts) or 0) < (tonumber(job.options.attempts) or 0)
    or string.sub(job.stacktrace, 1, #'["UnrecoverableError') == '["UnrecoverableError'
    or string.find(job.stacktrace, '","UnrecoverableError', 1, true) ~= nil
    or string.find(job.stacktrace, '"Traceback .*\\n[%w_.]*UnrecoverableError[:\\]') ~= nil
end

-- Age counts from when the job was due for the first time.
local function too_old(job)
  return now - job.added_at - (tonumber(job.options.delay) or 0) > tonumber(ARGV[2])
end

local function too_large(job)
  return length(job.id, 'stacktrace') > MAX_STACK or length(job.id, 'opts') > MAX_OPTIONS
    or length(job.id, 'failedReason') > MAX_REASON
end

-- Whether one of the job's errors is of this class; its stacks are a JSON list of texts that begin with the class.
local function is_of_class(stacktrace, class)
  for _, start in ipairs({'["', '","'}) do
    local _, last = string.find(stacktrace, start .. class, 1, true)
    while last do
      if not string.find(stacktrace, '^[%w_$.]', last + 1) then return true end
      _, last = string.find(stacktrace, start .. class, last, true)
    end
  end
  return false
end

local denied_reasons = cjson.decode(ARGV[3])
local function denied(job)
  if #denied_reasons == 0 then return false end
  local reason, stacktrace = string.lower(job.reason), string.lower(job.stacktrace)
  for _, text in ipairs(denied_reasons) do
    text = string.lower(text)
    if string.find(reason, text, 1, true) or is_of_class(stacktrace, text) then return true end
  end
  return false
end

-- Jobs of a paused queue are not retried: no worker would take them, so the retry could not be verified.
local function state_of(job)
  if in_flow(job) then return 'in_flow' end
  if paused then return 'paused' end
  if STALLED[job.reason] then return 'stalled' end
  if too_old(job) then return 'too_old' end
  if too_large(job) then return 'too_large' end
  job.stacktrace = read_field(job, 'stacktrace', MAX_STACK)
  if denied(job) then return 'denied' end
  return given_up(job) and 'given_up' or 'failed'
end

local function judge(id, planned)
  local score, job = redis.call('ZSCORE', failed, id), read(id)
  if not score then
    job.word = 'gone'
  elseif tonumber(score) ~= tonumber(planned) then
    job.word = 'changed'
  elseif not job.exists then
    job.word = 'vanished'
  else
    job.word = state_of(job)
  end
  return job
end

local jobs, bytes = {}, 0
for position = 4, #ARGV, 2 do
  bytes = bytes + length(ARGV[position], 'stacktrace') + length(ARGV[position], 'opts')
    + length(ARGV[position], 'failedReason')
  if #jobs > 0 and bytes > MAX_STEP_BYTES then
    break
  end
  jobs[#jobs + 1] = judge(ARGV[position], ARGV[position + 1])
end
local answer = {version or ''}

-- ask --
-- Returns the version, then {word, name, attempts made, class of its error} per judged job.
for _, job in ipairs(jobs) do
  local class = string.match(job.stacktrace or '', '^%["([%w_$.]+)') or ''
  answer[#answer + 1] = {job.word, job.name, job.attempts, class}
end
return answer

-- act --
-- Retries each judged job that is still the planned failure. Returns the version, then one word per job: retried, or why
-- not.
-- Redis does not undo a script that fails half way, so all jobs are judged first, and the first write of a job is the
-- command that Redis refuses when its memory is full.
local function enqueue(job)
  if major == 6 and job.priority > 0 then
    local counter = redis.call('INCR', base .. 'pc')
    redis.call('ZADD', base .. 'prioritized', job.priority * 0x100000000 + counter % 0x100000000, job.id)
  else
    redis.call(job.options.lifo == true and 'RPUSH' or 'LPUSH', base .. 'wait', job.id)
  end
end

local function retry(job)
  enqueue(job)
  redis.call('ZREM', failed, job.id)
  redis.call('HDEL', job.key, 'finishedOn', 'processedOn', 'failedReason')
  emit('event', 'waiting', 'jobId', job.id, 'prev', 'failed')
end

local moved = false
for _, job in ipairs(jobs) do
  if job.word == 'failed' then
    if redis.call('ZSCORE', failed, job.id) then
      retry(job)
      job.word, moved = 'retried', true
    else
      job.word = 'gone'  -- the job was named twice, and has just been retried
    end
  end
  answer[#answer + 1] = job.word
end
if moved then wake_worker() end
return answer
