-- $1: the label of the transaction. Answers its id (null: the label is gone, so it is another transaction or none), the
-- cluster's system identifier, and a WAL file name, whose first eight digits are the timeline in use (null on a standby).
-- Asked anew for every commit: a pooler may put the session on another server between two transactions. The timeline is not
-- read from pg_control_checkpoint(), which names the old one until the first checkpoint after a promotion.
SELECT
    CASE WHEN pg_catalog.current_setting('cache_sqlx.label', true) = $1
         THEN pg_catalog.pg_current_xact_id()::text END,
    (SELECT system_identifier::text FROM pg_catalog.pg_control_system()),
    CASE WHEN NOT pg_catalog.pg_is_in_recovery()
         THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END
