-- The fences that stand once those of finished writers are lifted: {writer, record, ...}. They are read before anything is
-- lifted: a key that has become empty is gone, and where its slot is migrating, a script may not look at a key that is gone.
local function standing_fences(c, finished, from)
  local lifted = {}
  for i = from, #finished do
    lifted[finished[i]] = true
  end
  local standing = {}
  local fences = redis.call('HGETALL', c)
  for i = 1, #fences, 2 do
    if lifted[fences[i]] then
      redis.call('HDEL', c, fences[i])
    else
      standing[#standing + 1] = fences[i]
      standing[#standing + 1] = fences[i + 1]
    end
  end
  return standing
end

