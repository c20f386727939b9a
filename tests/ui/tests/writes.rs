//! `#[invalidates]` and `#[writes_through]`: what is recorded, when, and what a failed body leaves behind.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use cache_core::scope::Uncovered;
use cache_core::{Cache, MemoryStore, cached, invalidates, writes_around, writes_through};
use cache_ui_tests::{Committed, Failure, PgTx, Pool, Slug, User};

struct Users {
    cache: Cache,
    pool: Pool,
}

fn users() -> Users {
    let cache = Cache::builder("ui").store(MemoryStore::default()).build().expect("a store and a good name");
    Users { cache, pool: Pool::default() }
}

/// A unit of work that owns its transaction.
struct Work {
    tx: PgTx<'static>,
}

impl Work {
    #[invalidates(key = User(id), within = self.tx)]
    async fn rename(&mut self, id: i64) {
        let _ = id;
        self.tx.execute("update").await;
    }
}

impl Users {
    fn begin(&self) -> PgTx<'static> {
        self.pool.ledger.begin(&self.cache)
    }

    fn committed(&self) -> Vec<Committed> {
        self.pool.ledger.committed()
    }

    #[cached(key = User, ttl = "1h")]
    async fn find(&self, id: i64) -> Option<User> {
        Some(User::numbered(id))
    }

    #[invalidates(key = "user:<id>", key = "name:<old>", tag = "users", tags = ["org:<org>:members"], within = tx)]
    async fn rename(
        &self,
        tx: &mut PgTx<'_>,
        id: i64,
        old: Slug,
        org: u8,
        fails: bool,
    ) -> Result<usize, Failure> {
        let name = old;
        let changed = tx.execute(&name.0).await;
        if fails {
            return Err(Failure::Body("no such user"));
        }
        let _: i64 = org.to_string().parse()?;
        Ok(changed)
    }

    #[invalidates(key = User(id), within = tx)]
    async fn moves_the_transaction(&self, tx: &mut PgTx<'_>, id: i64) -> Result<(), Failure> {
        hand_over(tx).await;
        Ok(())
    }

    #[invalidates(keys = ["user:<id>", "user:<return.id>"], within = tx)]
    async fn delete(
        &self,
        tx: &mut PgTx<'_>,
        id: i64,
        returns: Option<User>,
    ) -> Result<Option<User>, Failure> {
        tx.execute("delete").await;
        if id < 0 { Err(Failure::Body("negative")) } else { Ok(returns) }
    }

    #[invalidates(key = "user:<return.id>", tag = "org:<return.name>", within = tx)]
    async fn delete_all(&self, tx: &mut PgTx<'_>, ids: &[i64]) -> Result<Vec<Arc<User>>, Failure> {
        tx.execute("delete").await;
        Ok(ids.iter().map(|id| Arc::new(User::numbered(*id))).collect())
    }

    #[invalidates(key = "pair:<return.0.id>:<return.1>", within = tx)]
    async fn pair(&self, tx: &mut PgTx<'_>) -> Result<(User, i64), Failure> {
        tx.execute("insert").await;
        Ok((User::numbered(1), 2))
    }

    #[invalidates(key = User(id), within = work.tx)]
    async fn in_a_unit_of_work(&self, work: &mut Work, id: i64) {
        let _ = id;
        work.tx.execute("update").await;
    }

    #[writes_through(key = User(return.id), tag = "users", begin = self.pool)]
    async fn create(&self, tx: &mut PgTx<'_>, new: User) -> Result<User, Failure> {
        tx.execute("insert").await;
        if new.id < 0 {
            return Err(Failure::Body("negative"));
        }
        Ok(new)
    }

    #[writes_around(key = "import:<return.id>", tag = "users", within = tx)]
    async fn import(&self, tx: &mut PgTx<'_>, id: i64) -> Result<Option<User>, Failure> {
        // One in a transaction of its own, and one in this.
        self.create(User::numbered(id + 1)).await?;
        self.save(tx, id, true).await
    }

    #[writes_around(key = "user:<id>")]
    async fn import_alone(&self, id: i64) -> Result<i64, Failure> {
        self.create(User::numbered(id)).await?;
        Ok(id)
    }

    #[writes_around(key = "user:<return>", begin = self.pool)]
    fn import_boxed<'a>(
        &'a self,
        tx: &'a mut PgTx<'a>,
        id: i64,
    ) -> Pin<Box<dyn Future<Output = Result<i64, Failure>> + Send + 'a>> {
        Box::pin(async move { self.save(tx, id, true).await.map(|_| id) })
    }

    #[invalidates(key = "row:<return.id>", tag = "rows:<group>", bulk = "group:<group>", within = tx)]
    async fn raise(&self, tx: &mut PgTx<'_>, group: String, rows: i64) -> Result<Vec<User>, Failure> {
        tx.execute(&group).await;
        drop(group);
        Ok((0..rows).map(User::numbered).collect())
    }

    #[invalidates(key = "row:<return.id>", bulk = "named:<return.name>", within = tx)]
    async fn raise_named(&self, tx: &mut PgTx<'_>, users: Vec<User>) -> Result<Vec<User>, Failure> {
        tx.execute("update").await;
        Ok(users)
    }

    #[cached(key = "unfinished:<id>", ttl = "1h", unless = |user: &User| user.id == 7)]
    async fn unfinished(&self, id: i64) -> User {
        User::numbered(id)
    }

    #[cached(key = "lasting:<id>", ttl = "1h", ttl_from = |_: &User| std::time::Duration::from_secs(1))]
    async fn lasting(&self, id: i64) -> User {
        User::numbered(id)
    }

    #[writes_through(keys = ["unfinished:<id>", "lasting:<id>"], within = tx)]
    async fn save_unfinished(&self, tx: &mut PgTx<'_>, id: i64) -> Result<User, Failure> {
        tx.execute("update").await;
        Ok(User::numbered(id))
    }

    #[writes_through(key = "user:<id>", within = tx)]
    async fn save(&self, tx: &mut PgTx<'_>, id: i64, exists: bool) -> Result<Option<User>, Failure> {
        tx.execute("update").await;
        Ok(exists.then(|| User::numbered(id)))
    }

    #[invalidates(key = User, begin = pool)]
    fn boxed<'a>(
        &'a self,
        pool: &'a Pool,
        id: i64,
        tx: &'a mut PgTx<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<usize, Failure>> + Send + 'a>> {
        Box::pin(async move { Ok(tx.execute("update").await + pool.ledger.committed().len()) })
    }

    #[invalidates(key = User(id), key = "user:<id>:posts", tag = "users")]
    async fn alone(&self, id: i64, seen: &mut Vec<i64>) -> Result<i64, Failure> {
        seen.push(id);
        if id < 0 {
            return Err(Failure::Body("negative"));
        }
        Ok(id)
    }
}

