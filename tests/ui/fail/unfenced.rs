use cache_core::{Cache, invalidates};

#[invalidates(key = "user:<id>", on_unfenced = "outbox")]
async fn without_a_transaction(cache: &Cache, id: i64) -> Result<(), cache_core::WriteError> { Ok(()) }

#[invalidates(key = "user:<id>", on_unfenced = "ignore")]
async fn another_word(cache: &Cache, id: i64) -> Result<(), cache_core::WriteError> { Ok(()) }

#[invalidates(key = "user:<id>", on_unfenced = true)]
async fn no_word(cache: &Cache, id: i64) -> Result<(), cache_core::WriteError> { Ok(()) }

fn main() {}
