//! The tags in use.

use serde_json::json;

use crate::harness::{Call, World};

#[tokio::test]
async fn a_tag_comes_with_its_first_article_and_goes_with_its_last() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    let tags = async || world.read(Call::get("/tags")).await.expect(200);
    assert_eq!(tags().await, json!({"tags": []}));
    world.publish(&jake, "One", &["b", "a"]).await;
    world.publish(&jake, "Two", &["b", "Z"]).await;
    assert_eq!(tags().await, json!({"tags": ["Z", "a", "b"]}));
    world.write(Call::delete("/articles/one").by(&jake)).await.expect(204);
    assert_eq!(tags().await, json!({"tags": ["Z", "b"]}));
    world.write(Call::delete("/articles/two").by(&jake)).await.expect(204);
    assert_eq!(tags().await, json!({"tags": []}));
    world.close().await;
}
