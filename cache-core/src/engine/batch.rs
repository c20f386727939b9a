//! A read of many keys: look at all, join or lead each key's flight, lease the missing, load them once, fill. Refuses to wait for
//! anybody while others wait for it, and to load more than once a call.

mod aside;
mod lease;
mod many;

use std::any::TypeId;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::Instrument;

use self::lease::{Errand, Held};
use super::join::Waited;
use super::lease::Force;
use super::load::Reader;
use super::pace::Last;
use super::read::{Plan, Tags};
use super::{Core, SiteState, call, put};
use crate::flight::{self, Leader, LoadId, Role, Waiter};
use crate::freshness::{Proof, Stage};
use crate::key::Text;
use crate::loading::{self, Verdict};
use crate::mode::{self, Bypassed, Call, Miss, Mode, Outcome};
use crate::output::{Batch, BatchOutput, Item, Sorted};
use crate::policy::{OnWait, Sharing};
use crate::schema::Cacheable;
use crate::site::ReadSite;
use crate::stampede::Standing;
use crate::store::{Found, GetRequest, all};
use crate::subject::{EntryKey, Kind, Subject};

/// How one key of a batch is read: as a function that returns `Option<Arc<V>>` would.
type One<'a, V> = Reader<'a, Option<Arc<V>>>;

/// What a batch asks for, before its value's type and its loader are known.
#[derive(Debug)]
pub(crate) struct BatchRequest<K> {
    keys: Vec<K>,
    /// `None` where it runs past the cache.
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    state: Arc<SiteState>,
    /// Names of the keys, each once.
    names: Vec<(Subject, Vec<Subject>)>,
    /// For each key as given, which of the names is its own.
    places: Vec<usize>,
    /// For each name, the first key that has it.
    firsts: Vec<usize>,
    /// How many entries go into one pipeline.
    limit: usize,
    call: Call,
}

impl<K> BatchRequest<K> {
    /// Runs past the cache.
    pub(crate) fn past(keys: Vec<K>) -> Self {
        Self { keys, asked: None }
    }
}

/// Writes the names of a batch. `handle` is the mode of the handle it is made through.
pub(crate) fn batch_request<K>(
    core: &Core,
    handle: Mode,
    site: &'static ReadSite,
    keys: Vec<K>,
    limit: usize,
    key: impl Fn(&mut Text, &K),
    tags: impl Fn(&mut Tags, &K),
) -> BatchRequest<K> {
    if core.store().is_none() {
        call::tell_bypassed(core, site, Bypassed::Off, || None);
        return BatchRequest::past(keys);
    }
    let (state, call) = (core.site(site), call::asked(handle));
    if call.mode == Mode::Bypass {
        state.counters.bypasses.add();
        call::tell_bypassed(core, site, Bypassed::Asked, || None);
        return BatchRequest::past(keys);
    }
    let (mut names, mut places, mut firsts) = (Vec::new(), Vec::with_capacity(keys.len()), Vec::new());
    let mut known = HashMap::<Subject, usize>::new();
    for (at, one) in keys.iter().enumerate() {
        let subject = core.namespace.subject(Kind::Entity, |text| key(text, one));
        let place = *known.entry(subject.clone()).or_insert_with(|| {
            let mut collected =
                Tags { namespace: core.namespace.clone(), tags: Vec::new(), frames: Vec::new() };
            tags(&mut collected, one);
            names.push((subject, collected.tags));
            firsts.push(at);
            firsts.len() - 1
        });
        places.push(place);
    }
    let asked = Asked { state, names, places, firsts, limit: limit.max(1), call };
    BatchRequest { keys, asked: Some(asked) }
}

