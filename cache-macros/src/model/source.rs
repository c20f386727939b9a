//! Recognises transactions, connections and executors by the names of their types.

use crate::function::{Function, Param};

/// Scopes that carry invalidations to their commit.
const SCOPES: [&str; 4] = ["PgTx", "SqliteTx", "MySqlTx", "CacheTx"];

/// Whether this is the name of a scope.
pub(crate) fn is_scope_name(name: &str) -> bool {
    SCOPES.contains(&name)
}

/// Other types through which a function may work inside somebody's transaction.
const OTHERS: [&str; 17] = [
    "Transaction",
    "PgTransaction",
    "SqliteTransaction",
    "MySqlTransaction",
    "Connection",
    "PgConnection",
    "SqliteConnection",
    "MySqlConnection",
    "AnyConnection",
    "PoolConnection",
    "Executor",
    "PgExecutor",
    "SqliteExecutor",
    "MySqlExecutor",
    "AnyExecutor",
    "Acquire",
    "ReadFrom",
];

/// Whether this parameter may be inside a transaction, or hold one.
pub(crate) fn may_be_transaction(function: &Function, param: &Param) -> bool {
    function.names_within(&param.ty).iter().any(|name| is_known(name))
}

/// Of a parameter that may be inside a transaction: whether another type holds it, as in `Option<&mut PgTx<'_>>`.
pub(crate) fn is_held(function: &Function, param: &Param) -> bool {
    !function.type_names(&param.ty).iter().any(|name| is_known(name))
}

fn is_known(name: &str) -> bool {
    SCOPES.contains(&name) || OTHERS.contains(&name)
}

/// Whether this parameter is a scope by the name of its type.
pub(crate) fn is_scope(function: &Function, param: &Param) -> bool {
    function.type_names(&param.ty).iter().any(|name| SCOPES.contains(&name.as_str()))
}
