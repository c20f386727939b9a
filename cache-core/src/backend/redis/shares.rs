//! Makes known who is about to read something that he may keep for himself. Refuses to count what was not acknowledged on the
//! connection that the read's answer came over.

use std::collections::HashMap;
use std::sync::Arc;

use redis::Value;

use super::bus::Member;
use super::link::Link;
use super::nodes::Nodes;
use super::send::{Done, Job};
use crate::subject::Subject;

/// The subjects of some reads, each once. Its jobs go first, in the pipeline of the reads.
#[derive(Default)]
pub(super) struct Shares<'a> {
    all: Vec<Share<'a>>,
    places: HashMap<&'a Subject, usize>,
}

struct Share<'a> {
    subject: &'a Subject,
    member: Option<Member>,
    /// The connection that it was acknowledged on.
    known: Option<Arc<Link>>,
}

impl<'a> Shares<'a> {
    pub(super) fn of(nodes: &Nodes, subjects: impl Iterator<Item = &'a Subject>) -> Self {
        let mut shares = Self::default();
        for subject in subjects {
            shares.places.entry(subject).or_insert_with(|| {
                let member = nodes.channel(subject).and_then(|channel| channel.member());
                shares.all.push(Share { subject, member, known: None });
                shares.all.len() - 1
            });
        }
        shares
    }

    /// What makes it known.
    pub(super) fn jobs(&self) -> Vec<Job<'a>> {
        let jobs = |share: &Share<'a>| share.member.map(|member| member.shares(share.subject));
        self.all.iter().filter_map(jobs).flatten().collect()
    }

    /// Takes the answers to its jobs out of all; the others are left.
    pub(super) fn takes(&mut self, done: Vec<Done>) -> Vec<Done> {
        let mut done = done.into_iter();
        for share in &mut self.all {
            let Some(member) = share.member else { continue };
            let jobs = member.shares(share.subject).len();
            let answers: Vec<_> = done.by_ref().take(jobs).collect();
            // The last one sets the lifetime, and answers whether there is anything that lives.
            if let Some(Done { value: Value::Int(1), link, .. }) = answers.last()
                && answers.iter().all(|done| Arc::ptr_eq(&done.link, link))
            {
                share.known = Some(link.clone());
            }
        }
        done.collect()
    }

    /// Whether what came over this connection may be kept: a writer to any of these waits for this process.
    pub(super) fn has<'s>(&self, mut subjects: impl Iterator<Item = &'s Subject>, link: &Arc<Link>) -> bool {
        subjects.all(|subject| {
            let share = self.places.get(subject).and_then(|place| self.all.get(*place));
            let Some((share, member)) = share.and_then(|share| Some((share, share.member?))) else {
                return false;
            };
            let is_known = match &share.known {
                Some(known) => Arc::ptr_eq(known, link),
                None => !member.registers(),
            };
            is_known && member.is_known_to(link)
        })
    }
}
