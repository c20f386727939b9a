//! Reads what a sentinel answers. Pure. Refuses to guess: an answer that cannot be read names nobody.

use std::time::Duration;

use redis::{ServerError, Value};

use super::super::address::Endpoint;
use super::super::error::Refusal;
use super::super::source::Named;

/// The answers to `SENTINEL MASTER` and `SENTINEL GET-MASTER-ADDR-BY-NAME`.
pub(super) fn named(about: &Value, address: &Value) -> Result<Named, Refusal> {
    accepted(about)?;
    accepted(address)?;
    let term = field(about, "config-epoch").and_then(|term| term.parse().ok());
    let server = match address {
        Value::Array(parts) => match parts.as_slice() {
            [host, port] => text(host).zip(text(port).and_then(|port| port.parse().ok())),
            _ => None,
        },
        _ => None,
    };
    let ((host, port), term) = server.zip(term).ok_or_else(strange)?;
    Ok(Named { server: Endpoint { host: host.to_owned(), port }, term })
}

/// How long the server named has been the master in this sentinel's eyes. Nothing while a failover is on its way, when one of the
/// answers is about the old master.
pub(super) fn mastered_for(about: &Value, named: &Named) -> Option<Duration> {
    let is_same =
        field(about, "ip")? == named.server.host && field(about, "port")? == named.server.port.to_string();
    let is_settled = !field(about, "flags")?.split(',').any(|flag| flag == "failover_in_progress");
    let is_master = field(about, "role-reported")? == "master";
    let time = field(about, "role-reported-time")?.parse().ok()?;
    (is_same && is_settled && is_master).then_some(Duration::from_millis(time))
}

pub(super) fn knows_no_such_master(about: &Value) -> bool {
    matches!(about, Value::ServerError(error) if error.details().is_some_and(|said| said.contains("No such master")))
}

/// What to say when it watches others, by its answer to `SENTINEL MASTERS`.
pub(super) fn other_masters(name: &str, known: &Value) -> Refusal {
    let known: Vec<&str> = match known {
        Value::Array(masters) => masters.iter().filter_map(|about| field(about, "name")).collect(),
        _ => Vec::new(),
    };
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Refusal::Unusable(format!(
        "it watches no master with the name {name} (it watches {known}): correct the URL"
    ))
}

pub(super) fn strange() -> Refusal {
    Refusal::Unusable("it does not answer as a sentinel does".into())
}

/// Refuses an error.
pub(super) fn accepted(reply: &Value) -> Result<(), Refusal> {
    match reply {
        Value::ServerError(error) => Err(refused(error)),
        _ => Ok(()),
    }
}

fn refused(error: &ServerError) -> Refusal {
    let details = error.details().unwrap_or_default();
    let is_unknown = details.to_lowercase().starts_with("unknown command");
    match error.code() {
        "ERR" if is_unknown => Refusal::Unusable(
            "it is no sentinel but a server: name the sentinels, whose port is usually 26379, or write redis:// and no \
             name of a master"
                .into(),
        ),
        "ERR" if details.contains("without any password configured") => {
            Refusal::Unusable("it wants no password: leave sentinel_password away".into())
        }
        "NOAUTH" => Refusal::Unusable("it wants a password: name it by ?sentinel_password=…".into()),
        "WRONGPASS" => Refusal::Unusable("it refused sentinel_user or sentinel_password".into()),
        "ERR" | "NOPERM" => Refusal::Unusable(format!("it refused to name the master: {} {details}", error.code())),
        code => Refusal::Away(format!("it named nobody: {code} {details}")),
    }
}

/// A value of a list of names and values.
fn field<'a>(list: &'a Value, name: &str) -> Option<&'a str> {
    let Value::Array(parts) = list else { return None };
    parts.chunks(2).find_map(|pair| match pair {
        [key, value] if text(key) == Some(name) => text(value),
        _ => None,
    })
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Value {
        Value::Array(words.iter().map(|word| Value::BulkString(word.as_bytes().to_vec())).collect())
    }

    fn error(line: &str) -> Value {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn the_address_and_the_term_of_its_failover_make_a_name() {
        let about = list(&["name", "shop", "ip", "10.0.0.1", "port", "1", "config-epoch", "7"]);
        let told = named(&about, &list(&["10.0.0.2", "6380"])).unwrap();
        assert_eq!(told, Named { server: Endpoint { host: "10.0.0.2".into(), port: 6380 }, term: 7 });
        for (about, address) in [
            (&about, list(&["10.0.0.2"])),
            (&about, list(&["10.0.0.2", "port"])),
            (&about, Value::Nil),
            (&list(&["name", "shop"]), list(&["10.0.0.2", "6380"])),
        ] {
            assert_eq!(named(about, &address), Err(strange()));
        }
    }

    #[test]
    fn how_long_it_has_been_the_master_is_told_only_by_a_sentinel_at_rest() {
        let named = Named { server: Endpoint { host: "10.0.0.1".into(), port: 1 }, term: 7 };
        let told = |host: &str, flags: &str, role: &str, time: &str| {
            let address = ["ip", host, "port", "1", "flags", flags];
            mastered_for(
                &list(&[&address[..], &["role-reported", role, "role-reported-time", time]].concat()),
                &named,
            )
        };
        assert_eq!(told("10.0.0.1", "master", "master", "1200"), Some(Duration::from_millis(1200)));
        assert_eq!(told("10.0.0.2", "master", "master", "1200"), None, "about the old master");
        assert_eq!(told("10.0.0.1", "master,failover_in_progress", "master", "1200"), None);
        assert_eq!(told("10.0.0.1", "master", "slave", "1200"), None);
        assert_eq!(told("10.0.0.1", "master", "master", "-1"), None);
        assert_eq!(mastered_for(&list(&["ip", "10.0.0.1"]), &named), None);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        let told = |line: &str| match accepted(&error(line)) {
            Err(Refusal::Unusable(why)) => why,
            other => panic!("{line}: {other:?}"),
        };
        let plain = "ERR unknown command `SENTINEL`, with args beginning with: `MASTER` `shop`, ";
        assert!(told(plain).contains("no sentinel but a server"));
        assert!(told("NOAUTH Authentication required.").contains("sentinel_password"));
        assert!(told("WRONGPASS invalid username-password pair").contains("sentinel_user"));
        let none = "ERR AUTH <password> called without any password configured for the default user.";
        assert!(told(none).contains("leave sentinel_password away"));
        assert!(told("NOPERM this user has no permissions").contains("NOPERM"));
        assert!(matches!(accepted(&error("LOADING later")), Err(Refusal::Away(_))));
        assert_eq!(accepted(&Value::Okay), Ok(()));
    }

    #[test]
    fn the_masters_it_knows_are_told() {
        assert!(knows_no_such_master(&error("ERR No such master with that name")));
        let known = Value::Array(vec![list(&["name", "a"]), list(&["flags", "master", "name", "b"])]);
        assert!(other_masters("shop", &known).text().contains("name shop (it watches a, b)"));
        assert!(other_masters("shop", &Value::Nil).text().contains("it watches none"));
    }
}
