//! How a MySQL transaction is named in a fence, `mysql:<server>:<outcome>`, and when it is finished. Pure.

use std::sync::OnceLock;

use cache_core::rng::{Rng, SystemRng};
use cache_core::store::Origin;

use crate::backend::Label;

/// The id of a transaction's row in `cache_outcomes`. Those of one process lie side by side in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome(u128);

impl Outcome {
    /// The one of the transaction that was begun under this label; no other has it.
    pub(super) fn of(label: &Label) -> Self {
        static PROCESS: OnceLock<u64> = OnceLock::new();
        let process = *PROCESS.get_or_init(|| SystemRng::default().bits());
        Self(u128::from(process) << 64 | u128::from(label.number))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(u128::from_be_bytes(bytes.try_into().ok()?)))
    }

    /// For a literal of SQL.
    pub(super) fn to_hex(self) -> String {
        format!("{:032x}", self.0)
    }
}

/// A transaction of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MySqlOrigin {
    server: String,
    pub(super) outcome: Outcome,
}

impl MySqlOrigin {
    /// From the server's own words.
    pub(super) fn new(server: &str, outcome: Outcome) -> Option<Self> {
        is_name(server).then(|| Self { server: server.to_owned(), outcome })
    }

    pub(super) fn to_origin(&self) -> Origin {
        Origin::new(&format!("mysql:{}:{}", self.server, self.outcome.to_hex()))
            .expect("hexadecimal digits and colons are printable ASCII")
    }

    pub(super) fn parse(origin: &Origin) -> Option<Self> {
        let (server, outcome) = origin.as_str().strip_prefix("mysql:")?.split_once(':')?;
        if !is_name(outcome) {
            return None;
        }
        Self::new(server, Outcome(u128::from_str_radix(outcome, 16).ok()?))
    }

    /// Whether this transaction has ended, and its effect, if any, is visible to a read that begins now on the server.
    pub(super) fn verdict(&self, server: &Server, row: Row) -> Verdict {
        if server.refuses_writes || !server.holds_locks {
            return Verdict::Undecided;
        }
        match row {
            Row::Locked => Verdict::Undecided,
            // Here or on the server that this one has its data from; wherever it was committed, it is visible here.
            Row::Committed => Verdict::Finished,
            // There was one before the fence, so it has been rolled back, or was committed and removed since.
            Row::Absent if server.name == self.server => Verdict::Finished,
            // On its own server it may be running; from one that is retired nothing will come any more.
            Row::Absent if server.retired.contains(&self.server) => Verdict::Finished,
            Row::Absent => Verdict::Stranger,
        }
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }
}

/// 32 lower-case hexadecimal digits, as MySQL's `SHA2` and we write them.
fn is_name(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The servers in the table of those that are gone for good.
pub(super) fn retired(list: Option<String>) -> Vec<String> {
    list.unwrap_or_default().split(',').map(str::to_owned).collect()
}

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) name: String,
    /// A replica, or a primary that is being replaced.
    pub(super) refuses_writes: bool,
    /// Whether a row of the table is locked until its transaction ends.
    pub(super) holds_locks: bool,
    pub(super) retired: Vec<String>,
}

/// What became of a transaction's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Committed,
    Absent,
    Locked,
}

/// What that means for a transaction's fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Finished,
    Undecided,
    /// It ran on another server, which alone can say that it was rolled back.
    Stranger,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "0123456789abcdef0123456789abcdef";
    const ELSEWHERE: &str = "ffffffffffffffffffffffffffffffff";

    fn writer() -> MySqlOrigin {
        MySqlOrigin::new(HOME, Outcome(7)).unwrap()
    }

    fn server(name: &str) -> Server {
        Server { name: name.to_owned(), refuses_writes: false, holds_locks: true, retired: Vec::new() }
    }

    #[test]
    fn a_name_reads_back() {
        let origin = writer().to_origin();
        assert_eq!(origin.as_str(), format!("mysql:{HOME}:{:032x}", 7));
        assert_eq!(MySqlOrigin::parse(&origin), Some(writer()));
        let short = "mysql:0123:00000000000000000000000000000007";
        let upper = format!("mysql:{}:{:032x}", HOME.to_uppercase(), 7);
        let signed = format!("mysql:{HOME}:+{:031x}", 7);
        let more = format!("mysql:{HOME}:{:032x}:1", 7);
        for other in ["none", "pg:1:2:3", "mysql:", short, &upper, &signed, &more] {
            assert_eq!(MySqlOrigin::parse(&Origin::new(other).unwrap()), None, "{other}");
        }
    }

    #[test]
    fn two_transactions_never_share_an_id() {
        let label = |number| Label { number, home: None, table: None };
        assert_ne!(Outcome::of(&label(1)), Outcome::of(&label(2)));
        assert_eq!(Outcome::of(&label(1)), Outcome::of(&label(1)));
    }

    #[test]
    fn a_transaction_is_finished_once_its_row_is_not_locked() {
        for (row, verdict) in [
            (Row::Committed, Verdict::Finished),
            (Row::Absent, Verdict::Finished),
            (Row::Locked, Verdict::Undecided),
        ] {
            assert_eq!(writer().verdict(&server(HOME), row), verdict, "{row:?}");
        }
    }

    #[test]
    fn another_server_knows_what_was_committed_and_not_what_was_rolled_back() {
        assert_eq!(writer().verdict(&server(ELSEWHERE), Row::Committed), Verdict::Finished);
        assert_eq!(writer().verdict(&server(ELSEWHERE), Row::Absent), Verdict::Stranger);
        assert_eq!(writer().verdict(&server(ELSEWHERE), Row::Locked), Verdict::Undecided);
    }

    #[test]
    fn what_a_retired_server_left_nowhere_was_never_committed() {
        let successor = Server { retired: vec![HOME.to_owned()], ..server(ELSEWHERE) };
        assert_eq!(writer().verdict(&successor, Row::Absent), Verdict::Finished);
        assert_eq!(writer().verdict(&successor, Row::Locked), Verdict::Undecided);
    }

    #[test]
    fn replicas_and_tables_without_locks_decide_nothing() {
        for server in
            [Server { refuses_writes: true, ..server(HOME) }, Server { holds_locks: false, ..server(HOME) }]
        {
            for row in [Row::Committed, Row::Absent, Row::Locked] {
                assert_eq!(writer().verdict(&server, row), Verdict::Undecided, "{server:?}");
            }
        }
    }
}
