//! A replica that takes over: what was committed has come with the data, and only an operator knows that the rest never will.

use cache_sqlx::TxError;
use cache_test_support::MariaDb;

use super::healing::{another_transaction, elsewhere, fence, finished, open_writer};
use super::*;

/// A primary with a replica, which has its data.
async fn pair() -> (MariaDb, MariaDb) {
    let primary = MariaDb::options().args(["--log-bin=log", "--server-id=1"]).start().unwrap();
    let replica = MariaDb::options().args(["--log-bin=log", "--server-id=2"]).start().unwrap();
    let follow = format!(
        "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = 'root', MASTER_USE_GTID = slave_pos;
         START SLAVE",
        primary.address().port()
    );
    let options: MySqlConnectOptions = replica.url().parse().unwrap();
    let mut connection = MySqlConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(follow)).execute(&mut connection).await.unwrap();
    (primary, replica)
}

/// Waits until what the primary has committed is on the replica.
async fn caught_up(primary: &MySqlPool, replica: &MySqlPool) {
    let position: String = sqlx::query_scalar("SELECT @@gtid_binlog_pos").fetch_one(primary).await.unwrap();
    let wait = "SELECT CAST(MASTER_GTID_WAIT(?, 20) AS SIGNED)";
    let late: i64 = sqlx::query_scalar(wait).bind(position).fetch_one(replica).await.unwrap();
    assert_eq!(late, 0, "the replica follows");
}

#[tokio::test]
async fn a_successor_heals_what_was_committed_and_the_rest_once_the_old_server_is_retired() {
    let (primary, replica) = pair().await;
    let vault = vault_at(4, database_on(&primary.url()).await).await;
    let address = replica.address();
    let there = vault.options.clone().host("127.0.0.1").port(address.port());
    let waiting: MySqlConnectOptions = replica.url().parse().unwrap();
    let waiting = pool_of(1, &waiting).await;
    caught_up(&vault.pool, &waiting).await;
    let successor = pool_of(2, &there).await;

    let (open, commit) = open_writer(&vault).await;
    let (running, stranger) = (fence(&open, 1), fence(&elsewhere(&another_transaction(&open)), 1));
    assert_eq!(finished(&vault.pool, std::slice::from_ref(&running)).await, [false]);
    assert_eq!(
        finished(&successor, std::slice::from_ref(&running)).await,
        [false],
        "it is not there, and may come"
    );
    vault.spy.clearing.close();
    vault.spy.marked.open();
    vault.spy.clearing.arrival().await;
    caught_up(&vault.pool, &waiting).await;
    assert_eq!(finished(&successor, std::slice::from_ref(&running)).await, [true], "it has come");
    vault.spy.clearing.open();
    commit.await.unwrap().unwrap();

    // What was rolled back, or lost with the primary, comes nowhere.
    assert_eq!(finished(&successor, std::slice::from_ref(&stranger)).await, [false]);
    primary.kill();
    let name = stranger.origin.as_str().split(':').nth(1).unwrap().to_owned();
    let retire = "INSERT INTO cache_retired VALUES (?)";
    sqlx::query(retire).bind(&name).execute(&successor).await.unwrap();
    assert_eq!(finished(&successor, &[stranger]).await, [true]);
}

#[tokio::test]
async fn a_server_that_is_retired_is_no_place_to_write() {
    let vault = vault().await;
    let (open, commit) = open_writer(&vault).await;
    vault.spy.marked.open();
    commit.await.unwrap().unwrap();
    let name = open.as_str().split(':').nth(1).unwrap().to_owned();
    sqlx::query("INSERT INTO cache_retired VALUES (?)").bind(&name).execute(&vault.pool).await.unwrap();
    let error = vault.change(160).await.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unidentified(_))), "{error:?}");
    assert_eq!(vault.balance(1).await, 150);
}
