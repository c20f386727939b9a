//! What stops a whole server: a lock on all commits, and being made read-only. On a server of these tests' own.

use std::sync::OnceLock;

use cache_sqlx::TxError;
use cache_test_support::{FaultProxy, MariaDb};
use tokio::sync::{Mutex, MutexGuard};

use super::*;

/// One test at a time has it.
async fn server() -> (MutexGuard<'static, ()>, Vault) {
    static SERVER: OnceLock<MariaDb> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    let url = SERVER.get_or_init(|| MariaDb::start().unwrap()).url();
    (turn, vault_at(4, database_on(&url).await).await)
}

/// The change is made after the writer lost its connection: only the fence keeps readers from keeping the old value.
#[tokio::test]
async fn a_commit_that_outlives_its_client_is_fenced_until_it_is_visible() {
    let (_turn, vault) = server().await;
    let address = (vault.options.get_host().to_owned(), vault.options.get_port());
    let proxy = FaultProxy::tcp(format!("{}:{}", address.0, address.1)).unwrap();
    let far = vault.options.clone().host("127.0.0.1").port(proxy.address().port());
    let far = pool_of(1, &far).await;
    let listener = Listener::join(&vault.cache);
    cache_sqlx::heal(&vault.cache, &vault.pool);
    vault.spy.marked.close();
    let commit = tokio::spawn(vault.change_through(&far, 150).await.commit());
    vault.spy.marked.arrival().await;
    let mut holder = MySqlConnection::connect_with(&vault.options).await.unwrap();
    holder.execute("FLUSH TABLES WITH READ LOCK").await.unwrap();
    vault.spy.marked.open();
    until("COMMIT waits", async || {
        let waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'COMMIT'";
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(&vault.pool).await.unwrap() == 1
    })
    .await;
    proxy.cut();
    let error = commit.await.unwrap().unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::CommitUnknown(_))), "{error:?}");

    let before = listener.asked();
    until("readers have asked", async || {
        assert_eq!(vault.balance(1).await, 100);
        assert!(!vault.is_cached(1).await, "the fence of a commit that is under way stays");
        listener.asked() >= before + 3
    })
    .await;
    holder.execute("UNLOCK TABLES").await.unwrap();
    until("a reader heals the fence", async || vault.is_cached(1).await).await;
    assert_eq!(vault.read(1, &AtomicUsize::new(0)).await, 150);
}

#[tokio::test]
async fn a_server_that_became_read_only_undoes_the_commit_and_heals_nothing() {
    let (_turn, vault) = server().await;
    // Who may administrate writes to a read-only server.
    let name = unique_name("u");
    let user = format!(
        "CREATE USER '{name}'@'%' IDENTIFIED BY 'secret'; GRANT SELECT, UPDATE, INSERT, DELETE ON * TO '{name}'@'%'"
    );
    sqlx::raw_sql(AssertSqlSafe(user)).execute(&vault.pool).await.unwrap();
    let ordinary = pool_of(2, &vault.options.clone().username(&name).password("secret")).await;
    vault.spy.marked.close();
    let commit = tokio::spawn(vault.change_through(&ordinary, 150).await.commit());
    vault.spy.marked.arrival().await;
    vault.pool.execute("SET GLOBAL read_only = 1").await.unwrap();
    vault.spy.marked.open();
    let error = commit.await.unwrap().unwrap_err();
    assert!(TxError::of(&error).is_none(), "the database's own error: {error:?}");
    assert!(error.to_string().contains("read-only"), "{error}");
    until("the fence is lifted", async || vault.spy.clears() == 1).await;

    vault.pool.execute("SET GLOBAL read_only = 0").await.unwrap();
    vault.spy.clearing.close();
    let commit = tokio::spawn(vault.change_through(&ordinary, 170).await.commit());
    vault.spy.clearing.arrival().await;
    vault.pool.execute("SET GLOBAL read_only = 1").await.unwrap();
    let listener = Listener::join(&vault.cache);
    until("readers have asked", async || {
        assert!(!vault.is_cached(1).await, "a server that others may be ahead of is not believed");
        listener.asked() >= 3
    })
    .await;
    vault.pool.execute("SET GLOBAL read_only = 0").await.unwrap();
    until("a reader heals the fence", async || vault.is_cached(1).await).await;
    vault.spy.clearing.open();
    commit.await.unwrap().unwrap();
}
