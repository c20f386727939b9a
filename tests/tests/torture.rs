//! The tool that breaks caches, run for a few seconds: the cache keeps its promises, and plain cache-aside does not.

use std::process::{Command, Output};

fn torture(line: &str) -> Output {
    let tool = env!("CARGO_BIN_EXE_torture");
    Command::new(tool).args(line.split_whitespace()).output().unwrap()
}

/// A number of a flat JSON object.
fn number(json: &str, field: &str) -> u64 {
    let (_, rest) = json.split_once(&format!("\"{field}\":")).unwrap_or_else(|| panic!("{field} in {json}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{field} in {json}"))
}

#[test]
fn fresh_keeps_every_promise_while_writers_are_killed_and_cache_aside_breaks_them() {
    let output = torture("--seconds 4 --instances 2 --crash 5 --write-pause-ms 40 --json");
    let said = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    let [fresh, control] = said.lines().collect::<Vec<_>>()[..] else {
        panic!("two lines, not {said}{complaints}")
    };
    assert!(fresh.starts_with(r#"{"level":"fresh""#) && control.starts_with(r#"{"level":"aside""#), "{said}");
    for promise in ["stale_after_return", "stale_after_visible", "non_monotonic", "stale_at_rest"] {
        assert_eq!(number(fresh, promise), 0, "{said}{complaints}");
    }
    for promise in ["stale_after_return", "stale_after_visible", "non_monotonic"] {
        assert!(number(control, promise) > 0, "{said}");
    }
    for field in ["reads", "writes", "crashes", "loads", "rest_reads"] {
        assert!(number(fresh, field) > 0 && number(control, field) > 0, "{field}: {said}");
    }
    assert!(output.status.success(), "{complaints}");
}

#[test]
fn a_level_on_its_own_is_one_line_and_a_table_without_json() {
    let output = torture("--level aside --seconds 3 --crash 0 --instances 2 --write-pause-ms 20");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("level                 aside\nnemesis               none\n"), "{said}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_mistake_on_the_command_line_is_named_and_nothing_runs() {
    let output = torture("--level sturdy");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: no level `sturdy`; there are `fresh` and `aside`\n"
    );
    assert!(output.stdout.is_empty());
}
