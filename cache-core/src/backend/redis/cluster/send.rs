//! Sends steps to the masters of their subjects, one pipeline a master and all side by side, and goes after slots that move.
//! Refuses to go after one for ever, and to take a redirected step for one that was carried out in its place.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::time::sleep;

use super::super::address::Endpoint;
use super::super::error::{Fault, disconnected};
use super::super::link::Link;
use super::super::send::{Done, Follows, Job, Reach, WhenLost, all};
use super::Cluster;
use super::routes::Member;
use super::slot::slot_of;
use crate::error::{StoreError, StoreErrorKind};

/// How often a step is sent on. A slot moves once, and the map may lag behind it a little.
const ROUNDS: u32 = 6;
/// How often a step is sent again after its connection broke: an epoch may begin while it is under way, twice at most.
const AGAIN: u32 = 2;
/// Before a step is sent for the third time and later: the nodes have yet to tell each other.
const PAUSE: Duration = Duration::from_millis(5);

/// Some steps and who they go to.
struct Group {
    member: Arc<Member>,
    places: Vec<usize>,
}

/// Where a step stands after a round.
enum Outcome {
    Done(Value, Arc<Link>),
    /// Another node serves the slot, as this one says.
    Moved(Arc<Member>),
    /// The node at this address imports the slot.
    Ask(Endpoint),
    Failed(StoreError),
    /// The connection broke, and the step may be sent again.
    Lost(StoreError),
    /// The node imports the slot no longer.
    Gone,
}

impl Outcome {
    fn may_be_done(&self) -> bool {
        match self {
            Self::Done(..) => true,
            Self::Lost(_) => true,
            Self::Failed(error) => error.kind() != StoreErrorKind::Unavailable,
            Self::Moved(_) | Self::Ask(_) | Self::Gone => false,
        }
    }
}

/// What became of the steps so far.
struct Ledger {
    done: Vec<Option<Done>>,
    /// Steps to be sent.
    open: Vec<usize>,
    asks: Vec<(usize, Endpoint)>,
    hints: Vec<Arc<Member>>,
    /// How often each was lost.
    losses: Vec<u32>,
    failure: Option<StoreError>,
    /// Which are reads: carried out, they have done nothing.
    reads: Vec<bool>,
    may_be_done: bool,
}

