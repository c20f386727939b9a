//! A transaction without a database, and the types that the tests of the attributes share.

mod ledger;
mod rows;

pub use ledger::{Committed, Failure, Ledger, Off, PgTx, Pool};
pub use rows::{Role, Slug, User, UserId};
