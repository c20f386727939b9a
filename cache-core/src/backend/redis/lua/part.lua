-- The generation of a part of a namespace: made if it was lost, or turned, which is the namespace's clear.
-- KEYS   generation (g) of one part
-- ARGV   random seed, make or turn
-- Reply  generation
-- Keeps  entries stamped before are dead once it is turned, and a lost generation never comes back. It has no TTL: volatile-*
--        evicts no key without one. Works at maxmemory: PEXPIRE of a key that is gone or replaced at once comes first,
--        and a script that has written may write on.
local g = KEYS[1]
local before = redis.pcall('GET', g)
if type(before) ~= 'string' or #before ~= 16 or string.find(before, '%X') then
  before = nil
end
if before and ARGV[2] == 'make' then
  return before
end
local generation = fresh_generation(ARGV[1], g, before, redis.call('TIME'))
redis.call('PEXPIRE', g, '1000')
redis.call('SET', g, generation)
return generation
