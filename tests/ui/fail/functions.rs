use cache_core::{Cache, cached, invalidates};

#[cached(key = "a:<id>", ttl = "1h")]
fn not_async(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "b:<id>", ttl = "1h")]
async fn no_cache(id: i64) -> i64 { id }

trait Users {
    #[cached(key = "c:<id>", ttl = "1h")]
    async fn find(&self, id: i64) -> i64;
}

#[cached(key = "d:<id>", ttl = "1h")]
struct NotAFunction;

#[invalidates(key = "e:<id>")]
async fn no_cache_to_fence(id: i64) -> Result<(), cache_core::WriteError> { Ok(()) }

fn main() {}
