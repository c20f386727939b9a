//! Asks sentinels who the master is, at each connection and while it lasts. Refuses to decide who is: the server named has to
//! say so itself.

mod answer;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::session::Session;
use super::address::{Endpoint, Login};
use super::dial::Dialer;
use super::error::Refusal;
use super::source::Named;

/// How long the others may take to contradict the first sentinel that answered.
const CONTRADICTION: Duration = Duration::from_millis(100);
/// A sentinel that is silent for so long is passed over.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two questions while connected; the sentinels take turns.
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
    /// No sentinel answered in the last round, and the log was told.
    pub(super) is_alone: AtomicBool,
}

impl Sentinels {
    /// Whom the sentinels name, the latest failover first. All are asked at once: one that was cut off may be the fastest.
    pub(super) async fn servers(self: &Arc<Self>) -> Result<Vec<Named>, Refusal> {
        let mut asking = JoinSet::new();
        for at in 0..self.listed.len() {
            let sentinels = self.clone();
            asking.spawn(async move { sentinels.ask(&mut None, at).await });
        }
        let (mut named, mut refused) = (Vec::new(), Vec::new());
        while let Some(answer) = match named.len() {
            0 => asking.join_next().await,
            _ => timeout(CONTRADICTION, asking.join_next()).await.unwrap_or(None),
        } {
            match answer {
                Ok(Ok(server)) => named.push(server),
                Ok(Err(refusal)) => refused.push(refusal),
                Err(_) => refused.push(Refusal::Away("a question was cancelled".into())),
            }
        }
        if named.is_empty() { Err(together(&refused)) } else { Ok(by_term(named)) }
    }

    /// Waits until a sentinel knows of a later failover, to another server. Keeps what there is while none answers.
    pub(super) async fn moved(&self, from: &Named) -> Refusal {
        let mut sessions: Vec<Option<Session>> = self.listed.iter().map(|_| None).collect();
        let mut silent = 0;
        for at in (0..self.listed.len()).cycle() {
            sleep(ASK_EVERY).await;
            match self.ask(&mut sessions[at], at).await {
                Ok(named) if named.term > from.term && named.server != from.server => {
                    return Refusal::Away(format!("the sentinels have made {} the master", named.server));
                }
                Ok(_) => {
                    silent = 0;
                    self.hears();
                }
                Err(refusal) => {
                    silent += 1;
                    if silent >= self.listed.len() {
                        self.hears_nothing(&refusal);
                    }
                }
            }
        }
        std::future::pending().await
    }

    /// Asks one sentinel, on the session kept with it if that still works.
    async fn ask(&self, session: &mut Option<Session>, at: usize) -> Result<Named, Refusal> {
        let sentinel = &self.listed[at];
        let asking = async {
            let mut kept = match session.take() {
                Some(kept) => kept,
                None => Session::begin(&self.dialer, sentinel, self.login.as_ref()).await?,
            };
            let named = kept.master(&self.master).await?;
            *session = Some(kept);
            Ok(named)
        };
        let answer =
            timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(Refusal::Away("it is silent".into())));
        answer.map_err(|refusal: Refusal| refusal.of(&format!("the sentinel at {sentinel}")))
    }

    fn hears(&self) {
        if self.is_alone.swap(false, Ordering::Relaxed) {
            tracing::info!(store = %self.name, "the sentinels answer again");
        }
    }

    fn hears_nothing(&self, refusal: &Refusal) {
        if !self.is_alone.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                store = %self.name, why = refusal.text(),
                "no sentinel answers; the connection to the master is kept, and a failover is noticed when it breaks"
            );
        }
    }
}

/// Without those named twice, the latest term first.
fn by_term(mut named: Vec<Named>) -> Vec<Named> {
    named.sort_by_key(|named| std::cmp::Reverse(named.term));
    let mut servers: Vec<Named> = Vec::with_capacity(named.len());
    for named in named {
        if servers.iter().all(|known| known.server != named.server) {
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
    fn who_knows_of_the_latest_failover_is_believed_first() {
        let told = vec![named(1, 3), named(2, 4), named(1, 3), named(2, 5)];
        assert_eq!(by_term(told), [named(2, 5), named(1, 3)]);
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
