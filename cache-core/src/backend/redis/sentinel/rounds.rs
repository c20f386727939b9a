//! When the sentinels were last asked with the answer that the master is still the same. Pure. Refuses to let the sentinels that
//! answer at once speak for one that is only slow: it may have led the failover.

use std::time::Duration;

/// One entry a listed sentinel.
#[derive(Debug)]
pub(super) struct Rounds {
    last: Vec<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    asked: Duration,
    is_silent: bool,
}

impl Rounds {
    /// All were asked then, and nobody is known to be silent.
    pub(super) fn since(asked: Duration, sentinels: usize) -> Self {
        Self { last: vec![Last { asked, is_silent: false }; sentinels] }
    }

    /// One that was asked then has named nobody else.
    pub(super) fn heard(&mut self, at: usize, asked: Duration) {
        self.last[at] = Last { asked, is_silent: false };
    }

    /// One that was asked then has not answered.
    pub(super) fn silent(&mut self, at: usize, asked: Duration) {
        self.last[at] = Last { asked, is_silent: true };
    }

    pub(super) fn is_silent(&self) -> bool {
        self.last.iter().all(|last| last.is_silent)
    }

    /// The moment that all vouch for: those that answer, or where none does, all of them by their silence.
    pub(super) fn asked(&self) -> Duration {
        let is_silent = self.is_silent();
        let counts = self.last.iter().filter(|last| is_silent || !last.is_silent);
        counts.map(|last| last.asked).min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_slowest_of_those_that_answer_is_waited_for() {
        let mut rounds = Rounds::since(at(100), 3);
        rounds.heard(0, at(300));
        rounds.heard(1, at(300));
        assert_eq!(rounds.asked(), at(100));
        rounds.heard(2, at(310));
        assert_eq!(rounds.asked(), at(300));
    }

    #[test]
    fn a_silent_one_delays_nobody_until_it_answers_again() {
        let mut rounds = Rounds::since(at(100), 2);
        rounds.heard(0, at(300));
        rounds.silent(1, at(300));
        rounds.heard(0, at(500));
        assert_eq!(rounds.asked(), at(500));
        rounds.heard(1, at(400));
        assert_eq!(rounds.asked(), at(400));
    }

    #[test]
    fn where_none_answers_the_connection_is_kept_by_questions_that_all_were_asked() {
        let mut rounds = Rounds::since(at(100), 2);
        rounds.silent(0, at(300));
        assert!(!rounds.is_silent());
        assert_eq!(rounds.asked(), at(100), "one has not been silent yet");
        rounds.silent(1, at(310));
        assert!(rounds.is_silent());
        assert_eq!(rounds.asked(), at(300));
    }
}
