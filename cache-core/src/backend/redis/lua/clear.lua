-- CLEAR of an entity: the write is visible, or will never be.
-- KEYS   entries (v), leases (l) and fences (c) of one subject, and its queued write (p)
-- ARGV   writer, then for each value to install: field, ms to live, ms to be kept aside for by a mark that drops it, blob
-- Reply  {whether this writer's fence stood (1 or 0), how many values were installed}
-- Keeps  I3: lifts this writer's fence only. I1 and I2: drops entries and tokens again, also when the fence is gone, and
--        keeps nothing of them aside: nobody knows how old they are. Values
--        are installed only if the solo bit stands, no other fence does, and no queued write stands or was settled lately; the
--        caller has compared the epoch.
--        Works at maxmemory, where it installs nothing: HSETNX on a field that is there changes nothing, but is refused
--        when memory is short.
local v, l, c, p = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local writer = ARGV[1]

local may_install = false
if #ARGV > 1 then
  local fence = redis.call('HGET', c, writer)
  if fence and string.sub(fence, -2) == '|1' and redis.call('HLEN', c) == 1 and redis.call('EXISTS', p) == 0 then
    may_install = type(redis.pcall('HSETNX', c, writer, '')) == 'number'
  end
end

redis.call('UNLINK', v, l)
local stood = redis.call('HDEL', c, writer)
if not may_install then
  return {stood, 0}
end

local installed, longest, aside = 0, 0, 0
for i = 2, #ARGV, 4 do
  redis.call('HSET', v, ARGV[i], ARGV[i + 3])
  longest = math.max(longest, tonumber(ARGV[i + 1]))
  aside = math.max(aside, tonumber(ARGV[i + 2]))
  installed = installed + 1
end
if aside > 0 then
  redis.call('HSET', v, 'aside', string.format('%.0f', aside))
end
redis.call('PEXPIRE', v, string.format('%.0f', longest))
return {stood, installed}
