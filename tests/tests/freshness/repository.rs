//! Ordinary repositories: sqlx methods with attributes on them.

use cache_core::{Cache, Cacheable, KeyPart, cached, invalidates, writes_through};
use cache_sqlx::{PgTx, ReadFrom};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};

use crate::gates::{Gates, Point};

pub(crate) const SCHEMA: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, handle text UNIQUE NOT NULL, team text NOT NULL, name text NOT NULL);
    INSERT INTO users VALUES (1, 'ada', 'red', 'old'), (2, 'bob', 'red', 'Bob');
    CREATE TABLE notes (owner text, path text, body text NOT NULL, PRIMARY KEY (owner, path))";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromRow, Cacheable)]
#[cacheable(key = "user:<id>")]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) handle: String,
    pub(crate) team: String,
    pub(crate) name: String,
}

/// A user whose handle has changed, with the one from before.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Moved {
    pub(crate) was: String,
    pub(crate) handle: String,
    pub(crate) team: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Users {
    pub(crate) cache: Cache,
    pub(crate) pool: PgPool,
    pub(crate) gates: Gates,
}

impl Users {
    #[cached(key = "user:<id>", ttl = "1h")]
    pub(crate) async fn find(&self, id: i64) -> sqlx::Result<Option<User>> {
        let found =
            sqlx::query_as("SELECT * FROM users WHERE id = $1").bind(id).fetch_optional(&self.pool).await;
        self.gates.pass(Point::Loaded).await;
        found
    }

    /// The same entry, loaded early at every chance.
    #[cached(key = "user:<id>", ttl = "1h", stampede = "xfetch(beta=1e15)")]
    pub(crate) async fn find_early(&self, id: i64) -> sqlx::Result<Option<User>> {
        let found =
            sqlx::query_as("SELECT * FROM users WHERE id = $1").bind(id).fetch_optional(&self.pool).await;
        self.gates.pass(Point::Loaded).await;
        found
    }

    /// The same entry, from wherever the caller is.
    #[cached(key = User, ttl = "1h", on = db)]
    pub(crate) async fn find_on(&self, db: impl ReadFrom<'_>, id: i64) -> sqlx::Result<Option<User>> {
        sqlx::query_as("SELECT * FROM users WHERE id = $1").bind(id).fetch_optional(db).await
    }

    #[cached(key = "handle:<handle>", ttl = "1h")]
    pub(crate) async fn by_handle(&self, handle: &str) -> sqlx::Result<Option<User>> {
        let found = "SELECT * FROM users WHERE handle = $1";
        sqlx::query_as(found).bind(handle).fetch_optional(&self.pool).await
    }

    #[cached(key = "names", ttl = "1h", tags = ["users"])]
    pub(crate) async fn names(&self) -> sqlx::Result<Vec<String>> {
        let names = sqlx::query_scalar("SELECT name FROM users ORDER BY id").fetch_all(&self.pool).await;
        self.gates.pass(Point::Loaded).await;
        names
    }

    #[cached(key = "roster:<team>", ttl = "1h", tags = ["users", "team:<team>"])]
    pub(crate) async fn roster(&self, team: &str) -> sqlx::Result<Vec<String>> {
        let names = "SELECT handle || ' ' || name FROM users WHERE team = $1 ORDER BY id";
        sqlx::query_scalar(names).bind(team).fetch_all(&self.pool).await
    }

    #[cached(key = "size:<team>", ttl = "1h", tags = ["team:<team>"])]
    pub(crate) async fn size(&self, team: &str) -> sqlx::Result<i64> {
        sqlx::query_scalar("SELECT count(*) FROM users WHERE team = $1")
            .bind(team)
            .fetch_one(&self.pool)
            .await
    }

