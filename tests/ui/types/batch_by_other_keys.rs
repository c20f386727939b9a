use std::collections::HashMap;

use cache_core::{Cache, cached};
use cache_ui_tests::User;

#[cached(key = "user:<id>", ttl = "1h", batch)]
//~ `HashMap<String, User>` cannot be matched to keys of type `i64`
async fn find_many(cache: &Cache, ids: &[i64]) -> HashMap<String, User> {
    HashMap::new()
}

fn main() {}
