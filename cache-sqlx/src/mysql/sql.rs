//! The statements with their places filled in. Everything that goes in is a number or hexadecimal digits of our own: they travel
//! as one text each, since a prepared statement is one statement.

use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::outcome::Outcome;
use crate::backend::Label;

/// A statement without the lines that explain it.
macro_rules! statement {
    ($file:literal) => {
        LazyLock::new(|| {
            let lines = include_str!($file).lines().filter(|line| !line.starts_with("--"));
            lines.collect::<Vec<_>>().join("\n")
        })
    };
}

static SERVER: LazyLock<String> = statement!("server.sql");
static STANDING: LazyLock<String> = statement!("standing.sql");
static QUESTION: LazyLock<String> = statement!("question.sql");
static OUTCOME: LazyLock<String> = statement!("outcome.sql");

pub(super) fn standing(label: &Label, outcome: Outcome) -> SqlStr {
    let text = STANDING
        .replace("{number}", &label.number.to_string())
        .replace("{outcome}", &outcome.to_hex())
        .replace("{server}", &SERVER);
    AssertSqlSafe(text).into_sql_str()
}

/// Asks for the server, and for these rows in their order until one is locked.
pub(super) fn question<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> SqlStr {
    let mut text = QUESTION.replace("{server}", &SERVER);
    for outcome in outcomes {
        text.push_str(&OUTCOME.replace("{outcome}", &outcome.to_hex()));
    }
    text.push_str("\n; ROLLBACK");
    AssertSqlSafe(text).into_sql_str()
}

/// Removes rows one by one, each by its key: a list may be answered by a scan, which waits for the locks of others.
pub(super) fn removal(outcomes: &[Outcome]) -> SqlStr {
    let mut text = String::from("START TRANSACTION");
    for outcome in outcomes {
        text.push_str("; DELETE FROM cache_outcomes WHERE id = X'");
        text.push_str(&outcome.to_hex());
        text.push('\'');
    }
    text.push_str("; COMMIT");
    AssertSqlSafe(text).into_sql_str()
}
