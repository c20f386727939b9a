//! Tags that only the value knows.

use crate::learned::{Learned, Stamping};
use crate::promise::Promise::{A, B, C, D};
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    let within = Learned { stamping: Stamping::WithinHint, crashes: 1, generations_lost: true };
    vec![
        Row::new(
            "H1",
            "**a hint names the tags that are read before the load**; filled only if the value's are among them",
            within,
            "a wrong hint costs a load; what is filled was stamped before it was loaded",
        ),
        Row::new(
            "H2",
            "filled with the hint's tags, whatever the value's are",
            Learned { stamping: Stamping::OfHint, ..within },
            "an entry of group b that does not know b's tag survives the renaming of b",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "H3",
            "the value's tags are read after the load",
            Learned { stamping: Stamping::AfterLoad, ..within },
            "the renaming comes between load and stamp: an old name with a new generation",
        )
        .breaks(&[A, B, C, D]),
    ]
}
