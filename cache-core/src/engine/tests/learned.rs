//! Tags that only the value names: an article lies in a group and shows the group's name. One write moves the article and names the
//! article; another renames a group and names that group's tag.

use tokio::sync::Notify;

use super::*;
use crate::subject::Subject;
use crate::testkit::{Command, Rule};

/// Group and name of an article.
type Article = (u64, u64);

static ARTICLE: ReadSite =
    ReadSite { tags: &["group:<return.0>"], ..ReadSite::new(AT, "article", "Article", Overrides::ttl(HOUR)) };

fn tags(tags: &mut private::Tags) {
    tags.frame(|frame| {
        frame.next(|text| text.literal("group:"));
        frame.next(|_| {});
    });
}

fn tag_of(article: &Article, tags: &mut private::ValueTags<'_>) {
    tags.tag(0, |text, between| {
        between.next(text);
        text.valued(&article.0);
        between.next(text);
    });
}

/// The row holds the article's group and the name of group 2; group 1 keeps its name.
fn row(group: u64, name: u64) -> u64 {
    group * 100 + name
}

fn article(row: u64) -> Article {
    (row / 100, if row / 100 == 2 { row % 100 } else { 0 })
}

impl Instance {
    async fn article(&self) -> Option<Article> {
        self.article_by(async || ()).await
    }

    /// Reads the article; the loader pauses after it has seen it.
    async fn article_by(&self, pause: impl AsyncFnOnce()) -> Option<Article> {
        let load = || async {
            let seen = article(self.world.row.load(Ordering::SeqCst));
            pause().await;
            (seen.0 > 0).then_some(seen)
        };
        let lookup =
            private::Lookup::new(&self.cache, &ARTICLE, |_| {}, |text| text.literal("article"), tags);
        lookup.tagged(tag_of).read::<private::Unseen, _>(load).await
    }

    /// Reads the article; the loader tells when it has seen it and waits.
    fn spawn_slow_article(&self, seen: &Arc<Notify>, go_on: &Arc<Notify>) -> Reading {
        let (this, seen, go_on) = (self.clone(), seen.clone(), go_on.clone());
        tokio::spawn(async move {
            let pause = async || {
                seen.notify_one();
                go_on.notified().await;
            };
            this.article_by(pause).await
        })
    }

    fn spawn_article(&self) -> Reading {
        let this = self.clone();
        tokio::spawn(async move { this.article().await })
    }

    async fn write_under(&self, kind: Kind, name: &str, row: u64) {
        let recording = self.cache.recording();
        recording.touch(kind, |text| text.literal(name));
        let fenced = self.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap();
        self.commit(row);
        fenced.clear().await.unwrap();
    }

    /// Moves the article.
    async fn move_to(&self, group: u64, name: u64) {
        self.write_under(Kind::Entity, "article", row(group, name)).await;
    }

    /// Renames group 2, in which the article lies by now.
    async fn rename(&self, name: u64) {
        self.write_under(Kind::Tag, "group:2", row(2, name)).await;
    }

    fn loads(&self) -> u64 {
        self.cache.stats().total().loads
    }
}

type Reading = tokio::task::JoinHandle<Option<Article>>;

fn world() -> World {
    let world = World::new();
    world.row.store(row(2, 5), Ordering::SeqCst);
    world
}

#[tokio::test]
async fn the_first_load_learns_the_tags_the_second_is_stored_and_the_third_read_is_a_hit() {
    let world = world();
    let a = world.instance();
    for _ in 0..3 {
        assert_eq!(a.article().await, Some((2, 5)));
    }
    let stats = a.cache.stats().total();
    assert_eq!((stats.loads, stats.tags_learned, stats.fills, stats.hits), (2, 1, 1, 1));
}

#[tokio::test]
async fn a_write_to_the_tag_that_the_value_named_reaches_every_instance() {
    let world = world();
    let (a, b) = (world.instance(), world.instance());
    for _ in 0..3 {
        a.article().await;
        b.article().await;
    }
    b.rename(6).await;
    assert_eq!((a.article().await, b.article().await), (Some((2, 6)), Some((2, 6))));
    assert_eq!((a.cache.stats().total().hits, b.cache.stats().total().hits), (1, 3));
}

#[tokio::test]
async fn a_write_to_another_group_leaves_the_entry_alone() {
    let a = world().instance();
    for _ in 0..2 {
        a.article().await;
    }
    a.write_under(Kind::Tag, "group:1", row(2, 5)).await;
    a.article().await;
    assert_eq!((a.loads(), a.cache.stats().total().hits), (2, 1));
}

/// An instance that has never seen the entry asks for its tags when it has read their names; from then on, at once.
#[tokio::test]
async fn a_hit_is_one_command_once_the_names_are_known() {
    let world = world();
    let (a, b) = (world.instance(), world.instance());
    a.article().await;
    a.article().await;
    let gets = |before: u64| world.store.count(Command::Get) - before;
    for expected in [2, 1, 1] {
        let before = world.store.count(Command::Get);
        assert_eq!(b.article().await, Some((2, 5)));
        assert_eq!(gets(before), expected);
    }
    assert_eq!((b.loads(), b.cache.stats().total().hits), (0, 3));
}

