use cache_core::{Cache, ReadSource, cached};
use cache_ui_tests::{Off, PgTx, User};

#[cached(key = "profile:<id>", ttl = "1h")]
async fn forgotten(cache: &Cache, id: i64, viewer: i64) -> i64 { id }

#[cached(key = "profile:<id>", tags = ["org:<org>"], ttl = "1h")]
async fn in_a_tag_only(cache: &Cache, id: i64, org: i64) -> i64 { id }

#[cached(key = "profile:<id>", ttl = "1h", ignores = [trac])]
async fn ignores_nothing(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "profile:<id>", ttl = "1h", ignores = [id])]
async fn both(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "profile:<user.id>", ttl = "1h")]
async fn taken_apart(cache: &Cache, User { id, .. }: User) -> i64 { id }

#[cached(key = "profile:<id>", ttl = "1h")]
async fn in_a_transaction(cache: &Cache, tx: &mut PgTx<'_>, id: i64) -> i64 { id }

#[cached(key = "profile:<id>", ttl = "1h", ignores = [db])]
async fn on_an_executor<'c, E: Executor<'c>>(cache: &Cache, db: E, id: i64) -> i64 { id }

#[cached(key = "profile:<id>", ttl = "1h", on = pool)]
async fn on_nothing(cache: &Cache, db: impl ReadSource<Off>, id: i64) -> i64 { id }

#[cached(key = "profile:<id>", ttl = "1h")]
async fn perhaps_in_a_transaction(cache: &Cache, tx: Option<&mut PgTx<'_>>, id: i64) -> i64 { id }

#[cached(key = "profile:<id>", ttl = "1h", ignores = [db])]
async fn perhaps_on_an_executor<'c, E: Executor<'c>>(cache: &Cache, db: (u8, Option<E>), id: i64) -> i64 { id }

trait Executor<'c> {}

fn main() {}
