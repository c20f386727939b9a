//! Nothing: the suites live in `tests/`, one folder each.
