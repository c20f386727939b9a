//! That there is something to be stale: what one instance has read, the other does not load.

use cache_core::assert_loads;
use cache_core::catalogue::Catalogue;

use crate::instance::{Instance, PAGE, on, two};

/// Every cached read, by a name that is there and one that is not.
async fn everything(on: &Instance) -> String {
    let (users, articles) = (&on.users, &on.articles);
    let rows = (
        users.find_many(&[1, 3]).await.unwrap().into_values().collect::<Vec<_>>(),
        articles.find_many(&[1, 2]).await.unwrap().into_values().collect::<Vec<_>>(),
        on.comments.of_article(1).await.unwrap(),
    );
    let names = (
        [users.id_by_username("jake").await.unwrap(), users.id_by_username("nobody").await.unwrap()],
        [users.id_by_email("jake@x").await.unwrap(), users.id_by_email("nobody@x").await.unwrap()],
        [articles.id_by_slug("one").await.unwrap(), articles.id_by_slug("none").await.unwrap()],
    );
    let pages = [
        articles.recent(PAGE).await.unwrap(),
        articles.tagged("x", PAGE).await.unwrap(),
        articles.by_author(1, PAGE).await.unwrap(),
        articles.favorited_by(2, PAGE).await.unwrap(),
        articles.feed(2, PAGE).await.unwrap(),
    ];
    let sets = (
        on.follows.of_user(2).await.unwrap(),
        on.favorites.of_user(2).await.unwrap(),
        on.tags.all().await.unwrap(),
    );
    format!("{rows:?} {names:?} {pages:?} {sets:?}")
}

#[tokio::test]
async fn what_one_instance_read_the_other_does_not_load() {
    let [a, b] = two().await;
    let (jake, ann) = (a.register("jake").await, a.register("ann").await);
    let id = a.publish(jake, "One", "x").await.id;
    on!(a, follows.follow(ann, jake)).await;
    on!(a, favorites.add(ann, id)).await;
    on!(a, comments.create(id, ann, "nice")).await;
    assert_eq!((jake, ann, id), (1, 2, 1));

    let first = everything(&a).await;
    let second = assert_loads!(0, [b.cache], everything(&b).await);
    assert_eq!(first, second);
    for read in Catalogue::linked().reads() {
        assert!(b.cache.stats().of(read.template).hits > 0, "{} is not among them", read.at);
    }
}
