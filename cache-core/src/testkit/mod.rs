//! Tools for testing code that caches, and the tests of this crate.
