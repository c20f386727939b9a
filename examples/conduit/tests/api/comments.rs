//! Comments below an article.

use serde_json::{Value, json};

use crate::harness::{Call, Person, Reply, World};

async fn comment(world: &World, path: &str, author: &Person, body: &str) -> Reply {
    world.write(Call::post(path).by(author).json(json!({"comment": {"body": body}}))).await
}

fn bodies(list: &Value) -> Vec<&str> {
    list["comments"].as_array().unwrap().iter().map(|comment| comment["body"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn comments_are_shown_newest_first_with_their_authors() {
    let world = World::new().await;
    let (jake, ann) = (world.register("jake").await, world.register("ann").await);
    world.publish(&jake, "Talk", &[]).await;
    let path = "/articles/talk/comments";
    assert_eq!(world.read(Call::get(path)).await.expect(200), json!({"comments": []}));
    let created = comment(&world, path, &ann, "first").await.expect(200);
    comment(&world, path, &jake, "second").await.expect(200);
    world.write(Call::post("/profiles/ann/follow").by(&jake)).await.expect(200);
    let list = world.read(Call::get(path)).await.expect(200);
    assert_eq!(bodies(&list), ["second", "first"]);
    assert_eq!(list["comments"][1], created["comment"]);
    let mut seen = world.read(Call::get(path).by(&jake)).await.expect(200)["comments"][1].take();
    assert!(
        seen["id"].take().is_i64()
            && seen["createdAt"].take().is_string()
            && seen["updatedAt"].take().is_string()
    );
    assert_eq!(
        seen,
        json!({"id": null, "createdAt": null, "updatedAt": null, "body": "first",
               "author": {"username": "ann", "bio": null, "image": null, "following": true}})
    );
    world.close().await;
}

#[tokio::test]
async fn a_comment_needs_a_token_a_text_and_an_article() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    world.publish(&jake, "Talk", &[]).await;
    let path = "/articles/talk/comments";
    world.write(Call::post(path).json(json!({"comment": {"body": "x"}}))).await.refused(
        401,
        "token",
        "is missing",
    );
    comment(&world, path, &jake, " ").await.refused(422, "body", "can't be blank");
    comment(&world, "/articles/none/comments", &jake, "x").await.refused(404, "article", "not found");
    world.read(Call::get("/articles/none/comments")).await.refused(404, "article", "not found");
    world.close().await;
}

#[tokio::test]
async fn only_its_author_may_delete_a_comment_and_only_below_its_article() {
    let world = World::new().await;
    let (jake, ann) = (world.register("jake").await, world.register("ann").await);
    world.publish(&jake, "Talk", &[]).await;
    world.publish(&jake, "Other", &[]).await;
    let created = comment(&world, "/articles/talk/comments", &ann, "mine").await.expect(200);
    let path = |slug: &str| format!("/articles/{slug}/comments/{}", created["comment"]["id"]);
    world.write(Call::delete(&path("talk"))).await.refused(401, "token", "is missing");
    world.write(Call::delete(&path("talk")).by(&jake)).await.refused(403, "comment", "belongs");
    world.write(Call::delete(&path("other")).by(&ann)).await.refused(404, "comment", "not found");
    world.write(Call::delete(&path("none")).by(&ann)).await.refused(404, "article", "not found");
    world.write(Call::delete("/articles/talk/comments/0").by(&ann)).await.refused(
        404,
        "comment",
        "not found",
    );
    world.write(Call::delete("/articles/talk/comments/x").by(&ann)).await.refused(404, "path", "not found");
    let list = world.read(Call::get("/articles/talk/comments")).await.expect(200);
    assert_eq!(bodies(&list), ["mine"]);
    assert_eq!(world.write(Call::delete(&path("talk")).by(&ann)).await.expect(204), Value::Null);
    let list = world.read(Call::get("/articles/talk/comments")).await.expect(200);
    assert_eq!(bodies(&list), Vec::<&str>::new());
    world.close().await;
}
