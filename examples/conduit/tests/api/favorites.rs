//! Liking articles.

use serde_json::{Value, json};

use crate::harness::{Call, World};

fn favour(article: &Value) -> (bool, i64) {
    (article["favorited"].as_bool().unwrap(), article["favoritesCount"].as_i64().unwrap())
}

#[tokio::test]
async fn a_favourite_counts_for_everybody_and_shows_to_its_owner_alone() {
    let world = World::new().await;
    let (jake, ann) = (world.register("jake").await, world.register("ann").await);
    world.publish(&jake, "Liked", &[]).await;
    for _ in 0..2 {
        let shown = world.write(Call::post("/articles/liked/favorite").by(&ann)).await.expect(200);
        assert_eq!(favour(&shown["article"]), (true, 1));
    }
    for (viewer, expected) in [(Some(&ann), (true, 1)), (Some(&jake), (false, 1)), (None, (false, 1))] {
        let as_viewer = |path| Call::get(path).by(viewer);
        let shown = world.read(as_viewer("/articles/liked")).await.expect(200);
        assert_eq!(favour(&shown["article"]), expected);
        for list in ["/articles", "/articles?author=jake", "/articles?favorited=ann"] {
            let shown = world.read(as_viewer(list)).await.expect(200);
            assert_eq!(favour(&shown["articles"][0]), expected, "{list}");
        }
    }
    let shown = world.write(Call::post("/articles/liked/favorite").by(&jake)).await.expect(200);
    assert_eq!(favour(&shown["article"]), (true, 2));
    for _ in 0..2 {
        let shown = world.write(Call::delete("/articles/liked/favorite").by(&ann)).await.expect(200);
        assert_eq!(favour(&shown["article"]), (false, 1));
    }
    let list = world.read(Call::get("/articles?favorited=ann")).await.expect(200);
    assert_eq!(list, json!({"articles": [], "articlesCount": 0}));
    world.close().await;
}

#[tokio::test]
async fn liking_needs_a_token_and_an_article() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    world.publish(&jake, "Liked", &[]).await;
    for method in [Call::post, Call::delete] {
        world.write(method("/articles/liked/favorite")).await.refused(401, "token", "is missing");
        world.write(method("/articles/none/favorite").by(&jake)).await.refused(404, "article", "not found");
    }
    world.close().await;
}
