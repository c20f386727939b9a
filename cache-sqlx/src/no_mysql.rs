//! What others ask of `mysql` where it is not compiled in. Knows no error.

use sqlx::error::DatabaseError;

pub(crate) fn is_final(_: &dyn DatabaseError) -> Option<bool> {
    None
}
