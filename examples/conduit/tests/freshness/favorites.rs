//! Liking and no longer liking.

use cache_core::assert_fresh;

use crate::instance::{PAGE, on, two};

#[tokio::test]
async fn what_is_liked_shows_in_the_set_the_list_and_the_count() {
    let [a, b] = two().await;
    let (jake, ann) = (a.register("jake").await, a.register("ann").await);
    let id = a.publish(jake, "First", "x").await.id;
    assert_fresh!(on!(a, favorites.add(ann, id)), b.favorites.of_user(ann));
    assert_fresh!(on!(a, favorites.remove(ann, id)), b.favorites.of_user(ann));
    assert_fresh!(on!(a, favorites.add(ann, id)), b.articles.favorited_by(ann, PAGE));
    assert_fresh!(on!(a, favorites.remove(ann, id)), b.articles.favorited_by(ann, PAGE));
    assert_fresh!(on!(a, favorites.add(ann, id)), b.articles.find(id));
    assert_fresh!(on!(a, favorites.remove(ann, id)), b.articles.find(id));
    assert_fresh!(on!(a, favorites.add(ann, id)), b.articles.find_many(&[id]));
    assert_fresh!(on!(a, favorites.remove(ann, id)), b.articles.find_many(&[id]));
}
