-- RELEASE: gives a lease back.
-- KEYS   leases (l) of one subject
-- ARGV   field, token
-- Reply  1 given back, 0 it was another's or nobody's
-- Keeps  I2: only the exact token.
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and string.match(held, '^(%x+)|') == ARGV[2] then
  return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
