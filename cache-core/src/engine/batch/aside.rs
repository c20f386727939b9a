//! What writes have invalidated, for batches that ask for it. Refuses to load any of it anew: the caller would wait for that.

use std::time::Duration;

use super::Reading;
use crate::engine::read::Alive;
use crate::mode::Outcome;
use crate::schema::Cacheable;
use crate::store::{BoxFuture, Found, all};

/// A place, what the look for its entry was answered, and for how long an old value may answer.
pub(super) type Dropped = (usize, Found, Duration);

impl<V: Cacheable> Reading<'_, V> {
    /// Serves what a write has invalidated, where that is allowed; gives the others.
    pub(super) async fn aside(&mut self, dropped: Vec<Dropped>) -> Vec<usize> {
        let readers = self.readers;
        let asking = dropped.into_iter().map(|(place, found, window)| {
            let aside = async move { (place, readers[place].aside(found, window).await) };
            Box::pin(aside) as BoxFuture<'_, (usize, Option<Alive<V>>)>
        });
        let mut missing = Vec::new();
        for (place, alive) in all(asking.collect()).await {
            let (reader, counters) = (&readers[place], &self.state.counters);
            let Some(alive) = alive else {
                missing.push(place);
                continue;
            };
            if alive.value.is_some() { &counters.hits } else { &counters.negative_hits }.add();
            reader.tell_hit(Outcome::Bounded, &alive);
            reader.is_invalidated();
            self.known[place] = Some(alive.value);
        }
        missing
    }
}
