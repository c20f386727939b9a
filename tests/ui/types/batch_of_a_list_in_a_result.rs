use cache_core::{Cache, cached};
use cache_ui_tests::User;

#[cached(key = "user:<id>", ttl = "1h", batch)]
//~ `Result<Vec<User>, std::io::Error>` cannot be matched to keys of type `i64`
async fn find_many(cache: &Cache, ids: &[i64]) -> Result<Vec<User>, std::io::Error> {
    Ok(ids.iter().map(|id| User::numbered(*id)).collect())
}

fn main() {}
