//! Decides whether a living entry is loaded early. Pure: no I/O, no clock.

use std::time::Duration;

use crate::policy::Stampede;

/// Whether a reader of an entry with this much life left should load it now.
///
/// XFetch: `now - delta * beta * ln(rand) >= expiry`, with the load time measured when the entry was made (Vattani,
/// Chierichetti, Lowenstein: "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015). `luck` lies in (0, 1).
#[must_use]
pub fn is_due_early(left: Duration, load: Duration, stampede: Stampede, luck: f64) -> bool {
    match stampede {
        Stampede::Lease => false,
        Stampede::XFetch { beta } => -load.as_secs_f64() * beta * luck.ln() >= left.as_secs_f64(),
    }
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

    const XFETCH: Stampede = Stampede::XFetch { beta: 1.0 };

    #[test]
    fn the_paper_s_formula_decides() {
        let (left, load) = (Duration::from_secs(2), Duration::from_secs(1));
        // -1 * ln(luck) >= 2 exactly when luck <= e^-2 = 0.1353…
        assert!(is_due_early(left, load, XFETCH, 0.135));
        assert!(!is_due_early(left, load, XFETCH, 0.136));
        assert!(is_due_early(left, load, Stampede::XFetch { beta: 2.0 }, 0.36));
        assert!(!is_due_early(left, load, Stampede::Lease, 0.000_001));
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
                    let left = Duration::from_millis(steps - step);
                    let due = is_due_early(
                        left,
                        Duration::from_millis(load),
                        Stampede::XFetch { beta },
                        rng.unit(),
                    );
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
