//! Which dataset a server holds, read from its answers to INFO. Pure. Refuses a server that is no master of its own.

use xxhash_rust::xxh3::Xxh3;

use super::error::Refusal;
use crate::subject::Epoch;

/// One answer to INFO.
#[derive(Clone, Copy, Debug)]
pub(super) struct Info<'a>(pub(super) &'a str);

impl<'a> Info<'a> {
    pub(super) fn field(self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
    }

    fn must(self, name: &str) -> Result<&'a str, Refusal> {
        let missing = || Refusal::Unusable(format!("it does not tell its {name} in INFO"));
        self.field(name).filter(|value| !value.is_empty()).ok_or_else(missing)
    }
}

/// The epoch of a server from its sections `server` and `replication`: the process and the history of its dataset. The
/// process alone returns unchanged when a demoted master is promoted again. A node of a cluster adds its configuration epoch
/// from CLUSTER INFO: a slot that has been elsewhere comes back under another one.
pub(super) fn epoch(
    server: Info<'_>,
    replication: Info<'_>,
    cluster: Option<Info<'_>>,
) -> Result<Epoch, Refusal> {
    match replication.must("role")? {
        "master" => {}
        role => return Err(Refusal::Away(format!("it is a {role}, not a master"))),
    }
    let mut hash = Xxh3::new();
    hash.update(server.must("run_id")?.as_bytes());
    hash.update(b"/");
    hash.update(replication.must("master_replid")?.as_bytes());
    if let Some(cluster) = cluster {
        hash.update(b"/");
        hash.update(cluster.must("cluster_my_epoch")?.as_bytes());
    }
    Ok(Epoch(hash.digest()))
}

/// What a server is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A server of its own, with or without sentinels that watch it.
    Standalone,
    /// A node of a cluster.
    Cluster,
}

/// Whether this crate can work with such a server at all, where one of this mode is meant.
pub(super) fn is_usable(server: Info<'_>, mode: Mode) -> Result<(), Refusal> {
    let version = server.must("redis_version")?;
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < (6, 2) {
        return Err(Refusal::Unusable(format!("it is version {version}, and 6.2 or newer is needed")));
    }
    // Valkey 8 and later call it so.
    match (mode, server.field("redis_mode").or_else(|| server.field("server_mode"))) {
        (Mode::Standalone, Some("cluster")) => Err(Refusal::Unusable(
            "it is a node of a cluster: write redis+cluster:// and some of its nodes".into(),
        )),
        (Mode::Cluster, Some("standalone")) => Err(Refusal::Unusable(
            "it is a server of its own and no node of a cluster: write redis://".into(),
        )),
        (_, Some("sentinel")) => Err(Refusal::Unusable(
            "it is a sentinel: write redis+sentinel://host:port/name-of-the-master, or name the master itself".into(),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Info<'_> =
        Info("# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:0123\r\n");
    const MASTER: Info<'_> = Info("# Replication\r\nrole:master\r\nmaster_replid:abcd\r\n");

    fn refusal(server: &'static str) -> String {
        match is_usable(Info(server), Mode::Standalone) {
            Err(Refusal::Unusable(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn process_and_history_make_the_epoch() {
        let here = epoch(SERVER, MASTER, None).unwrap();
        assert_eq!(epoch(SERVER, MASTER, None).unwrap(), here);
        assert_ne!(epoch(Info("run_id:0124\r\n"), MASTER, None).unwrap(), here);
        assert_ne!(epoch(SERVER, Info("role:master\r\nmaster_replid:abce\r\n"), None).unwrap(), here);
    }

    #[test]
    fn a_node_of_a_cluster_begins_an_epoch_when_it_imports_a_slot() {
        let at = |number: &'static str| epoch(SERVER, MASTER, Some(Info(number))).unwrap();
        assert_eq!(at("cluster_my_epoch:7\r\n"), at("cluster_state:ok\r\ncluster_my_epoch:7\r\n"));
        assert_ne!(at("cluster_my_epoch:7\r\n"), at("cluster_my_epoch:8\r\n"));
        assert!(epoch(SERVER, MASTER, Some(Info("cluster_state:ok\r\n"))).is_err());
    }

    #[test]
    fn the_wrong_scheme_is_named_with_the_right_one() {
        assert!(refusal("redis_version:7.0.0\r\nredis_mode:cluster\r\n").contains("write redis+cluster://"));
        let alone = is_usable(SERVER, Mode::Cluster);
        assert!(matches!(alone, Err(Refusal::Unusable(why)) if why.contains("write redis://")));
        assert!(is_usable(Info("redis_version:7.0.0\r\nredis_mode:cluster\r\n"), Mode::Cluster).is_ok());
    }

    #[test]
    fn a_replica_is_away_and_a_server_without_identity_is_unusable() {
        let replica = Info("role:slave\r\nmaster_replid:abcd\r\n");
        assert!(matches!(epoch(SERVER, replica, None), Err(Refusal::Away(why)) if why.contains("slave")));
        assert!(
            matches!(epoch(Info(""), MASTER, None), Err(Refusal::Unusable(why)) if why.contains("run_id"))
        );
    }

    #[test]
    fn old_servers_cluster_nodes_and_sentinels_are_unusable() {
        assert!(is_usable(SERVER, Mode::Standalone).is_ok());
        assert!(is_usable(Info("redis_version:10.0.0\r\n"), Mode::Standalone).is_ok());
        assert!(refusal("redis_version:6.0.16\r\n").contains("6.2"));
        assert!(refusal("redis_version:7.0.0\r\nredis_mode:cluster\r\n").contains("cluster"));
        assert!(refusal("redis_version:7.2.4\r\nserver_mode:cluster\r\n").contains("cluster"));
        assert!(refusal("redis_version:7.0.0\r\nredis_mode:sentinel\r\n").contains("sentinel"));
    }
}
