-- PEND: shows a queued write to the readers of its subject.
-- KEYS   queued write (p), and unless their slot is migrating entries (v), leases (l) and fences (c) of the same subject
-- ARGV   journal, position, field, epoch of the connection (8 bytes), value
-- Reply  1 shown, 0 a later one stands, or this one was settled
-- Keeps  I1 and I2: entries and tokens go in the same step, and while it stands no lease is granted. No fence is solo any more: what
--        its writer knows may be older. Of one journal the later position
--        wins, whatever order they come in. It has no TTL, so volatile-* never evicts it. Works at maxmemory: PERSIST comes
--        first, and a script that has written may write on.
local p, v, l, c = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local journal, position = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local shown = redis.pcall('HMGET', p, 'journal', 'position', 'value')
if shown.err then
  redis.call('UNLINK', p)
elseif shown[1] == journal and (shown[2] > position or shown[2] == position and not shown[3]) then
  return 0
end
redis.call('PERSIST', p)
redis.call('HSET', p, 'journal', journal, 'position', position, 'field', ARGV[3], 'epoch', ARGV[4],
  'since', string.format('%016.0f', now), 'value', ARGV[5])
if v then
  redis.call('UNLINK', v, l)
  nobody_is_solo(c)
end
return 1
