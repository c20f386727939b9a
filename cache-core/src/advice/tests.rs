//! What is noticed, and what is not.

use std::cell::Cell;

use super::*;

/// A template's reads under a clock that is moved by hand.
struct World {
    watch: Watch,
    now: Cell<Duration>,
    clock_looks: Cell<u64>,
    ttl: Duration,
    counts: Cell<Counts>,
}

impl World {
    fn new(ttl: Duration) -> Self {
        let now = Cell::new(Duration::from_secs(1_000_000));
        Self { watch: Watch::default(), now, clock_looks: Cell::new(0), ttl, counts: Cell::default() }
    }

    fn read(&self, key: u64, is_hit: bool) -> Vec<Finding> {
        let hash = xxhash_rust::xxh3::xxh3_64(&key.to_le_bytes());
        let clock = || {
            self.clock_looks.set(self.clock_looks.get() + 1);
            self.now.get()
        };
        self.watch.reads(hash, clock, || self.ttl);
        let mut counts = self.counts.get();
        if is_hit {
            counts.hits += 1
        } else {
            counts.misses += 1
        }
        self.counts.set(counts);
        if is_hit { Vec::new() } else { self.watch.misses(self.now.get(), self.ttl, || counts) }
    }

    fn pass(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn keys_that_nobody_reads_twice_are_noticed_once() {
    let world = World::new(10 * SECOND);
    let mut told = Vec::new();
    for key in 0..200_000 {
        told.extend(world.read(key, false));
        world.pass(Duration::from_millis(10));
    }
    let [Finding::ReadOnce { keys, once, within }] = told[..] else { panic!("{told:?}") };
    assert!(keys >= ENOUGH && once == keys, "{told:?}");
    assert_eq!(within, 40 * SECOND);
    assert_eq!(world.watch.found(), told);
}

#[test]
fn keys_that_are_read_again_are_no_pollution() {
    let world = World::new(10 * SECOND);
    let mut told = Vec::new();
    for key in 0..100_000 {
        told.extend(world.read(key, false));
        told.extend(world.read(key, true));
        world.pass(Duration::from_millis(10));
    }
    assert_eq!(told, []);
    assert!(world.watch.gaps.seen().keys >= ENOUGH, "it was not looked at");
    assert_eq!(world.watch.gaps.seen().once, 0);
}

#[test]
fn a_key_keeps_its_place_until_it_had_its_time() {
    let world = World::new(30 * SECOND);
    let mut told = Vec::new();
    // Each of two thousand keys every 20 s: others come in between, and no key is read once.
    for at in 0..200_000 {
        told.extend(world.read(at % 2_000, true));
        world.pass(Duration::from_millis(10));
    }
    told.extend(world.read(0, false));
    assert_eq!((told, world.watch.gaps.seen().once), (Vec::new(), 0));
}

#[test]
fn a_lifetime_below_the_gap_between_reads_is_noticed() {
    let world = World::new(10 * SECOND);
    let mut told = Vec::new();
    for _ in 0..100 {
        for key in 0..20 {
            told.extend(world.read(key, false));
        }
        world.pass(30 * SECOND);
    }
    let [Finding::ShortLife { ttl, gap, gaps }] = told[..] else { panic!("{told:?}") };
    assert!(gap > 10 * SECOND && gap <= 30 * SECOND, "{gap:?}");
    assert!((ttl, gaps >= ENOUGH) == (10 * SECOND, true));
}

#[test]
fn a_lifetime_above_the_gap_between_reads_is_not() {
    let world = World::new(60 * SECOND);
    let mut told = Vec::new();
    for round in 0..200 {
        for key in 0..20 {
            told.extend(world.read(key, round % 2 == 1));
        }
        world.pass(30 * SECOND);
    }
    assert_eq!(told, []);
    assert!(world.watch.gaps.seen().gaps >= ENOUGH);
}

#[test]
fn few_hits_are_noticed_when_the_store_is_no_longer_cold() {
    let world = World::new(3_600 * SECOND);
    let mut told = Vec::new();
    let mut first = None;
    for at in 0..10_000_u64 {
        // A hundred keys, read all the time, and one read in five is a hit.
        let new = world.read(at % 100, at % 5 == 0);
        first = first.or((!new.is_empty()).then_some(at));
        told.extend(new);
        world.pass(Duration::from_millis(50));
    }
    let [Finding::FewHits { reads, hits }] = told[..] else { panic!("{told:?}") };
    assert!(reads >= TRAFFIC && hits * 5 <= reads, "{told:?}");
    assert!(first.is_some_and(|at| at > 2 * 1_200), "the first period of a minute does not count: {first:?}");
}

#[test]
fn reads_are_counted_until_there_are_enough_of_them() {
    let world = World::new(3_600 * SECOND);
    // Two hundred reads a minute.
    let told: Vec<_> = (0..10_000_u64)
        .flat_map(|at| {
            world.pass(Duration::from_millis(300));
            world.read(at % 100, at % 5 == 0)
        })
        .collect();
    assert!(matches!(told[..], [Finding::FewHits { reads: TRAFFIC.., .. }]), "{told:?}");
}

#[test]
fn a_third_of_hits_and_little_traffic_are_not() {
    for (every, reads) in [(3, 10_000_u64), (5, 900)] {
        let world = World::new(3_600 * SECOND);
        for at in 0..reads {
            assert_eq!(world.read(at % 100, at % every == 0), [], "{every} {at}");
            world.pass(Duration::from_millis(50));
        }
    }
}

#[test]
fn entries_that_cost_more_than_their_loads_are_noticed() {
    let of = |bytes: usize, load: Duration| {
        let world = World::new(3_600 * SECOND);
        (0..ENOUGH).for_each(|_| world.watch.fills(bytes, load));
        world.read(1, false)
    };
    let micros = Duration::from_micros;
    let finding = Finding::CheapLoads { bytes: 50_000, load: micros(400), fills: ENOUGH };
    assert_eq!(of(50_000, micros(400)), [finding]);
    assert_eq!(of(50_000, micros(600)), [], "the load costs more");
    assert_eq!(of(2_000, micros(1)), [], "too small to be worth a word");
}

#[test]
fn a_hot_key_costs_the_clock_a_few_looks_and_no_more() {
    let world = World::new(10 * SECOND);
    for _ in 0..100_000 {
        world.read(7, true);
    }
    assert_eq!(world.clock_looks.get(), 16);
}

#[test]
fn equal_reads_are_noticed_equally() {
    let run = || {
        let world = World::new(10 * SECOND);
        let told: Vec<_> = (0..100_000)
            .flat_map(|key| {
                world.pass(Duration::from_millis(10));
                world.read(key, false)
            })
            .collect();
        told
    };
    assert_eq!(run(), run());
}

#[test]
fn advice_names_the_template_the_figures_and_what_to_do() {
    let text = |finding| Advice { template: "user:<>".into(), finding }.to_string();
    let (ttl, gap) = (10 * SECOND, 25 * SECOND);
    assert_eq!(
        text(Finding::ShortLife { ttl, gap, gaps: 400 }),
        "`user:<>`: half of 400 gaps between two reads of a key were 25s or more, and its entries live 10s: raise the ttl"
    );
    assert!(text(Finding::FewHits { reads: 1_000, hits: 99 }).contains("99 of 1000 reads were hits (9 %)"));
}
