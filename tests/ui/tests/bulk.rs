//! A tag that stands for many rows: their readers declare it, or the cache is not built.

use cache_core::{Cache, MemoryStore, cached, invalidates};
use cache_ui_tests::{Failure, PgTx, User};

#[cached(key = "row:<id>", ttl = "1h", tags = ["rows"])]
async fn with_the_tag(cache: &Cache, id: i64) -> User {
    User::numbered(id)
}

#[cached(key = "row:<id>", ttl = "1h", tags = ["others"])]
async fn without_it(cache: &Cache, id: i64) -> User {
    User::numbered(id)
}

#[invalidates(key = "row:<return.id>", bulk = "rows", within = tx)]
async fn raise(tx: &mut PgTx<'_>) -> Result<Vec<User>, Failure> {
    tx.execute("update").await;
    Ok(Vec::new())
}

#[test]
fn a_reader_of_the_rows_without_the_tag_is_named_when_the_cache_is_built() {
    let error = Cache::builder("ui").store(MemoryStore::default()).build().unwrap_err().to_string();
    for part in [
        "bulk::raise",
        "the tag `rows` in place of the rows `row:<return.id>`",
        "bulk::without_it",
        "write `tags = [\"rows\"]` there",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(!error.contains("bulk::with_the_tag"), "{error}");
}

#[test]
fn a_limit_of_zero_is_a_mistake() {
    let builder = Cache::builder("ui").store(MemoryStore::default()).bulk_limit(0);
    assert!(builder.build().unwrap_err().to_string().contains("`bulk_limit` is zero"));
}
