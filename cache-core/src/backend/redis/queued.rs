//! Queued writes in the words of Redis: shown, looked at, settled. One script is about many subjects where they are on one server, since
//! calling it costs more than what it does for one. Refuses to make a script so long that others wait behind it.

use std::ops::Range;

use redis::{Cmd, Value, cmd};

use super::bus::Channel;
use super::commands::unanswered;
use super::link::Step;
use super::many::{Each, of_all};
use super::nodes::Nodes;
use super::reply::{self, Answer, Gate, is_torn};
use super::send::{Done, Job, Reach};
use super::words::{key, keys, lifetime};
use super::{script, torn};
use crate::bus::Sharers;
use crate::error::StoreError;
use crate::store::{PendRequest, Queued, SETTLED};
use crate::subject::{Epoch, JournalId, Position, Subject};

/// The parts that a queued write concerns; where their slot is migrating, the first alone.
const PARTS: [char; 4] = ['p', 'v', 'l', 'c'];
/// The same where others are told of it.
const TOLD: [char; 5] = ['p', 'v', 'l', 'c', 'h'];
/// Subjects of one script: about half a millisecond of the server's time.
const AT_ONCE: usize = 50;

/// As many digits for each, so that texts order as positions do.
fn digits(position: Position) -> String {
    format!("{:032x}", position.0)
}

/// The keys of these subjects, and where it is told of them.
fn parts<'a>(subjects: impl Iterator<Item = &'a Subject>, channel: Option<&Channel>) -> Vec<String> {
    match channel {
        None => subjects.flat_map(|subject| keys(subject, PARTS)).collect(),
        Some(channel) => {
            let keys = subjects.flat_map(|subject| keys(subject, TOLD));
            keys.chain([channel.board()]).collect()
        }
    }
}

