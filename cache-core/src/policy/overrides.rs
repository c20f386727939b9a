//! Part of a policy: what an attribute or a profile says, and nothing about the rest.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::{Early, OnWait, Policy, Sharing, Stampede};

macro_rules! overrides {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// The parts of a [`Policy`] that somebody names. From configuration by serde: durations as `"90s"`, `"1h 30m"`.
        ///
        /// ```
        /// # use cache_core::policy::Overrides;
        /// # use std::time::Duration;
        /// let short = Overrides { ttl: Some(Duration::from_secs(10)), ..Overrides::NONE };
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct Overrides { $($(#[$doc])* pub $name: Option<$type>,)* }

        impl Overrides {
            /// Names nothing.
            pub const NONE: Self = Self { $($name: None,)* };

            /// These, and where they say nothing, those. When an entry is loaded early is said by one of them, whole: XFetch here
            /// leaves no refresh-ahead from there, and the other way round.
            #[must_use]
            pub fn or(self, those: Self) -> Self {
                let those = if self.says_when_early() { those.without_early() } else { those };
                Self { $($name: self.$name.or(those.$name),)* }
            }
        }
    };
}

overrides! {
    /// [`Lifetime::ttl`](super::Lifetime::ttl).
    ttl: Duration,
    /// [`Lifetime::negative_ttl`](super::Lifetime::negative_ttl).
    negative_ttl: Duration,
    /// [`Lifetime::jitter`](super::Lifetime::jitter).
    jitter: f64,
    /// [`Lifetime::stale_while_revalidate`](super::Lifetime::stale_while_revalidate).
    stale_while_revalidate: Duration,
    /// [`Lifetime::bounded`](super::Lifetime::bounded).
    bounded: Duration,
    /// [`OnError::stale_if_error`](super::OnError::stale_if_error).
    stale_if_error: Duration,
    /// [`Stampede::sharing`](super::Stampede::sharing), and XFetch.
    stampede: Stampede,
    /// [`Early::Ahead`], in (0, 1).
    refresh_ahead: f64,
    /// [`Policy::on_wait`].
    on_wait: OnWait,
    /// [`Timeouts::soft`](super::Timeouts::soft).
    soft_timeout: Duration,
    /// [`Timeouts::hard`](super::Timeouts::hard).
    hard_timeout: Duration,
}

const SHORTEST: Duration = Duration::from_millis(1);

impl Overrides {
    /// The longest lifetime: ten years. What a loader says beyond that is cut.
    pub const LONGEST: Duration = Duration::from_secs(3653 * 86_400);

    /// A lifetime, and nothing about the rest.
    #[must_use]
    pub const fn ttl(ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..Self::NONE }
    }

    /// The whole policy: what is not named is a default. `None` without a lifetime.
    #[must_use]
    pub fn resolve(&self) -> Option<Policy> {
        let mut policy = Policy::ttl(self.ttl?);
        let set = |to: &mut Duration, from: Option<Duration>| *to = from.unwrap_or(*to);
        set(&mut policy.lifetime.negative_ttl, self.negative_ttl);
        set(&mut policy.lifetime.stale_while_revalidate, self.stale_while_revalidate);
        set(&mut policy.lifetime.bounded, self.bounded);
        set(&mut policy.on_error.stale_if_error, self.stale_if_error);
        policy.lifetime.jitter = self.jitter.unwrap_or(policy.lifetime.jitter);
        policy.stampede = self.stampede.unwrap_or(policy.stampede);
        if let Some(share) = self.refresh_ahead {
            policy.stampede.early = Early::Ahead { share };
        }
        policy.on_wait = self.on_wait.unwrap_or(policy.on_wait);
        policy.timeouts.soft = self.soft_timeout;
        policy.timeouts.hard = self.hard_timeout;
        Some(policy)
    }

    /// What contradicts itself or cannot be meant; one sentence each.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for (name, value) in [("ttl", self.ttl), ("negative_ttl", self.negative_ttl)] {
            if value.is_some_and(|value| !(SHORTEST..=Self::LONGEST).contains(&value)) {
                mistakes.push(format!("`{name}` has to be from 1 ms to ten years"));
            }
        }
        for (name, value) in [
            ("stale_while_revalidate", self.stale_while_revalidate),
            ("bounded", self.bounded),
            ("stale_if_error", self.stale_if_error),
            ("soft_timeout", self.soft_timeout),
            ("hard_timeout", self.hard_timeout),
        ] {
            if value.is_some_and(|value| value.is_zero() || value > Self::LONGEST) {
                mistakes.push(format!(
                    "`{name}` has to be above zero and at most ten years: leave it out for none"
                ));
            }
        }
        if self.jitter.is_some_and(|jitter| !(0.0..=1.0).contains(&jitter)) {
            mistakes.push("`jitter` has to be from 0 to 1: it is a share of the lifetime".into());
        }
        if self.refresh_ahead.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            mistakes
                .push("`refresh_ahead` has to be more than 0 % and less than 100 % of the lifetime".into());
        }
        mistakes.extend(self.contradictions());
        mistakes
    }

    fn says_when_early(&self) -> bool {
        self.refresh_ahead.is_some() || self.stampede.is_some_and(|stampede| stampede.early != Early::Never)
    }

    fn without_early(self) -> Self {
        let stampede = self.stampede.map(|stampede| Stampede { early: Early::Never, ..stampede });
        Self { stampede, refresh_ahead: None, ..self }
    }

    fn contradictions(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if let Some(Stampede { early: Early::XFetch { beta }, .. }) = self.stampede {
            if !(beta.is_finite() && beta > 0.0) {
                mistakes
                    .push("`beta` has to be a positive number: above 1 loads earlier, below 1 later".into());
            }
            if self.refresh_ahead.is_some() {
                mistakes.push(
                    "`stampede = \"xfetch\"` and `refresh_ahead` both say when to load early: leave one out"
                        .into(),
                );
            }
        }
        let lives = |ttl: Duration| ttl.saturating_add(self.stale_while_revalidate.unwrap_or_default());
        if let (Some(bounded), Some(ttl)) = (self.bounded, self.ttl)
            && bounded > lives(ttl)
        {
            mistakes.push(
                "`bounded` is longer than a value lives (`ttl` and `stale_while_revalidate` together), so it would never pass"
                    .into(),
            );
        }
        let has_stale = self.stale_while_revalidate.is_some() || self.stale_if_error.is_some();
        if self.soft_timeout.is_some() && self.stale_if_error.is_none() {
            mistakes.push(
                "`soft_timeout` has nothing to serve: `stale_if_error` says for how long a value whose lifetime is over is \
                 kept for that"
                    .into(),
            );
        }
        if let (Some(soft), Some(hard)) = (self.soft_timeout, self.hard_timeout)
            && soft >= hard
        {
            mistakes.push("`soft_timeout` is not below `hard_timeout`, so it would never pass".into());
        }
        if self.on_wait == Some(OnWait::Stale) && !has_stale {
            mistakes.push(
                "`on_wait = \"stale\"` has nothing to serve: `stale_while_revalidate` or `stale_if_error` says for how long a \
                 value whose lifetime is over is kept for that"
                    .into(),
            );
        }
        if self.on_wait.is_some() && self.stampede.is_some_and(|stampede| stampede.sharing == Sharing::Nobody)
        {
            mistakes.push("with `stampede = \"none\"` nobody waits: leave `on_wait` out".into());
        }
        mistakes
    }
}

