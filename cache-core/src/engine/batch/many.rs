//! Commands for many places: one pipeline a shard, each with a deadline and a breaker of its own, so that a shard that does not
//! answer costs its own keys only. Refuses pipelines over the limit.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::Reading;
use super::lease::{Errand, Held};
use crate::breaker::Touched;
use crate::error::StoreError;
use crate::loading::Verdict;
use crate::schema::Cacheable;
use crate::store::{Answers, BoxFuture, FillRequest, all};

impl<V: Cacheable> Reading<'_, V> {
    /// Sends a command for each of these places; shards side by side, the pipelines of one after the other.
    pub(super) async fn each<'s, T: Send + 's>(
        &'s self,
        places: Vec<usize>,
        send: impl Fn(Vec<usize>) -> Answers<'s, T> + Sync + 's,
    ) -> Vec<(usize, Result<T, StoreError>)> {
        let Some(store) = self.core.store() else { return Vec::new() };
        // Few, and in the order of their places: the same call asks in the same order.
        let mut groups = Vec::<(Touched, Vec<usize>)>::new();
        for place in places {
            let plan = self.readers[place].plan;
            let touched = plan.touched(store, &plan.tags);
            match groups.iter_mut().find(|(known, _)| *known == touched) {
                Some((_, group)) => group.push(place),
                None => groups.push((touched, vec![place])),
            }
        }
        let send = &send;
        let sending = groups.into_iter().map(|(touched, places)| {
            Box::pin(async move {
                let mut answers = Vec::with_capacity(places.len());
                for chunk in places.chunks(self.limit) {
                    let said = self.core.ask_many(&touched, chunk.len(), send(chunk.to_vec())).await;
                    answers.extend(chunk.iter().copied().zip(said));
                }
                answers
            }) as BoxFuture<'_, _>
        });
        all(sending.collect()).await.into_iter().flatten().collect()
    }

    /// Stores what was loaded where there is a lease; gives the places whose value was still current when it was stored.
    pub(super) async fn fill(
        &self,
        errands: &[Errand],
        verdict: &Verdict,
        took: Duration,
        held: &mut Held<'_>,
    ) -> HashSet<usize> {
        let Some(store) = self.core.store().filter(|_| !verdict.is_skipped) else { return HashSet::new() };
        let mut parcels = BTreeMap::new();
        for errand in errands {
            let (reader, value) = (&self.readers[errand.place], self.known[errand.place].clone().flatten());
            let Some((stamp, token)) = errand.stamp.as_ref().zip(held.token(errand.place)) else { continue };
            let lifetimes = reader.lifetimes(value.as_deref(), verdict);
            if let Some(blob) = reader.encode(stamp, value.as_deref(), (verdict, took), lifetimes) {
                parcels.insert(errand.place, (stamp, token, blob, lifetimes[1], lifetimes[0]));
            }
        }
        let places = parcels.keys().copied().collect();
        let filling = self.each(places, |chunk| {
            let parcels = &parcels;
            Box::pin(async move {
                let request = |place: &usize| {
                    let plan = self.readers[*place].plan;
                    let (_, token, blob, ttl, _) = &parcels[place];
                    let (tags, aside) = (&plan.tags[..], plan.state.policy().lifetime.bounded);
                    FillRequest { key: &plan.key, tags, token: *token, blob, ttl: *ttl, aside }
                };
                let requests: Vec<_> = chunk.iter().map(request).collect();
                store.fill_many(&requests).await
            })
        });
        let mut current = HashSet::new();
        for (place, answer) in filling.await {
            let reader = &self.readers[place];
            match answer {
                Ok(filled) => {
                    // Stored or refused, the store has dropped the token.
                    held.forget(place);
                    if reader.accepts(parcels[&place].0, &filled, parcels[&place].4) {
                        current.insert(place);
                    }
                }
                Err(_) => reader.degrades(),
            }
        }
        current
    }
}
