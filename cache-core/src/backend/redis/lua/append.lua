-- APPEND: records at the end of a journal.
-- KEYS   records (q) and identity (i) of one journal
-- ARGV   identity, most records, time of the appender; then of each record key and payload
-- Reply  {appended, records before, position ...}: of the first ones that there was room for; or {other, identity or empty}
-- Keeps  a record is appended to the journal that was opened, and to no other that has taken its name. At maxmemory the first XADD is
--        refused with an error before anything is written.
local q, i = KEYS[1], KEYS[2]
local id = redis.call('GET', i)
if id ~= ARGV[1] then
  return {'other', id or ''}
end
local records = redis.call('XLEN', q)
local answers = {'appended', tostring(records)}
for n = 4, #ARGV, 2 do
  if records >= tonumber(ARGV[2]) then
    break
  end
  answers[#answers + 1] = redis.call('XADD', q, '*', 'k', ARGV[n], 'v', ARGV[n + 1], 't', ARGV[3])
  records = records + 1
end
return answers
