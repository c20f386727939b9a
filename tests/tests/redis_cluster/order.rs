//! In which order a mark may be carried out key by key. All orders are played, with a reader between any two steps; one is left.

use cache_core::backend::redis::RedisStore;
use cache_core::store::{LeaseRequest, Leased};
use cache_core::subject::{EntryKey, Subject};
use cache_core::testkit::conformance::{Lease, Trial};
use cache_test_support::Redis;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::{cluster, entry_on, key, masters, slot_of};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Fence,
    Leases,
    Entries,
}

use Step::{Entries, Fence, Leases};

const ORDERS: [[Step; 3]; 6] = [
    [Fence, Leases, Entries],
    [Fence, Entries, Leases],
    [Leases, Fence, Entries],
    [Leases, Entries, Fence],
    [Entries, Fence, Leases],
    [Entries, Leases, Fence],
];

/// What a reader does, and after how many steps of the mark.
#[derive(Clone, Copy, Debug)]
struct Reader {
    /// 0: before the mark.
    leases: usize,
    fills: usize,
    /// The fence is lost right after this many steps (a failover, a migration given up).
    loses: Option<usize>,
}

/// Every reader that began before the mark was done, and so may have seen the old row.
fn readers() -> Vec<Reader> {
    let mut all = Vec::new();
    for leases in 0..3 {
        for fills in leases..=3 {
            all.push(Reader { leases, fills, loses: None });
            // Whoever leases after a loss is beyond what any order could do.
            all.extend((leases..=fills).map(|loses| Reader { leases, fills, loses: Some(loses) }));
        }
    }
    all
}

struct Stage<'a> {
    trial: Trial<'a>,
    connection: redis::Connection,
    user: EntryKey,
}

impl Stage<'_> {
    fn run(&mut self, words: &[&str]) {
        redis::cmd(words[0]).arg(&words[1..]).exec(&mut self.connection).unwrap();
    }

    fn step(&mut self, step: Step) {
        let of = |part| key(&self.user.subject, part);
        let (v, l, c) = (of('v'), of('l'), of('c'));
        match step {
            Fence => self.run(&["HSET", &c, "00ff", "none|1|0"]),
            Leases => self.run(&["DEL", &l]),
            Entries => self.run(&["DEL", &v]),
        }
    }

    /// Whether the old value can still be read when the mark is done.
    async fn play(&mut self, order: [Step; 3], reader: Reader) -> bool {
        let mut lease: Option<Lease> = None;
        for done in 0..=3 {
            if done > 0 {
                self.step(order[done - 1]);
            }
            if reader.leases == done {
                let request = LeaseRequest { force: true, ..self.trial.request(&self.user, &[]) };
                let token = request.token;
                if let Leased::Granted { epoch, now, tags: stamps, .. } = self.trial.lease(request).await {
                    lease = Some(Lease { key: self.user.clone(), tags: vec![], token, epoch, now, stamps });
                }
            }
            if reader.loses == Some(done) {
                self.run(&["DEL", &key(&self.user.subject, 'c')]);
            }
            if let (true, Some(lease)) = (reader.fills == done, &lease) {
                self.trial.fill(lease, "old").await;
            }
        }
        self.trial.blob(&self.user).await.is_some()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_orders_only_fence_leases_entries_leaves_nothing_old() {
    let redis = Redis::start().unwrap();
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let mut safe = Vec::new();
    for order in ORDERS {
        let mut is_safe = true;
        for reader in readers() {
            let trial = Trial::new(&store);
            let user = trial.entry("user:1");
            let connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
            let mut stage = Stage { trial, connection, user };
            is_safe &= !stage.play(order, reader).await;
        }
        if is_safe {
            safe.push(order);
        }
    }
    assert_eq!(safe, [[Fence, Leases, Entries]]);
}

/// A tag: the generation first, and a reader stamps its entry with the new one before the fence is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tags_fence_comes_before_its_generation() {
    let redis = Redis::start().unwrap();
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    for fence_first in [true, false] {
        let trial = Trial::new(&store);
        let (list, tags) = (trial.entry("list"), [trial.tag("users")]);
        let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
        let fence = ["HSET".into(), key(&tags[0], 'c'), "00ff".into(), "none|1|0".into()];
        let turn = ["SET".into(), key(&tags[0], 'g'), "0123456789abcdef".into(), "PX".into(), "60000".into()];
        let steps: [&[String]; 2] = if fence_first { [&fence, &turn] } else { [&turn, &fence] };
        redis::cmd(&steps[0][0]).arg(&steps[0][1..]).exec(&mut connection).unwrap();
        if let Leased::Granted { epoch, .. } = {
            let request = trial.request(&list, &tags);
            let leased = trial.lease(request).await;
            if let Leased::Granted { epoch, now, tags: stamps, .. } = &leased {
                let (token, key, tags) = (request.token, list.clone(), tags.to_vec());
                let lease = Lease { key, tags, token, epoch: *epoch, now: *now, stamps: stamps.clone() };
                trial.fill(&lease, "old").await;
            }
            leased
        } {
            assert_ne!(epoch.0, 0);
        }
        redis::cmd(&steps[1][0]).arg(&steps[1][1..]).exec(&mut connection).unwrap();
        let found = trial.get(&list, &tags).await;
        let is_served = found.blob.is_some() && found.tags[0].generation.is_some();
        assert_eq!(is_served, !fence_first, "fence first: {fence_first}");
    }
}

/// Reads what a server is told, as it comes.
struct Monitor(BufReader<TcpStream>);

impl Monitor {
    fn of(redis: &Redis) -> Self {
        let mut stream = TcpStream::connect(redis.address()).unwrap();
        stream.set_read_timeout(Some(super::BOUND)).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut lines = Self(BufReader::new(stream));
        assert!(lines.line().starts_with("+OK"));
        lines
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    /// The parts of a subject that commands name, in order, until there are so many.
    fn parts(&mut self, subject: &Subject, count: usize) -> String {
        let mut parts = String::new();
        while parts.len() < count {
            let line = self.line();
            // What a script does inside is told too.
            let ours =
                line.split_once(&format!("\"{{{}}}:", subject.name())).filter(|_| !line.contains(" lua]"));
            parts.extend(ours.and_then(|(_, part)| part.chars().next()));
        }
        parts
    }
}

/// The order that is safe is the one that goes over the wire; a clear lifts the fence last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_and_clears_in_a_stuck_slot_go_key_by_key_in_the_safe_order() {
    let cluster = cluster().await;
    let store = super::store(&cluster).await;
    let trial = Trial::new(&store);
    let user = entry_on(&cluster, &trial, masters(&cluster)[0]);
    let tag = super::tag_on(&cluster, &trial, masters(&cluster)[0]);
    // A mark asks at its end whether a queued write stands. A tag has two keys, both of which are with the importing node after the mark:
    // its clear is one script again.
    for (subject, marked, cleared) in [(&user.subject, "clvp", "lvc"), (&tag, "cg", "g")] {
        let slot = slot_of(&cluster, subject);
        let to = cluster.other_master(slot).unwrap();
        cluster.open_migration(slot, to).unwrap();
        let mut monitor = Monitor::of(&cluster.nodes()[to]);
        let write = trial.mark(&[subject]).await;
        assert_eq!(monitor.parts(subject, marked.len()), marked);
        trial.clear(&write).await;
        assert_eq!(monitor.parts(subject, cleared.len()), cleared);
        cluster.finish_migration(slot, to).unwrap();
    }
}
