//! What the people one follows have written.

use serde_json::{Value, json};

use crate::harness::{Call, Person, World};

async fn feed(world: &World, viewer: &Person, query: &str) -> (Vec<String>, Value) {
    let mut list = world.read(Call::get(&format!("/articles/feed{query}")).by(viewer)).await.expect(200);
    let articles = list["articles"].as_array().unwrap();
    let slugs = articles.iter().map(|article| article["slug"].as_str().unwrap().to_owned()).collect();
    (slugs, list["articlesCount"].take())
}

#[tokio::test]
async fn the_feed_follows_the_follows() {
    let world = World::new().await;
    let (jake, ann, bob) =
        (world.register("jake").await, world.register("ann").await, world.register("bob").await);
    world.publish(&jake, "By Jake", &[]).await;
    assert_eq!(feed(&world, &bob, "").await, (vec![], json!(0)));
    world.write(Call::post("/profiles/jake/follow").by(&bob)).await.expect(200);
    assert_eq!(feed(&world, &bob, "").await, (vec!["by-jake".into()], json!(1)));
    world.publish(&ann, "By Ann", &[]).await;
    assert_eq!(feed(&world, &bob, "").await, (vec!["by-jake".into()], json!(1)));
    world.write(Call::post("/profiles/ann/follow").by(&bob)).await.expect(200);
    assert_eq!(feed(&world, &bob, "").await, (vec!["by-ann".into(), "by-jake".into()], json!(2)));
    assert_eq!(feed(&world, &bob, "?limit=1&offset=1").await, (vec!["by-jake".into()], json!(2)));
    assert_eq!(feed(&world, &jake, "").await, (vec![], json!(0)));
    world.write(Call::delete("/articles/by-ann").by(&ann)).await.expect(204);
    assert_eq!(feed(&world, &bob, "").await, (vec!["by-jake".into()], json!(1)));
    world.write(Call::delete("/profiles/jake/follow").by(&bob)).await.expect(200);
    assert_eq!(feed(&world, &bob, "").await, (vec![], json!(0)));
    world.close().await;
}

#[tokio::test]
async fn the_feed_needs_a_token_and_shows_whom_one_follows() {
    let world = World::new().await;
    world.read(Call::get("/articles/feed")).await.refused(401, "token", "is missing");
    let (jake, bob) = (world.register("jake").await, world.register("bob").await);
    world.publish(&jake, "By Jake", &[]).await;
    world.write(Call::post("/profiles/jake/follow").by(&bob)).await.expect(200);
    let list = world.read(Call::get("/articles/feed").by(&bob)).await.expect(200);
    assert_eq!(list["articles"][0]["author"]["following"], true);
    assert!(list["articles"][0].get("body").is_none(), "{list}");
    world.close().await;
}
