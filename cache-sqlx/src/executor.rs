//! sqlx's own traits for [`CacheTx`](crate::CacheTx), one implementation a database: a blanket one over all of them would
//! need a bound on `&mut DB::Connection` that the compiler does not normalize.

macro_rules! executor {
    ($database:ty, $connection:ty) => {
        impl<'t> sqlx::Executor<'t> for &'t mut $crate::CacheTx<'_, $database> {
            type Database = $database;

            fn fetch_many<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> std::pin::Pin<
                Box<
                    dyn futures_core::Stream<
                            Item = sqlx::Result<
                                sqlx::Either<
                                    <$database as sqlx::Database>::QueryResult,
                                    <$database as sqlx::Database>::Row,
                                >,
                            >,
                        > + Send
                        + 'e,
                >,
            >
            where
                't: 'e,
                E: 'q + sqlx::Execute<'q, $database>,
            {
                sqlx::Executor::fetch_many(self.for_statement(), query)
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> $crate::executor::Boxed<'e, Option<<$database as sqlx::Database>::Row>>
            where
                't: 'e,
                E: 'q + sqlx::Execute<'q, $database>,
            {
                sqlx::Executor::fetch_optional(self.for_statement(), query)
            }

            fn prepare_with<'e>(
                self,
                sql: sqlx::SqlStr,
                parameters: &'e [<$database as sqlx::Database>::TypeInfo],
            ) -> $crate::executor::Boxed<'e, <$database as sqlx::Database>::Statement>
            where
                't: 'e,
            {
                sqlx::Executor::prepare_with(self.for_statement(), sql, parameters)
            }

            fn describe<'e>(self, sql: sqlx::SqlStr) -> $crate::executor::Boxed<'e, sqlx::Describe<$database>>
            where
                't: 'e,
            {
                sqlx::Executor::describe(self.for_statement(), sql)
            }
        }

        impl<'t> sqlx::Acquire<'t> for &'t mut $crate::CacheTx<'_, $database> {
            type Database = $database;
            type Connection = &'t mut $connection;

            fn acquire(self) -> $crate::executor::Boxed<'t, Self::Connection> {
                Box::pin(std::future::ready(Ok(&mut **self)))
            }

            /// A savepoint of sqlx's own; nothing can be recorded in it. `CacheTx::begin` is the one to use.
            fn begin(self) -> $crate::executor::Boxed<'t, sqlx::Transaction<'t, $database>> {
                Box::pin(self.savepoint())
            }
        }

        impl cache_core::scope::ReadSource<$crate::Sqlx> for &mut $connection {
            /// sqlx cannot see a `BEGIN` sent as a statement, so a connection always counts as being inside a transaction.
            fn inside_transaction(&self) -> bool {
                true
            }
        }
    };
}

/// The futures of sqlx's traits.
pub(crate) type Boxed<'e, T> = std::pin::Pin<Box<dyn Future<Output = sqlx::Result<T>> + Send + 'e>>;

pub(crate) use executor;
