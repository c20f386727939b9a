use cache_core::{Cache, WriteError, invalidates, writes_around, writes_through};
use cache_ui_tests::{PgTx, Pool, User};

#[invalidates(key = "user:<return.id>")]
async fn result_without_transaction(cache: &Cache) -> Result<User, WriteError> { Ok(User::numbered(1)) }

#[writes_through(key = "user:<return.id>")]
async fn value_without_transaction(cache: &Cache) -> Result<User, WriteError> { Ok(User::numbered(1)) }

#[writes_through(tag = "users", within = tx)]
async fn value_without_key(tx: &mut PgTx<'_>) -> Result<User, WriteError> { Ok(User::numbered(1)) }

#[invalidates(key = "user:<id>", within = transaction)]
async fn within_nothing(tx: &mut PgTx<'_>, id: i64) -> Result<(), WriteError> { Ok(()) }

#[invalidates(key = "user:<id>")]
async fn transaction_without_within(cache: &Cache, tx: &mut PgTx<'_>, id: i64) -> Result<(), WriteError> { Ok(()) }

#[invalidates(key = "user:<id>", begin = pool)]
async fn begin_for_nobody(cache: &Cache, pool: &Pool, id: i64) -> Result<(), WriteError> { Ok(()) }

#[invalidates(key = "user:<id>", begin = pool, within = tx)]
async fn both(cache: &Cache, pool: &Pool, tx: &mut PgTx<'_>, id: i64) -> Result<(), WriteError> { Ok(()) }

#[invalidates(key = User, within = tx)]
async fn which_argument(tx: &mut PgTx<'_>, id: i64, name: &str) -> Result<(), WriteError> { Ok(()) }

#[invalidates(key = "user:<return.id>", within = tx)]
async fn no_result(tx: &mut PgTx<'_>) -> Option<User> { None }

#[invalidates(key = "user:<id>", begin = pool)]
async fn nothing_returned(cache: &Cache, pool: &Pool, tx: &mut PgTx<'_>, id: i64) {}

#[writes_through(key = "user:<return.id>", begin = pool, tag = "users", tag = "users")]
async fn the_same_tag_twice(cache: &Cache, pool: &Pool, tx: &mut PgTx<'_>) -> Result<User, WriteError> { Ok(User::numbered(1)) }

#[invalidates(key = "user:<id>")]
async fn perhaps_in_a_transaction(cache: &Cache, tx: &mut Option<PgTx<'_>>, id: i64) -> Result<(), WriteError> { Ok(()) }

#[writes_through(key = "user:<return.id>", bulk = "users", within = tx)]
async fn value_of_many(tx: &mut PgTx<'_>) -> Result<Vec<User>, WriteError> { Ok(Vec::new()) }

#[invalidates(key = "user:<id>", bulk = "users", within = tx)]
async fn many_of_nothing(tx: &mut PgTx<'_>, id: i64) -> Result<(), WriteError> { Ok(()) }

#[invalidates(key = "user:<return.id>", tag = "users", bulk = "users", within = tx)]
async fn many_anyway(tx: &mut PgTx<'_>) -> Result<Vec<User>, WriteError> { Ok(Vec::new()) }

#[writes_around(within = tx)]
async fn around_nothing(tx: &mut PgTx<'_>) -> Result<(), WriteError> { Ok(()) }

#[writes_around(key = "user:<return.id>")]
async fn around_without_transaction(cache: &Cache) -> Result<User, WriteError> { Ok(User::numbered(1)) }

#[writes_around(key = "user:<id>", bulks = "users", within = tx)]
async fn around_typo(tx: &mut PgTx<'_>, id: i64) -> Result<(), WriteError> { Ok(()) }

fn main() {}
