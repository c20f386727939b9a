//! The tool that breaks caches, run for a few seconds: the cache keeps its promises, and plain cache-aside does not.

use std::process::{Command, Output};

fn torture(line: &str) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_torture")).args(line.split_whitespace()))
}

/// With servers of its own, which may be harmed.
fn torture_privately(line: &str) -> Output {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_torture"));
    run(tool.args(line.split_whitespace()).env_remove("REDIS_URL").env_remove("DATABASE_URL"))
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
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
    assert!(
        said.starts_with(
            "level                 aside\nnemesis               none\nstrikes               0\n"
        ),
        "{said}"
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn fresh_keeps_what_it_promises_under_faults_of_every_kind() {
    // One of the processes, one of the network, one that loses fences, one of the database.
    let names = ["kill-readers", "cut", "flush", "stuck-commit"];
    let line = format!("--nemesis {} --seconds 3 --instances 2 --write-pause-ms 30 --json", names.join(","));
    let output = torture_privately(&line);
    let (said, complaints) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), names.len() + 1, "{said}{complaints}");
    for (outcome, name) in lines.iter().zip(names) {
        assert!(outcome.contains(&format!("\"nemesis\":\"{name}\"")), "{said}");
        let excused = if name == "flush" { "AD" } else { "ABCD" };
        assert!(outcome.contains(&format!("\"judged\":\"{excused}\"")), "{said}");
        for field in ["strikes", "reads", "writes", "rest_reads"] {
            assert!(number(outcome, field) > 0, "{field}: {said}{complaints}");
        }
        assert_eq!(number(outcome, "stale_after_return"), 0, "{said}{complaints}");
        assert_eq!(number(outcome, "stale_at_rest"), 0, "{said}{complaints}");
    }
    assert!(number(lines[names.len()], "stale_after_return") > 0, "the control: {said}");
    assert!(output.status.success(), "{complaints}");
}

#[test]
fn a_cache_that_breaks_a_rule_is_found_out() {
    let line =
        "--nemesis none --without clear-after-commit --seconds 3 --instances 2 --write-pause-ms 30 --json";
    let output = torture(line);
    let (said, complaints) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().count(), 1, "it is a control itself: {said}");
    assert!(said.contains(r#""without":"clear-after-commit""#) && said.contains(r#""judged":"""#), "{said}");
    assert!(number(&said, "stale_after_return") > 0, "{said}");
    assert!(output.status.success(), "{complaints}");
}

#[test]
fn a_server_that_is_not_ours_is_not_harmed() {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_torture"));
    tool.args(["--nemesis", "slow,flush,evict"]).env("REDIS_URL", "redis://127.0.0.1:1");
    let output = run(&mut tool);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: flush, evict would harm the server that REDIS_URL names: unset REDIS_URL, and private ones are started\n"
    );
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
    let output = torture("--nemesis flsh");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.starts_with("error: no nemesis `flsh`; there are none, ") && told.lines().count() == 1,
        "{told}"
    );
}
