use cache_core::{Cache, cached};

struct Handle(std::fs::File);

#[cached(key = "file:<id>", ttl = "1h")]
//~ `Handle` cannot be cached
//~ the trait bound `Handle: Clone` is not satisfied
async fn open(cache: &Cache, id: i64) -> std::io::Result<Option<Handle>> {
    std::fs::File::open(id.to_string()).map(|file| Some(Handle(file)))
}

fn main() {}
