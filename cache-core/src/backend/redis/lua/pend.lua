-- PEND: shows queued writes to the readers of their subjects.
-- KEYS   of each subject the queued write (p), and unless their slot is migrating entries (v), leases (l) and fences (c); where writes
--        are told of, who reads of it (h), too, and last the board of the namespace (m)
-- ARGV   keys of a subject (1, 4 or 5), journal, epoch of the connection (8 bytes); then of each subject position, field, value; then
--        what `tell` wants, and the subjects' stripes
-- Reply  of each subject 1 shown, 0 a later one stands, or this one was settled; for 1 what `tell` answers where it answers anything
-- Keeps  I1 and I2: entries and tokens go in the same step, and while it stands no lease is granted. No fence is solo any more: what
--        its writer knows may be older. Of one journal the later position
--        wins, whatever order they come in. It has no TTL, so volatile-* never evicts it. Works at maxmemory: PERSIST comes
--        first, and a script that has written may write on.
local each, journal = tonumber(ARGV[1]), ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since = string.format('%016.0f', now)
local subjects = math.floor(#KEYS / each)

local function pend(n)
  local first, position, field, value = (n - 1) * each + 1, ARGV[3 * n + 1], ARGV[3 * n + 2], ARGV[3 * n + 3]
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
  if each == 5 then
    local at = 3 * subjects + 4
    return tell(KEYS[first + 4], KEYS[#KEYS], at, string.sub(ARGV[at + 3], 8 * n - 7, 8 * n), now) or 1
  end
  return 1
end

local answers = {}
for n = 1, subjects do
  answers[n] = pend(n)
end
return answers