/// As written in configuration.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    ttl: Option<String>,
    negative_ttl: Option<String>,
    jitter: Option<f64>,
    stale_while_revalidate: Option<String>,
    bounded: Option<String>,
    stale_if_error: Option<String>,
    stampede: Option<String>,
    refresh_ahead: Option<String>,
    on_wait: Option<String>,
    soft_timeout: Option<String>,
    hard_timeout: Option<String>,
}

impl<'de> Deserialize<'de> for Overrides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        Self::read(&written).map_err(de::Error::custom)
    }
}

impl Overrides {
    fn read(written: &Written) -> Result<Self, String> {
        let duration =
            |name: &str, text: &Option<String>| text.as_deref().map(|text| duration(name, text)).transpose();
        let overrides = Self {
            ttl: duration("ttl", &written.ttl)?,
            negative_ttl: duration("negative_ttl", &written.negative_ttl)?,
            jitter: written.jitter,
            stale_while_revalidate: duration("stale_while_revalidate", &written.stale_while_revalidate)?,
            bounded: duration("bounded", &written.bounded)?,
            stale_if_error: duration("stale_if_error", &written.stale_if_error)?,
            stampede: written.stampede.as_deref().map(stampede).transpose()?,
            refresh_ahead: written.refresh_ahead.as_deref().map(percent).transpose()?,
            on_wait: written.on_wait.as_deref().map(on_wait).transpose()?,
            soft_timeout: duration("soft_timeout", &written.soft_timeout)?,
            hard_timeout: duration("hard_timeout", &written.hard_timeout)?,
        };
        match overrides.mistakes() {
            mistakes if mistakes.is_empty() => Ok(overrides),
            mistakes => Err(mistakes.join("; ")),
        }
    }
}

