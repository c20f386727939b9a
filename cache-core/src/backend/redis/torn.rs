//! MARK, CLEAR and LEASE in a slot that is migrating, where scripts over several keys answer TRYAGAIN for as long as the
//! migration lasts: the same as commands over one key each. Refuses to send a step before the one before it was acknowledged
//! for every subject, and to install or grant anything.
//!
//! Each key is in one place at any moment, so each step is atomic, wherever it is; what may come between steps is any script
//! of anybody, once the slot has settled. The order makes that harmless:
//!
//! * MARK of an entity: the fence, the leases, the entries. With the fence there, nobody is granted a lease and every FILL is
//!   refused. Entries first: a reader with a lease from before fills behind their back, and the old value is served while the
//!   write becomes visible. Leases after entries: the same, should the fence get lost in between.
//!   Nothing is kept aside: the entries go.
//! * MARK of a tag: the fence, the generation. Generation first: a reader takes the new one without a fence, loads the old row,
//!   and the stamp of its entry stays right.
//! * CLEAR of an entity: the leases, the entries, the fence. CLEAR of a tag: the generation, the fence. Fence first: a writer
//!   that dies then has lifted it while something from before may still be there (if an earlier fence was lost), and nobody
//!   comes back for it; and one whose answer is lost could not tell later that its fence had stood.
//! * PEND: the queued write, the leases, the entries. With it there, no lease is granted. SETTLE: the leases, the entries, the queued
//!   write; so nothing that was leased while it stood is left when it goes.

use super::link::Step;
use super::nodes::Nodes;
use super::queued::{pend_in, queued, settle_in};
use super::reply::{self, Gate};
use super::script;
use super::send::{Done, Job, Reach, WhenLost};
use super::words::{key, lifetime, on_part, writers};
use crate::error::StoreError;
use crate::store::{ClearRequest, Fence, LeaseRequest, MarkRequest, PendRequest};
use crate::subject::{Epoch, JournalId, Kind, Position, Subject};
use crate::time::StoreTime;

/// A step about one key of a subject.
type Part<'a> = Box<dyn Fn(Epoch) -> Step + Send + Sync + 'a>;

/// Carries one step out for each of the subjects; a step that is not for its kind is left out.
async fn step<'a>(
    nodes: &Nodes,
    subjects: &[&'a Subject],
    reach: Reach,
    when_lost: WhenLost,
    part: impl Fn(&'a Subject) -> Option<Part<'a>>,
) -> Result<Vec<Done>, StoreError> {
    let job = |&subject: &&'a Subject| Some(Job { when_lost, ..Job::new(subject, part(subject)?) });
    let jobs: Vec<_> = subjects.iter().filter_map(job).collect();
    if jobs.is_empty() { Ok(Vec::new()) } else { nodes.run(&jobs, reach).await }
}

fn unlink(subject: &Subject, part: char) -> Part<'_> {
    Box::new(move |_| Step::Read(on_part("UNLINK", subject, part)))
}

fn turn(tag: &Subject, seed: u64, ttl: std::time::Duration) -> Part<'_> {
    Box::new(move |_| {
        Step::script(&script::TURN, &[key(tag, 'g')], |cmd| {
            cmd.arg(seed).arg(lifetime(ttl));
        })
    })
}

/// MARK: each subject's epoch at its fence, and the clock.
pub(super) async fn mark(
    nodes: &Nodes,
    request: &MarkRequest<'_>,
    subjects: &[&Subject],
) -> Result<Vec<(Epoch, StoreTime, bool)>, StoreError> {
    let (writer, origin) = (request.writer.to_string(), request.origin.as_str());
    let fenced = step(nodes, subjects, Reach::All, WhenLost::Again, |subject| {
        let writer = writer.clone();
        Some(Box::new(move |_| {
            Step::script(&script::FENCE, &[key(subject, 'c')], |cmd| {
                cmd.arg(&writer).arg(origin);
            })
        }))
    })
    .await?;
    drop_what_was(nodes, subjects, Reach::All, request.seed, request.tag_ttl).await?;
    let mut marked = Vec::with_capacity(fenced.len());
    for (done, subject) in fenced.iter().zip(subjects) {
        let queued = match subject.kind() {
            Kind::Entity => queued(nodes, subject).await?,
            Kind::Tag => None,
        };
        marked.push((done.link.epoch, StoreTime(reply::number(&done.value)?), queued.is_some()));
    }
    Ok(marked)
}

