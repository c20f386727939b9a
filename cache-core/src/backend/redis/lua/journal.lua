-- The identity of a journal: made if it was lost, together with the journal, which then begins anew.
-- KEYS   records (q) and identity (i) of one journal
-- ARGV   random identity, 32 hexadecimal digits
-- Reply  identity
-- Keeps  an identity stands for one run of positions. No TTL on either key, so volatile-* evicts neither.
local q, i = KEYS[1], KEYS[2]
local id = redis.call('GET', i)
if not id then
  id = ARGV[1]
  redis.call('UNLINK', q)
  redis.call('SET', i, id)
end
return id
