-- $1: namespace, $2: how old in seconds a row must be whose writer may deliver it by itself, $3: behind which number to begin, $4: how
-- many. Claims rows, in the order of their numbers, for as long as the transaction lasts; what others have claimed is passed over.
-- Numbers are assigned before commits, so one that becomes visible later may be smaller than one delivered already: it is claimed next.
SELECT id, subjects, EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - made)::float8
FROM cache_outbox
WHERE namespace = $1 AND id > $3
  AND (unreached OR made < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $2))
ORDER BY id
LIMIT $4
FOR UPDATE SKIP LOCKED
