//! The servers of a round, what stands before them, and where each instance is told to find them. Refuses to harm a server
//! that the environment names: whoever must kill or flush one gets a server of its own.

use std::{env, sync::Arc};

use cache_test_support::{
    Cluster, Error, FaultProxy, Postgres, Redis, Sentinels, fresh_database, unique_name,
};

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
    namespace: String,
    /// One for each instance, or none at all.
    before_redis: Vec<FaultProxy>,
    before_postgres: Vec<FaultProxy>,
}

#[derive(Debug)]
enum Store {
    Given(String),
    Own(Box<Redis>),
    Sentinels(Box<Sentinels>),
    Cluster(Box<Cluster>),
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
    /// Starts what every round needs, so that a missing server is told once and before anything runs.
    ///
    /// # Errors
    /// A server that is missing or does not start.
    pub fn start() -> Result<Self, String> {
        let told = |error: Error| error.to_string();
        let mut servers = Self::default();
        if given("DATABASE_URL").is_none() {
            servers.postgres = Some(Arc::new(Postgres::start().map_err(told)?));
        }
        if given("REDIS_URL").is_none() {
            // Each round has its own; this one only shows that there can be one.
            drop(Redis::start().map_err(told)?);
        }
        Ok(servers)
    }

    /// What a round with this nemesis stands on: a database of its own, on the server that the environment names or on a
    /// private one, and a store.
    ///
    /// # Errors
    /// A server that is missing or does not start.
    pub fn ground(&self, nemesis: &Nemesis, instances: u8) -> Result<Ground, String> {
        self.build(&nemesis.needs, instances).map_err(|error| error.to_string())
    }

    fn build(&self, needs: &Needs, instances: u8) -> Result<Ground, Error> {
        let postgres = self.postgres.clone();
        let database = match &postgres {
            Some(postgres) => postgres.fresh_database()?,
            None => fresh_database()?,
        };
        let store = match (needs.store, given("REDIS_URL")) {
            (StoreNeed::Any, Some(url)) => Store::Given(url),
            (StoreNeed::Any, None) => Store::Own(Box::new(Redis::start()?)),
            (StoreNeed::Sentinels, _) => Store::Sentinels(Box::new(Sentinels::start(1)?)),
            (StoreNeed::Cluster, _) => Store::Cluster(Box::new(Cluster::start()?)),
            (StoreNeed::Own(arguments), _) => Store::Own(Box::new(Redis::options().args(arguments).start()?)),
        };
        let namespace = unique_name("torture");
        let mut ground = Ground {
            database,
            postgres,
            store,
            namespace,
            before_redis: Vec::new(),
            before_postgres: Vec::new(),
        };
        for between in needs.proxies {
            for _ in 0..instances {
                match between {
                    Between::Redis => ground.before_redis.push(FaultProxy::redis(&ground.store_url())?),
                    Between::Postgres => {
                        ground.before_postgres.push(FaultProxy::postgres(&ground.database)?);
                    }
                }
            }
        }
        Ok(ground)
    }
}

impl Ground {
    /// Where an instance is to find its servers.
    #[must_use]
    pub fn urls(&self, instance: u8) -> Urls {
        let through = |between, direct: String| self.proxy(between, instance).map_or(direct, FaultProxy::url);
        Urls {
            database: through(Between::Postgres, self.database.clone()),
            redis: through(Between::Redis, self.store_url()),
        }
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
            Store::Sentinels(sentinels) => sentinels.url(),
            Store::Cluster(cluster) => cluster.url(),
        }
    }

    /// The Redis of this round's own.
    #[must_use]
    pub fn redis(&self) -> Option<&Redis> {
        match &self.store {
            Store::Own(redis) => Some(redis),
            _ => None,
        }
    }

    /// The servers behind Sentinel of this round's own.
    #[must_use]
    pub fn sentinels(&self) -> Option<&Sentinels> {
        match &self.store {
            Store::Sentinels(sentinels) => Some(sentinels),
            _ => None,
        }
    }

    /// The cluster of this round's own.
    #[must_use]
    pub fn cluster(&self) -> Option<&Cluster> {
        match &self.store {
            Store::Cluster(cluster) => Some(cluster),
            _ => None,
        }
    }

    /// Prefix of all names in the store.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The Postgres of this run's own.
    #[must_use]
    pub fn postgres(&self) -> Option<&Postgres> {
        self.postgres.as_deref()
    }

    /// The proxies of one kind, in the order of the instances.
    #[must_use]
    pub fn proxies(&self, between: Between) -> &[FaultProxy] {
        match between {
            Between::Redis => &self.before_redis,
            Between::Postgres => &self.before_postgres,
        }
    }

    /// The proxy of one kind that stands before an instance.
    ///
    /// # Errors
    /// When there is none.
    pub fn proxy(&self, between: Between, instance: u8) -> Result<&FaultProxy, String> {
        let proxy = self.proxies(between).get(usize::from(instance));
        proxy.ok_or_else(|| format!("there is no proxy before {between:?}"))
    }
}
