-- Takes the solo bit of every fence: nobody's value is the newest any more.
local function nobody_is_solo(c)
  local fences = redis.call('HGETALL', c)
  for i = 1, #fences, 2 do
    if string.sub(fences[i + 1], -2) == '|1' then
      redis.call('HSET', c, fences[i], string.sub(fences[i + 1], 1, -2) .. '0')
    end
  end
end

