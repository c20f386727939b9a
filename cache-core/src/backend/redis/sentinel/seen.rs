//! Since when a server has been named, at the latest. Pure. Refuses to take a later failover to the same server for the earlier one.

use std::time::Duration;

use super::super::source::Named;

/// The latest failover heard of.
#[derive(Debug, Default)]
pub(super) struct Seen(Option<(Named, Duration)>);

impl Seen {
    /// A sentinel named a server; the answer was read at `now`. A sentinel that has called it the master for some time tells
    /// that it was named no later than that long ago.
    pub(super) fn hears(&mut self, named: &Named, mastered_for: Option<Duration>, now: Duration) {
        let since = now.saturating_sub(mastered_for.unwrap_or_default());
        match &mut self.0 {
            Some((known, earliest)) if known == named => *earliest = since.min(*earliest),
            Some((known, _)) if known.term >= named.term => {}
            _ => self.0 = Some((named.clone(), since)),
        }
    }

    /// When it was named first, as far as is known; one that was not heard of is named now.
    pub(super) fn since(&self, named: &Named, now: Duration) -> Duration {
        match &self.0 {
            Some((known, since)) if known == named => *since,
            _ => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::address::Endpoint;
    use super::*;

    fn named(port: u16, term: u64) -> Named {
        Named { server: Endpoint { host: "h".into(), port }, term }
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_server_counts_from_when_it_was_first_heard_of() {
        let mut seen = Seen::default();
        assert_eq!(seen.since(&named(1, 3), at(9)), at(9), "nobody named it");
        seen.hears(&named(1, 3), None, at(10));
        seen.hears(&named(1, 3), None, at(20));
        assert_eq!(seen.since(&named(1, 3), at(30)), at(10));
    }

    #[test]
    fn a_process_that_begins_in_quiet_times_learns_how_long_it_has_been_quiet() {
        let mut seen = Seen::default();
        seen.hears(&named(1, 3), Some(at(90)), at(100));
        assert_eq!(seen.since(&named(1, 3), at(100)), at(10));
        seen.hears(&named(1, 3), Some(at(1)), at(100));
        assert_eq!(seen.since(&named(1, 3), at(100)), at(10), "one that heard of it late takes nothing back");
        seen.hears(&named(1, 3), Some(at(900)), at(100));
        assert_eq!(seen.since(&named(1, 3), at(100)), at(0), "before this process began");
    }

    #[test]
    fn a_process_that_begins_right_after_a_failover_knows_how_recent_it_was() {
        let mut seen = Seen::default();
        seen.hears(&named(2, 4), Some(at(1)), at(5));
        assert_eq!(seen.since(&named(2, 4), at(5)), at(4));
    }

    #[test]
    fn a_later_failover_counts_anew_even_to_the_same_server_and_an_earlier_one_not_at_all() {
        let mut seen = Seen::default();
        seen.hears(&named(1, 3), None, at(10));
        seen.hears(&named(1, 5), None, at(20));
        assert_eq!(seen.since(&named(1, 5), at(30)), at(20));
        for late in [named(2, 4), named(2, 5)] {
            seen.hears(&late, Some(at(20)), at(30));
            assert_eq!(seen.since(&late, at(30)), at(30), "not the one believed");
        }
        assert_eq!(seen.since(&named(1, 5), at(30)), at(20));
    }
}
