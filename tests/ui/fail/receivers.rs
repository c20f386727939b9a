use std::pin::Pin;

use cache_core::{Cache, WriteError, cached, invalidates};
use cache_ui_tests::PgTx;

struct Work {
    cache: Cache,
    tx: PgTx<'static>,
}

impl Work {
    #[cached(key = "user:<id>", ttl = "1h")]
    async fn find(&mut self, id: i64) -> i64 { id }

    #[cached(key = "pinned:<id>", ttl = "1h")]
    async fn pinned(self: Pin<&mut Self>, id: i64) -> i64 { id }

    #[invalidates(key = "user:<id>")]
    async fn rename(&mut self, id: i64) -> Result<(), WriteError> { Ok(()) }
}

fn main() {}
