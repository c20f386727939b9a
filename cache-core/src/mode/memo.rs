//! Values that one request has read already. Refuses to remember what the request itself wrote, and to be seen by loaders.

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Call;
use crate::subject::{EntryKey, Subject};

/// More values are not remembered: a request that reads as many is a batch.
const MOST: usize = 10_000;

/// Runs a future in which a cached function that is called again with the same key answers from memory: the same value for
/// the whole request, without asking the store.
///
/// Inside, a read may be **older than a write that returned meanwhile**, unless the write was made inside as well: what that
/// names is forgotten for the rest of the scope. Loaders run outside of it, so nothing remembered is ever stored. Only this
/// task: what the future spawns neither sees the memory nor clears it. A memo inside a memo is the same one.
///
/// ```
/// # struct Users; impl Users { async fn find(&self, _: i64) {} }
/// # async fn f(users: Users) {
/// let page = cache_core::memo(async {
///     users.find(42).await;
///     users.find(42).await // from memory
/// });
/// # page.await
/// # }
/// ```
pub async fn memo<F: Future>(future: F) -> F::Output {
    let call = Call::current();
    let memo = call.memo.clone().unwrap_or_else(|| Memo::inside(call.hears.clone()));
    Call { memo: Some(memo), ..call }.scope(future).await
}

/// A write of the running task changes this, or may: its memo forgets it, and never learns it again.
pub(crate) fn written<'s>(subjects: impl IntoIterator<Item = &'s Subject>) {
    let call = Call::current();
    if let Some(memo) = call.memo.or(call.hears) {
        let subjects: Vec<_> = subjects.into_iter().collect();
        let mut next = Some(&memo);
        while let Some(memo) = next {
            memo.written(&subjects);
            next = memo.outer.as_deref();
        }
    }
}

/// A call, as far as its answer depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Which cache.
    pub(crate) cache: usize,
    pub(crate) entry: EntryKey,
    pub(crate) tags: Vec<Subject>,
    pub(crate) value: TypeId,
    /// Whether the caller can be told that there is none.
    pub(crate) negative: bool,
}

/// A value of a type that only the callers know; `None` says "there is none".
pub(crate) type Value = Option<Arc<dyn Any + Send + Sync>>;

/// The memory of one request, or of one load of it.
#[derive(Clone)]
pub(crate) struct Memo {
    state: Arc<Mutex<State>>,
    /// That of the request whose load opened this one.
    outer: Option<Arc<Memo>>,
}

#[derive(Default)]
struct State {
    /// With the tags that only the value names.
    values: HashMap<Key, (Value, Vec<Subject>)>,
    written: HashSet<Subject>,
    /// Breaks a rule, for the test kit.
    forgets_nothing: bool,
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Memo").field("values", &state.values.len()).field("written", &state.written).finish()
    }
}

impl Memo {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier call of this request was answered.
    pub(crate) fn answer(&self, key: &Key) -> Option<Value> {
        self.lock().values.get(key).map(|(value, _)| value.clone())
    }

    /// Remembers an answer that also depends on these tags, unless the request has written what it is made of since the call began, or before.
    pub(crate) fn keep(&self, key: Key, value: Value, learned: Vec<Subject>) {
        let mut state = self.lock();
        let State { values, written, .. } = &mut *state;
        let is_written = written.contains(&key.entry.subject)
            || key.tags.iter().chain(&learned).any(|tag| written.contains(tag));
        if !is_written && values.len() < MOST {
            values.insert(key, (value, learned));
        }
    }

    /// Whether the request has written what this is made of.
    pub(crate) fn has_written<'s>(&self, mut subjects: impl Iterator<Item = &'s Subject>) -> bool {
        let state = self.lock();
        subjects.any(|subject| state.written.contains(subject))
    }

    /// Breaks the rule that it forgets what is written.
    pub(crate) fn forgets_nothing(&self) {
        self.lock().forgets_nothing = true;
    }

    fn inside(outer: Option<Self>) -> Self {
        Self { state: Arc::default(), outer: outer.map(Arc::new) }
    }

    fn written(&self, subjects: &[&Subject]) {
        let mut state = self.lock();
        if state.forgets_nothing {
            return;
        }
        let State { values, written, .. } = &mut *state;
        for &subject in subjects {
            // Named before, nothing of it was learned since.
            if !written.insert(subject.clone()) {
                continue;
            }
            values.retain(|key, (_, learned)| {
                key.entry.subject != *subject && !key.tags.contains(subject) && !learned.contains(subject)
            });
        }
    }
}