#[tokio::test]
async fn a_moved_article_is_stored_under_its_new_group_only() {
    let world = world();
    let a = world.instance();
    a.move_to(1, 5).await;
    a.article().await;
    a.article().await;
    a.move_to(2, 5).await;
    for _ in 0..3 {
        assert_eq!(a.article().await, Some((2, 5)));
    }
    let before = a.loads();
    a.write_under(Kind::Tag, "group:1", row(2, 5)).await;
    assert_eq!(
        (a.article().await, a.loads()),
        (Some((2, 5)), before),
        "group 1 is none of its tags any more"
    );
    a.rename(7).await;
    assert_eq!(a.article().await, Some((2, 7)));
}

/// That there is none has no tags of a value: a write that makes one names the key.
#[tokio::test]
async fn that_there_is_none_is_stored_at_once() {
    let world = world();
    let a = world.instance();
    a.commit(0);
    assert_eq!((a.article().await, a.article().await), (None, None));
    assert_eq!((a.loads(), a.cache.stats().total().negative_hits), (1, 1));
    a.move_to(2, 5).await;
    assert_eq!(a.article().await, Some((2, 5)));
}

/// Model row H2 against the engine. The hint says group 1; the article is in group 2 by now, and while it is loaded, group 2 is
/// renamed. Then a read that begins after the renaming has returned.
async fn renamed_while_the_hint_names_another_group(
    instance: impl Fn(&World) -> Instance,
) -> Option<Article> {
    let world = world();
    let a = instance(&world);
    a.commit(row(1, 5));
    a.article().await;
    a.article().await;
    world.instance().move_to(2, 5).await;
    let (seen, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = a.spawn_slow_article(&seen, &go_on);
    seen.notified().await;
    world.instance().rename(6).await;
    go_on.notify_one();
    assert_eq!(promptly(slow).await.unwrap(), Some((2, 5)), "it began before the renaming");
    a.article().await
}

#[tokio::test]
async fn a_value_beyond_the_hint_is_not_stored() {
    let read = renamed_while_the_hint_names_another_group(World::instance).await;
    assert_eq!(read, Some((2, 6)));
}

#[tokio::test]
async fn control_a_value_stored_under_the_hint_s_tags_outlives_its_own() {
    let naive = |world: &World| world.with(world.builder().without(Rule::WithinHint));
    assert_eq!(renamed_while_the_hint_names_another_group(naive).await, Some((2, 5)));
}

/// Model row H3 against the engine: the same, and the value's own tags are stamped with what is read after the load.
#[tokio::test]
async fn control_a_value_stamped_after_its_load_is_served_after_the_renaming() {
    let naive = |world: &World| world.with(world.builder().without(Rule::TagsBeforeLoad));
    assert_eq!(renamed_while_the_hint_names_another_group(naive).await, Some((2, 5)));
}

/// The tag moves while the article is loaded, then a reader arrives. The fill is accepted, since the write marked the tag only.
async fn joined_after_the_renaming(instance: impl Fn(&World) -> Instance) -> Option<Article> {
    let world = world();
    let a = instance(&world);
    // So that the hint is right and nothing is stored.
    a.article().await;
    let (seen, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = a.spawn_slow_article(&seen, &go_on);
    seen.notified().await;
    let missed = a.cache.stats().total().misses;
    world.instance().rename(6).await;
    let joined = a.spawn_article();
    a.missed(missed + 1).await;
    go_on.notify_one();
    assert_eq!(promptly(slow).await.unwrap(), Some((2, 5)), "it began before the renaming");
    promptly(joined).await.unwrap()
}

#[tokio::test]
async fn a_load_whose_value_s_tag_moved_is_not_shared() {
    assert_eq!(joined_after_the_renaming(World::instance).await, Some((2, 6)));
}

#[tokio::test]
async fn control_a_load_is_shared_although_its_value_s_tag_moved() {
    let naive = |world: &World| world.with(world.builder().without(Rule::JoinUnmovedTags));
    assert_eq!(joined_after_the_renaming(naive).await, Some((2, 5)));
}

/// Who waited for the load that learnt the tags leads the next, and stores.
#[tokio::test]
async fn a_waiter_stores_what_the_load_before_has_learnt() {
    let world = world();
    let a = world.instance();
    let (seen, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let first = a.spawn_slow_article(&seen, &go_on);
    seen.notified().await;
    let second = a.spawn_article();
    a.missed(2).await;
    go_on.notify_one();
    assert_eq!(
        (promptly(first).await.unwrap(), promptly(second).await.unwrap()),
        (Some((2, 5)), Some((2, 5)))
    );
    let stats = a.cache.stats().total();
    assert_eq!((stats.loads, stats.joined, stats.fills), (2, 0, 1));
}

/// Two instances that learn of it: the second asks for the lease and is answered with an entry under names that it does not know.
#[tokio::test(start_paused = true)]
async fn an_entry_in_answer_to_the_lease_is_taken_when_its_tags_have_been_read() {
    let world = world();
    let (a, b) = (world.instance(), world.instance());
    a.article().await;
    let lease = world.store.hold(Command::Lease);
    let waiting = b.spawn_article();
    lease.reached().await;
    a.article().await;
    lease.release();
    assert_eq!(promptly(waiting).await.unwrap(), Some((2, 5)));
    assert_eq!((a.loads(), b.loads()), (2, 0));
}

static LIST: ReadSite = ReadSite { template: "articles", value: "Vec<Article>", ..ARTICLE };

#[allow(clippy::ptr_arg, reason = "the value's own type is wanted")]
fn tags_of(articles: &Vec<Article>, tags: &mut private::ValueTags<'_>) {
    articles.iter().for_each(|article| tag_of(article, tags));
}

impl Instance {
    async fn articles(&self, groups: std::ops::Range<u64>) -> usize {
        let load = || async { groups.chain([2, 2]).map(|group| (group, 0)).collect::<Vec<Article>>() };
        let lookup = private::Lookup::new(&self.cache, &LIST, |_| {}, |text| text.literal("articles"), tags);
        lookup.tagged(tags_of).read::<private::Unseen, _>(load).await.len()
    }
}

#[tokio::test]
async fn each_element_s_tag_invalidates_a_list() {
    let a = world().instance();
    for group in 1..=9 {
        for _ in 0..3 {
            assert_eq!(a.articles(1..10).await, 11);
        }
        let before = a.loads();
        a.write_under(Kind::Tag, &format!("group:{group}"), 0).await;
        a.articles(1..10).await;
        assert_eq!(a.loads(), before + 1, "{group}");
    }
}

#[tokio::test]
async fn a_list_that_has_become_shorter_is_stored_at_once_and_under_its_own_tags_only() {
    let a = world().instance();
    for _ in 0..2 {
        a.articles(1..10).await;
    }
    a.write_under(Kind::Entity, "articles", 0).await;
    let before = a.loads();
    a.articles(1..3).await;
    a.write_under(Kind::Tag, "group:5", 0).await;
    assert_eq!((a.articles(1..3).await, a.loads()), (4, before + 1));
}

#[tokio::test]
async fn a_value_of_too_many_tags_is_returned_counted_and_not_stored() {
    let a = world().instance();
    for _ in 0..3 {
        assert_eq!(a.articles(1..65).await, 66);
    }
    assert_eq!(a.cache.stats().total().hits, 1, "64 are not too many");
    a.write_under(Kind::Entity, "articles", 0).await;
    let before = a.cache.stats().total();
    for _ in 0..3 {
        assert_eq!(a.articles(1..66).await, 67);
    }
    let stats = a.cache.stats().total();
    assert_eq!((stats.hits, stats.fills), (before.hits, before.fills));
    assert_eq!(stats.oversized, before.oversized + 3);
}

/// An older release stored the entry before its code had the tag.
#[tokio::test]
async fn an_entry_from_before_the_tag_was_in_the_code_is_a_miss() {
    static BEFORE: ReadSite = ReadSite { tags: &[], ..ARTICLE };
    static AFTER: ReadSite = ReadSite { tags: &["articles"], ..ARTICLE };
    let a = world().instance();
    let read = |site: &'static ReadSite, value: u64| {
        let load = move || async move { (value, 0) };
        let tags = move |tags: &mut private::Tags| {
            if !site.tags.is_empty() {
                tags.tag(|text| text.literal("articles"));
            }
        };
        private::read::<Article, _>(&a.cache, site, |text| text.literal("article"), tags, load)
    };
    assert_eq!((read(&BEFORE, 1).await, read(&BEFORE, 2).await), ((1, 0), (1, 0)));
    assert_eq!((read(&AFTER, 3).await, read(&AFTER, 4).await), ((3, 0), (3, 0)));
    a.write_under(Kind::Tag, "articles", 0).await;
    assert_eq!((read(&BEFORE, 5).await, read(&AFTER, 6).await), ((1, 0), (6, 0)));
}

#[test]
fn a_name_that_no_tag_of_the_namespace_has_is_none() {
    let cache = world().instance().cache;
    let named = |name: &str| cache.namespace().tag_named(name).map(|tag: Subject| tag.name().to_owned());
    assert_eq!(named("t#group:2").as_deref(), Some("t#group:2"));
    for strange in
        ["", "t", "t:group", "u#group", "t#a}b", "t#a b", "t#a\n", &format!("t#{}", "x".repeat(300))]
    {
        assert_eq!(named(strange), None, "{strange}");
    }
}

#[tokio::test]
async fn a_memo_forgets_a_value_when_its_request_writes_a_tag_that_only_the_value_names() {
    let world = World::new();
    let a = world.instance();
    a.commit(row(2, 1));
    let seen = crate::memo(async {
        assert_eq!((a.article().await, a.article().await), (Some((2, 1)), Some((2, 1))));
        a.rename(5).await;
        a.article().await
    });
    assert_eq!(seen.await, Some((2, 5)));
    assert_eq!(a.cache.stats().total().memoized, 1);
}
