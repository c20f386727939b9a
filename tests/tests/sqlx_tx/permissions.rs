//! What an ordinary role may do, and what happens to one that may not even that.

use cache_core::WriteScope;
use cache_sqlx::{TxError, begin};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

use crate::kit::*;

/// A pool of a new role that may log in and use the two accounts, nothing else.
async fn ordinary(bank: &Bank) -> PgPool {
    let role = cache_test_support::unique_name("role");
    let grants = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'secret' NOSUPERUSER;
         GRANT SELECT, UPDATE ON account TO {role}"
    );
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&bank.pool).await.unwrap();
    let options: PgConnectOptions = bank.url.parse().unwrap();
    let options = options.username(&role).password("secret");
    PgPoolOptions::new().max_connections(2).connect_with(options).await.unwrap()
}

#[tokio::test]
async fn an_ordinary_role_commits_and_heals() {
    let bank = bank().await;
    let pool = ordinary(&bank).await;
    let superuser: String = sqlx::query_scalar("SHOW is_superuser").fetch_one(&pool).await.unwrap();
    assert_eq!(superuser, "off");
    bank.spy.clearing.close();
    let mut tx = begin(&bank.cache, &pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    let commit = tokio::spawn(tx.commit());
    bank.spy.clearing.arrival().await;
    // The writer is stuck after its commit; only a reader who asks as the ordinary role can lift its fence.
    until("a reader heals the fence", async || bank.is_cached(1).await).await;
    bank.spy.clearing.open();
    commit.await.unwrap().unwrap();
    assert_eq!(bank.balance(1).await, 150);
}

#[tokio::test]
async fn a_role_that_may_not_identify_its_transaction_cannot_commit_covered_writes() {
    let bank = bank().await;
    let pool = ordinary(&bank).await;
    sqlx::raw_sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        .execute(&bank.pool)
        .await
        .unwrap();
    let mut tx = begin(&bank.cache, &pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unidentified(_))), "{error:?}");
    assert!(error.to_string().contains("EXECUTE on pg_control_system()"), "{error}");
    assert_eq!((bank.balance(1).await, bank.spy.seen()), (100, vec![]));
}
