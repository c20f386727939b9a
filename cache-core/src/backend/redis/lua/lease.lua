-- LEASE: permission to fill one entry.
-- KEYS   entries (v), leases (l), fences (c) and queued write (p) of one subject
-- ARGV   field, token, duration in ms, epoch of entries (8 bytes), force (0 or 1), checksum of
--        the entry that force is for (8 bytes, or empty for any), finished writers ...
-- Reply  {granted, now} or {busy, now} or {present, now, blob} or {fenced, now, {writer, record, ...}} or {queued, now, write}
-- Keeps  I1: no token is given while a fence or a queued write stands. An entry of another epoch does not count; a fill replaces it.
local v, l, c, p = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local field, token, duration, epoch, force, over = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local queued = queued_write(p)
if queued then
  return {'queued', now, queued}
end

local fences = standing_fences(c, ARGV, 7)
if #fences > 0 then
  return {'fenced', now, fences}
end

-- Somebody else's value under our name is no entry.
if (force == '0' or over ~= '') and redis.call('TYPE', v).ok == 'hash' then
  local blob = redis.call('HGET', v, field)
  local is_meant = force == '1' and blob and string.sub(blob, 53, 60) == over
  if blob and string.sub(blob, 5, 12) == epoch and not is_meant then
    return {'present', now, blob}
  end
end

local held = redis.call('HGET', l, field)
if held and tonumber(string.match(held, '|(%d+)$')) > now then
  return {'busy', now}
end
redis.call('HSET', l, field, token .. '|' .. string.format('%.0f', now + duration))
-- A minute longer than the lease: a load that takes longer may still fill, if nobody took the lease over.
if redis.call('PTTL', l) < duration + 60000 then
  redis.call('PEXPIRE', l, string.format('%.0f', duration + 60000))
end
return {'granted', now}
