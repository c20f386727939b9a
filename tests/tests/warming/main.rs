//! Warming: runs over streams, generated companions, hot sets, gates. On the memory store, with stopped clocks and paused time.

mod companions;
mod gates;
mod hot_sets;
mod runs;
mod world;
