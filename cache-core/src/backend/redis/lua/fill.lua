-- FILL: stores an entry and uses its token up.
-- KEYS   entries (v), leases (l) and fences (c) of one subject
-- ARGV   field, token, blob, ms until the entry is useless, ms to be kept aside for by a mark that drops it (or nothing)
-- Reply  1 stored, 0 refused
-- Keeps  I1: refused while a fence stands. I2: refused without the exact token. Refused with an error at maxmemory: the
--        entry comes first, since Redis lets a script that has written anything write on.
local v, l, c = KEYS[1], KEYS[2], KEYS[3]
local field, token, blob, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local held = redis.call('HGET', l, field)
if not held or string.match(held, '^(%x+)|') ~= token or redis.call('EXISTS', c) == 1 then
  return 0
end
local kind = redis.call('TYPE', v).ok
if kind ~= 'hash' and kind ~= 'none' then
  redis.call('UNLINK', v)
end
redis.call('HSET', v, field, blob)
-- The subject lives as long as its longest entry; each entry's own end is in its header.
if redis.call('PTTL', v) < ttl then
  redis.call('PEXPIRE', v, ARGV[4])
end
if ARGV[5] and tonumber(redis.call('HGET', v, 'aside') or 0) < tonumber(ARGV[5]) then
  redis.call('HSET', v, 'aside', ARGV[5])
end
redis.call('HDEL', l, field)
return 1
