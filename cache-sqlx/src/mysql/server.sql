-- Which server and schema answers, as 32 hexadecimal digits: the same after a restart, another one on each server that
-- replicates with this one. MySQL has a name of its own for that; MariaDB (and no server before 10.6 or 8.0.22) is known by where
-- it runs and by its server_id, which replication keeps apart.
LEFT(SHA2(CONCAT_WS('/',
    /*!80022 @@global.server_uuid */ /*M!100600 @@global.hostname, @@global.port, @@global.datadir, @@global.server_id */,
    DATABASE()), 256), 32)
