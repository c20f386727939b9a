//! The six commands in the words of Redis, each on the connection it is given. Refuses to choose one: see [`super::nodes`].

use std::time::Duration;

use redis::{Cmd, cmd};

use super::error::rejected;
use super::link::{Link, Step};
use super::reply::{self, Answer, Gate};
use super::script;
use crate::error::StoreError;
use crate::store::{
    ClearRequest, Cleared, FillRequest, Filled, Found, LeaseRequest, Leased, MarkRequest, Marked, Put,
};
use crate::subject::{EntryKey, Epoch, Kind, Subject, TagStamp, Token, WriterId};
use crate::time::{StoreTime, millis};

fn key(subject: &Subject, part: char) -> String {
    format!("{{{}}}:{part}", subject.name())
}

fn keys<const N: usize>(subject: &Subject, parts: [char; N]) -> [String; N] {
    parts.map(|part| key(subject, part))
}

fn token_text(token: Token) -> String {
    format!("{:016x}", token.0)
}

/// Milliseconds as the server takes them: never none, and never so many that it overflows.
fn lifetime(duration: Duration) -> u64 {
    const CENTURY: u64 = 100 * 366 * 24 * 60 * 60 * 1000;
    millis(duration).clamp(1, CENTURY)
}

fn writers(cmd: &mut Cmd, finished: &[WriterId]) {
    for writer in finished {
        cmd.arg(writer.to_string());
    }
}

fn read_generation(tag: &Subject) -> Cmd {
    let mut read = cmd("GET");
    read.arg(key(tag, 'g'));
    read
}

pub(super) async fn get(link: &Link, key: &EntryKey, tags: &[Subject]) -> Result<Found, StoreError> {
    let mut read = cmd("HGET");
    read.arg(self::key(&key.subject, 'v')).arg(key.field_text());
    if tags.is_empty() {
        let blob = reply::blob(link.send(&read).await?)?;
        return Ok(Found { epoch: link.epoch, now: link.now(), blob, tags: Vec::new() });
    }
    let mut steps = vec![Step::Read(read)];
    steps.extend(tags.iter().map(|tag| Step::Read(read_generation(tag))));
    let mut replies = link.send_all(&steps).await?.into_iter();
    let blob = reply::blob(replies.next().unwrap_or_default())?;
    Ok(Found { epoch: link.epoch, now: link.now(), blob, tags: stamps(replies, link.epoch)? })
}

fn stamps(replies: impl Iterator<Item = redis::Value>, epoch: Epoch) -> Result<Vec<TagStamp>, StoreError> {
    replies.map(|reply| reply::stamp(reply, epoch)).collect()
}

pub(super) async fn lease(link: &Link, request: &LeaseRequest<'_>) -> Result<Leased, StoreError> {
    let LeaseRequest { key, tags, token, finished, .. } = *request;
    let mut steps: Vec<Step> = tags
        .iter()
        .map(|tag| {
            Step::script(&script::TAG, &keys(tag, ['g', 'c']), |cmd| {
                cmd.arg(request.seed).arg(lifetime(request.tag_ttl));
                writers(cmd, finished);
            })
        })
        .collect();
    steps.push(Step::script(&script::LEASE, &keys(&key.subject, ['v', 'l', 'c']), |cmd| {
        cmd.arg(key.field_text()).arg(token_text(token)).arg(lifetime(request.duration));
        cmd.arg(&link.epoch.0.to_le_bytes()[..]).arg(u8::from(request.force));
        writers(cmd, finished);
    }));
    let replies = link.send_all(&steps).await?;

    let (mut fences, mut stamps, mut leased) = (Vec::new(), Vec::with_capacity(tags.len()), None);
    for (reply, subject) in replies.into_iter().zip(tags.iter().chain([&key.subject])) {
        match reply::gate(reply, subject)? {
            Gate::Fenced(standing) => fences.extend(standing),
            Gate::Open(answer) if subject.kind() == Kind::Tag => {
                let generation = answer.value.as_deref().and_then(reply::generation);
                stamps.push(TagStamp { epoch: link.epoch, generation });
            }
            Gate::Open(answer) => leased = Some(answer),
        }
    }
    let granted = leased.as_ref().is_some_and(|answer| answer.word == "granted");
    if !fences.is_empty() {
        if granted {
            // Best effort: a lease that is not given back lapses.
            let _ = release(link, key, token).await;
        }
        return Ok(Leased::Fenced(fences));
    }
    let Some(Answer { word, now, value }) = leased else { return Err(rejected("a script gave no answer")) };
    match (word.as_str(), value) {
        ("granted", None) => Ok(Leased::Granted { epoch: link.epoch, now, tags: stamps }),
        ("busy", None) => Ok(Leased::Busy),
        ("present", Some(blob)) => {
            Ok(Leased::Present(Found { epoch: link.epoch, now, blob: Some(blob.into()), tags: stamps }))
        }
        _ => Err(rejected("a script gave an answer that this version does not understand")),
    }
}

