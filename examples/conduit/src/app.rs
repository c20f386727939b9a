//! The running application: what it is made of, how it starts and stops.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::http;
use crate::password::{PasswordError, Passwords};
use crate::repo::{Articles, Comments, Favorites, Follows, Tags, Users};
use crate::token::Tokens;

/// What every handler sees.
pub(crate) struct Conduit {
    pool: PgPool,
    pub(crate) users: Users,
    pub(crate) follows: Follows,
    pub(crate) articles: Articles,
    pub(crate) favorites: Favorites,
    pub(crate) comments: Comments,
    pub(crate) tags: Tags,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
}

impl Conduit {
    /// The one place a transaction begins. While one is open nothing else is asked of the pool.
    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.pool.begin().await
    }
}

/// An instance of the application over its own pool. Any number may share a database.
pub struct App {
    conduit: Arc<Conduit>,
    database: String,
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
        let conduit = Conduit {
            users: Users::new(pool.clone()),
            follows: Follows::new(pool.clone()),
            articles: Articles::new(pool.clone()),
            favorites: Favorites::new(pool.clone()),
            comments: Comments::new(pool.clone()),
            tags: Tags::new(pool.clone()),
            tokens,
            passwords,
            pool,
        };
        Ok(Self { conduit: Arc::new(conduit), database: format!("PostgreSQL {version} at {place}") })
    }

    /// What it runs on, for people; without credentials.
    pub fn database(&self) -> &str {
        &self.database
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

/// Why the application did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// No database was named.
    NoDatabase,
    /// The database's address makes no sense, or is another database's.
    DatabaseUrl(Box<dyn std::error::Error + Send + Sync>),
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
            Self::NoDatabase => None,
            Self::Connect(error) => Some(error),
            Self::Migrate(error) => Some(error),
            Self::Random(error) => Some(error),
            Self::DatabaseUrl(error) | Self::Passwords(error) => Some(&**error),
        }
    }
}
