//! Deletes the rows of writes whose clear was confirmed, many at once. Refuses to matter: a row that stays is delivered by a relay,
//! which is one invalidation too many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Core;
use crate::key::Namespace;
use crate::outbox::{Left, RowId, Table};

/// How long rows are collected.
const LINGER: Duration = Duration::from_millis(100);
/// Rows of one statement.
const BATCH: usize = 1000;
/// Rows that wait for theirs; beyond that they are left to the relay.
const MOST: usize = 100_000;

/// Rows that are to be deleted.
#[derive(Debug, Default)]
pub(crate) struct Tidy(Mutex<Vec<(Arc<dyn Table>, RowId)>>);

impl Tidy {
    fn take(&self) -> Vec<(Arc<dyn Table>, RowId)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it is the first of a batch.
    fn put(&self, table: Arc<dyn Table>, row: RowId) -> bool {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.len() < MOST {
            rows.push((table, row));
        }
        rows.len() == 1
    }
}

impl Core {
    /// The subjects of this row were invalidated, and the store has confirmed it.
    pub(crate) fn is_delivered(&self, left: Left) {
        let (Some(table), Ok(runtime)) = (left.table, tokio::runtime::Handle::try_current()) else { return };
        if self.tidy.put(table, left.row) {
            let (tidy, namespace) = (self.tidy.clone(), self.namespace.clone());
            runtime.spawn(async move {
                tokio::time::sleep(LINGER).await;
                delete(&namespace, tidy.take()).await;
            });
        }
    }
}

async fn delete(namespace: &Namespace, rows: Vec<(Arc<dyn Table>, RowId)>) {
    let mut tables = BTreeMap::<String, (Arc<dyn Table>, Vec<RowId>)>::new();
    for (table, row) in rows {
        tables.entry(table.name().to_owned()).or_insert_with(|| (table, Vec::new())).1.push(row);
    }
    for (table, rows) in tables.into_values() {
        for some in rows.chunks(BATCH) {
            if let Err(why) = table.delete(namespace, some).await {
                tracing::debug!(why, rows = some.len(), "rows of the outbox stay, to be delivered again");
            }
        }
    }
}