/// CLEAR: whether the writer's fence stood on every subject.
pub(super) async fn clear(
    nodes: &Nodes,
    request: &ClearRequest<'_>,
    subjects: &[&Subject],
) -> Result<bool, StoreError> {
    drop_what_was(nodes, subjects, Reach::Any, request.seed, request.tag_ttl).await?;
    let writer = request.writer.to_string();
    let lifted = step(nodes, subjects, Reach::Any, WhenLost::Fail, |subject| {
        let writer = writer.clone();
        Some(Box::new(move |_| {
            let mut lift = on_part("HDEL", subject, 'c');
            lift.arg(&writer);
            Step::Read(lift)
        }))
    })
    .await?;
    lifted.iter().try_fold(true, |stood, done| Ok(stood && reply::number(&done.value)? == 1))
}

/// PEND.
pub(super) async fn pend(nodes: &Nodes, request: PendRequest<'_>) -> Result<(), StoreError> {
    let subject = &request.key.subject;
    let one = [subject];
    let shown = step(nodes, &one, Reach::Any, WhenLost::Again, |subject| {
        Some(Box::new(move |epoch| pend_in(&[key(subject, 'p')], &[request], epoch, None)))
    });
    acknowledged(&shown.await?)?;
    drop_entity(nodes, &one, Reach::Any).await
}

/// SETTLE.
pub(super) async fn settle(
    nodes: &Nodes,
    subject: &Subject,
    journal: JournalId,
    position: Position,
) -> Result<(), StoreError> {
    drop_entity(nodes, &[subject], Reach::Any).await?;
    let one = [subject];
    let gone = step(nodes, &one, Reach::Any, WhenLost::Again, |subject| {
        Some(Box::new(move |_| settle_in(&[key(subject, 'p')], 1, (journal, position), |_| ())))
    });
    acknowledged(&gone.await?)
}

/// Leases, then entries; of a tag the generation.
async fn drop_what_was(
    nodes: &Nodes,
    subjects: &[&Subject],
    reach: Reach,
    seed: u64,
    ttl: std::time::Duration,
) -> Result<(), StoreError> {
    let first = step(nodes, subjects, reach, WhenLost::Again, |subject| {
        Some(if subject.kind() == Kind::Tag { turn(subject, seed, ttl) } else { unlink(subject, 'l') })
    });
    acknowledged(&first.await?)?;
    let entities: Vec<_> =
        subjects.iter().copied().filter(|subject| subject.kind() == Kind::Entity).collect();
    drop_part(nodes, &entities, reach, 'v').await
}

/// Leases, then entries.
async fn drop_entity(nodes: &Nodes, subjects: &[&Subject], reach: Reach) -> Result<(), StoreError> {
    drop_part(nodes, subjects, reach, 'l').await?;
    drop_part(nodes, subjects, reach, 'v').await
}

async fn drop_part(nodes: &Nodes, subjects: &[&Subject], reach: Reach, part: char) -> Result<(), StoreError> {
    let dropped = step(nodes, subjects, reach, WhenLost::Again, |subject| Some(unlink(subject, part)));
    acknowledged(&dropped.await?)
}

fn acknowledged(done: &[Done]) -> Result<(), StoreError> {
    done.iter().try_for_each(|done| reply::number(&done.value).map(drop))
}

/// LEASE: the fences that stand on these subjects, once those of finished writers are lifted. Nothing is ever granted, so that a
/// fence is all that a reader can learn.
pub(super) async fn fences(
    nodes: &Nodes,
    request: &LeaseRequest<'_>,
    subjects: &[&Subject],
) -> Result<Vec<Fence>, StoreError> {
    let asked = step(nodes, subjects, Reach::All, WhenLost::Again, |subject| {
        Some(Box::new(move |_| {
            Step::script(&script::FENCES, &[key(subject, 'c')], |cmd| writers(cmd, request.finished))
        }))
    })
    .await?;
    let mut fences = Vec::new();
    for (done, subject) in asked.into_iter().zip(subjects) {
        if let Gate::Fenced(standing) = reply::gate(done.value, subject)? {
            fences.extend(standing);
        }
    }
    Ok(fences)
}
