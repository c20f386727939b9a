//! The L1 through the attributes: which calls share an entry, and which must not.

mod over_redis;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{Cache, Cacheable, KeyPart, MemoryStore, RedisStore, WriteError, cached, invalidates};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Cacheable)]
#[cacheable(key = "user:<id>")]
struct User {
    id: i64,
    name: String,
    team: String,
    seen: u64,
}

/// How often bodies ran, and what they saw.
#[derive(Clone, Debug)]
struct Users {
    cache: Cache,
    tenant: String,
    team: &'static str,
    row: Arc<AtomicU64>,
    loads: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, KeyPart)]
struct Id(i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, KeyPart)]
struct Place {
    shelf: u8,
    row: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, KeyPart)]
enum Size {
    Small,
    Large,
}

impl Users {
    fn new() -> Self {
        let cache = Cache::builder("t").store(MemoryStore::default()).l1(1_000).build().unwrap();
        Self { cache, tenant: "a".into(), team: "red", row: Arc::default(), loads: Arc::default() }
    }

    fn load(&self) -> u64 {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.row.load(Ordering::SeqCst)
    }

    fn user(&self, id: i64) -> User {
        User { id, name: "Ada".into(), team: self.team.into(), seen: self.load() }
    }

    #[cached(key = "user:<id>", ttl = "1h")]
    async fn find(&self, id: i64) -> Arc<User> {
        Arc::new(self.user(id))
    }

    /// The same entry of the store.
    #[cached(key = User, ttl = "1h")]
    async fn find_typed(&self, id: i64) -> User {
        self.user(id)
    }

    #[cached(key = "<self.tenant>:maybe:<id.0>", ttl = "1h")]
    async fn maybe(&self, id: Id) -> Result<Option<Arc<User>>, std::io::Error> {
        Ok((id != Id(0)).then(|| Arc::new(self.user(id.0))))
    }

    #[cached(key = "tagged:<id>", ttl = "1h", tags = ["team:<self.team>"])]
    async fn tagged(&self, id: i64) -> u64 {
        let _ = id;
        self.load()
    }

    #[cached(key = "named:<id>", ttl = "1h", tags = ["team:<return.team>"])]
    async fn naming(&self, id: i64) -> User {
        self.user(id)
    }

    #[cached(key = "place:<place>:<size>", ttl = "1h")]
    async fn placed(&self, place: Place, size: Size) -> u64 {
        let _ = (place, size);
        self.load()
    }

    #[cached(key = "text:<text>:<more>", ttl = "1h")]
    async fn texts(&self, text: &str, more: Vec<Option<String>>) -> String {
        self.load();
        format!("{text}{more:?}")
    }

    #[cached(key = "apart:<id>", ttl = "1h", l1 = false)]
    async fn apart(&self, id: i64) -> u64 {
        let _ = id;
        self.load()
    }

    #[cached(key = "ahead:<id>:<name>", ttl = "1h", refresh_ahead = "99%")]
    async fn ahead(&self, id: i64, name: String) -> String {
        format!("{id}{name}{}", self.load())
    }

    #[cached(key = "generic:<id>", ttl = "1h")]
    async fn generic<T: From<u8> + Clone + Cacheable>(&self, id: i64) -> T {
        let _ = (id, self.load());
        T::from(7)
    }

