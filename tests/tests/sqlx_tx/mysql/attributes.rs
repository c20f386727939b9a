//! The attributes over MariaDB and Redis, with two instances of the application.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::time::Duration;

use cache_core::{RedisStore, cached, invalidates, writes_through};
use cache_sqlx::{ReadFrom, TxError};
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

/// Reads account 1 through four readers on two instances while `write` runs; each read must be as new as what was reported as
/// returned before it began. Answers how many reads there were.
async fn watched(instances: [&Accounts; 2], write: impl AsyncFnOnce(&AtomicI64)) -> u64 {
    let returned = Arc::new(AtomicI64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            let accounts = instances[reader % 2].clone();
            let (returned, over) = (returned.clone(), over.clone());
            tokio::spawn(async move {
                let mut reads = 0;
                while !over.load(Ordering::SeqCst) {
                    let at_least = returned.load(Ordering::SeqCst);
                    // A load whose connection was killed is an error, and no answer.
                    if let Ok(read) = accounts.balance(1).await {
                        let read = read.expect("the account is there");
                        assert!(read >= at_least, "read {read} after {at_least} had returned");
                        reads += 1;
                    }
                }
                reads
            })
        })
        .collect();
    write(&returned).await;
    over.store(true, Ordering::SeqCst);
    let mut reads = 0;
    for reader in readers {
        reads += reader.await.unwrap();
    }
    let loads: u64 = instances.iter().map(|accounts| accounts.loads()).sum();
    assert!(loads < reads, "{loads} loads for {reads} reads: nothing was served from the cache");
    reads
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_as_new_as_the_writes_that_returned_before_them() {
    let (here, there) = pair().await;
    here.set(1, 0).await.unwrap();
    watched([&here, &there], async |returned| {
        for balance in 1..=300 {
            let accounts = if balance % 2 == 0 { &here } else { &there };
            accounts.set(1, balance).await.unwrap();
            returned.store(balance, Ordering::SeqCst);
        }
    })
    .await;
}

/// Whatever a killed session was doing: its statement, waiting for its fence, its COMMIT, a load, a question about a writer.
#[tokio::test(flavor = "multi_thread")]
async fn reads_are_as_new_while_sessions_are_killed_at_random() {
    let (here, there) = pair().await;
    here.set(1, 0).await.unwrap();
    let options = here.pool.connect_options().as_ref().clone();
    let mut killer = MySqlConnection::connect_with(&options).await.unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let (mut made, mut not_made, mut unknown) = (0, 0, 0);
    watched([&here, &there], async |returned| {
        let mut balance = 0;
        // Bounded by the clock of nobody: each round makes, loses or leaves open one write.
        while made < 100 || unknown < 3 {
            assert!(balance < 20_000, "{made} made, {not_made} not, {unknown} unknown");
            balance += 1;
            let accounts = if random.bool() { &here } else { &there };
            let write = accounts.set(1, balance);
            let (written, ()) = tokio::join!(write, async {
                if random.u8(..4) > 0 {
                    return;
                }
                for _ in 0..random.u8(..24) {
                    tokio::task::yield_now().await;
                }
                let others = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist
                    WHERE db = DATABASE() AND id <> CONNECTION_ID()";
                let sessions: Vec<i64> = sqlx::query_scalar(others).fetch_all(&mut killer).await.unwrap();
                for session in sessions.iter().filter(|_| random.bool()) {
                    // One that ended meanwhile is an error.
                    let _ = killer.execute(AssertSqlSafe(format!("KILL {session}"))).await;
                }
            });
            match written {
                Ok(()) => {
                    made += 1;
                    returned.store(balance, Ordering::SeqCst);
                }
                Err(error) => match TxError::of(&error).map(TxError::was_made) {
                    Some(None) => unknown += 1,
                    Some(Some(true)) => panic!("{error:?}"),
                    Some(Some(false)) | None => not_made += 1,
                },
            }
        }
    })
    .await;
    println!("{made} writes made, {not_made} not made, {unknown} unknown");
    // D: once it is quiet, what is read is what is there, and kept.
    until("both instances serve what is there", async || {
        let row = here.row(&here.pool, 1).await.unwrap_or_default();
        let before = here.loads() + there.loads();
        let read = (here.balance(1).await.unwrap_or_default(), there.balance(1).await.unwrap_or_default());
        row.is_some() && read == (row, row) && here.loads() + there.loads() == before
    })
    .await;
}