pub(super) async fn fill(link: &Link, request: &FillRequest<'_>) -> Result<Filled, StoreError> {
    let FillRequest { key, tags, token, blob, ttl } = *request;
    let mut steps = vec![Step::script(&script::FILL, &keys(&key.subject, ['v', 'l', 'c']), |cmd| {
        cmd.arg(key.field_text()).arg(token_text(token)).arg(&blob[..]).arg(lifetime(ttl));
    })];
    steps.extend(tags.iter().map(|tag| Step::Read(read_generation(tag))));
    let mut replies = link.send_all(&steps).await?.into_iter();
    let stored = reply::number(&replies.next().unwrap_or_default())? == 1;
    Ok(Filled { epoch: link.epoch, stored, tags: stamps(replies, link.epoch)? })
}

pub(super) async fn release(link: &Link, key: &EntryKey, token: Token) -> Result<(), StoreError> {
    let step = Step::script(&script::RELEASE, &keys(&key.subject, ['l']), |cmd| {
        cmd.arg(key.field_text()).arg(token_text(token));
    });
    let replies = link.send_all(&[step]).await?;
    replies.iter().try_for_each(|reply| reply::number(reply).map(drop))
}

pub(super) async fn mark(link: &Link, request: &MarkRequest<'_>) -> Result<Marked, StoreError> {
    let (writer, origin) = (request.writer.to_string(), request.origin.as_str());
    let step = |subject: &Subject| match subject.kind() {
        Kind::Entity => Step::script(&script::MARK, &keys(subject, ['v', 'l', 'c']), |cmd| {
            cmd.arg(&writer).arg(origin);
        }),
        Kind::Tag => Step::script(&script::MARK_TAG, &keys(subject, ['g', 'c']), |cmd| {
            cmd.arg(&writer).arg(origin).arg(request.seed).arg(lifetime(request.tag_ttl));
        }),
    };
    let replies = link.send_all(&request.subjects.iter().map(step).collect::<Vec<_>>()).await?;
    let mut now = link.now();
    for reply in &replies {
        now = StoreTime(reply::number(reply)?);
    }
    Ok(Marked { epochs: vec![link.epoch; replies.len()], now })
}

pub(super) async fn clear(link: &Link, request: &ClearRequest<'_>) -> Result<Cleared, StoreError> {
    let writer = request.writer.to_string();
    let fits = |put: &&Put, subject: &Subject| put.key.subject == *subject && put.epoch == link.epoch;
    let step = |subject: &Subject| match subject.kind() {
        Kind::Entity => Step::script(&script::CLEAR, &keys(subject, ['v', 'l', 'c']), |cmd| {
            cmd.arg(&writer);
            for put in request.puts.iter().filter(|put| fits(put, subject)) {
                cmd.arg(put.key.field_text()).arg(lifetime(put.ttl)).arg(&put.blob[..]);
            }
        }),
        Kind::Tag => Step::script(&script::CLEAR_TAG, &keys(subject, ['g', 'c']), |cmd| {
            cmd.arg(&writer).arg(request.seed).arg(lifetime(request.tag_ttl));
        }),
    };
    let replies = link.send_all(&request.subjects.iter().map(step).collect::<Vec<_>>()).await?;
    let mut cleared = Cleared { intact: true, installed: 0 };
    for reply in &replies {
        let (stood, installed) = reply::cleared(reply)?;
        cleared.intact &= stood;
        cleared.installed += installed;
    }
    Ok(cleared)
}
