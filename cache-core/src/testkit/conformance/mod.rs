//! Tells a store's author whether his store keeps the promises of [`crate::store`]. Refuses to look inside: a store is judged
//! by its answers alone.
//!
//! ```no_run
//! # async fn example(store: impl cache_core::store::Store) {
//! let report = cache_core::testkit::conformance::run(&store).await;
//! assert!(report.is_clean(), "{report}");
//! # }
//! ```
//!
//! Each fact is an async function named after what must hold; it takes a [`Trial`], the store with a namespace of its own,
//! and panics where the store breaks the fact. Facts about time wait for the store's own clock, so a store on a stopped
//! clock cannot be judged.

use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

pub use self::trial::{Lease, Trial, Write, blob};
use crate::store::Store;

pub mod aside;
pub mod entries;
pub mod fences;
pub mod leases;
pub mod listeners;
pub mod many;
pub mod namespaces;
pub mod puts;
pub mod queued;
pub mod tags;
mod trial;

/// One thing that must hold of every store.
#[derive(Clone, Copy)]
pub struct Fact {
    /// What must hold, in words joined by underscores.
    pub name: &'static str,
    check: for<'t, 'a> fn(&'t Trial<'a>) -> Pin<Box<dyn Future<Output = ()> + 't>>,
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Fact {
    /// Tries the fact in a namespace of its own.
    ///
    /// # Errors
    /// What the store answered instead.
    pub async fn check(&self, store: &dyn Store) -> Result<(), String> {
        tried((self.check)(&Trial::new(store))).await
    }
}

async fn tried(mut fact: Pin<Box<dyn Future<Output = ()> + '_>>) -> Result<(), String> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| fact.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
        Err(panic) => Poll::Ready(Err(words(&*panic))),
    })
    .await
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

macro_rules! facts {
    ($($module:ident { $($name:ident,)* })*) => {
        /// Every fact, in the order in which [`run`] tries them.
        pub const FACTS: &[Fact] = &[
            $($(Fact { name: stringify!($name), check: |trial| Box::pin($module::$name(trial)) },)*)*
        ];
    };
}

facts! {
    entries {
        nothing_is_found_before_a_fill,
        what_was_filled_is_found,
        any_bytes_are_kept,
        fields_of_one_subject_are_independent,
        strange_names_do_not_meet,
        a_tag_and_an_entity_of_one_name_are_independent,
        an_entry_expires,
        a_longer_entry_outlives_a_shorter_one,
        all_answers_carry_one_epoch_and_one_clock,
    }
    leases {
        one_loads_and_the_others_are_busy,
        one_of_many_at_once_is_granted,
        an_entry_that_stands_is_present,
        a_forced_lease_is_granted_over_an_entry,
        a_forced_lease_is_granted_over_the_entry_it_was_meant_for_only,
        a_forced_lease_is_busy_while_someone_loads,
        a_fill_needs_the_exact_token,
        a_fill_uses_its_token_up,
        a_refused_fill_leaves_the_entry_as_it_was,
        a_lapsed_lease_is_replaced_and_then_refused,
        a_lapsed_lease_nobody_took_over_still_fills,
        a_released_lease_is_free_at_once,
        the_release_of_another_token_changes_nothing,
        an_entry_of_another_epoch_is_no_entry,
        bytes_without_an_epoch_are_no_entry,
    }
    fences {
        a_clear_tells_whether_every_fence_stood,
        fill_after_mark_is_refused,
        fill_after_invalidate_is_refused,
        a_mark_drops_every_entry_of_the_subject,
        a_mark_drops_tokens,
        a_late_clear_drops_entries_and_tokens_again,
        nobody_leases_under_a_fence,
        fences_of_several_writers_stand_until_each_is_lifted,
        a_late_clear_of_one_attempt_lifts_no_other_fence,
        marking_and_clearing_twice_is_as_once,
        finished_writers_are_lifted_by_a_lease,
        fill_after_a_mark_that_a_reader_lifted_is_refused,
        a_finished_writer_nobody_knows_changes_nothing,
        one_mark_fences_every_subject,
        a_fence_leaves_other_subjects_alone,
        a_fence_grows_old,
        a_long_origin_is_kept,
        marking_nothing_is_allowed,
    }
    puts {
        a_put_of_a_solo_writer_is_installed,
        several_puts_on_one_subject_are_installed,
        no_put_after_another_writer_came_and_went,
        no_put_after_a_writer_who_was_there_first,
        no_put_under_anothers_fence,
        no_put_in_another_epoch,
        no_put_without_a_mark,
        no_put_from_a_repeated_clear,
        no_put_after_the_fence_was_lifted_by_a_reader,
        marking_again_keeps_the_solo_bit,
        each_put_is_decided_for_its_own_subject,
        an_installed_put_expires,
    }
    aside {
        nothing_is_kept_aside_unasked,
        what_a_mark_drops_is_kept_aside_from_that_moment,
        what_is_kept_aside_is_no_entry,
        a_clear_keeps_nothing_aside,
        a_mark_that_finds_nothing_makes_what_is_kept_no_younger,
        what_is_dropped_later_takes_the_place_of_what_was_dropped_before,
        what_is_kept_aside_goes_when_its_window_is_over,
        the_longest_window_of_a_subject_counts,
        a_put_asks_to_be_kept_aside_like_a_fill,
        a_clear_of_the_namespace_makes_what_is_kept_worthless,
    }
    queued {
        a_queued_write_is_what_a_lease_answers,
        a_queued_write_drops_entries_and_tokens,
        a_queued_write_is_shown_under_a_fence_too,
        of_one_journal_the_later_write_stands,
        a_settled_write_is_gone_and_stays_gone,
        a_settle_drops_entries_and_tokens,
        a_settle_leaves_what_it_is_not_about,
        a_mark_tells_where_queued_writes_stand,
        no_put_over_a_queued_write,
        many_are_told_whether_they_are_shown,
    }
    many {
        nothing_is_answered_to_nothing,
        many_gets_are_answered_in_order,
        many_leases_are_judged_each_by_itself,
        a_tag_of_many_is_one_tag,
        a_fence_on_a_tag_keeps_its_own_entries_out_of_many,
        finished_writers_are_lifted_for_many,
        many_fills_are_judged_each_by_itself,
        many_fills_tell_the_generations_after_them,
        many_leases_are_released_at_once,
        one_key_twice_among_many_is_granted_once,
        a_thousand_entries_come_and_go_together,
    }
    tags {
        a_tag_nobody_used_has_no_generation,
        a_generation_is_made_once_and_stays,
        one_seed_gives_every_tag_its_own_generation,
        every_mark_and_every_clear_turns_the_generation,
        generations_never_repeat_although_the_seed_does,
        a_clear_turns_the_generation_although_the_fence_is_gone,
        stamps_come_in_the_order_asked_for,
        an_entry_outlives_its_tags_mark_under_an_old_stamp,
        a_fill_tells_the_generations_after_it,
        a_present_entry_comes_with_its_stamps,
        a_fence_on_a_tag_fences_and_gives_the_lease_back,
        a_fence_on_a_tag_hides_an_entry_that_stands,
        finished_writers_are_lifted_from_tags_too,
        a_lost_generation_is_made_anew,
    }
    namespaces {
        a_clear_of_the_namespace_makes_every_entry_worthless,
        what_is_filled_after_a_clear_is_found,
        a_fill_under_a_lease_from_before_the_clear_is_worthless,
        a_put_from_before_the_clear_is_worthless,
        a_clear_leaves_other_namespaces_alone,
        every_clear_counts,
    }
}

