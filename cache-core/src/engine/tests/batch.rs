//! Many keys in one call, on a table of rows.

mod answers;
mod calls;
mod flights;
mod races;
mod shop;

use std::collections::HashMap;

use super::*;
use crate::error::BatchError;
use crate::testkit::{Command, Rule};
use shop::Shop;

#[tokio::test]
async fn a_thousand_keys_with_a_tenth_missing_are_three_round_trips_and_one_load() {
    let shop = Shop::with(0..1000);
    shop.many(0..900).await.unwrap();
    shop.forget();
    assert_eq!(shop.many(0..1000).await.unwrap().len(), 1000);
    assert_eq!(shop.round_trips(), [(Command::GetMany, 1), (Command::LeaseMany, 1), (Command::FillMany, 1)]);
    assert_eq!(shop.loads(), [(900..1000).collect::<Vec<_>>()]);
    shop.forget();
    assert_eq!(shop.many(0..1000).await.unwrap().len(), 1000);
    assert_eq!(shop.round_trips(), [(Command::GetMany, 1)], "all were stored");
}

#[tokio::test]
async fn a_batch_and_a_single_read_share_their_entries() {
    let shop = Shop::with(1..=3);
    assert_eq!(shop.one(1).await, Some(10));
    assert_eq!(shop.many([1, 2]).await.unwrap(), HashMap::from([(1, 10), (2, 20)]));
    assert_eq!(shop.loads(), [vec![2]], "the first was there");
    assert_eq!(shop.one(2).await, Some(20));
    assert_eq!(shop.stats().loads, 2, "one by itself, one by the batch");
}

#[tokio::test]
async fn a_write_to_one_row_takes_it_from_the_next_batch() {
    let shop = Shop::with(1..=3);
    shop.many(1..=3).await.unwrap();
    shop.write(2, 21).await;
    assert_eq!(shop.many(1..=3).await.unwrap()[&2], 21);
    assert_eq!(shop.loads(), [vec![1, 2, 3], vec![2]]);
}

#[tokio::test]
async fn past_the_limit_a_batch_is_several_pipelines_and_one_load() {
    let shop = Shop::with(0..35).limited(10);
    assert_eq!(shop.many(0..35).await.unwrap().len(), 35);
    assert_eq!(shop.round_trips(), [(Command::GetMany, 4), (Command::LeaseMany, 4), (Command::FillMany, 4)]);
    assert_eq!(shop.loads().len(), 1);
    assert_eq!(shop.stats().fills, 35);
}

#[tokio::test]
async fn under_bypass_the_source_is_asked_for_every_key_as_given() {
    let shop = Shop::with(1..=2);
    shop.many([1, 2]).await.unwrap();
    shop.forget();
    assert_eq!(crate::bypass(shop.many([2, 1, 2])).await.unwrap().len(), 2);
    assert_eq!((shop.round_trips(), shop.loads()), (vec![], vec![vec![2, 1, 2]]));
}

#[tokio::test]
async fn tags_are_each_keys_own() {
    let shop = Shop::with(0..10);
    assert_eq!(shop.tagged(0..10).await.len(), 10);
    let (even, fenced) = (0, shop.fence_tag(0).await);
    assert_eq!(shop.tagged(0..10).await.len(), 10);
    fenced.clear().await.unwrap();
    assert_eq!(shop.tagged(0..10).await.len(), 10);
    let even: Vec<u64> = (even..10).step_by(2).collect();
    assert_eq!(shop.loads(), [(0..10).collect(), even.clone(), even], "loaded under the fence, and after it");
    shop.forget();
    shop.tagged(0..10).await;
    assert_eq!(shop.loads(), Vec::<Vec<u64>>::new(), "and stored after it");
}

#[tokio::test]
async fn without_the_store_a_batch_is_its_load() {
    let shop = Shop::with(1..=3);
    shop.world.store.down();
    assert_eq!(shop.many(1..=3).await.unwrap().len(), 3);
    assert_eq!((shop.loads(), shop.stats().degraded), (vec![vec![1, 2, 3]], 3));
    assert_eq!(shop.world.store.count(Command::LeaseMany), 0, "what does not answer is not asked again");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_costs_a_batch_its_deadline() {
    let shop = Shop::with(1..=3);
    shop.world.store.stall();
    assert_eq!(promptly(shop.many(1..=3)).await.unwrap().len(), 3);
    shop.world.store.flow();
}

#[tokio::test]
async fn entries_due_early_are_refreshed_by_the_batch_that_finds_them() {
    let shop = Shop::with(1..=3);
    shop.early(1..=3).await;
    shop.forget();
    shop.near_expiry();
    shop.set(2, 21);
    assert_eq!(shop.early(1..=3).await[&2], 21);
    assert_eq!((shop.loads(), shop.stats().refreshes), (vec![vec![1, 2, 3]], 3));
    assert_eq!(shop.stats().misses, 3, "those of the first batch");
}

#[tokio::test]
async fn a_refresh_that_fails_serves_what_stands() {
    let shop = Shop::with(1..=3);
    shop.early(1..=3).await;
    shop.near_expiry();
    shop.fail();
    assert_eq!(shop.early(1..=3).await.len(), 3);
    assert_eq!(shop.stats().load_errors, 1);
}
