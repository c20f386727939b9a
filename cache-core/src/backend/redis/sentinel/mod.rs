//! Asks sentinels who the master is, at each connection and while it lasts. Refuses to decide who is: the server named has to
//! say so itself. Refuses to let two masters be used at the same time, by whomever: a connection is leased, and the next is used
//! when the last one's lease has lapsed.

mod answer;
mod rounds;
mod seen;
mod session;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::rounds::Rounds;
use self::seen::Seen;
use self::session::Session;
use super::address::{Endpoint, Login};
use super::dial::Dialer;
use super::error::Refusal;
use super::lease::{HANDOVER, Lease};
use super::source::Named;
use crate::time::Clock;

/// How long the others may take to contradict the first sentinel that answered.
const CONTRADICTION: Duration = Duration::from_millis(100);
/// A sentinel that is silent for so long is passed over. Twice that has to fit into a lease, or the connection would rest while
/// none answers.
const PATIENCE: Duration = Duration::from_millis(400);
/// Between two questions to a sentinel while connected.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The sentinels of one master.
#[derive(Debug)]
pub(super) struct Sentinels {
    /// How the log calls the store.
    pub(super) name: String,
    pub(super) listed: Vec<Endpoint>,
    pub(super) master: String,
    pub(super) login: Option<Login>,
    pub(super) dialer: Dialer,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) heard: Heard,
}

/// What is kept of the sentinels' answers.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// No sentinel answered in the last round, and the log was told.
    is_alone: AtomicBool,
    seen: Mutex<Seen>,
}

/// A question and what came of it.
struct Turn {
    at: usize,
    /// Kept if it still works.
    session: Option<Session>,
    asked: Duration,
    answer: Result<Named, Refusal>,
}

impl Sentinels {
    /// Whom the sentinels name that know of the latest failover. All are asked at once: one that was cut off may be the fastest.
    pub(super) async fn servers(self: &Arc<Self>) -> Result<Vec<Named>, Refusal> {
        let mut asking = JoinSet::new();
        for at in 0..self.listed.len() {
            self.asks(&mut asking, at, None, Duration::ZERO);
        }
        let (mut named, mut refused) = (Vec::new(), Vec::new());
        while let Some(turn) = match named.len() {
            0 => asking.join_next().await,
            _ => timeout(CONTRADICTION, asking.join_next()).await.unwrap_or(None),
        } {
            match turn.map(|turn| turn.answer) {
                Ok(Ok(server)) => named.push(server),
                Ok(Err(refusal)) => refused.push(refusal),
                Err(_) => refused.push(cancelled()),
            }
        }
        if named.is_empty() { Err(together(&refused)) } else { Ok(latest(named)) }
    }

    /// Waits until nobody uses the master before this one any more.
    pub(super) async fn handed_over(&self, to: &Named) {
        let now = self.clock.monotonic();
        let usable = self.seen(|seen| seen.since(to, now)).saturating_add(HANDOVER);
        while let Some(left) = usable.checked_sub(self.clock.monotonic()).filter(|left| !left.is_zero()) {
            sleep(left).await;
        }
    }

    /// Waits until a sentinel knows of a later failover, even to the same server: another may have been the master in between.
    /// Keeps what there is while none answers.
    pub(super) async fn moved(self: &Arc<Self>, from: &Named, asked: Duration, lease: &Lease) -> Refusal {
        let mut rounds = Rounds::since(asked, self.listed.len());
        let mut asking = JoinSet::new();
        for at in 0..self.listed.len() {
            self.asks(&mut asking, at, None, ASK_EVERY);
        }
        while let Some(turn) = asking.join_next().await {
            let Ok(Turn { at, session, asked, answer }) = turn else { return cancelled() };
            let took = self.clock.monotonic().saturating_sub(asked);
            match answer {
                Ok(named) if named.term > from.term => {
                    return Refusal::Away(format!("the sentinels have made {} the master", named.server));
                }
                Ok(_) => {
                    rounds.heard(at, asked);
                    self.hears();
                }
                // Else it was this process that did not listen.
                Err(refusal) if took < PATIENCE * 2 => {
                    rounds.silent(at, asked);
                    if rounds.is_silent() {
                        self.hears_nothing(&refusal);
                    }
                }
                Err(_) => {}
            }
            lease.renew(rounds.asked());
            self.asks(&mut asking, at, session, ASK_EVERY.saturating_sub(took));
        }
        std::future::pending().await
    }

