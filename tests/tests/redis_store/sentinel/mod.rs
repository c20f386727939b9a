//! Masters that sentinels name: failovers, sentinels that are wrong, silent or none.

mod failover;
mod fake;
mod handover;
mod named;
mod users;

use std::net::SocketAddr;

use cache_test_support::{Redis, Sentinels};

pub(crate) use self::fake::FakeSentinel;

/// Blocks a thread of its own: the test's runtime has to go on.
async fn sentinels(replicas: usize) -> Sentinels {
    tokio::task::spawn_blocking(move || Sentinels::start(replicas).unwrap()).await.unwrap()
}

/// Waits until the sentinels have replaced a master.
async fn replaced(sentinels: Sentinels, master: SocketAddr) -> (Sentinels, SocketAddr) {
    let waiting = move || {
        let promoted = sentinels.wait_for_another_master(master).unwrap();
        (sentinels, promoted)
    };
    tokio::task::spawn_blocking(waiting).await.unwrap()
}

/// What a server says about its master; nothing while the sentinels are closing its connections.
fn replication(server: &Redis) -> Option<String> {
    let mut connection = redis::Client::open(server.url()).ok()?.get_connection().ok()?;
    redis::cmd("INFO").arg("replication").query(&mut connection).ok()
}
