//! Tools that run the cache against real servers and judge what came back: `torture` and `bench`, and what a process does that
//! is to be killed. The binaries of the same
//! names only parse arguments. The suites live in `tests/`, one folder each. Not published.

pub mod bench;
mod json;
pub mod queue;
pub mod time;
pub mod torture;
