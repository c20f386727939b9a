-- SHOWN: the queued write that stands on a subject.
-- KEYS   queued write (p)
-- Reply  {queued, now, write} or {none, now}
-- Keeps  nothing: it only reads.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local queued = queued_write(KEYS[1])
if queued then
  return {'queued', now, queued}
end
return {'none', now}
