-- A generation nobody has seen: 16 hexadecimal digits of the caller's random seed, the tag, what stood before and the
-- clock. The last two, because a command may arrive twice, and the second time must not bring back a generation that
-- entries from before later writes carry.
local function fresh_generation(seed, tag, before, time)
  local source = table.concat({seed, tag, before or '', time[1], time[2]}, '|')
  return string.sub(redis.sha1hex(source), 1, 16)
end

