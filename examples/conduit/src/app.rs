//! The running application: what it is made of, how it starts and stops.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use cache_core::error::BuildError;
use cache_core::store::Store;
use cache_core::warm::{Gate, Progress};
use cache_core::{Cache, RedisStore};
use cache_sqlx::PgTx;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpListener;

use crate::config::{CacheSwitch, Config};
use crate::http;
use crate::password::{PasswordError, Passwords};
use crate::repo::{Articles, Comments, Favorites, Follows, Tags, Users};
use crate::token::Tokens;
use crate::warm::{WarmOptions, Warmable, Warmer};

/// What every handler sees.
pub(crate) struct Conduit {
    cache: Cache,
    pool: PgPool,
    pub(crate) users: Users,
    pub(crate) follows: Follows,
    pub(crate) articles: Articles,
    pub(crate) favorites: Favorites,
    pub(crate) comments: Comments,
    pub(crate) tags: Tags,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    /// Opens when what is warmed at start is warm.
    pub(crate) gate: Gate,
}

impl Conduit {
    /// The one place a transaction begins. While one is open nothing else is asked of the pool.
    pub(crate) async fn begin(&self) -> sqlx::Result<PgTx<'static>> {
        cache_sqlx::begin(&self.cache, &self.pool).await
    }

    fn warmer(&self) -> Warmer<'_> {
        Warmer { cache: &self.cache, pool: &self.pool, articles: &self.articles, users: &self.users }
    }
}

/// An instance of the application over its own pool. Any number may share a database; then they share a Redis and a
/// namespace too, and all have the cache on, or all off.
pub struct App {
    conduit: Arc<Conduit>,
    database: String,
    store: Option<String>,
}

impl App {
    /// Connects and brings the schema up to date; instances that start at once take turns.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let url = config.database_url.as_deref().ok_or(StartError::NoDatabase)?;
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(StartError::DatabaseUrl(
                "it begins with neither postgres:// nor postgresql://".into(),
            ));
        }
        let options: PgConnectOptions =
            url.parse().map_err(|error: sqlx::Error| StartError::DatabaseUrl(error.into()))?;
        let place = format!(
            "{}:{}/{}",
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or(options.get_username())
        );
        let (cache, store) = cache(&config).await?;
        let pool = PgPoolOptions::new()
            .max_connections(config.database_connections)
            .connect_with(options)
            .await
            .map_err(StartError::Connect)?;
        let version: String =
            sqlx::query_scalar("SHOW server_version").fetch_one(&pool).await.map_err(StartError::Connect)?;
        sqlx::migrate!().run(&pool).await.map_err(StartError::Migrate)?;
        let tokens = match &config.jwt_secret {
            Some(secret) => Tokens::new(secret.as_bytes()),
            None => Tokens::random().map_err(StartError::Random)?,
        };
        let passwords = Passwords::new(config.password_cost).await.map_err(StartError::from)?;
        // An instance that only reads heals the fences of writers that died elsewhere, too.
        cache_sqlx::heal(&cache, &pool);
        let conduit = Conduit {
            users: Users::new(cache.clone(), pool.clone()),
            follows: Follows::new(cache.clone(), pool.clone()),
            articles: Articles::new(cache.clone(), pool.clone()),
            favorites: Favorites::new(cache.clone(), pool.clone()),
            comments: Comments::new(cache.clone(), pool.clone()),
            tags: Tags::new(cache.clone(), pool.clone()),
            tokens,
            passwords,
            gate: cache.gate(),
            cache,
            pool,
        };
        let database = format!("PostgreSQL {version} at {place}");
        let conduit = Arc::new(conduit);
        if config.warm_at_start {
            warm_at_start(&conduit);
        }
        Ok(Self { conduit, database, store })
    }

    /// What it runs on, for people; without credentials.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Where the cache keeps its entries, for people; without credentials. `None` when it is off.
    pub fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// The cache, for its counters.
    pub fn cache(&self) -> &Cache {
        &self.conduit.cache
    }

    /// Fills the cache with all rows of a set.
    pub async fn warm(
        &self,
        set: Warmable,
        options: &WarmOptions,
        listener: impl FnMut(&Progress) + Send,
    ) -> sqlx::Result<Progress> {
        self.conduit.warmer().warm(set, options, None, listener).await
    }

    /// Every endpoint, to serve or to call in process.
    pub fn router(&self) -> Router {
        http::router(Arc::clone(&self.conduit))
    }

    /// Serves until `shutdown` ends, lets running requests finish, and gives the connections back.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let served = axum::serve(listener, self.router()).with_graceful_shutdown(shutdown).await;
        self.close().await;
        served
    }

    /// Gives the connections back, for an instance that was only called in process.
    pub async fn close(self) {
        self.conduit.pool.close().await;
    }
}

