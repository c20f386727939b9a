//! Articles one by one, and lists of them.

use serde_json::{Value, json};

use crate::harness::{Call, World};

/// The slugs of a page.
fn slugs(list: &Value) -> Vec<&str> {
    list["articles"].as_array().unwrap().iter().map(|article| article["slug"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_article_is_shown_as_it_was_published() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    world.watch("/articles/how-to-train-your-dragon");
    let draft = json!({"title": "How to train your dragon", "description": "Ever wonder how?",
                       "body": "Very carefully.", "tagList": ["training", " dragons ", "training", ""]});
    let created =
        world.write(Call::post("/articles").by(&jake).json(json!({ "article": draft }))).await.expect(201);
    let mut shown = world.read(Call::get("/articles/how-to-train-your-dragon")).await.expect(200);
    assert_eq!(created, shown);
    let (created_at, updated_at) =
        (shown["article"]["createdAt"].take(), shown["article"]["updatedAt"].take());
    assert_eq!(created_at, updated_at);
    let created_at = created_at.as_str().unwrap();
    assert!(
        created_at.len() == "2016-02-18T03:22:56.637Z".len() && created_at.ends_with('Z'),
        "{created_at}"
    );
    assert_eq!(
        shown["article"],
        json!({"slug": "how-to-train-your-dragon", "title": "How to train your dragon",
               "description": "Ever wonder how?", "body": "Very carefully.", "tagList": ["training", "dragons"],
               "createdAt": null, "updatedAt": null, "favorited": false, "favoritesCount": 0,
               "author": {"username": "jake", "bio": null, "image": null, "following": false}})
    );
    world.close().await;
}

#[tokio::test]
async fn publishing_needs_a_token_and_a_complete_article() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    let draft = json!({"article": {"title": "x", "description": "x", "body": "x"}});
    world.write(Call::post("/articles").json(draft)).await.refused(401, "token", "is missing");
    let reply = world.write(Call::post("/articles").by(&jake).json(json!({"article": {"title": ""}}))).await;
    assert_eq!(
        reply.expect(422),
        json!({"errors": {"body": ["can't be blank"], "description": ["can't be blank"], "title": ["can't be blank"]}})
    );
    let long = "x".repeat(256);
    let draft = json!({"article": {"title": long, "description": "x", "body": "x", "tagList": [long]}});
    let reply = world.write(Call::post("/articles").by(&jake).json(draft)).await;
    reply.refused(422, "title", "is too long");
    reply.refused(422, "tagList", "is too long");
    world.close().await;
}

#[tokio::test]
async fn titles_may_repeat_and_slugs_do_not() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    assert_eq!(world.publish(&jake, "Hello", &[]).await, "hello");
    assert_eq!(world.publish(&jake, "hello!", &[]).await, "hello-2");
    // `GET /articles/feed` is the feed.
    assert_eq!(world.publish(&jake, "Feed", &[]).await, "feed-3");
    assert_eq!(world.publish(&jake, "???", &[]).await, "article-4");
    // Somebody called theirs what the fifth would be called.
    assert_eq!(world.publish(&jake, "Hello 6", &[]).await, "hello-6");
    let draft = json!({"article": {"title": "Hello", "description": "x", "body": "x"}});
    let reply = world.write(Call::post("/articles").by(&jake).json(draft)).await;
    reply.refused(422, "title", "has already been taken");
    world.close().await;
}

#[tokio::test]
async fn a_new_title_moves_the_article_to_a_new_slug() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    let old = world.publish(&jake, "First title", &["a"]).await;
    world.watch("/articles/second-title");
    let change = json!({"article": {"title": "Second title"}});
    let moved = world.write(Call::put("/articles/first-title").by(&jake).json(change)).await.expect(200);
    assert_eq!(moved["article"]["slug"], "second-title");
    assert_eq!(moved["article"]["body"], "text");
    world.read(Call::get("/articles/first-title")).await.refused(404, "article", "not found");
    assert_eq!(world.read(Call::get("/articles/second-title").by(&jake)).await.expect(200), moved);
    assert_eq!(slugs(&world.read(Call::get("/articles?tag=a")).await.expect(200)), ["second-title"]);

    // The slug is free again, and goes to somebody else's article.
    let ann = world.register("ann").await;
    assert_eq!(world.publish(&ann, "First title", &[]).await, old);
    let shown = world.read(Call::get("/articles/first-title")).await.expect(200);
    assert_eq!(shown["article"]["author"]["username"], "ann");
    let change = json!({"article": {"title": "First Title"}});
    let back = world.write(Call::put("/articles/second-title").by(&jake).json(change)).await.expect(200);
    assert_eq!(back["article"]["slug"], "first-title-1");
    world.close().await;
}

#[tokio::test]
async fn an_update_without_a_new_title_keeps_the_slug() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    world.publish(&jake, "Hello", &[]).await;
    let second = world.publish(&jake, "Hello", &[]).await;
    world.write(Call::delete("/articles/hello").by(&jake)).await.expect(204);
    let path = format!("/articles/{second}");
    for change in
        [json!({"title": "Hello"}), json!({"body": "new"}), json!({"description": "new"}), json!({})]
    {
        let shown =
            world.write(Call::put(&path).by(&jake).json(json!({ "article": change }))).await.expect(200);
        assert_eq!(shown["article"]["slug"], second.as_str());
    }
    let shown = world.read(Call::get(&path)).await.expect(200);
    assert_eq!((&shown["article"]["body"], &shown["article"]["description"]), (&json!("new"), &json!("new")));
    assert!(shown["article"]["updatedAt"].as_str() > shown["article"]["createdAt"].as_str());
    world.close().await;
}

