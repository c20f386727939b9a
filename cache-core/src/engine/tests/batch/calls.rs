//! What one call of a batch asks for, and batches inside of loads.

use tokio::time::Instant;

use super::shop::name;
use super::*;
use crate::{Miss, NotStored, Outcome, Stored, bounded, bypass, explain, memo, peek, refresh};

#[tokio::test]
async fn a_refreshed_batch_loads_all_its_keys_and_stores_them() {
    let shop = Shop::with(1..=3);
    shop.many(1..=3).await.unwrap();
    // Nobody tells the cache.
    shop.set(2, 21);
    assert_eq!(shop.many(1..=3).await.unwrap()[&2], 20);
    assert_eq!(refresh(shop.many(1..=3)).await.unwrap()[&2], 21);
    assert_eq!(shop.one(2).await, Some(21));
    assert_eq!(shop.loads(), [vec![1, 2, 3], vec![1, 2, 3]]);
    assert_eq!((shop.stats().refreshes, shop.stats().fills), (3, 6));
}

#[tokio::test]
async fn a_write_during_a_refreshed_batch_has_the_last_word() {
    let shop = Shop::with(1..=3);
    shop.many(1..=3).await.unwrap();
    let write = async || shop.write(2, 21).await;
    assert_eq!(refresh(shop.many_by(1..=3, write)).await.unwrap()[&2], 20, "it began before the write");
    assert_eq!(shop.many(1..=3).await.unwrap(), HashMap::from([(1, 10), (2, 21), (3, 30)]));
    assert_eq!(shop.stats().fills_refused, 1);
}

#[tokio::test]
async fn a_bounded_batch_takes_what_was_just_invalidated_and_loads_the_rest() {
    let shop = Shop::with(1..=4);
    shop.kept(1..=3).await;
    let fenced = shop.fence(2, Origin::none()).await;
    shop.set(2, 21);
    let (rows, explained) = explain(bounded(shop.kept(1..=4))).await;
    assert_eq!(rows, HashMap::from([(1, 10), (2, 20), (3, 30), (4, 40)]));
    let outcomes: Vec<_> = explained.calls().iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, [Outcome::Hit, Outcome::Bounded, Outcome::Hit, Outcome::Loaded]);
    assert_eq!(shop.loads(), [vec![1, 2, 3], vec![4]]);
    assert_eq!(shop.kept(1..=4).await[&2], 21, "who does not ask for it loads");
    fenced.clear().await.unwrap();
    let stats = shop.stats();
    assert_eq!((stats.bounded, stats.hits, stats.misses), (1, 6, 5));
}

/// The outer value is returned, and loaded again once nothing old goes into it.
#[tokio::test]
async fn what_is_made_of_a_bounded_batch_is_not_stored() {
    for (rule, fills) in [(None, 0), (Some(Rule::InvalidatedTaints), 1)] {
        let shop = match rule {
            None => Shop::with(1..=2),
            Some(rule) => Shop::without(rule, 1..=2),
        };
        shop.kept(1..=2).await;
        let fenced = shop.fence(2, Origin::none()).await;
        shop.set(2, 21);
        let load = async || bounded(shop.kept(1..=2)).await.values().sum::<u64>();
        assert_eq!(private::read(&shop.a.cache, &TAGGED, |text| text.literal("sum"), |_| {}, load).await, 30);
        assert_eq!(shop.a.cache.stats().of("rows").fills, fills, "without {rule:?}");
        fenced.clear().await.unwrap();
    }
}

type Told = (Outcome, Option<Miss>, Option<Stored>);

async fn told<T>(call: impl Future<Output = T>) -> Vec<Told> {
    let (_, explained) = explain(call).await;
    explained.calls().iter().map(|call| (call.outcome, call.miss, call.stored)).collect()
}

