use cache_core::{Cache, writes_behind};
use cache_ui_tests::{Full, PgTx, Queue, User};

#[writes_behind(queue = queue)]
async fn no_key(queue: &Queue<User>) -> Result<User, Full> { Ok(User::numbered(1)) }

#[writes_behind(key = "user:<id>")]
async fn no_queue(id: i64) -> Result<User, Full> { Ok(User::numbered(id)) }

#[writes_behind(key = "user:<id>", queue = queue, tag = "users")]
async fn a_tag(queue: &Queue<User>, id: i64) -> Result<User, Full> { Ok(User::numbered(id)) }

#[writes_behind(key = "user:<id>", queue = queue)]
async fn in_a_transaction(queue: &Queue<User>, tx: &mut PgTx<'_>, id: i64) -> Result<User, Full> { Ok(User::numbered(id)) }

#[writes_behind(key = "user:<id>", queue = queue)]
async fn no_result(queue: &Queue<User>, id: i64) -> Option<User> { Some(User::numbered(id)) }

#[writes_behind(key = "user:<uid>", queue = queue)]
async fn a_typo(queue: &Queue<User>, id: i64) -> Result<User, Full> { Ok(User::numbered(id)) }

#[writes_behind(key = "user:<id>", queue = queue)]
async fn another_type(queue: &Queue<u64>, id: i64) -> Result<User, Full> { Ok(User::numbered(id)) }

#[writes_behind(key = "user:<id>", queue = cache)]
async fn no_queue_at_all(cache: &Cache, id: i64) -> Result<User, Full> { Ok(User::numbered(id)) }

#[writes_behind(key = "user:<id>", queue = queue)]
async fn an_error_of_its_own(queue: &Queue<User>, id: i64) -> Result<User, std::fmt::Error> { Ok(User::numbered(id)) }

fn main() {}
