//! Registration, login, and one's own account.

use serde_json::{Value, json};

use crate::harness::{Call, Person, World};

fn login<'a>(email: &str, password: &str) -> Call<'a> {
    Call::post("/users/login").json(json!({"user": {"email": email, "password": password}}))
}

fn update(person: &Person, change: Value) -> Call<'_> {
    Call::put("/user").by(person).json(json!({ "user": change }))
}

#[tokio::test]
async fn registration_answers_with_the_account_and_a_token_that_works() {
    let world = World::new().await;
    let call = Call::post("/users")
        .json(json!({"user": {"username": "jake", "email": "jake@jake.jake", "password": "jakejake"}}));
    let mut user = world.write(call).await.expect(201)["user"].take();
    let token = user["token"].take().as_str().unwrap().to_owned();
    assert_eq!(
        user,
        json!({"email": "jake@jake.jake", "token": null, "username": "jake", "bio": null, "image": null})
    );

    let jake = Person { name: "jake".into(), token: token.clone() };
    let current = world.read(Call::get("/user").by(&jake)).await.expect(200);
    assert_eq!(current["user"]["token"], token.as_str());
    assert_eq!(current["user"]["email"], "jake@jake.jake");
    world.close().await;
}

#[tokio::test]
async fn registration_says_everything_that_is_wrong_at_once() {
    let world = World::new().await;
    let reply = world.write(Call::post("/users").json(json!({"user": {"username": " ", "email": ""}}))).await;
    assert_eq!(
        reply.expect(422),
        json!({"errors": {"email": ["can't be blank"], "password": ["can't be blank"], "username": ["can't be blank"]}})
    );
    let long = "x".repeat(256);
    let user = json!({"username": long, "email": "no address", "password": "x"});
    let errors = world.write(Call::post("/users").json(json!({ "user": user }))).await.expect(422);
    assert_eq!(
        errors,
        json!({"errors": {"email": ["is invalid"], "username": ["is too long (maximum is 255 characters)"]}})
    );
    world.close().await;
}

#[tokio::test]
async fn a_taken_name_or_address_is_refused() {
    let world = World::new().await;
    world.register("jake").await;
    let name = json!({"username": "jake", "email": "other@example.com", "password": "x"});
    world.write(Call::post("/users").json(json!({ "user": name }))).await.refused(
        422,
        "username",
        "has already been taken",
    );
    let email = json!({"username": "other", "email": "jake@example.com", "password": "x"});
    world.write(Call::post("/users").json(json!({ "user": email }))).await.refused(
        422,
        "email",
        "has already been taken",
    );
    world.close().await;
}

#[tokio::test]
async fn login_needs_the_right_password_of_a_known_address() {
    let world = World::new().await;
    world.read(login("jake@example.com", "secret")).await.refused(401, "email or password", "is invalid");
    world.register("jake").await;
    let user = world.write(login("jake@example.com", "secret")).await.expect(200);
    assert_eq!(user["user"]["username"], "jake");
    world.read(login("jake@example.com", "Secret")).await.refused(401, "email or password", "is invalid");
    world.read(login("", "")).await.refused(422, "email", "can't be blank");
    world.close().await;
}

#[tokio::test]
async fn a_token_that_is_missing_or_wrong_is_refused() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    world.read(Call::get("/user")).await.refused(401, "token", "is missing");
    let other_scheme = format!("Bearer {}", jake.token);
    let changed = format!("Token {}x", jake.token);
    for header in ["Token", "Token ", "Token a.b.c", "Basic amFrZTpqYWtl", &other_scheme, &changed] {
        world.read(Call::get("/user").authorization(header)).await.refused(401, "token", "is invalid");
        // Where a token is optional, a wrong one is still wrong.
        world.read(Call::get("/articles").authorization(header)).await.refused(401, "token", "is invalid");
    }
    world.close().await;
}

#[tokio::test]
async fn the_token_of_an_account_in_another_database_is_refused() {
    let (world, other) = (World::new().await, World::new().await);
    world.register("jake").await;
    other.register("ann").await;
    let beyond = other.register("bob").await;
    world.read(Call::get("/user").by(&beyond)).await.refused(401, "token", "is invalid");
    world.register("eve").await;
    // The number now names somebody, and the instances forget at once that it did not.
    let user = world.read(Call::get("/user").by(&beyond)).await.expect(200);
    assert_eq!(user["user"]["username"], "eve");
    world.close().await;
    other.close().await;
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_keeps_the_rest() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    let user =
        world.write(update(&jake, json!({"bio": "skates", "image": "http://x/y.jpg"}))).await.expect(200);
    assert_eq!(
        user["user"],
        json!({"email": "jake@example.com", "token": jake.token, "username": "jake",
               "bio": "skates", "image": "http://x/y.jpg"})
    );
    let user = world.write(update(&jake, json!({"bio": null, "email": "new@example.com"}))).await.expect(200);
    assert_eq!(
        user["user"],
        json!({"email": "new@example.com", "token": jake.token, "username": "jake",
               "bio": null, "image": "http://x/y.jpg"})
    );
    world.close().await;
}

#[tokio::test]
async fn an_update_may_not_empty_what_must_be_there() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    world.register("ann").await;
    for field in ["username", "email", "password"] {
        for nothing in [json!(""), json!("  "), json!(null)] {
            let reply = world.write(update(&jake, json!({ field: nothing }))).await;
            reply.refused(422, field, "can't be blank");
        }
    }
    world.write(update(&jake, json!({}))).await.refused(422, "body", "must change at least one field");
    world.write(update(&jake, json!({"email": "@"}))).await.refused(422, "email", "is invalid");
    world.write(update(&jake, json!({"username": "ann"}))).await.refused(
        422,
        "username",
        "has already been taken",
    );
    world.write(update(&jake, json!({"email": "ann@example.com"}))).await.refused(
        422,
        "email",
        "has already been taken",
    );
    world.write(Call::put("/user").json(json!({"user": {"bio": "x"}}))).await.refused(
        401,
        "token",
        "is missing",
    );
    world.close().await;
}

#[tokio::test]
async fn a_new_password_or_address_replaces_the_old_one_at_login() {
    let world = World::new().await;
    let jake = world.register("jake").await;
    world.read(login("new@example.com", "changed")).await.refused(401, "email or password", "is invalid");
    world.write(update(&jake, json!({"password": "changed"}))).await.expect(200);
    world.read(login("jake@example.com", "secret")).await.refused(401, "email or password", "is invalid");
    world.write(login("jake@example.com", "changed")).await.expect(200);
    world.write(update(&jake, json!({"email": "new@example.com"}))).await.expect(200);
    world.read(login("jake@example.com", "changed")).await.refused(401, "email or password", "is invalid");
    world.write(login("new@example.com", "changed")).await.expect(200);
    world.close().await;
}
