//! Writes of articles and comments.

use cache_core::{assert_fresh, assert_loads};
use conduit::repo::ArticleChange;

use crate::instance::{PAGE, draft, on, two};

fn retitled(title: &str) -> ArticleChange {
    ArticleChange { title: Some((title.into(), title.to_lowercase())), ..ArticleChange::default() }
}

#[tokio::test]
async fn a_new_article_is_found_by_who_found_none() {
    let [a, b] = two().await;
    let jake = a.register("jake").await;
    assert_fresh!(on!(a, articles.create(jake, &draft("One", "x"))), b.articles.find(1));
    assert_fresh!(on!(a, articles.create(jake, &draft("Two", "x"))), b.articles.find_many(&[1, 2, 3]));
    assert_fresh!(on!(a, articles.create(jake, &draft("Three", "x"))), b.articles.id_by_slug("three"));
    // A title that is taken leads to a slug that only the statement knows.
    assert_fresh!(on!(a, articles.create(jake, &draft("Three", "x"))), b.articles.id_by_slug("three-4"));
}

#[tokio::test]
async fn a_new_article_is_in_the_cache_when_it_is_committed() {
    let [a, b] = two().await;
    let jake = a.register("jake").await;
    let article = a.publish(jake, "One", "x").await;
    let found = assert_loads!(0, [b.cache], b.articles.find(article.id).await.unwrap());
    assert_eq!(found, Some(article));
}

#[tokio::test]
async fn a_new_article_shows_in_every_list() {
    let [a, b] = two().await;
    let (jake, ann) = (a.register("jake").await, a.register("ann").await);
    on!(a, follows.follow(ann, jake)).await;
    assert_fresh!(on!(a, articles.create(jake, &draft("One", "x"))), b.articles.recent(PAGE));
    assert_fresh!(on!(a, articles.create(jake, &draft("Two", "x"))), b.articles.tagged("x", PAGE));
    assert_fresh!(on!(a, articles.create(jake, &draft("Three", "x"))), b.articles.by_author(jake, PAGE));
    assert_fresh!(on!(a, articles.create(jake, &draft("Four", "x"))), b.articles.feed(ann, PAGE));
    assert_fresh!(on!(a, articles.create(jake, &draft("Five", "y"))), b.tags.all());
}

#[tokio::test]
async fn a_change_shows_in_the_article_and_moves_its_slug() {
    let [a, b] = two().await;
    let jake = a.register("jake").await;
    let id = a.publish(jake, "One", "x").await.id;
    let text = ArticleChange { body: Some("y".into()), ..ArticleChange::default() };
    let about = ArticleChange { description: Some("y".into()), ..ArticleChange::default() };
    assert_fresh!(on!(a, articles.update(id, &text)), b.articles.find(id));
    assert_fresh!(on!(a, articles.update(id, &about)), b.articles.find_many(&[id]));
    assert_fresh!(on!(a, articles.update(id, &retitled("Two"))), b.articles.id_by_slug("one"));
    assert_fresh!(on!(a, articles.update(id, &retitled("Three"))), b.articles.id_by_slug("three"));
    // A slug that was given up goes to another article.
    assert_fresh!(on!(a, articles.create(jake, &draft("One", "x"))), b.articles.id_by_slug("one"));
}

#[tokio::test]
async fn a_removed_article_is_found_no_longer() {
    let [a, b] = two().await;
    let jake = a.register("jake").await;
    let id = a.publish(jake, "One", "x").await.id;
    assert_fresh!(on!(a, articles.delete(id)), b.articles.find(id));
    let id = a.publish(jake, "Two", "x").await.id;
    assert_fresh!(on!(a, articles.delete(id)), b.articles.find_many(&[id]));
    let id = a.publish(jake, "Three", "x").await.id;
    assert_fresh!(on!(a, articles.delete(id)), b.articles.id_by_slug("three"));
}

#[tokio::test]
async fn a_removed_article_leaves_every_list() {
    let [a, b] = two().await;
    let (jake, ann) = (a.register("jake").await, a.register("ann").await);
    on!(a, follows.follow(ann, jake)).await;
    let id = a.publish(jake, "One", "x").await.id;
    assert_fresh!(on!(a, articles.delete(id)), b.articles.recent(PAGE));
    let id = a.publish(jake, "Two", "x").await.id;
    assert_fresh!(on!(a, articles.delete(id)), b.articles.tagged("x", PAGE));
    let id = a.publish(jake, "Three", "x").await.id;
    assert_fresh!(on!(a, articles.delete(id)), b.articles.by_author(jake, PAGE));
    let id = a.publish(jake, "Four", "x").await.id;
    assert_fresh!(on!(a, articles.delete(id)), b.articles.feed(ann, PAGE));
    let id = a.publish(jake, "Five", "x").await.id;
    assert_fresh!(on!(a, articles.delete(id)), b.tags.all());
}

#[tokio::test]
async fn a_removed_article_takes_its_comments_and_favourites_along() {
    let [a, b] = two().await;
    let (jake, ann) = (a.register("jake").await, a.register("ann").await);
    let id = a.publish(jake, "One", "x").await.id;
    on!(a, comments.create(id, ann, "nice")).await;
    assert_fresh!(on!(a, articles.delete(id)), b.comments.of_article(id));
    let id = a.publish(jake, "Two", "x").await.id;
    on!(a, favorites.add(ann, id)).await;
    assert_fresh!(on!(a, articles.delete(id)), b.favorites.of_user(ann));
    let id = a.publish(jake, "Three", "x").await.id;
    on!(a, favorites.add(ann, id)).await;
    assert_fresh!(on!(a, articles.delete(id)), b.articles.favorited_by(ann, PAGE));
}

#[tokio::test]
async fn comments_come_and_go() {
    let [a, b] = two().await;
    let jake = a.register("jake").await;
    let id = a.publish(jake, "One", "x").await.id;
    assert_fresh!(on!(a, comments.create(id, jake, "nice")), b.comments.of_article(id));
    let comment = b.comments.of_article(id).await.unwrap()[0].id;
    assert_fresh!(on!(a, comments.delete(id, comment)), b.comments.of_article(id));
}
