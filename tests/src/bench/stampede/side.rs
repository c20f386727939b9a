//! What is compared, and what theory says about it.

use super::{LOAD, PROCESSES, RATE};

/// A way to keep readers from loading all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// `stampede = "none"`: a control.
    Nothing,
    /// `stampede = "flight"`: a control.
    Flight,
    /// XFetch as in the paper, in plain GET and SET, with no lease: a control.
    XFetch,
    /// `stampede = "lease"`.
    Lease,
    /// `stampede = "xfetch"`: the reader whom chance picks loads in its own call.
    XFetchInline,
    /// `stampede = "xfetch", refresh = "background"`.
    XFetchBehind,
    /// `refresh_ahead = "80%"`.
    Ahead,
}

impl Side {
    pub(super) const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Flight,
        Self::XFetch,
        Self::Lease,
        Self::XFetchInline,
        Self::XFetchBehind,
        Self::Ahead,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Flight => "flight",
            Self::XFetch => "xfetch, no lease",
            Self::Lease => "lease",
            Self::XFetchInline => "xfetch + lease",
            Self::XFetchBehind => "same, background",
            Self::Ahead => "refresh-ahead",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.name() == name)
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Nothing => "`stampede = \"none\"`, a control",
            Self::Flight => "`stampede = \"flight\"`, a control",
            Self::XFetch => "as in the paper, by plain GET and SET, a control",
            Self::Lease => "`stampede = \"lease\"`, the default",
            Self::XFetchInline => "`stampede = \"xfetch\"`",
            Self::XFetchBehind => "`stampede = \"xfetch\", refresh = \"background\"`",
            Self::Ahead => "`refresh_ahead = \"80%\"`",
        }
    }

    /// Whether one load an expiry is what it is for.
    pub(super) fn protects(self) -> bool {
        !matches!(self, Self::Nothing | Self::Flight | Self::XFetch)
    }

    /// Whether nobody is to wait while a value stands. In its own call, the reader whom chance picks waits for what it loads.
    pub(super) fn spares_all(self) -> bool {
        self.protects() && self != Self::XFetchInline
    }

    /// Whether an entry's lifetime begins when its load ends; else when it begins.
    pub(super) fn lives_from_its_fill(self) -> bool {
        self == Self::XFetch
    }

    /// Expected loads an expiry.
    ///
    /// * Nothing: all who come while the first load runs, `rate * load`.
    /// * A flight in each process: one a process, since each is read many times during a load.
    /// * XFetch without a lease: `e^(1/beta)`. Reads come at the rate `r`; one with `x` left reloads with probability
    ///   `e^(-x / (beta * load))`, so `H(x) = r * beta * load * e^(-x / (beta * load))` are expected up to then. The first comes when
    ///   `H` has reached an exponential variable of mean 1; until its load is over, `H` grows by the factor `e^(1/beta)`. (Vattani,
    ///   Chierichetti, Lowenstein, VLDB 2015, section 4, for a rate that is high against `1 / load`; `beta` is 1.) The test below
    ///   counts it at this very rate.
    /// * With a lease: 1.
    pub(super) fn loads_in_theory(self) -> f64 {
        match self {
            Self::Nothing => f64::from(RATE) * LOAD.as_secs_f64(),
            Self::Flight => f64::from(PROCESSES),
            Self::XFetch => 1.0_f64.exp(),
            Self::Lease | Self::XFetchInline | Self::XFetchBehind | Self::Ahead => 1.0,
        }
    }
}

/// Time between two reads of one process.
pub(super) fn pause() -> u64 {
    1_000_000_000 * u64::from(PROCESSES) / u64::from(RATE)
}

#[cfg(test)]
mod tests {
    use super::super::TTL;
    use super::*;

    #[test]
    fn at_this_rate_xfetch_without_a_lease_loads_as_often_as_its_closed_form_says() {
        let mut rng = fastrand::Rng::with_seed(11);
        let (step, load, ttl) = (1.0 / f64::from(RATE), LOAD.as_secs_f64(), TTL.as_secs_f64());
        let rounds = 4_000;
        let mut loads = 0_u32;
        for _ in 0..rounds {
            let (mut now, mut first) = (0.0, None);
            while first.is_none_or(|begun| now < begun + load) {
                let luck = 1.0 - rng.f64();
                if now - load * luck.ln() >= ttl {
                    loads += 1;
                    first = first.or(Some(now));
                }
                now += step;
            }
        }
        let mean = f64::from(loads) / f64::from(rounds);
        assert!((mean - Side::XFetch.loads_in_theory()).abs() < 0.1, "{mean}");
    }

    #[test]
    fn a_side_is_found_by_its_name() {
        for side in Side::ALL {
            assert_eq!(Side::named(side.name()), Some(side));
        }
    }
}
