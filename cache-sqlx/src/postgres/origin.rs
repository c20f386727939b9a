//! How a Postgres transaction is named in a fence: `pg:<system identifier>:<timeline>:<transaction id>`. Pure.

use cache_core::store::Origin;

/// A transaction of a cluster's timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PgOrigin {
    /// The cluster's system identifier, shared by a primary and its standbys.
    pub(crate) system: u64,
    /// Timeline the transaction ran on.
    pub(crate) timeline: u32,
    /// 64-bit transaction id.
    pub(crate) xid: u64,
}

/// What a server says about itself and some transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) system: u64,
    /// `None` on a standby.
    pub(crate) timeline: Option<u32>,
    /// `server_version_num`.
    pub(crate) version: i32,
}

impl PgOrigin {
    /// From the server's own words; a standby names no WAL file.
    pub(crate) fn parts(system: &str, segment: Option<&str>, xid: &str) -> Option<Self> {
        Some(Self { system: system.parse().ok()?, timeline: timeline(segment?)?, xid: xid.parse().ok()? })
    }

    pub(crate) fn to_origin(self) -> Origin {
        Origin::new(&format!("pg:{}:{}:{}", self.system, self.timeline, self.xid))
            .expect("three numbers and colons are printable ASCII")
    }

    pub(crate) fn parse(origin: &Origin) -> Option<Self> {
        let mut parts = origin.as_str().strip_prefix("pg:")?.split(':');
        let (system, timeline, xid) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self { system: system.parse().ok()?, timeline: timeline.parse().ok()?, xid: xid.parse().ok()? })
    }

    /// Whether this transaction has ended, and its effect, if any, is visible to a read that begins now.
    pub(crate) fn is_finished(self, server: Server, status: &str) -> bool {
        // A standby lags, and a server on an older timeline than the transaction knows nothing about it.
        let Some(timeline) = server.timeline else { return false };
        if server.system != self.system || timeline < self.timeline || !tells_the_truth(server.version) {
            return false;
        }
        match status {
            "committed" | "aborted" | "gone" => true,
            // Never completed here. On its own timeline it may be running; on a later one it was lost with the old primary.
            "ahead" => timeline > self.timeline,
            _ => false,
        }
    }
}

/// Before 13.8 and 14.5, `pg_xact_status` could call a transaction committed before others saw its effect.
fn tells_the_truth(version: i32) -> bool {
    version >= 150_000 || (140_005..150_000).contains(&version) || (130_008..140_000).contains(&version)
}

/// The timeline of a WAL file name: its first eight hexadecimal digits.
pub(crate) fn timeline(segment: &str) -> Option<u32> {
    u32::from_str_radix(segment.get(..8)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITER: PgOrigin = PgOrigin { system: 7301, timeline: 2, xid: 48213 };
    const PRIMARY: Server = Server { system: 7301, timeline: Some(2), version: 150_019 };

    #[test]
    fn a_name_reads_back() {
        assert_eq!(WRITER.to_origin().as_str(), "pg:7301:2:48213");
        assert_eq!(PgOrigin::parse(&WRITER.to_origin()), Some(WRITER));
        assert_eq!(PgOrigin::parts("7301", Some("000000020000000A000000FF"), "48213"), Some(WRITER));
        for other in ["none", "pg:1:2", "pg:1:2:3:4", "pg:a:2:3", "sqlite:1:2:3"] {
            assert_eq!(PgOrigin::parse(&Origin::new(other).unwrap()), None, "{other}");
        }
    }

    #[test]
    fn only_an_ended_transaction_is_finished() {
        for (status, finished) in
            [("committed", true), ("aborted", true), ("gone", true), ("in progress", false), ("ahead", false)]
        {
            assert_eq!(WRITER.is_finished(PRIMARY, status), finished, "{status}");
        }
    }

    #[test]
    fn an_id_the_server_never_assigned_is_finished_only_under_a_larger_timeline() {
        assert!(!WRITER.is_finished(PRIMARY, "ahead"));
        assert!(WRITER.is_finished(Server { timeline: Some(3), ..PRIMARY }, "ahead"));
    }

    #[test]
    fn strangers_standbys_and_the_past_decide_nothing() {
        for server in [
            Server { system: 7302, ..PRIMARY },
            Server { timeline: None, ..PRIMARY },
            Server { timeline: Some(1), ..PRIMARY },
        ] {
            assert!(!WRITER.is_finished(server, "committed"), "{server:?}");
        }
    }

    #[test]
    fn versions_that_answer_too_early_are_not_believed() {
        for (version, believed) in [
            (120_022, false),
            (130_007, false),
            (130_008, true),
            (140_004, false),
            (140_005, true),
            (150_000, true),
            (180_001, true),
        ] {
            assert_eq!(WRITER.is_finished(Server { version, ..PRIMARY }, "committed"), believed, "{version}");
        }
    }
}
