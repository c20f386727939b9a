-- $1: namespace, $2: numbers of rows, $3: their tickets. Rows that a relay is delivering stay: nobody waits for it.
DELETE FROM cache_outbox
WHERE namespace = $1 AND id IN (
    SELECT id FROM cache_outbox
    WHERE namespace = $1 AND id = ANY ($2) AND ticket = ANY ($3)
    FOR UPDATE SKIP LOCKED
)
