use cache_core::{Cache, cached};
use cache_ui_tests::User;

#[cached(key = "user:<id>", ttl = "1h", batch)]
//~ the trait bound `std::io::Error: From<BatchError>` is not satisfied
async fn find_many(cache: &Cache, ids: &[i64]) -> Result<Vec<Option<User>>, std::io::Error> {
    Ok(ids.iter().map(|id| Some(User::numbered(*id))).collect())
}

fn main() {}
