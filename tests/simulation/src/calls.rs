//! One call of the application from its first poll to its return, with what it saw written into the facts. Refuses to judge.

mod body;

use std::sync::Arc;

use cache_core::{bypass, memo, peek, refresh};

use self::body::{read, write};
use crate::app::App;
use crate::check::{At, Read};
use crate::client::Failure;
use crate::database::Version;
use crate::plan::{Call, How};
use crate::variety::Function;
use crate::world::{OpId, World};

/// The rows that a read looked at, and their versions.
type Seen = Vec<(usize, Version)>;

/// Makes a call; `at_rest` says that the system is quiet.
pub async fn make(app: App, op: OpId, call: Call, at_rest: bool) {
    let world = app.db.world.clone();
    let this = Making { app, op, world, at_rest };
    let begin = {
        let mut state = this.world.lock();
        state.say(|state| format!("{}: calls {call:?}", state.who(this.app.db.process, Some(op))));
        if matches!(call, Call::Behind(_) | Call::Restore(_)) {
            state.facts.writes.entry(op).or_default().is_uncovered = true;
        }
        state.mark_time()
    };
    match &call {
        Call::Asked(how, call) => this.ask(*how, call, begin).await,
        Call::Request(calls) => memo(this.request(calls)).await,
        call if call.is_read() => this.reads(How::Plain, call, begin, read(&this.app, call).await),
        call => drop(this.writes(call).await),
    }
}

/// One call under way.
struct Making {
    app: App,
    op: OpId,
    world: Arc<World>,
    at_rest: bool,
}

impl Making {
    fn say(&self, text: impl FnOnce() -> String) {
        self.world
            .lock()
            .say(|state| format!("{}: {}", state.who(self.app.db.process, Some(self.op)), text()));
    }

    async fn ask(&self, how: How, call: &Call, begin: At) {
        let result = match how {
            How::Refresh => refresh(read(&self.app, call)).await,
            How::Bypass => bypass(read(&self.app, call)).await,
            How::Peek => match peek(read(&self.app, call)).await {
                Some(peeked) => peeked.value,
                None => return self.say(|| "sees nothing".into()),
            },
            How::Plain | How::Memo => read(&self.app, call).await,
        };
        self.reads(how, call, begin, result);
    }

    /// A request that remembers what it has read. What it reads again may be as old as the first time; what it has written is
    /// read anew.
    async fn request(&self, calls: &[Call]) {
        let (mut firsts, mut written) = (Vec::<(&Call, At)>::new(), Vec::new());
        for call in calls {
            if !call.is_read() {
                // One that failed may have done so before it named anything.
                if self.writes(call).await {
                    written.extend(call.written());
                }
                continue;
            }
            let now = self.world.lock().mark_time();
            let known = firsts.iter().find(|(known, _)| *known == call).map(|(_, at)| *at);
            let begin = match known {
                Some(first) if !written.iter().any(|row| call.is_forgotten_with(*row)) => first,
                _ => now,
            };
            if known.is_none() {
                firsts.push((call, now));
            }
            self.reads(How::Memo, call, begin, read(&self.app, call).await);
        }
    }

    /// Notes what a read of this kind came to.
    fn reads(&self, how: How, call: &Call, begin: At, result: Result<Seen, Failure>) {
        let seen = match result {
            Ok(seen) => seen,
            Err(error) => return self.say(|| format!("fails, {error}")),
        };
        self.say(|| format!("returns {}", versions(&seen)));
        let state = &mut *self.world.lock();
        let end = state.mark_time();
        let counts = &mut state.counts;
        *if self.at_rest { &mut counts.rest_reads } else { &mut counts.reads } += 1;
        counts.batch_reads += u64::from(matches!(call, Call::Rows(_) | Call::Many(_)));
        match how {
            How::Plain | How::Memo => {}
            How::Refresh => counts.refreshing_reads += 1,
            How::Peek => counts.peeks += 1,
            How::Bypass => counts.bypasses += 1,
        }
        let ran = state.choice.zip(Function::of(call)).map(|(choice, function)| (choice, function, how));
        state.called.extend(ran);
        // What its loader calls is not refreshed.
        let is_loaded = how == How::Bypass || how == How::Refresh && !call.is_nested();
        state.facts.reads.push(Read { op: self.op, begin, end, seen, at_rest: self.at_rest, is_loaded });
    }

    /// Writes; whether it returned `Ok`.
    async fn writes(&self, call: &Call) -> bool {
        let (op, result) = (self.op, write(&self.app, call).await);
        let mut state = self.world.lock();
        let end = state.mark_time();
        match result {
            Ok(()) => {
                state.counts.writes += 1;
                state.facts.writes.entry(op).or_default().returned = Some(end);
                state.ripe = Some(self.app.db.process);
                drop(state);
                self.say(|| "returns Ok".into());
                true
            }
            Err(error) => {
                state.counts.failed_writes += 1;
                // A body that failed leaves its fence to whoever can tell how it ended: nobody will clear it.
                if matches!((call, &error), (Call::Alone(_), Failure::Sql(_))) {
                    state.facts.writes.entry(op).or_default().forsaken = true;
                }
                drop(state);
                self.say(|| format!("fails, {error}"));
                false
            }
        }
    }
}

fn versions(seen: &[(usize, Version)]) -> String {
    let one = |(row, version): &(usize, Version)| format!("row {row} v{version}");
    seen.iter().map(one).collect::<Vec<_>>().join(", ")
}
