//! Redis goes and comes back: reads are answered by Postgres, writes are refused rather than made unseen, and nothing
//! stale is served afterwards.

use std::time::Duration;

use cache_test_support::Redis;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::harness::{Call, World};

#[tokio::test]
async fn without_redis_reads_answer_and_writes_change_nothing_until_it_is_back() {
    let redis = Redis::start().unwrap();
    let world = World::caching_in(&redis.url()).await;
    let jake = world.register("jake").await;
    let slug = world.publish(&jake, "First", &["new"]).await;
    let (page, favorite) = (format!("/articles/{slug}"), format!("/articles/{slug}/favorite"));
    let like = Call::post(&favorite).by(&jake);

    redis.kill();
    for _ in 0..2 {
        let refused = world.write(like.clone()).await;
        refused.refused(503, "server", "could not reach the cache, so nothing was changed");
        let shown = world.read(Call::get(&page).by(&jake)).await.expect(200);
        assert_eq!(shown["article"]["favoritesCount"], 0);
    }

    redis.restart().unwrap();
    let both_write = async {
        let mut in_a_row = 0;
        while in_a_row < 2 {
            in_a_row = if world.once(&like).await.status == 200 { in_a_row + 1 } else { 0 };
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), both_write).await.expect("an instance never found its Redis again");
    let shown = world.read(Call::get(&page).by(&jake)).await.expect(200);
    assert_eq!(
        (&shown["article"]["favorited"], &shown["article"]["favoritesCount"]),
        (&json!(true), &json!(1))
    );
    world.write(Call::delete(&page).by(&jake)).await.expect(204);
    world.close().await;
}
