//! Decides whether a value may be served to whom. Pure: no I/O, no clock, no locks.

use crate::entry::Header;
use crate::store::Found;
use crate::subject::{Epoch, TagStamp};
use crate::time::StoreTime;

/// What an entry must be to answer a read.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Fingerprint of the reading function's schema, template and tags, and of the subject's name.
    pub fingerprint: u64,
    /// The whole key where the stored one ends in a digest.
    pub full_key: Option<&'a str>,
    /// How many tags the function declares.
    pub tags: usize,
}

/// Why an entry that is there does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It was filled in another epoch and may have missed invalidations.
    Epoch,
    /// It was written for another schema, template, set of tags or key.
    Foreign,
    /// Its time has passed on the store's clock.
    Expired,
    /// A tag was invalidated, lost, or held elsewhere when it was filled.
    Tags,
}

/// Judges an entry against the answer it came in. Freshness against writes needs no more than this: a mark removes the
/// entries of its subject and changes the generation of its tag, so presence is validity.
///
/// # Errors
/// The first reason why the entry is a miss.
pub fn usable(header: &Header, found: &Found, wanted: Wanted<'_>) -> Result<(), Unusable> {
    fits(header, found.epoch, found.now, wanted)?;
    if wanted.tags != header.tags.len() || !same_stamps(&header.tags, &found.tags) {
        Err(Unusable::Tags)
    } else {
        Ok(())
    }
}

/// Judges what no write has any part in: the dataset, whose entry it is, and its time.
///
/// # Errors
/// The first reason why it is of no use to anybody.
pub fn fits(header: &Header, epoch: Epoch, now: StoreTime, wanted: Wanted<'_>) -> Result<(), Unusable> {
    if header.epoch != epoch {
        Err(Unusable::Epoch)
    } else if header.fingerprint != wanted.fingerprint || header.full_key.as_deref() != wanted.full_key {
        Err(Unusable::Foreign)
    } else if header.expires_at <= now {
        Err(Unusable::Expired)
    } else {
        Ok(())
    }
}

/// The last moment at which a value that a write has invalidated is known to have been current. `dropped` is when a mark
/// dropped it; `None` if a mark of one of its tags did, which leaves no trace of its time. `unmoved` is when its tags were read
/// and none had moved, if so.
#[must_use]
pub fn last_current(made_at: StoreTime, dropped: Option<StoreTime>, unmoved: Option<StoreTime>) -> StoreTime {
    // It was valid until the mark of its subject came, or that of a tag; and it was loaded after `made_at`.
    dropped.zip(unmoved).map_or(made_at, |(dropped, unmoved)| dropped.min(unmoved))
}

/// Whether no tag moved between two readings. A generation that is missing is never the same as anything.
#[must_use]
pub fn same_stamps(then: &[TagStamp], now: &[TagStamp]) -> bool {
    then.len() == now.len() && then.iter().zip(now).all(|(a, b)| a == b && a.generation.is_some())
}

/// How far a flight was when a caller arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The loader's body was not polled yet.
    Pending,
    /// It runs.
    Loading,
    /// The command that will prove the value is about to go out, or is out.
    Sealed,
}

/// When a caller arrived at a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// How far the flight was.
    pub stage: Stage,
    /// How many commands that may answer with an entry the leader had sent.
    pub asked: u64,
}

/// What a flight's result rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// An entry, answered to the leader's command of this number: valid when that command was carried out.
    Entry {
        /// Number of the command, from 1.
        asked: u64,
    },
    /// A load that began after the last pending arrival. `filled` says that the store accepted the value and no tag had
    /// moved: then it was still valid at the fill, which was sent after the flight was sealed.
    Load {
        /// Accepted, tags unmoved.
        filled: bool,
    },
}

