//! One delivery: claim, invalidate, delete, commit. Refuses to delete what the store has not confirmed; what is claimed and not
//! deleted is free again when the transaction ends, however it ends.

use std::time::Duration;

use cache_core::StoreError;
use cache_core::commit::Standing;
use cache_core::outbox::subjects_of;
use cache_core::store::Origin;
use cache_core::subject::Subject;
use sqlx::{Postgres, SqlSafeStr};

use super::Shared;
use crate::backend::Engine;
use crate::transaction::next_label;

const CLAIM: &str = include_str!("claim.sql");
const WAITS: &str = include_str!("waits.sql");

/// Subjects that are fenced at one time, unless one row has more.
const TOGETHER: usize = 1000;

/// What a step did.
#[derive(Debug)]
pub(super) enum Step {
    /// So many rows are delivered and gone.
    Delivered { rows: usize, age: Duration },
    /// Nothing waits that is not claimed.
    Nothing,
    /// The store did not confirm; `first` is the first row that is not delivered.
    Undelivered { first: i64, rows: usize, age: Duration, error: StoreError },
}

struct Claimed {
    id: i64,
    subjects: Vec<Subject>,
}

/// Whether there is anything to claim: one statement, for a relay that found nothing a moment ago.
pub(super) async fn waits(shared: &Shared) -> sqlx::Result<bool> {
    let asking =
        sqlx::query_scalar(WAITS).bind(shared.cache.namespace().as_str()).bind(shared.young.as_secs_f64());
    asking.fetch_one(&shared.pool).await
}

/// Delivers up to `limit` rows behind `after`.
pub(super) async fn step(shared: &Shared, after: i64, limit: usize) -> sqlx::Result<Step> {
    let label = next_label(None, None);
    let begin = "BEGIN ISOLATION LEVEL READ COMMITTED".into_sql_str();
    let mut tx = shared.pool.begin_with(Postgres::opening(Some(begin), &label)).await?;
    let namespace = shared.cache.namespace();
    let rows: Vec<(i64, Vec<u8>, f64)> = sqlx::query_as(CLAIM)
        .bind(namespace.as_str())
        .bind(shared.young.as_secs_f64())
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *tx)
        .await?;
    let Some(age) = rows.first().map(|row| Duration::try_from_secs_f64(row.2).unwrap_or_default()) else {
        tx.rollback().await?;
        return Ok(Step::Nothing);
    };
    // Whom to ask about a fence that a relay leaves behind that dies here: its transaction ends with it.
    let Standing::Open(origin) = Postgres::standing(&mut tx, &label).await? else {
        return Err(sqlx::Error::Protocol("the relay's transaction was ended behind its back".into()));
    };
    let claimed: Vec<_> = rows
        .into_iter()
        .map(|(id, row, _)| {
            let (subjects, strangers) = subjects_of(namespace, &row);
            if strangers > 0 {
                tracing::error!(
                    id,
                    strangers,
                    "a row of cache_outbox names what no cache has; it is left out"
                );
            }
            Claimed { id, subjects }
        })
        .collect();
    let (delivered, error) = deliver(shared, &claimed, &origin).await;
    let ids: Vec<i64> = claimed[..delivered].iter().map(|row| row.id).collect();
    if !ids.is_empty() {
        sqlx::query("DELETE FROM cache_outbox WHERE namespace = $1 AND id = ANY ($2)")
            .bind(namespace.as_str())
            .bind(&ids)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    if !ids.is_empty() {
        shared.counters.delivered(ids.len());
    }
    Ok(match error {
        None => Step::Delivered { rows: claimed.len(), age },
        Some(error) => {
            Step::Undelivered { first: claimed[delivered].id, rows: claimed.len() - delivered, age, error }
        }
    })
}

/// Invalidates what rows name, in their order, whole rows at a time: what one write changed is fenced together. How many rows are
/// done, and why not all.
async fn deliver(shared: &Shared, rows: &[Claimed], origin: &Origin) -> (usize, Option<StoreError>) {
    let mut done = 0;
    while done < rows.len() {
        let mut subjects = Vec::<Subject>::new();
        let mut end = done;
        while let Some(row) = rows.get(end)
            && (end == done || subjects.len() + row.subjects.len() <= TOGETHER)
        {
            subjects.extend(row.subjects.iter().cloned());
            end += 1;
        }
        subjects.sort_unstable();
        subjects.dedup();
        if let Err(error) = shared.cache.deliver(subjects, origin.clone()).await {
            return (done, Some(error));
        }
        done = end;
    }
    (done, None)
}
