//! Fills the cache before anybody asks: every article and every profile, with the names that lead to them.

use std::fmt;

use cache_core::warm::{GateSet, Progress};
use cache_core::{Cache, warmed};
use clap::{Args, ValueEnum};
use futures_util::{StreamExt, stream};
use sqlx::PgPool;

use crate::repo::{Articles, Users};

/// What can be warmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Warmable {
    /// Articles, by number and by slug.
    Articles,
    /// Profiles, by number and by name.
    Profiles,
}

impl Warmable {
    /// All there is, in the order in which it is warmed.
    pub const ALL: [Self; 2] = [Self::Articles, Self::Profiles];
}

impl fmt::Display for Warmable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Articles => "articles",
            Self::Profiles => "profiles",
        })
    }
}

/// How the cache is warmed.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct WarmOptions {
    /// What to warm; everything unless named
    pub sets: Vec<Warmable>,

    /// Entries at once; below DATABASE_CONNECTIONS, which readers need too
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    pub concurrency: usize,

    /// Entries a second at most
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,

    /// Where to go on with a set that was interrupted; it was printed then
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    pub from: u64,
}

impl Default for WarmOptions {
    fn default() -> Self {
        Self { sets: Vec::new(), concurrency: 4, rate: None, from: 0 }
    }
}

impl WarmOptions {
    /// The sets to warm.
    ///
    /// # Errors
    /// A position that belongs to one of several sets.
    pub fn sets(&self) -> Result<Vec<Warmable>, String> {
        match &self.sets[..] {
            [] | [_, _, ..] if self.from > 0 => {
                Err("`--from` is a position in one set: name it, for example `warm articles --from 120`"
                    .into())
            }
            [] => Ok(Warmable::ALL.into()),
            named => Ok(named.into()),
        }
    }
}

/// What is read to be warmed.
pub(crate) struct Warmer<'c> {
    pub(crate) cache: &'c Cache,
    pub(crate) pool: &'c PgPool,
    pub(crate) articles: &'c Articles,
    pub(crate) users: &'c Users,
}

impl Warmer<'_> {
    /// Warms one set. Its rows are asked for in the order of their numbers, which new ones do not change.
    pub(crate) async fn warm(
        &self,
        set: Warmable,
        options: &WarmOptions,
        gate: Option<GateSet>,
        listener: impl FnMut(&Progress) + Send,
    ) -> sqlx::Result<Progress> {
        let names = match set {
            Warmable::Articles => "SELECT id, slug FROM articles ORDER BY id",
            Warmable::Profiles => "SELECT id, username FROM users ORDER BY id",
        };
        let names: Vec<(i64, String)> = sqlx::query_as(names).fetch_all(self.pool).await?;
        let calls = stream::iter(names).map(|(id, name)| {
            warmed(async move {
                match set {
                    Warmable::Articles => {
                        self.articles.find(id).await?;
                        self.articles.id_by_slug(&name).await
                    }
                    Warmable::Profiles => {
                        self.users.find(id).await?;
                        self.users.id_by_username(&name).await
                    }
                }
            })
        });
        let mut warming =
            self.cache.warm(calls, options.concurrency).from(options.from).on_progress(listener);
        if let Some(rate) = options.rate {
            warming = warming.rate(rate);
        }
        if let Some(gate) = gate {
            warming = warming.opens(gate);
        }
        Ok(warming.run().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_belongs_to_one_set() {
        let of =
            |sets: &[Warmable], from| WarmOptions { sets: sets.into(), from, ..Default::default() }.sets();
        assert_eq!(of(&[], 0), Ok(Warmable::ALL.into()));
        assert_eq!(of(&[Warmable::Profiles], 7), Ok(vec![Warmable::Profiles]));
        assert!(of(&[], 7).unwrap_err().contains("warm articles --from 120"));
        assert!(of(&Warmable::ALL, 7).is_err());
    }
}
