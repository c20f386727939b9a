//! The attributes over MariaDB and Redis, with two instances of the application.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use cache_core::{RedisStore, cached, invalidates, writes_through};
use cache_sqlx::ReadFrom;
use cache_test_support::redis_url;
use sqlx::MySql;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

#[derive(Clone)]
struct Accounts {
    cache: Cache,
    pool: MySqlPool,
}

impl Accounts {
    /// An instance with connections of its own.
    async fn new(vault: &Vault, namespace: &str) -> Self {
        let store = RedisStore::connect(&redis_url().unwrap()).await.unwrap();
        let builder = Cache::builder(namespace).store(store);
        let cache = builder.read_deadline(LIMIT).mark_deadline(LIMIT).clear_wait(LIMIT).build().unwrap();
        Self { cache, pool: pool_of(4, &vault.options).await }
    }

    #[cached(key = "mysql:balance:<id>", ttl = "1h")]
    async fn balance(&self, id: i64) -> sqlx::Result<Option<i64>> {
        self.row(&self.pool, id).await
    }

    #[cached(key = "mysql:balance:<id>", ttl = "1h", on = db)]
    async fn balance_on(&self, db: impl ReadFrom<'_, MySql>, id: i64) -> sqlx::Result<Option<i64>> {
        self.row(db, id).await
    }

    async fn row(&self, db: impl sqlx::MySqlExecutor<'_>, id: i64) -> sqlx::Result<Option<i64>> {
        sqlx::query_scalar(GET).bind(id).fetch_optional(db).await
    }

    #[invalidates(key = "mysql:balance:<id>", begin = self.pool)]
    async fn set(&self, tx: &mut MySqlTx<'_>, id: i64, balance: i64) -> sqlx::Result<()> {
        sqlx::query(SET).bind(balance).bind(id).execute(&mut *tx).await.map(drop)
    }

    #[invalidates(key = "mysql:balance:<id>", within = tx)]
    async fn set_within(&self, tx: &mut MySqlTx<'_>, id: i64, balance: i64) -> sqlx::Result<()> {
        sqlx::query(SET).bind(balance).bind(id).execute(&mut *tx).await.map(drop)
    }

    #[writes_through(key = "mysql:balance:<id>", begin = self.pool)]
    async fn open(&self, tx: &mut MySqlTx<'_>, id: i64, balance: i64) -> sqlx::Result<Option<i64>> {
        sqlx::query("INSERT INTO account VALUES (?, ?)").bind(id).bind(balance).execute(&mut *tx).await?;
        Ok(Some(balance))
    }

    /// Without a transaction that is handed over.
    #[invalidates(key = "mysql:balance:<id>")]
    async fn insert(&self, id: i64, balance: i64) -> sqlx::Result<()> {
        let insert = sqlx::query("INSERT INTO account VALUES (?, ?)").bind(id).bind(balance);
        insert.execute(&self.pool).await.map(drop)
    }

    fn loads(&self) -> u64 {
        self.cache.stats().of("mysql:balance:<id>").loads
    }
}

async fn pair() -> (Accounts, Accounts) {
    let vault = vault().await;
    let namespace = unique_name("accounts");
    (Accounts::new(&vault, &namespace).await, Accounts::new(&vault, &namespace).await)
}

#[tokio::test]
async fn what_one_instance_writes_the_other_reads() {
    let (here, there) = pair().await;
    assert_eq!(there.balance(1).await.unwrap(), Some(100));
    here.set(1, 150).await.unwrap();
    assert_eq!(there.balance(1).await.unwrap(), Some(150));
    let mut tx = begin(&here.cache, &here.pool).await.unwrap();
    here.set_within(&mut tx, 1, 160).await.unwrap();
    assert_eq!(here.balance_on(&mut tx, 1).await.unwrap(), Some(160), "its own change, past the cache");
    assert_eq!(there.balance_on(&there.pool, 1).await.unwrap(), Some(150));
    tx.commit().await.unwrap();
    assert_eq!(there.balance_on(&there.pool, 1).await.unwrap(), Some(160));
}

#[tokio::test]
async fn a_value_that_is_written_through_is_there_for_the_other_instance() {
    let (here, there) = pair().await;
    assert_eq!(there.balance(9).await.unwrap(), None);
    let before = there.loads();
    here.open(9, 90).await.unwrap();
    assert_eq!(there.balance(9).await.unwrap(), Some(90));
    assert_eq!(there.loads(), before);
}

/// The statement is over, so its fence is; an error that decided nothing would leave it for a minute.
#[tokio::test]
async fn an_error_of_a_finished_statement_leaves_no_fence() {
    let (here, there) = pair().await;
    here.insert(1, 0).await.unwrap_err();
    until("the fence is lifted", async || {
        let before = there.loads();
        there.balance(1).await.unwrap();
        there.balance(1).await.unwrap();
        there.loads() == before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_as_new_as_the_writes_that_returned_before_them() {
    let (here, there) = pair().await;
    here.set(1, 0).await.unwrap();
    let returned = Arc::new(AtomicI64::new(0));
    let readers: Vec<_> = [here.clone(), there.clone(), here.clone(), there.clone()]
        .into_iter()
        .map(|accounts| {
            let returned = returned.clone();
            tokio::spawn(async move {
                let (mut reads, mut last) = (0, 0);
                while last < 300 {
                    let at_least = returned.load(Ordering::SeqCst);
                    last = accounts.balance(1).await.unwrap().unwrap();
                    assert!(last >= at_least, "read {last} after {at_least} had returned");
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    for balance in 1..=300 {
        let accounts = if balance % 2 == 0 { &here } else { &there };
        accounts.set(1, balance).await.unwrap();
        returned.store(balance, Ordering::SeqCst);
    }
    let mut reads = 0;
    for reader in readers {
        reads += reader.await.unwrap();
    }
    let loads = here.loads() + there.loads();
    assert!(loads < reads, "{loads} loads for {reads} reads: nothing was served from the cache");
}
