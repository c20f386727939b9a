//! Fences a write before it becomes visible and clears it after. Refuses to say that a write is done before the store
//! confirmed that no older value can be read.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Core;
use super::ask::within;
use super::heard::Told;
use crate::bus::Sharers;
use crate::entry::{self, Header};
use crate::error::{StoreError, StoreErrorKind, WriteError, WriteErrorKind};
use crate::mode;
use crate::policy::OnUnfenced;
use crate::scope::Writes;
use crate::stampede::jittered;
use crate::store::{ClearRequest, Cleared, MarkRequest, Marked, Origin, Put, Store};
use crate::subject::{Epoch, Kind, Subject, WriterId};
use crate::time::StoreTime;

/// Tags of a write keep their generation at least this long; fillers prolong it as their entries need.
const TAG_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// Pauses between attempts to clear.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// Subjects in one command to the store: those of a larger write go one part after the other, so that nobody else's commands wait
/// behind all of them, and each part has a deadline of its own.
const AT_ONCE: usize = 1_000;
/// About ten seconds of attempts to lift the fence of a write that was not made.
const LIFT_ATTEMPTS: usize = 16;
/// How often a delivery whose fence was lost on the way is begun anew at once.
const DELIVERIES: usize = 3;

/// A write whose subjects are fenced: nobody fills them and nobody is served from the cache. Dropped without a word, the
/// fence stays, and readers lift it once the writer's transaction is known to be finished.
#[must_use = "a fence stays until it is cleared or healed"]
#[derive(Debug)]
pub struct Fenced(Option<Fence>);

#[derive(Debug)]
struct Fence {
    core: Arc<Core>,
    writer: WriterId,
    origin: Origin,
    subjects: Vec<Subject>,
    /// By the part that their subject is in.
    puts: BTreeMap<usize, Vec<Put>>,
    /// Who was told by its marks, and must have heard of it before the write returns.
    told: Mutex<Told>,
}

impl Core {
    /// Marks everything a write changes. Nothing of the write may become visible before this returned `Ok`.
    pub(crate) async fn fence(
        self: &Arc<Self>,
        writes: Writes,
        origin: Origin,
    ) -> Result<Fenced, WriteError> {
        mode::written(&writes.subjects);
        let Some(store) = self.store().filter(|_| !writes.subjects.is_empty()) else {
            return Ok(Fenced(None));
        };
        let on_unfenced = self.on_unfenced(&writes);
        let fence = Fence {
            core: self.clone(),
            writer: self.new_writer(),
            origin,
            subjects: writes.subjects,
            puts: BTreeMap::new(),
            told: Mutex::default(),
        };
        // Armed while the mark is under way: a caller that goes away, or an answer that never comes, leaves a fence that
        // nobody needs.
        let mut undo = Undo(Some(fence));
        let Some(fence) = &undo.0 else { return Ok(Fenced(None)) };
        let marked = match fence.mark_once(store).await {
            Ok(marked) => marked,
            Err(error) => {
                if on_unfenced == OnUnfenced::Reject {
                    self.writes.refused.add();
                }
                let is_unsent =
                    error.kind() == StoreErrorKind::Unavailable && fence.subjects.len() <= AT_ONCE;
                if is_unsent || on_unfenced == OnUnfenced::Outbox {
                    // Nothing was sent, so nothing stands; or the write is made all the same, and what stands may stand until then.
                    undo.0 = None;
                }
                return Err(WriteError::new(WriteErrorKind::Unfenced, Some(error)));
            }
        };
        if let Some(error) = self.in_the_way(&marked, &fence.subjects, &writes.settled).await {
            self.writes.refused.add();
            return Err(error);
        }
        self.writes.fenced.add();
        let Some(mut fence) = undo.0.take() else { return Ok(Fenced(None)) };
        fence.puts = self.puts(writes.puts, &fence.subjects, &marked);
        Ok(Fenced(Some(fence)))
    }

