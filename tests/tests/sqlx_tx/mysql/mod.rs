//! Transactions on MariaDB, or on the server that `MYSQL_URL` names.

mod attributes;
mod commit;
mod failover;
mod healing;
mod outcomes;
mod read_only;

use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{Cache, WriteScope};
use cache_sqlx::{MySqlTx, begin, migrate_mysql};
use cache_test_support::{mysql_url, unique_name};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, MySqlPool};

use crate::kit::*;

pub(crate) const SET: &str = "UPDATE account SET balance = ? WHERE id = ?";
pub(crate) const GET: &str = "SELECT balance FROM account WHERE id = ?";
const TABLES: &str = "CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL) ENGINE = InnoDB;
    INSERT INTO account VALUES (1, 100), (2, 200), (3, 300)";

/// A database of its own with three accounts.
pub(crate) struct Vault {
    pub(crate) options: MySqlConnectOptions,
    pub(crate) pool: MySqlPool,
    pub(crate) spy: Spy,
    pub(crate) cache: Cache,
}

/// An empty database on the server that tests share.
async fn database() -> MySqlConnectOptions {
    database_on(&mysql_url().unwrap()).await
}

async fn database_on(server: &str) -> MySqlConnectOptions {
    let options: MySqlConnectOptions = server.parse().unwrap();
    let name = unique_name("cache_test");
    let mut connection = MySqlConnection::connect_with(&options).await.unwrap();
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    options.database(&name)
}

async fn pool_of(connections: u32, options: &MySqlConnectOptions) -> MySqlPool {
    MySqlPoolOptions::new().max_connections(connections).connect_with(options.clone()).await.unwrap()
}

async fn vault_at(connections: u32, options: MySqlConnectOptions) -> Vault {
    let pool = pool_of(connections, &options).await;
    pool.execute(TABLES).await.unwrap();
    migrate_mysql(&pool).await.unwrap();
    let spy = Spy::default();
    let cache = builder(&spy).build().unwrap();
    Vault { options, pool, spy, cache }
}

async fn vault_of(connections: u32) -> Vault {
    vault_at(connections, database().await).await
}

pub(crate) async fn vault() -> Vault {
    vault_of(4).await
}

impl Vault {
    pub(crate) async fn balance(&self, id: i64) -> i64 {
        sqlx::query_scalar(GET).bind(id).fetch_one(&self.pool).await.unwrap()
    }

    async fn read(&self, id: i64, loads: &AtomicUsize) -> i64 {
        read(&self.cache, id, loads, self.balance(id)).await
    }

    /// Whether a second read in a row is a hit: the account is not fenced.
    async fn is_cached(&self, id: i64) -> bool {
        let loads = AtomicUsize::new(0);
        self.read(id, &loads).await;
        let first = loads.load(Ordering::SeqCst);
        self.read(id, &loads).await;
        loads.load(Ordering::SeqCst) == first
    }

    /// A transaction that changes account 1.
    async fn change(&self, balance: i64) -> MySqlTx<'static> {
        self.change_through(&self.pool, balance).await
    }

    async fn change_through(&self, pool: &MySqlPool, balance: i64) -> MySqlTx<'static> {
        let mut tx = begin(&self.cache, pool).await.unwrap();
        touch(&tx.recording(), 1);
        set(&mut tx, 1, balance).await.unwrap();
        tx
    }

    /// Rows of transactions in the table.
    async fn outcomes(&self) -> i64 {
        let count = "SELECT COUNT(*) FROM cache_outcomes WHERE id <> REPEAT(X'00', 16)";
        sqlx::query_scalar(count).fetch_one(&self.pool).await.unwrap()
    }
}

async fn set(connection: &mut MySqlConnection, id: i64, balance: i64) -> sqlx::Result<()> {
    sqlx::query(SET).bind(balance).bind(id).execute(connection).await.map(drop)
}
