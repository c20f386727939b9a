//! The commands for many entries: one pipeline for each server, each tag once. Refuses to make one entry pay for another: what
//! is wrong with one answer is that entry's alone, and only what concerns the connection concerns all.

use std::collections::HashMap;
use std::sync::Arc;

use super::commands::{
    fill_entry, generations, lease_entry, lease_tag, leased, read_entry, release_entry, unanswered,
};
use super::nodes::Nodes;
use super::parts::{Sight, Stamp};
use super::reply::{self, Gate, is_torn};
use super::send::{Done, Job, Reach};
use super::shares::Shares;
use super::torn;
use crate::error::StoreError;
use crate::store::{Fence, FillRequest, Filled, Found, GetRequest, LeaseRequest, Leased};
use crate::subject::{EntryKey, Subject, TagStamp, Token};

pub(super) type Each<T> = Vec<Result<T, StoreError>>;

/// The same failure for each of so many entries.
pub(super) fn of_all<T>(error: &StoreError, entries: usize) -> Each<T> {
    (0..entries).map(|_| Err(again(error))).collect()
}

fn again(error: &StoreError) -> StoreError {
    let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    StoreError::new(error.kind(), why)
}

/// What an entry depends on.
fn subjects<'a>(key: &'a EntryKey, tags: &'a [Subject]) -> impl Iterator<Item = &'a Subject> {
    tags.iter().chain([&key.subject])
}

/// Each tag once, and where it is among them.
struct Unique<'a> {
    tags: Vec<&'a Subject>,
    places: HashMap<&'a Subject, usize>,
}

impl<'a> Unique<'a> {
    fn new(tags: impl Iterator<Item = &'a Subject>) -> Self {
        let mut unique = Self { tags: Vec::new(), places: HashMap::new() };
        for tag in tags {
            unique.places.entry(tag).or_insert_with(|| {
                unique.tags.push(tag);
                unique.tags.len() - 1
            });
        }
        unique
    }

    fn place(&self, tag: &Subject) -> usize {
        self.places.get(tag).copied().unwrap_or(usize::MAX)
    }

    fn generations(&self) -> impl Iterator<Item = Job<'a>> + use<'_, 'a> {
        self.tags.iter().flat_map(|tag| generations(std::slice::from_ref(*tag)))
    }
}

fn stamps(tags: &[Subject], unique: &Unique<'_>, done: &[Done]) -> Result<Vec<TagStamp>, StoreError> {
    tags.iter()
        .map(|tag| {
            let done = done.get(unique.place(tag)).ok_or_else(unanswered)?;
            reply::stamp(done.value.clone(), done.link.epoch)
        })
        .collect()
}

