-- $1: namespace. Answers whether this is a standby, and whether a row waits that was left because the store could not be reached. One
-- that a relay has claimed is still there for everybody else: it is deleted in the transaction that claimed it, after its delivery.
SELECT
    pg_catalog.pg_is_in_recovery(),
    EXISTS (SELECT FROM cache_outbox WHERE namespace = $1 AND unreached)
