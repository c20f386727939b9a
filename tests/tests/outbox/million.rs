//! A million rows wait. Run it by itself: it measures the memory of its process.
//!
//! ```text
//! cargo test -p cache-tests --test outbox -- --ignored --nocapture a_million
//! ```

use std::time::{Duration, Instant};

use cache_sqlx::Relay;

use crate::world::World;

const ROWS: i64 = 1_000_000;

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes, and measures its process"]
async fn a_million_rows_are_delivered_in_flat_memory() {
    let world = World::new().await;
    let a = world.instance().await;
    sqlx::query(
        "INSERT INTO cache_outbox (namespace, subjects, ticket, unreached)
         SELECT $1, convert_to($1 || ':user:' || n || E'\\n' || $1 || '#users', 'UTF8'), n, true FROM generate_series(1, $2) n",
    )
    .bind(&world.namespace)
    .bind(ROWS)
    .execute(&world.pool)
    .await
    .unwrap();
    let before = resident();
    let since = Instant::now();
    let relay = Relay::builder().start(&a.cache, &a.pool).await.unwrap();
    let (mut most, mut left) = (before, ROWS);
    while left > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        most = most.max(resident());
        left = world.rows().await.0;
        println!("{:4} s: {left} rows wait, {} MiB resident", since.elapsed().as_secs(), resident() >> 20);
    }
    println!("before {} MiB, at most {} MiB, {:?}", before >> 20, most >> 20, since.elapsed());
    relay.stop().await;
    assert!(most - before < 16 << 20, "{before} grew to {most}");
}