pub(super) async fn get(nodes: &Nodes, requests: &[GetRequest<'_>]) -> Each<Found> {
    let (places, sights) = nodes.sights(requests.iter().map(|request| &request.key.subject));
    let unique = Unique::new(requests.iter().flat_map(|request| request.tags));
    let shared = |request: &&GetRequest<'_>| request.shares;
    let mut shares = Shares::of(
        nodes,
        requests.iter().filter(shared).flat_map(|request| subjects(request.key, request.tags)),
    );
    let mut jobs = shares.jobs();
    jobs.extend(requests.iter().map(|request| read_entry(request.key)));
    jobs.extend(unique.generations());
    jobs.extend(sights.iter().filter(|sight| sight.asks).map(Sight::question));
    let mut done = match nodes.run(&jobs, Reach::All).await {
        Ok(done) => shares.takes(done),
        Err(error) => return of_all(&error, requests.len()),
    };
    let mut answers = done.split_off(requests.len() + unique.tags.len()).into_iter();
    let mut parts = Vec::with_capacity(sights.len());
    for sight in &sights {
        let answer = if sight.asks { answers.next() } else { None };
        parts.push(match answer.map(|answer| sight.answered(answer)) {
            None => sight.stamp,
            Some(Ok(Some(stamp))) => Some(stamp),
            Some(Ok(None) | Err(_)) => nodes.made(sight).await.ok(),
        });
    }
    let tags = done.split_off(requests.len());
    let found = |((request, Done { value, link, .. }), place): ((&GetRequest<'_>, Done), &usize)| {
        let tags = stamps(request.tags, &unique, &tags)?;
        let epoch = parts[*place].map_or_else(|| nodes.parts.nobodys(), |part| part.fold(link.epoch));
        let shared = request.shares && shares.has(subjects(request.key, request.tags), &link);
        Ok(Found { epoch, now: link.now(), blob: reply::blob(value)?, tags, shared })
    };
    requests.iter().zip(done).zip(&places).map(found).collect()
}

/// What the tag's part of LEASE told.
enum Told {
    Stamp(TagStamp),
    Fenced(Vec<Fence>),
    Torn,
    Failed(StoreError),
}

fn told(done: Done, tag: &Subject) -> Told {
    let Done { value, link, .. } = done;
    if is_torn(&value) {
        return Told::Torn;
    }
    match reply::gate(value, tag) {
        Ok(Gate::Fenced(fences)) => Told::Fenced(fences),
        Ok(Gate::Open(answer)) => {
            let generation = answer.value.as_deref().and_then(reply::generation);
            Told::Stamp(TagStamp { epoch: link.epoch, generation })
        }
        Err(error) => Told::Failed(error),
    }
}

/// One request of many, and what stands in its way.
struct Verdict<'a> {
    leased: Result<Leased, StoreError>,
    fences: Vec<Fence>,
    migrating: Vec<&'a Subject>,
}

impl<'a> Verdict<'a> {
    fn of(
        request: &LeaseRequest<'a>,
        (done, part): (Done, Stamp),
        (unique, shares): (&Unique<'_>, &Shares<'_>),
        tags: &[Told],
    ) -> Self {
        let subject = &request.key.subject;
        let mut it = Self { leased: Err(unanswered()), fences: Vec::new(), migrating: Vec::new() };
        let (mut stamps, mut failed) = (Vec::with_capacity(request.tags.len()), None);
        for tag in request.tags {
            match tags.get(unique.place(tag)) {
                Some(Told::Stamp(stamp)) => stamps.push(*stamp),
                Some(Told::Fenced(fences)) => it.fences.extend(fences.iter().cloned()),
                Some(Told::Torn) => it.migrating.push(tag),
                Some(Told::Failed(error)) => failed = Some(again(error)),
                None => failed = Some(unanswered()),
            }
        }
        let Done { value, link, .. } = done;
        if is_torn(&value) {
            it.migrating.push(subject);
        } else {
            it.leased = match reply::gate(value, subject) {
                Ok(Gate::Fenced(fences)) => {
                    it.fences.extend(fences);
                    Err(unanswered())
                }
                Ok(Gate::Open(answer)) => {
                    let shared = request.shares && shares.has(subjects(request.key, request.tags), &link);
                    leased(answer, link.epoch, part, (stamps, shared))
                }
                Err(error) => Err(error),
            };
        }
        if let Some(error) = failed
            && !matches!(it.leased, Ok(Leased::Queued(_)))
        {
            // A token that was granted lapses: nobody knows whether the tag is fenced.
            it.leased = Err(error);
        }
        it
    }

    fn is_fenced(&self) -> bool {
        // A queued write is newer than what any fence stands for.
        !matches!(self.leased, Ok(Leased::Queued(_)))
            && (!self.fences.is_empty() || !self.migrating.is_empty())
    }
}

pub(super) async fn lease(nodes: &Nodes, requests: &[LeaseRequest<'_>]) -> Each<Leased> {
    // A tag is asked about once only if all ask the same about it, as the requests of one batch do.
    let alike = requests.windows(2).all(|pair| {
        pair[0].finished == pair[1].finished
            && pair[0].seed == pair[1].seed
            && pair[0].tag_ttl == pair[1].tag_ttl
    });
    let first = requests.first().filter(|_| alike);
    let Some(first) = first else {
        return crate::store::all(
            requests
                .iter()
                .map(|request| {
                    Box::pin(super::commands::lease(nodes, request)) as crate::store::BoxFuture<'_, _>
                })
                .collect(),
        )
        .await;
    };
    let unique = Unique::new(requests.iter().flat_map(|request| request.tags));
    let shared = |request: &&LeaseRequest<'_>| request.shares;
    let mut shares = Shares::of(
        nodes,
        requests.iter().filter(shared).flat_map(|request| subjects(request.key, request.tags)),
    );
    let mut jobs = shares.jobs();
    jobs.extend(unique.tags.iter().map(|tag| lease_tag(first, tag)));
    let parts = match nodes.stamps(requests.iter().map(|request| &request.key.subject)).await {
        Ok(parts) => parts,
        Err(error) => return of_all(&error, requests.len()),
    };
    jobs.extend(requests.iter().zip(&parts).map(|(request, part)| lease_entry(request, *part)));
    let mut done = match nodes.run(&jobs, Reach::All).await {
        Ok(done) => shares.takes(done),
        Err(error) => return of_all(&error, requests.len()),
    };
    let entries = done.split_off(unique.tags.len());
    let tags: Vec<_> = done.into_iter().zip(&unique.tags).map(|(done, tag)| told(done, tag)).collect();
    let verdicts: Vec<_> = requests
        .iter()
        .zip(entries)
        .zip(&parts)
        .map(|((request, done), part)| Verdict::of(request, (done, *part), (&unique, &shares), &tags))
        .collect();

    let is_void =
        |verdict: &Verdict<'_>| verdict.is_fenced() && matches!(verdict.leased, Ok(Leased::Granted { .. }));
    let void: Vec<_> = requests
        .iter()
        .zip(&verdicts)
        .filter(|(_, verdict)| is_void(verdict))
        .map(|(request, _)| (request.key.clone(), request.token))
        .collect();
    if !void.is_empty() {
        // Best effort: a lease that is not given back lapses.
        release(nodes, &void).await;
    }
    let mut answers = Vec::with_capacity(requests.len());
    for (request, verdict) in requests.iter().zip(verdicts) {
        if matches!(verdict.leased, Ok(Leased::Queued(_))) {
            answers.push(verdict.leased);
        } else if !verdict.migrating.is_empty() {
            answers.push(torn_lease(nodes, request, verdict).await);
        } else if !verdict.fences.is_empty() {
            answers.push(Ok(Leased::Fenced(verdict.fences)));
        } else {
            answers.push(verdict.leased);
        }
    }
    answers
}

/// Where a slot is migrating, fences and queued writes are all that can be learnt.
async fn torn_lease(
    nodes: &Nodes,
    request: &LeaseRequest<'_>,
    mut verdict: Verdict<'_>,
) -> Result<Leased, StoreError> {
    if let Some(queued) = super::queued::queued(nodes, &request.key.subject).await? {
        return Ok(Leased::Queued(queued));
    }
    verdict.fences.extend(torn::fences(nodes, request, &verdict.migrating).await?);
    Ok(Leased::Fenced(verdict.fences))
}

pub(super) async fn fill(nodes: &Nodes, requests: &[FillRequest<'_>]) -> Each<Filled> {
    let unique = Unique::new(requests.iter().flat_map(|request| request.tags));
    // In one pipeline the generations are those after the fills; on several servers only if they are read once the fills are
    // acknowledged.
    let is_together = requests.iter().all(|request| {
        let place = nodes.shard(&request.key.subject);
        request.tags.iter().all(|tag| nodes.shard(tag) == place)
    });
    // Asked after the flights were sealed, as for one.
    let parts = match nodes.stamps(requests.iter().map(|request| &request.key.subject)).await {
        Ok(parts) => parts,
        Err(error) => return of_all(&error, requests.len()),
    };
    let mut jobs: Vec<_> = requests.iter().map(fill_entry).collect();
    if is_together {
        jobs.extend(unique.generations());
    }
    let mut done = match nodes.run(&jobs, Reach::All).await {
        Ok(done) => done,
        Err(error) => return of_all(&error, requests.len()),
    };
    let mut after = done.split_off(requests.len());
    let in_order = |request: &FillRequest<'_>, fill: &Done| {
        fill.in_order
            && request.tags.iter().all(|tag| {
                let read = after.get(unique.place(tag));
                read.is_some_and(|read| read.in_order && Arc::ptr_eq(&read.link, &fill.link))
            })
    };
    if !requests.iter().zip(&done).all(|(request, fill)| request.tags.is_empty() || in_order(request, fill)) {
        after = match nodes.run(&unique.generations().collect::<Vec<_>>(), Reach::All).await {
            Ok(after) => after,
            Err(error) => return of_all(&error, requests.len()),
        };
    }
    let torn: Vec<_> = requests
        .iter()
        .zip(&done)
        .filter(|(_, done)| is_torn(&done.value))
        .map(|(request, _)| (request.key.clone(), request.token))
        .collect();
    if !torn.is_empty() {
        // Refused, and the tokens are of no use to anybody.
        release(nodes, &torn).await;
    }
    let filled = |((request, Done { value, link, .. }), part): ((&FillRequest<'_>, Done), &Stamp)| {
        let stored = !is_torn(&value) && reply::number(&value)? == 1;
        Ok(Filled { epoch: part.fold(link.epoch), stored, tags: stamps(request.tags, &unique, &after)? })
    };
    requests.iter().zip(done).zip(&parts).map(filled).collect()
}

pub(super) async fn release(nodes: &Nodes, leases: &[(EntryKey, Token)]) -> Each<()> {
    let jobs: Vec<_> = leases.iter().map(|(key, token)| release_entry(key, *token)).collect();
    match nodes.run(&jobs, Reach::All).await {
        Ok(done) => done.iter().map(|done| reply::number(&done.value).map(drop)).collect(),
        Err(error) => of_all(&error, leases.len()),
    }
}
