//! A store's command under way: one atomic step a subject, in any order, with anything in between. Refuses to be atomic over
//! several subjects, because no store with several nodes is.

use std::collections::VecDeque;

use bytes::Bytes;
use cache_core::bus::Sharers;
use cache_core::store::{Aside, Cleared, Fence, Filled, Found, Leased, Marked};
use cache_core::subject::{EntryKey, Epoch, Subject, TagStamp};

use crate::dataset::{Asker, Dataset, Gate};
use crate::wire::{Command, StoreSays};

/// A command and how far it was carried out.
#[derive(Clone, Debug)]
pub struct Job {
    pub command: Command,
    /// The steps that are left: 0 is the entry's subject, and tags follow; or a subject each for mark and clear; or one.
    left: VecDeque<usize>,
    so_far: SoFar,
}

#[derive(Clone, Debug, Default)]
struct SoFar {
    blob: Option<Bytes>,
    stamps: Vec<TagStamp>,
    fences: Vec<Fence>,
    gate: Option<Gate>,
    stored: bool,
    aside: Option<Aside>,
    epochs: Vec<Epoch>,
    lost: bool,
    installed: usize,
}

impl Job {
    /// A command nothing of which was carried out; `shuffle` puts its steps in some order.
    pub fn new(command: Command, shuffle: impl FnOnce(&mut [usize])) -> Self {
        let (first, steps) = match &command {
            // The generations that prove a fill are read after it.
            Command::Fill { tags, .. } => (1, tags.len() + 1),
            Command::Get { tags, .. } | Command::Lease { tags, .. } => (0, tags.len() + 1),
            Command::Aside { .. } | Command::Release { .. } | Command::ClearNamespace { .. } => (0, 1),
            Command::Mark { subjects, .. } | Command::Clear { subjects, .. } => (0, subjects.len()),
        };
        let mut left: Vec<_> = (0..steps).collect();
        shuffle(&mut left[first..]);
        let stamps = match &command {
            Command::Get { tags, .. } | Command::Lease { tags, .. } | Command::Fill { tags, .. } => {
                tags.len()
            }
            _ => 0,
        };
        let nothing = TagStamp { epoch: Epoch::default(), generation: None };
        let epochs = if let Command::Mark { subjects, .. } = &command { subjects.len() } else { 0 };
        let so_far = SoFar {
            stamps: vec![nothing; stamps],
            epochs: vec![Epoch::default(); epochs],
            ..SoFar::default()
        };
        Self { command, left: left.into(), so_far }
    }

    /// Whether all of it was carried out.
    pub fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// Carries out the next step.
    pub fn step(&mut self, data: &mut Dataset, asker: Asker) {
        let now = asker.now;
        let Some(step) = self.left.pop_front() else { return };
        let so_far = &mut self.so_far;
        match &self.command {
            Command::Get { key, tags } => match step {
                0 => so_far.blob = data.read(key, now),
                _ => so_far.stamps[step - 1] = data.stamp(&tags[step - 1], now),
            },
            Command::Lease { key, tags, token, duration, force, over, finished, seed, tag_ttl } => match step
            {
                0 => {
                    let gate =
                        data.lease(key, *token, now.after(*duration), (*force, *over), finished, asker);
                    if let Gate::Fenced(fences) = &gate {
                        so_far.fences.extend(fences.iter().cloned());
                    }
                    so_far.gate = Some(gate);
                }
                _ => match data.lease_tag(&tags[step - 1], finished, *seed, now.after(*tag_ttl), now) {
                    Ok(stamp) => so_far.stamps[step - 1] = stamp,
                    Err(fences) => so_far.fences.extend(fences),
                },
            },
            Command::Fill { key, tags, token, blob, ttl, aside } => match step {
                0 => so_far.stored = data.fill(key, *token, blob, now.after(*ttl), *aside),
                _ => so_far.stamps[step - 1] = data.stamp(&tags[step - 1], now),
            },
            Command::Aside { key } => so_far.aside = data.aside(key, asker),
            Command::Release { key, token } => data.release(key, *token),
            Command::ClearNamespace { namespace, seed } => data.clear_namespace(namespace, *seed, now),
            Command::Mark { writer, origin, subjects, seed, tag_ttl } => {
                data.mark(&subjects[step], *writer, origin, *seed, now.after(*tag_ttl), now);
                so_far.epochs[step] = data.epoch_of(&subjects[step], asker);
            }
            Command::Clear { writer, subjects, puts, seed, tag_ttl } => {
                let (stood, installed) =
                    data.clear(&subjects[step], *writer, puts, *seed, now.after(*tag_ttl), asker);
                so_far.lost |= !stood;
                so_far.installed += installed;
            }
        }
    }

    /// What the store says when all was carried out.
    pub fn answer(&mut self, data: &mut Dataset, asker: Asker) -> StoreSays {
        let now = asker.now;
        let so_far = std::mem::take(&mut self.so_far);
        let epoch = |data: &Dataset, key: &EntryKey| data.epoch_of(&key.subject, asker);
        match &self.command {
            Command::Get { key, .. } => {
                let epoch = epoch(data, key);
                StoreSays::Found(Found { epoch, now, blob: so_far.blob, tags: so_far.stamps, shared: true })
            }
            Command::Lease { key, token, .. } => {
                let granted = matches!(so_far.gate, Some(Gate::Granted));
                if !so_far.fences.is_empty() {
                    if granted {
                        data.release(key, *token);
                    }
                    return StoreSays::Leased(Leased::Fenced(so_far.fences));
                }
                let epoch = epoch(data, key);
                StoreSays::Leased(match so_far.gate {
                    Some(Gate::Granted) => Leased::Granted { epoch, now, tags: so_far.stamps, shared: true },
                    Some(Gate::Present(blob)) => Leased::Present(Found {
                        epoch,
                        now,
                        blob: Some(blob),
                        tags: so_far.stamps,
                        shared: true,
                    }),
                    _ => Leased::Busy,
                })
            }
            Command::Fill { key, .. } => {
                let epoch = epoch(data, key);
                StoreSays::Filled(Filled { epoch, stored: so_far.stored, tags: so_far.stamps })
            }
            Command::Aside { .. } => StoreSays::Aside(so_far.aside),
            Command::Release { .. } => StoreSays::Released,
            Command::ClearNamespace { .. } => StoreSays::ClearedNamespace,
            Command::Mark { .. } => StoreSays::Marked(Marked {
                epochs: so_far.epochs,
                now,
                queued: Vec::new(),
                sharers: Sharers::default(),
            }),
            Command::Clear { writer, .. } => {
                StoreSays::Cleared(*writer, Cleared { intact: !so_far.lost, installed: so_far.installed })
            }
        }
    }

    /// The subjects it names.
    pub fn subjects(&self) -> Vec<&Subject> {
        match &self.command {
            Command::Get { key, tags }
            | Command::Lease { key, tags, .. }
            | Command::Fill { key, tags, .. } => std::iter::once(&key.subject).chain(tags).collect(),
            Command::Aside { key } | Command::Release { key, .. } => vec![&key.subject],
            Command::ClearNamespace { .. } => Vec::new(),
            Command::Mark { subjects, .. } | Command::Clear { subjects, .. } => subjects.iter().collect(),
        }
    }
}
