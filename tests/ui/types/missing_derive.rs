use cache_core::{Cache, cached};

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct User {
    id: i64,
}

#[cached(key = "user:<id>", ttl = "1h")]
//~ `User` cannot be cached
async fn find(cache: &Cache, id: i64) -> Result<User, std::io::Error> {
    Ok(User { id })
}

fn main() {}
