//! Just enough of a URL: its address and its path, replaced in place. The rest is carried over untouched.

use std::ops::Range;

use crate::Error;

/// The same URL with another path, so another database.
pub(crate) fn with_path(url: &str, path: &str) -> Result<String, Error> {
    let authority = authority(url)?;
    let rest = &url[authority.end..];
    let query = rest.find('?').map_or("", |at| &rest[at..]);
    Ok(format!("{}/{path}{query}", &url[..authority.end]))
}

/// `host:port` of a URL, with `default_port` when it names none.
pub(crate) fn address(url: &str, default_port: u16) -> Result<String, Error> {
    let host = &url[host(url)?];
    if host.is_empty() {
        return Err(Error::Url { what: "the URL names no host".into() });
    }
    Ok(if has_port(host) { host.to_owned() } else { format!("{host}:{default_port}") })
}

/// The same URL with another `host:port`.
pub(crate) fn with_address(url: &str, address: &str) -> Result<String, Error> {
    let host = host(url)?;
    Ok(format!("{}{address}{}", &url[..host.start], &url[host.end..]))
}

fn has_port(host: &str) -> bool {
    host.rfind(':').is_some_and(|colon| !host[colon..].contains(']'))
}

fn authority(url: &str) -> Result<Range<usize>, Error> {
    let start = url.find("://").ok_or_else(|| Error::Url { what: "the URL has no `://`".into() })? + 3;
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    Ok(start..end)
}

fn host(url: &str) -> Result<Range<usize>, Error> {
    let authority = authority(url)?;
    let start = url[authority.clone()].rfind('@').map_or(authority.start, |at| authority.start + at + 1);
    Ok(start..authority.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_replaced_and_the_rest_kept() {
        for (url, wanted) in [
            ("postgres://me:pw@db:5432/app?sslmode=disable", "postgres://me:pw@db:5432/new?sslmode=disable"),
            ("postgres://db", "postgres://db/new"),
            ("postgres://db?x=/y", "postgres://db/new?x=/y"),
            ("postgres:///app?host=/run", "postgres:///new?host=/run"),
        ] {
            assert_eq!(with_path(url, "new").unwrap(), wanted);
        }
    }

    #[test]
    fn an_address_is_read_and_replaced() {
        for (url, wanted, replaced) in [
            ("redis://127.0.0.1:7000/3", "127.0.0.1:7000", "redis://h:1/3"),
            ("redis://:p@ss@cache/0", "cache:6379", "redis://:p@ss@h:1/0"),
            ("redis://[::1]", "[::1]:6379", "redis://h:1"),
        ] {
            assert_eq!(address(url, 6379).unwrap(), wanted);
            assert_eq!(with_address(url, "h:1").unwrap(), replaced);
        }
    }

    #[test]
    fn what_is_no_url_is_an_error() {
        assert!(with_path("localhost:5432", "new").is_err());
        assert!(address("postgres:///app", 5432).is_err());
    }
}
