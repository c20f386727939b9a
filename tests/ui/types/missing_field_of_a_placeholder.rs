use cache_core::{Cache, cached};
use cache_ui_tests::User;

//~ no field `uid` on type `&User`
#[cached(key = "user:<user.uid>", ttl = "1h")]
async fn find(cache: &Cache, user: &User) -> i64 {
    user.id
}

fn main() {}