fn duration(name: &str, text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| {
        format!("`{name} = \"{text}\"` is no duration: write for example `90s`, `15m`, `1h 30m` or `7d`")
    })
}

fn percent(text: &str) -> Result<f64, String> {
    let share = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    share.map(|share| share / 100.0).ok_or_else(|| {
        format!("`refresh_ahead = \"{text}\"` is no share of the lifetime: write for example `80%`")
    })
}

fn stampede(text: &str) -> Result<Stampede, String> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let plain = |sharing| Ok(Stampede { sharing, early: Early::Never });
    match bare.as_str() {
        "none" => return plain(Sharing::Nobody),
        "flight" => return plain(Sharing::Flight),
        "lease" => return plain(Sharing::Lease),
        "xfetch" => return Ok(Stampede { sharing: Sharing::Lease, early: Early::XFetch { beta: 1.0 } }),
        _ => {}
    }
    let beta = bare.strip_prefix("xfetch(beta=").and_then(|rest| rest.strip_suffix(')'));
    match beta.and_then(|beta| beta.parse().ok()) {
        Some(beta) => Ok(Stampede { sharing: Sharing::Lease, early: Early::XFetch { beta } }),
        None => Err(format!(
            "`stampede = \"{text}\"` is unknown: write `none`, `flight`, `lease`, `xfetch` or `xfetch(beta=2.0)`"
        )),
    }
}

