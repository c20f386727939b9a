-- HEARD: a member has applied everything up to a message.
-- KEYS   board (m) of a namespace
-- ARGV   member, life of the board, number of the message
-- Reply  1, or 0 where the member is gone
-- Keeps  numbers only grow. Works at maxmemory: HDEL of a field that nobody has comes first, and a script that has written may
--        write on.
local m, member = KEYS[1], ARGV[1]
redis.pcall('HDEL', m, '')
local is = redis.pcall('HGET', m, 'is')
if type(is) ~= 'string' or string.match(is, '^(%x+)|') ~= ARGV[2] then
  return 0
end
local beats, acknowledged = string.match(redis.call('HGET', m, member) or '', '^(%d+)|(%d+)$')
if not beats then
  return 0
end
if tonumber(ARGV[3]) > tonumber(acknowledged) then
  redis.call('HSET', m, member, beats .. '|' .. ARGV[3])
end
return 1
