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
/// How often a step is sent again after its connection broke: an epoch may begin while it is under way, two may not.
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
}

impl Outcome {
    fn may_be_done(&self) -> bool {
        match self {
            Self::Done(..) => true,
            Self::Lost(_) => true,
            Self::Failed(error) => error.kind() != StoreErrorKind::Unavailable,
            Self::Moved(_) | Self::Ask(_) => false,
        }
    }
}

impl Cluster {
    /// Carries steps out, wherever their subjects are. Steps of one subject must not depend on each other's order.
    pub(in super::super) async fn run(
        &self,
        jobs: &[Job<'_>],
        reach: Reach,
    ) -> Result<Vec<Done>, StoreError> {
        let mut done: Vec<Option<Done>> = jobs.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..jobs.len()).collect();
        let (mut failure, mut may_be_done) = (None, false);
        for round in 0..ROUNDS {
            if round > 1 {
                sleep(PAUSE * round).await;
            }
            let groups = self.group(jobs, &open).and_then(|(groups, unserved)| match (reach, unserved) {
                (Reach::All, Some(error)) => Err(error),
                (_, unserved) => {
                    failure = unserved.or(failure.take());
                    Ok(groups)
                }
            });
            let groups = groups.map_err(|error| honest(error, may_be_done))?;
            let links = all(groups.iter().map(|group| group.member.node.ready()).collect()).await;
            let mut reached = Vec::new();
            for (group, link) in groups.into_iter().zip(links) {
                match link {
                    Ok(link) => reached.push((group, link)),
                    Err(error) => {
                        self.shared.wanted.notify_one();
                        failure = Some(error);
                    }
                }
            }
            if let (Reach::All, Some(error)) = (reach, failure.take_if(|_| reach == Reach::All)) {
                return Err(honest(error, may_be_done));
            }
            let outcomes =
                all(reached.into_iter().map(|(group, link)| send(group, link, jobs)).collect()).await;
            let (mut hints, mut asks) = (Vec::new(), Vec::new());
            open.clear();
            for (place, outcome) in outcomes.into_iter().flatten() {
                may_be_done |= outcome.may_be_done();
                match outcome {
                    Outcome::Done(value, link) => {
                        done[place] = Some(Done { value, link, in_order: round == 0 })
                    }
                    Outcome::Lost(_) if round < AGAIN => open.push(place),
                    Outcome::Lost(error) | Outcome::Failed(error) => failure = Some(error),
                    Outcome::Ask(endpoint) => asks.push((place, endpoint)),
                    Outcome::Moved(hint) => {
                        hints.push(hint);
                        open.push(place);
                    }
                }
            }
            let asked =
                all(asks.into_iter().map(|(place, at)| self.ask(place, at, &jobs[place])).collect()).await;
            for (place, outcome) in asked {
                may_be_done |= !matches!(&outcome, Ok(None));
                match outcome {
                    Ok(Some((value, link))) => done[place] = Some(Done { value, link, in_order: false }),
                    // The migration ended, one way or the other, while this was on its way.
                    Ok(None) => open.push(place),
                    Err(error) => failure = Some(error),
                }
            }
            if open.is_empty() {
                break;
            }
            if !hints.is_empty() {
                self.shared.look_again(hints).await;
            }
        }
        if let Some(error) = failure {
            return Err(honest(error, may_be_done));
        }
        let done: Option<Vec<_>> = done.into_iter().collect();
        done.ok_or_else(|| Fault::Moved.into())
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

    /// Asks a node that imports a slot; `None` if it does not any more.
    async fn ask(
        &self,
        place: usize,
        at: Endpoint,
        job: &Job<'_>,
    ) -> (usize, Result<Option<(Value, Arc<Link>)>, StoreError>) {
        let answer = async {
            let link = self.shared.node_at(&at).ready().await?;
            let value = link.ask(&(job.step)(link.epoch)).await?;
            match fault(&value) {
                Some(Fault::Moved | Fault::Ask(_)) => Ok(None),
                Some(fault @ Fault::Unserved(_)) => Err(fault.into()),
                _ => Ok(Some((value, link))),
            }
        };
        (place, answer.await)
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
            let lost = |&place: &usize| match jobs[place].when_lost {
                WhenLost::Again => (place, Outcome::Lost(disconnected(&text))),
                WhenLost::Fail => (place, Outcome::Failed(disconnected(&text))),
            };
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
