//! A load in the background, on every shape of function that it is promised for; under the lints of a strict crate.

#![deny(
    warnings,
    unused_lifetimes,
    single_use_lifetimes,
    missing_docs,
    unreachable_pub,
    unused_qualifications
)]
#![forbid(unsafe_code, missing_docs)]

use std::borrow::Cow;
use std::sync::Arc;

use cache_core::{Cache, KeyPart, MemoryStore, cached};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A repository of anything.
#[derive(Clone)]
pub struct Repo<T> {
    cache: Cache,
    what: T,
}

/// What can be made of a number.
pub trait Numbered {
    /// Makes it.
    fn numbered(n: u64) -> Self;
}

impl Numbered for u64 {
    fn numbered(n: u64) -> Self {
        n
    }
}

impl<T: Clone + Send + Sync + KeyPart + 'static> Repo<T> {
    /// Of a generic type.
    #[cached(key = "generic:<self.what>:<id>", ttl = "1h", refresh_ahead = "80%")]
    pub async fn generic(&self, id: u64) -> u64 {
        id
    }

    /// Behind an `Arc`.
    #[cached(key = "shared:<id>", ttl = "1h", refresh_ahead = "80%")]
    pub async fn shared(self: &Arc<Self>, id: u64) -> u64 {
        id
    }

    /// With a lifetime that is named.
    #[cached(key = "named:<a>:<b>", ttl = "1h", refresh_ahead = "80%")]
    pub async fn named<'a>(&'a self, a: &'a str, b: &'a [u64]) -> u64 {
        a.len() as u64 + b[0]
    }

    /// Of what lives for ever.
    #[cached(key = "lasting:<name>:<more>", ttl = "1h", stale_while_revalidate = "1m")]
    pub async fn lasting(&self, name: &'static str, more: Cow<'static, str>) -> u64 {
        (name.len() + more.len()) as u64
    }

    /// Of a type that only the caller can say.
    #[cached(key = "said:<id>", ttl = "1h", stale_while_revalidate = "1m")]
    pub async fn said<V, const N: usize>(&self, id: u64) -> V
    where
        V: Numbered + cache_core::Cacheable + Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        V::numbered(id + N as u64)
    }

    /// With a function that borrows.
    #[cached(key = "calls:<id>", ttl = "1h", refresh_ahead = "80%", ignores = [call])]
    pub async fn calls(&self, id: u64, call: Arc<dyn Fn(&str) -> u64 + Send + Sync>) -> u64 {
        id + call("a")
    }

    /// By a word of the language.
    #[cached(key = "raw:<match>", ttl = "1h", refresh_ahead = "80%")]
    pub async fn r#type(&self, r#match: u64) -> u64 {
        r#match
    }

    /// Not to be used.
    #[cached(key = "old:<id>", ttl = "1h", refresh_ahead = "80%")]
    #[deprecated]
    pub async fn old(&self, id: u64) -> u64 {
        id
    }

    /// Not compiled.
    #[cached(key = "absent:<id>", ttl = "1h", refresh_ahead = "80%")]
    #[cfg(any())]
    pub async fn absent(&self, id: u64) -> u64 {
        id
    }
}

/// Another type with a function of the same name.
#[derive(Clone)]
pub struct Other(Cache);

impl AsRef<Cache> for Other {
    fn as_ref(&self) -> &Cache {
        &self.0
    }
}

macro_rules! reads {
    ($name:ident, $key:literal, $type:ty) => {
        /// Made by a macro.
        #[cached(key = $key, ttl = "1h", refresh_ahead = "80%", cache = self.0)]
        pub async fn $name(&self, id: $type) -> u64 {
            u64::from(id)
        }
    };
}

impl Other {
    reads!(generic, "other:<id>", u32);
}

/// A free one.
#[cached(key = "free:<id>:<name>", ttl = "1h", stale_while_revalidate = "1m")]
pub async fn free(cache: &Cache, id: u64, name: &str) -> u64 {
    id + name.len() as u64
}

fn cache() -> Cache {
    Cache::builder("ui").store(MemoryStore::default()).build().expect("a store and a good name")
}

#[tokio::test]
async fn all_of_them_can_be_called() {
    let repo = Arc::new(Repo { cache: cache(), what: 3_u64 });
    assert_eq!(repo.generic(1).await, 1);
    assert_eq!(repo.shared(1).await, 1);
    assert_eq!(repo.named("ab", &[1]).await, 3);
    assert_eq!(repo.lasting("ab", "c".into()).await, 3);
    assert_eq!(repo.said::<u64, 2>(1).await, 3);
    assert_eq!(repo.calls(1, Arc::new(|text| text.len() as u64)).await, 2);
    assert_eq!(repo.r#type(1).await, 1);
    #[allow(deprecated, reason = "it is what is tested")]
    let old = repo.old(1).await;
    assert_eq!(old, 1);
    assert_eq!(Other(cache()).generic(1).await, 1);
    assert_eq!(free(&repo.cache, 1, "ab").await, 3);
}
