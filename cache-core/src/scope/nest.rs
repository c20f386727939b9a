//! Keeps a recording in step with a savepoint, however that ends: released, rolled back, dropped, or in doubt. Refuses to take
//! a release for done before it was acknowledged.

use super::{Recording, Savepoint};

/// The recording's side of one savepoint; dropped without a word, the savepoint counts as rolled back.
#[derive(Debug)]
#[must_use = "dropped, the savepoint counts as rolled back"]
pub struct Nest {
    recording: Recording,
    savepoint: Savepoint,
    state: Nesting,
}

#[derive(Debug, PartialEq, Eq)]
enum Nesting {
    Open,
    Releasing,
    Released,
}

impl Recording {
    /// A savepoint was set; what is recorded from now on belongs to it until it is released.
    pub fn nest(&self) -> Nest {
        Nest { recording: self.clone(), savepoint: self.savepoint(), state: Nesting::Open }
    }
}

impl Nest {
    /// Call it before the statement that releases the savepoint, not after it: a release that was carried out but never
    /// acknowledged must leave what the savepoint still owes with its parent.
    pub fn releasing(&mut self) {
        self.recording.release(self.savepoint);
        self.state = Nesting::Releasing;
    }

    /// The release was acknowledged.
    pub fn released(mut self) {
        self.state = Nesting::Released;
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        match self.state {
            Nesting::Open => self.recording.roll_back(self.savepoint),
            // Neither released nor certainly undone: its values must not be installed.
            Nesting::Releasing => self.recording.used(),
            Nesting::Released => {}
        }
    }
}
