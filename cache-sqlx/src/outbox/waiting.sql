-- $1: namespace. Answers how many rows stand, how many of them could not reach the store, and the age of the oldest in seconds.
SELECT
    count(*),
    count(*) FILTER (WHERE unreached),
    EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - min(made))::float8
FROM cache_outbox
WHERE namespace = $1
