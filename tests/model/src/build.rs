//! Short ways to write a protocol down. Refuses to hide a default that matters: what is not named does not happen.

use crate::protocol::{
    Cache, Epochs, Faults, Filling, Healing, Near, Protocol, Readers, Relay, Sharing, Source, Step,
};

impl Protocol {
    /// One writer that does this, and two readers.
    #[must_use]
    pub fn new(filling: Filling, writer: &[Step]) -> Self {
        let cache =
            Cache { filling, healing: Healing::Nobody, epochs: Epochs::Ignored, near: None, relay: None };
        let readers = Readers {
            count: 2,
            elsewhere: 0,
            source: Source::Primary,
            refreshes: false,
            asks_outbox: false,
            sharing: Sharing::Alone,
        };
        Self { writer: writer.to_vec(), writers: 1, cache, readers, faults: Faults::default() }
    }

    /// So many writers.
    #[must_use]
    pub fn writers(mut self, writers: usize) -> Self {
        self.writers = writers;
        self
    }

    /// A third reader, in another process than the first two.
    #[must_use]
    pub fn one_more_elsewhere(mut self) -> Self {
        (self.readers.count, self.readers.elsewhere) = (3, 1);
        self
    }

    /// Readers load from there.
    #[must_use]
    pub fn loading_from(mut self, source: Source) -> Self {
        self.readers.source = source;
        self
    }

    /// Readers may load although an entry stands.
    #[must_use]
    pub fn refreshing(mut self) -> Self {
        self.readers.refreshes = true;
        self
    }

    /// Each read looks into the outbox first.
    #[must_use]
    pub fn asking_outbox(mut self) -> Self {
        self.readers.asks_outbox = true;
        self
    }

    /// The readers share their loads so.
    #[must_use]
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.readers.sharing = sharing;
        self
    }

    /// Fences are lifted so.
    #[must_use]
    pub fn healing(mut self, healing: Healing) -> Self {
        self.cache.healing = healing;
        self
    }

    /// Datasets are told apart so.
    #[must_use]
    pub fn epochs(mut self, epochs: Epochs) -> Self {
        self.cache.epochs = epochs;
        self
    }

    /// Every reader has such an L1.
    #[must_use]
    pub fn near(mut self, near: Near) -> Self {
        self.cache.near = Some(near);
        self
    }

    /// There is such a relay.
    #[must_use]
    pub fn relay(mut self, relay: Relay) -> Self {
        self.cache.relay = Some(relay);
        self
    }

    /// These faults, and no others.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }
}
