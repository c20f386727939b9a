//! Private servers for whoever names none, so that the program runs on a fresh machine. They end with it, and so does
//! what they hold.

use cache_test_support::{Error, Postgres, Redis, unique_name};
use conduit::{CacheSwitch, Config};

/// What was started. Dropping it stops it.
#[derive(Default)]
pub(crate) struct Servers {
    postgres: Option<Postgres>,
    redis: Option<Redis>,
}

impl Servers {
    /// Starts what the options do not name, and names it there. May take as long as installing it takes.
    pub(crate) fn complete(config: &mut Config) -> Result<Self, Error> {
        let mut servers = Self::default();
        for unset in [&mut config.cache_namespace, &mut config.redis_url, &mut config.database_url] {
            // Set and empty is unset.
            unset.take_if(|value| value.is_empty());
        }
        if config.database_url.is_none() {
            let postgres = Postgres::start()?;
            config.database_url = Some(postgres.fresh_database()?);
            servers.postgres = Some(postgres);
            // Entries of an earlier database that had the same numbers must not be found.
            config.cache_namespace.get_or_insert_with(|| unique_name("conduit"));
        }
        if config.redis_url.is_none() && config.cache == CacheSwitch::On {
            let redis = Redis::start()?;
            config.redis_url = Some(redis.url());
            servers.redis = Some(redis);
        }
        Ok(servers)
    }

    /// A remark on the database for people.
    pub(crate) fn about_database(&self) -> &'static str {
        match self.postgres {
            Some(_) => " (private, gone when conduit stops; set DATABASE_URL for another)",
            None => "",
        }
    }
    /// A remark on the store of the cache for people.
    pub(crate) fn about_store(&self) -> &'static str {
        match self.redis {
            Some(_) => " (private, gone when conduit stops; set REDIS_URL for another)",
            None => "",
        }
    }
}
