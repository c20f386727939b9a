//! The tables on MySQL: what happens without them, who may use them, and that they stay small.

use cache_sqlx::TxError;

use super::*;

/// Options of a new user with these rights in the database.
async fn user(vault: &Vault, rights: &[(&str, &str)]) -> MySqlConnectOptions {
    let name = unique_name("u");
    let create = format!("CREATE USER '{name}'@'%' IDENTIFIED BY 'secret'");
    vault.pool.execute(AssertSqlSafe(create)).await.unwrap();
    for (right, table) in rights {
        vault.pool.execute(AssertSqlSafe(format!("GRANT {right} ON {table} TO '{name}'@'%'"))).await.unwrap();
    }
    vault.options.clone().username(&name).password("secret")
}

fn unidentified(result: sqlx::Result<()>) -> String {
    let error = result.unwrap_err();
    let Some(TxError::Unidentified(source)) = TxError::of(&error) else { panic!("{error:?}") };
    assert_eq!(TxError::of(&error).unwrap().was_made(), Some(false));
    assert!(error.to_string().contains("cache_outcomes"), "{error}");
    source.to_string()
}

#[tokio::test]
async fn without_its_table_nothing_covered_is_committed_and_the_error_names_it() {
    let vault = vault_of(1).await;
    for table in ["cache_outcomes", "cache_retired"] {
        vault.pool.execute(AssertSqlSafe(format!("DROP TABLE {table}"))).await.unwrap();
        let source = unidentified(vault.change(150).await.commit().await);
        assert!(source.contains(table) && source.contains("1146"), "{source}");
        assert_eq!((vault.balance(1).await, vault.spy.seen()), (100, vec![]));
        migrate_mysql(&vault.pool).await.unwrap();
        vault.change(150).await.commit().await.unwrap();
        vault.change(100).await.commit().await.unwrap();
        vault.spy.forget();
    }
    // What records nothing needs none of it.
    vault.pool.execute("DROP TABLE cache_outcomes").await.unwrap();
    let mut tx = begin(&vault.cache, &vault.pool).await.unwrap();
    set(&mut tx, 1, 160).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(vault.balance(1).await, 160);
}

#[tokio::test]
async fn without_a_database_selected_the_error_says_so() {
    let vault = vault().await;
    let name = vault.options.get_database().unwrap().to_owned();
    let nowhere = pool_of(1, &mysql_url().unwrap().parse().unwrap()).await;
    let mut tx = begin(&vault.cache, &nowhere).await.unwrap();
    touch(&tx.recording(), 1);
    let update = format!("UPDATE {name}.account SET balance = 150 WHERE id = 1");
    tx.execute(AssertSqlSafe(update)).await.unwrap();
    let source = unidentified(tx.commit().await);
    assert!(source.contains("No database selected"), "{source}");
    assert_eq!(vault.balance(1).await, 100);
}

#[tokio::test]
async fn an_ordinary_user_commits_heals_and_removes() {
    let vault = vault().await;
    let rights = [
        ("SELECT, UPDATE", "account"),
        ("SELECT, INSERT, DELETE", "cache_outcomes"),
        ("SELECT", "cache_retired"),
    ];
    let pool = pool_of(2, &user(&vault, &rights).await).await;
    vault.spy.clearing.close();
    let commit = tokio::spawn(vault.change_through(&pool, 150).await.commit());
    vault.spy.clearing.arrival().await;
    until("a reader heals the fence", async || vault.is_cached(1).await).await;
    vault.spy.clearing.open();
    commit.await.unwrap().unwrap();
    until("its outcome is removed", async || vault.outcomes().await == 0).await;
}

#[tokio::test]
async fn a_user_who_may_not_insert_an_outcome_cannot_commit_covered_writes() {
    let vault = vault().await;
    let rights = [("SELECT, UPDATE", "account"), ("SELECT", "cache_outcomes"), ("SELECT", "cache_retired")];
    let pool = pool_of(1, &user(&vault, &rights).await).await;
    let source = unidentified(vault.change_through(&pool, 150).await.commit().await);
    assert!(source.contains("INSERT"), "{source}");
    assert_eq!((vault.balance(1).await, vault.spy.seen()), (100, vec![]));
}

#[tokio::test]
async fn a_user_who_may_not_remove_outcomes_commits_and_leaves_them() {
    let vault = vault().await;
    let rights =
        [("SELECT, UPDATE", "account"), ("SELECT, INSERT", "cache_outcomes"), ("SELECT", "cache_retired")];
    let pool = pool_of(1, &user(&vault, &rights).await).await;
    let connection = "SELECT CAST(CONNECTION_ID() AS SIGNED)";
    let before: i64 = sqlx::query_scalar(connection).fetch_one(&pool).await.unwrap();
    vault.change_through(&pool, 150).await.commit().await.unwrap();
    until("it was refused, and rolled back", async || {
        let (_, count): (String, String) =
            sqlx::query_as("SHOW SESSION STATUS LIKE 'Com_rollback'").fetch_one(&pool).await.unwrap();
        count == "1"
    })
    .await;
    for balance in 160..165 {
        vault.change_through(&pool, balance).await.commit().await.unwrap();
    }
    assert_eq!(vault.outcomes().await, 6);
    // The connection was neither left inside a transaction nor thrown away.
    assert_eq!(sqlx::query_scalar::<_, i64>(connection).fetch_one(&pool).await.unwrap(), before);
    pool.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
}

