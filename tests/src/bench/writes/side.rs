//! The ways to write a row.

use super::app::App;

/// A way to write a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// One UPDATE that commits by itself.
    Update,
    /// BEGIN, UPDATE, COMMIT.
    Transaction,
    /// `#[invalidates(begin = …)]`.
    Invalidates,
    /// `#[writes_through(begin = …)]`.
    Through,
    /// `#[writes_behind]` over a journal in a folder.
    File,
    /// `#[writes_behind]` over a journal in Redis.
    Redis,
}

impl Side {
    pub(super) const ALL: [Self; 6] =
        [Self::Update, Self::Transaction, Self::Invalidates, Self::Through, Self::File, Self::Redis];

    /// What its figures are called: median, 99th percentile, writes a second, statements a write.
    pub(super) fn figures(self) -> [&'static str; 4] {
        match self {
            Self::Update => ["update p50", "update p99", "update", "update sql"],
            Self::Transaction => ["begin p50", "begin p99", "begin", "begin sql"],
            Self::Invalidates => ["invalidate p50", "invalidate p99", "invalidate", "invalidate sql"],
            Self::Through => ["through p50", "through p99", "through", "through sql"],
            Self::File => ["file p50", "file p99", "file", "file sql"],
            Self::Redis => ["redis p50", "redis p99", "redis", "redis sql"],
        }
    }

    pub(super) async fn write(self, app: &App, id: i64, value: i64) -> sqlx::Result<()> {
        match self {
            Self::Update => app.update(id, value).await,
            Self::Transaction => app.transaction(id, value).await,
            Self::Invalidates => app.invalidate(id, value).await,
            Self::Through => app.write_through(id, value).await.map(drop),
            Self::File => app.by_file(id, value).await.map(drop),
            Self::Redis => app.by_redis(id, value).await.map(drop),
        }
    }
}
