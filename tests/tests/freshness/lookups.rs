//! Which keys a write names: the old and the new one of a lookup, none where nothing was changed, each once however many functions
//! name it.

use std::collections::BTreeSet;

use cache_core::invalidates;
use cache_core::testkit::Command;
use cache_sqlx::{PgTx, begin};
use tokio::task::JoinHandle;

use crate::repository::{Moved, Notes, User, Users};
use crate::world::{Instance, World, until, warm};

impl Users {
    /// As `change_handle`, with the old handle from a statement of its own before: the textbook's mistake.
    #[invalidates(keys = ["user:<id>", "handle:<was>", "handle:<handle>"], tag = "users", within = tx)]
    async fn change_handle_from(
        &self,
        tx: &mut PgTx<'_>,
        id: i64,
        was: &str,
        handle: &str,
    ) -> sqlx::Result<()> {
        let update = "UPDATE users SET handle = $2 WHERE id = $1";
        sqlx::query(update).bind(id).bind(handle).execute(tx).await.map(drop)
    }

    /// Inserts the user, or gives him another handle. The second statement sees whatever the first has waited for.
    #[invalidates(key = "user:<id>", keys = ["handle:<return.was>", "handle:<return.handle>"], tags = ["users", "team:<return.team>"], within = tx)]
    async fn put(&self, tx: &mut PgTx<'_>, id: i64, handle: &str) -> sqlx::Result<Moved> {
        let insert = "INSERT INTO users VALUES ($1, $2, 'red', $2) ON CONFLICT (id) DO NOTHING
                      RETURNING handle AS was, handle, team";
        let inserted = sqlx::query_as(insert).bind(id).bind(handle).fetch_optional(&mut *tx).await?;
        if let Some(inserted) = inserted {
            return Ok(inserted);
        }
        let update = "WITH old AS (SELECT id, handle FROM users WHERE id = $1 FOR UPDATE)
                      UPDATE users SET handle = $2 FROM old WHERE users.id = old.id
                      RETURNING old.handle AS was, users.handle, users.team";
        sqlx::query_as(update).bind(id).bind(handle).fetch_one(&mut *tx).await
    }

    /// The same in one statement, whose `old` is of before it waited.
    #[invalidates(key = "user:<id>", keys = ["handle:<return.was>", "handle:<return.handle>"], tags = ["users", "team:<return.team>"], within = tx)]
    async fn put_at_once(&self, tx: &mut PgTx<'_>, id: i64, handle: &str) -> sqlx::Result<Moved> {
        let upsert = "WITH old AS (SELECT handle FROM users WHERE id = $1)
                      INSERT INTO users VALUES ($1, $2, 'red', $2)
                      ON CONFLICT (id) DO UPDATE SET handle = excluded.handle
                      RETURNING COALESCE((SELECT handle FROM old), handle) AS was, handle, team";
        sqlx::query_as(upsert).bind(id).bind(handle).fetch_one(tx).await
    }

    #[invalidates(key = "user:<return.id>", key = "handle:<return.handle>", tags = ["users", "team:<team>"], within = tx)]
    async fn delete_team(&self, tx: &mut PgTx<'_>, team: &str) -> sqlx::Result<Vec<User>> {
        sqlx::query_as("DELETE FROM users WHERE team = $1 RETURNING *").bind(team).fetch_all(tx).await
    }

    /// Calls others in its transaction, one in a savepoint that is rolled back and one in a savepoint of a savepoint.
    #[invalidates(keys = ["user:<id>", "handle:<handle>"], tag = "users", begin = self.pool)]
    async fn rename_thrice(&self, tx: &mut PgTx<'_>, id: i64, handle: &str) -> sqlx::Result<()> {
        self.rename(tx, id, "one").await?;
        let mut undone = tx.begin().await?;
        self.rename(&mut undone, 2, "never").await?;
        undone.rollback().await?;
        let mut outer = tx.begin().await?;
        let mut inner = outer.begin().await?;
        self.rename(&mut inner, id, "two").await?;
        inner.commit().await?;
        outer.commit().await?;
        self.save(tx, id, "three").await.map(drop)
    }
}