#[tokio::test]
async fn migrating_again_and_at_once_changes_nothing() {
    let vault = vault().await;
    let pool = &vault.pool;
    let all = (migrate_mysql(pool), migrate_mysql(pool), migrate_mysql(pool));
    let (one, two, three) = tokio::join!(all.0, all.1, all.2);
    one.and(two).and(three).unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM cache_outcomes").fetch_one(pool).await.unwrap();
    assert_eq!(rows, 1, "the one that keeps the table from being empty");
}

/// Its rows would be visible before their transaction has committed, and locked by nobody.
#[tokio::test]
async fn a_table_of_another_engine_is_refused_and_heals_nothing() {
    let vault = vault().await;
    vault.pool.execute("ALTER TABLE cache_outcomes ENGINE = MyISAM").await.unwrap();
    let error = migrate_mysql(&vault.pool).await.unwrap_err();
    assert!(matches!(&error, sqlx::Error::Configuration(_)), "{error:?}");
    assert!(error.to_string().contains("cache_outcomes is of the engine MyISAM"), "{error}");
    let (_, commit) = super::healing::open_writer(&vault).await;
    vault.spy.marked.open();
    commit.await.unwrap().unwrap();
}

#[tokio::test]
async fn outcomes_are_removed_once_their_fences_are_cleared() {
    let vault = vault().await;
    let pool = pool_of(4, &vault.options).await;
    let many: Vec<_> = (0..300_i64)
        .map(|balance| {
            let (cache, pool) = (vault.cache.clone(), pool.clone());
            tokio::spawn(async move {
                let mut tx = begin(&cache, &pool).await.unwrap();
                touch(&tx.recording(), 1);
                set(&mut tx, 1, balance).await.unwrap();
                tx.commit().await.unwrap();
            })
        })
        .collect();
    for one in many {
        one.await.unwrap();
    }
    until("all are removed", async || vault.outcomes().await == 0).await;
}

#[tokio::test]
async fn what_dead_processes_left_is_removed_when_it_is_old() {
    let vault = vault().await;
    vault
        .pool
        .execute(
            "INSERT INTO cache_outcomes VALUES (REPEAT(X'AA', 16), UTC_TIMESTAMP() - INTERVAL 25 HOUR),
                 (REPEAT(X'BB', 16), UTC_TIMESTAMP() - INTERVAL 23 HOUR)",
        )
        .await
        .unwrap();
    vault.change(150).await.commit().await.unwrap();
    until("the older one and the writer's own are removed", async || vault.outcomes().await == 1).await;
    let left: Vec<u8> = sqlx::query_scalar("SELECT id FROM cache_outcomes WHERE id <> REPEAT(X'00', 16)")
        .fetch_one(&vault.pool)
        .await
        .unwrap();
    assert_eq!(left, [0xBB; 16]);
}

/// MariaDB takes the first insert into an empty table for the first of many, in a session that imports a dump, and locks the table.
#[tokio::test]
async fn a_session_without_checks_does_not_hold_up_other_writers() {
    let vault = vault().await;
    let import = pool_of(1, &vault.options).await;
    import.execute("SET unique_checks = 0, foreign_key_checks = 0").await.unwrap();
    vault.spy.marked.close();
    let held = tokio::spawn(vault.change_through(&import, 150).await.commit());
    vault.spy.marked.arrival().await;
    let other = builder(&Spy::default()).build().unwrap();
    let mut tx = begin(&other, &vault.pool).await.unwrap();
    touch(&tx.recording(), 2);
    set(&mut tx, 2, 250).await.unwrap();
    // A lock is waited for much longer than this.
    tokio::time::timeout(std::time::Duration::from_secs(20), tx.commit()).await.expect("it waits").unwrap();
    vault.spy.marked.open();
    held.await.unwrap().unwrap();
}

/// Rows that are locked are neither waited for nor in the way.
#[tokio::test]
async fn removing_does_not_wait_for_writers() {
    let vault = vault().await;
    vault.spy.marked.close();
    let open = tokio::spawn(vault.change(150).await.commit());
    vault.spy.marked.arrival().await;
    assert_eq!(vault.outcomes().await, 0, "not committed, so not seen");
    let other = builder(&Spy::default()).build().unwrap();
    for account in [2, 3] {
        let mut tx = begin(&other, &vault.pool).await.unwrap();
        touch(&tx.recording(), account);
        set(&mut tx, account, 0).await.unwrap();
        tx.commit().await.unwrap();
    }
    until("the others' outcomes are removed", async || vault.outcomes().await == 0).await;
    vault.spy.marked.open();
    open.await.unwrap().unwrap();
    assert_eq!(vault.balance(1).await, 150);
}
