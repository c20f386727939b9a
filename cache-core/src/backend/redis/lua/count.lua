-- COUNT: merges a number into what waits for a key.
-- KEYS   waiting numbers (n) of one tally
-- ARGV   key, number, `add` or `max`
-- Reply  1
-- Keeps  one number a key; a sum that would overflow is an error and changes nothing.
local n = KEYS[1]
if ARGV[3] == 'add' then
  redis.call('HINCRBY', n, ARGV[1], ARGV[2])
  return 1
end
-- Compared as texts of one length, since Lua's numbers are exact up to 2^53 only.
local function is_less(a, b)
  local minus_a, minus_b = string.sub(a, 1, 1) == '-', string.sub(b, 1, 1) == '-'
  if minus_a ~= minus_b then
    return minus_a
  end
  if #a ~= #b then
    return (#a < #b) ~= minus_a
  end
  return a ~= b and (a < b) ~= minus_a
end
local before = redis.call('HGET', n, ARGV[1])
if not before or is_less(before, ARGV[2]) then
  redis.call('HSET', n, ARGV[1], ARGV[2])
end
return 1