    #[invalidates(key = "user:<id>")]
    async fn rename(&self, id: i64) -> Result<(), WriteError> {
        let _ = id;
        self.row.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    #[invalidates(tag = "team:<self.team>")]
    async fn regroup(&self) -> Result<(), WriteError> {
        self.row.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    fn hits(&self) -> u64 {
        self.cache.stats().l1().hits
    }
}

#[tokio::test]
async fn a_read_is_served_the_same_value_until_it_is_written() {
    let users = Users::new();
    let first = users.find(1).await;
    assert!(Arc::ptr_eq(&first, &users.find(1).await), "the value itself, and no copy");
    assert_eq!((users.loads(), users.hits()), (1, 1));
    users.rename(1).await.unwrap();
    assert_eq!(users.find(1).await.seen, 1);
    assert_eq!((users.find_typed(1).await.seen, users.find_typed(1).await.seen), (1, 1));
    users.rename(1).await.unwrap();
    assert_eq!((users.find(1).await.seen, users.find_typed(1).await.seen), (2, 2));
    assert_eq!(users.find(2).await.id, 2);
}

#[tokio::test]
async fn a_part_of_the_holder_in_the_key_tells_calls_apart() {
    let users = Users::new();
    let other = Users { tenant: "b".into(), ..users.clone() };
    for _ in 0..2 {
        users.maybe(Id(1)).await.unwrap();
        other.maybe(Id(1)).await.unwrap();
        assert_eq!(users.maybe(Id(0)).await.unwrap(), None);
    }
    assert_eq!((users.loads(), users.hits()), (2, 3));
}

#[tokio::test]
async fn a_part_of_the_holder_in_a_tag_tells_calls_apart() {
    let users = Users::new();
    let other = Users { team: "blue", ..users.clone() };
    assert_eq!(users.tagged(1).await, 0);
    users.row.store(5, Ordering::SeqCst);
    assert_eq!(other.tagged(1).await, 5, "an entry under another tag is none of its own");
    assert_eq!((users.tagged(1).await, other.tagged(1).await, users.hits()), (0, 5, 2));
    other.regroup().await.unwrap();
    assert_eq!((users.tagged(1).await, other.tagged(1).await), (0, 6));
}

#[tokio::test]
async fn a_tag_that_only_the_value_names_ends_it() {
    let users = Users::new();
    for _ in 0..4 {
        users.naming(1).await;
    }
    assert_eq!((users.loads(), users.hits()), (2, 2), "the first load learns the tag, the second is stored");
    users.regroup().await.unwrap();
    assert_eq!(users.naming(1).await.seen, 1);
}

#[tokio::test]
async fn every_argument_counts() {
    let users = Users::new();
    let (here, there) = (Place { shelf: 1, row: 2 }, Place { shelf: 2, row: 1 });
    for _ in 0..2 {
        for place in [here, there] {
            users.placed(place, Size::Small).await;
            users.placed(place, Size::Large).await;
        }
    }
    assert_eq!((users.loads(), users.hits()), (4, 4));
    let texts =
        [("a", vec![]), ("a", vec![None]), ("a", vec![Some(String::new())]), ("", vec![Some("a".into())])];
    for _ in 0..2 {
        for (text, more) in &texts {
            assert_eq!(users.texts(text, more.clone()).await, format!("{text}{more:?}"));
        }
        let long = "x".repeat(500);
        assert_eq!(users.texts(&long, vec![]).await, format!("{long}[]"));
    }
    assert_eq!((users.loads(), users.hits()), (9, 9));
}

#[tokio::test]
async fn a_reader_is_served_too() {
    let users = Users::new();
    let loads = users.loads.clone();
    let double = move |id: i64, name: String| {
        let loads = loads.clone();
        async move {
            loads.fetch_add(1, Ordering::SeqCst);
            format!("{id}{name}")
        }
    };
    let reader = users.cache.reader("double:<id>:<name>", Duration::from_secs(60), double).unwrap();
    for _ in 0..3 {
        assert_eq!(reader.get((1, "x".to_owned())).await, "1x");
        assert_eq!(reader.get((2, "x".to_owned())).await, "2x");
    }
    assert_eq!((users.loads(), users.hits()), (2, 4));
}

#[tokio::test]
async fn a_function_may_stay_out_of_it() {
    let users = Users::new();
    for _ in 0..3 {
        users.apart(1).await;
    }
    assert_eq!((users.loads(), users.hits(), users.cache.stats().l1().entries), (1, 0, 0));
}

#[tokio::test]
async fn a_function_that_may_be_called_again_is_served_too() {
    let users = Users::new();
    for _ in 0..3 {
        assert_eq!(users.ahead(1, "x".into()).await, "1x0");
    }
    assert_eq!((users.loads(), users.hits()), (1, 2));
}

#[tokio::test]
async fn the_types_of_a_generic_function_are_told_apart() {
    let users = Users::new();
    for _ in 0..3 {
        assert_eq!((users.generic::<u64>(1).await, users.generic::<i32>(1).await), (7, 7));
    }
    assert_eq!((users.loads(), users.hits()), (2, 4));
}
