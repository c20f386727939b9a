-- What covered transactions need in a database of MySQL or MariaDB. May be run at any time, by any number of processes.
-- cache_outcomes  one row a covered transaction, from just before its fence is set; removed in the background after its clear
-- cache_retired   servers that will never commit anything again, by the name that fences give them: what is not in
--                 cache_outcomes of their successor was not committed. Written by hand after a failover
CREATE TABLE IF NOT EXISTS cache_outcomes (
    id BINARY(16) NOT NULL PRIMARY KEY,
    made_at DATETIME NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS cache_retired (
    server CHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL PRIMARY KEY
) ENGINE = InnoDB;

-- Into an empty table a session without unique_checks and foreign_key_checks inserts in bulk, for which MariaDB locks all of it
-- until the transaction ends. So it is never empty.
INSERT IGNORE INTO cache_outcomes (id, made_at) VALUES (REPEAT(X'00', 16), '9999-12-31 00:00:00')
