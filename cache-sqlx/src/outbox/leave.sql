-- $1: namespace, $2: subjects, $3: ticket, $4: the number of a row that this transaction has left already, or null. Afterwards one row
-- says that the store could not be reached: instances that lost it do not trust it before that row is delivered.
WITH known AS (
    UPDATE cache_outbox SET unreached = true
    WHERE namespace = $1 AND id = $4 AND ticket = $3
    RETURNING id
)
INSERT INTO cache_outbox (namespace, subjects, ticket, unreached)
SELECT $1, $2, $3, true
WHERE NOT EXISTS (SELECT FROM known)
