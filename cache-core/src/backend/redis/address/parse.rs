//! Reads a URL. Pure. Refuses what it does not know, in words that never hold a part of the URL that may be secret.
//!
//! ```text
//! redis://[[user]:password@]host[:6379][/database]
//! redis+sentinel://[[user]:password@]host[:26379],host…/master[/database][?sentinel_user=…&sentinel_password=…]
//! redis+cluster://[[user]:password@]host[:6379],host…
//! ```
//!
//! `valkey` is another word for `redis`. `rediss` and `valkeys` mean TLS, with the options `ca`, `cert` and `key`. Names and
//! passwords are percent-encoded.

use super::percent::decode;
use super::{Access, Endpoint, Login, Target, Tls, Topology};

/// Why a URL cannot be used, and what to write.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) why: String,
    pub(super) write: &'static str,
}

const SERVER: &str = "redis://[[user]:password@]host[:port][/database], for example redis://127.0.0.1:6379/0, with special \
                      characters of the password percent-encoded";
const SENTINEL: &str = "redis+sentinel://[[user]:password@]host[:port],host[:port]/master[/database], for example \
                        redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster/0, with special characters of the \
                        password percent-encoded";
const CLUSTER: &str = "redis+cluster://[[user]:password@]host[:port],host[:port], for example \
                       redis+cluster://10.0.0.1:6379,10.0.0.2:6379, with special characters of the password \
                       percent-encoded";

/// What a scheme says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Server,
    Sentinel,
    Cluster,
}

impl Kind {
    fn write(self) -> &'static str {
        match self {
            Self::Server => SERVER,
            Self::Sentinel => SENTINEL,
            Self::Cluster => CLUSTER,
        }
    }

    fn port(self) -> u16 {
        if self == Self::Sentinel { 26379 } else { 6379 }
    }
}

pub(super) fn target(url: &str) -> Result<Target, Mistake> {
    let at_first = |why: String| Mistake { why, write: SERVER };
    let not_ours = || at_first("it does not begin with redis://".into());
    let (scheme, rest) = url.split_once("://").ok_or_else(not_ours)?;
    let (kind, has_tls) = match scheme_of(scheme).map_err(at_first)? {
        Some(scheme) => scheme,
        None => return Err(not_ours()),
    };
    read(kind, has_tls, rest).map_err(|why| Mistake { why, write: kind.write() })
}

/// The kind of topology, and whether TLS is wanted; `None` for somebody else's scheme.
fn scheme_of(scheme: &str) -> Result<Option<(Kind, bool)>, String> {
    let mut words = scheme.split('+');
    let base = words.next().unwrap_or_default();
    let has_tls = match base {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        "unix" => return Err("Unix sockets are not supported".into()),
        _ if ["redis", "valkey"].iter().any(|ours| base.starts_with(ours)) && base.ends_with("-sentinel") => {
            return Err("Sentinel is asked for by redis+sentinel://".into());
        }
        _ if ["redis", "valkey"].iter().any(|ours| base.starts_with(ours)) && base.ends_with("-cluster") => {
            return Err("Redis Cluster is asked for by redis+cluster://".into());
        }
        _ => return Ok(None),
    };
    let kind = match (words.next(), words.next()) {
        (None, _) => Kind::Server,
        (Some("sentinel"), None) => Kind::Sentinel,
        (Some("cluster"), None) => Kind::Cluster,
        (Some("unix"), _) => return Err("Unix sockets are not supported".into()),
        (Some(_), Some(_)) => return Err("it mixes schemes: at most one of +sentinel and +cluster".into()),
        (Some(_), None) => {
            return Err("behind the + of its scheme only `sentinel` and `cluster` are known".into());
        }
    };
    Ok(Some((kind, has_tls)))
}

