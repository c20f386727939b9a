//! The servers of a round, what stands before them, and where each instance is told to find them. Refuses to harm a server
//! that the environment names: whoever must kill or flush one gets a server of its own.

use std::{env, sync::Arc};

use cache_test_support::{Error, FaultProxy, Postgres, Redis, fresh_database};

use super::nemesis::{Between, Needs, Nemesis, StoreNeed};

/// Servers that outlive a round.
#[derive(Debug, Default)]
pub struct Servers {
    postgres: Option<Arc<Postgres>>,
}

/// The servers of one round.
#[derive(Debug)]
pub struct Ground {
    database: String,
    postgres: Option<Arc<Postgres>>,
    store: Store,
    between: Option<Between>,
    /// One for each instance, or none at all.
    proxies: Vec<FaultProxy>,
}

#[derive(Debug)]
enum Store {
    Given(String),
    Own(Box<Redis>),
}

/// Where an instance finds its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urls {
    /// `DATABASE_URL`.
    pub database: String,
    /// `REDIS_URL`.
    pub redis: String,
}

fn given(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|url| !url.is_empty())
}

/// Says which of these nemeses cannot run on the servers that the environment names.
///
/// # Errors
/// One line that names them and the variable to unset.
pub fn check(nemeses: &[&'static Nemesis]) -> Result<(), String> {
    let refused = |variable: &'static str, is_meant: fn(&Needs) -> bool| {
        let names: Vec<_> =
            nemeses.iter().filter(|nemesis| is_meant(&nemesis.needs)).map(|nemesis| nemesis.name).collect();
        match given(variable) {
            Some(_) if !names.is_empty() => Err(format!(
                "{} would harm the server that {variable} names: unset {variable}, and private ones are started",
                names.join(", ")
            )),
            _ => Ok(()),
        }
    };
    refused("REDIS_URL", |needs| needs.store != StoreNeed::Any)?;
    refused("DATABASE_URL", |needs| needs.own_postgres)
}

impl Servers {
    /// What a round with this nemesis stands on: a database of its own, on the server that the environment names or on a
    /// private one, and a store.
    ///
    /// # Errors
    /// A server that is missing or does not start.
    pub fn ground(&mut self, nemesis: &Nemesis, instances: u8) -> Result<Ground, String> {
        self.build(&nemesis.needs, instances).map_err(|error| error.to_string())
    }

    fn build(&mut self, needs: &Needs, instances: u8) -> Result<Ground, Error> {
        let postgres = match (&self.postgres, given("DATABASE_URL")) {
            (_, Some(_)) => None,
            (Some(running), None) => Some(running.clone()),
            (None, None) => Some(self.postgres.insert(Arc::new(Postgres::start()?)).clone()),
        };
        let database = match &postgres {
            Some(postgres) => postgres.fresh_database()?,
            None => fresh_database()?,
        };
        let store = match (needs.store, given("REDIS_URL")) {
            (StoreNeed::Any, Some(url)) => Store::Given(url),
            (StoreNeed::Any, None) => Store::Own(Box::new(Redis::start()?)),
            (StoreNeed::Own(arguments), _) => Store::Own(Box::new(Redis::options().args(arguments).start()?)),
        };
        let mut ground = Ground { database, postgres, store, between: needs.proxy, proxies: Vec::new() };
        for _ in 0..instances {
            match needs.proxy {
                Some(Between::Redis) => ground.proxies.push(FaultProxy::redis(&ground.store_url())?),
                Some(Between::Postgres) => ground.proxies.push(FaultProxy::postgres(&ground.database)?),
                None => {}
            }
        }
        Ok(ground)
    }
}

impl Ground {
    /// Where an instance is to find its servers.
    #[must_use]
    pub fn urls(&self, instance: u8) -> Urls {
        let mut urls = Urls { database: self.database.clone(), redis: self.store_url() };
        if let Some(proxy) = self.proxies.get(usize::from(instance)) {
            match self.between {
                Some(Between::Postgres) => urls.database = proxy.url(),
                Some(Between::Redis) | None => urls.redis = proxy.url(),
            }
        }
        urls
    }

    /// The database itself, past every proxy.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The store itself, past every proxy.
    #[must_use]
    pub fn store_url(&self) -> String {
        match &self.store {
            Store::Given(url) => url.clone(),
            Store::Own(redis) => redis.url(),
        }
    }

    /// The Redis of this round's own.
    #[must_use]
    pub fn redis(&self) -> Option<&Redis> {
        match &self.store {
            Store::Given(_) => None,
            Store::Own(redis) => Some(redis),
        }
    }

    /// The Postgres of this run's own.
    #[must_use]
    pub fn postgres(&self) -> Option<&Postgres> {
        self.postgres.as_deref()
    }

    /// The proxies, in the order of the instances.
    #[must_use]
    pub fn proxies(&self) -> &[FaultProxy] {
        &self.proxies
    }
}
