//! What a seed draws of a policy, and which pairs of options many seeds have run. Refuses what the builder refuses: only options
//! that go together are drawn.
//!
//! A cached function is one of a few [`Function`]s: loads go on in the background or not, have a hard timeout or not, are of one key
//! or of many, and their values name tags or do not. All of that is written in an attribute, everything else is in a profile that the seed fills in.

use std::collections::BTreeSet;
use std::time::Duration;

use cache_core::policy::{Early, OnWait, Overrides, Profiles, Sharing, Stampede};

use crate::plan::{Call, How};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Longer than any run.
const LONG: Duration = Duration::from_secs(600);

/// A cached function whose policy is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    Row,
    Soon,
    List,
    Card,
    Rows,
    Many,
    Story,
    Stories,
}

impl Function {
    pub const ALL: [Self; 8] =
        [Self::Row, Self::Soon, Self::List, Self::Card, Self::Rows, Self::Many, Self::Story, Self::Stories];

    /// The one that a call is of.
    pub fn of(call: &Call) -> Option<Self> {
        match call {
            Call::Row(_) => Some(Self::Row),
            Call::Soon(_) => Some(Self::Soon),
            Call::Rows(_) => Some(Self::Rows),
            Call::Many(_) => Some(Self::Many),
            Call::Story(_) => Some(Self::Story),
            Call::Stories => Some(Self::Stories),
            Call::List => Some(Self::List),
            Call::Card(_) => Some(Self::Card),
            _ => None,
        }
    }

    fn is_background(self) -> bool {
        matches!(self, Self::Row | Self::List | Self::Story)
    }

    fn has_hard_timeout(self) -> bool {
        matches!(self, Self::Soon | Self::List | Self::Many | Self::Stories)
    }

    fn may_be_negative(self) -> bool {
        matches!(self, Self::Row | Self::Soon | Self::Rows | Self::Many | Self::Story)
    }

    fn learns_tags(self) -> bool {
        matches!(self, Self::Story | Self::Stories)
    }

    fn is_batch(self) -> bool {
        matches!(self, Self::Rows | Self::Many)
    }
}

/// A drawn value of each option, by its place in the table of that option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Choice([usize; Choice::OPTIONS]);

const TTLS: [(&str, Duration); 3] = [("ttl 4ms", ms(4)), ("ttl 30ms", ms(30)), ("ttl 10m", LONG)];
const NEGATIVE_TTLS: [(&str, Duration); 2] = [("negative_ttl 4ms", ms(4)), ("negative_ttl 10m", LONG)];
const JITTERS: [(&str, f64); 3] = [("jitter 0", 0.0), ("jitter 0.3", 0.3), ("jitter 1", 1.0)];
const STAMPEDES: [(&str, Stampede); 4] = [
    ("stampede none", Stampede { sharing: Sharing::Nobody, early: Early::Never }),
    ("stampede flight", Stampede { sharing: Sharing::Flight, early: Early::Never }),
    ("stampede lease", Stampede { sharing: Sharing::Lease, early: Early::Never }),
    ("stampede xfetch", Stampede { sharing: Sharing::Lease, early: Early::XFetch { beta: 3.0 } }),
];
const AHEADS: [(&str, Option<f64>); 3] =
    [("no refresh_ahead", None), ("refresh_ahead 1%", Some(0.01)), ("refresh_ahead 60%", Some(0.6))];
const WHILE_REVALIDATE: [(&str, Option<Duration>); 3] = [
    ("no stale_while_revalidate", None),
    ("stale_while_revalidate 5ms", Some(ms(5))),
    ("stale_while_revalidate 10m", Some(LONG)),
];
const BOUNDED: [(&str, Option<Duration>); 3] =
    [("no bounded", None), ("bounded 6ms", Some(ms(6))), ("bounded 10m", Some(LONG))];
const IF_ERROR: [(&str, Option<Duration>); 3] =
    [("no stale_if_error", None), ("stale_if_error 9ms", Some(ms(9))), ("stale_if_error 10m", Some(LONG))];
const ON_WAIT: [(&str, Option<OnWait>); 5] = [
    ("no on_wait", None),
    ("on_wait wait", Some(OnWait::Wait(None))),
    ("on_wait wait(2ms)", Some(OnWait::Wait(Some(ms(2))))),
    ("on_wait stale", Some(OnWait::Stale)),
    ("on_wait load", Some(OnWait::Load)),
];
const SOFT: [(&str, Option<Duration>); 3] =
    [("no soft_timeout", None), ("soft_timeout 1ms", Some(ms(1))), ("soft_timeout 8ms", Some(ms(8)))];
