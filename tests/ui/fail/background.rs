//! What a load in the background and a hard timeout ask of a function.

use cache_core::{Cache, cached};

struct Prices {
    cache: Cache,
}

#[derive(Debug)]
struct Refused;

impl Prices {
    #[cached(key = "a:<id>", ttl = "1h", refresh_ahead = "80%")]
    async fn not_clone(&self, id: i64) -> u64 {
        0
    }

    #[cached(key = "b:<id>", ttl = "1h", hard_timeout = "1s")]
    async fn no_such_error(&self, id: i64) -> Result<u64, Refused> {
        Ok(0)
    }

    #[cached(key = "c:<id>", ttl = "1h", hard_timeout = "1s")]
    async fn no_error_at_all(&self, id: i64) -> u64 {
        0
    }
}

fn main() {}
