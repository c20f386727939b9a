-- Tells everybody who listens of a write, and finds who may hold in his own memory what it changes. Where that is certainly nobody,
-- nothing is said.
-- `h` who reads of a subject (member -> 0, or the number of what he was told and has not acknowledged); nothing for everybody
-- `m` the board of a namespace: `is` = life|epoch|born|each or all; `last` renewal; `n` of the last message; member -> beats|acknowledged
-- `at` where in ARGV these are: channel, epoch of the connection, lease in ms
-- `stripes` what is told, 8 bytes each, or nothing for all
-- Answers nothing where there is no board and nobody listens; else {some or unknown, life, number, member, beats, ...}.
-- Keeps  who was told and has not acknowledged stays: a second writer behind the first finds him, too. Nobody is missing unless the
--        board is whole: of this epoch, older than a lease, renewed without a gap (a clock that jumps makes keys expire early).
--        Works at maxmemory where the script has written before.
local function tell(h, m, at, stripes, now)
  local channel, epoch, lease = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local is = redis.pcall('HGET', m, 'is')
  local life, of, born, whom
  if type(is) == 'string' then
    life, of, born, whom = string.match(is, '^(%x+)|(%x+)|(%d+)|(%l+)$')
  end
  if not life then
    local listeners = redis.pcall('PUBLISH', channel, '|||' .. stripes)
    if type(listeners) == 'number' and listeners > 0 then
      return {'unknown'}
    end
    return nil
  end

  local n = string.format('%.0f', (tonumber(redis.call('HGET', m, 'n')) or 0) + 1)
  local last = tonumber(redis.call('HGET', m, 'last')) or 0
  local whole = of == epoch and now >= last and now - last < 30 * lease and now - born >= 1.2 * lease
  local holders = h and whole and whom == 'each' and redis.pcall('HGETALL', h) or {err = true}
  local told, names = {}, {}
  if holders.err then
    local all = redis.call('HGETALL', m)
    for i = 1, #all, 2 do
      if #all[i] == 16 then
        told[#told + 1] = all[i]
        told[#told + 1] = string.match(all[i + 1], '^(%d+)|')
      end
    end
    names[1] = '*'
    whole = whole and whom == 'all'
  else
    for i = 1, #holders, 2 do
      local member, since = holders[i], tonumber(holders[i + 1])
      local beats, heard = string.match(redis.call('HGET', m, member) or '', '^(%d+)|(%d+)$')
      if not beats or since > 0 and tonumber(heard) >= since then
        redis.call('HDEL', h, member)
      else
        if since == 0 then
          redis.call('HSET', h, member, n)
        end
        told[#told + 1] = member
        told[#told + 1] = beats
        names[#names + 1] = member
      end
    end
  end
  if whole and whom == 'each' and #told == 0 then
    -- Whoever holds it is on the list: there is nobody to tell.
    return {'some', life, string.format('%.0f', n - 1)}
  end
  redis.call('HSET', m, 'n', n)
  local listeners = redis.pcall('PUBLISH', channel, n .. '|' .. life .. '|' .. table.concat(names, ',') .. '|' .. stripes)
  whole = whole and (#told == 0 or type(listeners) == 'number')
  local answer = {whole and 'some' or 'unknown', life, n}
  for i = 1, #told do
    answer[i + 3] = told[i]
  end
  return answer
end

