//! The commands in the words of Redis. Refuses to know which server has what: see [`super::nodes`].

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;

use super::error::rejected;
use super::link::Step;
use super::nodes::Nodes;
use super::parts::{self, Sight, Stamp};
use super::reply::{self, Answer, Gate, is_torn};
use super::send::{Done, Job, Reach, all};
use super::shares::Shares;
use super::words::{key, keys, lifetime, on_part, read_generation, token_text, writers};
use super::{queued, script, torn};
use crate::bus::Sharers;
use crate::error::StoreError;
use crate::store::{
    Aside, ClearRequest, Cleared, FillRequest, Filled, Found, LeaseRequest, Leased, MarkRequest, Marked, Put,
    Shard,
};
use crate::subject::{EntryKey, Epoch, Kind, Subject, TagStamp, Token};
use crate::time::StoreTime;

/// In order: one answer for each of `tags`, from wherever it is.
pub(super) fn generations(tags: &[Subject]) -> impl Iterator<Item = Job<'_>> {
    tags.iter().map(|tag| Job::read(tag, move |_| read_generation(tag)))
}

/// Reads an entry.
pub(super) fn read_entry(key: &EntryKey) -> Job<'_> {
    Job::read(&key.subject, move |_| {
        let mut read = on_part("HGET", &key.subject, 'v');
        read.arg(key.field_text());
        Step::Read(read)
    })
}

/// The tag's part of LEASE.
pub(super) fn lease_tag<'a>(request: &LeaseRequest<'a>, tag: &'a Subject) -> Job<'a> {
    let LeaseRequest { seed, tag_ttl, finished, .. } = *request;
    Job::new(tag, move |_| {
        Step::script(&script::TAG, &keys(tag, ['g', 'c']), |cmd| {
            cmd.arg(seed).arg(lifetime(tag_ttl));
            writers(cmd, finished);
        })
    })
}

/// The entry's part of LEASE.
pub(super) fn lease_entry<'a>(request: &LeaseRequest<'a>, stamp: Stamp) -> Job<'a> {
    let LeaseRequest { key, token, duration, force, over, finished, .. } = *request;
    Job::new(&key.subject, move |epoch| {
        Step::script(&script::LEASE, &keys(&key.subject, ['v', 'l', 'c', 'p']), |cmd| {
            cmd.arg(key.field_text()).arg(token_text(token)).arg(lifetime(duration));
            cmd.arg(&stamp.fold(epoch).0.to_le_bytes()[..]).arg(u8::from(force));
            cmd.arg(over.as_ref().map_or(&[][..], |over| &over[..]));
            writers(cmd, finished);
        })
    })
}

/// What LEASE answered where no fence stands, or a queued write does; `server` is the epoch of the connection.
pub(super) fn leased(
    Answer { word, now, value }: Answer,
    server: Epoch,
    part: Stamp,
    (tags, shared): (Vec<TagStamp>, bool),
) -> Result<Leased, StoreError> {
    let epoch = part.fold(server);
    match (word.as_str(), value) {
        ("granted", None) => Ok(Leased::Granted { epoch, now, tags, shared }),
        ("busy", None) => Ok(Leased::Busy),
        ("present", Some(blob)) => {
            Ok(Leased::Present(Found { epoch, now, blob: Some(blob.into()), tags, shared }))
        }
        ("queued", Some(write)) => Ok(Leased::Queued(reply::queued(write, now, server)?)),
        _ => Err(rejected("a script gave an answer that this version does not understand")),
    }
}

/// FILL without its tags.
pub(super) fn fill_entry<'a>(request: &FillRequest<'a>) -> Job<'a> {
    let FillRequest { key, token, blob, ttl, aside, .. } = *request;
    Job::new(&key.subject, move |_| {
        Step::script(&script::FILL, &keys(&key.subject, ['v', 'l', 'c']), |cmd| {
            cmd.arg(key.field_text()).arg(token_text(token)).arg(&blob[..]).arg(lifetime(ttl));
            if !aside.is_zero() {
                cmd.arg(lifetime(aside));
            }
        })
    })
}

