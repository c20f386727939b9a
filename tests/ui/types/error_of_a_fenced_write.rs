use cache_core::{Cache, invalidates};

#[invalidates(key = "user:<id>")]
//~ `std::fmt::Error` cannot say that a write could not be fenced
async fn rename(cache: &Cache, id: i64) -> Result<(), std::fmt::Error> {
    Ok(())
}

fn main() {}
