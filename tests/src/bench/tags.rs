//! A tag of a million entries is invalidated: one generation changes, whatever hangs on it. Beside it, in turns, a tag of a hundred.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cache_core::store::Origin;
use cache_core::subject::Kind;
use cache_core::{Cache, RedisStore, cached};
use cache_test_support::Redis;

use super::figures::{Line, Samples};

const MANY: u64 = 1_000_000;
const FEW: u64 = 100;
/// Entries that are filled in one go.
const CHUNK: u64 = 1000;
/// What an invalidation may take.
const TARGET_MS: f64 = 1.0;

struct Shelf {
    cache: Cache,
}

impl Shelf {
    #[cached(batch, key = "few:<id>", tag = "shelf:0", ttl = "1h")]
    async fn few(&self, ids: &[u64]) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, *id)).collect()
    }

    #[cached(batch, key = "many:<id>", tag = "shelf:1", ttl = "1h")]
    async fn many(&self, ids: &[u64]) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, *id)).collect()
    }

    async fn books(&self, shelf: u8, ids: &[u64]) {
        if shelf == 0 {
            self.few(ids).await
        } else {
            self.many(ids).await
        };
    }

    async fn fill(&self, shelf: u8, books: u64) {
        for first in (0..books).step_by(CHUNK as usize) {
            let ids: Vec<u64> = (first..books.min(first + CHUNK)).collect();
            self.books(shelf, &ids).await;
        }
    }

    /// How many of some entries are there.
    async fn present(&self, shelf: u8, books: u64) -> u64 {
        let before = self.cache.stats().total().hits;
        let ids: Vec<u64> = (0..FEW).map(|part| part * (books / FEW)).collect();
        self.books(shelf, &ids).await;
        self.cache.stats().total().hits - before
    }

    async fn invalidate(&self, shelf: u8) -> Result<Duration, String> {
        let recording = self.cache.recording();
        recording.touch(Kind::Tag, |text| {
            text.literal("shelf:");
            text.part(&shelf);
        });
        let writes = recording.finish().map_err(|error| error.to_string())?;
        let begin = Instant::now();
        let fenced = self.cache.fence(writes, Origin::none()).await.map_err(|error| error.to_string())?;
        fenced.clear().await.map_err(|error| error.to_string())?;
        Ok(begin.elapsed())
    }
}

pub(super) async fn run(time: Duration) -> Result<Vec<Line>, String> {
    let redis = Redis::start().map_err(|error| error.to_string())?;
    let store = RedisStore::connect(&redis.url()).await.map_err(|error| error.to_string())?;
    let builder = Cache::builder("bench").store(store).read_deadline(Duration::from_secs(10));
    let shelf = Shelf { cache: builder.build().map_err(|error| error.to_string())? };
    for (number, books) in [(0, FEW), (1, MANY)] {
        shelf.fill(number, books).await;
        let present = shelf.present(number, books).await;
        if present != FEW {
            return Err(format!("only {present} of {FEW} entries looked at were stored"));
        }
    }
    let (mut few, mut many) = (Samples::default(), Samples::default());
    // The first is the one that everything hangs on.
    many.add(shelf.invalidate(1).await?);
    let first = many.percentile(1.0);
    let present = shelf.present(1, MANY).await;
    if present != 0 {
        return Err(format!("{present} of {FEW} entries looked at outlived their tag"));
    }
    let end = Instant::now() + time;
    while Instant::now() < end {
        few.add(shelf.invalidate(0).await?);
        many.add(shelf.invalidate(1).await?);
    }
    let case = "mark and clear";
    let line =
        |side, value, unit, ratio, target| Line { bench: "tags", case, side, value, unit, ratio, target };
    let mut lines = vec![line("entries", MANY as f64, "n", None, None)];
    lines.push(line("1000000, first", first, "ms", None, None));
    for (share, sides, target) in
        [(0.5, ["100, p50", "1000000, p50"], Some(TARGET_MS)), (0.99, ["100, p99", "1000000, p99"], None)]
    {
        let (one, other) = (few.percentile(share), many.percentile(share));
        lines.push(line(sides[0], one, "ms", None, None));
        lines.push(line(sides[1], other, "ms", Some(other / one), target));
    }
    lines.push(line("samples", many.count() as f64, "n", None, None));
    Ok(lines)
}
