use cache_core::{Cache, cached};

//~ `f64` cannot stand in a cache key
#[cached(key = "price:<limit>", ttl = "1h")]
async fn below(cache: &Cache, limit: f64) -> Vec<i64> {
    vec![limit as i64]
}

fn main() {}