/// Reads what a mark has dropped.
pub(super) async fn aside(nodes: &Nodes, key: &EntryKey) -> Result<Option<Aside>, StoreError> {
    let part = nodes.stamp(&key.subject).await?;
    let read = Job::read(&key.subject, |_| {
        Step::script(&script::ASIDE, &keys(&key.subject, ['s']), |cmd| {
            cmd.arg(key.field_text());
        })
    });
    let Done { value, link, .. } = nodes.run(&[read], Reach::All).await?.pop().ok_or_else(unanswered)?;
    let kept = reply::aside(value)?;
    Ok(kept.map(|(now, since, blob)| Aside { epoch: part.fold(link.epoch), now, since, blob }))
}

/// Gives a lease back.
pub(super) fn release_entry(key: &EntryKey, token: Token) -> Job<'_> {
    Job::idempotent(&key.subject, move |_| {
        Step::script(&script::RELEASE, &keys(&key.subject, ['l']), |cmd| {
            cmd.arg(key.field_text()).arg(token_text(token));
        })
    })
}

fn stamps(done: impl Iterator<Item = Done>) -> Result<Vec<TagStamp>, StoreError> {
    done.map(|done| reply::stamp(done.value, done.link.epoch)).collect()
}

pub(super) async fn get(nodes: &Nodes, key: &EntryKey, tags: &[Subject]) -> Result<Found, StoreError> {
    let mut read = on_part("HGET", &key.subject, 'v');
    read.arg(key.field_text());
    let sight = nodes.sight(&key.subject);
    // The usual read is one command on one connection that is there.
    if tags.is_empty()
        && let (Some(stamp), false) = (sight.stamp, sight.asks)
        && let Ok(link) = nodes.link(&key.subject)
    {
        let reply = link.send(&read).await?;
        if !reply::is_moved(&reply) {
            let blob = reply::blob(reply)?;
            let epoch = stamp.fold(link.epoch);
            return Ok(Found { epoch, now: link.now(), blob, tags: Vec::new(), shared: false });
        }
    }
    let mut jobs = vec![read_entry(key)];
    jobs.extend(generations(tags));
    jobs.extend(sight.asks.then(|| sight.question()));
    let mut done = nodes.run(&jobs, Reach::All).await?;
    let stamp = match (sight.asks, sight.stamp) {
        (false, Some(stamp)) => Some(stamp),
        _ => match sight.answered(done.pop().ok_or_else(unanswered)?)? {
            Some(stamp) => Some(stamp),
            // A server that refuses writes cannot make it. It reads, and nothing there counts.
            None => nodes.made(&sight).await.ok(),
        },
    };
    let mut done = done.into_iter();
    let Some(Done { value, link, .. }) = done.next() else { return Err(unanswered()) };
    let epoch = stamp.map_or_else(|| nodes.parts.nobodys(), |stamp| stamp.fold(link.epoch));
    Ok(Found { epoch, now: link.now(), blob: reply::blob(value)?, tags: stamps(done)?, shared: false })
}

