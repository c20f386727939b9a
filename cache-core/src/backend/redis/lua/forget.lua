-- FORGET: strikes off members who have not asked for a lease for as long as one lasts.
-- KEYS   board (m) of a namespace
-- ARGV   life of the board, then for each: member, the leases he had asked for then (or nothing: he leaves by himself)
-- Reply  how many were struck off
-- Keeps  whoever has asked for a lease since stays. A board without members is none.
local m = KEYS[1]
local is = redis.pcall('HGET', m, 'is')
if type(is) ~= 'string' or string.match(is, '^(%x+)|') ~= ARGV[1] then
  return 0
end
local struck = 0
for i = 2, #ARGV, 2 do
  local beats = string.match(redis.call('HGET', m, ARGV[i]) or '', '^(%d+)|')
  if beats and (ARGV[i + 1] == '' or ARGV[i + 1] == beats) then
    struck = struck + redis.call('HDEL', m, ARGV[i])
  end
end
-- `is`, `last` and `n` are left.
if redis.call('HLEN', m) <= 3 then
  redis.call('UNLINK', m)
end
return struck