/// Whether a flight's result may answer a caller: only if the value was provably current at some moment after the caller
/// arrived. (Plain single-flight hands a value to callers whose read began after the write that outdated it.)
#[must_use]
pub fn may_take(arrival: Arrival, proof: Proof) -> bool {
    match (proof, arrival.stage) {
        (Proof::Entry { asked }, _) => arrival.asked < asked,
        (Proof::Load { .. }, Stage::Pending) => true,
        (Proof::Load { filled }, Stage::Loading) => filled,
        (Proof::Load { .. }, Stage::Sealed) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Generation;
    use std::time::Duration;

    fn stamp(epoch: u64, generation: Option<u64>) -> TagStamp {
        TagStamp { epoch: Epoch(epoch), generation: generation.map(Generation) }
    }

    fn header() -> Header {
        Header {
            codec: 1,
            negative: false,
            epoch: Epoch(1),
            fingerprint: 5,
            made_at: StoreTime(0),
            current_until: StoreTime(50),
            expires_at: StoreTime(100),
            load: Duration::ZERO,
            tags: vec![stamp(1, Some(9))],
            learned: Vec::new(),
            full_key: None,
            validator: None,
        }
    }

    fn found() -> Found {
        Found {
            epoch: Epoch(1),
            now: StoreTime(99),
            blob: None,
            tags: vec![stamp(1, Some(9))],
            shared: false,
        }
    }

    const WANTED: Wanted<'_> = Wanted { fingerprint: 5, full_key: None, tags: 1 };

    #[test]
    fn an_entry_answers_only_if_everything_agrees() {
        assert_eq!(usable(&header(), &found(), WANTED), Ok(()));
        let with = |change: fn(&mut Header, &mut Found)| {
            let (mut h, mut f) = (header(), found());
            change(&mut h, &mut f);
            usable(&h, &f, WANTED)
        };
        assert_eq!(with(|h, _| h.epoch = Epoch(2)), Err(Unusable::Epoch));
        assert_eq!(with(|h, _| h.fingerprint = 6), Err(Unusable::Foreign));
        assert_eq!(with(|h, _| h.full_key = Some("x".into())), Err(Unusable::Foreign));
        assert_eq!(with(|_, f| f.now = StoreTime(100)), Err(Unusable::Expired));
        assert_eq!(with(|h, _| h.tags.clear()), Err(Unusable::Tags));
        assert_eq!(with(|_, f| f.tags = vec![stamp(1, Some(8))]), Err(Unusable::Tags));
        assert_eq!(with(|_, f| f.tags = vec![stamp(2, Some(9))]), Err(Unusable::Tags));
        assert_eq!(with(|_, f| f.tags = vec![stamp(1, None)]), Err(Unusable::Tags));
    }

    #[test]
    fn an_invalidated_value_was_current_until_its_mark_or_when_it_was_loaded() {
        let at = |millis| Some(StoreTime(millis));
        for (dropped, unmoved, is) in [
            (at(500), at(900), 500),
            // Its tags may have moved after they were looked at.
            (at(500), at(400), 400),
            // One of them has moved: nobody knows when.
            (at(500), None, 100),
            (None, None, 100),
            (None, at(900), 100),
        ] {
            assert_eq!(
                last_current(StoreTime(100), dropped, unmoved),
                StoreTime(is),
                "{dropped:?} {unmoved:?}"
            );
        }
    }

    #[test]
    fn a_missing_generation_is_like_nothing() {
        assert!(!same_stamps(&[stamp(1, None)], &[stamp(1, None)]));
    }

    #[test]
    fn a_caller_takes_only_what_was_current_after_it_arrived() {
        let at = |stage, asked| Arrival { stage, asked };
        for (arrival, proof, may) in [
            (at(Stage::Pending, 0), Proof::Entry { asked: 1 }, true),
            (at(Stage::Pending, 1), Proof::Entry { asked: 1 }, false),
            (at(Stage::Pending, 1), Proof::Entry { asked: 2 }, true),
            (at(Stage::Pending, 1), Proof::Load { filled: false }, true),
            (at(Stage::Loading, 1), Proof::Load { filled: false }, false),
            (at(Stage::Loading, 1), Proof::Load { filled: true }, true),
            (at(Stage::Sealed, 1), Proof::Load { filled: true }, false),
        ] {
            assert_eq!(may_take(arrival, proof), may, "{arrival:?} {proof:?}");
        }
    }
}
