//! The cache under test, as a user writes it: two entries for each row, one that writes name and one that they reach through
//! a tag, and the three ways to write a row.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use cache_core::{Cache, RedisStore, cached, invalidates, writes_through};
use cache_sqlx::PgTx;

use super::{
    instance::{Answer, Assignment},
    pending::{Accounted, Pending},
    reaper::{Deadly, Reaper},
    row::Row,
    rows,
    rows::Rows,
};

/// An instance's cache.
#[derive(Clone, Debug)]
pub struct Fresh {
    rows: Rows,
    cache: Cache,
}

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In a transaction of the caller's.
    Within,
    /// In one that the attribute opens.
    Begin,
    /// The same, and the new value is installed where nobody else wrote.
    Through,
}

impl Fresh {
    /// Connects.
    ///
    /// # Errors
    /// A URL or a server that cannot be used.
    pub async fn connect(
        rows: Rows,
        url: &str,
        assignment: &Assignment,
        reaper: Arc<Reaper>,
        pending: Arc<Pending>,
    ) -> Result<Self, cache_core::BuildError> {
        let store = Deadly::new(Accounted::new(RedisStore::connect(url).await?, pending), reaper);
        let builder = Cache::builder(&assignment.namespace).store(store);
        let builder = match assignment.options.l1 {
            0 => builder,
            entries => builder.l1(entries as usize),
        };
        let cache = match assignment.options.without {
            Some(rule) => builder.without(rule).build()?,
            None => builder.build()?,
        };
        cache_sqlx::heal(&cache, &rows.pool);
        Ok(Self { rows, cache })
    }

    #[cached(key = "hot:<key>", ttl = "1h", ignores = [pause, loaded])]
    async fn row(&self, key: u16, pause: Duration, loaded: &AtomicBool) -> sqlx::Result<Row> {
        loaded.store(true, Relaxed);
        self.rows.load(key, pause).await.map(Row::new)
    }

    #[cached(key = "view:<key>", ttl = "1h", tags = ["hots:<key>"], ignores = [pause, loaded])]
    async fn view(&self, key: u16, pause: Duration, loaded: &AtomicBool) -> sqlx::Result<Row> {
        loaded.store(true, Relaxed);
        self.rows.load(key, pause).await.map(Row::new)
    }

    /// A read of the entry that writes name, or (`tagged`) of the one that they reach through its tag.
    ///
    /// # Errors
    /// The loader's.
    pub async fn read(&self, key: u16, tagged: bool, pause: Duration) -> sqlx::Result<Answer> {
        let loaded = AtomicBool::new(false);
        let row = match tagged {
            true => self.view(key, pause, &loaded).await,
            false => self.row(key, pause, &loaded).await,
        }?;
        Ok(Answer { version: row.version(), loaded: loaded.into_inner() })
    }

    #[invalidates(key = "hot:<key>", tag = "hots:<key>", within = tx)]
    async fn bump_within(&self, tx: &mut PgTx<'_>, key: u16) -> sqlx::Result<Row> {
        rows::bump(tx, key).await.map(Row::new)
    }

    #[invalidates(key = "hot:<key>", tag = "hots:<key>", begin = self.rows.pool)]
    async fn bump(&self, tx: &mut PgTx<'_>, key: u16) -> sqlx::Result<Row> {
        rows::bump(tx, key).await.map(Row::new)
    }

    #[writes_through(key = "hot:<key>", tag = "hots:<key>", begin = self.rows.pool)]
    async fn bump_through(&self, tx: &mut PgTx<'_>, key: u16) -> sqlx::Result<Row> {
        rows::bump(tx, key).await.map(Row::new)
    }

    /// A write.
    ///
    /// # Errors
    /// Those of the transaction.
    pub async fn write(&self, key: u16, way: Way) -> sqlx::Result<u32> {
        let row = match way {
            Way::Within => {
                let mut tx: PgTx<'_> = cache_sqlx::begin(&self.cache, &self.rows.pool).await?;
                let row = self.bump_within(&mut tx, key).await?;
                tx.commit().await?;
                row
            }
            Way::Begin => self.bump(key).await?,
            Way::Through => self.bump_through(key).await?,
        };
        Ok(row.version())
    }
}
