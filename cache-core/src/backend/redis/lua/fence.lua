-- The first step of a MARK in a slot that is migrating: the fence alone.
-- KEYS   fences (c) of one subject
-- ARGV   writer, origin
-- Reply  now
-- Keeps  I1: with the fence there, nobody leases or fills, whatever else is still to be done. The writer is not solo, and
--        nobody else is: what lies in the other keys is not seen here. Works at maxmemory: HDEL of a field that nobody has
--        comes first, and a script that has written may write on.
local c = KEYS[1]
local writer, origin = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('HDEL', c, '')
local fences = redis.call('HGETALL', c)
for i = 1, #fences, 2 do
  if string.sub(fences[i + 1], -2) == '|1' then
    redis.call('HSET', c, fences[i], string.sub(fences[i + 1], 1, -2) .. '0')
  end
end
redis.call('HSETNX', c, writer, origin .. '|' .. string.format('%.0f', now) .. '|0')
return now
