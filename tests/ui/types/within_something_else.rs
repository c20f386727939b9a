use cache_core::invalidates;
use std::io::Error;

#[invalidates(key = "user:<id>", within = tx)]
//~ `String` cannot carry invalidations to its commit
async fn rename(tx: &mut String, id: i64) -> Result<(), Error> {
    Ok(())
}

fn main() {}
