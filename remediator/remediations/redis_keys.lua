-- Each part acts on one key of a Redis, after the same checks.
--
-- KEYS[1]  the key
-- ARGV[1]  the moment (ms, by Redis' own clock) after which the script refuses to act, so that a lookup is final
local clock = redis.call('TIME')
if clock[1] * 1000 + clock[2] / 1000 > tonumber(ARGV[1]) then
  return redis.error_reply('TOOLATE the request reached Redis too late')
end

-- remove --
-- Removes the key if it still has the type ARGV[2].
local found = redis.call('TYPE', KEYS[1]).ok
if found == 'none' then return 'gone' end
if found ~= ARGV[2] then return 'changed' end
redis.call('UNLINK', KEYS[1])
return 'done'

-- set --
-- Sets the key to ARGV[2] for ARGV[3] seconds unless it exists.
return redis.call('SET', KEYS[1], ARGV[2], 'NX', 'EX', ARGV[3]) and 'done' or 'exists'

-- unset --
-- Removes the key if it still has the value ARGV[2] and at most ARGV[3] seconds: another program may have set it for
-- longer since.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[2] then return 'changed' end
local left = redis.call('TTL', KEYS[1])
if left < 0 or left > tonumber(ARGV[3]) then return 'changed' end
redis.call('UNLINK', KEYS[1])
return 'done'