const HARD: [&str; 2] = ["no hard_timeout", "hard_timeout 40ms"];
const KEYS: [&str; 2] = ["one key", "batch"];
const TAGS: [&str; 2] = ["no tags from the value", "tags from the value"];
const REFRESH: [&str; 2] = ["refresh inline", "refresh background"];

impl Choice {
    const OPTIONS: usize = 10;
    const SIZES: [usize; Self::OPTIONS] = [
        TTLS.len(),
        NEGATIVE_TTLS.len(),
        JITTERS.len(),
        STAMPEDES.len(),
        AHEADS.len(),
        WHILE_REVALIDATE.len(),
        IF_ERROR.len(),
        ON_WAIT.len(),
        SOFT.len(),
        BOUNDED.len(),
    ];

    /// Some options that go together, each as likely as any other.
    pub fn draw(rng: &mut fastrand::Rng) -> Self {
        loop {
            let choice = Self(Self::SIZES.map(|size| rng.usize(..size)));
            if choice.is_sound() {
                return choice;
            }
        }
    }

    /// Some under which a short lifetime ends, and what stands then is served if a load fails, but not otherwise.
    pub fn draw_failing(rng: &mut fastrand::Rng) -> Self {
        loop {
            let choice = Self::draw(rng);
            let [ttl, _, _, stampede, _, revalidate, error, wait, soft, _] = choice.0;
            let waits = STAMPEDES[stampede].1.sharing != Sharing::Nobody
                && matches!(ON_WAIT[wait].1, None | Some(OnWait::Wait(_)));
            if TTLS[ttl].1 < LONG && waits && [revalidate, soft] == [0, 0] && IF_ERROR[error].1 == Some(LONG)
            {
                return choice;
            }
        }
    }

    /// All that go together.
    pub fn all() -> impl Iterator<Item = Self> {
        let count = Self::SIZES.iter().product();
        let nth = |mut rest: usize| {
            Self(Self::SIZES.map(|size| {
                let place = rest % size;
                rest /= size;
                place
            }))
        };
        (0..count).map(nth).filter(Self::is_sound)
    }

    /// For how long after a write its old value may answer a call that says so.
    pub fn window(&self) -> Duration {
        let [.., bounded] = self.0;
        BOUNDED[bounded].1.unwrap_or_default()
    }

    fn is_sound(&self) -> bool {
        self.overrides(true).mistakes().is_empty()
    }

    fn overrides(&self, is_background: bool) -> Overrides {
        let [ttl, negative, jitter, stampede, ahead, revalidate, error, wait, soft, bounded] = self.0;
        Overrides {
            ttl: Some(TTLS[ttl].1),
            negative_ttl: Some(NEGATIVE_TTLS[negative].1),
            jitter: Some(JITTERS[jitter].1),
            stampede: Some(STAMPEDES[stampede].1),
            refresh_ahead: AHEADS[ahead].1,
            stale_while_revalidate: WHILE_REVALIDATE[revalidate].1,
            bounded: BOUNDED[bounded].1,
            stale_if_error: IF_ERROR[error].1,
            on_wait: ON_WAIT[wait].1,
            soft_timeout: SOFT[soft].1.filter(|_| is_background),
            hard_timeout: None,
        }
    }

    /// What a call of this function runs under, by name. An option that does nothing there is not named.
    fn names(&self, function: Function) -> Vec<&'static str> {
        let [ttl, negative, jitter, stampede, ahead, revalidate, error, wait, soft, bounded] = self.0;
        let mut names = vec![
            TTLS[ttl].0,
            JITTERS[jitter].0,
            STAMPEDES[stampede].0,
            AHEADS[ahead].0,
            WHILE_REVALIDATE[revalidate].0,
            IF_ERROR[error].0,
            ON_WAIT[wait].0,
            BOUNDED[bounded].0,
            HARD[usize::from(function.has_hard_timeout())],
            REFRESH[usize::from(function.is_background())],
            KEYS[usize::from(function.is_batch())],
            TAGS[usize::from(function.learns_tags())],
            SOFT[if function.is_background() { soft } else { 0 }].0,
        ];
        if function.may_be_negative() {
            names.push(NEGATIVE_TTLS[negative].0);
        }
        names
    }
}

