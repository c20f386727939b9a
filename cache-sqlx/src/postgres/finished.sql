-- $1: transaction ids as text. Answers for the whole server: system identifier, a WAL file name (its first eight digits are
-- the timeline; null on a standby), version, and for each id in order: what pg_xact_status says; 'ahead' for one that this
-- server has not completed (running or never assigned), of which pg_xact_status would make an error; 'gone' for one so old
-- that its outcome was discarded.
SELECT
    (SELECT system_identifier::text FROM pg_catalog.pg_control_system()),
    CASE WHEN NOT pg_catalog.pg_is_in_recovery()
         THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END,
    pg_catalog.current_setting('server_version_num')::int,
    ARRAY(
        SELECT CASE
            WHEN id::xid8 >= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) THEN 'ahead'
            ELSE coalesce(pg_catalog.pg_xact_status(id::xid8), 'gone')
        END
        FROM unnest($1::text[]) WITH ORDINALITY AS asked (id, place)
        ORDER BY place
    )
