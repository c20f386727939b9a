//! Hears what is published, in order, and notices what is missing. Refuses to let anything pass that it has not told its listeners.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;

use super::Channel;
use super::message::{self, Place};

/// The receiving end of one connection. What it is told it passes on before it returns, so before an answer behind it is seen.
pub(super) struct Ear {
    channel: Arc<Channel>,
    heard: Mutex<Heard>,
    /// Somebody has to be answered, or something may be missing.
    pub(super) called: Notify,
}

/// How far it has heard.
#[derive(Debug, Default)]
struct Heard {
    /// Who it hears for, once that is known.
    member: Option<u64>,
    /// The last message.
    last: Option<Place>,
    /// Somebody waits for what was heard.
    owes: bool,
    /// Something was missing; everything was forgotten, and the next lease has to be asked for anew.
    missed: bool,
}

impl Ear {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        Self { channel, heard: Mutex::default(), called: Notify::new() }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hears(&self, info: &PushInfo) {
        match (&info.kind, info.data.as_slice()) {
            (PushKind::Message, [_, Value::BulkString(bytes)]) => match message::read(bytes) {
                Some(message) => self.takes(&message),
                None => self.misses(None),
            },
            (PushKind::Message, _) => self.misses(None),
            (PushKind::Disconnection, _) => self.called.notify_one(),
            _ => {}
        }
    }

    fn takes(&self, message: &message::Message) {
        match message.stripes.as_slice() {
            [] => {
                self.channel.forgets_all();
                // The lease went, too: the next one is asked for at once.
                self.heard().missed = true;
                self.called.notify_one();
            }
            stripes => self.channel.marked(stripes),
        }
        // The board was lost: who is told is not written down anywhere any more.
        let Some(place) = message.place else { return self.misses(None) };
        let mut heard = self.heard();
        let follows =
            heard.last.is_none_or(|last| last.life == place.life && last.number + 1 == place.number);
        if !follows {
            drop(heard);
            return self.misses(Some(place));
        }
        heard.last = Some(place);
        if heard.member.is_some_and(|member| message.asks.asks(member)) {
            heard.owes = true;
            self.called.notify_one();
        }
    }

    /// Something may be missing up to this place. Whoever waits for it is answered by the next lease, once everything is forgotten.
    fn misses(&self, place: Option<Place>) {
        self.channel.doubts();
        let mut heard = self.heard();
        heard.last = place.or(heard.last);
        heard.missed = true;
        self.called.notify_one();
    }

    /// From now on it hears for this member, who has joined there: what came before concerns nobody.
    pub(super) fn joins(&self, member: u64, at: Place) {
        let mut heard = self.heard();
        // A later message may have been heard before the answer was looked at.
        let is_later = |last: &Place| last.life == at.life && last.number >= at.number;
        let last = heard.last.filter(is_later).unwrap_or(at);
        // It may be one that asks for him.
        let owes = last != at;
        *heard = Heard { member: Some(member), last: Some(last), owes, missed: false };
        if owes {
            self.called.notify_one();
        }
    }

    /// Whether it has heard everything up to there; if not, everything was forgotten.
    pub(super) fn confirms(&self, at: Place) -> bool {
        let last = self.heard().last;
        let is_whole = last.is_some_and(|last| last.life == at.life && last.number >= at.number);
        if !is_whole {
            self.misses(Some(at));
        }
        is_whole
    }

    /// The last message.
    pub(super) fn last(&self) -> Option<Place> {
        self.heard().last
    }

    /// What somebody waits for an answer to.
    pub(super) fn owes(&self) -> Option<Place> {
        let mut heard = self.heard();
        if std::mem::take(&mut heard.owes) { heard.last } else { None }
    }

    /// Whether something was missing since this was asked.
    pub(super) fn has_missed(&self) -> bool {
        std::mem::take(&mut self.heard().missed)
    }
}
