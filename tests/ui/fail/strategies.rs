//! Options of a policy that contradict each other or cannot be meant.

use cache_core::{Cache, WriteError, cached, invalidates};

#[derive(Clone)]
struct Prices {
    cache: Cache,
}

#[derive(Debug)]
struct Refused;

impl Prices {
    #[cached(key = "a:<id>", ttl = "1h", refresh_ahead = "120%")]
    async fn a(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "b:<id>", ttl = "1h", refresh_ahead = "80%", stampede = "xfetch")]
    async fn b(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "c:<id>", ttl = "1h", stale_if_error = "1h", soft_timeout = "2s", hard_timeout = "1s")]
    async fn c(&self, id: i64) -> Result<u64, Refused> {
        Ok(0)
    }

    #[cached(key = "d:<id>", ttl = "1h", soft_timeout = "2s")]
    async fn d(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "e:<id>", ttl = "1h", on_wait = "stale")]
    async fn e(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "f:<id>", ttl = "1h", stampede = "none", on_wait = "load")]
    async fn f(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "g:<id>", ttl = "1h", refresh = "later")]
    async fn g(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "h:<id>")]
    async fn h(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "i:<id>", ttl = "1h", cache_err = "NotFound")]
    async fn i(&self, id: i64) -> Result<u64, Refused> {
        Err(Refused)
    }

    #[cached(key = "j:<id>", ttl = "1h", cache_err = Refused)]
    async fn j(&self, id: i64) -> Result<Option<u64>, Refused> {
        Err(Refused)
    }

    #[cached(key = "k:<id>", ttl = "1h", stale_while_revalidate = "1m")]
    async fn k(&self, id: impl cache_core::KeyPart) -> u64 {
        0
    }

    #[cached(key = "l:<id>", ttl = "1h", stale_if_error = "1h", soft_timeout = "1s", refresh = "inline")]
    async fn l(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "m:<id>", ttl = "1h", on_wait = "wait(5)")]
    async fn m(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "n:<names>", ttl = "1h", refresh_ahead = "80%")]
    async fn n(&self, names: &[&str]) -> u64 {
        0
    }

    #[cached(key = "o:<name>", ttl = "1h", refresh_ahead = "80%")]
    async fn o(&self, name: std::borrow::Cow<'_, str>) -> u64 {
        0
    }

    #[cached(key = "p:<id>", ttl = "10s", bounded = "11s")]
    async fn p(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "q:<id>", ttl = "10s", bounded = "0s")]
    async fn q(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "r:<id>", ttl = "10s", bounded = "1s")]
    async fn r(&self, id: impl cache_core::KeyPart) -> u64 {
        0
    }

    #[cached(key = "s:<id>", ttl = "10s", bounded = "10%")]
    async fn s(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "t:<id>", ttl = "10s", bounded = "11s", stale_while_revalidate = "1s")]
    async fn t(&self, id: i64) -> u64 {
        0
    }

    #[invalidates(key = "p:<id>", bounded = "1s")]
    async fn u(&self, id: i64) -> Result<(), WriteError> {
        Ok(())
    }
}

fn main() {}
