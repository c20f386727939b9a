//! Whether the readers of bulk writes' rows die with the tag that stands for them. Refuses a tag that only the value names: that
//! there is no such row carries none.

use crate::site::{BulkSite, QueueSite, ReadSite, shape};

/// What is wrong between one bulk write and one reader, if that reads its rows.
pub(super) fn mistake(bulk: &BulkSite, read: &ReadSite) -> Option<String> {
    let BulkSite { at, tag, keys } = bulk;
    let key = keys.iter().find(|key| shape(key) == shape(read.template))?;
    let is_it = |declared: &&&str| shape(declared) == shape(tag);
    let so = format!(
        "{at} marks the tag `{tag}` in place of the rows `{key}` when there are many, and {} reads them as `{}`",
        read.at, read.template
    );
    match read.tags.iter().find(is_it) {
        Some(declared) if declared.contains("<return") => Some(format!(
            "{so} with the tag `{declared}` of its value, which \"there is none\" does not have: make that tag of arguments, or take \
             `bulk` out of the write"
        )),
        Some(_) => None,
        None => Some(format!(
            "{so} without that tag, so they would stay: write `tags = [\"{tag}\"]` there, with its own names in the placeholders, or take \
             `bulk` out of the write"
        )),
    }
}

/// What is wrong between one bulk write and one queue, if that writes its rows.
pub(super) fn mistake_of_queue(bulk: &BulkSite, queue: &QueueSite) -> Option<String> {
    let BulkSite { at, tag, keys } = bulk;
    let key = keys.iter().find(|key| shape(key) == shape(queue.template))?;
    Some(format!(
        "{at} marks the tag `{tag}` in place of the rows `{key}` when there are many, and {} queues writes to them as `{}`, which only \
         the rows' own marks would meet: take `bulk` out of the write",
        queue.at, queue.template
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::Overrides;
    use crate::site::Location;

    const AT: Location = Location { function: "shop::f", file: "src/shop.rs", line: 7 };
    static BULK: BulkSite = BulkSite { at: AT, tag: "team:<team>", keys: &["user:<return.id>"] };
    static READ: ReadSite = ReadSite::new(AT, "user:<id>", "User", Overrides::ttl(Duration::from_secs(1)));

    #[test]
    fn rows_that_are_queued_are_marked_one_by_one() {
        let queue = QueueSite { at: AT, template: "user:<id>", value: "User" };
        assert!(mistake_of_queue(&BULK, &queue).unwrap().contains("take `bulk` out"));
        assert_eq!(mistake_of_queue(&BULK, &QueueSite { template: "name:<id>", ..queue }), None);
    }

    #[test]
    fn readers_of_the_rows_declare_the_tag_or_are_named() {
        let with = |tags| ReadSite { tags, ..READ };
        assert_eq!(mistake(&BULK, &with(&["users", "team:<t>"])), None);
        assert_eq!(mistake(&BULK, &ReadSite { template: "name:<id>", ..READ }), None);
        for (tags, told) in [
            (&["users"][..], "write `tags = [\"team:<team>\"]`"),
            (&[], "`user:<id>` without that tag"),
            (&["team:<return.team>"], "make that tag of arguments"),
        ] {
            let mistake = mistake(&BULK, &with(tags)).unwrap();
            assert!(mistake.contains(told) && mistake.contains("src/shop.rs:7"), "{mistake}");
        }
    }
}
