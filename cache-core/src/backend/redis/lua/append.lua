-- APPEND: one record at the end of a journal.
-- KEYS   records (q) and identity (i) of one journal
-- ARGV   identity, most records, key, payload, time of the appender
-- Reply  {appended, position} or {full, records} or {other, identity or empty}
-- Keeps  a record is appended to the journal that was opened, and to no other that has taken its name. At maxmemory XADD is
--        refused with an error before anything is written.
local q, i = KEYS[1], KEYS[2]
local id = redis.call('GET', i)
if id ~= ARGV[1] then
  return {'other', id or ''}
end
local records = redis.call('XLEN', q)
if records >= tonumber(ARGV[2]) then
  return {'full', tostring(records)}
end
return {'appended', redis.call('XADD', q, '*', 'k', ARGV[3], 'v', ARGV[4], 't', ARGV[5])}
