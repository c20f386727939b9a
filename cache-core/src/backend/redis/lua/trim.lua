-- TRIM: gives up the records of a journal before a position.
-- KEYS   records (q) and identity (i) of one journal
-- ARGV   identity, the first position to keep
-- Reply  how many were given up
-- Keeps  records of another journal that has taken the name stay. Works at maxmemory: XTRIM is no command that needs memory.
local q, i = KEYS[1], KEYS[2]
if redis.call('GET', i) ~= ARGV[1] then
  return 0
end
return redis.call('XTRIM', q, 'MINID', ARGV[2])
