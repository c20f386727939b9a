//! Which instance a process is, as its command line says it.

use std::path::{Path, PathBuf};

use crate::torture::options::{self, Options, Request};

/// The first argument of an instance's command line.
pub const ARGUMENT: &str = "--as-instance";

/// Which instance it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Its number.
    pub number: u8,
    /// How often it was started before.
    pub life: u32,
    /// Which release of the program it plays: even and odd ones have different row types.
    pub release: u32,
    /// Prefix of all names in Redis.
    pub namespace: String,
    /// The file for its events.
    pub log: PathBuf,
    /// The run.
    pub options: Options,
}

impl Assignment {
    /// The command line of the instance; [`Assignment::parse`] reads it back.
    #[must_use]
    pub fn to_arguments(&self) -> Vec<String> {
        let own = [
            ARGUMENT.to_owned(),
            self.number.to_string(),
            self.life.to_string(),
            self.release.to_string(),
            self.namespace.clone(),
            self.log.to_string_lossy().into_owned(),
        ];
        own.into_iter().chain(self.options.to_arguments()).collect()
    }

    /// Reads what follows [`ARGUMENT`].
    #[must_use]
    pub fn parse(arguments: &[String]) -> Option<Self> {
        let [number, life, release, namespace, log, rest @ ..] = arguments else { return None };
        let Ok(Request::Run(options)) = options::parse(rest.iter().cloned()) else { return None };
        Some(Self {
            number: number.parse().ok()?,
            life: life.parse().ok()?,
            release: release.parse().ok()?,
            namespace: namespace.clone(),
            log: Path::new(log).to_owned(),
            options,
        })
    }

    /// Every key, by name and by tag.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u16, bool)> + use<> {
        (0..self.options.keys).flat_map(|key| [(key, false), (key, true)])
    }

    /// What a reader reads: a share of the entries, or one of them, so that an entry whose loader died holds up nobody but
    /// its own readers.
    pub(super) fn entries_of(&self, reader: u64) -> Vec<(u16, bool)> {
        let shares = u64::from(self.options.readers).min(2 * u64::from(self.options.keys));
        let own = (0..).zip(self.entries()).filter(|(place, _)| place % shares == reader % shares);
        own.map(|(_, entry)| entry).collect()
    }

    /// A start for the random choices of one of its tasks, different in every life.
    pub(super) fn seed(&self, task: u64) -> u64 {
        let parts = [self.options.seed, u64::from(self.number), u64::from(self.life), task];
        parts.into_iter().fold(0, |seed, part| fastrand::Rng::with_seed(seed ^ part).u64(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(options: Options) -> Assignment {
        Assignment {
            number: 3,
            life: 17,
            release: 4,
            namespace: "t_1".into(),
            log: "/tmp/a b".into(),
            options,
        }
    }

    #[test]
    fn an_assignment_reads_back() {
        let assignment = assignment(Options { seed: 5, ..Options::default() });
        let arguments = assignment.to_arguments();
        assert_eq!(arguments[0], ARGUMENT);
        assert_eq!(Assignment::parse(&arguments[1..]), Some(assignment));
        assert_eq!(Assignment::parse(&[]), None);
    }

    #[test]
    fn the_readers_share_all_entries() {
        for (readers, keys) in [(1, 3), (2, 3), (4, 3), (6, 3), (7, 3), (48, 8)] {
            let assignment = assignment(Options { readers, keys, ..Options::default() });
            let shares: Vec<_> =
                (0..u64::from(readers)).map(|reader| assignment.entries_of(reader)).collect();
            assert!(shares.iter().all(|share| !share.is_empty()));
            assert!(assignment.entries().all(|entry| shares.iter().flatten().any(|&read| read == entry)));
        }
    }

    #[test]
    fn every_life_and_task_makes_its_own_choices() {
        let assignment = assignment(Options { seed: 1, ..Options::default() });
        let again = Assignment { life: 18, ..assignment.clone() };
        assert_ne!(assignment.seed(0), assignment.seed(1));
        assert_ne!(assignment.seed(0), again.seed(0));
        assert_eq!(assignment.seed(1), assignment.clone().seed(1));
    }
}
