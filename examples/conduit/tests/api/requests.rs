//! Requests that are wrong before any endpoint looks at them, and what every answer has in common.

use axum::http::Method;
use serde_json::json;

use crate::harness::{Call, World};

#[tokio::test]
async fn a_body_that_is_not_the_expected_json_is_refused() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    for body in ["", "{", "[]", "{}", r#"{"user":null}"#, r#"{"user":{"email":5}}"#] {
        for call in [Call::post("/users"), Call::post("/users/login"), Call::put("/user").by(&jake)] {
            world.once(&call.text(body.to_owned())).await.refused(422, "body", "Failed to");
        }
    }
    let call = Call::post("/users").text("{}".to_owned()).content_type("text/plain");
    world.once(&call).await.refused(415, "body", "Expected request with `Content-Type: application/json`");
    let call = Call::post("/users").text("x".repeat(3 << 20));
    world.once(&call).await.refused(413, "body", "Failed to buffer the request body");
    world.close().await;
}

#[tokio::test]
async fn a_character_the_database_cannot_hold_is_refused() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    const REFUSED: &str = "contains a character that cannot be stored";
    let draft = json!({"article": {"title": "x", "description": "x", "body": "nul \u{0}", "tagList": []}});
    world.write(Call::post("/articles").by(&jake).json(draft)).await.refused(422, "body", REFUSED);
    let login = json!({"user": {"email": "a\u{0}@b", "password": "x"}});
    world.read(Call::post("/users/login").json(login)).await.refused(422, "body", REFUSED);
    for path in ["/profiles/a%00b", "/articles/a%00b", "/articles?tag=a%00b", "/articles?author=a%00b"] {
        world.read(Call::get(path)).await.refused(422, "body", REFUSED);
    }
    world.read(Call::get("/profiles/%ff")).await.refused(404, "path", "not found");
    world.close().await;
}

#[tokio::test]
async fn a_path_that_leads_nowhere_and_a_method_nobody_serves_are_said_apart() {
    let world = World::new().await;
    world.read(Call::get("/nowhere")).await.refused(404, "path", "not found");
    world.read(Call::new(Method::PATCH, "/user")).await.refused(405, "method", "not allowed here");
    world.read(Call::delete("/tags")).await.refused(405, "method", "not allowed here");
    world.close().await;
}

#[tokio::test]
async fn a_browser_on_another_origin_may_ask() {
    let world = World::new().await;
    assert_eq!(world.read(Call::new(Method::OPTIONS, "/user")).await.status, 200);
    world.close().await;
}
