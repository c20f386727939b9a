//! All rows, by theme. Refuses rows without a stated verdict.

mod failover;
mod fence;
mod flights;
mod learned;
mod leases;
mod naive;
mod near;
mod nested;
mod strict;
mod tags;
mod unfenced;
mod write_through;

use crate::protocol::Step::{Begin, Clear, Commit, Mark, Return};
use crate::protocol::{Filling, Healing, Protocol, Step};
use crate::row::Row;

/// Rows that belong together.
pub struct Theme {
    /// What they are about.
    pub title: &'static str,
    /// The rows.
    pub rows: Vec<Row>,
}

/// All themes, from what everybody does to what is built.
#[must_use]
pub fn themes() -> Vec<Theme> {
    let theme = |title, rows| Theme { title, rows };
    vec![
        theme("naive patterns", naive::rows()),
        theme("leases", leases::rows()),
        theme("fence", fence::rows()),
        theme("no answer to MARK", unfenced::rows()),
        theme("flights", flights::rows()),
        theme("write-through", write_through::rows()),
        theme("tags", tags::rows()),
        theme("learned tags", learned::rows()),
        theme("nested reads", nested::rows()),
        theme("failover", failover::rows()),
        theme("strict", strict::rows()),
        theme("L1", near::rows()),
    ]
}

/// The whole write of the protocol that is built.
const WRITE: [Step; 5] = [Begin, Mark, Commit, Clear, Return];

/// The protocol that is built: fences keyed by transaction, leases, a confirmed clear.
fn fenced() -> Protocol {
    Protocol::new(Filling::Fenced, &WRITE).healing(Healing::ByTransaction)
}
