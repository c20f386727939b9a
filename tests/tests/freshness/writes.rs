//! Every kind of write, made on one instance, is seen by the next read on both, whatever it reads.

use std::cell::Cell;
use std::fmt::Debug;

use cache_core::{assert_catalogue, assert_fresh, assert_loads};
use cache_sqlx::begin;

use crate::repository::{User, Users};
use crate::world::{Instance, World, settled, warm};

/// Everything the repository can tell: two users, four lookups, a list, two rosters and two sizes.
async fn view(users: &Users) -> (Vec<Option<User>>, Vec<Vec<String>>, Vec<i64>) {
    let mut found = Vec::new();
    for id in [1, 2, 3] {
        found.push(users.find(id).await.unwrap());
    }
    for handle in ["ada", "bob", "countess", "cy"] {
        found.push(users.by_handle(handle).await.unwrap());
    }
    let mut lists = vec![users.names().await.unwrap()];
    let mut sizes = Vec::new();
    for team in ["red", "blue"] {
        lists.push(users.roster(team).await.unwrap());
        sizes.push(users.size(team).await.unwrap());
    }
    (found, lists, sizes)
}

/// A write on `a` changes what a read shows on both, at once; both served from the cache before it, and again after it.
async fn fresh<T: Debug, W: Debug>(
    a: &Instance,
    b: &Instance,
    write: impl AsyncFnOnce(&Instance) -> W,
    read: impl AsyncFn(&Instance) -> T,
) {
    let both = async || (read(a).await, read(b).await);
    both().await;
    assert_loads!(0, [a.cache, b.cache], both().await);
    let write = Cell::new(Some(write));
    assert_fresh!(write.take().expect("it is made once")(a), both());
    assert_loads!(0, [a.cache, b.cache], both().await);
}

async fn fresh_view<W: Debug>(write: impl AsyncFnOnce(&Instance) -> W) {
    let (a, b) = World::new().await.pair().await;
    fresh(&a, &b, write, async |instance: &Instance| view(&instance.users).await).await;
}

/// Runs a write in a transaction and commits it.
macro_rules! in_transaction {
    ($method:ident($($argument:expr),*)) => {
        async |a: &Instance| {
            let mut tx = begin(&a.cache, &a.pool).await.unwrap();
            let written = a.users.$method(&mut tx, $($argument),*).await.unwrap();
            tx.commit().await.unwrap();
            written
        }
    };
}

#[test]
fn every_invalidation_has_a_reader() {
    assert_catalogue!();
}

#[tokio::test]
async fn an_update_is_seen() {
    fresh_view(in_transaction!(rename(1, "new"))).await;
}

#[tokio::test]
async fn an_update_in_a_transaction_of_its_own_is_seen() {
    fresh_view(async |a: &Instance| a.users.rename_now(1, "new").await.unwrap()).await;
}

#[tokio::test]
async fn an_update_without_a_transaction_is_seen() {
    fresh_view(async |a: &Instance| a.users.rename_alone(1, "ada", "red", "new").await.unwrap()).await;
}

