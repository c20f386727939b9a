-- The records of a journal behind a position.
-- KEYS   records (q) and identity (i) of one journal
-- ARGV   identity, position, how many at most
-- Reply  {records, {id, {field, value ...}} ...} or {other}
-- Keeps  records of another journal that has taken the name are not read as this one's.
local q, i = KEYS[1], KEYS[2]
if redis.call('GET', i) ~= ARGV[1] then
  return {'other'}
end
return {'records', redis.call('XRANGE', q, '(' .. ARGV[2], '+', 'COUNT', ARGV[3])}
