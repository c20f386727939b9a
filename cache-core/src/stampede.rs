//! Decides what an entry that stands is good for: to be served, to be loaded anew meanwhile, or only for want of a better one.
//! Pure: no I/O, no clock.

use std::time::Duration;

use crate::policy::{Early, Policy};

/// How old an entry is, on the store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// Its whole lifetime.
    pub lifetime: Duration,
    /// What is left of it; zero when it is over.
    pub left: Duration,
    /// How long it has been over.
    pub over: Duration,
    /// How long its load took.
    pub load: Duration,
}

/// What an entry is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Current: serve it.
    Current,
    /// Current, and whoever reads it now should load it anew, while the others are served.
    Early,
    /// Its lifetime is over: serve it, and load it anew meanwhile (RFC 5861, `stale-while-revalidate`).
    Stale,
    /// Its lifetime is over: load, and serve it only if that fails (RFC 5861, `stale-if-error`).
    IfError,
    /// A write has invalidated it: serve it to who asked for that, and load it anew meanwhile. Age alone never tells.
    Invalidated,
    /// Useless.
    Over,
}

/// What an entry of this age is good for. `luck` lies in (0, 1).
#[must_use]
pub fn standing(age: &Age, policy: &Policy, luck: f64) -> Standing {
    if age.over.is_zero() && !age.left.is_zero() {
        return if is_due_early(age, policy.stampede.early, luck) {
            Standing::Early
        } else {
            Standing::Current
        };
    }
    if age.over < policy.lifetime.stale_while_revalidate {
        Standing::Stale
    } else if age.over < policy.on_error.stale_if_error {
        Standing::IfError
    } else {
        Standing::Over
    }
}

/// Whether a reader of an entry that is current should load it now.
///
/// XFetch: `now - delta * beta * ln(rand) >= expiry`, with the load time measured when the entry was made (Vattani,
/// Chierichetti, Lowenstein: "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015).
fn is_due_early(age: &Age, early: Early, luck: f64) -> bool {
    match early {
        Early::Never => false,
        Early::XFetch { beta } => -age.load.as_secs_f64() * beta * luck.ln() >= age.left.as_secs_f64(),
        Early::Ahead { share } => {
            age.lifetime.saturating_sub(age.left).as_secs_f64() >= age.lifetime.as_secs_f64() * share
        }
    }
}

/// For how long from now on nobody has to load an entry that is current: until its lifetime is over, or it is due early for a reader of
/// this luck, in (0, 1). What keeps readers from the store for longer would keep them from loading early.
#[must_use]
pub fn quiet(age: &Age, early: Early, luck: f64) -> Duration {
    let before = match early {
        Early::Never => Duration::ZERO,
        Early::XFetch { beta } => {
            Duration::try_from_secs_f64(-age.load.as_secs_f64() * beta * luck.ln()).unwrap_or(age.left)
        }
        Early::Ahead { share } => {
            Duration::try_from_secs_f64(age.lifetime.as_secs_f64() * (1.0 - share)).unwrap_or(age.left)
        }
    };
    age.left.saturating_sub(before)
}

/// A lifetime stretched or shrunk by up to `jitter` of itself; `luck` lies in (0, 1). Never below a millisecond.
#[must_use]
pub fn jittered(ttl: Duration, jitter: f64, luck: f64) -> Duration {
    let factor = 1.0 + jitter.clamp(0.0, 1.0) * (2.0 * luck - 1.0);
    Duration::try_from_secs_f64(ttl.as_secs_f64() * factor).unwrap_or(ttl).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Rng, SystemRng};

    const XFETCH: Early = Early::XFetch { beta: 1.0 };
    const SECOND: Duration = Duration::from_secs(1);

    fn left(left: Duration, load: Duration) -> Age {
        Age { lifetime: 10 * SECOND, left, over: Duration::ZERO, load }
    }

    #[test]
    fn the_paper_s_formula_decides() {
        let age = left(2 * SECOND, SECOND);
        // -1 * ln(luck) >= 2 exactly when luck <= e^-2 = 0.1353…
        assert!(is_due_early(&age, XFETCH, 0.135));
        assert!(!is_due_early(&age, XFETCH, 0.136));
        assert!(is_due_early(&age, Early::XFetch { beta: 2.0 }, 0.36));
        assert!(!is_due_early(&age, Early::Never, 0.000_001));
    }

    #[test]
    fn refresh_ahead_begins_at_its_share_of_the_lifetime() {
        let ahead = Early::Ahead { share: 0.75 };
        assert!(!is_due_early(&left(2600 * SECOND / 1000, SECOND), ahead, 0.5));
        assert!(is_due_early(&left(2500 * SECOND / 1000, SECOND), ahead, 0.5));
    }

    #[test]
    fn what_a_value_is_good_for_when_its_lifetime_is_over() {
        let mut policy = Policy::ttl(10 * SECOND);
        let over = |seconds| Age { left: Duration::ZERO, over: seconds * SECOND, ..left(SECOND, SECOND) };
        assert_eq!(standing(&left(SECOND, SECOND), &policy, 0.5), Standing::Current);
        assert_eq!(standing(&over(0), &policy, 0.5), Standing::Over, "no window, nothing is served");
        policy.lifetime.stale_while_revalidate = 2 * SECOND;
        policy.on_error.stale_if_error = 5 * SECOND;
        for (seconds, is) in [
            (0, Standing::Stale),
            (1, Standing::Stale),
            (2, Standing::IfError),
            (4, Standing::IfError),
            (5, Standing::Over),
        ] {
            assert_eq!(standing(&over(seconds), &policy, 0.5), is, "{seconds} s");
        }
    }

    #[test]
    fn without_a_lease_about_e_to_the_inverse_beta_readers_reload_in_a_cycle() {
        // Readers at an even rate, loads that take a hundred of their steps; count who would reload before expiry, no
        // reload taking effect before the load is over (the paper's section 4).
        let rng = SystemRng::seeded(7);
        for beta in [0.5, 1.0, 2.0] {
            let (steps, load) = (20_000_u64, 100_u64);
            let mut reloads = 0_u64;
            let cycles = 400;
            for _ in 0..cycles {
                let mut first = None;
                for step in 0..steps {
                    if first.is_some_and(|at| step >= at + load) {
                        break;
                    }
                    let age = left(Duration::from_millis(steps - step), Duration::from_millis(load));
                    let due = is_due_early(&age, Early::XFetch { beta }, rng.unit());
                    if due {
                        reloads += 1;
                        first = first.or(Some(step));
                    }
                }
            }
            #[allow(clippy::cast_precision_loss, reason = "small counts")]
            let mean = reloads as f64 / f64::from(cycles);
            let expected = (1.0_f64 / beta).exp();
            assert!(
                (mean / expected - 1.0).abs() < 0.25,
                "beta {beta}: {mean} reloads a cycle, expected {expected}"
            );
        }
    }

    #[test]
    fn jitter_spreads_both_ways_within_its_share() {
        let rng = SystemRng::seeded(1);
        let ttl = Duration::from_secs(100);
        let spread: Vec<_> = (0..1000).map(|_| jittered(ttl, 0.1, rng.unit())).collect();
        let (low, high) = (spread.iter().min().unwrap(), spread.iter().max().unwrap());
        assert!(*low >= Duration::from_secs(90) && *low < Duration::from_secs(92));
        assert!(*high <= Duration::from_secs(110) && *high > Duration::from_secs(108));
        assert_eq!(jittered(ttl, 0.0, 0.3), ttl);
    }
}
