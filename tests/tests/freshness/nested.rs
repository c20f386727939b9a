//! A cached function that calls another one, and a write that names both. What a store does for several subjects is not one
//! step: somebody may come in between.

use std::sync::Arc;

use cache_core::store::*;
use cache_core::subject::{EntryKey, Subject, Token};
use cache_core::{Cache, RedisStore, cached, invalidates};
use cache_sqlx::PgTx;
use cache_test_support::Redis;

use crate::gates::{Gates, Held, Point};
use crate::repository::{User, Users};
use crate::world::{Instance, LIMIT, World};

#[derive(Clone, Debug)]
struct Cards {
    cache: Cache,
    users: Users,
}

impl Cards {
    #[cached(key = "card:<id>", ttl = "1h")]
    async fn card(&self, id: i64) -> sqlx::Result<Option<String>> {
        Ok(self.users.find(id).await?.map(|user| format!("card of {}", user.name)))
    }

    #[invalidates(keys = ["card:<id>", "user:<id>"], begin = self.users.pool)]
    async fn rename(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<Option<User>> {
        let update = "UPDATE users SET name = $2 WHERE id = $1 RETURNING *";
        sqlx::query_as(update).bind(id).bind(name).fetch_optional(&mut *tx).await
    }
}

fn cards(instance: &Instance) -> Cards {
    Cards { cache: instance.cache.clone(), users: instance.users.clone() }
}

/// Redis, but what is done for several subjects is done for one after the other, and a script may stop it in between: as
/// in a pipeline that arrives in two packets, or on two nodes.
#[derive(Clone, Debug)]
struct OneByOne {
    redis: RedisStore,
    /// Passed after each subject.
    after_mark: Arc<Gates>,
    after_clear: Arc<Gates>,
}

impl Store for OneByOne {
    fn get<'a>(&'a self, key: &'a EntryKey, tags: &'a [Subject]) -> StoreResult<'a, Found> {
        self.redis.get(key, tags)
    }

    fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> StoreResult<'a, Leased> {
        self.redis.lease(request)
    }

    fn fill<'a>(&'a self, request: FillRequest<'a>) -> StoreResult<'a, Filled> {
        self.redis.fill(request)
    }

    fn release<'a>(&'a self, key: &'a EntryKey, token: Token) -> StoreResult<'a, ()> {
        self.redis.release(key, token)
    }

    fn mark<'a>(&'a self, request: MarkRequest<'a>) -> StoreResult<'a, Marked> {
        Box::pin(async move {
            let (mut epochs, mut now) = (Vec::new(), None);
            for subject in request.subjects {
                let one = MarkRequest { subjects: std::slice::from_ref(subject), ..request };
                let marked = self.redis.mark(one).await?;
                epochs.extend(marked.epochs);
                now = Some(marked.now);
                self.after_mark.pass(Point::Committed).await;
            }
            Ok(Marked {
                epochs,
                now: now.unwrap_or_default(),
                queued: Vec::new(),
                sharers: cache_core::bus::Sharers::default(),
            })
        })
    }

    fn clear<'a>(&'a self, request: ClearRequest<'a>) -> StoreResult<'a, Cleared> {
        Box::pin(async move {
            let (mut intact, mut installed) = (true, 0);
            for subject in request.subjects {
                let one = ClearRequest { subjects: std::slice::from_ref(subject), ..request };
                let cleared = self.redis.clear(one).await?;
                intact &= cleared.intact;
                installed += cleared.installed;
                self.after_clear.pass(Point::Committed).await;
            }
            Ok(Cleared { intact, installed })
        })
    }

    fn describe(&self) -> String {
        self.redis.describe()
    }
}

struct Scene {
    /// Has to live as long as its connections.
    _redis: Redis,
    world: World,
    writer: Cards,
    reader: Cards,
    store: OneByOne,
}

async fn scene() -> Scene {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.pair().await;
    let plain = RedisStore::connect(&world.redis).await.unwrap();
    let store = OneByOne { redis: plain, after_mark: Arc::default(), after_clear: Arc::default() };
    let builder = Cache::builder(&world.namespace).store(store.clone());
    let cache = builder.read_deadline(LIMIT).mark_deadline(LIMIT).clear_wait(LIMIT).build().unwrap();
    let users = Users { cache: cache.clone(), ..a.users.clone() };
    Scene { _redis: redis, world, writer: Cards { cache, users }, reader: cards(&b), store }
}

impl Scene {
    fn spawn_rename(&self) -> tokio::task::JoinHandle<()> {
        let writer = self.writer.clone();
        tokio::spawn(async move { drop(writer.rename(1, "new").await.unwrap()) })
    }

    async fn card(&self) -> String {
        self.reader.card(1).await.unwrap().unwrap()
    }
}

async fn write_held_at(scene: &Scene, held: &Held) -> tokio::task::JoinHandle<()> {
    let write = scene.spawn_rename();
    held.reached().await;
    write
}

#[tokio::test]
async fn an_outer_value_made_of_an_inner_one_is_fresh_though_a_reader_came_between_the_subjects() {
    for marking in [true, false] {
        let scene = scene().await;
        assert_eq!((scene.card().await, scene.card().await), ("card of old".into(), "card of old".into()));
        let gates = if marking { &scene.store.after_mark } else { &scene.store.after_clear };
        let held = gates.hold(Point::Committed);
        let write = write_held_at(&scene, &held).await;
        assert_eq!(scene.card().await, if marking { "card of old" } else { "card of new" });
        held.release();
        write.await.unwrap();
        assert_eq!(scene.card().await, "card of new");
    }
}

/// The fences are lost, so the inner entry is old until it is cleared; the outer one, cleared a moment before, must not be
/// filled with it.
#[tokio::test]
async fn an_outer_value_is_fresh_though_the_fences_were_lost_and_a_reader_came_between_the_clears() {
    let scene = scene().await;
    let (marked, cleared) =
        (scene.store.after_mark.hold(Point::Committed), scene.store.after_clear.hold(Point::Committed));
    let write = write_held_at(&scene, &marked).await;
    // The second subject is marked after this.
    let second = scene.store.after_mark.hold(Point::Committed);
    marked.release();
    second.reached().await;
    let _: String = scene.world.tell(&["FLUSHALL"]).await;
    assert_eq!(scene.reader.users.find(1).await.unwrap().unwrap().name, "old", "it is filled");
    second.release();
    cleared.reached().await;
    // The outer entry is cleared, the inner one is not.
    let between = scene.card().await;
    cleared.release();
    write.await.unwrap();
    assert_eq!(scene.card().await, "card of new", "it was `{between}` between the clears");
}
