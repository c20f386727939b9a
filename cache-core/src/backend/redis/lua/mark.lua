-- MARK of an entity: a write is in flight.
-- KEYS   entries (v), leases (l) and fences (c) of one subject, what marks have dropped (s), the queued write (p), and where writes
--        are told of: who reads of the subject (h), the board of the namespace (m)
-- ARGV   writer, origin, then what `tell` wants, and the subject's stripe
-- Reply  now, negative where a queued write stands; {that, what `tell` answers} where it answers anything
-- Keeps  I1 and I2: entries and tokens go in the same step. Entries one of which asks for it (the field `aside`: for how many
--        ms) go to s, where no read of an entry looks; s says in the field `since` when that was. A fence is `origin|marked at|solo`; solo means that no other
--        writer's fence stood from its mark to now. A second mark of one writer changes nothing.
--        Works at maxmemory: UNLINK comes first, and a script that has written may write on.
local v, l, c, s, p = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local writer, origin = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('UNLINK', l)
local aside = redis.pcall('HGET', v, 'aside')
if type(aside) == 'string' and #aside < 16 and string.find(aside, '^[1-9]%d*$') then
  redis.call('RENAME', v, s)
  redis.call('HSET', s, 'since', string.format('%.0f', now))
  redis.call('PEXPIRE', s, aside)
else
  redis.call('UNLINK', v)
end
local fences = redis.call('HGETALL', c)
local others, ours = false, false
for i = 1, #fences, 2 do
  if fences[i] == writer then
    ours = true
  else
    others = true
    if string.sub(fences[i + 1], -2) == '|1' then
      redis.call('HSET', c, fences[i], string.sub(fences[i + 1], 1, -2) .. '0')
    end
  end
end
if not ours then
  redis.call('HSET', c, writer, origin .. '|' .. string.format('%.0f', now) .. '|' .. (others and '0' or '1'))
end
local answer = now
if redis.pcall('HEXISTS', p, 'value') == 1 then
  answer = -now
end
local told = KEYS[7] and tell(KEYS[6], KEYS[7], 3, ARGV[6], now)
if told then
  return {answer, told}
end
return answer