/// Reads many keys through the cache; `load` is called at most once, with the keys that are missing.
pub(crate) async fn read_many<K, O, M, F>(
    core: &Arc<Core>,
    request: BatchRequest<K>,
    load: impl FnOnce(Vec<K>) -> F,
) -> O
where
    K: Clone,
    O: BatchOutput<K, M>,
    F: Future<Output = O>,
{
    let BatchRequest { keys, asked } = request;
    let Some(Asked { state, names, places, firsts, limit, call }) = asked else {
        mode::refuse_load().await;
        // A load of its own, as of a single one.
        return Box::pin(loading::run(None, None, load(keys))).await.0;
    };
    let field = put::field::<<<O::Batch as Batch<K>>::Item as Item>::Value>(state.seed);
    let plan = |(subject, tags)| Plan {
        key: EntryKey { subject, field },
        tags,
        learned: None,
        state: state.clone(),
        shares: false,
        last: Last::default(),
    };
    let plans: Vec<_> = names.into_iter().map(plan).collect();
    let reader = |plan| {
        let (call, note) = (call.clone(), call::note(&call, plan));
        One { core, plan, call, note, sought: None, degraded: AtomicBool::new(false), output: PhantomData }
    };
    let readers: Vec<One<'_, _>> = plans.iter().map(reader).collect();
    let mut batch = Reading {
        core,
        state: &state,
        limit,
        call: &call,
        load: LoadId::new(),
        readers: &readers,
        known: vec![None; readers.len()],
        standing: HashMap::new(),
        stale: HashSet::new(),
    };
    let mut due = Vec::new();
    let all = (0..batch.readers.len()).collect();
    let missing = match &call.peek {
        Some(peek) => {
            if !batch.look(all, Count::Peeks, &mut Vec::new()).await.is_empty() {
                peek.stop::<()>().await;
            }
            Vec::new()
        }
        None if call.mode == Mode::Refresh => {
            batch.readers.iter().for_each(|reader| reader.missed(Miss::Refresh));
            all.iter().for_each(|_| state.counters.refreshes.add());
            all
        }
        None => {
            let missing = batch.look(all, Count::Hits, &mut due).await;
            missing.iter().for_each(|_| state.counters.misses.add());
            batch.rest(missing)
        }
    };

    let part = Box::pin(batch.join(missing)).await;
    let load_these =
        |places: &[usize]| load(places.iter().map(|&place| keys[firsts[place]].clone()).collect());
    let rest = match Box::pin(batch.load(part, due, load_these, |place| &keys[firsts[place]])).await {
        Ok(rest) => rest,
        Err(output) => return output,
    };
    for _ in &batch.stale {
        state.counters.stale.add();
        loading::taint();
    }
    let mut known = batch.known;
    // A value that one key asks for is handed over, not copied.
    let is_shared = places.len() > known.len();
    let mut value = |place: usize| if is_shared { known[place].clone() } else { known[place].take() };
    O::wrap(O::Batch::gather(
        rest,
        keys.into_iter().zip(places).map(|(key, place)| (key, value(place).flatten())),
    ))
}

/// How a look is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Count {
    /// What it finds are hits.
    Hits,
    /// What it finds was loaded for somebody else meanwhile.
    Joined,
    /// What it finds is looked at only.
    Peeks,
}

/// A batch's part in the flights of its keys.
#[derive(Default)]
struct Part {
    /// Those it loads for everybody.
    leads: Vec<(usize, Leader)>,
    /// Those that it loads for itself because its policy says so.
    alone: Vec<usize>,
    /// Those that somebody else loads already, and that it loads once more.
    beside: Vec<usize>,
    /// Held while it loads although others failed.
    _place: Option<tokio::sync::OwnedSemaphorePermit>,
}

/// One call of a batch function.
struct Reading<'a, V: Cacheable> {
    core: &'a Arc<Core>,
    state: &'a Arc<SiteState>,
    limit: usize,
    /// What it asks for.
    call: &'a Call,
    /// Its one load, if it comes to that.
    load: LoadId,
    readers: &'a [One<'a, V>],
    /// What is known by now of each place; `Some(None)` is "there is none".
    known: Vec<Option<Option<Arc<V>>>>,
    /// What stands of places that are to be loaded, to be served if that fails.
    standing: HashMap<usize, Option<Arc<V>>>,
    /// Places whose value is known, but its lifetime is over.
    stale: HashSet<usize>,
}

