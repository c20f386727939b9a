//! Writes that become visible together: what they change is recorded here while a transaction runs. Refuses to forget: a
//! write that was begun and whose subjects never became known makes the commit fail.

mod cover;
mod nest;
mod settled;
mod subjects;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
pub use cover::Cover;
pub(crate) use cover::Held;
pub use nest::Nest;
use settled::Settled;
pub use settled::{AfterQueued, Settles};

use self::subjects::Subjects;
use crate::key::{Namespace, Text};
use crate::mode;
use crate::policy::OnUnfenced;
use crate::site::{Location, ReadSite, WriteSite};
use crate::subject::{EntryKey, Kind, Subject};

/// A transaction that attributes can record writes in (`cache_sqlx::CacheTx`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry invalidations to its commit",
    label = "not a cache-aware transaction",
    note = "`within` names a parameter of type `&mut cache_sqlx::PgTx<'_>`, `&mut SqliteTx<'_>`, `&mut MySqlTx<'_>` or a `CacheTx`, not a plain sqlx transaction or connection"
)]
pub trait WriteScope {
    /// A handle on the recording this transaction commits with, for a body that runs next ([`Recording::for_body`]).
    fn recording(&mut self) -> Recording;
}

impl<S: WriteScope + ?Sized> WriteScope for &mut S {
    fn recording(&mut self) -> Recording {
        (**self).recording()
    }
}

/// A source that a scope can be opened from, named by `begin = …`; implemented by scopes for pools.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be opened from `{Source}`",
    note = "`begin` names a pool of the transaction's database, for example `begin = self.pool` with a `PgPool` for a `PgTx`"
)]
pub trait OpenScope<Cache, Source>: WriteScope + Sized {
    /// What opening and committing can fail with.
    type Error;

    /// Opens a transaction.
    fn open(cache: &Cache, source: &Source) -> impl Future<Output = Result<Self, Self::Error>> + Send;

    /// Commits it with all that was recorded.
    fn close(self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A source of reads that knows whether it is inside a transaction (`on = …`). `M` is a marker type of the implementing
/// crate, so that it may implement this for types of other crates; users never write it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether it is inside a transaction",
    note = "`on` names a parameter of type `impl cache_sqlx::ReadFrom<'_>`, a pool or a transaction"
)]
pub trait ReadSource<M> {
    /// Whether reads here may see changes that are not committed; such reads bypass the cache.
    fn inside_transaction(&self) -> bool;
}

/// An error type that a failed covered write can become. Everything that is `From<WriteError>` is; `M` lets cache-sqlx add
/// `sqlx::Error`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say that a write could not be fenced",
    note = "without `within` or `begin` the function returns a `Result` whose error is `sqlx::Error` or implements `From<cache_core::WriteError>`"
)]
pub trait FromWriteError<M> {
    /// The write's failure in the function's own error type.
    fn from_write_error(error: crate::error::WriteError) -> Self;

    /// Whether this error, returned by a body, says that the database answered: nothing of the write can become visible
    /// later. Unless it is known, the fence stays until it is `orphan_after` old.
    fn settled(&self) -> bool {
        false
    }
}

/// An error type that a load which took too long can become. Everything that is `From<LoadTimeout>` is; `M` lets cache-sqlx add
/// `sqlx::Error`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say that a load took too long",
    note = "with `hard_timeout` the function returns a `Result` whose error is `sqlx::Error` or implements `From<cache_core::error::LoadTimeout>`"
)]
pub trait FromLoadTimeout<M> {
    /// The timeout in the function's own error type.
    fn from_load_timeout(error: crate::error::LoadTimeout) -> Self;
}

impl<E: From<crate::error::LoadTimeout>> FromLoadTimeout<ViaFrom> for E {
    fn from_load_timeout(error: crate::error::LoadTimeout) -> Self {
        Self::from(error)
    }
}

/// Marker of the blanket implementation over `From`.
#[derive(Debug)]
pub enum ViaFrom {}

impl<E: From<crate::error::WriteError>> FromWriteError<ViaFrom> for E {
    fn from_write_error(error: crate::error::WriteError) -> Self {
        Self::from(error)
    }
}

/// A value that a write-through may install when the transaction has committed.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The entry.
    pub key: EntryKey,
    /// The encoded value.
    pub payload: Bytes,
    /// Codec of the payload.
    pub codec: u8,
    /// The function that reads it, whose policy says how long it lives.
    pub site: &'static ReadSite,
    /// Value of the scope's use counter when it was recorded; any later use of the connection cancels the put.
    pub uses: u64,
    savepoint: u64,
}

/// What is known about one transaction's writes so far; a cheap handle, shared by the transaction and the attributes.
#[derive(Clone)]
pub struct Recording {
    namespace: Namespace,
    state: Arc<Mutex<State>>,
    /// How often the connection had been used when this handle was made.
    since: u64,
    /// From so many rows of one bulk write on their tag stands for them.
    bulk_limit: usize,
    /// What another fence covers for this transaction.
    cover: Option<Cover>,
    /// Breaks a rule, for the test kit: a savepoint's rollback takes the subjects with it.
    forgets: bool,
    /// Who knows what is queued; nobody where none of the program's functions queues.
    queues: Option<Arc<dyn Settles>>,
    /// What is to become of what is recorded through this handle if it cannot be fenced.
    on_unfenced: OnUnfenced,
}