    /// Invalidates what writes have changed that everybody can see by now. `origin` tells who to ask about a fence that this leaves
    /// behind. Done twice it is one invalidation too many, and in which order several are done is all the same.
    pub(crate) async fn deliver(
        self: &Arc<Self>,
        subjects: Vec<Subject>,
        origin: Origin,
    ) -> Result<(), StoreError> {
        let Some(store) = self.store().filter(|_| !subjects.is_empty()) else { return Ok(()) };
        let (puts, told) = (BTreeMap::new(), Mutex::default());
        let mut fence = Fence { core: self.clone(), writer: self.new_writer(), origin, subjects, puts, told };
        // All of it is fenced at one time: an entry that is not cleared yet may go into the load of one that is.
        for _ in 0..DELIVERIES {
            fence.mark_once(store).await?;
            if fence.clear_once(store).await? {
                self.heard(store, fence.take_told()).await;
                return Ok(());
            }
            fence.writer = self.new_writer();
        }
        Err(StoreError::new(StoreErrorKind::Disconnected, "it lost the fence again and again"))
    }

    /// Invalidates what a write has changed that was made without a fence, if the store is back within about ten seconds.
    pub(crate) fn deliver_soon(self: &Arc<Self>, subjects: Vec<Subject>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let core = self.clone();
        runtime.spawn(async move {
            let mut pause = FIRST_PAUSE;
            for _ in 0..LIFT_ATTEMPTS {
                if core.deliver(subjects.clone(), Origin::none()).await.is_ok() {
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
            tracing::warn!(
                subjects = subjects.len(),
                "a write was made unfenced, and its entries stay until they expire"
            );
        });
    }

    pub(super) fn new_writer(&self) -> WriterId {
        WriterId(u128::from(self.random()) << 64 | u128::from(self.random()))
    }

    fn puts(
        &self,
        pending: Vec<crate::scope::Pending>,
        subjects: &[Subject],
        marked: &Marked,
    ) -> BTreeMap<usize, Vec<Put>> {
        let mut puts = BTreeMap::<usize, Vec<Put>>::new();
        if pending.is_empty() {
            return puts;
        }
        let entities = subjects.iter().enumerate().filter(|(_, subject)| subject.kind() == Kind::Entity);
        let places: HashMap<_, _> = entities.map(|(place, subject)| (subject, place)).collect();
        for put in pending {
            let Some(&place) = places.get(&put.key.subject) else { continue };
            let Some(&epoch) = marked.epochs.get(place) else { continue };
            if put.payload.len() <= self.settings.size_limit {
                puts.entry(place / AT_ONCE).or_default().push(self.ready(put, epoch, marked));
            }
        }
        puts
    }

    fn ready(&self, put: crate::scope::Pending, epoch: Epoch, marked: &Marked) -> Put {
        let policy = self.site(put.site).policy();
        let lifetime = jittered(policy.lifetime.ttl, policy.lifetime.jitter, self.rng.unit());
        let ttl = lifetime.saturating_add(policy.stale());
        let header = Header {
            codec: put.codec,
            negative: false,
            epoch,
            fingerprint: put.key.fingerprint(),
            made_at: marked.now,
            current_until: marked.now.after(lifetime),
            expires_at: marked.now.after(ttl),
            // Nobody loaded it: an early refresh would have no load to pay for, so XFetch waits for the expiry.
            load: Duration::ZERO,
            tags: Vec::new(),
            learned: Vec::new(),
            full_key: put.key.subject.full().map(Into::into),
            validator: None,
        };
        let aside = policy.lifetime.bounded;
        Put { blob: entry::encode(&header, &put.payload), key: put.key, ttl, aside, epoch }
    }
}

/// Lifts the fence of a mark that was given up.
struct Undo(Option<Fence>);

impl Drop for Undo {
    fn drop(&mut self) {
        Fenced(self.0.take()).lift();
    }
}

impl Fenced {
    /// The write became visible: lifts the fence, drops what was stored before it, and installs what may be installed.
    /// Carries on in the background when the caller goes away or has waited long enough. Meanwhile waits for those who may hold in
    /// their own memory what was there before, a lease at most from when they were told.
    ///
    /// # Errors
    /// [`WriteErrorKind::Unclear`] when the store did not confirm in time: the write was made.
    pub async fn clear(self) -> Result<(), WriteError> {
        let Some(fence) = self.0 else { return Ok(()) };
        let core = fence.core.clone();
        let told = fence.take_told();
        let (done, mut steps) = watch::channel(());
        let clearing = tokio::spawn(fence.clear_for_ever(done));
        if core.settings.faults.clears_unconfirmed {
            return Ok(());
        }
        let confirmed = async {
            // As long as one part after the other is confirmed.
            while let Ok(changed) = tokio::time::timeout(core.settings.clear_wait, steps.changed()).await {
                if changed.is_err() {
                    return clearing.await.ok();
                }
            }
            None
        };
        let heard = async |told| {
            if let Some(store) = core.store() {
                core.heard(store, told).await;
            }
        };
        match tokio::join!(confirmed, heard(told)).0 {
            Some(told) => {
                heard(told).await;
                Ok(())
            }
            None => {
                core.writes.unconfirmed.add();
                Err(WriteError::new(WriteErrorKind::Unclear, None))
            }
        }
    }

    /// The write was rolled back: lifts the fence in the background.
    pub fn lift(self) {
        if let (Some(mut fence), Ok(runtime)) = (self.0, tokio::runtime::Handle::try_current()) {
            fence.puts.clear();
            runtime.spawn(fence.lift());
        }
    }

    /// The outcome is unknown: leaves the fence standing until a reader learns from the database how it ended.
    pub fn abandon(self) {}

    /// Sets the fence once more where it was lost, and drops what was stored meanwhile. For writes that take so long that it may
    /// well be.
    ///
    /// # Errors
    /// [`WriteErrorKind::Unfenced`] when the store did not confirm in time: perhaps it stands, perhaps not.
    pub async fn renew(&self) -> Result<(), WriteError> {
        let Some((fence, store)) = self.0.as_ref().and_then(|fence| Some((fence, fence.core.store()?)))
        else {
            return Ok(());
        };
        let marked = fence.mark_once(store).await;
        marked.map_err(|error| WriteError::new(WriteErrorKind::Unfenced, Some(error)))?;
        fence.core.heard(store, fence.take_told()).await;
        Ok(())
    }

    /// Waits until nobody serves from his own memory any more what it fences: for writes under it that return before it is cleared.
    pub async fn heard(&self) {
        if let Some((fence, store)) = self.0.as_ref().and_then(|fence| Some((fence, fence.core.store()?))) {
            fence.core.heard(store, fence.take_told()).await;
        }
    }

    /// What it fences.
    #[must_use]
    pub fn subjects(&self) -> &[Subject] {
        self.0.as_ref().map_or(&[], |fence| &fence.subjects)
    }
}

impl Fence {
    async fn mark_once(&self, store: &Arc<dyn Store>) -> Result<Marked, StoreError> {
        let (epochs, now) = (Vec::with_capacity(self.subjects.len()), StoreTime::default());
        let mut marked = Marked { epochs, now, queued: Vec::new(), sharers: Sharers::default() };
        for (at, subjects) in self.subjects.chunks(AT_ONCE).enumerate() {
            let request = MarkRequest {
                writer: self.writer,
                origin: &self.origin,
                subjects,
                seed: self.core.random(),
                tag_ttl: TAG_TTL,
            };
            let part = within(self.core.settings.mark_deadline, store.mark(request)).await;
            // Whether it was carried out or not: what cannot be fenced may be made all the same.
            self.core.tells_near(subjects);
            let part = part?;
            marked.epochs.extend(part.epochs);
            marked.now = marked.now.max(part.now);
            marked.queued.extend(part.queued.into_iter().map(|place| at * AT_ONCE + place));
            let told = self.core.told(part.sharers, subjects);
            self.told.lock().unwrap_or_else(PoisonError::into_inner).add(told);
        }
        Ok(marked)
    }

    /// Who was told and may not have heard yet; they are waited for once.
    fn take_told(&self) -> Told {
        std::mem::take(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn clear_part(
        &self,
        store: &Arc<dyn Store>,
        subjects: &[Subject],
        puts: &[Put],
    ) -> Result<Cleared, StoreError> {
        let request =
            ClearRequest { writer: self.writer, subjects, puts, seed: self.core.random(), tag_ttl: TAG_TTL };
        within(self.core.settings.mark_deadline, store.clear(request)).await
    }

    /// Clears all of it, one part after the other; whether its fence stood everywhere.
    async fn clear_once(&self, store: &Arc<dyn Store>) -> Result<bool, StoreError> {
        let mut is_intact = true;
        for subjects in self.subjects.chunks(AT_ONCE) {
            is_intact &= self.clear_part(store, subjects, &[]).await?.intact;
        }
        Ok(is_intact)
    }

    /// Lifts the fence of a write that is visible. If the fence was lost meanwhile, an entry that is not cleared yet may have
    /// gone into the load of one that is; so everything is fenced once more, all of it, and cleared again. Only then is
    /// nothing left that was made of something older. `done` hears of each part the first time. Answers who was told once more.
    async fn clear_for_ever(mut self, done: watch::Sender<()>) -> Told {
        let Some(store) = self.core.store().cloned() else { return Told::default() };
        let mut retry = Retry::default();
        let mut puts = std::mem::take(&mut self.puts);
        let mut is_first = true;
        loop {
            let mut is_intact = true;
            for (at, subjects) in self.subjects.chunks(AT_ONCE).enumerate() {
                // Values go with the first attempt only. If that was carried out and its answer lost, another write may have come
                // and gone, and a late copy of the mark would let the old value pass for the newest.
                let puts = puts.remove(&at).unwrap_or_default();
                let first = match is_first {
                    true => self.clear_part(&store, subjects, &puts).await.ok(),
                    false => None,
                };
                let cleared = match first {
                    Some(cleared) => cleared,
                    None => retry.until_done(&self, || self.clear_part(&store, subjects, &[])).await,
                };
                is_intact &= cleared.intact;
                if is_first {
                    done.send_replace(());
                }
            }
            if is_intact || self.core.settings.faults.ignores_lost_fences {
                self.core.healing.cleared(&self.origin);
                return self.take_told();
            }
            is_first = false;
            // Another id: a second mark under the old one could meet its own clear.
            self.writer = self.core.new_writer();
            retry.until_done(&self, || self.mark_once(&store)).await;
        }
    }

    /// Lifts the fence of a write that was not made. Gives up after a while: nothing depends on it but loads, and readers lift
    /// what is left once the database says that the writer is finished.
    async fn lift(self) {
        let Some(store) = self.core.store() else { return };
        let mut pause = FIRST_PAUSE;
        let mut parts = self.subjects.chunks(AT_ONCE).peekable();
        for _ in 0..LIFT_ATTEMPTS {
            while let Some(subjects) = parts.peek()
                && self.clear_part(store, subjects, &[]).await.is_ok()
            {
                parts.next();
            }
            if parts.peek().is_none() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

/// Repeats what the store must confirm, with growing pauses; tells the log once.
#[derive(Default)]
struct Retry {
    has_warned: bool,
}

impl Retry {
    async fn until_done<T, F>(&mut self, fence: &Fence, attempt: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match attempt().await {
                Ok(done) => return done,
                Err(error) if !self.has_warned => {
                    self.has_warned = true;
                    tracing::warn!(%error, writer = %fence.writer, "a write's entries are not cleared yet; trying on");
                }
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}
