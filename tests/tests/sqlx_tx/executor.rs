//! A `CacheTx` goes where sqlx wants an executor, a connection or something to acquire one from.

use cache_core::__private::inside_transaction;
use cache_core::scope::OpenScope;
use cache_core::{Cache, WriteScope};
use cache_sqlx::{PgTx, ReadFrom, Sqlx, begin};
use sqlx::{Acquire, Executor, PgConnection, PgExecutor, Postgres};

use crate::kit::*;

async fn by_executor<'c>(db: impl PgExecutor<'c>, id: i64) -> i64 {
    sqlx::query_scalar(GET).bind(id).fetch_one(db).await.unwrap()
}

async fn by_source(db: impl ReadFrom<'_>, id: i64) -> (bool, i64) {
    (inside_transaction::<Sqlx, _>(&db), by_executor(db, id).await)
}

async fn by_acquire<'c>(db: impl Acquire<'c, Database = Postgres>) -> i64 {
    by_executor(&mut *db.acquire().await.unwrap(), 1).await
}

async fn by_connection(db: &mut impl AsMut<PgConnection>) -> i64 {
    by_executor(db.as_mut(), 1).await
}

#[tokio::test]
async fn every_way_of_sqlx_leads_into_the_transaction() {
    let bank = bank().await;
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut tx).await.unwrap();
    assert_eq!(by_executor(&mut tx, 1).await, 150);
    assert_eq!(by_executor(&mut *tx, 1).await, 150);
    assert_eq!(by_acquire(&mut tx).await, 150);
    assert_eq!(by_connection(&mut tx).await, 150);
    let mut inner = tx.begin().await.unwrap();
    assert_eq!(by_executor(&mut inner, 1).await, 150);
    drop(inner);
    let statement = (&mut tx).prepare(sqlx::SqlSafeStr::into_sql_str(GET)).await.unwrap();
    assert_eq!(sqlx::Statement::columns(&statement).len(), 1);
    assert_eq!((&mut tx).fetch_all("SELECT 1 UNION SELECT 2").await.unwrap().len(), 2);
    assert_eq!(by_executor(&bank.pool, 1).await, 100);
}

#[tokio::test]
async fn only_a_pool_counts_as_outside_a_transaction() {
    let bank = bank().await;
    let mut connection = bank.pool.acquire().await.unwrap();
    let mut plain = bank.pool.begin().await.unwrap();
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    assert_eq!(by_source(&bank.pool, 1).await, (false, 100));
    assert_eq!(by_source(&mut tx, 1).await, (true, 100));
    assert_eq!(by_source(&mut *tx, 1).await, (true, 100));
    assert_eq!(by_source(&mut *plain, 1).await, (true, 100));
    assert_eq!(by_source(&mut *connection, 1).await, (true, 100));
}

#[tokio::test]
async fn a_scope_is_opened_from_a_pool_and_closed_by_its_commit() {
    async fn write<S: OpenScope<Cache, sqlx::PgPool, Error = sqlx::Error> + AsMut<PgConnection>>(
        bank: &Bank,
    ) {
        let mut scope = S::open(&bank.cache, &bank.pool).await.unwrap();
        touch(&scope.recording(), 1);
        sqlx::query(SET).bind(1_i64).bind(150_i64).execute(scope.as_mut()).await.unwrap();
        scope.close().await.unwrap();
    }
    let bank = bank().await;
    write::<PgTx<'static>>(&bank).await;
    assert_eq!((bank.balance(1).await, bank.spy.clears()), (150, 1));
}

#[tokio::test]
async fn a_borrowed_connection_carries_a_transaction() {
    let bank = bank().await;
    let mut connection = bank.pool.acquire().await.unwrap();
    for (balance, kept) in [(150_i64, true), (0, false)] {
        let mut tx: PgTx<'_> = PgTx::on(&bank.cache, &mut connection).await.unwrap();
        touch(&tx.recording(), 1);
        sqlx::query(SET).bind(1_i64).bind(balance).execute(&mut *tx).await.unwrap();
        if kept {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
    }
    assert_eq!((bank.balance(1).await, bank.spy.clears()), (150, 1));
    let mut outer = sqlx::Connection::begin(&mut *connection).await.unwrap();
    let refused = PgTx::on(&bank.cache, &mut *outer).await;
    assert!(matches!(refused, Err(sqlx::Error::InvalidSavePointStatement)), "{refused:?}");
}