    /// Asks one sentinel after a pause, beside the others: a silent one delays nobody.
    fn asks(
        self: &Arc<Self>,
        asking: &mut JoinSet<Turn>,
        at: usize,
        session: Option<Session>,
        pause: Duration,
    ) {
        let sentinels = self.clone();
        asking.spawn(async move {
            sleep(pause).await;
            sentinels.ask(session, at).await
        });
    }

    /// Asks one sentinel, on the session kept with it if that still works.
    async fn ask(&self, session: Option<Session>, at: usize) -> Turn {
        let sentinel = &self.listed[at];
        let asked = self.clock.monotonic();
        let asking = async {
            let mut kept = match session {
                Some(kept) => kept,
                None => Session::begin(&self.dialer, sentinel, self.login.as_ref()).await?,
            };
            let (named, mastered_for) = kept.master(&self.master).await?;
            let now = self.clock.monotonic();
            self.seen(|seen| seen.hears(&named, mastered_for, now));
            Ok((named, kept))
        };
        let answer =
            timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(Refusal::Away("it is silent".into())));
        match answer {
            Ok((named, kept)) => Turn { at, session: Some(kept), asked, answer: Ok(named) },
            Err(refusal) => {
                let refusal = refusal.of(&format!("the sentinel at {sentinel}"));
                Turn { at, session: None, asked, answer: Err(refusal) }
            }
        }
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.heard.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hears(&self) {
        if self.heard.is_alone.swap(false, Ordering::Relaxed) {
            tracing::info!(store = %self.name, "the sentinels answer again");
        }
    }

    fn hears_nothing(&self, refusal: &Refusal) {
        if !self.heard.is_alone.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                store = %self.name, why = refusal.text(),
                "no sentinel answers; the connection to the master is kept, and a failover is noticed when it breaks"
            );
        }
    }
}

fn cancelled() -> Refusal {
    Refusal::Away("a question was cancelled".into())
}

/// Those of the latest failover, without those named twice. Who was the master before is none to fall back on: others may write
/// to the next one.
fn latest(named: Vec<Named>) -> Vec<Named> {
    let term = named.iter().map(|named| named.term).max();
    let mut servers: Vec<Named> = Vec::with_capacity(named.len());
    for named in named {
        if Some(named.term) == term && !servers.contains(&named) {
            servers.push(named);
        }
    }
    servers
}

/// One reason out of many. What somebody has to change is told rather than who is away.
fn together(refused: &[Refusal]) -> Refusal {
    let wrong = refused.iter().find(|refusal| matches!(refusal, Refusal::Unusable(_)));
    wrong.cloned().unwrap_or_else(|| {
        let told: Vec<&str> = refused.iter().map(Refusal::text).collect();
        Refusal::Away(format!("no sentinel answers ({})", told.join("; ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(port: u16, term: u64) -> Named {
        Named { server: Endpoint { host: "h".into(), port }, term }
    }

    #[test]
    fn only_who_knows_of_the_latest_failover_is_believed() {
        let told = vec![named(1, 3), named(2, 5), named(1, 4), named(3, 5), named(2, 5)];
        assert_eq!(latest(told), [named(2, 5), named(3, 5)]);
    }

    #[test]
    fn what_has_to_be_changed_is_told_before_who_is_away() {
        let (away, wrong) =
            (Refusal::Away("a: refused".into()), Refusal::Unusable("b: no such master".into()));
        assert_eq!(together(&[away.clone(), wrong.clone()]), wrong);
        let none = Refusal::Away("no sentinel answers (a: refused; a: refused)".into());
        assert_eq!(together(&[away.clone(), away]), none);
    }
}
