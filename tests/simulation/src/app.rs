//! The application of the simulated instances: annotated functions as a user writes them. Refuses nothing.
//!
//! `row`, `soon`, `list`, `card` and the batches do what the seed draws ([`crate::variety`]); `early`, `page` and `badge` are always the same.

use std::collections::HashMap;

use cache_core::store::BoxFuture;
use cache_core::{Cache, Cacheable, bounded, cached, invalidates, writes_through};
use serde::{Deserialize, Serialize};

use crate::client::{Db, Failure, SimTx};
use crate::database::Version;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Cacheable)]
pub struct Row {
    pub id: usize,
    pub version: Version,
}

impl Row {
    /// What a reader of it saw.
    pub fn seen(&self) -> (usize, Version) {
        (self.id, self.version)
    }
}

/// A value made of a cached one and of a statement of its own.
#[derive(Clone, Debug, Serialize, Deserialize, Cacheable)]
pub struct Card {
    inner: (usize, Version),
    own: (usize, Version),
}

impl Card {
    /// What a reader of it saw.
    pub fn seen(&self) -> Vec<(usize, Version)> {
        vec![self.inner, self.own]
    }
}

/// A value made of two cached ones, one of which is tagged.
#[derive(Clone, Debug, Serialize, Deserialize, Cacheable)]
pub struct Page {
    listed: Vec<(usize, Version)>,
    first: (usize, Version),
}

impl Page {
    /// What a reader of it saw.
    pub fn seen(&self) -> Vec<(usize, Version)> {
        let mut seen = self.listed.clone();
        seen.push(self.first);
        seen
    }
}

/// A row that says which other row it is about, and what that one holds.
#[derive(Clone, Debug, Serialize, Deserialize, Cacheable)]
pub struct Story {
    own: (usize, Version),
    about: usize,
    told: Version,
}

impl Story {
    /// What a reader of it saw.
    pub fn seen(&self) -> [(usize, Version); 2] {
        [self.own, (self.about, self.told)]
    }
}

/// A value made by functions that call each other, or of one that may be old.
#[derive(Clone, Debug, Serialize, Deserialize, Cacheable)]
pub struct Turn {
    /// What a reader of it saw.
    pub seen: Vec<(usize, Version)>,
}

/// What a reader saw of one row.
pub fn seen(id: usize, row: Option<&Row>) -> (usize, Version) {
    (id, row.map_or(0, |row| row.version))
}

/// One process of the application.
#[derive(Clone, Debug)]
pub struct App {
    pub cache: Cache,
    pub db: Db,
    /// How many rows there are.
    pub count: usize,
}

impl App {
    async fn select(&self, id: usize) -> Result<Option<Row>, Failure> {
        let version = self.db.read(vec![id]).await?[0];
        Ok((version > 0).then_some(Row { id, version }))
    }

    async fn select_many(&self, ids: &[usize]) -> Result<HashMap<usize, Row>, Failure> {
        let versions = self.db.read(ids.to_vec()).await?;
        let rows = ids.iter().zip(versions).filter(|(_, version)| *version > 0);
        Ok(rows.map(|(&id, version)| (id, Row { id, version })).collect())
    }

    #[cached(key = "row:<id>", profile = "behind", refresh = "background")]
    pub async fn row(&self, id: usize) -> Result<Option<Row>, Failure> {
        self.select(id).await
    }

    #[cached(key = "early:<id>", ttl = "10m", negative_ttl = "10m", stampede = "xfetch(beta=1000000)")]
    pub async fn early(&self, id: usize) -> Result<Option<Row>, Failure> {
        self.select(id).await
    }

    /// As `row`, by its caller, who does not wait for long.
    #[cached(key = "soon:<id>", profile = "before", hard_timeout = "40ms")]
    pub async fn soon(&self, id: usize) -> Result<Option<Row>, Failure> {
        self.select(id).await
    }

    /// Entries of `row`, many in one call.
    #[cached(key = "row:<id>", profile = "before", batch, batch_limit = 2)]
    pub async fn rows(&self, ids: &[usize]) -> Result<HashMap<usize, Row>, Failure> {
        self.select_many(ids).await
    }

    /// Entries of `soon`, many in one call.
    #[cached(key = "soon:<id>", profile = "before", hard_timeout = "40ms", batch)]
    pub async fn many(&self, ids: &[usize]) -> Result<HashMap<usize, Row>, Failure> {
        self.select_many(ids).await
    }

    #[cached(key = "list", tags = ["rows"], profile = "behind", refresh = "background", hard_timeout = "40ms")]
    pub async fn list(&self) -> Result<Vec<Row>, Failure> {
        let versions = self.db.read((0..self.count).collect()).await?;
        Ok(versions.into_iter().enumerate().map(|(id, version)| Row { id, version }).collect())
    }

    async fn tell(&self, id: usize) -> Result<Option<Story>, Failure> {
        let Some(row) = self.select(id).await? else { return Ok(None) };
        // Each write of the row makes it a story about another one.
        let about = (id + usize::try_from(row.version).unwrap_or_default()) % self.count;
        let told = self.db.read(vec![about]).await?[0];
        Ok(Some(Story { own: row.seen(), about, told }))
    }

