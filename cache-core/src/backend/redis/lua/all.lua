-- TELL: everything of a namespace is worthless, in every memory.
-- KEYS   board (m) of the namespace
-- ARGV   what `tell` wants
-- Reply  1
-- Keeps  as `tell` does. Works at maxmemory: HDEL of a field that nobody has comes first, and a script that has written may write
--        on.
redis.pcall('HDEL', KEYS[1], '')
local time = redis.call('TIME')
tell(nil, KEYS[1], 1, '', time[1] * 1000 + math.floor(time[2] / 1000))
return 1
