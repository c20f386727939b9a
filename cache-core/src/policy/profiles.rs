//! Named policies by kind of data. Refuses a name nobody knows: a profile that is misspelt would be a default nobody meant.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::Overrides;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Name, seconds, and what is special about it.
const BUILT_IN: [(&str, u64, Overrides); 10] = [
    ("session", 30 * MINUTE, Overrides::NONE),
    ("user_profile", HOUR, SPREAD),
    ("product", 30 * MINUTE, SPREAD),
    ("catalog", 30 * MINUTE, SPREAD),
    ("listing", 5 * MINUTE, SPREAD),
    ("api_response", 5 * MINUTE, SPREAD),
    ("config", DAY, SPREAD),
    ("static", 30 * DAY, SPREAD),
    ("realtime", 10, Overrides::NONE),
    ("not_found", MINUTE, Overrides { negative_ttl: Some(Duration::from_secs(MINUTE)), ..SPREAD }),
];

/// Entries that are filled together do not expire together.
const SPREAD: Overrides = Overrides { jitter: Some(0.1), ..Overrides::NONE };

/// Policies by name: `profile = "catalog"` in an attribute. From configuration by serde: a map of names to [`Overrides`], laid over
/// the built-in ones part by part.
///
/// ```
/// use cache_core::policy::{Overrides, Profiles};
/// use std::time::Duration;
///
/// let profiles = Profiles::default().with("catalog", Overrides::ttl(Duration::from_secs(600)));
/// assert_eq!(profiles.get("catalog").unwrap().jitter, Some(0.1));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Profiles(BTreeMap<String, Overrides>);

impl Default for Profiles {
    /// The built-in ones.
    fn default() -> Self {
        Self(
            BUILT_IN
                .map(|(name, ttl, more)| (name.to_owned(), more.or(Overrides::ttl(Duration::from_secs(ttl)))))
                .into(),
        )
    }
}

impl Profiles {
    /// Changes the parts of a profile that are named, or adds one.
    #[must_use]
    pub fn with(mut self, name: &str, overrides: Overrides) -> Self {
        self.change(name, overrides);
        self
    }

    fn change(&mut self, name: &str, overrides: Overrides) {
        let known = self.0.get(name).copied().unwrap_or_default();
        self.0.insert(name.to_owned(), overrides.or(known));
    }

    /// A profile.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Overrides> {
        self.0.get(name).copied()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Overrides)> {
        self.0.iter().map(|(name, overrides)| (name.as_str(), overrides))
    }

    /// What is wrong with any of them; one sentence each.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let told = |(name, overrides): (&str, &Overrides)| {
            overrides
                .mistakes()
                .into_iter()
                .map(move |mistake| format!("profile `{name}`: {mistake}"))
                .collect::<Vec<_>>()
        };
        self.iter().flat_map(told).collect()
    }
}

impl<'de> Deserialize<'de> for Profiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut profiles = Self::default();
        for (name, overrides) in BTreeMap::<String, Overrides>::deserialize(deserializer)? {
            profiles.change(&name, overrides);
        }
        Ok(profiles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_ones_are_whole_and_sound() {
        let profiles = Profiles::default();
        assert_eq!(profiles.mistakes(), Vec::<String>::new());
        assert_eq!(profiles.iter().count(), BUILT_IN.len());
        assert!(profiles.iter().all(|(_, overrides)| overrides.resolve().is_some()));
    }

    #[test]
    fn a_change_leaves_the_rest_of_a_profile() {
        let more = Overrides { stale_if_error: Some(Duration::from_secs(9)), ..Overrides::NONE };
        let session = Profiles::default().with("session", more).get("session").unwrap();
        assert_eq!(session.ttl, Some(Duration::from_secs(1800)));
        assert_eq!(session.stale_if_error, Some(Duration::from_secs(9)));
    }

    #[test]
    fn a_profile_that_contradicts_itself_is_told_with_its_name() {
        let wrong = Overrides { jitter: Some(2.0), ..Overrides::NONE };
        let mistakes = Profiles::default().with("session", wrong).mistakes();
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].starts_with("profile `session`: `jitter`"));
    }
}
