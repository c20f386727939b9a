//! Batches among other readers of the same keys: who loads, who waits, who takes what.

use tokio::sync::Notify;

use super::*;

/// A batch whose loader has seen the rows and waits.
async fn loading(
    shop: &Shop,
    ids: impl IntoIterator<Item = u64>,
) -> (tokio::task::JoinHandle<Result<HashMap<u64, u64>, String>>, Arc<Notify>) {
    let (seen, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let task = {
        let (shop, seen, go_on) = (shop.clone(), seen.clone(), go_on.clone());
        let ids: Vec<_> = ids.into_iter().collect();
        tokio::spawn(async move {
            let pause = async || {
                seen.notify_one();
                go_on.notified().await;
            };
            shop.many_by(ids, pause).await
        })
    };
    seen.notified().await;
    (task, go_on)
}

#[tokio::test]
async fn a_hundred_batches_of_the_same_keys_make_one_load() {
    let shop = Shop::with(1..=5);
    let (first, go_on) = loading(&shop, 1..=5).await;
    let others: Vec<_> = (0..100).map(|_| shop.spawn_many(1..=5)).collect();
    shop.a.missed(505).await;
    go_on.notify_one();
    assert_eq!(promptly(first).await.unwrap().unwrap().len(), 5);
    for other in others {
        assert_eq!(promptly(other).await.unwrap().unwrap().len(), 5);
    }
    assert_eq!((shop.loads().len(), shop.stats().joined), (1, 500));
}

#[tokio::test]
async fn a_single_read_takes_what_a_batch_is_loading_and_the_reverse() {
    let shop = Shop::with(1..=3);
    let (batch, go_on) = loading(&shop, 1..=3).await;
    let single = shop.spawn_one(2);
    shop.a.missed(4).await;
    go_on.notify_one();
    assert_eq!(promptly(single).await.unwrap(), Some(20));
    assert_eq!(promptly(batch).await.unwrap().unwrap().len(), 3);
    assert_eq!((shop.stats().loads, shop.stats().joined), (1, 1));

    shop.write(2, 21).await;
    let fill = shop.world.store.hold(Command::Lease);
    let single = shop.spawn_one(2);
    fill.reached().await;
    let batch = shop.spawn_many([2]);
    shop.a.missed(6).await;
    fill.release();
    assert_eq!(promptly(batch).await.unwrap().unwrap()[&2], 21);
    assert_eq!(promptly(single).await.unwrap(), Some(21));
    assert_eq!((shop.stats().loads, shop.stats().joined), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn batches_whose_keys_cross_wait_for_nobody() {
    let shop = Shop::with(1..=3);
    let (first, go_on) = loading(&shop, [1, 2]).await;
    let before = tokio::time::Instant::now();
    assert_eq!(promptly(shop.many([2, 3])).await.unwrap().len(), 2, "a row more in a query that has to run");
    assert_eq!(tokio::time::Instant::now(), before, "paused time moves only when somebody waits for it");
    go_on.notify_one();
    assert_eq!(promptly(first).await.unwrap().unwrap().len(), 2);
    assert_eq!(shop.loads(), [vec![1, 2], vec![2, 3]]);
    assert_eq!(shop.stats().fills, 3, "who leads a key fills it");
}

#[tokio::test(start_paused = true)]
async fn another_process_waits_for_the_leases_instead_of_loading() {
    let shop = Shop::with(1..=3);
    let other = shop.another();
    let (first, go_on) = loading(&shop, 1..=3).await;
    let second = other.spawn_many(1..=3);
    until(|| shop.world.store.count(Command::LeaseMany) == 2).await;
    go_on.notify_one();
    assert_eq!(promptly(first).await.unwrap().unwrap().len(), 3);
    assert_eq!(promptly(second).await.unwrap().unwrap().len(), 3);
    assert_eq!((shop.loads().len(), other.loads().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_loads_anyway_does_not_wait_for_another_process() {
    let shop = Shop::with(1..=3);
    let other = shop.another();
    let (first, go_on) = loading(&shop, [1, 2]).await;
    assert_eq!(promptly(other.many([2, 3])).await.unwrap().len(), 2);
    assert_eq!((other.loads(), other.stats().fills), (vec![vec![2, 3]], 1));
    go_on.notify_one();
    assert_eq!(promptly(first).await.unwrap().unwrap().len(), 2);
}

#[tokio::test]
async fn a_batch_that_is_dropped_sets_its_waiters_free_and_gives_its_leases_back_in_one_go() {
    let shop = Shop::with(1..=3);
    let (first, _go_on) = loading(&shop, 1..=3).await;
    let (single, batch) = (shop.spawn_one(2), shop.spawn_many([1, 3]));
    shop.a.missed(6).await;
    first.abort();
    assert_eq!(promptly(single).await.unwrap(), Some(20));
    assert_eq!(promptly(batch).await.unwrap().unwrap().len(), 2);
    until(|| shop.world.store.count(Command::ReleaseMany) == 1).await;
    let stats = shop.stats();
    assert_eq!((stats.fills, stats.lease_waits_exceeded), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_hangs_does_not_hang_the_batches_behind_it() {
    let shop = Shop::with(1..=3);
    let (first, _go_on) = loading(&shop, 1..=3).await;
    let second = shop.spawn_many([2, 3]);
    shop.a.missed(5).await;
    // The hung leader's leases lapse on the store's clock.
    shop.world.clock.advance(Duration::from_secs(10));
    assert_eq!(promptly(second).await.unwrap().unwrap().len(), 2);
    assert_eq!(shop.stats().fills, 2, "it leads the next flights, and fills");
    first.abort();
}

#[tokio::test]
async fn every_batch_behind_a_failing_loader_gets_its_own_error() {
    let shop = Shop::with(1..=3);
    shop.fail();
    let (first, go_on) = loading(&shop, 1..=3).await;
    let others: Vec<_> = (0..20).map(|_| shop.spawn_many(1..=3)).collect();
    shop.a.missed(63).await;
    go_on.notify_one();
    assert!(promptly(first).await.unwrap().is_err());
    for other in others {
        assert!(promptly(other).await.unwrap().is_err());
    }
    shop.mend();
    assert_eq!(shop.many(1..=3).await.unwrap().len(), 3);
}
