//! One fence over many transactions. Refuses to let it fall while one of them may still become visible, and to be healed by a
//! clock: an open transaction of its own stands for it, so the database knows whether it is over.

mod keeper;

use std::fmt;
use std::sync::Arc;

use cache_core::Cache;
use cache_core::commit::Standing;
use cache_core::scope::{Cover, Recording};
use cache_core::store::Origin;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use self::keeper::Keeper;
use crate::transaction::detached;
use crate::{PgTx, TxError};

/// A write of many transactions that is fenced once; see [`bulk`]. Clones are the same write. Dropped without
/// [`end`](Self::end), the last one lifts the fence once its transactions are over.
#[derive(Clone)]
pub struct Bulk {
    cache: Cache,
    pool: PgPool,
    /// `None`: the cache is off.
    kept: Option<Kept>,
}

#[derive(Clone)]
struct Kept {
    cover: Cover,
    keeper: Arc<mpsc::Sender<End>>,
}

/// Somebody waits for the end.
type End = oneshot::Sender<sqlx::Result<()>>;

impl fmt::Debug for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk")
            .field("cover", &self.kept.as_ref().map(|kept| &kept.cover))
            .finish_non_exhaustive()
    }
}

/// Begins a write of many transactions: an import, a migration of data, anything in batches. What `names` records is fenced now, once,
/// and until [`Bulk::end`]: readers load it from the database, and nothing is stored. Transactions of [`Bulk::begin`] commit without
/// a word to the store, unless they record more.
///
/// **It is one write, and returns with `end`**: a read that begins after that sees all of it. Before, readers see what is committed, but for
/// up to a second after the store or the database has lost the fence, when they may see less.
///
/// ```no_run
/// use cache_core::subject::Kind;
///
/// # async fn demo(cache: cache_core::Cache, pool: sqlx::PgPool, batches: Vec<Vec<String>>) -> sqlx::Result<()> {
/// let import = cache_sqlx::bulk(&cache, &pool, |writes| {
///     writes.touch(Kind::Tag, |text| text.literal("users"));
/// })
/// .await?;
/// for names in batches {
///     let mut tx = import.begin().await?;
///     sqlx::query("INSERT INTO users (name) SELECT * FROM UNNEST($1::text[])").bind(names).execute(&mut *tx).await?;
///     tx.commit().await?;
/// }
/// import.end().await
/// # }
/// ```
///
/// # Errors
/// Nothing recorded, a pool of a single connection (a bulk write needs one for itself), [`TxError::Unfenced`] or
/// [`TxError::Unidentified`], or the database's own. Then nothing is fenced.
pub async fn bulk(cache: &Cache, pool: &PgPool, names: impl FnOnce(&Recording)) -> sqlx::Result<Bulk> {
    let recording = cache.recording();
    names(&recording);
    let (cache, pool) = (cache.clone(), pool.clone());
    if cache.is_off() {
        return Ok(Bulk { cache, pool, kept: None });
    }
    recording.settle(None).await;
    // Nothing is owed: `names` is over.
    let writes = recording.finish().map_err(TxError::Uncovered)?;
    if writes.subjects.is_empty() {
        return Err(wrong(
            "a bulk write names nothing that it changes: record a tag or a key, as in `writes.touch(Kind::Tag, …)`",
        ));
    }
    if pool.options().get_max_connections() < 2 {
        return Err(wrong(
            "a bulk write needs a connection for itself beside those of its transactions: give the pool at least 2",
        ));
    }
    detached(async move {
        let (anchor, origin) = anchor(&cache, &pool).await?;
        let (cover, settled) = (Cover::new(&writes.subjects), writes.settled.clone());
        let fence = cache.fence(writes, origin).await.map_err(TxError::Unfenced)?;
        // Its transactions return while it stands.
        fence.heard().await;
        let (keeper, ends) = mpsc::channel(1);
        let (cache_of, pool_of) = (cache.clone(), pool.clone());
        tokio::spawn(
            Keeper { cache: cache_of, pool: pool_of, cover: cover.clone(), anchor, fence, settled }.run(ends),
        );
        Ok(Bulk { cache, pool, kept: Some(Kept { cover, keeper: Arc::new(keeper) }) })
    })
    .await
}

impl Bulk {
    /// Begins a transaction of the bulk write, as [`begin`](crate::begin) does. Any number may be open at once. What it records beyond
    /// that is fenced by its own commit, as ever; so is everything, once the bulk write has ended.
    ///
    /// # Errors
    /// Those of [`begin`](crate::begin).
    pub async fn begin(&self) -> sqlx::Result<PgTx<'static>> {
        let tx = crate::begin(&self.cache, &self.pool).await?;
        Ok(match &self.kept {
            Some(kept) => tx.under(&kept.cover),
            None => tx,
        })
    }

    /// Ends the bulk write: waits for commits that are under way, lifts the fence, and returns when every read that begins now sees all of it.
    /// Goes on in the background if the future is dropped.
    ///
    /// # Errors
    /// [`TxError::Unclear`]: all was made, and that stale entries are gone is not confirmed yet. Another text
    /// where a clone has ended it already.
    pub async fn end(self) -> sqlx::Result<()> {
        let Some(Kept { keeper, .. }) = self.kept else { return Ok(()) };
        let (end, ended) = oneshot::channel();
        if keeper.send(end).await.is_err() {
            return Err(wrong(ENDED));
        }
        ended.await.unwrap_or_else(|_| Err(wrong(ENDED)))
    }
}

/// An open transaction that stands for the bulk write, and how others ask about it.
async fn anchor(cache: &Cache, pool: &PgPool) -> sqlx::Result<(PgTx<'static>, Origin)> {
    let mut anchor = crate::begin(cache, pool).await?;
    // It does nothing for as long as the write takes.
    sqlx::query("SET LOCAL idle_in_transaction_session_timeout = 0").execute(&mut *anchor).await?;
    match anchor.standing().await {
        Ok(Standing::Open(origin)) => Ok((anchor, origin)),
        Ok(Standing::Ended) => Err(TxError::CommittedOutside.into()),
        Err(error) if error.as_database_error().is_some() => Err(TxError::Unidentified(error).into()),
        Err(error) => Err(error),
    }
}

const ENDED: &str = "the bulk write was ended already, by a clone";

fn wrong(mistake: &'static str) -> sqlx::Error {
    sqlx::Error::Configuration(mistake.into())
}
