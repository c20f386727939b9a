//! Private servers for whoever names none, so that the program runs on a fresh machine. They end with it, and so does
//! what they hold.

use cache_test_support::{Error, Postgres};
use conduit::Config;

/// What was started. Dropping it stops it.
#[derive(Default)]
pub(crate) struct Servers {
    postgres: Option<Postgres>,
}

impl Servers {
    /// Starts what the options do not name, and names it there. May take as long as installing it takes.
    pub(crate) fn complete(config: &mut Config) -> Result<Self, Error> {
        let mut servers = Self::default();
        if config.database_url.as_deref().unwrap_or_default().is_empty() {
            let postgres = Postgres::start()?;
            config.database_url = Some(postgres.fresh_database()?);
            servers.postgres = Some(postgres);
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
}
