-- ASIDE: what the last mark that dropped entries has kept of one.
-- KEYS   what marks have dropped (s) of one subject
-- ARGV   field
-- Reply  {now} or {now, when it was dropped, blob}
-- Keeps  nothing: it reads. It is a script for the sake of one clock, the server's, by which the window ends. Somebody else's
--        value under our name is nothing.
local s = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local blob = redis.pcall('HGET', s, ARGV[1])
if type(blob) ~= 'string' then
  return {now}
end
local since = redis.call('HGET', s, 'since')
if not since or #since >= 16 or not string.find(since, '^%d+$') then
  return {now}
end
return {now, tonumber(since), blob}