/// The script that shows these, all of one journal, by their keys.
pub(super) fn pend_in(
    keys: &[String],
    requests: &[PendRequest<'_>],
    epoch: Epoch,
    channel: Option<&Channel>,
) -> Step {
    Step::script(&script::PEND, keys, |cmd| {
        let journal = requests.first().map_or(JournalId(0), |request| request.journal);
        cmd.arg(keys.len() / requests.len().max(1)).arg(journal.to_string()).arg(&epoch.0.to_le_bytes()[..]);
        for PendRequest { key, position, payload, .. } in requests {
            cmd.arg(digits(*position)).arg(key.field_text()).arg(&payload[..]);
        }
        if let Some(channel) = channel {
            channel.tell(cmd, epoch, requests.iter().map(|request| &request.key.subject));
        }
    })
}

/// The script that settles what so many keys each are about.
pub(super) fn settle_in(
    keys: &[String],
    each: usize,
    until: (JournalId, Position),
    tell: impl FnOnce(&mut Cmd),
) -> Step {
    Step::script(&script::SETTLE, keys, |cmd| {
        cmd.arg(each).arg(until.0.to_string()).arg(digits(until.1)).arg(lifetime(SETTLED));
        tell(cmd);
    })
}

/// What goes into one script.
fn groups(nodes: &Nodes, requests: &[PendRequest<'_>]) -> Vec<Range<usize>> {
    let most = if nodes.takes_many_keys() { AT_ONCE } else { 1 };
    let mut at = 0;
    let alike = requests.chunk_by(|one, other| one.journal == other.journal);
    let begins = alike.flat_map(|of_one_journal| of_one_journal.chunks(most)).map(|group| {
        at += group.len();
        at - group.len()..at
    });
    begins.collect()
}

pub(super) async fn pend(nodes: &Nodes, requests: &[PendRequest<'_>]) -> Each<Sharers> {
    let groups = groups(nodes, requests);
    let job = |group: &Range<usize>| {
        let group = &requests[group.clone()];
        let channel = nodes.channel(&group[0].key.subject);
        Job::idempotent(&group[0].key.subject, move |epoch| {
            let keys = parts(group.iter().map(|request| &request.key.subject), channel.as_deref());
            pend_in(&keys, group, epoch, channel.as_deref())
        })
    };
    let jobs: Vec<_> = groups.iter().map(job).collect();
    let done = nodes.run(&jobs, Reach::Any).await;
    nodes.tells(requests.iter().map(|request| &request.key.subject));
    let done = match done {
        Ok(done) => done,
        Err(error) => return of_all(&error, requests.len()),
    };
    let mut answers = Vec::with_capacity(requests.len());
    for (done, group) in done.iter().zip(&groups) {
        match is_torn(&done.value) {
            true => {
                for request in &requests[group.clone()] {
                    answers.push(torn::pend(nodes, *request).await.map(|()| Sharers::default()));
                }
            }
            false => {
                let channel = nodes.channel(&requests[group.start].key.subject);
                let sharers = |told| {
                    channel
                        .as_ref()
                        .map_or_else(Sharers::default, |channel| channel.sharers(told, &done.link))
                };
                match reply::pended(&done.value, group.len()) {
                    Ok(told) => answers.extend(told.into_iter().map(|told| Ok(sharers(told)))),
                    Err(error) => answers.extend(of_all(&error, group.len())),
                }
            }
        }
    }
    answers
}

pub(super) async fn settle(
    nodes: &Nodes,
    subjects: &[Subject],
    journal: JournalId,
    position: Position,
) -> Each<()> {
    let groups: Vec<_> = subjects.chunks(if nodes.takes_many_keys() { AT_ONCE } else { 1 }).collect();
    let jobs: Vec<_> = groups.iter().map(|group| settling(nodes, group, (journal, position))).collect();
    let done = nodes.run(&jobs, Reach::Any).await;
    nodes.tells(subjects);
    let done = match done {
        Ok(done) => done,
        Err(error) => return of_all(&error, subjects.len()),
    };
    let mut answers = Vec::with_capacity(subjects.len());
    for (done, group) in done.iter().zip(groups) {
        match is_torn(&done.value) {
            true => {
                for subject in group {
                    answers.push(torn::settle(nodes, subject, journal, position).await);
                }
            }
            false => answers.extend(acknowledged(done, group.len())),
        }
    }
    answers
}

/// Settles subjects that one script can be about: one at least.
fn settling<'a>(nodes: &Nodes, group: &'a [Subject], until: (JournalId, Position)) -> Job<'a> {
    let channel = nodes.channel(&group[0]);
    Job::idempotent(&group[0], move |epoch| {
        let each = if channel.is_some() { TOLD.len() } else { PARTS.len() };
        settle_in(&parts(group.iter(), channel.as_deref()), each, until, |cmd| {
            if let Some(channel) = &channel {
                channel.tell(cmd, epoch, group);
            }
        })
    })
}

/// What a script about so many subjects answered for each.
fn acknowledged(done: &Done, subjects: usize) -> Each<()> {
    match reply::numbers(&done.value, subjects) {
        Ok(numbers) => numbers.into_iter().map(|_| Ok(())).collect(),
        Err(error) => of_all(&error, subjects),
    }
}

/// Which of these are what is shown.
pub(super) async fn show(nodes: &Nodes, requests: &[PendRequest<'_>]) -> Each<bool> {
    let jobs: Vec<_> = requests.iter().map(|request| look(&request.key.subject)).collect();
    match nodes.run(&jobs, Reach::All).await {
        Ok(done) => done.iter().zip(requests).map(|(done, request)| is_shown(done, request)).collect(),
        Err(error) => of_all(&error, requests.len()),
    }
}

fn look(subject: &Subject) -> Job<'_> {
    Job::idempotent(subject, move |_| {
        let mut shown = cmd("HMGET");
        shown.arg(key(subject, 'p')).arg("journal").arg("position").arg("epoch");
        Step::Read(shown)
    })
}

fn is_shown(Done { value, link, .. }: &Done, request: &PendRequest<'_>) -> Result<bool, StoreError> {
    let fields = match value {
        Value::Array(fields) => &fields[..],
        // Somebody else's type under that name: it is shown anew.
        _ => &[],
    };
    let [Value::BulkString(journal), Value::BulkString(position), Value::BulkString(epoch)] = fields else {
        return Ok(false);
    };
    Ok(journal == request.journal.to_string().as_bytes()
        && position.as_slice() >= digits(request.position).as_bytes()
        && epoch == &link.epoch.0.to_le_bytes())
}

/// The queued write that stands on a subject.
pub(super) async fn queued(nodes: &Nodes, subject: &Subject) -> Result<Option<Queued>, StoreError> {
    let shown = Job::idempotent(subject, |_| Step::script(&script::SHOWN, &keys(subject, ['p']), |_| {}));
    let Some(Done { value, link, .. }) = nodes.run(&[shown], Reach::All).await?.pop() else {
        return Err(unanswered());
    };
    match reply::gate(value, subject)? {
        Gate::Open(Answer { now, value: Some(write), .. }) => reply::queued(write, now, link.epoch).map(Some),
        _ => Ok(None),
    }
}
