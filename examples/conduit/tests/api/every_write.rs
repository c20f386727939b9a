//! One long script of every write, awkward ones included. The harness compares all pages after each step; here stands
//! what they must show.

use serde_json::{Value, json};

use crate::harness::{Call, Person, World};

async fn shown(world: &World, path: &str, viewer: Option<&Person>) -> Value {
    world.read(Call::get(path).by(viewer)).await.expect(200)
}

async fn update(world: &World, person: &Person, change: Value) {
    world.write(Call::put("/user").by(person).json(json!({ "user": change }))).await.expect(200);
}

#[tokio::test]
async fn every_write_shows_on_every_page_at_once() {
    let world = World::new().await;
    // Asked for before they exist: what is known to be missing must be found once it is there.
    for path in [
        "/profiles/jake",
        "/profiles/jacob",
        "/articles?author=jacob",
        "/articles?favorited=jacob",
        "/articles/first",
        "/articles/first/comments",
        "/articles/renamed",
        "/articles/renamed/comments",
        "/articles?tag=new",
        "/articles?tag=new&author=jacob",
        "/articles?limit=1",
        "/articles/feed?limit=1&offset=1",
    ] {
        world.watch(path);
    }
    let (jake, ann) = (world.register("jake").await, world.register("ann").await);

    // Publishing shows in the lists, in the feed of who follows, and among the tags.
    world.write(Call::post("/profiles/jake/follow").by(&ann)).await.expect(200);
    world.publish(&jake, "First", &["new", "old"]).await;
    world.publish(&ann, "Other", &["old"]).await;
    assert_eq!(shown(&world, "/articles/feed", Some(&ann)).await["articles"][0]["slug"], "first");
    assert_eq!(shown(&world, "/tags", None).await, json!({"tags": ["new", "old"]}));

    // Favourites and comments.
    world.write(Call::post("/articles/first/favorite").by(&ann)).await.expect(200);
    world.write(Call::post("/articles/first/favorite").by(&jake)).await.expect(200);
    assert_eq!(shown(&world, "/articles?favorited=ann", None).await["articles"][0]["favoritesCount"], 2);
    let call = Call::post("/articles/first/comments").by(&ann);
    let comment = world.write(call.json(json!({"comment": {"body": "nice"}}))).await.expect(200);
    let call = Call::post("/articles/first/comments").by(&jake);
    world.write(call.json(json!({"comment": {"body": "thanks"}}))).await.expect(200);

    // A rename shows wherever the author is shown: the name is in no list and in no comment, it is laid over.
    update(&world, &jake, json!({"username": "jacob", "bio": "was jake"})).await;
    world.read(Call::get("/profiles/jake")).await.refused(404, "profile", "not found");
    for path in ["/articles?tag=new", "/articles?author=jacob", "/articles?favorited=jacob"] {
        let list = shown(&world, path, None).await;
        assert_eq!(list["articles"][0]["author"]["username"], "jacob", "{path}");
    }
    let comments = shown(&world, "/articles/first/comments", Some(&ann)).await;
    assert_eq!(
        comments["comments"][0]["author"],
        json!({"username": "jacob", "bio": "was jake", "image": null, "following": true})
    );

    // The name that was given up goes to somebody else.
    update(&world, &ann, json!({"username": "jake", "email": "moved@example.com"})).await;
    assert_eq!(shown(&world, "/articles?author=jake", None).await["articles"][0]["slug"], "other");
    let taken = json!({"username": "ann", "email": "ann@example.com", "password": "x"});
    world.write(Call::post("/users").json(json!({ "user": taken }))).await.expect(201);
    assert_eq!(shown(&world, "/articles?author=ann", None).await["articlesCount"], 0);

    // A title that changes moves the article with everything that hangs on it.
    let change = json!({"article": {"title": "Renamed", "description": "anew", "body": "anew"}});
    world.write(Call::put("/articles/first").by(&jake).json(change)).await.expect(200);
    world.read(Call::get("/articles/first/comments")).await.refused(404, "article", "not found");
    assert_eq!(
        shown(&world, "/articles/renamed/comments", None).await["comments"].as_array().unwrap().len(),
        2
    );
    assert_eq!(shown(&world, "/articles/feed", Some(&ann)).await["articles"][0]["description"], "anew");

    // Refused writes change nothing; the harness has compared everything after each.
    world.write(Call::delete("/articles/renamed").by(&ann)).await.refused(403, "article", "belongs");
    let change = json!({"article": {"title": "Mine now"}});
    world
        .write(Call::put("/articles/renamed").by(&ann).json(change))
        .await
        .refused(403, "article", "belongs");
    let change = json!({"user": {"username": "jacob", "bio": "me too"}});
    world.write(Call::put("/user").by(&ann).json(change)).await.refused(
        422,
        "username",
        "has already been taken",
    );
    assert_eq!(shown(&world, "/profiles/jake", None).await["profile"]["bio"], Value::Null);

    // What is taken back is gone.
    let path = format!("/articles/renamed/comments/{}", comment["comment"]["id"]);
    world.write(Call::delete(&path).by(&ann)).await.expect(204);
    assert_eq!(
        shown(&world, "/articles/renamed/comments", None).await["comments"].as_array().unwrap().len(),
        1
    );
    world.write(Call::delete("/articles/renamed/favorite").by(&jake)).await.expect(200);
    world.write(Call::delete("/profiles/jacob/follow").by(&ann)).await.expect(200);
    assert_eq!(shown(&world, "/articles/feed", Some(&ann)).await["articlesCount"], 0);
    world.write(Call::post("/profiles/jacob/follow").by(&ann)).await.expect(200);

    // A deleted article leaves every list, feed, favourite and tag, and its slug is free again.
    world.write(Call::delete("/articles/renamed").by(&jake)).await.expect(204);
    for path in ["/articles?favorited=jake", "/articles?author=jacob", "/articles?tag=new", "/articles/feed"]
    {
        assert_eq!(
            shown(&world, path, Some(&ann)).await,
            json!({"articles": [], "articlesCount": 0}),
            "{path}"
        );
    }
    assert_eq!(shown(&world, "/tags", None).await, json!({"tags": ["old"]}));
    world.read(Call::get("/articles/renamed/comments")).await.refused(404, "article", "not found");
    assert_eq!(world.publish(&ann, "Renamed", &["new"]).await, "renamed");
    let article = shown(&world, "/articles/renamed", Some(&ann)).await;
    assert_eq!(
        (&article["article"]["favorited"], &article["article"]["favoritesCount"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(shown(&world, "/articles/renamed/comments", None).await, json!({"comments": []}));
    world.close().await;
}
