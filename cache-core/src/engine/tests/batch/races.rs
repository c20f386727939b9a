//! Writes that come in between the steps of a batch, each at its worst moment, and what goes wrong without the rule.

use super::*;

/// The write comes between the batch's GET and its FILL: before it asks for its leases. Gives what a reader sees afterwards.
async fn read_after_a_write_before_the_leases(shop: Shop) -> Option<u64> {
    let lease = shop.world.store.hold(Command::LeaseMany);
    let batch = shop.spawn_many(1..=3);
    lease.reached().await;
    shop.write(2, 21).await;
    lease.release();
    promptly(batch).await.unwrap().unwrap();
    shop.one(2).await
}

#[tokio::test]
async fn leases_are_acknowledged_before_the_load() {
    assert_eq!(read_after_a_write_before_the_leases(Shop::with(1..=3)).await, Some(21));
}

#[tokio::test]
async fn control_leases_after_the_load_store_what_a_write_has_outdated() {
    let naive = Shop::without(Rule::LeasesBeforeBatch, 1..=3);
    assert_eq!(read_after_a_write_before_the_leases(naive).await, Some(20));
}

#[tokio::test]
async fn a_mark_between_lease_and_fill_refuses_the_fill_of_its_own_key_only() {
    let shop = Shop::with(1..=3);
    let fill = shop.world.store.hold(Command::FillMany);
    let batch = shop.spawn_many(1..=3);
    fill.reached().await;
    shop.write(2, 21).await;
    fill.release();
    assert_eq!(promptly(batch).await.unwrap().unwrap()[&2], 20, "it began before the write");
    assert_eq!((shop.stats().fills, shop.stats().fills_refused), (2, 1));
    assert_eq!(shop.many(1..=3).await.unwrap(), HashMap::from([(1, 10), (2, 21), (3, 30)]));
    assert_eq!(shop.loads(), [vec![1, 2, 3], vec![2]]);
}

/// A single read arrives when the batch's fills were carried out and dropped again by a write, and the batch has not heard.
async fn read_that_arrives_at_a_sealed_batch(shop: Shop) -> Option<u64> {
    let reply = shop.world.store.hold_reply(Command::FillMany);
    let batch = shop.spawn_many(1..=3);
    reply.reached().await;
    shop.write(2, 21).await;
    let single = shop.spawn_one(2);
    shop.a.missed(4).await;
    reply.release();
    assert_eq!(promptly(batch).await.unwrap().unwrap()[&2], 20, "it began before the write");
    promptly(single).await.unwrap()
}

#[tokio::test]
async fn who_arrives_at_a_sealed_batch_does_not_take_its_value() {
    assert_eq!(read_that_arrives_at_a_sealed_batch(Shop::with(1..=3)).await, Some(21));
}

#[tokio::test]
async fn control_who_joins_a_batch_whenever_it_comes_is_stale() {
    for rule in [Rule::SealedFlights, Rule::SealBeforeFill] {
        let naive = Shop::without(rule, 1..=3);
        assert_eq!(read_that_arrives_at_a_sealed_batch(naive).await, Some(20), "{rule:?}");
    }
}

/// The same the other way round: a batch arrives at a single read's sealed flight.
async fn batch_that_arrives_at_a_sealed_read(shop: Shop) -> Option<u64> {
    let reply = shop.world.store.hold_reply(Command::Fill);
    let single = shop.spawn_one(2);
    reply.reached().await;
    shop.write(2, 21).await;
    let batch = shop.spawn_many([2]);
    shop.a.missed(2).await;
    reply.release();
    assert_eq!(promptly(single).await.unwrap(), Some(20), "it began before the write");
    promptly(batch).await.unwrap().unwrap().get(&2).copied()
}

#[tokio::test]
async fn a_batch_does_not_take_the_value_of_a_sealed_read() {
    assert_eq!(batch_that_arrives_at_a_sealed_read(Shop::with(1..=3)).await, Some(21));
}

#[tokio::test]
async fn control_a_batch_that_joins_whenever_it_comes_is_stale() {
    let naive = Shop::without(Rule::SealedFlights, 1..=3);
    assert_eq!(batch_that_arrives_at_a_sealed_read(naive).await, Some(20));
}

/// A single read joins while the batch loads what a write outdates.
async fn read_that_joins_a_batch_from_before_the_write(shop: Shop) -> Option<u64> {
    let fill = shop.world.store.hold(Command::FillMany);
    let (seen, go_on) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let batch = {
        let (shop, seen, go_on) = (shop.clone(), seen.clone(), go_on.clone());
        let pause = async move || {
            seen.notify_one();
            go_on.notified().await;
        };
        tokio::spawn(async move { shop.many_by(1..=3, pause).await })
    };
    seen.notified().await;
    shop.write(2, 21).await;
    let single = shop.spawn_one(2);
    shop.a.missed(4).await;
    go_on.notify_one();
    fill.reached().await;
    fill.release();
    promptly(batch).await.unwrap().unwrap();
    promptly(single).await.unwrap()
}

#[tokio::test]
async fn a_value_whose_fill_in_a_batch_was_refused_is_not_shared() {
    assert_eq!(read_that_joins_a_batch_from_before_the_write(Shop::with(1..=3)).await, Some(21));
}

#[tokio::test]
async fn control_sharing_what_a_batch_could_not_store_is_stale() {
    let naive = Shop::without(Rule::JoinStored, 1..=3);
    assert_eq!(read_that_joins_a_batch_from_before_the_write(naive).await, Some(20));
}

#[tokio::test]
async fn while_a_write_is_in_flight_a_batch_loads_its_row_and_stores_the_others() {
    let shop = Shop::with(1..=3);
    let fenced = shop.fence(2, Origin::none()).await;
    assert_eq!(shop.many(1..=3).await.unwrap().len(), 3);
    assert_eq!((shop.stats().fills, shop.stats().fence_bypasses), (2, 1));
    shop.set(2, 21);
    assert_eq!(shop.many(1..=3).await.unwrap()[&2], 21, "nothing of it is served meanwhile");
    fenced.clear().await.unwrap();
}

#[tokio::test]
async fn a_batch_lifts_the_fences_of_finished_writers_and_fills() {
    let shop = Shop::with(1..=3);
    for id in [1, 2] {
        shop.fence(id, Origin::none()).await.abandon();
    }
    shop.world.clock.advance(Duration::from_secs(61));
    shop.fence(3, Origin::none()).await.abandon();
    assert_eq!(shop.many(1..=3).await.unwrap().len(), 3);
    let stats = shop.stats();
    assert_eq!((stats.fences_healed, stats.fills, stats.fence_bypasses), (2, 2, 1), "each by its own writer");
}

#[tokio::test]
async fn entries_of_a_lost_dataset_are_loaded_again_by_a_batch() {
    let shop = Shop::with(1..=3);
    shop.many(1..=3).await.unwrap();
    shop.world.memory.lose_everything();
    shop.set(2, 21);
    assert_eq!(shop.many(1..=3).await.unwrap()[&2], 21);
}
