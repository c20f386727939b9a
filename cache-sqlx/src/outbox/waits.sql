-- $1: namespace, $2: how old in seconds a row must be whose writer may deliver it by itself. Whether claim.sql would find a row.
SELECT EXISTS (
    SELECT FROM cache_outbox
    WHERE namespace = $1
      AND (unreached OR made < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $2))
)
