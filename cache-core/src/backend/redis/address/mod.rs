//! Which servers a store uses and how it logs in, as a URL says. Refuses to print a secret, and to guess what a URL means.

mod parse;
mod percent;

use std::fmt;
use std::path::PathBuf;

use crate::error::BuildError;

/// Everything a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) topology: Topology,
    pub(super) access: Access,
}

/// How the servers are found and stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    /// One server with one address.
    Server(Endpoint),
    /// The master of this name, as the sentinels tell.
    Sentinel { sentinels: Vec<Endpoint>, master: String, login: Option<Login> },
    /// The masters of a cluster, each of which knows the others.
    Cluster { seeds: Vec<Endpoint> },
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
}

/// What every data server of the store wants before it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) login: Option<Login>,
    pub(super) database: u32,
    /// Wrap every connection, those to sentinels included.
    pub(super) tls: Option<Tls>,
}

/// Credentials; never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: String,
}

/// What TLS is to be based on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tls {
    /// Certificates to trust instead of the system's, a PEM file.
    pub(super) ca: Option<PathBuf>,
    /// Our own certificates and their private key, PEM files.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, BuildError> {
        parse::target(url).map_err(|mistake| {
            BuildError::new(vec![format!(
                "the Redis URL cannot be used: {}; write {}",
                mistake.why, mistake.write
            )])
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.topology {
            Topology::Server(server) => write!(f, "Redis at {server}, database {}", self.access.database),
            Topology::Sentinel { sentinels, master, .. } => {
                write!(f, "Redis master {master} of the sentinels at {}", List(sentinels))?;
                write!(f, ", database {}", self.access.database)
            }
            Topology::Cluster { seeds } => write!(f, "Redis Cluster at {}", List(seeds)),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Endpoints with commas between them.
pub(super) struct List<'a>(pub(super) &'a [Endpoint]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, endpoint)| {
            if at > 0 {
                f.write_str(", ")?;
            }
            endpoint.fmt(f)
        })
    }
}

#[cfg(test)]
mod tests;