impl<V: Cacheable> Reading<'_, V> {
    /// Looks at these places in one round trip; gives those without an entry, and notes those whose entry is due early.
    async fn look(&mut self, places: Vec<usize>, count: Count, due: &mut Vec<(usize, Force)>) -> Vec<usize> {
        let counters = &self.state.counters;
        let (mut missing, mut dropped) = (Vec::new(), Vec::new());
        for (place, answer) in self.get(places).await {
            let reader = &self.readers[place];
            let alive = match &answer {
                Ok(found) => reader.open(found),
                Err(_) => {
                    reader.degrades();
                    Err(Miss::Degraded)
                }
            };
            match alive {
                Ok(alive) if alive.standing == Standing::IfError => {
                    if count == Count::Hits {
                        self.standing.insert(place, alive.value);
                    }
                    missing.push(place);
                }
                Ok(alive) => {
                    let (counter, outcome) = match count {
                        Count::Joined => (Some(&counters.joined), Outcome::Joined),
                        Count::Hits if alive.standing == Standing::Stale => {
                            (Some(&counters.hits), Outcome::StaleHit)
                        }
                        Count::Hits if alive.value.is_some() => (Some(&counters.hits), Outcome::Hit),
                        Count::Hits => (Some(&counters.negative_hits), Outcome::NegativeHit),
                        Count::Peeks => (None, Outcome::Hit),
                    };
                    if let Some(counter) = counter {
                        counter.add();
                    }
                    if let Some(peek) = &self.call.peek {
                        peek.saw(alive.age, alive.left);
                    }
                    reader.tell_hit(outcome, &alive);
                    if alive.standing != Standing::Current && count == Count::Hits && !reader.is_resting() {
                        due.push((place, alive.force));
                    }
                    if alive.standing == Standing::Stale {
                        self.stale.insert(place);
                    }
                    self.known[place] = Some(alive.value);
                }
                Err(why) => {
                    reader.missed(why);
                    match (answer, reader.window()) {
                        (Ok(found), Some(window)) if count == Count::Hits => {
                            dropped.push((place, found, window));
                        }
                        _ => missing.push(place),
                    }
                }
            }
        }
        if !dropped.is_empty() {
            missing.extend(self.aside(dropped).await);
        }
        missing.sort_unstable();
        missing
    }

    /// Serves what stands where a load failed a moment ago; gives the others.
    fn rest(&mut self, mut missing: Vec<usize>) -> Vec<usize> {
        missing.retain(|&place| !(self.readers[place].is_resting() && self.stands(place)));
        missing
    }

    /// Serves what stands of a place, if anything does.
    fn stands(&mut self, place: usize) -> bool {
        let Some(value) = self.standing.remove(&place) else { return false };
        self.stale.insert(place);
        self.known[place] = Some(value);
        true
    }

    async fn get(&self, places: Vec<usize>) -> Vec<(usize, Result<Found, crate::error::StoreError>)> {
        let Some(store) = self.core.store() else { return Vec::new() };
        self.each(places, |chunk| {
            Box::pin(async move {
                let request = |&place: &usize| {
                    let plan = self.readers[place].plan;
                    GetRequest { key: &plan.key, tags: &plan.tags, shares: false }
                };
                let requests: Vec<_> = chunk.iter().map(request).collect();
                store.get_many(&requests).await
            })
        })
        .await
    }

    /// Joins or leads the flights of these places. Waits only while it leads none, so that no two batches wait for each other;
    /// and only if all of its places are being loaded by others: a row more in a query that has to run anyway costs less than
    /// waiting does.
    async fn join(&mut self, mut open: Vec<usize>) -> Part {
        let (mut part, mut lost) = (Part::default(), 0);
        let policy = self.state.policy();
        if policy.stampede.sharing == Sharing::Nobody {
            return Part { alone: open, ..part };
        }
        let since = self.core.clock.monotonic();
        while !open.is_empty() {
            let (mut waiters, mut circles) = (Vec::new(), Vec::new());
            for place in open.drain(..) {
                match self.core.flights.enter(&self.flight(place), lost) {
                    Role::Lead(leader) => part.leads.push((place, leader)),
                    Role::Wait(_) if policy.on_wait == OnWait::Stale && self.stands(place) => {}
                    Role::Wait(waiter) => match flight::wait(waiter.load()) {
                        Err(circle) if !self.core.settings.faults.waits_in_circles => {
                            self.readers[place].closes(&circle);
                            circles.push(place);
                        }
                        waiting => waiters.push((place, waiter, waiting.ok().flatten())),
                    },
                }
            }
            let is_over = self.core.clock.monotonic().saturating_sub(since) >= self.patience();
            let hurries = policy.on_wait == OnWait::Load && self.call.mode != Mode::Refresh;
            if !part.leads.is_empty() || !circles.is_empty() || lost >= 2 || is_over || hurries {
                if lost >= 2
                    && part.leads.is_empty()
                    && circles.is_empty()
                    && let Some((_, waiter, _)) = waiters.first()
                {
                    part._place = self.place(waiter).await;
                }
                part.beside = waiters.into_iter().map(|(place, ..)| place).chain(circles).collect();
                return part;
            }
            let mut look_again = Vec::new();
            for (place, waited) in self.wait(waiters, since).await {
                match waited {
                    Waited::Took(value) => {
                        self.state.counters.joined.add();
                        self.readers[place].tell(|call| call.outcome = Outcome::Joined);
                        self.known[place] = Some(value);
                    }
                    Waited::LookAgain if self.call.mode == Mode::Refresh => open.push(place),
                    Waited::LookAgain => look_again.push(place),
                    Waited::EnterAgain(in_a_row) => {
                        lost = lost.max(in_a_row);
                        open.push(place);
                    }
                    Waited::Lead(leader) => part.leads.push((place, leader)),
                    Waited::LoadBeside(_) => {
                        lost = 2;
                        open.push(place);
                    }
                }
            }
            if !look_again.is_empty() {
                open.extend(self.look(look_again, Count::Joined, &mut Vec::new()).await);
            }
        }
        part
    }

    async fn wait(
        &self,
        waiters: Vec<(usize, Waiter, Option<flight::Wait>)>,
        began: Duration,
    ) -> Vec<(usize, Waited<Option<Arc<V>>>)> {
        let readers = self.readers;
        let waiting = waiters.into_iter().map(|(place, waiter, waiting)| {
            Box::pin(async move {
                let waited = readers[place].wait(waiter, began).await;
                drop(waiting);
                (place, waited)
            }) as crate::store::BoxFuture<'_, _>
        });
        all(waiting.collect()).await
    }

    /// A place among the few that load although others failed to.
    async fn place(&self, waiter: &Waiter) -> Option<tokio::sync::OwnedSemaphorePermit> {
        if flight::enclosing().is_some() {
            // They may be waiting for that load.
            return None;
        }
        tokio::time::timeout(self.patience(), waiter.beside().acquire_owned()).await.ok()?.ok()
    }

    fn flight(&self, place: usize) -> flight::Key {
        let plan = self.readers[place].plan;
        flight::Key {
            entry: plan.key.clone(),
            tags: plan.tags.clone(),
            value: TypeId::of::<V>(),
            negative: true,
            refresh: self.call.mode == Mode::Refresh,
        }
    }

    /// Loads what nobody has, and stores it. `Err` is what the call ends with early; `Ok` holds what the loader returned
    /// besides.
    async fn load<'k, K, O, M, F>(
        &mut self,
        part: Part,
        due: Vec<(usize, Force)>,
        load: impl FnOnce(&[usize]) -> F,
        key: impl Fn(usize) -> &'k K,
    ) -> Result<Option<O::Batch>, O>
    where
        K: Clone + 'k,
        O: BatchOutput<K, M>,
        O::Batch: Batch<K>,
        <O::Batch as Batch<K>>::Item: Item<Value = V>,
        F: Future<Output = O>,
    {
        let Part { leads, alone, beside, _place } = part;
        let mut held = Held::new(self.core);
        let _enclosing = flight::wait(self.load);
        let own = |place: usize, id| {
            let plan = self.readers[place].plan;
            flight::Load::begins(id, self.state.name(), flight::Owner::of(self.core), &plan.key)
                .part_of(self.load)
        };
        let first = self.readers.first().map_or(Force::No, |reader| reader.first_force());
        let errands = leads.into_iter().map(|(place, leader)| {
            let own = own(place, leader.load());
            Errand::new(place, first, own).led(leader)
        });
        let errands = errands
            .chain(alone.into_iter().map(|place| Errand::new(place, first, own(place, LoadId::new()))));
        let due =
            due.into_iter().map(|(place, force)| Errand::new(place, force, own(place, LoadId::new())).due());
        let errands: Vec<_> = errands.chain(due).collect();
        let late = self.core.settings.faults.leases_late;
        let mut errands =
            if late { errands } else { self.obtain(errands, beside.is_empty(), &mut held).await };
        if errands.is_empty() && beside.is_empty() {
            return Ok(None);
        }
        if !errands.iter().any(|errand| errand.stamp.is_some()) {
            // Nothing may have been awaited since the flights opened: let those who were woken together with this caller
            // arrive while they are pending.
            tokio::task::yield_now().await;
        }
        let mut places: Vec<_> = errands.iter().map(|errand| errand.place).chain(beside).collect();
        places.sort_unstable();
        errands.iter().for_each(|errand| errand.reaches(Stage::Loading));
        let keys: Vec<K> = places.iter().map(|&place| key(place).clone()).collect();
        let (output, verdict, took) = self.timed(load(&places), places.len()).await;
        let tell = |outcome| {
            for &place in &places {
                self.readers[place].tell(|call| (call.outcome, call.load) = (outcome, Some(took)));
            }
        };
        let loaded = match output.split() {
            Ok(loaded) => {
                tell(Outcome::Loaded);
                loaded
            }
            Err(error) => {
                tell(Outcome::Failed);
                self.state.counters.load_errors.add();
                return if self.does_without(&places) { Ok(None) } else { Err(O::fail(error)) };
            }
        };
        let Sorted { values, rest, strangers } = match loaded.sort(&keys) {
            Ok(sorted) => sorted,
            Err(mismatch) => return Err(O::mismatch(mismatch)),
        };
        for (&place, value) in places.iter().zip(values) {
            self.known[place] = Some(value);
            self.stale.remove(&place);
        }
        if verdict.is_tainted || verdict.is_skipped {
            self.state.counters.unkept.add();
        }
        if verdict.is_tainted {
            // Nobody may take it who would not have read the older value himself.
            return Ok(Some(rest));
        }
        if strangers > 0 {
            self.tell_strangers(strangers);
            // Nobody knows whether a key is absent or came back by another name.
            errands.retain(|errand| self.known[errand.place].as_ref().is_some_and(Option::is_some));
        }
        if late {
            errands = self.obtain(errands, false, &mut held).await;
        }
        if !self.core.settings.faults.seals_late {
            errands.iter().for_each(|errand| errand.reaches(Stage::Sealed));
        }
        let stored = self.fill(&errands, &verdict, took, &mut held).await;
        for errand in errands {
            let value = self.known[errand.place].clone().flatten().map(|value| value as _);
            let proof = Proof::Load { filled: stored.contains(&errand.place) };
            match errand.leader {
                Some(leader) if verdict.is_skipped => leader.lands_skipped(value, proof),
                Some(leader) => leader.lands(value, proof),
                None => {}
            }
        }
        Ok(Some(rest))
    }

    /// The loader failed: whether something stands of all that was to be loaded, and is served.
    fn does_without(&mut self, places: &[usize]) -> bool {
        for &place in places {
            if self.known[place].is_some() || self.standing.contains_key(&place) {
                self.readers[place].rests();
            }
        }
        places.iter().all(|&place| self.known[place].is_some() || self.stands(place))
    }

    async fn timed<O>(&self, load: impl Future<Output = O>, keys: usize) -> (O, Verdict, Duration) {
        let state = self.state;
        state.counters.loads.add();
        let span = tracing::debug_span!("cache.load_many", template = state.site.template, keys);
        let since = self.core.clock.monotonic();
        let hard = state.policy().timeouts.hard;
        let body = loading::run(None, hard, load.instrument(span));
        let apart = self.call.apart();
        let (output, verdict) = self.load.body(apart.scope(body)).await;
        let took = self.core.clock.monotonic().saturating_sub(since);
        state.pace.took(took);
        if verdict.is_late {
            state.counters.load_timeouts.add();
        }
        (output, verdict, took)
    }

    fn tell_strangers(&self, strangers: usize) {
        if !self.state.told_strangers.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                template = self.state.site.template,
                strangers,
                "a batch function returns keys that it was not asked for: keys that are absent from its results are not cached; \
                 return the keys as they were given"
            );
        }
    }
}