/// Tries every fact, one after the other.
pub async fn run(store: &dyn Store) -> Report {
    let mut outcomes = Vec::with_capacity(FACTS.len());
    for fact in FACTS {
        outcomes.push((fact.name, fact.check(store).await.err()));
    }
    Report { outcomes }
}

/// Whether a store keeps aside what marks drop, as a store may; what it keeps, [`run`] judges.
pub async fn keeps_aside(store: &dyn Store) -> bool {
    aside::keeps(&Trial::new(store)).await
}

/// Whether a store shows queued writes, as write-behind needs it; how it shows them, [`run`] judges.
pub async fn shows_queued(store: &dyn Store) -> bool {
    queued::shows(&Trial::new(store)).await
}

/// Tries what an L1 in front of a store depends on, over two handles of one store that stand for two instances. A store that nobody can
/// listen to need not keep it.
pub async fn tells_listeners(one: &dyn Store, other: &dyn Store) -> Report {
    let mut outcomes = Vec::new();
    macro_rules! facts {
        ($($name:ident,)*) => {$({
            let trial = Trial::new(one);
            let beside = trial.through(other);
            let fact = tried(Box::pin(listeners::$name(&trial, &beside)));
            outcomes.push((stringify!($name), fact.await.err()));
        })*};
    }
    facts! {
        a_listener_is_told_before_a_mark_and_a_clear_return,
        what_is_read_for_keeping_is_shared,
        a_mark_elsewhere_is_heard_before_it_is_acknowledged,
        a_clear_of_the_namespace_is_a_doubt,
    }
    Report { outcomes }
}

/// What [`run`] found; prints one line a fact.
#[derive(Clone, Debug)]
pub struct Report {
    outcomes: Vec<(&'static str, Option<String>)>,
}

impl Report {
    /// Whether every fact holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.broken().next().is_none()
    }

    /// The facts that do not hold, each with what the store answered instead.
    pub fn broken(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.outcomes.iter().filter_map(|(name, why)| Some((*name, why.as_deref()?)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, why) in &self.outcomes {
            match why {
                None => writeln!(f, "holds   {name}")?,
                Some(why) => writeln!(f, "BROKEN  {name}: {why}")?,
            }
        }
        write!(f, "{} of {} facts hold", self.outcomes.len() - self.broken().count(), self.outcomes.len())
    }
}
