//! An entry made of another one, and a write that names both.

use crate::nested::{Lost, Nested};
use crate::promise::Promise::{A, B, C, D};
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    let lossy = Nested { lost: Lost::FencedAgain, clears: Nested::OUTER_FIRST, fences_lost: true };
    vec![
        Row::new(
            "N1",
            "fences stand",
            Nested { lost: Lost::Ignored, fences_lost: false, ..lossy },
            "nothing old is filled between mark and clear, so the order of the clears does not matter",
        ),
        Row::new(
            "N2",
            "fences may be lost; CLEAR does not tell",
            Nested { lost: Lost::Ignored, ..lossy },
            "the inner entry is filled with the old value; between the clears the outer one is filled with that",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "N3",
            "the same, the inner entry is cleared first",
            Nested { lost: Lost::Ignored, clears: Nested::INNER_FIRST, ..lossy },
            "would do, if a write knew what is made of what",
        )
        .breaks(&[B, C]),
        Row::new(
            "N4",
            "a lost fence: everything is cleared once more",
            Nested { lost: Lost::ClearedAgain, ..lossy },
            "for two entries the second pass finds the inner one current; with three it has the same hole",
        )
        .breaks(&[B, C]),
        Row::new(
            "N5",
            "a lost fence: **all is marked again under a new id, and cleared again**, until all fences stood",
            lossy,
            "after the marks no old entry is left to make anything of (decision 6)",
        )
        .breaks(&[B, C]),
    ]
}