#[tokio::test]
async fn only_the_author_may_change_or_delete_an_article() {
    let world = World::new().await;
    let (jake, ann) = (world.register("jake").await, world.register("ann").await);
    world.publish(&jake, "Mine", &[]).await;
    let change = || json!({"article": {"body": "theirs"}});
    world.write(Call::put("/articles/mine").by(&ann).json(change())).await.refused(403, "article", "belongs");
    world.write(Call::put("/articles/mine").json(change())).await.refused(401, "token", "is missing");
    world.write(Call::put("/articles/none").by(&ann).json(change())).await.refused(
        404,
        "article",
        "not found",
    );
    for blank in ["title", "description", "body"] {
        let change = json!({"article": {blank: " "}});
        world.write(Call::put("/articles/mine").by(&jake).json(change)).await.refused(
            422,
            blank,
            "can't be blank",
        );
    }
    world.write(Call::delete("/articles/mine").by(&ann)).await.refused(403, "article", "belongs");
    world.write(Call::delete("/articles/mine")).await.refused(401, "token", "is missing");
    world.write(Call::delete("/articles/none").by(&ann)).await.refused(404, "article", "not found");
    assert_eq!(world.read(Call::get("/articles/mine")).await.expect(200)["article"]["body"], "text");
    assert_eq!(world.write(Call::delete("/articles/mine").by(&jake)).await.expect(204), Value::Null);
    world.read(Call::get("/articles/mine")).await.refused(404, "article", "not found");
    world.close().await;
}

#[tokio::test]
async fn lists_are_newest_first_without_bodies_and_count_what_is_beyond_the_page() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    for title in ["One", "Two", "Three"] {
        world.publish(&jake, title, &[]).await;
    }
    let list = world.read(Call::get("/articles")).await.expect(200);
    assert_eq!(slugs(&list), ["three", "two", "one"]);
    assert_eq!(list["articlesCount"], 3);
    assert!(list["articles"][0].get("body").is_none(), "{list}");
    let list = world.read(Call::get("/articles?limit=1&offset=1")).await.expect(200);
    assert_eq!((slugs(&list), &list["articlesCount"]), (vec!["two"], &json!(3)));
    let list = world.read(Call::get("/articles?offset=3")).await.expect(200);
    assert_eq!((slugs(&list), &list["articlesCount"]), (vec![], &json!(3)));
    // More than a page ever holds is as much as a page holds.
    assert_eq!(slugs(&world.read(Call::get("/articles?limit=1000000")).await.expect(200)).len(), 3);
    world.close().await;
}

#[tokio::test]
async fn a_list_is_twenty_long_unless_asked_otherwise_and_never_over_a_hundred() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    for number in 0..101 {
        let draft = json!({"title": format!("Number {number}"), "description": "x", "body": "x"});
        let call = Call::post("/articles").by(&jake).json(json!({ "article": draft }));
        world.once(&call).await.expect(201);
    }
    for (path, length) in [("/articles", 20), ("/articles?limit=21", 21), ("/articles?limit=101", 100)] {
        assert_eq!(slugs(&world.read(Call::get(path)).await.expect(200)).len(), length, "{path}");
    }
    world.close().await;
}

#[tokio::test]
async fn filters_choose_by_tag_author_and_favourite_and_hold_together() {
    let world = World::new().await;
    let (jake, ann) = (world.register("jake").await, world.register("ann").await);
    world.publish(&jake, "Red", &["red", "round"]).await;
    world.publish(&jake, "Blue", &["blue"]).await;
    world.publish(&ann, "Ann's red", &["red"]).await;
    world.write(Call::post("/articles/red/favorite").by(&ann)).await.expect(200);
    world.write(Call::post("/articles/ann-s-red/favorite").by(&ann)).await.expect(200);
    for (path, expected) in [
        ("/articles?tag=red", vec!["ann-s-red", "red"]),
        ("/articles?tag=round", vec!["red"]),
        ("/articles?tag=none", vec![]),
        ("/articles?author=jake", vec!["blue", "red"]),
        ("/articles?author=nobody", vec![]),
        ("/articles?favorited=ann", vec!["ann-s-red", "red"]),
        ("/articles?favorited=jake", vec![]),
        ("/articles?favorited=nobody", vec![]),
        ("/articles?tag=red&author=jake", vec!["red"]),
        ("/articles?tag=red&favorited=ann&limit=1", vec!["ann-s-red"]),
        ("/articles?tag=blue&author=jake&favorited=ann", vec![]),
        ("/articles?author=jake&favorited=ann&offset=1", vec![]),
    ] {
        let list = world.read(Call::get(path)).await.expect(200);
        assert_eq!(slugs(&list), expected, "{path}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_window_that_makes_no_sense_is_refused() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    for path in ["/articles", "/articles/feed"] {
        for (query, field, message) in [
            ("limit=0", "limit", "must be at least 1"),
            ("limit=-1", "limit", "must be at least 1"),
            ("offset=-1", "offset", "must be at least 0"),
            ("limit=ten", "query", "Failed to deserialize query string"),
            ("offset=99999999999999999999", "query", "Failed to deserialize query string"),
        ] {
            let path = format!("{path}?{query}");
            world.read(Call::get(&path).by(&jake)).await.refused(422, field, message);
        }
    }
    world.close().await;
}