pub(super) async fn lease(nodes: &Nodes, request: &LeaseRequest<'_>) -> Result<Leased, StoreError> {
    let LeaseRequest { key, tags, token, .. } = *request;
    let stamp = nodes.stamp(&key.subject).await?;
    // On several servers the tags are read while the token is granted, in no order. Both come before the load, and that is
    // what counts: a token that is granted under a fenced tag is given back.
    let subjects = || tags.iter().chain([&key.subject]);
    let mut shares = Shares::of(nodes, subjects().filter(|_| request.shares));
    let mut jobs = shares.jobs();
    jobs.extend(tags.iter().map(|tag| lease_tag(request, tag)));
    jobs.push(lease_entry(request, stamp));
    let done = shares.takes(nodes.run(&jobs, Reach::All).await?);

    let (mut fences, mut stamps, mut granted) = (Vec::new(), Vec::with_capacity(tags.len()), None);
    let mut migrating = Vec::new();
    for (Done { value, link, .. }, subject) in done.into_iter().zip(tags.iter().chain([&key.subject])) {
        if is_torn(&value) {
            migrating.push(subject);
            continue;
        }
        match reply::gate(value, subject)? {
            Gate::Fenced(standing) => fences.extend(standing),
            Gate::Open(answer) if subject.kind() == Kind::Tag => {
                let generation = answer.value.as_deref().and_then(reply::generation);
                stamps.push(TagStamp { epoch: link.epoch, generation });
            }
            Gate::Open(answer) => granted = Some((answer, link)),
        }
    }
    // A queued write is newer than what any fence stands for.
    if let Some((answer, link)) = granted.take_if(|(answer, _)| answer.word == "queued") {
        return leased(answer, link.epoch, stamp, (stamps, false));
    }
    if !fences.is_empty() || !migrating.is_empty() {
        if granted.is_some_and(|(answer, _)| answer.word == "granted") {
            // Best effort: a lease that is not given back lapses.
            let _ = release(nodes, key, token).await;
        }
        if !migrating.is_empty() {
            if let Some(queued) = queued::queued(nodes, &key.subject).await? {
                return Ok(Leased::Queued(queued));
            }
            fences.extend(torn::fences(nodes, request, &migrating).await?);
        }
        return Ok(Leased::Fenced(fences));
    }
    let Some((answer, link)) = granted else { return Err(unanswered()) };
    let shared = request.shares && shares.has(subjects(), &link);
    leased(answer, link.epoch, stamp, (stamps, shared))
}

pub(super) async fn fill(nodes: &Nodes, request: &FillRequest<'_>) -> Result<Filled, StoreError> {
    let FillRequest { key, tags, token, .. } = *request;
    // Asked after the caller has sealed the flight: whoever may take the value learns here that the namespace was cleared.
    let part = nodes.stamp(&key.subject).await?;
    let fill = || fill_entry(request);
    // The generations have to be those after the fill. In one pipeline they are; on several servers only if they are read
    // once the fill is acknowledged.
    let place = nodes.shard(&key.subject);
    let is_together = tags.iter().all(|tag| nodes.shard(tag) == place);
    let jobs =
        if is_together { [fill()].into_iter().chain(generations(tags)).collect() } else { vec![fill()] };
    let mut done = nodes.run(&jobs, Reach::All).await?;
    let after = done.split_off(1);
    let Some(Done { value, link, in_order }) = done.pop() else { return Err(unanswered()) };
    let stored = if is_torn(&value) {
        // Refused, and the token is of no use to anybody.
        let _ = release(nodes, key, token).await;
        false
    } else {
        reply::number(&value)? == 1
    };
    let in_one = |done: &Done| std::sync::Arc::ptr_eq(&done.link, &link) && done.in_order;
    let tags = if is_together && in_order && after.iter().all(in_one) {
        stamps(after.into_iter())?
    } else {
        stamps(nodes.run(&generations(tags).collect::<Vec<_>>(), Reach::All).await?.into_iter())?
    };
    Ok(Filled { epoch: part.fold(link.epoch), stored, tags })
}

pub(super) async fn release(nodes: &Nodes, key: &EntryKey, token: Token) -> Result<(), StoreError> {
    let done = nodes.run(&[release_entry(key, token)], Reach::All).await?;
    done.iter().try_for_each(|done| reply::number(&done.value).map(drop))
}