impl Ledger {
    fn new(jobs: &[Job<'_>]) -> Self {
        let steps = jobs.len();
        Self {
            done: (0..steps).map(|_| None).collect(),
            open: (0..steps).collect(),
            asks: Vec::new(),
            hints: Vec::new(),
            losses: vec![0; steps],
            failure: None,
            reads: jobs.iter().map(|job| job.follows == Follows::Nothing).collect(),
            may_be_done: false,
        }
    }

    fn enter(&mut self, place: usize, outcome: Outcome, in_order: bool) {
        self.may_be_done |= outcome.may_be_done() && !self.reads[place];
        match outcome {
            Outcome::Done(value, link) => self.done[place] = Some(Done { value, link, in_order }),
            Outcome::Lost(_) if self.losses[place] < AGAIN => {
                self.losses[place] += 1;
                self.open.push(place);
            }
            Outcome::Lost(error) | Outcome::Failed(error) => self.failure = Some(error),
            Outcome::Ask(endpoint) => self.asks.push((place, endpoint)),
            Outcome::Gone => self.open.push(place),
            Outcome::Moved(hint) => {
                self.hints.push(hint);
                self.open.push(place);
            }
        }
    }

    fn close(self) -> Result<Vec<Done>, StoreError> {
        if let Some(error) = self.failure {
            return Err(honest(error, self.may_be_done));
        }
        let done: Option<Vec<_>> = self.done.into_iter().collect();
        done.ok_or_else(|| Fault::Moved.into())
    }
}

impl Cluster {
    /// Carries steps out, wherever their subjects are. Steps of one subject must not depend on each other's order.
    pub(in super::super) async fn run(
        &self,
        jobs: &[Job<'_>],
        reach: Reach,
    ) -> Result<Vec<Done>, StoreError> {
        let mut ledger = Ledger::new(jobs);
        for round in 0..ROUNDS {
            if round > 1 {
                sleep(PAUSE * round).await;
            }
            let (groups, unserved) = match self.group(jobs, &std::mem::take(&mut ledger.open)) {
                Ok(groups) => groups,
                Err(error) => {
                    ledger.failure = Some(error);
                    break;
                }
            };
            let links = all(groups.iter().map(|group| group.member.node.ready()).collect()).await;
            let mut reached = Vec::new();
            for (group, link) in groups.into_iter().zip(links) {
                match link {
                    Ok(link) => reached.push((group, link)),
                    Err(error) => {
                        self.shared.wanted.notify_one();
                        ledger.failure = Some(error);
                    }
                }
            }
            ledger.failure = unserved.or(ledger.failure);
            if reach == Reach::All && ledger.failure.is_some() {
                break;
            }
            let sending = reached.into_iter().map(|(group, link)| send(group, link, jobs)).collect();
            for (place, outcome) in all(sending).await.into_iter().flatten() {
                ledger.enter(place, outcome, round == 0);
            }
            let asks = std::mem::take(&mut ledger.asks);
            let asking = asks.into_iter().map(|(place, at)| self.ask(place, at, &jobs[place])).collect();
            for (place, outcome) in all(asking).await {
                ledger.enter(place, outcome, false);
            }
            if ledger.open.is_empty() {
                break;
            }
            let hints = std::mem::take(&mut ledger.hints);
            if !hints.is_empty() {
                self.shared.look_again(hints).await;
            }
        }
        ledger.close()
    }

    /// Steps by master, and why some have none.
    fn group(
        &self,
        jobs: &[Job<'_>],
        open: &[usize],
    ) -> Result<(Vec<Group>, Option<StoreError>), StoreError> {
        let routes = self.shared.routes()?;
        let (mut groups, mut unserved) = (Vec::<Group>::new(), None);
        for &place in open {
            let slot = slot_of(jobs[place].subject);
            let Some(member) = routes.owner(slot) else {
                unserved = self.shared.owner(slot).err();
                continue;
            };
            match groups.iter_mut().find(|group| Arc::ptr_eq(&group.member, member)) {
                Some(group) => group.places.push(place),
                None => groups.push(Group { member: member.clone(), places: vec![place] }),
            }
        }
        Ok((groups, unserved))
    }

    /// Asks a node that imports a slot.
    async fn ask(&self, place: usize, at: Endpoint, job: &Job<'_>) -> (usize, Outcome) {
        let link = match self.shared.node_at(&at).ready().await {
            Ok(link) => link,
            Err(error) => return (place, Outcome::Failed(error)),
        };
        let outcome = match link.ask(&(job.step)(link.epoch)).await {
            Err(error) => lost(job, &why(&error)),
            Ok(value) => match fault(&value) {
                // The migration ended, one way or the other, while this was on its way.
                Some(Fault::Moved | Fault::Ask(_)) => Outcome::Gone,
                Some(fault @ Fault::Unserved(_)) => Outcome::Failed(fault.into()),
                _ => Outcome::Done(value, link),
            },
        };
        (place, outcome)
    }
}

/// A connection broke while a step was under way.
fn lost(job: &Job<'_>, why: &str) -> Outcome {
    match job.when_lost {
        WhenLost::Again => Outcome::Lost(disconnected(why)),
        WhenLost::Fail => Outcome::Failed(disconnected(why)),
    }
}

/// An error that claims no more than is true: that nothing was carried out is said only if nothing was.
fn honest(error: StoreError, may_be_done: bool) -> StoreError {
    if may_be_done && error.kind() == StoreErrorKind::Unavailable {
        disconnected(&why(&error))
    } else {
        error
    }
}

/// The reason in an error, which says itself what kind it is of.
fn why(error: &StoreError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

fn fault(value: &Value) -> Option<Fault> {
    match value {
        Value::ServerError(error) => Some(Fault::of(error)),
        _ => None,
    }
}

async fn send(group: Group, link: Arc<Link>, jobs: &[Job<'_>]) -> Vec<(usize, Outcome)> {
    let steps: Vec<_> = group.places.iter().map(|&place| (jobs[place].step)(link.epoch)).collect();
    let values = match link.send_all(&steps).await {
        Ok(values) => values,
        Err(error) => {
            let text = why(&error);
            let lost = |&place: &usize| (place, lost(&jobs[place], &text));
            return group.places.iter().map(lost).collect();
        }
    };
    let outcome = |(&place, value): (&usize, Value)| {
        let outcome = match fault(&value) {
            Some(Fault::Moved) => Outcome::Moved(group.member.clone()),
            Some(Fault::Ask(_)) if jobs[place].follows == Follows::Nothing => {
                Outcome::Done(Value::Nil, link.clone())
            }
            Some(Fault::Ask(at)) => match endpoint(&at, &group.member) {
                Some(at) => Outcome::Ask(at),
                None => Outcome::Failed(Fault::Ask(at).into()),
            },
            Some(fault @ Fault::Unserved(_)) => Outcome::Failed(fault.into()),
            _ => Outcome::Done(value, link.clone()),
        };
        (place, outcome)
    };
    group.places.iter().zip(values).map(outcome).collect()
}

/// Where ASK sends to: `host:port`, where a host that is left out is the one that says so.
fn endpoint(text: &str, said_by: &Member) -> Option<Endpoint> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { &said_by.master.endpoint.host } else { host };
    Some(Endpoint { host: host.to_owned(), port: port.parse().ok()? })
}
