-- SETTLE: the queued writes of subjects up to a position are in the database.
-- KEYS   of each subject the queued write (p), and unless their slot is migrating entries (v), leases (l) and fences (c); where writes
--        are told of, who reads of it (h), too, and last the board of the namespace (m)
-- ARGV   keys of a subject (1, 4 or 5), journal, position, ms for which the position stays known; then what `tell` wants, and the
--        subjects' stripes
-- Reply  of each subject 1 what stood is settled, 0 another one stands
-- Keeps  a later write, or one of another journal, stands on. What was leased while the queued write was lost is never filled, and no
--        fence is solo any more. A pend that
--        comes late meets the position and shows nothing. Works at maxmemory: PERSIST comes first, and a script that
--        has written may write on.
local each, journal, position, known = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function settle(n)
  local first = (n - 1) * each + 1
  local p = KEYS[first]
  redis.call('PERSIST', p)
  if each > 1 then
    redis.call('UNLINK', KEYS[first + 1], KEYS[first + 2])
    nobody_is_solo(KEYS[first + 3])
  end
  if each == 5 then
    tell(KEYS[first + 4], KEYS[#KEYS], 5, string.sub(ARGV[8], 8 * n - 7, 8 * n), now)
  end
  local shown = redis.pcall('HMGET', p, 'journal', 'position', 'value')
  if shown.err then
    redis.call('UNLINK', p)
  elseif shown[1] and (shown[1] ~= journal and shown[3] or shown[1] == journal and shown[2] > position) then
    if not shown[3] then
      redis.call('PEXPIRE', p, known)
    end
    return 0
  end
  redis.call('HDEL', p, 'field', 'epoch', 'since', 'value')
  redis.call('HSET', p, 'journal', journal, 'position', position)
  redis.call('PEXPIRE', p, known)
  return 1
end

local answers = {}
for n = 1, math.floor(#KEYS / each) do
  answers[n] = settle(n)
end
return answers
