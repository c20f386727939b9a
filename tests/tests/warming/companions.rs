//! The functions that `#[cached]` writes beside methods, and `warmed` around all others.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use cache_core::{Cache, MemoryStore, Warmed, bypass, cached, refresh, warmed};
use tokio::sync::Semaphore;

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_companion_fills_what_is_missing_and_leaves_what_is_there() {
    let world = World::new();
    let a = world.instance();
    assert_eq!([a.warm_find(1).await, a.warm_find(1).await], [Warmed::Filled, Warmed::Present]);
    assert_eq!(a.find(1).await, Ok(Some(1)));
    assert_eq!(world.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fenced_key_is_loaded_and_not_filled_and_that_is_told() {
    let world = World::new();
    let (a, gate) = (world.instance(), Arc::new(Semaphore::new(0)));
    let write = {
        let (a, gate) = (a.clone(), gate.clone());
        tokio::spawn(async move { a.rename_slowly(1, &gate).await })
    };
    while world.store.count(cache_core::testkit::Command::Mark) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(a.warm_find(1).await, Warmed::Fenced);
    gate.add_permits(1);
    write.await.unwrap().unwrap();
    assert_eq!(a.warm_find(1).await, Warmed::Filled, "nothing was stored past the fence");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_as_one() {
    let a = World::new().instance();
    assert_eq!([a.warm_find(-1).await, a.warm_find(-1).await], [Warmed::Failed; 2]);
}

#[tokio::test(start_paused = true)]
async fn what_no_store_takes_is_told_as_not_stored() {
    let world = World::new();
    let a = world.instance();
    world.store.down();
    assert_eq!(a.warm_find(1).await, Warmed::Unstored);
    world.store.up();
    assert_eq!(bypass(a.warm_find(2)).await, Warmed::Unstored);
    assert_eq!(warmed(async {}).await, Warmed::Unstored, "it made no cached call");
}

#[tokio::test(start_paused = true)]
async fn several_calls_are_as_warm_as_the_coldest() {
    let world = World::new();
    let a = world.instance();
    a.warm_find(1).await;
    let page = async |ids: [i64; 2]| warmed(async { (a.find(ids[0]).await, a.find(ids[1]).await) }).await;
    assert_eq!(page([1, 2]).await, Warmed::Filled);
    assert_eq!(page([1, 2]).await, Warmed::Present);
    assert_eq!(page([-1, 1]).await, Warmed::Failed);
}

#[tokio::test(start_paused = true)]
async fn under_refresh_a_companion_loads_although_the_entry_stands() {
    let world = World::new();
    let a = world.instance();
    a.warm_find(1).await;
    a.source.value.store(5, SeqCst);
    assert_eq!(refresh(a.warm_find(1)).await, Warmed::Filled);
    assert_eq!(a.find(1).await, Ok(Some(6)));
}

struct Shapes {
    cache: Cache,
}

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Shapes {
    #[cached(key = "generic:<id>:<text>", ttl = "1h", ignores = [_unused])]
    pub async fn generic<T, const N: usize>(
        &self,
        mut id: i64,
        text: impl AsRef<str> + cache_core::KeyPart,
        _unused: &[T; N],
    ) -> Arc<Vec<String>>
    where
        T: Sync,
    {
        id += i64::try_from(N).unwrap_or(0);
        Arc::new(vec![text.as_ref().repeat(usize::try_from(id).unwrap_or(0))])
    }

    #[cached(key = "boxed:<id>", ttl = "1h")]
    pub(crate) fn boxed<'a>(&'a self, id: &'a str, _: u8) -> BoxFuture<'a, String> {
        Box::pin(async move { id.to_owned() })
    }

    #[cached(key = "owned:<id>", ttl = "1h")]
    pub async fn owned(self: Arc<Self>, id: i64) -> i64 {
        id
    }

    #[cached(key = "raw:<r#type>", ttl = "1h")]
    pub async fn r#match(&self, r#type: u8) -> u8 {
        r#type
    }

    #[cached(key = "private:<id>", ttl = "1h", warm = true)]
    async fn private(&self, id: i64) -> i64 {
        id
    }

    #[cached(key = "left-out:<id>", ttl = "1h", warm = false)]
    pub async fn left_out(&self, id: i64) -> i64 {
        id
    }

    pub async fn warm_left_out(&self, id: i64) -> i64 {
        self.left_out(id).await
    }
}

#[cached(key = "free:<id>", ttl = "1h")]
pub async fn free(cache: &Cache, id: i64) -> i64 {
    id
}

#[tokio::test]
async fn every_shape_of_method_has_one() {
    let cache = Cache::builder("warm").store(MemoryStore::default()).build().unwrap();
    let shapes = Arc::new(Shapes { cache: cache.clone() });
    for wanted in [Warmed::Filled, Warmed::Present] {
        assert_eq!(shapes.warm_generic::<u8, 2>(1, "x", &[1, 2]).await, wanted);
        assert_eq!(shapes.warm_boxed("x", 1).await, wanted);
        assert_eq!(shapes.clone().warm_owned(1).await, wanted);
        assert_eq!(shapes.warm_match(1).await, wanted);
        assert_eq!(shapes.warm_private(1).await, wanted);
        assert_eq!(warmed(free(&cache, 1)).await, wanted);
    }
    assert_eq!(shapes.warm_left_out(7).await, 7, "a method of that name may stand there");
    assert_eq!(cache.stats().total().loads, 7);
}
