//! Other users, and following them.

use serde_json::{Value, json};

use crate::harness::{Call, World};

fn following(profile: &Value) -> bool {
    profile["profile"]["following"].as_bool().unwrap()
}

#[tokio::test]
async fn a_profile_shows_what_others_may_see() {
    let world = World::new().await;
    world.read(Call::get("/profiles/jake")).await.refused(404, "profile", "not found");
    let jake = world.register("jake").await;
    let change = json!({"user": {"bio": "skates", "image": "http://x/y.jpg"}});
    world.write(Call::put("/user").by(&jake).json(change)).await.expect(200);
    assert_eq!(
        world.read(Call::get("/profiles/jake")).await.expect(200),
        json!({"profile": {"username": "jake", "bio": "skates", "image": "http://x/y.jpg", "following": false}})
    );
    world.close().await;
}

#[tokio::test]
async fn following_shows_to_the_follower_alone_and_is_the_same_twice() {
    let world = World::new().await;
    let (jake, ann) = (world.register("jake").await, world.register("ann").await);
    for _ in 0..2 {
        assert!(following(&world.write(Call::post("/profiles/jake/follow").by(&ann)).await.expect(200)));
    }
    assert!(following(&world.read(Call::get("/profiles/jake").by(&ann)).await.expect(200)));
    assert!(!following(&world.read(Call::get("/profiles/jake").by(&jake)).await.expect(200)));
    assert!(!following(&world.read(Call::get("/profiles/ann").by(&jake)).await.expect(200)));
    assert!(!following(&world.read(Call::get("/profiles/jake")).await.expect(200)));
    for _ in 0..2 {
        assert!(!following(&world.write(Call::delete("/profiles/jake/follow").by(&ann)).await.expect(200)));
    }
    assert!(!following(&world.read(Call::get("/profiles/jake").by(&ann)).await.expect(200)));
    world.close().await;
}

#[tokio::test]
async fn following_needs_a_token_and_somebody_to_follow() {
    let world = World::new().await;
    let ann = world.register("ann").await;
    for method in [Call::post, Call::delete] {
        world.write(method("/profiles/ann/follow")).await.refused(401, "token", "is missing");
        world.write(method("/profiles/jake/follow").by(&ann)).await.refused(404, "profile", "not found");
    }
    world.close().await;
}

#[tokio::test]
async fn names_with_separators_and_escapes_stay_apart() {
    let world = World::new().await;
    for (name, path) in
        [("a:b", "/profiles/a:b"), ("a%3Ab", "/profiles/a%253Ab"), ("a/ö", "/profiles/a%2F%C3%B6")]
    {
        world.read(Call::get(path)).await.refused(404, "profile", "not found");
        let user = json!({"username": name, "email": format!("{}@x", name.len()), "password": "x"});
        let call = Call::post("/users").json(json!({ "user": user }));
        // Its own pages are not watched by their raw name: they would have to be escaped.
        world.once(&call).await.expect(201);
        assert_eq!(world.read(Call::get(path)).await.expect(200)["profile"]["username"], name);
    }
    world.close().await;
}
