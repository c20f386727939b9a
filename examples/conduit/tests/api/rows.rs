//! The repositories alone: what a write reports to have changed, also when two writes meet.

use std::future::Future;
use std::time::Duration;

use cache_core::{Cache, MemoryStore};
use cache_sqlx::begin;
use conduit::repo::{ArticleChange, Articles, Favorites, NewArticle, NewUser, User, UserChange, Users};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::time::timeout;

use crate::harness::World;

async fn own(world: &World) -> (Cache, PgPool) {
    let pool = PgPoolOptions::new().max_connections(4).connect(world.database_url()).await.unwrap();
    (Cache::builder("rows").store(MemoryStore::default()).build().unwrap(), pool)
}

async fn user(cache: &Cache, pool: &PgPool, name: &str) -> User {
    let new = NewUser { username: name.into(), email: format!("{name}@x"), password_hash: "x".into() };
    let mut tx = begin(cache, pool).await.unwrap();
    let user = Users::new(cache.clone(), pool.clone()).create(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
    user
}

fn draft(title: &str) -> NewArticle {
    let (slug, title) = (title.to_lowercase(), title.to_owned());
    NewArticle { slug, title, description: "x".into(), body: "x".into(), tag_list: vec!["t".into()] }
}

/// Starts `second`, waits until it stands behind a lock of Postgres, runs `first`, and returns what `second` said.
async fn meet<T: Send + 'static>(
    pool: &PgPool,
    second: impl Future<Output = T> + Send + 'static,
    first: impl Future<Output = ()>,
) -> T {
    let second = tokio::spawn(second);
    let waiting = async {
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(pool)
            .await
            .unwrap();
            if waiting > 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), waiting).await.expect("the second write never had to wait");
    first.await;
    second.await.unwrap()
}

#[tokio::test]
async fn a_rename_that_waited_for_another_reports_the_name_it_replaced() {
    let world = World::new().await;
    let (cache, pool) = own(&world).await;
    let id = user(&cache, &pool, "one").await.id;
    let rename = |name: &str| UserChange {
        username: Some(name.into()),
        email: Some(format!("{name}@x")),
        ..UserChange::default()
    };
    let users = Users::new(cache.clone(), pool.clone());
    let mut first = begin(&cache, &pool).await.unwrap();
    let renamed = users.update(&mut first, id, &rename("two")).await.unwrap();
    assert_eq!((renamed.old_username.as_str(), renamed.username.as_str()), ("one", "two"));

    let (own_cache, own_pool, change) = (cache.clone(), pool.clone(), rename("three"));
    let second = async move {
        let mut tx = begin(&own_cache, &own_pool).await.unwrap();
        let renamed = users.update(&mut tx, id, &change).await.unwrap();
        tx.commit().await.unwrap();
        renamed
    };
    let renamed = meet(&pool, second, async { first.commit().await.unwrap() }).await;
    assert_eq!((renamed.old_username.as_str(), renamed.username.as_str()), ("two", "three"));
    assert_eq!((renamed.old_email.as_str(), renamed.email.as_str()), ("two@x", "three@x"));
    world.close().await;
}

#[tokio::test]
async fn a_new_title_that_waited_for_another_reports_the_slug_it_replaced() {
    let world = World::new().await;
    let (cache, pool) = own(&world).await;
    let author = user(&cache, &pool, "jake").await.id;
    let articles = Articles::new(cache.clone(), pool.clone());
    let mut tx = begin(&cache, &pool).await.unwrap();
    let id = articles.create(&mut tx, author, &draft("One")).await.unwrap().id;
    tx.commit().await.unwrap();

    let retitle = |title: &str| ArticleChange {
        title: Some((title.into(), title.to_lowercase())),
        ..ArticleChange::default()
    };
    let mut first = begin(&cache, &pool).await.unwrap();
    let moved = articles.update(&mut first, id, &retitle("Two")).await.unwrap();
    assert_eq!((moved.old_slug.as_str(), moved.slug.as_str()), ("one", "two"));

    let (own_cache, own_pool, change) = (cache.clone(), pool.clone(), retitle("Three"));
    let second = async move {
        let mut tx = begin(&own_cache, &own_pool).await.unwrap();
        let moved = articles.update(&mut tx, id, &change).await.unwrap();
        tx.commit().await.unwrap();
        moved
    };
    let moved = meet(&pool, second, async { first.commit().await.unwrap() }).await;
    assert_eq!((moved.old_slug.as_str(), moved.slug.as_str()), ("two", "three"));
    world.close().await;
}

#[tokio::test]
async fn a_change_that_keeps_the_names_reports_them_as_old_and_new() {
    let world = World::new().await;
    let (cache, pool) = own(&world).await;
    let id = user(&cache, &pool, "one").await.id;
    let mut tx = begin(&cache, &pool).await.unwrap();
    let change = UserChange { bio: Some(Some("x".into())), ..UserChange::default() };
    let renamed = Users::new(cache.clone(), pool.clone()).update(&mut tx, id, &change).await.unwrap();
    assert_eq!((renamed.old_username, renamed.old_email), (renamed.username, renamed.email));
    world.close().await;
}

#[tokio::test]
async fn a_deleted_article_reports_its_slug_and_takes_its_favourites_along() {
    let world = World::new().await;
    let (cache, pool) = own(&world).await;
    let author = user(&cache, &pool, "jake").await.id;
    let (articles, favorites) =
        (Articles::new(cache.clone(), pool.clone()), Favorites::new(cache.clone(), pool.clone()));
    let mut tx = begin(&cache, &pool).await.unwrap();
    let article = articles.create(&mut tx, author, &draft("One")).await.unwrap();
    favorites.add(&mut tx, author, article.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(favorites.of_user(author).await.unwrap(), [article.id]);
    assert_eq!(articles.find(article.id).await.unwrap().unwrap().favorites_count, 1);

    let mut tx = begin(&cache, &pool).await.unwrap();
    let removed = articles.delete(&mut tx, article.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((removed.slug.as_str(), removed.author_id), ("one", author));
    assert_eq!(favorites.of_user(author).await.unwrap(), [] as [i64; 0]);
    assert_eq!(articles.id_by_slug("one").await.unwrap(), None);
    world.close().await;
}

#[tokio::test]
async fn what_a_creation_returns_is_what_a_read_finds() {
    let world = World::new().await;
    let (cache, pool) = own(&world).await;
    let created = user(&cache, &pool, "jake").await;
    assert_eq!(
        Users::new(cache.clone(), pool.clone()).find(created.id).await.unwrap(),
        Some(created.clone())
    );
    let articles = Articles::new(cache.clone(), pool.clone());
    let mut tx = begin(&cache, &pool).await.unwrap();
    let article = articles.create(&mut tx, created.id, &draft("One")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(articles.find(article.id).await.unwrap(), Some(article.clone()));
    assert_eq!(
        articles.find_many(&[article.id, -1]).await.unwrap().into_values().collect::<Vec<_>>(),
        [article]
    );
    world.close().await;
}