fn on_wait(text: &str) -> Result<OnWait, String> {
    let bare = text.trim();
    match bare {
        "wait" => return Ok(OnWait::Wait(None)),
        "stale" => return Ok(OnWait::Stale),
        "load" => return Ok(OnWait::Load),
        _ => {}
    }
    match bare.strip_prefix("wait(").and_then(|rest| rest.strip_suffix(')')) {
        Some(text) => duration("on_wait", text).map(|bound| OnWait::Wait(Some(bound))),
        None => Err(format!("`on_wait = \"{text}\"` is unknown: write `wait(500ms)`, `stale` or `load`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_not_named_is_a_default() {
        assert_eq!(Overrides::ttl(SECOND).resolve(), Some(Policy::ttl(SECOND)));
        assert_eq!(Overrides::NONE.resolve(), None);
    }

    #[test]
    fn the_nearer_one_wins_part_by_part() {
        let attribute = Overrides { jitter: Some(0.5), ..Overrides::NONE };
        let profile = Overrides { jitter: Some(0.1), ..Overrides::ttl(SECOND) };
        let policy = attribute.or(profile).resolve().unwrap();
        assert_eq!((policy.lifetime.jitter, policy.lifetime.ttl), (0.5, SECOND));
    }

    #[test]
    fn the_nearer_one_says_when_an_entry_is_loaded_early() {
        let xfetch = Stampede { sharing: Sharing::Lease, early: Early::XFetch { beta: 1.0 } };
        let by_chance = Overrides { stampede: Some(xfetch), ..Overrides::ttl(SECOND) };
        let ahead = Overrides { refresh_ahead: Some(0.8), ..Overrides::ttl(SECOND) };
        let flight = Stampede { sharing: Sharing::Flight, early: Early::Never };
        for (attribute, profile, early) in [
            (by_chance, ahead, xfetch.early),
            (ahead, by_chance, Early::Ahead { share: 0.8 }),
            (Overrides { stampede: Some(flight), ..Overrides::NONE }, ahead, Early::Ahead { share: 0.8 }),
        ] {
            let both = attribute.or(profile);
            assert_eq!(both.mistakes(), Vec::<String>::new());
            assert_eq!(both.resolve().unwrap().stampede.early, early);
        }
    }

    #[test]
    fn contradictions_are_told_in_one_sentence_each() {
        let xfetch = Some(Stampede { sharing: Sharing::Lease, early: Early::XFetch { beta: 1.0 } });
        let nobody = Some(Stampede { sharing: Sharing::Nobody, early: Early::Never });
        let some = Some(SECOND);
        for (overrides, says) in [
            (Overrides { ttl: Some(Duration::ZERO), ..Overrides::NONE }, "`ttl` has to be from 1 ms"),
            (
                Overrides { soft_timeout: Some(Duration::ZERO), stale_if_error: some, ..Overrides::NONE },
                "above zero",
            ),
            (Overrides { bounded: Some(Duration::ZERO), ..Overrides::NONE }, "above zero"),
            (Overrides { bounded: Some(2 * SECOND), ..Overrides::ttl(SECOND) }, "longer than a value lives"),
            (Overrides { jitter: Some(1.5), ..Overrides::NONE }, "`jitter` has to be"),
            (Overrides { refresh_ahead: Some(1.0), ..Overrides::NONE }, "less than 100 %"),
            (Overrides { refresh_ahead: Some(f64::NAN), ..Overrides::NONE }, "less than 100 %"),
            (Overrides { refresh_ahead: Some(0.8), stampede: xfetch, ..Overrides::NONE }, "leave one out"),
            (Overrides { soft_timeout: some, ..Overrides::NONE }, "nothing to serve"),
            (
                Overrides { soft_timeout: some, hard_timeout: some, stale_if_error: some, ..Overrides::NONE },
                "not below `hard_timeout`",
            ),
            (Overrides { on_wait: Some(OnWait::Stale), ..Overrides::NONE }, "nothing to serve"),
            (Overrides { on_wait: Some(OnWait::Load), stampede: nobody, ..Overrides::NONE }, "nobody waits"),
        ] {
            let mistakes = overrides.mistakes();
            assert_eq!(mistakes.len(), 1, "{overrides:?}: {mistakes:?}");
            assert!(mistakes[0].contains(says), "{says}: {mistakes:?}");
        }
        assert_eq!(Overrides::ttl(SECOND).mistakes(), Vec::<String>::new());
    }

    #[test]
    fn configuration_is_read_as_attributes_are_written() {
        assert_eq!(percent("80%"), Ok(0.8));
        assert!(percent("0.8").is_err());
        assert_eq!(on_wait("wait(500ms)"), Ok(OnWait::Wait(Some(Duration::from_millis(500)))));
        assert!(on_wait("wait(long)").unwrap_err().contains("no duration"));
        assert_eq!(stampede("none").unwrap().sharing, Sharing::Nobody);
        assert_eq!(stampede("xfetch( beta = 2 )").unwrap().early, Early::XFetch { beta: 2.0 });
        assert!(stampede("luck").unwrap_err().contains("is unknown"));
    }
}
