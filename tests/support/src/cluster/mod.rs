//! A private Redis Cluster: three masters, three replicas, and what an operator does to them. Refuses to hurry: every step is
//! waited for until the nodes themselves say that it is done.

mod slots;

use std::{net::SocketAddr, time::Duration};

use crate::{
    Error, Redis,
    process::poll_until,
    resp::{Reply, ask, ask_importing},
};

const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
const BOUND: Duration = Duration::from_secs(60);
const ATTEMPT: Duration = Duration::from_secs(6);

/// Six servers that form one cluster; stopped and removed when dropped. Node n + 3 begins as the replica of node n.
///
/// A master that is silent for a second is taken for dead. Slots of a dead master do not stop the others
/// (`cluster-require-full-coverage no`).
///
/// ```no_run
/// let cluster = cache_test_support::Cluster::start()?;
/// let slot = cluster.slot_of("{user:1}:v")?;
/// let owner = cluster.node_of(slot)?;
/// cluster.migrate(slot, (owner + 1) % 3)?;
/// cluster.nodes()[owner].kill();
/// # Ok::<(), cache_test_support::Error>(())
/// ```
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
}

impl Cluster {
    /// Finds or installs Redis, starts six servers and forms the cluster; a few seconds.
    ///
    /// # Errors
    /// When Redis is missing and cannot be installed, a server does not start, or they do not agree within a minute.
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&[])
    }

    /// The same with more arguments for every server; they win over the defaults.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_with(arguments: &[&str]) -> Result<Self, Error> {
        let start = || {
            let cluster = [
                ["--cluster-enabled", "yes"],
                ["--cluster-node-timeout", "1000"],
                ["--cluster-replica-validity-factor", "0"],
                ["--cluster-require-full-coverage", "no"],
                ["--repl-diskless-sync-delay", "0"],
            ];
            Redis::options().args(cluster.concat()).args(arguments.iter().copied()).start()
        };
        let nodes = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..2 * MASTERS).map(|_| scope.spawn(start)).collect();
            starting
                .into_iter()
                .map(|node| node.join().expect("a start does not panic"))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let cluster = Self { nodes };
        cluster.form()?;
        Ok(cluster)
    }

    fn form(&self) -> Result<(), Error> {
        for node in 0..self.nodes.len() {
            // Different from the start: nodes with equal ones would raise them later, in the middle of a test.
            self.tell(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(node + 1).to_string()])?;
        }
        for master in 0..MASTERS {
            let slots = (master * SLOTS / MASTERS)..((master + 1) * SLOTS / MASTERS);
            let slots: Vec<_> = slots.map(|slot| slot.to_string()).collect();
            let words: Vec<_> =
                ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
            self.tell(master, &words)?;
        }
        for node in 1..self.nodes.len() {
            let (host, port) = self.host_and_port(node);
            self.tell(0, &["CLUSTER", "MEET", &host, &port])?;
        }
        let count = self.nodes.len().to_string();
        self.wait("the nodes to meet", || {
            self.all().all(|node| self.info(node, "cluster_known_nodes").is_ok_and(|known| known == count))
        })?;
        for replica in MASTERS..self.nodes.len() {
            let master = self.id(replica - MASTERS)?;
            // Until gossip has told the replica about it, the master is unknown there.
            self.wait("a replica to follow", || {
                self.tell(replica, &["CLUSTER", "REPLICATE", &master]).is_ok()
            })?;
        }
        self.settled()
    }

    /// Waits until all running nodes call the cluster well, agree on every slot, and every replica has its master's data.
    ///
    /// # Errors
    /// When that takes longer than a minute.
    pub fn settled(&self) -> Result<(), Error> {
        self.wait("the nodes to agree", || self.is_settled())
    }

    fn is_settled(&self) -> bool {
        let running: Vec<_> = self.all().filter(|&node| self.nodes[node].pid().is_some()).collect();
        let views: Vec<_> = running.iter().map(|&node| self.owners(node).ok()).collect();
        views.windows(2).all(|pair| pair[0] == pair[1])
            && views.first().is_some_and(Option::is_some)
            && running.iter().all(|&node| {
                let is_well = self.info(node, "cluster_state").is_ok_and(|state| state == "ok");
                let follows = self
                    .replication(node)
                    .is_ok_and(|text| !text.contains("role:slave") || text.contains("master_link_status:up"));
                is_well && follows
            })
    }

    /// The URL naming the first three nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes[..MASTERS].iter().map(|node| node.address().to_string()).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The servers, to be killed, paused, resumed and restarted one by one.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Whether this node calls itself a master.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn is_master(&self, node: usize) -> Result<bool, Error> {
        Ok(self.replication(node)?.contains("role:master"))
    }

    /// Makes a replica the master in its master's place, in order; waits until all agree.
    ///
    /// # Errors
    /// When it is no replica, or does not become the master within a minute.
    pub fn fail_over(&self, replica: usize) -> Result<(), Error> {
        self.take_over(replica)?;
        self.settled()
    }

    /// The same without waiting for the others: a node that imports a slot never learns of that slot's new master.
    ///
    /// # Errors
    /// When it is no replica, or does not become the master within a minute.
    pub fn take_over(&self, replica: usize) -> Result<(), Error> {
        // An attempt is given up after five seconds, silently: a node that came back just now may miss the first.
        self.wait("a replica to take over", || {
            let begun = self.tell(replica, &["CLUSTER", "FAILOVER"]).is_ok();
            begun && poll_until(ATTEMPT, || self.is_master(replica).unwrap_or(false))
        })
    }

    /// Waits until this node is a master, on its own account or because its master is gone.
    ///
    /// # Errors
    /// When that takes longer than a minute.
    pub fn promoted(&self, replica: usize) -> Result<(), Error> {
        self.wait("a replica to be promoted", || self.is_master(replica).unwrap_or(false))
    }

    /// Runs a command on one node and returns its answer, if it is a text.
    ///
    /// # Errors
    /// When the node does not answer, or with an error.
    pub fn tell(&self, node: usize, words: &[&str]) -> Result<String, Error> {
        match self.ask(node, words)? {
            Reply::Text(text) => Ok(text),
            Reply::Number(number) => Ok(number.to_string()),
            Reply::Nothing | Reply::List(_) => Ok(String::new()),
        }
    }

    /// The same about a key in a slot that the node is importing.
    ///
    /// # Errors
    /// As [`Cluster::tell`].
    pub fn tell_importing(&self, node: usize, words: &[&str]) -> Result<String, Error> {
        let address = self.nodes[node].address();
        let reply = ask_importing(address, words).map_err(Error::io(Self::what(address, words)))?;
        Ok(reply.text().map_or_else(|_| String::new(), str::to_owned))
    }

    fn ask(&self, node: usize, words: &[&str]) -> Result<Reply, Error> {
        let address = self.nodes[node].address();
        ask(address, words).map_err(Error::io(Self::what(address, words)))
    }

    fn what(address: SocketAddr, words: &[&str]) -> String {
        format!("{} on the node at {address}", words[..words.len().min(3)].join(" "))
    }

    /// A node's name in the cluster.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn id(&self, node: usize) -> Result<String, Error> {
        self.tell(node, &["CLUSTER", "MYID"])
    }

    /// One line of a node's `CLUSTER INFO`, for instance `cluster_my_epoch`.
    ///
    /// # Errors
    /// When it does not answer, or not that.
    pub fn info(&self, node: usize, name: &str) -> Result<String, Error> {
        let text = self.tell(node, &["CLUSTER", "INFO"])?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value
            .map(|value| value.trim_end().to_owned())
            .ok_or_else(|| Error::failed(format!("CLUSTER INFO has no {name}")))
    }

    fn replication(&self, node: usize) -> Result<String, Error> {
        self.tell(node, &["INFO", "replication"])
    }

    fn all(&self) -> std::ops::Range<usize> {
        0..self.nodes.len()
    }

    fn host_and_port(&self, node: usize) -> (String, String) {
        let address: SocketAddr = self.nodes[node].address();
        (address.ip().to_string(), address.port().to_string())
    }

    fn wait(&self, what: &str, condition: impl FnMut() -> bool) -> Result<(), Error> {
        if poll_until(BOUND, condition) {
            Ok(())
        } else {
            Err(Error::failed(format!("waited a minute for {what}")))
        }
    }
}
