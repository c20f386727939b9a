-- {number}: the transaction's label; {outcome}: its id, 32 hexadecimal digits; {server}: the expression of that name.
-- The savepoint of the opening goes first: that it is there to be released means that this is the transaction that was begun,
-- since a COMMIT, a statement that commits by itself, a deadlock and a new BEGIN take it away. The row is inserted before the
-- fence is set, so whoever has met the fence comes after the row, and its lock is held until the transaction has ended and is
-- visible. Answers the server, whether its sessions leave no transaction open of their own accord, and the
-- servers that were retired.
RELEASE SAVEPOINT cache_sqlx_{number};
INSERT INTO cache_outcomes (id, made_at) VALUES (X'{outcome}', UTC_TIMESTAMP());
SELECT
    {server},
    @@session.autocommit = 1 AND @@session.completion_type = 'NO_CHAIN',
    (SELECT GROUP_CONCAT(server) FROM cache_retired)