impl Notes {
    /// Names nothing but what the statement has changed.
    #[invalidates(key = "note:<return.0>:<return.1>", begin = self.pool)]
    async fn rewrite(
        &self,
        tx: &mut PgTx<'_>,
        owner: &str,
        path: &str,
        body: &str,
    ) -> sqlx::Result<Option<(String, String)>> {
        let update = "UPDATE notes SET body = $3 WHERE owner = $1 AND path = $2 RETURNING owner, path";
        sqlx::query_as(update).bind(owner).bind(path).bind(body).fetch_optional(tx).await
    }
}

/// Everything that is fenced now.
async fn fenced(world: &World) -> BTreeSet<String> {
    let names: Vec<String> = world.tell(&["KEYS", &format!("{{{}*}}:c", world.namespace)]).await;
    let name = |name: String| name[world.namespace.len() + 1..name.len() - 3].to_owned();
    names.into_iter().map(name).collect()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// What a write has fenced when it is about to commit, and how often it marked and cleared.
async fn marked_by<W: Send + 'static>(
    world: &World,
    instance: &Instance,
    write: impl Future<Output = W> + Send + 'static,
) -> (BTreeSet<String>, u64, u64) {
    let marked = instance.store.hold_reply(Command::Mark);
    let write = tokio::spawn(write);
    marked.reached().await;
    let names = fenced(world).await;
    marked.release();
    write.await.unwrap();
    (names, instance.store.count(Command::Mark), instance.store.count(Command::Clear))
}

#[tokio::test]
async fn an_update_that_hits_no_row_marks_what_its_arguments_name_and_nothing_else() {
    let world = World::new().await;
    let a = world.instance().await;
    let users = a.users.clone();
    let seen = marked_by(&world, &a, async move { users.rename_now(404, "new").await.unwrap() }).await;
    assert_eq!(seen, (set([":user:404", "#users"]), 1, 1));
}

#[tokio::test]
async fn an_update_that_hits_no_row_and_names_only_its_result_marks_nothing() {
    let (a, b) = World::new().await.pair().await;
    a.notes.write_now("ada", "today", "one").await.unwrap();
    assert_eq!(b.notes.body("ada", "today").await.unwrap().as_deref(), Some("one"));
    let marks = a.store.count(Command::Mark);
    assert_eq!(a.notes.rewrite("ada", "tomorrow", "two").await.unwrap(), None);
    assert_eq!(a.store.count(Command::Mark), marks);
    assert!(a.notes.rewrite("ada", "today", "two").await.unwrap().is_some());
    assert_eq!(a.store.count(Command::Mark), marks + 1);
    assert_eq!(b.notes.body("ada", "today").await.unwrap().as_deref(), Some("two"));
}

#[tokio::test]
async fn all_rows_that_a_delete_has_taken_are_marked() {
    let world = World::new().await;
    let a = world.instance().await;
    let (users, tx) = (a.users.clone(), begin(&a.cache, &a.pool).await.unwrap());
    let delete = async move {
        let mut tx = tx;
        assert_eq!(users.delete_team(&mut tx, "red").await.unwrap().len(), 2);
        tx.commit().await.unwrap();
    };
    let names = set([":user:1", ":user:2", ":handle:ada", ":handle:bob", "#users", "#team:red"]);
    assert_eq!(marked_by(&world, &a, delete).await, (names, 1, 1));
    assert_eq!(a.users.by_handle("bob").await.unwrap(), None);
}

#[tokio::test]
async fn functions_that_call_each_other_mark_everything_once() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    warm([&a, &b], "old").await;
    let users = a.users.clone();
    let seen = marked_by(&world, &a, async move { users.rename_thrice(1, "ada").await.unwrap() }).await;
    // The savepoint that was rolled back had the other one's.
    let names = set([":user:1", ":user:2", ":handle:ada", ":handle:bob", "#users", "#team:red"]);
    assert_eq!(seen, (names, 1, 1));
    assert_eq!((a.name(1).await.as_deref(), b.name(1).await.as_deref()), (Some("three"), Some("three")));
}

/// Waits until somebody waits for a lock of another's transaction.
async fn somebody_waits(world: &World) {
    until("a statement waits", async || {
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock')";
        sqlx::query_scalar::<_, bool>(waiting).fetch_one(&world.pool).await.unwrap()
    })
    .await;
}

type Writing = JoinHandle<PgTx<'static>>;