async fn hand_over<'c>(mut tx: impl std::ops::DerefMut<Target = PgTx<'c>>) {
    tx.execute("update").await;
}

#[invalidates(key = "row:<id>", begin = pool)]
async fn free(cache: &Cache, pool: &Pool, tx: &mut PgTx, id: i64) -> Result<i64, Failure> {
    tx.execute("update").await;
    Ok(id)
}

#[async_trait::async_trait]
trait Renames {
    async fn rename(&self, tx: &mut PgTx<'_>, id: i64, name: String) -> Result<User, Failure>;
    async fn touch(&self, id: i64) -> Result<(), Failure>;
}

#[async_trait::async_trait]
impl Renames for Users {
    #[invalidates(key = "user:<return.id>", key = "name:<name>", within = tx)]
    async fn rename(&self, tx: &mut PgTx<'_>, id: i64, name: String) -> Result<User, Failure> {
        tx.execute(&name).await;
        Ok(User { id, name })
    }

    #[invalidates(key = "user:<id>")]
    async fn touch(&self, id: i64) -> Result<(), Failure> {
        if id > 0 { Ok(()) } else { Err(Failure::Body("negative")) }
    }
}

#[tokio::test]
async fn a_write_may_name_the_transaction_that_self_holds() {
    let users = users();
    let mut work = Work { tx: users.begin() };
    work.rename(7).await;
    work.tx.commit().await.unwrap();
    assert_eq!(only(&users.committed()), ["ui:user:7"]);
}

fn only(committed: &[Committed]) -> Vec<&str> {
    assert_eq!(committed.len(), 1);
    committed[0].subjects.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn subjects_of_arguments_are_recorded_whatever_the_body_returns() {
    for fails in [false, true] {
        let users = users();
        let mut tx = users.begin();
        let result = users.rename(&mut tx, 7, Slug("ada".into()), 3, fails).await;
        assert_eq!(result.is_err(), fails);
        tx.commit().await.unwrap();
        assert_eq!(only(&users.committed()), ["ui:user:7", "ui:name:ada", "ui#users", "ui#org:3:members"]);
    }
}

#[tokio::test]
async fn subjects_of_arguments_are_recorded_when_the_future_is_dropped() {
    let users = users();
    let mut tx = users.begin();
    {
        let mut rename = std::pin::pin!(users.rename(&mut tx, 7, Slug("ada".into()), 3, false));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(rename.as_mut().poll(&mut context).is_pending());
    }
    tx.commit().await.unwrap();
    assert_eq!(only(&users.committed()).len(), 4);
}

#[tokio::test]
async fn a_result_names_what_it_changed() {
    let users = users();
    let mut tx = users.begin();
    users.delete(&mut tx, 1, Some(User::numbered(2))).await.unwrap();
    users.pair(&mut tx).await.unwrap();
    users.delete_all(&mut tx, &[5, 6]).await.unwrap();
    tx.commit().await.unwrap();
    let expected = [
        "ui:user:1",
        "ui:user:2",
        "ui:pair:1:2",
        "ui:user:5",
        "ui#org:user%205",
        "ui:user:6",
        "ui#org:user%206",
    ];
    assert_eq!(only(&users.committed()), expected);
}

#[tokio::test]
async fn none_changed_nothing() {
    let users = users();
    let mut tx = users.begin();
    users.delete(&mut tx, 1, None).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(only(&users.committed()), ["ui:user:1"]);
}

#[tokio::test]
async fn a_body_that_owes_its_subjects_stops_the_commit() {
    let users = users();
    let mut tx = users.begin();
    assert!(users.delete(&mut tx, -1, None).await.is_err());
    let Uncovered { at } = tx.commit().await.unwrap_err();
    assert_eq!(at.function, "writes::delete");

    let mut tx = users.begin();
    {
        let mut delete = std::pin::pin!(users.delete(&mut tx, 1, None));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(delete.as_mut().poll(&mut context).is_pending());
    }
    assert!(tx.commit().await.is_err());
    assert_eq!(users.committed(), []);
}

#[tokio::test]
async fn a_body_may_move_its_transaction_or_reach_it_through_another() {
    let users = users();
    let mut work = Work { tx: users.begin() };
    users.in_a_unit_of_work(&mut work, 4).await;
    users.moves_the_transaction(&mut work.tx, 5).await.unwrap();
    work.tx.commit().await.unwrap();
    assert_eq!(only(&users.committed()), ["ui:user:4", "ui:user:5"]);
}

#[tokio::test]
async fn begin_opens_hands_in_and_commits_a_transaction() {
    let users = users();
    assert_eq!(users.create(User::numbered(8)).await.unwrap().id, 8);
    assert_eq!(free(&users.cache, &users.pool, 2).await.unwrap(), 2);
    assert_eq!(users.boxed(&users.pool, 3).await.unwrap(), "update".len() + 2);
    let committed = users.committed();
    assert_eq!(committed[0].subjects, ["ui#users", "ui:user:8"]);
    assert_eq!(committed[1].subjects, ["ui:row:2"]);
    assert_eq!(committed[2].subjects, ["ui:user:3"]);
}

#[tokio::test]
async fn begin_rolls_back_when_the_body_fails() {
    let users = users();
    assert!(users.create(User::numbered(-1)).await.is_err());
    assert_eq!(users.committed(), []);
}

#[tokio::test]
async fn write_through_records_the_value_for_the_reads_of_its_key() {
    let users = users();
    users.find(1).await;
    users.create(User::numbered(8)).await.unwrap();
    let mut tx = users.begin();
    users.save(&mut tx, 9, false).await.unwrap();
    users.save(&mut tx, 10, true).await.unwrap();
    tx.commit().await.unwrap();
    let committed = users.committed();
    assert_eq!(committed[0].puts, ["ui:user:8"]);
    assert_eq!(committed[1].subjects, ["ui:user:9", "ui:user:10"]);
    assert_eq!(committed[1].puts, ["ui:user:10"]);
}

/// Whether and for how long a value is stored is asked where it is loaded: a write would store what a read does not.
#[tokio::test]
async fn write_through_records_nothing_for_reads_that_ask_the_value() {
    let users = users();
    users.unfinished(1).await;
    users.lasting(1).await;
    let mut tx = users.begin();
    users.save_unfinished(&mut tx, 7).await.unwrap();
    tx.commit().await.unwrap();
    let committed = users.committed();
    assert_eq!(committed[0].subjects, ["ui:unfinished:7", "ui:lasting:7"]);
    assert!(committed[0].puts.is_empty(), "{:?}", committed[0].puts);
}

#[tokio::test]
async fn a_write_around_installs_nothing_that_it_calls_and_says_what_changed() {
    let users = users();
    users.find(1).await;
    let mut tx = users.begin();
    users.import(&mut tx, 8).await.unwrap();
    tx.commit().await.unwrap();
    users.import_alone(10).await.unwrap();
    assert_eq!(users.import_boxed(11).await.unwrap(), 11);
    users.create(User::numbered(12)).await.unwrap();
    let committed = users.committed();
    let puts: Vec<_> = committed.iter().map(|committed| committed.puts.len()).collect();
    assert_eq!(puts, [0, 0, 0, 0, 1], "only the last one was not in a write-around");
    assert_eq!(committed[1].subjects, ["ui#users", "ui:user:8", "ui:import:8"]);
}

#[tokio::test]
async fn many_rows_are_named_by_their_tag() {
    let users = users();
    for rows in [2, 1_000, 1_001] {
        let mut tx = users.begin();
        users.raise(&mut tx, "red".into(), rows).await.unwrap();
        tx.commit().await.unwrap();
    }
    let committed = users.committed();
    assert_eq!(committed[0].subjects, ["ui#rows:red", "ui:row:0", "ui:row:1"]);
    assert_eq!(committed[1].subjects.len(), 1_001);
    assert_eq!(committed[2].subjects, ["ui#rows:red", "ui#group:red"]);
}

#[tokio::test]
async fn rows_may_name_the_tag_that_stands_for_them() {
    let users = users();
    let named = |name: &str, ids: std::ops::Range<i64>| {
        ids.map(|id| User { id, name: name.to_owned() }).collect::<Vec<_>>()
    };
    let mut tx = users.begin();
    let all = [named("few", 0..2), named("many", 10..2_000)].concat();
    users.raise_named(&mut tx, all).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(only(&users.committed()), ["ui:row:0", "ui:row:1", "ui#named:many"]);
}

#[tokio::test]
async fn a_write_without_a_transaction_makes_later_reads_load() {
    let users = users();
    let mut seen = Vec::new();
    users.find(1).await;
    users.find(1).await;
    assert_eq!(users.cache.stats().of("user:<id>").loads, 1);
    assert_eq!(users.alone(1, &mut seen).await.unwrap(), 1);
    users.find(1).await;
    assert_eq!(users.cache.stats().of("user:<id>").loads, 2);
    assert!(users.alone(-1, &mut seen).await.is_err());
    assert_eq!(seen, [1, -1]);
}

#[tokio::test]
async fn an_async_trait_is_covered() {
    let concrete = users();
    let users: &dyn Renames = &concrete;
    let mut tx = concrete.begin();
    users.rename(&mut tx, 1, "ada".into()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(only(&concrete.committed()), ["ui:name:ada", "ui:user:1"]);
    concrete.find(1).await;
    users.touch(1).await.unwrap();
    concrete.find(1).await;
    assert_eq!(concrete.cache.stats().of("user:<id>").loads, 2);
    assert!(users.touch(-1).await.is_err());
}

#[test]
fn futures_stay_send() {
    fn is_send<T: Send>(_: T) {}
    let users = users();
    let mut tx = users.begin();
    is_send(users.rename(&mut tx, 1, Slug(String::new()), 1, false));
    is_send(users.delete_all(&mut tx, &[]));
    is_send(users.create(User::numbered(1)));
    is_send(free(&users.cache, &users.pool, 1));
    is_send(users.alone(1, &mut Vec::new()));
    is_send(users.import(&mut tx, 1));
    is_send(users.import_alone(1));
    is_send(users.raise(&mut tx, String::new(), 1));
    is_send(users.boxed(&users.pool, 1));
}

#[test]
fn a_site_says_how_it_is_covered() {
    use cache_core::site::{Coverage, Site};
    let of = |function: &str| {
        cache_core::__private::inventory::iter::<Site>.into_iter().find_map(|site| match site {
            Site::Write(write) if write.at.function == format!("writes::{function}") => Some(**write),
            _ => None,
        })
    };
    let create = of("create").unwrap();
    assert_eq!(
        (create.keys, create.tags, create.coverage),
        (&["user:<id>"][..], &["users"][..], Coverage::Begin)
    );
    assert_eq!(of("alone").unwrap().coverage, Coverage::Around);
    let pair = of("pair").unwrap();
    assert_eq!((pair.keys, pair.coverage), (&["pair:<return.0.id>:<return.1>"][..], Coverage::Within));
}
