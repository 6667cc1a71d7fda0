-- judge --
-- Judges named jobs of one BullMQ queue: is each still the dead letter that was planned, at its place and unchanged, and
-- may it be removed?
--
-- ARGV[2…] id, place, score ('' in a list) and fingerprint ('' for any) of each job, in turn
--
-- A job can have megabytes, and its list millions of entries, so each script judges only as many as it can read in a few
-- milliseconds, at least one, and the caller sends the rest again.
local MAX_STEP_BYTES, MAX_JOB_BYTES, MAX_LOGS = 1024 * 1024, 4 * 1024 * 1024, 1000
local LARGE_FIELDS = {'data', 'opts', 'stacktrace', 'returnvalue', 'failedReason'}
local LISTS = {'wait', 'paused'}
-- Looking for an id that a list does not have takes Redis a millisecond per some 15,000 entries.
local MAX_STEP_ENTRIES, LISTED_ENTRIES, entries = 100000, 2000, 0

-- A pause moves jobs between the lists, so either is the place of a job in a list. The oldest are at the end, where a
-- plan lists them; a job without any data, such as an archived one, is not looked for beyond.
local function list_of(id)
  local furthest = redis.call('EXISTS', base .. id) == 0 and LISTED_ENTRIES or 0
  for _, list in ipairs(LISTS) do
    if redis.call('LPOS', base .. list, id, 'RANK', -1, 'MAXLEN', furthest) then return list end
    local seen = redis.call('LLEN', base .. list)
    entries = entries + (furthest > 0 and math.min(furthest, seen) or seen)
  end
  return nil
end

local function is_at(job)
  if job.score == '' then return list_of(job.id) ~= nil end
  local score = redis.call('ZSCORE', base .. job.place, job.id)
  return score and tonumber(score) == tonumber(job.score) or false
end

local function size_of(id)
  local bytes = 0
  for _, field in ipairs(LARGE_FIELDS) do bytes = bytes + length(id, field) end
  return bytes
end

