-- $1: the label of the transaction, $2: namespace, $3: subjects, $4: ticket. As postgres/standing.sql, and leaves a row whose writer
-- is about to deliver it by itself; answers its number last. Without the label nothing is left: it is another transaction or none.
WITH written AS (
    INSERT INTO cache_outbox (namespace, subjects, ticket, unreached)
    SELECT $2, $3, $4, false
    WHERE pg_catalog.current_setting('cache_sqlx.label', true) = $1
    RETURNING id
)
SELECT
    CASE WHEN pg_catalog.current_setting('cache_sqlx.label', true) = $1
         THEN pg_catalog.pg_current_xact_id()::text END,
    (SELECT system_identifier::text FROM pg_catalog.pg_control_system()),
    CASE WHEN NOT pg_catalog.pg_is_in_recovery()
         THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END,
    (SELECT id FROM written)
