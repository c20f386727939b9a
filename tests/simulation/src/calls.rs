//! One call of the application from its first poll to its return, with what it saw written into the facts. Refuses to judge.

mod body;

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Outcome, bounded, bypass, explain, memo, peek, refresh};

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
    let process = app.db.process;
    let (window, begin) = {
        let mut state = world.lock();
        state.say(|state| format!("{}: calls {call:?}", state.who(process, Some(op))));
        if matches!(call, Call::Behind(_) | Call::Restore(_)) {
            state.facts.writes.entry(op).or_default().is_uncovered = true;
        }
        (state.window(), state.mark_time())
    };
    let this = Making { app, op, world, at_rest, window };
    match &call {
        Call::Asked(how, call) => this.ask(*how, call, begin).await,
        Call::Request(calls) => memo(this.request(calls)).await,
        call if call.is_read() => this.plain(How::Plain, call, begin).await,
        call => drop(this.writes(call).await),
    }
}

/// One call under way.
struct Making {
    app: App,
    op: OpId,
    world: Arc<World>,
    at_rest: bool,
    /// How old it may be where it says so; the policy when it began.
    window: Duration,
}

impl Making {
    fn say(&self, text: impl FnOnce() -> String) {
        self.world
            .lock()
            .say(|state| format!("{}: {}", state.who(self.app.db.process, Some(self.op)), text()));
    }

    async fn ask(&self, how: How, call: &Call, begin: At) {
        let result = match how {
            How::Refresh => {
                let result = refresh(read(&self.app, call)).await;
                return self.reads(how, call, begin, matches!(call, Call::Badge(_)), result);
            }
            How::Bypass => bypass(read(&self.app, call)).await,
            How::Peek => match peek(read(&self.app, call)).await {
                Some(peeked) => peeked.value,
                None => return self.say(|| "sees nothing".into()),
            },
            How::Plain | How::Memo | How::Bounded => return self.plain(how, call, begin).await,
        };
        self.reads(how, call, begin, false, result);
    }

    /// Reads through the cache, and looks at who answered. What is made of an old value is as old if this call made it, or its
    /// request remembers that; an entry is not.
    async fn plain(&self, how: How, call: &Call, begin: At) {
        let read = read(&self.app, call);
        let (result, explained) = match how {
            How::Bounded => explain(bounded(read)).await,
            _ => explain(read).await,
        };
        let is_made = matches!(call, Call::Badge(_));
        let is_old = explained.calls().iter().any(|call| match call.outcome {
            Outcome::Bounded => how == How::Bounded,
            Outcome::Loaded | Outcome::Memo => is_made,
            _ => false,
        });
        self.reads(how, call, begin, is_old, result);
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
            self.plain(How::Memo, call, begin).await;
        }
    }

    /// Notes what a read of this kind came to. What answered it may have been invalidated if it is old; if not, it is judged as
    /// a plain one, whatever it asked for.
    fn reads(&self, how: How, call: &Call, begin: At, is_old: bool, result: Result<Seen, Failure>) {
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
            How::Plain | How::Memo | How::Bounded => {}
            How::Refresh => counts.refreshing_reads += 1,
            How::Peek => counts.peeks += 1,
            How::Bypass => counts.bypasses += 1,
        }
        let ran = state.choice.zip(Function::of(call)).map(|(choice, function)| (choice, function, how));
        state.called.extend(ran);
        // What its loader calls is not refreshed.
        let is_loaded = how == How::Bypass || how == How::Refresh && !call.is_nested();
        // One change of the policies may have come in between.
        let window = self.window.max(state.window());
        let since = is_old.then(|| state.within(window, begin));
        let (op, at_rest) = (self.op, self.at_rest);
        state.facts.reads.push(Read { op, begin, end, seen, at_rest, is_loaded, since });
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
