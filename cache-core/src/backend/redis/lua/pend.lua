-- PEND: shows queued writes to the readers of their subjects.
-- KEYS   of each subject the queued write (p), and unless their slot is migrating entries (v), leases (l) and fences (c)
-- ARGV   keys of a subject (1 or 4), journal, epoch of the connection (8 bytes); then of each subject position, field, value
-- Reply  of each subject 1 shown, 0 a later one stands, or this one was settled
-- Keeps  I1 and I2: entries and tokens go in the same step, and while it stands no lease is granted. No fence is solo any more: what
--        its writer knows may be older. Of one journal the later position
--        wins, whatever order they come in. It has no TTL, so volatile-* never evicts it. Works at maxmemory: PERSIST comes
--        first, and a script that has written may write on.
local each, journal = tonumber(ARGV[1]), ARGV[2]
local time = redis.call('TIME')
local since = string.format('%016.0f', time[1] * 1000 + math.floor(time[2] / 1000))

local function pend(first, position, field, value)
  local p = KEYS[first]
  local shown = redis.pcall('HMGET', p, 'journal', 'position', 'value')
  if shown.err then
    redis.call('UNLINK', p)
  elseif shown[1] == journal and (shown[2] > position or shown[2] == position and not shown[3]) then
    return 0
  end
  redis.call('PERSIST', p)
  redis.call('HSET', p, 'journal', journal, 'position', position, 'field', field, 'epoch', ARGV[3], 'since', since, 'value', value)
  if each > 1 then
    redis.call('UNLINK', KEYS[first + 1], KEYS[first + 2])
    nobody_is_solo(KEYS[first + 3])
  end
  return 1
end

local answers = {}
for n = 1, #KEYS / each do
  answers[n] = pend((n - 1) * each + 1, ARGV[3 * n + 1], ARGV[3 * n + 2], ARGV[3 * n + 3])
end
return answers
