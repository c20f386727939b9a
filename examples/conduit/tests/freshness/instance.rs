//! The repositories twice, over one Postgres and one Redis.

use std::time::Duration;

use cache_core::{Cache, RedisStore};
use cache_sqlx::PgTx;
use conduit::repo::{
    Article, Articles, Comments, Favorites, Follows, NewArticle, NewUser, Tags, Users, Window,
};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// One process's view.
pub(crate) struct Instance {
    pub(crate) cache: Cache,
    pool: PgPool,
    pub(crate) users: Users,
    pub(crate) follows: Follows,
    pub(crate) articles: Articles,
    pub(crate) favorites: Favorites,
    pub(crate) comments: Comments,
    pub(crate) tags: Tags,
}

/// A write on an instance, in a transaction of its own: `on!(a, users.create(&new))`.
macro_rules! on {
    ($instance:expr, $repository:ident.$write:ident($($argument:expr),* $(,)?)) => {
        async {
            let mut tx = $instance.begin().await;
            let written = $instance.$repository.$write(&mut tx, $($argument),*).await.unwrap();
            tx.commit().await.unwrap();
            written
        }
    };
}
pub(crate) use on;

/// A page that shows everything these tests write.
pub(crate) const PAGE: Window = Window { limit: 20, offset: 0 };

/// Two instances over a new database. Numbers begin with 1 and count up.
pub(crate) async fn two() -> [Instance; 2] {
    let database_url = cache_test_support::fresh_database().unwrap();
    let namespace = cache_test_support::unique_name("conduit");
    let a = Instance::start(&database_url, &namespace).await;
    sqlx::migrate!().run(&a.pool).await.unwrap();
    [a, Instance::start(&database_url, &namespace).await]
}

impl Instance {
    async fn start(database_url: &str, namespace: &str) -> Self {
        let pool = PgPoolOptions::new().max_connections(2).connect(database_url).await.unwrap();
        let store = RedisStore::connect(&cache_test_support::redis_url().unwrap()).await.unwrap();
        // However busy the machine is, a load must mean that there was no entry.
        let builder = Cache::builder(namespace).read_deadline(Duration::from_secs(10));
        let cache = builder.store(store).build().unwrap();
        Self {
            users: Users::new(cache.clone(), pool.clone()),
            follows: Follows::new(cache.clone(), pool.clone()),
            articles: Articles::new(cache.clone(), pool.clone()),
            favorites: Favorites::new(cache.clone(), pool.clone()),
            comments: Comments::new(cache.clone(), pool.clone()),
            tags: Tags::new(cache.clone(), pool.clone()),
            cache,
            pool,
        }
    }

    pub(crate) async fn begin(&self) -> PgTx<'static> {
        cache_sqlx::begin(&self.cache, &self.pool).await.unwrap()
    }

    /// Adds an account; returns its number.
    pub(crate) async fn register(&self, name: &str) -> i64 {
        on!(self, users.create(&account(name))).await.id
    }

    /// Publishes an article that carries one tag.
    pub(crate) async fn publish(&self, author_id: i64, title: &str, tag: &str) -> Article {
        on!(self, articles.create(author_id, &draft(title, tag))).await
    }
}

/// An account to add.
pub(crate) fn account(name: &str) -> NewUser {
    NewUser { username: name.into(), email: format!("{name}@x"), password_hash: "x".into() }
}

/// An article to publish, with its title in small letters as its slug.
pub(crate) fn draft(title: &str, tag: &str) -> NewArticle {
    let (slug, title) = (title.to_lowercase(), title.to_owned());
    NewArticle { slug, title, description: "x".into(), body: "x".into(), tag_list: vec![tag.into()] }
}