/// Warms everything behind the gate that the health endpoint asks. It ends with the process: nothing is left half done.
fn warm_at_start(conduit: &Arc<Conduit>) {
    let sets = Warmable::ALL.map(|set| (set, conduit.gate.set(&set.to_string())));
    let conduit = Arc::clone(conduit);
    tokio::spawn(async move {
        for (set, gate) in sets {
            let options = WarmOptions::default();
            if let Err(error) = conduit.warmer().warm(set, &options, Some(gate), |_| {}).await {
                tracing::warn!(%error, "the {set} cannot be warmed");
            }
        }
    });
}

/// The cache of these options, and where it keeps its entries.
async fn cache(config: &Config) -> Result<(Cache, Option<String>), StartError> {
    let namespace = config.cache_namespace.as_deref().unwrap_or("conduit");
    let builder = Cache::builder(namespace);
    if config.cache == CacheSwitch::Off {
        return Ok((builder.off().build().map_err(StartError::Cache)?, None));
    }
    let url = config.redis_url.as_deref().ok_or(StartError::NoRedis)?;
    let store = RedisStore::connect(url).await.map_err(StartError::Cache)?;
    let place = format!("{}, namespace {namespace}", store.describe());
    Ok((builder.store(store).build().map_err(StartError::Cache)?, Some(place)))
}

/// Why the application did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// No database was named.
    NoDatabase,
    /// The database's address makes no sense, or is another database's.
    DatabaseUrl(Box<dyn std::error::Error + Send + Sync>),
    /// The cache is on and no Redis was named.
    NoRedis,
    /// The cache cannot be built with these options, or its Redis cannot be used.
    Cache(BuildError),
    /// The database did not answer.
    Connect(sqlx::Error),
    /// The schema could not be brought up to date.
    Migrate(sqlx::migrate::MigrateError),
    /// The system has no randomness to give.
    Random(getrandom::Error),
    /// Password hashing does not work here.
    Passwords(Box<dyn std::error::Error + Send + Sync>),
}

impl From<PasswordError> for StartError {
    fn from(error: PasswordError) -> Self {
        Self::Passwords(error.into())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDatabase => f.write_str("no database: set DATABASE_URL or pass --database-url"),
            Self::DatabaseUrl(error) => write!(f, "DATABASE_URL is no Postgres URL: {error}"),
            Self::NoRedis => f.write_str(
                "no Redis: set REDIS_URL or pass --redis-url, or turn the cache off with CACHE=off",
            ),
            Self::Cache(error) => write!(f, "no cache: {error}"),
            Self::Connect(error) => write!(f, "Postgres does not answer: {error}"),
            Self::Migrate(error) => write!(f, "the schema could not be brought up to date: {error}"),
            Self::Random(error) => write!(f, "no random key for tokens: {error}"),
            Self::Passwords(error) => write!(f, "passwords cannot be hashed: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoDatabase | Self::NoRedis => None,
            Self::Cache(error) => Some(error),
            Self::Connect(error) => Some(error),
            Self::Migrate(error) => Some(error),
            Self::Random(error) => Some(error),
            Self::DatabaseUrl(error) | Self::Passwords(error) => Some(&**error),
        }
    }
}
