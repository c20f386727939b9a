-- The queued write that stands on a subject: journal and position (32 hexadecimal digits each), field (16), epoch of the connection
-- that showed it (8 bytes), time (16 digits), value; nothing where none stands.
local function queued_write(p)
  local shown = redis.pcall('HMGET', p, 'journal', 'position', 'field', 'epoch', 'since', 'value')
  if shown.err then
    return nil
  end
  for i = 1, 6 do
    if not shown[i] then
      return nil
    end
  end
  return table.concat(shown)
end

