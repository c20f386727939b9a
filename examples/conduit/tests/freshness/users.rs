//! Writes of accounts.

use cache_core::{assert_fresh, assert_loads};
use conduit::repo::UserChange;

use crate::instance::{account, on, two};

fn renamed(name: &str) -> UserChange {
    UserChange { username: Some(name.into()), ..UserChange::default() }
}

fn moved(email: &str) -> UserChange {
    UserChange { email: Some(email.into()), ..UserChange::default() }
}

#[tokio::test]
async fn a_new_account_is_found_by_who_found_none() {
    let [a, b] = two().await;
    assert_fresh!(on!(a, users.create(&account("one"))), b.users.find(1));
    assert_fresh!(on!(a, users.create(&account("two"))), b.users.find_many(&[1, 2, 3]));
    assert_fresh!(on!(a, users.create(&account("three"))), b.users.id_by_username("three"));
    assert_fresh!(on!(a, users.create(&account("four"))), b.users.id_by_email("four@x"));
}

#[tokio::test]
async fn a_new_account_is_in_the_cache_when_it_is_committed() {
    let [a, b] = two().await;
    let created = on!(a, users.create(&account("one"))).await;
    let found = assert_loads!(0, [b.cache], b.users.find(created.id).await.unwrap());
    assert_eq!(found, Some(created));
}

#[tokio::test]
async fn a_change_shows_in_the_account() {
    let [a, b] = two().await;
    let id = a.register("one").await;
    let bio = |bio: Option<&str>| UserChange { bio: Some(bio.map(Into::into)), ..UserChange::default() };
    let image = UserChange { image: Some(Some("x".into())), ..UserChange::default() };
    assert_fresh!(on!(a, users.update(id, &bio(Some("x")))), b.users.find(id));
    assert_fresh!(on!(a, users.update(id, &bio(None))), b.users.find_many(&[id]));
    assert_fresh!(on!(a, users.update(id, &image)), b.users.find(id));
    assert_fresh!(on!(a, users.update(id, &renamed("two"))), b.users.find(id));
    assert_fresh!(on!(a, users.update(id, &moved("two@x"))), b.users.find(id));
}

#[tokio::test]
async fn a_new_name_leads_to_the_account_and_the_old_one_no_longer() {
    let [a, b] = two().await;
    let id = a.register("one").await;
    assert_fresh!(on!(a, users.update(id, &renamed("two"))), b.users.id_by_username("one"));
    assert_fresh!(on!(a, users.update(id, &renamed("three"))), b.users.id_by_username("three"));
    // A name that was given up goes to somebody else.
    assert_fresh!(on!(a, users.create(&account("two"))), b.users.id_by_username("two"));
}

#[tokio::test]
async fn a_new_address_leads_to_the_account_and_the_old_one_no_longer() {
    let [a, b] = two().await;
    let id = a.register("one").await;
    assert_fresh!(on!(a, users.update(id, &moved("two@x"))), b.users.id_by_email("one@x"));
    assert_fresh!(on!(a, users.update(id, &moved("three@x"))), b.users.id_by_email("three@x"));
    assert_fresh!(on!(a, users.create(&account("two"))), b.users.id_by_email("two@x"));
}