/// Somebody gives user `id` the handle `between`, while `write` waits for him; it is looked up, and then `write` is committed. Who is
/// found by `between`, which nobody is called any more.
async fn overtaken(
    world: &World,
    between: impl AsyncFnOnce(&Instance, &mut PgTx<'static>),
    write: impl FnOnce(Instance) -> Writing,
) -> Option<i64> {
    let (a, b) = world.pair().await;
    let mut other = begin(&b.cache, &b.pool).await.unwrap();
    between(&b, &mut other).await;
    let writing = write(a);
    somebody_waits(world).await;
    other.commit().await.unwrap();
    let written = writing.await.unwrap();
    assert!(b.users.by_handle("between").await.unwrap().is_some(), "that is what is committed");
    written.commit().await.unwrap();
    b.users.by_handle("between").await.unwrap().map(|user| user.id)
}

fn spawn(a: Instance, write: impl AsyncFnOnceSend) -> Writing {
    tokio::spawn(async move {
        let mut tx = begin(&a.cache, &a.pool).await.unwrap();
        write.run(&a, &mut tx).await;
        tx
    })
}

/// A write whose future may be sent.
trait AsyncFnOnceSend: Send + 'static {
    fn run(self, a: &Instance, tx: &mut PgTx<'static>) -> impl Future<Output = ()> + Send;
}

struct Changes;

impl AsyncFnOnceSend for Changes {
    async fn run(self, a: &Instance, tx: &mut PgTx<'static>) {
        a.users.change_handle(tx, 1, "last").await.unwrap().unwrap();
    }
}

struct ChangesFrom(String);

impl AsyncFnOnceSend for ChangesFrom {
    async fn run(self, a: &Instance, tx: &mut PgTx<'static>) {
        a.users.change_handle_from(tx, 1, &self.0, "last").await.unwrap();
    }
}

struct Puts;

impl AsyncFnOnceSend for Puts {
    async fn run(self, a: &Instance, tx: &mut PgTx<'static>) {
        a.users.put(tx, 3, "last").await.unwrap();
    }
}

struct PutsAtOnce;

impl AsyncFnOnceSend for PutsAtOnce {
    async fn run(self, a: &Instance, tx: &mut PgTx<'static>) {
        a.users.put_at_once(tx, 3, "last").await.unwrap();
    }
}

async fn changes(b: &Instance, tx: &mut PgTx<'static>) {
    b.users.change_handle(tx, 1, "between").await.unwrap().unwrap();
}

async fn inserts(b: &Instance, tx: &mut PgTx<'static>) {
    b.users.put(tx, 3, "between").await.unwrap();
}

#[tokio::test]
async fn the_old_key_of_a_change_that_was_overtaken_is_that_of_the_writing_statement() {
    let world = World::new().await;
    assert_eq!(overtaken(&world, changes, |a| spawn(a, Changes)).await, None);
}

#[tokio::test]
async fn control_an_old_key_that_was_read_before_leaves_another_one_behind() {
    let world = World::new().await;
    let handle = "SELECT handle FROM users WHERE id = 1";
    let was: String = sqlx::query_scalar(handle).fetch_one(&world.pool).await.unwrap();
    assert_eq!(overtaken(&world, changes, |a| spawn(a, ChangesFrom(was))).await, Some(1));
}

#[tokio::test]
async fn the_old_key_of_an_upsert_that_was_overtaken_by_an_insert_is_found() {
    let world = World::new().await;
    assert_eq!(overtaken(&world, inserts, |a| spawn(a, Puts)).await, None);
}

#[tokio::test]
async fn control_an_upsert_that_looks_for_the_old_key_in_the_same_statement_misses_it() {
    let world = World::new().await;
    assert_eq!(overtaken(&world, inserts, |a| spawn(a, PutsAtOnce)).await, Some(3));
}

#[tokio::test]
async fn an_upsert_that_changes_a_lookup_key_is_seen_under_both() {
    let (a, b) = World::new().await.pair().await;
    for (id, handle) in [(3, "cy"), (1, "countess")] {
        for known in ["cy", "ada", "countess"] {
            b.users.by_handle(known).await.unwrap();
        }
        let mut tx = begin(&a.cache, &a.pool).await.unwrap();
        a.users.put(&mut tx, id, handle).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(b.users.by_handle(handle).await.unwrap().map(|user| user.id), Some(id));
    }
    assert_eq!(b.users.by_handle("ada").await.unwrap(), None);
}