fn read(kind: Kind, has_tls: bool, rest: &str) -> Result<Target, String> {
    if rest.contains("://") {
        return Err("it mixes schemes: a second `://` stands inside, where only hosts may".into());
    }
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if tail.contains(['@', '#']) {
        return Err(
            "an `@` or a `#` stands behind the hosts: in a password `/`, `?`, `#` and `@` are written %2F, \
                    %3F, %23 and %40"
                .into(),
        );
    }
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (credentials(login)?, hosts),
        None => (None, authority),
    };
    let hosts = hosts.split(',').map(|host| endpoint(host, kind.port())).collect::<Result<Vec<_>, _>>()?;
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let mut options = Options::read(query, kind, has_tls)?;
    let segments: Vec<&str> = path.split('/').skip(1).filter(|segment| !segment.is_empty()).collect();

    let (topology, database) = match (kind, segments.as_slice()) {
        (Kind::Server, [] | [_]) => {
            let [server] = <[Endpoint; 1]>::try_from(hosts).map_err(|_| {
                "it names several servers, and does not say by redis+sentinel:// or redis+cluster:// what they are"
            })?;
            (Topology::Server(server), segments.first())
        }
        (Kind::Sentinel, []) => return Err("it does not name the master behind the sentinels".into()),
        (Kind::Sentinel, [master] | [master, _]) => {
            let master = decode(master, "name of the master")?;
            if master.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
                return Err("the name of its master holds a blank".into());
            }
            (
                Topology::Sentinel { sentinels: hosts, master, login: options.sentinel_login()? },
                segments.get(1),
            )
        }
        (Kind::Cluster, []) => (Topology::Cluster { seeds: hosts }, None),
        (Kind::Cluster, _) => return Err("it names a database, and a cluster has only one".into()),
        (Kind::Server | Kind::Sentinel, _) => return Err("it has more parts than a database".into()),
    };
    let database = database.map_or(Ok(0), |number| {
        number.parse().map_err(|_| "its part behind the last `/` is no number of a database")
    })?;
    let tls = has_tls.then(|| options.tls()).transpose()?;
    Ok(Target { topology, access: Access { login, database, tls } })
}

fn credentials(text: &str) -> Result<Option<Login>, String> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    match (user, password) {
        ("", "") => Ok(None),
        (_, "") => Err("it names a user without a password".into()),
        _ => {
            let user = Some(decode(user, "user")?).filter(|user| !user.is_empty());
            Ok(Some(Login { user, password: decode(password, "password")? }))
        }
    }
}

fn endpoint(text: &str, port: u16) -> Result<Endpoint, String> {
    let (host, port_text) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or("an IPv6 address lacks its closing bracket")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "what stands in brackets is no IPv6 address")?;
            (host, behind)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    if host.is_empty() {
        return Err("it names no host, or has a comma too many".into());
    }
    let is_strange = |letter: char| letter.is_whitespace() || letter.is_control() || "[]%\\".contains(letter);
    if !text.starts_with('[') && host.contains(is_strange) {
        return Err("the name of a host holds a character that no host has".into());
    }
    let port = match port_text.strip_prefix(':') {
        None if port_text.is_empty() => port,
        Some(number) if number.contains(':') => {
            return Err(
                "the port of a host is no number; IPv6 addresses are written in brackets, [::1]:6379".into(),
            );
        }
        Some(number) => match number.parse::<u16>() {
            Ok(port) if port != 0 => port,
            _ => return Err("the port of a host is no number from 1 to 65535".into()),
        },
        None => return Err("something stands behind the brackets of an IPv6 address".into()),
    };
    Ok(Endpoint { host: host.to_owned(), port })
}

/// What stands behind the question mark.
#[derive(Default)]
struct Options {
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    sentinel_user: Option<String>,
    sentinel_password: Option<String>,
}

impl Options {
    fn read(query: &str, kind: Kind, has_tls: bool) -> Result<Self, String> {
        let mut options = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "ca" => &mut options.ca,
                "cert" => &mut options.cert,
                "key" => &mut options.key,
                "sentinel_user" => &mut options.sentinel_user,
                "sentinel_password" => &mut options.sentinel_password,
                // Not repeated: what follows a `?` may be the rest of a password.
                _ => {
                    return Err(
                        "behind its `?` stands an option that is not known; there are ca, cert and key with \
                                rediss, sentinel_user and sentinel_password with +sentinel"
                            .into(),
                    );
                }
            };
            if name.starts_with("sentinel") && kind != Kind::Sentinel {
                return Err(format!("the option {name} is for redis+sentinel:// only"));
            }
            if !name.starts_with("sentinel") && !has_tls {
                return Err(format!("the option {name} is for TLS, so for rediss:// only"));
            }
            if value.is_empty() || place.is_some() {
                return Err(format!("the option {name} wants one value"));
            }
            *place = Some(decode(value, name)?);
        }
        Ok(options)
    }

    fn sentinel_login(&mut self) -> Result<Option<Login>, String> {
        match (self.sentinel_user.take(), self.sentinel_password.take()) {
            (user, Some(password)) => Ok(Some(Login { user, password })),
            (Some(_), None) => Err("it names a sentinel_user without a sentinel_password".into()),
            (None, None) => Ok(None),
        }
    }

    fn tls(&mut self) -> Result<Tls, String> {
        let identity = match (self.cert.take(), self.key.take()) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            _ => return Err("it names one of cert and key, and they go together".into()),
        };
        Ok(Tls { ca: self.ca.take().map(Into::into), identity })
    }
}
