-- CLEAR of a tag: the write is visible, or will never be.
-- KEYS   generation (g) and fences (c) of one tag
-- ARGV   writer, random seed, ms the generation must live at least
-- Reply  {whether this writer's fence stood (1 or 0), 0}
-- Keeps  entries stamped before are dead, also when the fence was lost: the new generation comes first, always. I3: lifts
--        this writer's fence only. Works at maxmemory: PEXPIRE comes first, and a script that has
--        written may write on. (UNLINK would make the key one that has moved, where its slot is migrating.)
local g, c = KEYS[1], KEYS[2]
local writer, seed, ttl = ARGV[1], ARGV[2], ARGV[3]

local before = redis.pcall('GET', g)
redis.call('PEXPIRE', g, ttl)
redis.call('SET', g, fresh_generation(seed, g, type(before) == 'string' and before or nil, redis.call('TIME')), 'PX', ttl)
return {redis.call('HDEL', c, writer), 0}
