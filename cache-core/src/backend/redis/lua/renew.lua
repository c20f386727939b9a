-- RENEW: a member asks for a lease, or joins.
-- KEYS   board (m) of a namespace
-- ARGV   member, epoch of the connection, number of the last message he has heard, each or all (whether the server may throw away who
--        reads what), lease in ms, a random life for a new board, join or renew
-- Reply  {here, life, number of the last message, each or all} or {gone}
-- Keeps  a board that is not whole begins a new life, which nobody belongs to who has not joined since. Whom somebody has struck off
--        is gone: he has to forget everything, and joins under another name. `all` stays: who reads what was not written down.
--        Works at maxmemory: HDEL of a field that nobody has comes first, and a script that has written may write on.
local m, member, epoch, heard, lease = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[5])
local joins = ARGV[7] == 'join'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.pcall('HDEL', m, '')
local is = redis.pcall('HGET', m, 'is')
local life, of, born, whom
if type(is) == 'string' then
  life, of, born, whom = string.match(is, '^(%x+)|(%x+)|(%d+)|(%l+)$')
end
local last = life and tonumber(redis.call('HGET', m, 'last')) or 0
local n = life and redis.call('HGET', m, 'n') or '0'
if not life or of ~= epoch or now < last or now - last >= 30 * lease then
  if not joins then
    return {'gone'}
  end
  redis.call('UNLINK', m)
  life, born, whom, n = ARGV[6], string.format('%.0f', now), ARGV[4], '0'
elseif ARGV[4] == 'all' then
  whom = 'all'
end

local beats, acknowledged = string.match(redis.call('HGET', m, member) or '', '^(%d+)|(%d+)$')
if joins then
  -- What he has heard before may be numbers of another life.
  beats, acknowledged = 0, n
elseif not beats then
  return {'gone'}
elseif tonumber(heard) > tonumber(acknowledged) then
  acknowledged = heard
end
redis.call('HSET', m, 'is', table.concat({life, epoch, born, whom}, '|'), 'last', string.format('%.0f', now), 'n', n,
  member, string.format('%.0f|%s', beats + 1, acknowledged))
return {'here', life, n, whom}