/// Rows of one bulk write that are marked one by one at most, unless the builder says otherwise: one round trip of the store.
pub(crate) const BULK_LIMIT: usize = 1_000;

#[derive(Debug, Default)]
struct State {
    subjects: Subjects,
    /// The strictest that anything was recorded with.
    on_unfenced: Option<OnUnfenced>,
    puts: Vec<Pending>,
    /// Where the value of an entry stands among them.
    places: HashMap<EntryKey, usize>,
    uncovered: Vec<(Location, u64)>,
    /// Ids of the savepoints that are open, outermost first.
    open: Vec<u64>,
    last_savepoint: u64,
    uses: u64,
    settled: Settled,
}

impl State {
    fn name(&mut self, subject: &Subject, on_unfenced: OnUnfenced) {
        self.settled.owes(subject);
        self.on_unfenced = self.on_unfenced.max(Some(on_unfenced));
        self.subjects.add(subject);
    }
}

/// A use counter that no scope reaches: a value that is cancelled.
const NEVER: u64 = u64::MAX;

/// A savepoint of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(u64);

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("state", &*self.lock()).finish_non_exhaustive()
    }
}

impl Recording {
    /// An empty recording whose subjects lie in this namespace.
    #[must_use]
    pub fn new(namespace: Namespace) -> Self {
        Self {
            namespace,
            state: Arc::default(),
            since: 0,
            bulk_limit: BULK_LIMIT,
            cover: None,
            forgets: false,
            queues: None,
            on_unfenced: OnUnfenced::Reject,
        }
    }

    /// A handle through which writes are recorded that say themselves what is to become of them if they cannot be fenced.
    #[must_use]
    pub fn on_unfenced(self, on_unfenced: OnUnfenced) -> Self {
        Self { on_unfenced, ..self }
    }

    /// The same with another limit for the rows of a bulk write.
    pub(crate) fn with_bulk_limit(self, rows: usize) -> Self {
        Self { bulk_limit: rows, ..self }
    }

    /// The same for a transaction that runs under a cover: it changes what that covers, and need not fence it while it stands.
    #[must_use]
    pub fn under(self, cover: &Cover) -> Self {
        let mut state = self.lock();
        cover.subjects().for_each(|subject| state.name(subject, self.on_unfenced));
        drop(state);
        Self { cover: Some(cover.clone()), ..self }
    }