-- The same for the same content, in any order of the fields.
local function fingerprint_of(job)
  local parts = {}
  for position = 1, #job.fields, 2 do
    local name, value = job.fields[position], job.fields[position + 1]
    parts[#parts + 1] = redis.sha1hex(#name .. ':' .. name .. value)
  end
  table.sort(parts)
  for _, line in ipairs(job.logs) do parts[#parts + 1] = redis.sha1hex(line) end
  return redis.sha1hex(#job.fields / 2 .. ':' .. table.concat(parts))
end

local function field_of(job, wanted)
  for position = 1, #job.fields, 2 do
    if job.fields[position] == wanted then return job.fields[position + 1] end
  end
  return nil
end

-- The relations of a flow lie in other queues, so only the application can remove one of its members.
local function in_flow(job)
  return length(job.id, 'parentKey') > 0 or redis.call('EXISTS', job.key .. ':dependencies', job.key .. ':processed',
    job.key .. ':failed', job.key .. ':unsuccessful') > 0
end

-- The next job of a scheduler, and the one that stands for a deduplication id, are known elsewhere as well.
local function is_referred_to(job)
  if job.place ~= 'failed' and length(job.id, 'rjk') > 0 then return true end
  local id = length(job.id, 'deid') > 0 and redis.call('HGET', job.key, 'deid')
  return id and redis.pcall('GET', base .. 'de:' .. id) == job.id or false
end

local function word_of(job)
  if not is_at(job) then return 'gone' end
  if redis.call('TYPE', job.key).ok ~= 'hash' then return 'vanished' end
  if redis.call('EXISTS', job.key .. ':lock') == 1 then return 'locked' end
  if in_flow(job) then return 'in_flow' end
  if is_referred_to(job) then return 'referred_to' end
  -- BullMQ 3 orders them by another key.
  if major == 3 and redis.call('TYPE', base .. 'priority').ok == 'zset' and redis.call('ZSCORE', base .. 'priority', job.id)
  then return 'prioritized' end
  local logs = redis.call('TYPE', job.key .. ':logs').ok
  if size_of(job.id) > MAX_JOB_BYTES or (logs == 'list' and redis.call('LLEN', job.key .. ':logs') > MAX_LOGS) then
    return 'too_large'
  end
  job.fields = redis.call('HGETALL', job.key)
  job.logs = logs == 'list' and redis.call('LRANGE', job.key .. ':logs', 0, -1) or {}
  job.fingerprint = fingerprint_of(job)
  return (job.planned == '' or job.planned == job.fingerprint) and 'dead' or 'changed'
end

local jobs, bytes = {}, 0
for position = 2, #ARGV, 4 do
  local id, place, score, planned = ARGV[position], ARGV[position + 1], ARGV[position + 2], ARGV[position + 3]
  bytes = bytes + size_of(id)
  if #jobs > 0 and (bytes > MAX_STEP_BYTES or entries > MAX_STEP_ENTRIES) then break end
  local job = {id = id, key = base .. id, place = place, score = score, planned = planned, fields = {}, logs = {}}
  job.word = word_of(job)
  jobs[#jobs + 1] = job
end

-- ask --
-- Returns {word, fingerprint, name, attempts made, creation time, class of its error} per judged job.
local answer = {}
for _, job in ipairs(jobs) do
  local class = string.match(field_of(job, 'stacktrace') or '', '^%["([%w_$.]+)') or ''
  answer[#answer + 1] = {
    job.word, job.fingerprint or '', field_of(job, 'name') or '',
    field_of(job, 'atm') or field_of(job, 'attemptsMade') or '0', field_of(job, 'timestamp') or '0', class,
  }
end
return answer

-- export --
-- Returns {word, fields, logs} per judged job.
local answer = {}
for _, job in ipairs(jobs) do answer[#answer + 1] = {job.word, job.fields, job.logs} end
return answer

-- remove --
-- Removes each judged job that is still the planned one, as BullMQ does. Returns one word per job: removed, or why not.
local answer = {}
for _, job in ipairs(jobs) do
  if job.word == 'dead' and is_at(job) then  -- a job that was named twice is removed once
    if job.score == '' then
      redis.call('LREM', base .. list_of(job.id), -1, job.id)
    else
      redis.call('ZREM', base .. job.place, job.id)
    end
    redis.call('UNLINK', job.key, job.key .. ':logs')
    emit('event', 'removed', 'jobId', job.id, 'prev', job.place)
    answer[#answer + 1] = 'removed'
  else
    answer[#answer + 1] = job.word == 'dead' and 'gone' or job.word
  end
end
return answer

-- restore --
-- Puts jobs back that do not exist. Returns one word per job: restored, or exists.
--
-- ARGV[2…] per job: id, place, score, number of fields and values, these, number of log lines, these
local position, answer, wakes = 1, {}, false
local function take()
  position = position + 1
  return ARGV[position]
end
local function take_list()
  local list = {}
  for _ = 1, tonumber(take()) do list[#list + 1] = take() end
  return list
end

while position < #ARGV do
  local id, place, score, fields, logs = take(), take(), take(), take_list(), take_list()
  local key = base .. id
  if redis.call('EXISTS', key) == 1 then
    answer[#answer + 1] = 'exists'
  else
    redis.call('HSET', key, unpack(fields))  -- the first write, because Redis refuses it when its memory is full
    if #logs > 0 then redis.call('RPUSH', key .. ':logs', unpack(logs)) end
    if score == '' then
      redis.call('RPUSH', base .. (paused and major <= 5 and 'paused' or 'wait'), id)
    else
      redis.call('ZADD', base .. place, score, id)
    end
    wakes = wakes or score == '' or place == 'prioritized'
    emit('event', 'added', 'jobId', id)
    answer[#answer + 1] = 'restored'
  end
end
if wakes then wake_worker() end
return answer
