-- TAKE: numbers to be written to the database.
-- KEYS   waiting numbers (n), taken ones (f) and their batch (b) of one tally
-- ARGV   a new batch's id, about how many keys
-- Reply  {id, key, number, key, number, ...}, or {} if nothing waits
-- Keeps  a number is in n or in f. What was taken is taken again until it is done, under the same id.
local n, f, b = KEYS[1], KEYS[2], KEYS[3]
local id = redis.call('GET', b)
if not id or redis.call('EXISTS', f) == 0 then
  local found = redis.call('HSCAN', n, '0', 'COUNT', ARGV[2])[2]
  -- A large hash may answer nothing from its first bucket.
  if #found == 0 then
    if redis.call('EXISTS', n) == 0 then
      return {}
    end
    for _, key in ipairs(redis.call('HRANDFIELD', n, ARGV[2])) do
      found[#found + 1] = key
      found[#found + 1] = redis.call('HGET', n, key)
    end
  end
  id = ARGV[1]
  redis.call('SET', b, id)
  for i = 1, #found, 2 do
    redis.call('HSET', f, found[i], found[i + 1])
    redis.call('HDEL', n, found[i])
  end
end
local taken = redis.call('HGETALL', f)
table.insert(taken, 1, id)
return taken