    /// The same without the rule that a rollback keeps subjects.
    pub(crate) fn forgetting(self) -> Self {
        Self { forgets: true, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle for a body that runs next: a value is put through it only if the body uses the connection no more than once,
    /// since only then is what it returns the row as the last statement left it.
    #[must_use]
    pub fn for_body(&self) -> Self {
        Self { since: self.lock().uses, ..self.clone() }
    }

    /// The namespace of its subjects.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Records that the transaction changes what `write` names. Recorded twice is recorded once.
    pub fn touch(&self, kind: Kind, write: impl FnOnce(&mut Text)) -> Subject {
        let subject = self.namespace.subject(kind, write);
        mode::written([&subject]);
        self.lock().name(&subject, self.on_unfenced);
        subject
    }

    /// The tag that stands for the rows of a bulk write, to be named by [`touch_row`](Self::touch_row); records nothing.
    pub fn bulk(&self, write: impl FnOnce(&mut Text)) -> Subject {
        self.namespace.subject(Kind::Tag, write)
    }

    /// As [`touch`](Self::touch) for one of many rows. If the transaction names more of them with this tag than the builder's
    /// `bulk_limit`, the tag is marked in place of all of them: what reads them has to declare it.
    pub fn touch_row(&self, tag: &Subject, write: impl FnOnce(&mut Text)) -> Subject {
        let subject = self.namespace.subject(Kind::Entity, write);
        mode::written([&subject]);
        let mut state = self.lock();
        state.on_unfenced = state.on_unfenced.max(Some(self.on_unfenced));
        state.subjects.add_row(&subject, tag, self.bulk_limit);
        drop(state);
        subject
    }

    /// Announces subjects that only the result will name. Unless the guard is told that they were recorded, the
    /// transaction cannot commit.
    #[must_use]
    pub fn expect(&self, site: &'static WriteSite) -> Expected {
        let savepoint = self.lock().open.last().copied().unwrap_or(0);
        Expected { recording: self.clone(), at: site.at, savepoint, kept: false }
    }

    /// Records a value to install after the commit; nothing unless the connection was used exactly once since
    /// [`Recording::for_body`]: a value that came from elsewhere is no locked row. Nor does anything in the body of a
    /// `#[writes_around]`.
    pub fn put(&self, key: EntryKey, payload: Bytes, codec: u8, site: &'static ReadSite) {
        let is_around = mode::writes_around();
        let mut state = self.lock();
        let savepoint = state.open.last().copied().unwrap_or(0);
        let State { puts, places, uses, .. } = &mut *state;
        let is_current = !is_around && *uses == self.since + 1;
        let uses = if is_current { *uses } else { NEVER };
        let put = Pending { key: key.clone(), payload, codec, site, uses, savepoint };
        match places.get(&key) {
            Some(&place) => puts[place] = put,
            None if is_current => {
                places.insert(key, puts.len());
                puts.push(put);
            }
            None => {}
        }
    }

    /// One statement runs on the transaction's connection: earlier puts may no longer be what the row holds.
    pub fn used(&self) {
        self.lock().uses += 1;
    }

    /// The connection itself is handed out: any number of statements may run on it.
    pub fn handed_out(&self) {
        self.lock().uses += 2;
    }

    /// A savepoint was set.
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        let mut state = self.lock();
        state.last_savepoint += 1;
        let id = state.last_savepoint;
        state.open.push(id);
        Savepoint(id)
    }

    /// A savepoint was released: what happened since belongs to its parent.
    pub fn release(&self, savepoint: Savepoint) {
        let mut state = self.lock();
        state.open.retain(|&id| id != savepoint.0);
        let parent = state.open.last().copied().unwrap_or(0);
        for put in state.puts.iter_mut().filter(|put| put.savepoint == savepoint.0) {
            put.savepoint = parent;
        }
        for lost in state.uncovered.iter_mut().filter(|lost| lost.1 == savepoint.0) {
            lost.1 = parent;
        }
    }

    /// A savepoint was rolled back: its subjects stay (marking too much is safe), all puts are cancelled, and writes of unknown
    /// subjects inside it are undone, so they no longer stand in the way.
    pub fn roll_back(&self, savepoint: Savepoint) {
        let mut state = self.lock();
        state.open.retain(|&id| id != savepoint.0);
        state.puts.clear();
        state.places.clear();
        if self.forgets {
            state.subjects.clear();
        }
        state.uncovered.retain(|lost| lost.1 != savepoint.0);
    }

    /// The transaction is about to commit in the running task: whatever the task's [`memo`](crate::memo) holds of what was
    /// recorded, perhaps before that began, is forgotten. For authors of scopes whose commit runs in a task of its own.
    pub fn commits(&self) {
        mode::written(self.lock().subjects.iter());
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let state = self.lock();
        state.subjects.is_empty() && state.uncovered.is_empty()
    }

    /// Ends the recording: what to mark and what to install.
    ///
    /// # Errors
    /// The writes whose subjects never became known; the transaction must not commit.
    pub fn finish(&self) -> Result<Writes, Uncovered> {
        self.finish_under(None)
    }

    /// Keeps the cover of the transaction from being closed until its end, if it still stands.
    pub(crate) async fn hold_cover(&self) -> Option<Held> {
        match &self.cover {
            Some(cover) => cover.hold().await,
            None => None,
        }
    }

    /// As [`finish`](Self::finish), without what is fenced already.
    pub(crate) fn finish_under(&self, cover: Option<&Held>) -> Result<Writes, Uncovered> {
        let mut state = self.lock();
        if let Some((at, _)) = state.uncovered.first() {
            return Err(Uncovered { at: *at });
        }
        let uses = state.uses;
        let mut puts = std::mem::take(&mut state.puts);
        state.places.clear();
        puts.retain(|put| put.uses == uses);
        let settled = std::mem::take(&mut state.settled).done();
        let on_unfenced = state.on_unfenced.take().unwrap_or_default();
        let subjects = state.subjects.take(|subject| cover.is_some_and(|cover| cover.covers(subject)));
        Ok(Writes { subjects, puts, settled, on_unfenced })
    }
}

/// Everything one transaction changes.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// What to mark.
    pub subjects: Vec<Subject>,
    /// What to install at clear.
    pub puts: Vec<Pending>,
    /// How it stands to what was queued before.
    pub settled: AfterQueued,
    /// What becomes of it if it cannot be fenced.
    pub on_unfenced: OnUnfenced,
}

/// Subjects that a running body still owes.
#[derive(Debug)]
pub struct Expected {
    recording: Recording,
    at: Location,
    savepoint: u64,
    kept: bool,
}

impl Expected {
    /// The subjects were recorded.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        if !self.kept {
            self.recording.lock().uncovered.push((self.at, self.savepoint));
        }
    }
}

/// A body failed, panicked or was dropped before its result named what it had changed, and its statements were not rolled
/// back: committing them would leave a change that nobody invalidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// The function.
    pub at: Location,
}

impl fmt::Display for Uncovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} did not return, so what it changed is unknown and the transaction cannot commit: roll back, or run it inside a savepoint and roll that back",
            self.at
        )
    }
}

impl std::error::Error for Uncovered {}

#[cfg(test)]
mod tests;
