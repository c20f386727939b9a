-- MARK of a tag: a write to a group is in flight.
-- KEYS   generation (g) and fences (c) of one tag, and where writes are told of: who reads under the tag (h), the board of the
--        namespace (m)
-- ARGV   writer, origin, random seed, ms the generation must live at least, then what `tell` wants, and the tag's
--        stripe
-- Reply  now; {now, what `tell` answers} where it answers anything
-- Keeps  entries stamped before are dead from now on, and none is stamped while the fence stands. A tag's fence is never
--        solo: nothing is put under a tag. Works at maxmemory: PEXPIRE comes first, and a script that has
--        written may write on. (UNLINK would make the key one that has moved, where its slot is migrating.)
local g, c = KEYS[1], KEYS[2]
local writer, origin, seed, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local before = redis.pcall('GET', g)
redis.call('PEXPIRE', g, ttl)
redis.call('SET', g, fresh_generation(seed, g, type(before) == 'string' and before or nil, time), 'PX', ttl)
redis.call('HSETNX', c, writer, origin .. '|' .. string.format('%.0f', now) .. '|0')
local told = KEYS[4] and tell(KEYS[3], KEYS[4], 5, ARGV[8], now)
if told then
  return {now, told}
end
return now