pub(super) async fn mark(nodes: &Nodes, request: &MarkRequest<'_>) -> Result<Marked, StoreError> {
    let writer = request.writer.to_string();
    let (writer, origin) = (writer.as_str(), request.origin.as_str());
    let job = |subject| {
        let channel = nodes.channel(subject);
        Job::idempotent(subject, move |epoch: Epoch| {
            let told = |parts: &[String]| match &channel {
                Some(channel) => [parts, &[key(subject, 'h'), channel.board()]].concat(),
                None => parts.to_vec(),
            };
            let tell = |cmd: &mut redis::Cmd| {
                if let Some(channel) = &channel {
                    channel.tell(cmd, epoch, [subject]);
                }
            };
            match subject.kind() {
                Kind::Entity => {
                    Step::script(&script::MARK, &told(&keys(subject, ['v', 'l', 'c', 's', 'p'])), |cmd| {
                        cmd.arg(writer).arg(origin);
                        tell(cmd);
                    })
                }
                Kind::Tag => Step::script(&script::MARK_TAG, &told(&keys(subject, ['g', 'c'])), |cmd| {
                    cmd.arg(writer).arg(origin).arg(request.seed).arg(lifetime(request.tag_ttl));
                    tell(cmd);
                }),
            }
        })
    };
    // Of an entity. A tag's epoch is its server's own.
    let sight = |subject: &Subject| (subject.kind() == Kind::Entity).then(|| nodes.sight(subject));
    let sights: Vec<Option<Sight>> = request.subjects.iter().map(sight).collect();
    let asks = |sight: &&Sight| sight.asks && sight.is_beside;
    let mut jobs: Vec<_> = request.subjects.iter().map(job).collect();
    jobs.extend(sights.iter().flatten().filter(asks).map(Sight::making));
    let done = nodes.run(&jobs, Reach::All).await;
    // Here, before anything of the write becomes visible, and whatever is known of the marks.
    nodes.tells(request.subjects);
    let mut done = done?;
    let mut answers = done.split_off(request.subjects.len()).into_iter();
    let mut stamps = Vec::with_capacity(sights.len());
    for sight in sights.iter().map(Option::as_ref) {
        let answer = sight.filter(asks).and_then(|_| answers.next());
        let stamp = sight.and_then(|sight| match answer {
            Some(answer) => sight.answered(answer).ok().flatten(),
            None => sight.stamp,
        });
        stamps.push((sight.is_some(), stamp));
    }
    let migrating: Vec<_> = torn_among(&done, request.subjects).collect();
    let mut one_by_one = torn::mark(nodes, request, &migrating).await?.into_iter();
    let (mut epochs, mut now, mut queued) =
        (Vec::with_capacity(done.len()), StoreTime::default(), Vec::new());
    let mut sharers = Sharers::default();
    for (place, (Done { value, link, .. }, stamp)) in done.into_iter().zip(stamps).enumerate() {
        let told = match is_torn(&value) {
            true => one_by_one.next().ok_or_else(unanswered)?,
            false => {
                let (now, is_queued, told) = reply::marked(&value)?;
                if let Some(channel) = nodes.channel(&request.subjects[place]) {
                    sharers.extend(channel.sharers(told, &link));
                }
                (link.epoch, now, is_queued)
            }
        };
        epochs.push(match stamp {
            (false, _) => told.0,
            (true, Some(stamp)) => stamp.fold(told.0),
            // Where nothing is known about the part, nothing will be installed.
            (true, None) => nodes.parts.nobodys(),
        });
        now = now.max(told.1);
        if told.2 {
            queued.push(place);
        }
    }
    Ok(Marked { epochs, now, queued, sharers })
}

