//! The version of what a tag stands for, to be shown to others. Refuses to name one while a write is in flight: nobody's copy is
//! known to be current then.

use std::fmt;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Core;
use super::ask::within;
use crate::breaker::Touched;
use crate::key::Text;
use crate::store::{LeaseRequest, Leased};
use crate::subject::{EntryKey, Kind, TagStamp, Token};

/// The version lives at least this long without a write.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const LEASE: Duration = Duration::from_secs(1);

/// A version of something: random, so that an older one never comes back. Two that are equal say that no write to it has returned,
/// and none was in flight, between the calls that told them. Prints as 16 hexadecimal digits, as an `ETag` wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Core {
    /// The version; where it cannot be known, one that is never told again.
    pub(crate) async fn version(&self, write: impl FnOnce(&mut Text)) -> Version {
        let tags = [self.namespace.subject(Kind::Tag, write)];
        match self.generation(&tags).await {
            Some(TagStamp { epoch, generation: Some(generation) }) => {
                Version(xxh3_64_with_seed(&generation.0.to_le_bytes(), epoch.0))
            }
            _ => Version(self.random()),
        }
    }

    /// A lease on an entry that nobody has tells what a loader would stamp: the generation, made if it was lost, or a fence.
    async fn generation(&self, tags: &[crate::subject::Subject; 1]) -> Option<TagStamp> {
        let store = self.store()?;
        let subject = self.namespace.subject(Kind::Entity, |text| text.literal("~version"));
        let key = EntryKey { subject, field: self.random() };
        let request = LeaseRequest {
            key: &key,
            tags,
            token: Token(self.random()),
            duration: LEASE,
            force: false,
            over: None,
            finished: &[],
            seed: self.random(),
            tag_ttl: LIFETIME,
            shares: false,
        };
        let touched = Touched::new(store.shard(&key.subject), tags.iter().map(|tag| store.shard(tag)));
        let answer = self.ask(&touched, store.lease(request)).await.ok()?;
        let Leased::Granted { tags, .. } = answer else { return None };
        // Best effort: a lease that is not given back lapses.
        let _ = within(self.settings.read_deadline, store.release(&key, request.token)).await;
        tags.first().copied()
    }
}
