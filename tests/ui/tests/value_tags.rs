//! Tags that the value names, through `Option`, `Result`, `Arc` and sequences.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cache_core::{Cache, MemoryStore, WriteError, cached, invalidates};
use cache_ui_tests::{Failure, User};

struct Repo {
    cache: Cache,
    tenant: String,
    loads: AtomicU32,
}

fn repo() -> Repo {
    let cache = Cache::builder("ui").store(MemoryStore::default()).build().expect("a store and a good name");
    Repo { cache, tenant: "acme".into(), loads: AtomicU32::new(0) }
}

impl Repo {
    fn loaded(&self) -> User {
        self.loads.fetch_add(1, Ordering::Relaxed);
        User::numbered(7)
    }

    #[cached(key = "alone:<at>", ttl = "1h", tags = ["named:<return.name>", "static"])]
    async fn alone(&self, at: u8) -> User {
        let _ = at;
        self.loaded()
    }

    #[cached(key = "wrapped:<at>", ttl = "1h", tag = "named:<return.name>")]
    async fn wrapped(&self, at: u8) -> Result<Option<Arc<User>>, Failure> {
        let _ = at;
        Ok(Some(Arc::new(self.loaded())))
    }

    #[cached(
        key = "each:<self.tenant>:<at>",
        ttl = "1h",
        tag = "of:<self.tenant>:user:<return.id>:<return.name>:x"
    )]
    async fn each(&self, at: Box<u8>) -> Result<Arc<Vec<User>>, Failure> {
        let at = i64::from(*at);
        Ok(Arc::new(vec![self.loaded(), User::numbered(at)]))
    }

    #[cached(key = "itself:<moved>", ttl = "1h", tag = "moved:<moved>:<return>")]
    async fn itself(&self, moved: String) -> Vec<String> {
        self.loaded();
        vec![moved]
    }

    #[invalidates(tag = "named:<name>")]
    async fn named(&self, name: &str) -> Result<(), WriteError> {
        let _ = name;
        Ok(())
    }

    #[invalidates(tag = "of:<self.tenant>:user:<user.id>:<user.name>:x")]
    async fn of(&self, user: &User) -> Result<(), WriteError> {
        let _ = user;
        Ok(())
    }

    #[invalidates(tag = "moved:<a>:<b>")]
    async fn moved(&self, a: &str, b: &str) -> Result<(), WriteError> {
        let _ = (a, b);
        Ok(())
    }

    /// Reads until nothing is loaded any more, and how often that took.
    async fn loads_of<T>(&self, read: impl AsyncFn() -> T) -> u32 {
        let before = self.loads.load(Ordering::Relaxed);
        for _ in 0..4 {
            read().await;
        }
        self.loads.load(Ordering::Relaxed) - before
    }
}

#[tokio::test]
async fn a_write_that_names_a_field_of_the_value_invalidates_it() {
    let repo = repo();
    let alone = async || repo.alone(1).await;
    assert_eq!(repo.loads_of(alone).await, 2, "the first learns the tag");
    repo.named("user 8").await.unwrap();
    assert_eq!(repo.loads_of(alone).await, 0);
    repo.named("user 7").await.unwrap();
    assert_eq!(repo.loads_of(alone).await, 1);
}

#[tokio::test]
async fn tags_are_found_behind_result_option_and_arc() {
    let repo = repo();
    let wrapped = async || repo.wrapped(1).await.unwrap().unwrap();
    assert_eq!(repo.loads_of(wrapped).await, 2);
    repo.named("user 7").await.unwrap();
    assert_eq!(repo.loads_of(wrapped).await, 1);
}

#[tokio::test]
async fn each_element_of_a_sequence_names_a_tag() {
    let repo = repo();
    let each = async || repo.each(Box::new(9)).await.unwrap();
    assert_eq!(repo.loads_of(each).await, 2);
    for (id, loads) in [(7, 1), (9, 1), (8, 0)] {
        repo.of(&User::numbered(id)).await.unwrap();
        assert_eq!(repo.loads_of(each).await, loads, "{id}");
    }
}

#[tokio::test]
async fn a_tag_may_hold_an_argument_that_the_body_moves_and_anything_else() {
    let repo = repo();
    let odd = "a:b<return>~";
    let itself = async || repo.itself(odd.into()).await;
    assert_eq!(repo.loads_of(itself).await, 2);
    repo.moved("a", odd).await.unwrap();
    assert_eq!(repo.loads_of(itself).await, 0);
    repo.moved(odd, odd).await.unwrap();
    assert_eq!(repo.loads_of(itself).await, 1);
}
