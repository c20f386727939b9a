-- DONE: a batch of numbers is in the database.
-- KEYS   taken numbers (f) and their batch (b) of one tally
-- ARGV   the batch's id
-- Reply  1 forgotten, 0 another one is taken
local f, b = KEYS[1], KEYS[2]
if redis.call('GET', b) ~= ARGV[1] then
  return 0
end
redis.call('UNLINK', f, b)
return 1
