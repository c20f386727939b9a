-- {server}: the expression of that name. A transaction of its own, which is rolled back; READ COMMITTED, so that asking for a
-- row that is not there locks nothing. Answers the server, whether it is read-only in one of two ways, the engine of the table,
-- and the servers that were retired. What follows are as many copies of outcome.sql as there are ids.
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
START TRANSACTION;
SELECT
    {server},
    CAST(@@global.read_only AS CHAR),
    CAST(@@global.innodb_read_only AS CHAR),
    (SELECT engine FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = 'cache_outcomes'),
    (SELECT GROUP_CONCAT(server) FROM cache_retired)
