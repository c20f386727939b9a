//! Types of other crates in keys and values, behind the features `uuid`, `chrono` and `time`.

use cache_core::{Cache, Cacheable, MemoryStore, cached};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Cacheable)]
struct Order {
    id: Uuid,
    placed: DateTime<Utc>,
    due: Option<NaiveDate>,
    paid: OffsetDateTime,
}

struct Orders {
    cache: Cache,
}

impl Orders {
    #[cached(key = "order:<id>", ttl = "1h")]
    async fn find(&self, id: Uuid) -> Order {
        let placed = DateTime::from_timestamp(1_700_000_000, 123_456_000).unwrap();
        Order { id, placed, due: Some(placed.date_naive()), paid: OffsetDateTime::UNIX_EPOCH }
    }
}

#[tokio::test]
async fn they_name_entries_and_come_back_as_they_were() {
    let cache = Cache::builder("foreign").store(MemoryStore::default()).build().unwrap();
    let orders = Orders { cache };
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let loaded = orders.find(one).await;
    assert_eq!(orders.find(one).await, loaded);
    assert_eq!(orders.find(two).await.id, two);
    let stats = orders.cache.stats().of("order:<id>");
    assert_eq!((stats.hits, stats.loads), (1, 2));
}
