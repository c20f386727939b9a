//! How subjects, tokens and times are written for the server. Pure. Refuses a key outside its subject's slot.

use std::time::Duration;

use redis::{Cmd, cmd};

use super::link::Step;
use crate::subject::{Subject, Token, WriterId};
use crate::time::millis;

/// The key of a part of a subject; all parts are in one slot.
pub(super) fn key(subject: &Subject, part: char) -> String {
    format!("{{{}}}:{part}", subject.name())
}

pub(super) fn keys<const N: usize>(subject: &Subject, parts: [char; N]) -> [String; N] {
    parts.map(|part| key(subject, part))
}

pub(super) fn token_text(token: Token) -> String {
    format!("{:016x}", token.0)
}

/// Milliseconds as the server takes them: never none, and never so many that it overflows.
pub(super) fn lifetime(duration: Duration) -> u64 {
    const CENTURY: u64 = 100 * 366 * 24 * 60 * 60 * 1000;
    millis(duration).clamp(1, CENTURY)
}

pub(super) fn writers(cmd: &mut Cmd, finished: &[WriterId]) {
    for writer in finished {
        cmd.arg(writer.to_string());
    }
}

/// A command about one part of a subject.
pub(super) fn on_part(name: &str, subject: &Subject, part: char) -> Cmd {
    let mut cmd = cmd(name);
    cmd.arg(key(subject, part));
    cmd
}

pub(super) fn read_generation(tag: &Subject) -> Step {
    Step::Read(on_part("GET", tag, 'g'))
}
