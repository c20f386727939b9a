use cache_core::{Cache, cached};
use cache_ui_tests::User;

//~ `&str` cannot stand for a `i64` in a typed key
#[cached(key = User, ttl = "1h")]
async fn find(cache: &Cache, id: &str) -> User {
    User::numbered(id.len() as i64)
}

fn main() {}
