//! What a server's errors mean for a command and for the connection. Pure. Refuses to guess: what is not known is the
//! command's own fault.

use redis::{ServerError, ServerErrorKind};

use super::script;
use crate::error::{StoreError, StoreErrorKind};

/// Why a server cannot be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It may be there again in a moment.
    Away(String),
    /// It is there, but what is known of it is no longer true: the connection is opened anew.
    Renewed(String),
    /// Somebody has to change the server or the settings first.
    Unusable(String),
}

impl Refusal {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Away(text) | Self::Renewed(text) | Self::Unusable(text) => text,
        }
    }

    /// The same, said of somebody in particular.
    pub(super) fn of(self, whom: &str) -> Self {
        match self {
            Self::Away(text) => Self::Away(format!("{whom}: {text}")),
            Self::Renewed(text) => Self::Renewed(format!("{whom}: {text}")),
            Self::Unusable(text) => Self::Unusable(format!("{whom}: {text}")),
        }
    }
}

/// What an error reply means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server does not have the script: nothing was done.
    NoScript,
    /// The key holds somebody else's kind of value.
    WrongType,
    /// Another node of the cluster has the slot.
    Moved,
    /// The slot is on its way to another node, and what the command is about may be there already; the text tells where.
    Ask(String),
    /// The slot is on its way to another node, and the command's keys are on both or on neither.
    Torn,
    /// Nobody in the cluster serves the slot now, and the command was not carried out.
    Unserved(String),
    /// This server is not, or no longer, the one to talk to.
    Gone(Refusal),
    /// This command was refused.
    Rejected(String),
}

impl Fault {
    pub(super) fn of(error: &ServerError) -> Self {
        let details = error.details().unwrap_or_default();
        let said = || format!("{} {details}", error.code());
        match (error.code(), error.kind()) {
            (_, Some(ServerErrorKind::NoScript)) => Self::NoScript,
            ("WRONGTYPE", _) => Self::WrongType,
            ("MOVED", _) => Self::Moved,
            ("ASK", _) => Self::Ask(details.rsplit(' ').next().unwrap_or_default().to_owned()),
            ("TRYAGAIN", _) => Self::Torn,
            ("CLUSTERDOWN", _) => Self::Unserved(said()),
            ("READONLY" | "LOADING" | "MASTERDOWN", _) => Self::Gone(Refusal::Away(said())),
            ("NOAUTH", _) => Self::Gone(Refusal::Unusable(
                "it wants a password: put it into the URL, redis://:password@host".into(),
            )),
            ("WRONGPASS", _) => {
                Self::Gone(Refusal::Unusable("it refused the user or the password of the URL".into()))
            }
            // Which command, only servers from 7.2 on tell.
            (_, _) if details.contains("executing the script can't run") => {
                let called = script::called_in(details).unwrap_or_else(|| "a command of a script".into());
                Self::Rejected(format!("NOPERM the user of the URL has no permission to run {called}"))
            }
            // Of a migrating slot the script had its keys, and then one of them was gone.
            ("ERR", _) if details.contains("access a non local key in a cluster") => Self::Torn,
            // Up to 6.2 an error inside a script arrives wrapped.
            ("ERR", _) if details.starts_with("Error running script") => {
                match ["READONLY ", "MASTERDOWN ", "LOADING "].iter().find(|code| details.contains(**code)) {
                    Some(_) => Self::Gone(Refusal::Away(said())),
                    None => Self::Rejected(said()),
                }
            }
            _ => Self::Rejected(said()),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoScript => rejected("the server forgets the scripts as fast as they are loaded"),
            Fault::WrongType => {
                rejected("the key holds a value of another kind, which somebody else has put there")
            }
            Fault::Moved | Fault::Ask(_) | Fault::Torn => disconnected(
                "the slot of the key is moving from node to node, and the command did not catch up with it",
            ),
            Fault::Unserved(text) => unavailable(text),
            Fault::Gone(refusal) => disconnected(refusal.text()),
            Fault::Rejected(text) => rejected(&text),
        }
    }
}

pub(super) fn rejected(text: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Rejected, text)
}

pub(super) fn disconnected(text: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Disconnected, text)
}

pub(super) fn unavailable(text: String) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> Fault {
        match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap() {
            redis::Value::ServerError(error) => Fault::of(&error),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_demoted_or_loading_server_is_gone() {
        for line in [
            "READONLY You can't write against a read only replica.",
            "READONLY You can't write against a read only replica. script: abc, on @user_script:3.",
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "ERR Error running script (call to f_abc): @user_script:3: -READONLY You can't write against a read only replica.",
        ] {
            assert!(matches!(fault(line), Fault::Gone(Refusal::Away(_))), "{line}");
        }
    }

    #[test]
    fn what_concerns_one_slot_is_not_the_nodes_fault() {
        assert_eq!(fault("MOVED 3999 127.0.0.1:6381"), Fault::Moved);
        assert_eq!(fault("ASK 3999 cache-2.example:6381"), Fault::Ask("cache-2.example:6381".into()));
        assert_eq!(fault("TRYAGAIN Multiple keys request during rehashing of slot"), Fault::Torn);
        for line in [
            "ERR Script attempted to access a non local key in a cluster node script: 9f78, on @user_script:18.",
            "ERR Error running script (call to f_abc): @user_script:3: Script attempted to access a non local key in a cluster node",
        ] {
            assert_eq!(fault(line), Fault::Torn, "{line}");
        }
        for line in ["CLUSTERDOWN Hash slot not served", "CLUSTERDOWN The cluster is down"] {
            assert_eq!(fault(line), Fault::Unserved(line.into()));
            assert_eq!(StoreError::from(fault(line)).kind(), StoreErrorKind::Unavailable);
        }
    }

    #[test]
    fn a_password_problem_says_what_to_do() {
        for line in [
            "NOAUTH Authentication required.",
            "WRONGPASS invalid username-password pair or user is disabled.",
        ] {
            assert!(
                matches!(fault(line), Fault::Gone(Refusal::Unusable(text)) if text.contains("URL")),
                "{line}"
            );
        }
    }

    #[test]
    fn other_errors_are_the_commands_own() {
        assert_eq!(fault("NOSCRIPT No matching script."), Fault::NoScript);
        assert_eq!(fault("WRONGTYPE Operation against a key"), Fault::WrongType);
        let oom = "OOM command not allowed when used memory > 'maxmemory'.";
        assert_eq!(fault(oom), Fault::Rejected(oom.into()));
        assert!(matches!(fault("NOPERM this user has no permissions"), Fault::Rejected(_)));
        assert!(matches!(
            fault("ERR Error running script (call to f_abc): @user_script:9: OOM command not allowed"),
            Fault::Rejected(_)
        ));
    }
}
