-- LEASE in a slot that is migrating: nobody is granted anything, and finished writers are lifted all the same.
-- KEYS   fences (c) of one subject
-- ARGV   finished writers ...
-- Reply  {fenced, now, {writer, record, ...}}
-- Keeps  I3: lifts the fences of writers that are known to be finished, and no other.
local time = redis.call('TIME')
return {'fenced', time[1] * 1000 + math.floor(time[2] / 1000), standing_fences(KEYS[1], ARGV, 1)}
