//! Where a server is and how to log in, read from a URL. Refuses what is not supported yet, and never prints a password.

use std::fmt;

use redis::{ConnectionAddr, IntoConnectionInfo};

use crate::error::BuildError;

/// A server's address with credentials; `Debug` and `Display` leave those out.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: i64,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, BuildError> {
        Self::read(url).map_err(|why| {
            BuildError::new(vec![format!(
                "the Redis URL cannot be used: {why}; write redis://[[user]:password@]host[:port][/database], for \
                 example redis://127.0.0.1:6379/0, with special characters of the password percent-encoded"
            )])
        })
    }

    fn read(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("it does not begin with redis://")?;
        match scheme {
            "redis" | "valkey" => {}
            "rediss" | "valkeys" => return Err("TLS is not supported yet".into()),
            "unix" | "redis+unix" | "valkey+unix" => return Err("Unix sockets are not supported yet".into()),
            _ if scheme.contains("sentinel") => return Err("Sentinel is not supported yet".into()),
            _ if scheme.contains("cluster") => return Err("Redis Cluster is not supported yet".into()),
            _ => return Err("it does not begin with redis://".into()),
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let hosts = authority.rsplit('@').next().unwrap_or_default();
        if hosts.contains(',') {
            return Err("it names several servers, and neither Cluster nor Sentinel is supported yet".into());
        }
        // The client's text names the part that is wrong, followed by its own error code.
        let info = url.into_connection_info().map_err(|error| {
            let text = error.to_string();
            text.split(" - ").next().unwrap_or_default().to_lowercase()
        })?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err("it names no host".into());
        };
        let settings = info.redis_settings();
        let (user, password) = (settings.username(), settings.password());
        if user.is_some() && password.is_none() {
            return Err("it names a user without a password".into());
        }
        Ok(Self {
            host: host.clone(),
            port: *port,
            database: settings.db(),
            user: user.map(Into::into),
            password: password.map(Into::into),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        if host.contains(':') {
            write!(f, "Redis at [{host}]:{}", self.port)?;
        } else {
            write!(f, "Redis at {host}:{}", self.port)?;
        }
        write!(f, ", database {}", self.database)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_database_user_and_password() {
        let address = Address::parse("redis://ann:s%23cret@cache.example:6380/3").unwrap();
        assert_eq!((address.host.as_str(), address.port, address.database), ("cache.example", 6380, 3));
        assert_eq!((address.user.as_deref(), address.password.as_deref()), (Some("ann"), Some("s#cret")));
        let plain = Address::parse("redis://127.0.0.1").unwrap();
        assert_eq!((plain.port, plain.database, plain.password), (6379, 0, None));
        assert_eq!(Address::parse("redis://[::1]:7/1").unwrap().to_string(), "Redis at [::1]:7, database 1");
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_password() {
        let mistakes = [
            ("127.0.0.1:6379", "does not begin with redis://"),
            ("http://:s3cret@host", "does not begin with redis://"),
            ("rediss://:s3cret@host", "TLS"),
            ("redis+sentinel://:s3cret@host", "Sentinel"),
            ("redis+cluster://:s3cret@host", "Cluster"),
            ("redis://:s3cret@a:1,b:2", "several servers"),
            ("unix:///run/redis.sock?pass=s3cret", "Unix sockets"),
            ("redis://:s3cret@host/first", "invalid database number"),
            ("redis://:s3cret@host:port", "did not parse"),
            ("redis://:s3cret@", "did not parse"),
            ("redis://s3cret@host", "a user without a password"),
            ("", "does not begin with redis://"),
        ];
        for (url, part) in mistakes {
            let text = Address::parse(url).unwrap_err().to_string();
            assert!(text.contains(part) && text.contains("write redis://"), "{url}: {text}");
            assert!(!text.contains("s3cret"), "{url}: {text}");
        }
    }

    #[test]
    fn printing_an_address_hides_the_credentials() {
        let address = Address::parse("redis://ann:s3cret@host:1/2").unwrap();
        assert_eq!(
            format!("{address} {address:?}"),
            "Redis at host:1, database 2 Redis at host:1, database 2"
        );
    }
}
