//! Whose turn a periodic job is: an entry's lease is the permission, and the entry a note that it was done. Refuses to run a job
//! when the store does not say.

use std::sync::Arc;
use std::time::Duration;

use super::{Core, ask};
use crate::breaker::Touched;
use crate::codec;
use crate::entry::{self, Header};
use crate::freshness::{self, Wanted};
use crate::store::{BoxFuture, FillRequest, Found, LeaseRequest, Leased};
use crate::subject::{EntryKey, Epoch, Kind, Token};
use crate::time::StoreTime;

/// The field of such notes: no function's entry, whose fields are hashes of what they hold.
const FIELD: u64 = 0x7475_726e;

/// Whose turn it is.
pub(crate) enum Turn {
    /// This instance's.
    Mine(MyTurn),
    /// It was done in this period, or somebody is at it.
    Done,
    /// The store does not say.
    Unknown,
}

/// The permission to do a job. Dropped before it is done, it is given back.
pub(crate) struct MyTurn {
    core: Arc<Core>,
    key: EntryKey,
    token: Token,
    epoch: Epoch,
    now: StoreTime,
    period: Duration,
    held: bool,
}

impl Core {
    /// Asks for the turn of a job that one instance does each period.
    pub(crate) fn turn(self: &Arc<Self>, name: &str, period: Duration) -> BoxFuture<'static, Turn> {
        let subject = self.namespace.subject(Kind::Entity, |text| {
            text.literal("hot-set:");
            text.part(name);
        });
        let key = EntryKey { subject, field: FIELD };
        Box::pin(self.clone().take_turn(key, period))
    }

    async fn take_turn(self: Arc<Self>, key: EntryKey, period: Duration) -> Turn {
        let Some(store) = self.store() else { return Turn::Unknown };
        let touched = Touched::new(store.shard(&key.subject), std::iter::empty());
        let mut turn = MyTurn {
            core: self.clone(),
            key: key.clone(),
            token: Token(self.random()),
            epoch: Epoch::default(),
            now: StoreTime::default(),
            period,
            held: true,
        };
        for force in [false, true] {
            let request = LeaseRequest {
                key: &key,
                tags: &[],
                token: turn.token,
                duration: period,
                force,
                over: None,
                finished: &[],
                seed: self.random(),
                tag_ttl: Duration::ZERO,
                shares: false,
            };
            match self.ask(&touched, store.lease(request)).await {
                Ok(Leased::Granted { epoch, now, .. }) => {
                    (turn.epoch, turn.now) = (epoch, now);
                    return Turn::Mine(turn);
                }
                // A note that does not hold any more is replaced.
                Ok(Leased::Present(found)) if !force && !holds(&key, &found) => {}
                Ok(_) => {
                    turn.held = false;
                    return Turn::Done;
                }
                // The lease may have been granted: it is given back with `turn`.
                Err(_) => return Turn::Unknown,
            }
        }
        turn.held = false;
        Turn::Done
    }
}

/// Whether this note says that the job is done.
fn holds(key: &EntryKey, found: &Found) -> bool {
    let Some(Ok((header, _))) = found.blob.as_ref().map(entry::decode) else { return false };
    let wanted = Wanted { fingerprint: key.fingerprint(), full_key: key.subject.full(), tags: 0 };
    freshness::usable(&header, found, wanted).is_ok()
}

impl MyTurn {
    /// The job is done for this period: leaves the note.
    pub(crate) fn ends(self) -> BoxFuture<'static, ()> {
        Box::pin(self.leave_note())
    }

    async fn leave_note(mut self) {
        // A little less than a period, so that who did it last finds its own note gone when it looks again.
        let ttl = self.period - self.period / 16;
        let header = Header {
            codec: codec::NAMED_MESSAGEPACK,
            negative: true,
            epoch: self.epoch,
            fingerprint: self.key.fingerprint(),
            made_at: self.now,
            current_until: self.now.after(ttl),
            expires_at: self.now.after(ttl),
            load: Duration::ZERO,
            tags: Vec::new(),
            learned: Vec::new(),
            full_key: self.key.subject.full().map(Into::into),
            validator: None,
        };
        let blob = entry::encode(&header, &[]);
        let core = self.core.clone();
        let Some(store) = core.store() else { return };
        let touched = Touched::new(store.shard(&self.key.subject), std::iter::empty());
        let request = FillRequest {
            key: &self.key,
            tags: &[],
            token: self.token,
            blob: &blob,
            ttl,
            aside: Duration::ZERO,
        };
        if core.ask(&touched, store.fill(request)).await.is_ok() {
            self.held = false;
        }
    }
}

impl Drop for MyTurn {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (true, Ok(runtime), Some(store)) = (self.held, runtime, self.core.store.clone()) {
            let (key, token, deadline) = (self.key.clone(), self.token, self.core.settings.read_deadline);
            // Best effort: a lease that is not given back lapses after a period.
            runtime.spawn(async move { ask::within(deadline, store.release(&key, token)).await.ok() });
        }
    }
}
