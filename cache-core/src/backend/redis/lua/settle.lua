-- SETTLE: the queued writes of a subject up to a position are in the database.
-- KEYS   queued write (p), and unless their slot is migrating entries (v), leases (l) and fences (c) of the same subject
-- ARGV   journal, position, ms for which the position stays known
-- Reply  1 what stood is settled, 0 another one stands
-- Keeps  a later write, or one of another journal, stands on. What was leased while the queued write was lost is never filled, and no
--        fence is solo any more. A pend that
--        comes late meets the position and shows nothing. Works at maxmemory: PERSIST comes first, and a script that
--        has written may write on.
local p, v, l, c = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local journal, position = ARGV[1], ARGV[2]

redis.call('PERSIST', p)
if v then
  redis.call('UNLINK', v, l)
  nobody_is_solo(c)
end
local shown = redis.pcall('HMGET', p, 'journal', 'position', 'value')
if shown.err then
  redis.call('UNLINK', p)
elseif shown[1] and (shown[1] ~= journal and shown[3] or shown[1] == journal and shown[2] > position) then
  if not shown[3] then
    redis.call('PEXPIRE', p, ARGV[3])
  end
  return 0
end
redis.call('HDEL', p, 'field', 'epoch', 'since', 'value')
redis.call('HSET', p, 'journal', journal, 'position', position)
redis.call('PEXPIRE', p, ARGV[3])
return 1
