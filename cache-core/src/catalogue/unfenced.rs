//! Writes that cannot be fenced and are made all the same, against those who read what they change. Refuses to let a reader be
//! behind that has not said that it may be.

use super::Catalogue;
use crate::policy::{OnUnfenced, Overrides, Profiles};
use crate::site::{ReadSite, WriteSite, shape};

impl Catalogue {
    /// Writes that are made although nobody can be told, while a reader of what they change has not said that it may be behind.
    /// `default` is for writes that do not say what becomes of them.
    #[must_use]
    pub fn unfenced_errors(&self, profiles: &Profiles, default: OnUnfenced) -> Vec<String> {
        let all = self.reads.iter().chain(&self.readers);
        let errors = all.filter_map(|read| {
            let fault = self.unfenced(read, profiles, default)?;
            Some(format!("{}: {fault}", read.at))
        });
        errors.collect()
    }

    /// What is wrong with one reader.
    pub(super) fn unfenced(
        &self,
        read: &ReadSite,
        profiles: &Profiles,
        default: OnUnfenced,
    ) -> Option<String> {
        let profile = read.profile.and_then(|name| profiles.get(name)).unwrap_or(Overrides::NONE);
        if read.options.or(profile).bounded.is_some() {
            return None;
        }
        let names = |templates: &[&str], shapes: &[String]| {
            templates.iter().any(|template| shapes.contains(&shape(template)))
        };
        let (key, tags) =
            ([shape(read.template)], read.tags.iter().map(|tag| shape(tag)).collect::<Vec<_>>());
        let write = self.writes.iter().find(|write| {
            write.on_unfenced.unwrap_or(default) == OnUnfenced::Proceed
                && (names(write.keys, &key) || names(write.tags, &tags))
        })?;
        Some(format!(
            "`{}` is to be fresh, and {} is made even if nobody can be told (`on_unfenced = \"proceed\"`): write `bounded = \"…\"` \
             here, or `on_unfenced = \"outbox\"` or `\"reject\"` there",
            read.template, write.at
        ))
    }

    /// The writes that may leave a row in the outbox by what they say themselves.
    pub(crate) fn leaving(&self) -> impl Iterator<Item = &'static WriteSite> + '_ {
        self.writes.iter().copied().filter(|write| write.on_unfenced == Some(OnUnfenced::Outbox))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::site::{Coverage, Location, Site};

    const SECOND: Duration = Duration::from_secs(1);

    const fn at(line: u32) -> Location {
        Location { function: "shop::f", file: "src/shop.rs", line }
    }

    const fn write(line: u32, keys: &'static [&'static str], tags: &'static [&'static str]) -> WriteSite {
        WriteSite { at: at(line), keys, tags, coverage: Coverage::Within, on_unfenced: None }
    }

    static USER: ReadSite =
        ReadSite { tags: &["users"], ..ReadSite::new(at(1), "user:<id>", "User", Overrides::ttl(SECOND)) };

    #[test]
    fn what_is_written_without_telling_anybody_has_bounded_readers_only() {
        static BOLD: WriteSite =
            WriteSite { on_unfenced: Some(OnUnfenced::Proceed), ..write(9, &["user:<id>"], &[]) };
        static MEEK: WriteSite =
            WriteSite { on_unfenced: Some(OnUnfenced::Outbox), ..write(10, &["user:<id>"], &[]) };
        static TAGS: WriteSite = write(11, &[], &["users"]);
        static LAX: ReadSite =
            ReadSite { options: Overrides { bounded: Some(SECOND), ..Overrides::ttl(SECOND) }, ..USER };
        let none = Profiles::default();
        let errors = |sites: &[Site], default| {
            Catalogue::of(sites.iter().copied()).unfenced_errors(&none, default).len()
        };
        let (fresh, lax) = (Site::Read(&USER), Site::Read(&LAX));
        let (bold, meek, tags) = (Site::Write(&BOLD), Site::Write(&MEEK), Site::Write(&TAGS));
        for (sites, default, count) in [
            ([fresh, bold], OnUnfenced::Reject, 1),
            ([lax, bold], OnUnfenced::Reject, 0),
            ([fresh, meek], OnUnfenced::Proceed, 0),
            ([fresh, tags], OnUnfenced::Reject, 0),
            ([fresh, tags], OnUnfenced::Proceed, 1),
        ] {
            assert_eq!(errors(&sites, default), count, "{sites:?} {default:?}");
        }
        let error = Catalogue::of([fresh, bold]).unfenced_errors(&none, OnUnfenced::Reject).remove(0);
        for part in ["src/shop.rs:1", "src/shop.rs:9", "`user:<id>`", "bounded", "outbox"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}
