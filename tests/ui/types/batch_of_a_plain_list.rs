use cache_core::{Cache, cached};
use cache_ui_tests::User;

#[cached(key = "user:<id>", ttl = "1h", batch)]
//~ `Vec<User>` cannot be matched to keys of type `i64`
async fn find_many(cache: &Cache, ids: &[i64]) -> Vec<User> {
    ids.iter().map(|id| User::numbered(*id)).collect()
}

fn main() {}
