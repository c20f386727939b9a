-- The tags' part of LEASE: the generation to stamp an entry with, made if it was lost.
-- KEYS   generation (g) and fences (c) of one tag
-- ARGV   random seed, ms the generation must live at least, finished writers ...
-- Reply  {open, now, generation} or {fenced, now, {writer, record, ...}}
-- Keeps  no entry is stamped while a fence stands; a lost generation never comes back.
local g, c = KEYS[1], KEYS[2]
local seed, ttl = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local fences = standing_fences(c, ARGV, 3)
if #fences > 0 then
  return {'fenced', now, fences}
end

local generation = redis.pcall('GET', g)
if type(generation) ~= 'string' or #generation ~= 16 or string.find(generation, '%X') then
  generation = fresh_generation(seed, g, nil, time)
  redis.call('SET', g, generation, 'PX', ARGV[2])
elseif redis.call('PTTL', g) < ttl then
  -- Twice, so that not every lease has to prolong it.
  redis.call('PEXPIRE', g, string.format('%.0f', 2 * ttl))
end
return {'open', now, generation}
