//! What a write costs while other instances keep values for themselves: those that nobody keeps, one, or all of them. MARK and CLEAR
//! alone, one right after the other: beside a COMMIT the wait is hidden by it. All instances are in this process, with connections of
//! their own, so that with many of them it is this machine that is measured.

use std::time::{Duration, Instant};

use cache_core::store::Origin;
use cache_core::subject::Kind;
use cache_core::{Cache, RedisStore, cached};
use cache_test_support::Redis;

use super::figures::{Line, Samples};

const INSTANCES: [usize; 4] = [0, 2, 10, 50];
/// A board is whole when it is older than this; until then writers wait for time alone.
const WHOLE: Duration = Duration::from_millis(1500);
const LIMIT: Duration = Duration::from_secs(30);

struct Instance {
    cache: Cache,
}

impl Instance {
    #[cached(key = "shared:<id>", ttl = "1h")]
    async fn find(&self, id: u64) -> u64 {
        id
    }

    async fn new(url: &str, namespace: &str, keeps: bool) -> Result<Self, String> {
        let store = RedisStore::connect(url).await.map_err(|error| error.to_string())?;
        let builder = Cache::builder(namespace).store(store).mark_deadline(LIMIT).clear_wait(LIMIT);
        let builder = if keeps { builder.l1(10_000) } else { builder };
        Ok(Self { cache: builder.build().map_err(|error| error.to_string())? })
    }

    /// Reads until it is served from this instance's own memory.
    async fn holds(&self, id: u64) -> Result<(), String> {
        let (before, begin) = (self.cache.stats().l1().hits, Instant::now());
        while self.cache.stats().l1().hits == before {
            if begin.elapsed() > LIMIT {
                return Err("an instance does not keep what it reads".to_owned());
            }
            self.find(id).await;
        }
        Ok(())
    }

    async fn writes(&self, id: u64) -> Result<Duration, String> {
        let recording = self.cache.recording();
        recording.touch(Kind::Entity, |text| {
            text.literal("shared:");
            text.part(&id);
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
    let mut lines = Vec::new();
    let mut alone = None;
    for instances in INSTANCES {
        let namespace = format!("with-{instances}");
        let writer = Instance::new(&redis.url(), &namespace, false).await?;
        let mut readers = Vec::with_capacity(instances);
        for _ in 0..instances {
            readers.push(Instance::new(&redis.url(), &namespace, true).await?);
        }
        for reader in &readers {
            reader.holds(0).await?;
        }
        tokio::time::sleep(WHOLE).await;
        let sides: &[(&str, &[Instance])] = match readers.as_slice() {
            [] => &[("no L1", &[])],
            all => &[("nobody keeps it", &[]), ("one keeps it", &all[..1]), ("all keep it", all)],
        };
        let mut samples: Vec<Samples> = sides.iter().map(|_| Samples::default()).collect();
        let end = Instant::now() + time;
        while Instant::now() < end {
            for ((_, keepers), samples) in sides.iter().zip(&mut samples) {
                for keeper in *keepers {
                    keeper.holds(1).await?;
                }
                samples.add(writer.writes(if keepers.is_empty() { 2 } else { 1 }).await?);
            }
        }
        let outwaited = writer.cache.stats().writes().outwaited;
        let case = match instances {
            0 => "no instances",
            2 => "2 instances",
            10 => "10 instances",
            _ => "50 instances",
        };
        let line = |side, value, unit, ratio| Line {
            bench: "sharers",
            case,
            side,
            value,
            unit,
            ratio,
            target: None,
        };
        for ((side, _), mut samples) in sides.iter().zip(samples) {
            let (median, slow) = (samples.percentile(0.5), samples.percentile(0.99));
            let alone = *alone.get_or_insert(median);
            lines.push(line(side, median, "ms", Some(median / alone)));
            lines.push(line("  p99", slow, "ms", None));
            lines.push(line("  samples", samples.count() as f64, "n", None));
        }
        lines.push(line("leases waited out", outwaited as f64, "n", None));
    }
    Ok(lines)
}