    #[cached(key = "story:<id>", tag = "told:<return.about>", profile = "behind", refresh = "background")]
    pub async fn story(&self, id: usize) -> Result<Option<Story>, Failure> {
        self.tell(id).await
    }

    #[cached(key = "stories", tags = ["rows", "told:<return.about>"], profile = "before", hard_timeout = "40ms")]
    pub async fn stories(&self) -> Result<Vec<Story>, Failure> {
        let mut stories = Vec::new();
        for id in 0..self.count {
            stories.extend(self.tell(id).await?);
        }
        Ok(stories)
    }

    #[cached(key = "left:<id>", ttl = "10m", ignores = [deep])]
    pub async fn left(&self, id: usize, deep: u8) -> Result<Turn, Failure> {
        let own = (id, self.db.read(vec![id]).await?[0]);
        self.turn(own, deep, Self::boxed_right).await
    }

    #[cached(key = "right:<id>", ttl = "10m", ignores = [deep])]
    pub async fn right(&self, id: usize, deep: u8) -> Result<Turn, Failure> {
        let own = (id, self.db.read(vec![id]).await?[0]);
        self.turn(own, deep, Self::boxed_left).await
    }

    async fn turn<'a>(
        &'a self,
        own: (usize, Version),
        deep: u8,
        other: fn(&'a Self, usize, u8) -> BoxFuture<'a, Result<Turn, Failure>>,
    ) -> Result<Turn, Failure> {
        let mut seen = vec![own];
        if let Some(deep) = deep.checked_sub(1) {
            seen.append(&mut other(self, own.0, deep).await?.seen);
        }
        Ok(Turn { seen })
    }

    fn boxed_left(&self, id: usize, deep: u8) -> BoxFuture<'_, Result<Turn, Failure>> {
        Box::pin(self.left(id, deep))
    }

    fn boxed_right(&self, id: usize, deep: u8) -> BoxFuture<'_, Result<Turn, Failure>> {
        Box::pin(self.right(id, deep))
    }

    #[cached(key = "card:<id>", profile = "before")]
    pub async fn card(&self, id: usize) -> Result<Card, Failure> {
        let inner = self.row(id).await?;
        let own = self.select(id).await?;
        Ok(Card { inner: seen(id, inner.as_ref()), own: seen(id, own.as_ref()) })
    }

    #[cached(key = "page:<id>", tags = ["rows"], ttl = "10m")]
    pub async fn page(&self, id: usize) -> Result<Page, Failure> {
        let listed = self.list().await?;
        let first = self.row(id).await?;
        Ok(Page { listed: listed.iter().map(Row::seen).collect(), first: seen(id, first.as_ref()) })
    }

    /// Made of a row that may be as old as its policy says.
    #[cached(key = "badge:<id>", ttl = "10m")]
    pub async fn badge(&self, id: usize) -> Result<Turn, Failure> {
        let row = bounded(self.row(id)).await?;
        Ok(Turn { seen: vec![seen(id, row.as_ref())] })
    }

    /// Writes a row in somebody's transaction.
    #[invalidates(key = "row:<id>", key = "early:<id>", key = "soon:<id>", key = "card:<id>", tag = "rows", within = tx)]
    pub async fn bump(&self, tx: &mut SimTx, id: usize) -> Result<(), Failure> {
        tx.write(id).await?;
        Ok(())
    }

    /// Writes a row in a transaction of its own: what is read of it by itself, and what others tell of it.
    #[invalidates(keys = ["row:<id>", "soon:<id>", "story:<id>"], tags = ["rows", "told:<id>"], begin = self.db)]
    pub async fn revise(&self, tx: &mut SimTx, id: usize) -> Result<(), Failure> {
        tx.write(id).await?;
        Ok(())
    }

    /// Writes a row in a transaction of its own, for the two that call each other.
    #[invalidates(keys = ["row:<id>", "left:<id>", "right:<id>"], begin = self.db)]
    pub async fn swing(&self, tx: &mut SimTx, id: usize) -> Result<(), Failure> {
        tx.write(id).await?;
        Ok(())
    }

    /// Writes a row in a transaction of its own, for what is made of it.
    #[invalidates(keys = ["row:<id>", "soon:<id>", "badge:<id>"], tag = "rows", begin = self.db)]
    pub async fn pin(&self, tx: &mut SimTx, id: usize) -> Result<(), Failure> {
        tx.write(id).await?;
        Ok(())
    }

    /// Writes a row in a transaction of its own and installs what it wrote.
    #[writes_through(key = "row:<return.id>", keys = ["early:<id>", "soon:<id>", "card:<id>"], tag = "rows", begin = self.db)]
    pub async fn install(&self, tx: &mut SimTx, id: usize) -> Result<Row, Failure> {
        let version = tx.write(id).await?;
        Ok(Row { id, version })
    }

    /// Writes a row without a transaction.
    #[invalidates(key = "row:<id>", key = "early:<id>", key = "soon:<id>", key = "card:<id>", tag = "rows")]
    pub async fn alone(&self, id: usize) -> Result<(), Failure> {
        self.db.write_alone(id).await?;
        Ok(())
    }
}
