use cache_core::{Cache, Cacheable, cached};

#[derive(serde::Serialize, serde::Deserialize, Cacheable)]
struct User {
    id: i64,
}

#[cached(key = "user:<id>", ttl = "1h")]
//~ the trait bound `User: Clone` is not satisfied
async fn find(cache: &Cache, id: i64) -> Result<Option<User>, std::io::Error> {
    Ok(Some(User { id }))
}

fn main() {}