/// The profiles of a run: `None` is a lifetime longer than the run, and every default.
pub fn profiles(choice: Option<Choice>) -> Profiles {
    let of = |is_background| match choice {
        Some(choice) => choice.overrides(is_background),
        None => Overrides { negative_ttl: Some(LONG), ..Overrides::ttl(LONG) },
    };
    Profiles::default().with("behind", of(true)).with("before", of(false))
}

/// Pairs of options that a call ran under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(pub BTreeSet<[&'static str; 2]>);

impl Pairs {
    /// A function was called under this choice.
    fn add(&mut self, choice: Choice, function: Function, how: How) {
        let mut names = choice.names(function);
        names.push(how.name());
        for (place, one) in names.iter().enumerate() {
            for other in &names[place + 1..] {
                self.0.insert([one.min(other), one.max(other)]);
            }
        }
    }

    /// Those of these calls.
    pub fn of(called: &BTreeSet<(Choice, Function, How)>) -> Self {
        let mut pairs = Self::default();
        called.iter().for_each(|(choice, function, how)| pairs.add(*choice, *function, *how));
        pairs
    }

    /// Every pair that can be run.
    pub fn possible() -> Self {
        let mut pairs = Self::default();
        for choice in Choice::all() {
            Function::ALL.into_iter().for_each(|function| pairs.add(choice, function, How::Plain));
        }
        // Any call may ask for anything.
        let names: BTreeSet<_> =
            pairs.0.iter().flatten().copied().filter(|name| *name != How::Plain.name()).collect();
        for how in How::ALL.map(How::name) {
            pairs.0.extend(names.iter().map(|name| [how.min(name), how.max(name)]));
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_values_that_never_meet_contradict_each_other() {
        let possible = Pairs::possible();
        let options: [Vec<&str>; 15] = [
            TTLS.map(|it| it.0).to_vec(),
            NEGATIVE_TTLS.map(|it| it.0).to_vec(),
            JITTERS.map(|it| it.0).to_vec(),
            STAMPEDES.map(|it| it.0).to_vec(),
            AHEADS.map(|it| it.0).to_vec(),
            WHILE_REVALIDATE.map(|it| it.0).to_vec(),
            IF_ERROR.map(|it| it.0).to_vec(),
            ON_WAIT.map(|it| it.0).to_vec(),
            SOFT.map(|it| it.0).to_vec(),
            BOUNDED.map(|it| it.0).to_vec(),
            HARD.to_vec(),
            REFRESH.to_vec(),
            KEYS.to_vec(),
            TAGS.to_vec(),
            How::ALL.map(How::name).to_vec(),
        ];
        let mut never = BTreeSet::new();
        for (place, some) in options.iter().enumerate() {
            for (one, other) in
                options[place + 1..].iter().flatten().flat_map(|b| some.iter().map(move |a| (*a, *b)))
            {
                let pair = [one.min(other), one.max(other)];
                if !possible.0.contains(&pair) {
                    never.insert(pair);
                }
            }
        }
        let contradictions = [
            // Nobody waits there.
            ["on_wait load", "stampede none"],
            ["on_wait stale", "stampede none"],
            ["on_wait wait", "stampede none"],
            ["on_wait wait(2ms)", "stampede none"],
            // Both say when to load early.
            ["refresh_ahead 1%", "stampede xfetch"],
            ["refresh_ahead 60%", "stampede xfetch"],
            // Nothing would be served when it has passed, or nobody would go on.
            ["no stale_if_error", "soft_timeout 1ms"],
            ["no stale_if_error", "soft_timeout 8ms"],
            ["refresh inline", "soft_timeout 1ms"],
            ["refresh inline", "soft_timeout 8ms"],
            // The keys of a batch are loaded by its caller.
            ["batch", "refresh background"],
            ["batch", "soft_timeout 1ms"],
            ["batch", "soft_timeout 8ms"],
            // Each key would have a hint of its own.
            ["batch", "tags from the value"],
        ];
        assert_eq!(never, BTreeSet::from(contradictions));
    }

    #[test]
    fn what_is_drawn_passes_as_a_profile() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..1_000 {
            assert_eq!(profiles(Some(Choice::draw(&mut rng))).mistakes(), Vec::<String>::new());
        }
    }
}
