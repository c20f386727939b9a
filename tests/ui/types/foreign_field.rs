use cache_core::Cacheable;

#[derive(serde::Serialize, serde::Deserialize, Cacheable)]
struct Upload {
    //~ `Duration` does not describe its shape to the cache
    took: std::time::Duration,
}

fn main() {}
