//! Following and no longer following.

use cache_core::assert_fresh;

use crate::instance::{PAGE, on, two};

#[tokio::test]
async fn who_is_followed_shows_in_the_set_and_in_the_feed() {
    let [a, b] = two().await;
    let (jake, ann) = (a.register("jake").await, a.register("ann").await);
    a.publish(jake, "First", "x").await;
    assert_fresh!(on!(a, follows.follow(ann, jake)), b.follows.of_user(ann));
    assert_fresh!(on!(a, follows.unfollow(ann, jake)), b.follows.of_user(ann));
    assert_fresh!(on!(a, follows.follow(ann, jake)), b.articles.feed(ann, PAGE));
    assert_fresh!(on!(a, follows.unfollow(ann, jake)), b.articles.feed(ann, PAGE));
}