#[tokio::test]
async fn a_batch_is_told_of_key_by_key() {
    let shop = Shop::with(1..=2);
    shop.one(1).await;
    let loaded = |stored| (Outcome::Loaded, Some(Miss::Absent), Some(stored));
    let hit = (Outcome::Hit, None, None);
    let first = [hit, loaded(Stored::For(HOUR)), loaded(Stored::For(Policy::NEGATIVE_TTL))];
    assert_eq!(told(shop.many(1..=3)).await, first);
    assert_eq!(told(shop.many(1..=3)).await, [hit, hit, (Outcome::NegativeHit, None, None)]);
    let fenced = shop.fence(2, Origin::none()).await;
    assert_eq!(told(shop.many(1..=3)).await[1], loaded(Stored::Not(NotStored::Fenced)));
    fenced.clear().await.unwrap();
    assert_eq!(told(bypass(shop.many(1..=3))).await.len(), 1, "a batch past the cache is one call");
}

#[tokio::test]
async fn a_peek_at_a_batch_sees_all_its_keys_or_nothing_and_never_loads() {
    let shop = Shop::with(1..=2);
    shop.many([1]).await.unwrap();
    assert!(peek(shop.many([1, 2])).await.is_none());
    shop.world.clock.advance(Duration::from_secs(600));
    shop.many([2]).await.unwrap();
    let before = shop.stats();
    let seen = peek(shop.many([1, 2])).await.unwrap();
    assert_eq!(seen.value.unwrap(), HashMap::from([(1, 10), (2, 20)]));
    assert_eq!((seen.age, seen.left), (Duration::from_secs(600), HOUR - Duration::from_secs(600)));
    assert_eq!((shop.stats(), shop.loads().len()), (before, 2), "neither hits nor misses");
    assert!(bypass(peek(shop.many([1, 2]))).await.is_none());
}

#[tokio::test]
async fn a_batch_in_a_memo_asks_the_store() {
    let shop = Shop::with(1..=2);
    memo(async {
        shop.many([1, 2]).await.unwrap();
        let other = shop.another();
        tokio::spawn(async move { other.write(1, 11).await }).await.unwrap();
        assert_eq!(shop.many([1, 2]).await.unwrap()[&1], 11);
    })
    .await;
}

/// A batch whose loader reads one of its keys by itself, and a single load that reads a batch with its own key in it.
#[tokio::test(start_paused = true)]
async fn a_batch_inside_of_its_own_load_does_not_wait_for_itself() {
    let shop = Shop::with(1..=3);
    let since = Instant::now();
    let inner = async || assert_eq!(shop.one(2).await, Some(20));
    assert_eq!(shop.many_by(1..=3, inner).await.unwrap().len(), 3);
    let outer = private::read(
        &shop.a.cache,
        &ROW,
        |text| name(text, &9),
        |_| {},
        async || {
            shop.set(9, 90);
            shop.many([9]).await.unwrap().get(&9).copied()
        },
    );
    assert_eq!(outer.await, Some(90));
    assert_eq!(since.elapsed(), Duration::ZERO);
    assert_eq!((shop.stats().circles, shop.stats().fills), (2, 4));
}

/// Two tasks: a batch of 1 and 2 whose body needs 3, and a load of 3 whose body needs 2.
#[tokio::test(start_paused = true)]
async fn a_batch_and_a_load_that_need_each_other_do_not_wait_for_each_other() {
    let shop = Shop::with(1..=3);
    let (since, ready): (_, [Arc<tokio::sync::Notify>; 2]) = (Instant::now(), Default::default());
    let batch = {
        let (shop, ready) = (shop.clone(), ready.clone());
        tokio::spawn(async move {
            let body = async || {
                ready[0].notify_one();
                ready[1].notified().await;
                assert_eq!(shop.one(3).await, Some(30));
            };
            shop.many_by(1..=2, body).await.unwrap().len()
        })
    };
    let single = {
        let (shop, ready) = (shop.clone(), ready.clone());
        tokio::spawn(async move {
            let body = async || {
                ready[1].notify_one();
                ready[0].notified().await;
                shop.one(2).await.map(|value| value + 10)
            };
            private::read(&shop.a.cache, &ROW, |text| name(text, &3), |_| {}, body).await
        })
    };
    assert_eq!((promptly(batch).await.unwrap(), promptly(single).await.unwrap()), (2, Some(30)));
    assert_eq!((since.elapsed(), shop.stats().circles), (Duration::ZERO, 1));
}
