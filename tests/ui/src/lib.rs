//! A transaction without a database, and the types that the tests of the attributes share.

mod ledger;
mod queue;
mod rows;

pub use ledger::{Committed, Failure, Ledger, Off, PgTx, Pool};
pub use queue::{Full, Queue};
pub use rows::{Role, Slug, User, UserId};