    #[invalidates(key = "user:<id>", key = "handle:<return.handle>", tag = "users", tag = "team:<return.team>", within = tx)]
    pub(crate) async fn rename(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<Option<User>> {
        let update = "UPDATE users SET name = $2 WHERE id = $1 RETURNING *";
        sqlx::query_as(update).bind(id).bind(name).fetch_optional(&mut *tx).await
    }

    #[invalidates(key = "user:<id>", key = "handle:<return.handle>", tags = ["users", "team:<return.team>"], begin = self.pool)]
    pub(crate) async fn rename_now(
        &self,
        tx: &mut PgTx<'_>,
        id: i64,
        name: &str,
    ) -> sqlx::Result<Option<User>> {
        let update = "UPDATE users SET name = $2 WHERE id = $1 RETURNING *";
        sqlx::query_as(update).bind(id).bind(name).fetch_optional(&mut *tx).await
    }

    /// Without a transaction: the lookup key and the team come from the caller.
    #[invalidates(keys = ["user:<id>", "handle:<handle>"], tags = ["users", "team:<team>"])]
    pub(crate) async fn rename_alone(
        &self,
        id: i64,
        handle: &str,
        team: &str,
        name: &str,
    ) -> sqlx::Result<u64> {
        let update = "UPDATE users SET name = $4 WHERE id = $1 AND handle = $2 AND team = $3";
        let query = sqlx::query(update).bind(id).bind(handle).bind(team).bind(name);
        Ok(query.execute(&self.pool).await?.rows_affected())
    }

    #[invalidates(key = "user:<return.id>", key = "handle:<return.handle>", tag = "users", tag = "team:<return.team>", within = tx)]
    pub(crate) async fn rename_team(
        &self,
        tx: &mut PgTx<'_>,
        team: &str,
        name: &str,
    ) -> sqlx::Result<Vec<User>> {
        let update = "UPDATE users SET name = $2 WHERE team = $1 RETURNING *";
        sqlx::query_as(update).bind(team).bind(name).fetch_all(&mut *tx).await
    }

    #[invalidates(keys = ["user:<id>", "handle:<handle>"], tags = ["users", "team:<team>"], begin = self.pool)]
    pub(crate) async fn insert(
        &self,
        tx: &mut PgTx<'_>,
        id: i64,
        handle: &str,
        team: &str,
        name: &str,
    ) -> sqlx::Result<()> {
        let insert = "INSERT INTO users VALUES ($1, $2, $3, $4)";
        sqlx::query(insert).bind(id).bind(handle).bind(team).bind(name).execute(&mut *tx).await?;
        Ok(())
    }

    #[invalidates(key = User(return.id), key = "handle:<return.handle>", tag = "users", tag = "team:<return.team>", within = tx)]
    pub(crate) async fn upsert(
        &self,
        tx: &mut PgTx<'_>,
        id: i64,
        handle: &str,
        team: &str,
        name: &str,
    ) -> sqlx::Result<User> {
        let upsert = "INSERT INTO users VALUES ($1, $2, $3, $4)
                      ON CONFLICT (handle) DO UPDATE SET name = excluded.name RETURNING *";
        sqlx::query_as(upsert).bind(id).bind(handle).bind(team).bind(name).fetch_one(&mut *tx).await
    }

    #[invalidates(key = "user:<id>", key = "handle:<return.handle>", tag = "users", tag = "team:<return.team>", within = tx)]
    pub(crate) async fn delete(&self, tx: &mut PgTx<'_>, id: i64) -> sqlx::Result<Option<User>> {
        sqlx::query_as("DELETE FROM users WHERE id = $1 RETURNING *").bind(id).fetch_optional(&mut *tx).await
    }

    #[invalidates(key = "user:<id>", key = "handle:<return.was>", key = "handle:<return.handle>", tag = "users", tag = "team:<return.team>", within = tx)]
    pub(crate) async fn change_handle(
        &self,
        tx: &mut PgTx<'_>,
        id: i64,
        handle: &str,
    ) -> sqlx::Result<Option<Moved>> {
        let update = "WITH old AS (SELECT id, handle FROM users WHERE id = $1 FOR UPDATE)
                      UPDATE users SET handle = $2 FROM old WHERE users.id = old.id
                      RETURNING old.handle AS was, users.handle, users.team";
        sqlx::query_as(update).bind(id).bind(handle).fetch_optional(&mut *tx).await
    }

    #[invalidates(key = "user:<id>", key = "handle:<return>", tag = "users", tags = ["team:<from>", "team:<to>"], within = tx)]
    pub(crate) async fn change_team(
        &self,
        tx: &mut PgTx<'_>,
        id: i64,
        from: &str,
        to: String,
    ) -> sqlx::Result<Option<String>> {
        let update = "UPDATE users SET team = $3 WHERE id = $1 AND team = $2 RETURNING handle";
        sqlx::query_scalar(update).bind(id).bind(from).bind(to).fetch_optional(&mut *tx).await
    }

    /// Changes two users, and returns which.
    #[invalidates(key = "user:<return>", keys = ["handle:<one>", "handle:<other>"], tags = ["users", "team:<team>"], within = tx)]
    pub(crate) async fn swap_names(
        &self,
        tx: &mut PgTx<'_>,
        ids: [i64; 2],
        one: &str,
        other: &str,
        team: &str,
    ) -> sqlx::Result<[i64; 2]> {
        let update = "UPDATE users SET name = other.name FROM users other
                      WHERE users.id = ANY($1) AND other.id = ANY($1) AND other.id <> users.id";
        sqlx::query(update).bind(ids).execute(tx).await?;
        Ok(ids)
    }

    #[writes_through(key = "user:<id>", within = tx)]
    pub(crate) async fn save(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<Option<User>> {
        let update = "UPDATE users SET name = $2 WHERE id = $1 RETURNING *";
        sqlx::query_as(update).bind(id).bind(name).fetch_optional(&mut *tx).await
    }

    #[writes_through(key = "user:<return.id>", key = "handle:<return.handle>", tag = "users", tag = "team:<return.team>", begin = self.pool)]
    pub(crate) async fn create(
        &self,
        tx: &mut PgTx<'_>,
        id: i64,
        handle: &str,
        team: &str,
    ) -> sqlx::Result<User> {
        let insert = "INSERT INTO users VALUES ($1, $2, $3, upper($2)) RETURNING *";
        sqlx::query_as(insert).bind(id).bind(handle).bind(team).fetch_one(&mut *tx).await
    }

    /// Changes the row and then fails.
    #[invalidates(key = "user:<id>", key = "handle:<return.handle>", within = tx)]
    pub(crate) async fn rename_and_fail(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<User> {
        let update = "UPDATE users SET name = $2 WHERE id = $1";
        sqlx::query(update).bind(id).bind(name).execute(&mut *tx).await?;
        Err(sqlx::Error::RowNotFound)
    }

    /// One method for every kind of id and of name.
    #[invalidates(key = "user:<id>", key = "handle:<return.handle>", tag = "users", tag = "team:<return.team>", within = tx)]
    pub(crate) async fn rename_any<I: KeyPart + Copy + Into<i64>, N: AsRef<str>>(
        &self,
        tx: &mut PgTx<'_>,
        id: I,
        name: N,
    ) -> sqlx::Result<Option<User>> {
        let update = "UPDATE users SET name = $2 WHERE id = $1 RETURNING *";
        let id: i64 = id.into();
        sqlx::query_as(update).bind(id).bind(name.as_ref().to_owned()).fetch_optional(&mut *tx).await
    }
}

/// Another repository over the same database; its keys are texts that the caller borrows.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    pub(crate) cache: Cache,
    pub(crate) pool: PgPool,
}

impl Notes {
    #[cached(key = "note:<owner>:<path>", ttl = "1h")]
    pub(crate) async fn body(&self, owner: &str, path: &str) -> sqlx::Result<Option<String>> {
        let body = "SELECT body FROM notes WHERE owner = $1 AND path = $2";
        sqlx::query_scalar(body).bind(owner).bind(path).fetch_optional(&self.pool).await
    }

    #[invalidates(key = "note:<owner>:<path>", within = tx)]
    pub(crate) async fn write(
        &self,
        tx: &mut PgTx<'_>,
        owner: &str,
        path: &str,
        body: &str,
    ) -> sqlx::Result<()> {
        let write = "INSERT INTO notes VALUES ($1, $2, $3) ON CONFLICT (owner, path) DO UPDATE SET body = $3";
        sqlx::query(write).bind(owner).bind(path).bind(body).execute(&mut *tx).await?;
        Ok(())
    }

    #[invalidates(key = "note:<owner>:<path>", begin = self.pool)]
    pub(crate) async fn write_now(
        &self,
        tx: &mut PgTx<'_>,
        owner: &str,
        path: &str,
        body: &str,
    ) -> sqlx::Result<()> {
        self.write(tx, owner, path, body).await
    }
}
