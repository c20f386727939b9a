//! What a server's settings cost the promise, and how loudly to say so. Refuses to warn of the usual cache: a server alone, with
//! nothing on disk, is told at debug.
//!
//! A fence that is lost never lets a read that begins after the write returned be stale: the clear is confirmed. Until then
//! reads may go back from the new value to the old one, and the old one stays if the writer dies, too.

use super::identity::Info;

/// One thing to know about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Fences have no TTL, so only a policy `allkeys-*` throws them away.
    EvictsFences { policy: String },
    /// Its last attempt to save failed, and then it refuses writes.
    CannotSave,
    /// It wants replicas, has none, and refuses writes meanwhile.
    LacksReplicas,
    /// Somebody may be promoted who does not have the last marks.
    HasReplicas { replicas: u32 },
    /// What a restart leaves of the fences.
    Restarts { appends: bool },
}

/// Everything there is to know, from the sections `replication`, `memory` and `persistence`.
pub(super) fn findings(replication: Info<'_>, memory: Info<'_>, persistence: Info<'_>) -> Vec<Finding> {
    let is = |info: Info<'_>, name, value| info.field(name) == Some(value);
    let limited = memory.field("maxmemory").is_some_and(|bytes| bytes != "0");
    let policy = memory.field("maxmemory_policy").filter(|policy| limited && policy.starts_with("allkeys"));
    let appends = is(persistence, "aof_enabled", "1");
    let replicas = replication.field("connected_slaves").and_then(|count| count.parse().ok()).unwrap_or(0);
    let cannot_save = is(persistence, "rdb_last_bgsave_status", "err")
        || appends && is(persistence, "aof_last_write_status", "err");

    let mut findings = Vec::new();
    findings.extend(policy.map(|policy| Finding::EvictsFences { policy: policy.to_owned() }));
    findings.extend(cannot_save.then_some(Finding::CannotSave));
    // The line is there only if `min-replicas-to-write` is set.
    findings.extend(is(replication, "min_slaves_good_slaves", "0").then_some(Finding::LacksReplicas));
    findings.extend((replicas > 0).then_some(Finding::HasReplicas { replicas }));
    findings.push(Finding::Restarts { appends });
    findings
}

impl Finding {
    /// Writes the line about it.
    pub(super) fn tell(&self, store: &str) {
        match self {
            Self::EvictsFences { policy } => tracing::warn!(
                %store, policy,
                "this server may evict the fences of writes in flight. A read may then see the old value after another has \
                 seen the new one, until the write returns, and for longer if the writer dies. A policy of `volatile-*` or \
                 `noeviction` keeps them"
            ),
            Self::CannotSave => tracing::warn!(
                %store,
                "this server could not save its data. With `stop-writes-on-bgsave-error`, which is usual, it refuses all \
                 writes until it can: nothing is filled, and covered writes are refused"
            ),
            Self::LacksReplicas => tracing::warn!(
                %store,
                "this server wants replicas (`min-replicas-to-write`), and none follows it. It refuses all writes until one \
                 does: nothing is filled, and covered writes are refused"
            ),
            Self::HasReplicas { replicas } => tracing::info!(
                %store, replicas,
                "a failover of this server loses fences that were not replicated yet. A read may then see the old value after \
                 another has seen the new one, until the write returns, and for longer if the writer dies"
            ),
            Self::Restarts { appends: false } => tracing::debug!(
                %store,
                "a restart of this server loses the fences since its last snapshot. A read may then see the old value after \
                 another has seen the new one, until the write returns, and for longer if the writer dies"
            ),
            Self::Restarts { appends: true } => tracing::debug!(
                %store,
                "a restart of this server keeps its fences, but for those of the last second unless `appendfsync` is `always`"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(replication: &'static str, memory: &'static str, persistence: &'static str) -> Vec<Finding> {
        let mut found = findings(Info(replication), Info(memory), Info(persistence));
        assert!(matches!(found.pop(), Some(Finding::Restarts { .. })));
        found
    }

    #[test]
    fn the_usual_cache_is_nothing_to_speak_of() {
        let replication = "role:master\r\nconnected_slaves:0\r\n";
        let persistence = "rdb_last_bgsave_status:ok\r\naof_enabled:0\r\naof_last_write_status:ok\r\n";
        assert_eq!(found(replication, "maxmemory:100\r\nmaxmemory_policy:volatile-lru\r\n", persistence), []);
        assert_eq!(found("", "", ""), []);
    }

    #[test]
    fn only_a_limit_with_an_allkeys_policy_evicts_fences() {
        let evicts = Finding::EvictsFences { policy: "allkeys-lru".into() };
        assert_eq!(found("", "maxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n", ""), [evicts]);
        assert_eq!(found("", "maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", ""), []);
    }

    #[test]
    fn replicas_and_the_want_of_them_are_found() {
        let has = Finding::HasReplicas { replicas: 2 };
        assert_eq!(found("connected_slaves:2\r\nmin_slaves_good_slaves:2\r\n", "", ""), [has]);
        let lacks = "connected_slaves:0\r\nmin_slaves_good_slaves:0\r\n";
        assert_eq!(found(lacks, "", ""), [Finding::LacksReplicas]);
    }

    #[test]
    fn a_disk_that_is_not_written_is_found() {
        assert_eq!(found("", "", "rdb_last_bgsave_status:err\r\n"), [Finding::CannotSave]);
        assert_eq!(found("", "", "aof_enabled:1\r\naof_last_write_status:err\r\n"), [Finding::CannotSave]);
        assert_eq!(found("", "", "aof_enabled:0\r\naof_last_write_status:err\r\n"), []);
        let appends = findings(Info(""), Info(""), Info("aof_enabled:1\r\n"));
        assert_eq!(appends, [Finding::Restarts { appends: true }]);
    }
}
