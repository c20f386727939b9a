//! One database, one Redis, three instances of the application, and a script of requests.
//!
//! Instances A and B read through the cache, C straight from Postgres. Writes go to A and B in turn. After every write
//! that reached the database, also a refused one, every known page is read as nobody and as the first two who registered
//! from all instances, and the answers must be the same, byte for byte.

mod call;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use axum::Router;
use conduit::{App, CacheSwitch, Config, PasswordCost};
use serde_json::{Value, json};

pub(crate) use call::{Call, Reply};

/// Somebody who has registered.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) token: String,
}

/// Three instances over one database.
pub(crate) struct World {
    database_url: String,
    instances: Vec<Instance>,
    writes: AtomicUsize,
    known: Mutex<Known>,
}

struct Instance {
    name: &'static str,
    app: App,
    router: Router,
}

/// What is read after every write.
#[derive(Default)]
struct Known {
    paths: BTreeSet<String>,
    viewers: Vec<Person>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::caching_in(&cache_test_support::redis_url().unwrap()).await
    }

    /// Instances that cache in this Redis, under a namespace of their own.
    pub(crate) async fn caching_in(redis_url: &str) -> Self {
        let database_url = cache_test_support::fresh_database().unwrap();
        let namespace = cache_test_support::unique_name("conduit");
        let mut instances = Vec::new();
        // A has a single connection: whoever asked for a second one while holding it would wait for ever.
        for (name, cache, connections) in
            [("A", CacheSwitch::On, 1), ("B", CacheSwitch::On, 3), ("C", CacheSwitch::Off, 2)]
        {
            let app =
                App::start(config(&database_url, redis_url, &namespace, cache, connections)).await.unwrap();
            instances.push(Instance { name, router: app.router(), app });
        }
        let world = Self { database_url, instances, writes: AtomicUsize::default(), known: Mutex::default() };
        for path in ["/articles", "/articles?limit=1&offset=1", "/articles/feed", "/tags", "/user"] {
            world.watch(path);
        }
        world
    }

    /// For tests that speak to the repositories.
    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Adds a page to those read after every write. Worth calling for what does not exist yet.
    pub(crate) fn watch(&self, path: &str) {
        self.known().paths.insert(path.to_owned());
    }

    /// Sends a write to the next instance, then compares everything. What the answer names is watched from then on.
    pub(crate) async fn write(&self, call: Call<'_>) -> Reply {
        let reply = self.once(&call).await;
        self.learn(&reply);
        if !matches!(reply.status, 401 | 404) {
            self.compare_everything(&call).await;
        }
        reply
    }

    /// Sends a write to the next instance and compares nothing.
    pub(crate) async fn once(&self, call: &Call<'_>) -> Reply {
        let turn = self.writes.fetch_add(1, Ordering::Relaxed);
        call.send(&self.instances[turn % 2].router).await
    }

    /// Sends a read to every instance, to A twice; all must say the same.
    pub(crate) async fn read(&self, call: Call<'_>) -> Reply {
        let reply = self.compare(&call, None).await;
        assert_eq!(reply, call.send(&self.instances[0].router).await, "A differs from itself on {call:?}");
        reply
    }

    async fn compare(&self, call: &Call<'_>, after: Option<&Call<'_>>) -> Reply {
        let mut replies = Vec::new();
        for instance in &self.instances {
            replies.push(call.send(&instance.router).await);
        }
        for (reply, instance) in replies.iter().zip(&self.instances) {
            assert_eq!(*reply, replies[0], "{} and A differ on {call:?} after {after:?}", instance.name);
        }
        replies.swap_remove(0)
    }

    /// Registers somebody and watches their pages.
    pub(crate) async fn register(&self, name: &str) -> Person {
        let user = json!({"username": name, "email": format!("{name}@example.com"), "password": "secret"});
        let reply = self.write(Call::post("/users").json(json!({ "user": user }))).await.expect(201);
        Person { name: name.to_owned(), token: reply["user"]["token"].as_str().unwrap().to_owned() }
    }

    /// Publishes an article and returns its slug.
    pub(crate) async fn publish(&self, author: &Person, title: &str, tags: &[&str]) -> String {
        let article = json!({"title": title, "description": "about", "body": "text", "tagList": tags});
        let call = Call::post("/articles").by(author).json(json!({ "article": article }));
        self.write(call).await.expect(201)["article"]["slug"].as_str().unwrap().to_owned()
    }

    /// Gives the connections back.
    pub(crate) async fn close(self) {
        for instance in self.instances {
            instance.app.close().await;
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    fn learn(&self, reply: &Reply) {
        let Some(body) = reply.json() else { return };
        let (user, article) = (&body["user"], &body["article"]);
        if let (Some(name), Some(token)) = (user["username"].as_str(), user["token"].as_str()) {
            for path in ["/profiles/", "/articles?author=", "/articles?favorited="] {
                self.watch(&format!("{path}{name}"));
            }
            if reply.status == 201 {
                self.known().viewers.push(Person { name: name.to_owned(), token: token.to_owned() });
            }
        }
        if let Some(slug) = article["slug"].as_str() {
            self.watch(&format!("/articles/{slug}"));
            self.watch(&format!("/articles/{slug}/comments"));
        }
        for tag in article["tagList"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.watch(&format!("/articles?tag={tag}"));
        }
    }

    async fn compare_everything(&self, write: &Call<'_>) {
        let (paths, viewers) = {
            let known = self.known();
            (known.paths.clone(), known.viewers.clone())
        };
        for path in &paths {
            for viewer in viewers.iter().take(2).map(Some).chain([None]) {
                let reply = self.compare(&Call::get(path).by(viewer), Some(write)).await;
                assert!(matches!(reply.status, 200 | 401 | 404), "GET {path} after {write:?}: {reply:?}");
            }
        }
    }
}

fn config(
    database_url: &str,
    redis_url: &str,
    namespace: &str,
    cache: CacheSwitch,
    connections: u32,
) -> Config {
    Config {
        database_url: Some(database_url.to_owned()),
        redis_url: (cache == CacheSwitch::On).then(|| redis_url.to_owned()),
        cache,
        cache_namespace: Some(namespace.to_owned()),
        host: "127.0.0.1".to_owned(),
        port: 0,
        database_connections: connections,
        jwt_secret: Some("the same for all instances".to_owned()),
        warm_at_start: false,
        task: None,
        password_cost: PasswordCost::Least,
    }
}