pub(super) async fn clear(nodes: &Nodes, request: &ClearRequest<'_>) -> Result<Cleared, StoreError> {
    let writer = request.writer.to_string();
    let writer = writer.as_str();
    let fits = |put: &&Put, subject: &Subject, epoch| put.key.subject == *subject && Some(put.epoch) == epoch;
    let job = |subject| {
        let stamp = nodes.sight(subject).stamp;
        Job::new(subject, move |epoch| match subject.kind() {
            Kind::Entity => Step::script(&script::CLEAR, &keys(subject, ['v', 'l', 'c', 'p']), |cmd| {
                cmd.arg(writer);
                let epoch = stamp.map(|stamp| stamp.fold(epoch));
                for put in request.puts.iter().filter(|put| fits(put, subject, epoch)) {
                    let aside = if put.aside.is_zero() { 0 } else { lifetime(put.aside) };
                    cmd.arg(put.key.field_text()).arg(lifetime(put.ttl)).arg(aside).arg(&put.blob[..]);
                }
            }),
            Kind::Tag => Step::script(&script::CLEAR_TAG, &keys(subject, ['g', 'c']), |cmd| {
                cmd.arg(writer).arg(request.seed).arg(lifetime(request.tag_ttl));
            }),
        })
    };
    let jobs: Vec<_> = request.subjects.iter().map(job).collect();
    let done = nodes.run(&jobs, Reach::Any).await;
    nodes.tells(request.subjects);
    let done = done?;
    let migrating: Vec<_> = torn_among(&done, request.subjects).collect();
    let mut cleared = Cleared { intact: torn::clear(nodes, request, &migrating).await?, installed: 0 };
    for Done { value, .. } in done.iter().filter(|done| !is_torn(&done.value)) {
        let (stood, installed) = reply::cleared(value)?;
        cleared.intact &= stood;
        cleared.installed += installed;
    }
    Ok(cleared)
}

/// Turns every part of a namespace, whoever has it; answers how long it takes until everybody has noticed.
pub(super) async fn clear_namespace(
    nodes: &Nodes,
    namespace: &str,
    seed: u64,
) -> Result<Duration, StoreError> {
    let (parts, channel) = (nodes.parts.of(namespace), nodes.channel_of(namespace));
    let mut shards = BTreeMap::<Shard, Vec<Job<'_>>>::new();
    for part in parts.iter() {
        let turn = Job::idempotent(&part.tag, move |_| parts::turn(&part.tag, seed));
        shards.entry(nodes.shard(&part.tag)).or_default().push(turn);
    }
    if let (Some(channel), Some(jobs)) = (&channel, shards.values_mut().next()) {
        jobs.push(channel.tell_all());
    }
    let groups: Vec<_> = shards.into_values().collect();
    let turned = all(groups.iter().map(|jobs| nodes.run(jobs, Reach::Any)).collect()).await;
    if let Some(channel) = &channel {
        channel.forgets_all();
    }
    let acknowledged = |done: Vec<Done>| {
        let turned = |done: Done| match done.value {
            // That all are told.
            Value::Int(_) => Ok(()),
            turned => match reply::stamp(turned, done.link.epoch)?.generation {
                Some(_) => Ok(()),
                None => Err(unanswered()),
            },
        };
        done.into_iter().try_for_each(turned)
    };
    let mut failed = Vec::new();
    let mut left = 0;
    for (turned, jobs) in turned.into_iter().zip(&groups) {
        if let Err(error) = turned.and_then(acknowledged) {
            left += jobs.len();
            failed.push(error);
        }
    }
    let Some(first) = failed.first() else { return Ok(parts::WAIT) };
    let why: Vec<_> = failed.iter().map(ToString::to_string).collect();
    let kind = first.kind();
    Err(StoreError::new(
        kind,
        format!("{left} of {} parts of `{namespace}` are not cleared: {}", parts.len(), why.join("; ")),
    ))
}

fn torn_among<'a>(done: &'a [Done], subjects: &'a [Subject]) -> impl Iterator<Item = &'a Subject> {
    done.iter().zip(subjects).filter(|(done, _)| is_torn(&done.value)).map(|(_, subject)| subject)
}

pub(super) fn unanswered() -> StoreError {
    rejected("a script gave no answer")
}