#[tokio::test]
async fn an_insert_is_seen_by_lookups_that_had_found_nothing() {
    fresh_view(async |a: &Instance| {
        assert_eq!(a.users.find(3).await.unwrap(), None);
        assert_eq!(a.users.by_handle("cy").await.unwrap(), None);
        a.users.insert(3, "cy", "blue", "Cy").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_delete_is_seen() {
    fresh_view(in_transaction!(delete(1))).await;
}

#[tokio::test]
async fn a_changed_lookup_key_is_seen_under_the_old_and_the_new_one() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    let write = in_transaction!(change_handle(1, "countess"));
    fresh(&a, &b, write, async |instance: &Instance| view(&instance.users).await).await;
    assert_eq!(b.users.by_handle("ada").await.unwrap(), None);
    assert_eq!(b.users.by_handle("countess").await.unwrap().map(|user| user.id), Some(1));
}

#[tokio::test]
async fn an_upsert_is_seen_whether_it_inserts_or_updates() {
    fresh_view(in_transaction!(upsert(3, "cy", "blue", "Cy"))).await;
    fresh_view(in_transaction!(upsert(4, "ada", "red", "new"))).await;
}

#[tokio::test]
async fn a_tag_made_of_an_argument_reaches_both_teams() {
    fresh_view(in_transaction!(change_team(1, "red", "blue".into()))).await;
}

#[tokio::test]
async fn every_row_that_was_returned_is_seen() {
    fresh_view(in_transaction!(rename_team("red", "new"))).await;
}

#[tokio::test]
async fn every_element_of_an_array_that_was_returned_is_seen() {
    fresh_view(in_transaction!(swap_names([1, 2], "ada", "bob", "red"))).await;
}

#[tokio::test]
async fn a_generic_write_is_seen() {
    fresh_view(in_transaction!(rename_any(1_i64, "new"))).await;
    fresh_view(in_transaction!(rename_any(1_i32, String::from("new")))).await;
}

#[tokio::test]
async fn a_write_through_is_seen_and_saves_the_load() {
    let (a, b) = World::new().await.pair().await;
    warm([&a, &b], "old").await;
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    a.users.save(&mut tx, 1, "new").await.unwrap();
    tx.commit().await.unwrap();
    assert_loads!(0, [a.cache, b.cache], {
        assert_eq!(b.name(1).await.as_deref(), Some("new"));
        assert_eq!(a.name(1).await.as_deref(), Some("new"));
    });
}

#[tokio::test]
async fn a_created_row_is_seen_by_lookups_and_lists() {
    fresh_view(async |a: &Instance| a.users.create(3, "cy", "blue").await.unwrap()).await;
}

#[tokio::test]
async fn only_what_a_write_names_is_loaded_again() {
    let (a, b) = World::new().await.pair().await;
    let others = async |instance: &Instance| {
        instance.users.find(2).await.unwrap();
        instance.users.by_handle("bob").await.unwrap();
        instance.users.roster("blue").await.unwrap();
        instance.users.size("blue").await.unwrap();
    };
    others(&a).await;
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    a.users.change_team(&mut tx, 1, "red", "green".into()).await.unwrap();
    tx.commit().await.unwrap();
    // Of these only the roster carries the tag of all users.
    assert_loads!(1, [a.cache, b.cache], others(&b).await);
}

#[tokio::test]
async fn borrowed_keys_that_hold_separators_are_kept_apart() {
    let (a, b) = World::new().await.pair().await;
    let pairs = [("a:b", "c"), ("a", "b:c"), ("a%3ab", "c"), ("", "a:b:c"), ("{a}", "c d~é")];
    let read = async |instance: &Instance| {
        let mut bodies = Vec::new();
        for (owner, path) in pairs {
            bodies.push(instance.notes.body(owner, path).await.unwrap());
        }
        bodies
    };
    for (n, (owner, path)) in pairs.into_iter().enumerate() {
        let (owner, path) = (owner.to_owned(), path.to_owned());
        let write = async |a: &Instance| a.notes.write_now(&owner, &path, &n.to_string()).await.unwrap();
        fresh(&a, &b, write, read).await;
    }
    let expected: Vec<_> = (0..pairs.len()).map(|n| Some(n.to_string())).collect();
    assert_eq!(read(&b).await, expected);
}

#[tokio::test]
async fn long_keys_that_differ_at_their_ends_are_kept_apart() {
    let (a, b) = World::new().await.pair().await;
    let long = "ä/".repeat(300);
    let paths = [format!("{long}1"), format!("{long}2")];
    let read = async |instance: &Instance| {
        let one = instance.notes.body("ada", &paths[0]).await.unwrap();
        (one, instance.notes.body("ada", &paths[1]).await.unwrap())
    };
    fresh(&a, &b, async |a: &Instance| a.notes.write_now("ada", &paths[0], "one").await.unwrap(), read).await;
    fresh(&b, &a, async |b: &Instance| b.notes.write_now("ada", &paths[1], "two").await.unwrap(), read).await;
    assert_eq!(read(&a).await, (Some("one".into()), Some("two".into())));
}

#[tokio::test]
async fn a_write_that_changes_nothing_leaves_no_fence() {
    let (a, b) = World::new().await.pair().await;
    warm([&a, &b], "old").await;
    assert_eq!(a.users.rename_now(404, "new").await.unwrap(), None);
    assert!(a.users.insert(1, "ada", "red", "again").await.is_err());
    assert_eq!(a.users.rename_alone(1, "bob", "red", "new").await.unwrap(), 0);
    settled([&a, &b], "old").await;
}
