-- The tag's step of a MARK or a CLEAR in a slot that is migrating: the generation alone.
-- KEYS   generation (g) of one tag
-- ARGV   random seed, ms the generation must live at least
-- Reply  1
-- Keeps  entries stamped before are dead. Works at maxmemory: PEXPIRE comes first, and a script that has
--        written may write on. (UNLINK would make the key one that has moved.)
local g = KEYS[1]
local before = redis.pcall('GET', g)
redis.call('PEXPIRE', g, ARGV[2])
local text = type(before) == 'string' and before or nil
redis.call('SET', g, fresh_generation(ARGV[1], g, text, redis.call('TIME')), 'PX', ARGV[2])
return 1
