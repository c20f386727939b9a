//! Stops asking a part of a store that does not answer. Refuses to judge single failures: it opens after a few in a row, and
//! lets one call through from time to time. Refuses to guess, too: what failed together is avoided together.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::store::Shard;

/// Failures in a row that open it: one slow reply is nothing, three are a store in trouble.
const THRESHOLD: u32 = 3;
/// How long it stays open before one call may try: short, since a dead store answers the try at once.
const REST: Duration = Duration::from_millis(250);

/// The shards that one call touches, each once, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Touched {
    first: Shard,
    others: Vec<Shard>,
}

impl Touched {
    pub(crate) fn new(first: Shard, others: impl Iterator<Item = Shard>) -> Self {
        let mut others: Vec<_> = others.filter(|shard| *shard != first).collect();
        others.sort_unstable();
        others.dedup();
        Self { first, others }
    }

    fn is_one(&self) -> bool {
        self.others.is_empty()
    }

    /// Each shard by itself.
    fn each(&self) -> impl Iterator<Item = Self> + '_ {
        let shards = std::iter::once(&self.first).chain(&self.others);
        shards.map(|&first| Self { first, others: Vec::new() })
    }

    /// Every breaker that has a say: one for each shard, and one for these shards together.
    fn breakers(&self) -> impl Iterator<Item = Self> + '_ {
        self.each().chain((!self.is_one()).then(|| self.clone()))
    }
}

/// A breaker for each shard, and one for each set of shards that failed together. A call that touches several tells only
/// that one of them did not answer: it counts against the set, never against a shard that may be well.
#[derive(Debug, Default)]
pub(crate) struct Breakers(RwLock<HashMap<Touched, State>>);

/// Kept while the last call failed; what is not kept is closed.
#[derive(Debug, Default)]
struct State {
    failures: u32,
    opened: Option<Duration>,
}

impl State {
    fn rests(&self, now: Duration) -> bool {
        self.opened.is_some_and(|since| now < since + REST)
    }
}

impl Breakers {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Touched, State>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Touched, State>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call that touches these shards may be made at this monotonic time.
    pub(crate) fn allow(&self, touched: &Touched, now: Duration) -> bool {
        // The usual case: nothing has failed lately.
        if self.read().is_empty() {
            return true;
        }
        let mut states = self.write();
        if touched.breakers().any(|key| states.get(&key).is_some_and(|state| state.rests(now))) {
            return false;
        }
        for key in touched.breakers() {
            if let Some(State { opened: Some(since), .. }) = states.get_mut(&key) {
                // This caller tries; the others wait another while for what it learns.
                *since = now;
            }
        }
        true
    }

    /// A call was answered, by all the shards it touched.
    pub(crate) fn succeeded(&self, touched: &Touched) {
        if self.read().is_empty() {
            return;
        }
        let mut states = self.write();
        for key in touched.breakers() {
            states.remove(&key);
        }
    }

    /// A call was not answered.
    pub(crate) fn failed(&self, touched: &Touched, now: Duration) {
        let mut states = self.write();
        let state = states.entry(touched.clone()).or_default();
        state.failures += 1;
        if state.failures >= THRESHOLD && state.opened.is_none() {
            state.opened = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(shards: &[u64]) -> Touched {
        Touched::new(Shard(shards[0]), shards[1..].iter().map(|&shard| Shard(shard)))
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn opened(touched: &Touched) -> Breakers {
        let breakers = Breakers::default();
        for _ in 0..THRESHOLD {
            assert!(breakers.allow(touched, at(1)));
            breakers.failed(touched, at(1));
        }
        breakers
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_call_through() {
        let one = on(&[1]);
        let breakers = Breakers::default();
        for _ in 0..2 {
            breakers.failed(&one, at(0));
        }
        breakers.succeeded(&one);
        for _ in 0..3 {
            assert!(breakers.allow(&one, at(1)));
            breakers.failed(&one, at(1));
        }
        assert!(!breakers.allow(&one, at(100)));
        assert!(breakers.allow(&one, at(251)));
        assert!(!breakers.allow(&one, at(252)), "only one call tries");
        breakers.succeeded(&one);
        assert!(breakers.allow(&one, at(253)));
    }

    #[test]
    fn an_open_shard_closes_every_call_that_touches_it_and_no_other() {
        let breakers = opened(&on(&[1]));
        for (touched, allowed) in [
            (on(&[1]), false),
            (on(&[2, 1]), false),
            (on(&[2, 1, 2]), false),
            (on(&[2]), true),
            (on(&[2, 3]), true),
        ] {
            assert_eq!(breakers.allow(&touched, at(2)), allowed, "{touched:?}");
        }
    }

    #[test]
    fn what_failed_together_is_avoided_together_and_blamed_on_nobody() {
        let breakers = opened(&on(&[1, 2]));
        for (touched, allowed) in
            [(on(&[1, 2]), false), (on(&[1]), true), (on(&[2]), true), (on(&[1, 3]), true)]
        {
            assert_eq!(breakers.allow(&touched, at(2)), allowed, "{touched:?}");
        }
        breakers.succeeded(&on(&[1]));
        assert!(!breakers.allow(&on(&[1, 2]), at(2)), "the other one may be dead");
        breakers.succeeded(&on(&[1, 2]));
        assert!(breakers.allow(&on(&[1, 2]), at(2)));
    }

    #[test]
    fn a_call_that_is_refused_for_one_shard_does_not_use_up_the_others_try() {
        let breakers = opened(&on(&[1]));
        for _ in 0..THRESHOLD {
            breakers.failed(&on(&[2]), at(200));
        }
        assert!(!breakers.allow(&on(&[1, 2]), at(300)), "the second rests");
        assert!(breakers.allow(&on(&[1]), at(300)));
    }

    #[test]
    fn nothing_is_kept_about_shards_that_answer() {
        let breakers = opened(&on(&[1, 2]));
        breakers.failed(&on(&[1]), at(1));
        breakers.succeeded(&on(&[1, 2]));
        assert!(breakers.read().is_empty());
    }
}
