//! What can be chosen from outside, and what is chosen otherwise.

use clap::{Parser, Subcommand, ValueEnum};

use crate::{PasswordCost, WarmOptions};

/// The RealWorld ("Conduit") backend: users, articles, comments, favourites and feeds over HTTP and Postgres.
#[derive(Clone, Debug, Parser)]
#[command(name = "conduit", version)]
pub struct Config {
    /// Postgres to use, e.g. postgres://user:password@localhost/conduit; unset, a private one that ends with the process
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,

    /// Redis to cache in, e.g. redis://localhost:6379; unset, a private one that ends with the process
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<String>,

    /// Whether reads are cached, the same for all instances; the answers are the same either way, byte for byte
    #[arg(long, env = "CACHE", value_name = "SWITCH", default_value = "on")]
    pub cache: CacheSwitch,

    /// Prefix of all names in Redis, one for each database; unset, `conduit`, or a random one for a private database
    #[arg(long, env = "CACHE_NAMESPACE", value_name = "NAME")]
    pub cache_namespace: Option<String>,

    /// Address to listen on
    #[arg(long, env = "CONDUIT_HOST", value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: String,

    /// Port to listen on; 0 takes any free one
    #[arg(long, env = "PORT", default_value_t = 3000)]
    pub port: u16,

    /// Connections to Postgres at most
    #[arg(long, env = "DATABASE_CONNECTIONS", value_name = "COUNT", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub database_connections: u32,

    /// Secret that signs tokens, the same for all instances; unset, a random one that lives as long as the process
    #[arg(long, env = "JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub jwt_secret: Option<String>,

    /// Fill the cache at start; until that is done, /health answers 503
    #[arg(long, env = "WARM_AT_START")]
    pub warm_at_start: bool,

    /// What to do in place of serving
    #[command(subcommand)]
    pub task: Option<Task>,

    /// What hashing a password costs. Not a command-line option: only tests have a reason to lower it.
    #[arg(skip)]
    pub password_cost: PasswordCost,
}

/// What can be done in place of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// Fill the cache with all articles and profiles, and end
    Warm(WarmOptions),
}

/// Whether reads go through the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CacheSwitch {
    /// Through the cache.
    On,
    /// Straight to Postgres.
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_listen_on_port_3000_with_the_cache_on() {
        let config = Config::try_parse_from(["conduit", "--database-url", "postgres://localhost/x"]).unwrap();
        assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 3000));
        assert_eq!(config.cache, CacheSwitch::On);
        assert_eq!(config.password_cost, PasswordCost::Recommended);
    }

    #[test]
    fn warming_is_a_task_with_options_of_its_own() {
        let config = Config::try_parse_from(["conduit", "warm", "articles", "--from", "7"]).unwrap();
        let Some(Task::Warm(options)) = config.task else { panic!("{config:?}") };
        assert_eq!((options.from, options.concurrency, options.rate), (7, 4, None));
        assert_eq!(options.sets, [crate::Warmable::Articles]);
    }

    #[test]
    fn an_unknown_cache_switch_is_refused_with_the_possible_ones() {
        let error = Config::try_parse_from(["conduit", "--cache", "maybe"]).unwrap_err().to_string();
        assert!(error.contains("on, off"), "{error}");
    }
}
