//! `#[cached]` on every shape of function it supports.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cache_core::{Cache, Cacheable, MemoryStore, cached};
use cache_ui_tests::{Failure, PgTx, Pool, Role, User, UserId};
use serde::{Deserialize, Serialize};

fn cache() -> Cache {
    Cache::builder("ui").store(MemoryStore::default()).build().expect("a store and a good name")
}

struct Repo {
    cache: Cache,
    tenant: String,
    loads: AtomicU32,
}

fn repo() -> Repo {
    Repo { cache: cache(), tenant: "acme".into(), loads: AtomicU32::new(0) }
}

impl Repo {
    fn count(&self) -> u32 {
        self.loads.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn loads(&self) -> u32 {
        self.loads.load(Ordering::Relaxed)
    }

    /// As in the manual.
    #[cached(key = "user:<id>", ttl = "1h", jitter = 0.1, stampede = "xfetch", negative_ttl = "60s", tags = ["users", "org:<self.tenant>"])]
    pub async fn find(&self, id: i64) -> Result<Option<User>, Failure> {
        self.count();
        if id < 0 {
            return Ok(None);
        }
        let id: i64 = id.to_string().parse()?;
        Ok(Some(User::numbered(id)))
    }

    #[cached(key = "slug:<slug>:<role>", ttl = "1h 30m", ignores = [trace])]
    async fn by_slug(&self, slug: &str, role: Role, trace: &str) -> Result<Arc<User>, Failure> {
        let _ = (slug.len(), role, trace);
        Ok(Arc::new(User::numbered(i64::from(self.count()))))
    }

    #[cached(key = User, ttl = "1h", version = 3)]
    async fn typed(&self, id: i64) -> User {
        self.count();
        User::numbered(id)
    }

    #[cached(key = User(user.id), ttl = "1h", version = 3)]
    async fn typed_from_a_field(&self, user: &User) -> User {
        self.count();
        user.clone()
    }

    #[cached(key = "wrapped:<id>", ttl = "1h")]
    async fn by_reference(&self, id: &UserId) -> u32 {
        let _ = id;
        self.count()
    }

    #[cached(key = "moved:<text>:<parts>:<more.0>", ttl = "1h")]
    async fn moves_its_arguments(&self, text: String, parts: Vec<String>, more: (String, u8)) -> String {
        self.count();
        let (mut text, (tail, _)) = (text, more);
        text.push_str(&parts.concat());
        drop(parts);
        text + &tail
    }

    #[cached(key = "mutable:<n>:<words>", ttl = "1h")]
    async fn changes_its_arguments(&self, mut n: u32, mut words: Vec<String>) -> u32 {
        self.count();
        n += 1;
        words.push("more".into());
        n + u32::try_from(words.len()).unwrap_or(0)
    }

    #[cached(key = "<self.tenant>:raw:<r#type>", ttl = "1h")]
    async fn raw(&self, r#type: u8) -> u8 {
        self.count();
        r#type
    }

    #[cached(key = "on:<id>", ttl = "1h", on = db)]
    async fn on(&self, db: impl cache_core::ReadSource<cache_ui_tests::Off>, id: i64) -> i64 {
        self.count();
        drop(db);
        id
    }

    #[cached(key = "exclusive:<id>", ttl = "1h", on = _pool, ignores = [_unused])]
    async fn exclusive(&mut self, _pool: &Pool, id: i64, _unused: u8) -> u32 {
        *self.loads.get_mut() += 1;
        let _ = id;
        self.loads()
    }

    #[cached(key = "owned:<id>", ttl = "1h")]
    async fn owned(self: Arc<Self>, id: i64) -> u32 {
        let _ = id;
        let this = self;
        this.count()
    }

    #[cached(key = "boxed:<id>", ttl = "1h")]
    fn boxed<'a>(
        &'a self,
        id: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<String, Failure>> + Send + 'a>> {
        Box::pin(async move {
            self.count();
            let number: i64 = id.parse()?;
            Ok(number.to_string())
        })
    }

    #[cached(key = "opaque:<id>", ttl = "1h")]
    fn opaque(&self, id: i64) -> impl Future<Output = i64> + Send {
        async move {
            self.count();
            id
        }
    }

    #[cached(key = "wild", ttl = "1h")]
    async fn wild(&self, _: &str) -> u32 {
        self.count()
    }
}

#[cached(key = "free:<id>", ttl = "90s", ignores = [loads])]
async fn free(cache: &Cache, id: i64, loads: &AtomicU32) -> Result<Option<Arc<User>>, Failure> {
    #![allow(clippy::useless_conversion, reason = "shows that inner attributes stay where they are allowed")]
    loads.fetch_add(1, Ordering::Relaxed);
    Ok(Some(Arc::new(User::numbered(id.into()))))
}

struct App {
    cache: Cache,
}

#[cached(key = "state:<id>", ttl = "7d", cache = app.cache, ignores = [app], crate = ::cache_core)]
async fn from_state(app: App, id: i64) -> Vec<i64> {
    drop(app);
    vec![id]
}

#[cached(key = "generic:<id>", ttl = "15m", ignores = [loads])]
async fn generic<T: cache_core::KeyPart + Clone + Into<i64>>(cache: &Cache, id: T, loads: &AtomicU32) -> i64 {
    loads.fetch_add(1, Ordering::Relaxed);
    let moved = id;
    moved.into()
}

struct Source<T> {
    cache: Cache,
    make: fn(i64) -> T,
}

impl<T: cache_core::Cacheable + Clone> Source<T> {
    #[cached(key = "made:<id>", ttl = "1h")]
    async fn get(&self, id: i64) -> Option<T> {
        Some((self.make)(id))
    }
}

/// As [`User`], field for field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Cacheable)]
struct Org {
    id: i64,
    name: String,
}

trait Users {
    async fn name(&self, id: i64) -> String;
}

impl Users for Repo {
    #[cached(key = "name:<id>", ttl = "1h")]
    async fn name(&self, id: i64) -> String {
        self.count();
        format!("user {id}")
    }
}

#[async_trait::async_trait]
trait DynUsers: Send + Sync {
    async fn email(&self, id: i64, domain: &str, parts: Vec<u8>) -> Result<String, Failure>;
}

#[async_trait::async_trait]
impl DynUsers for Repo {
    #[cached(key = "email:<id>:<domain>:<parts>", ttl = "1h")]
    async fn email(&self, mut id: i64, domain: &str, parts: Vec<u8>) -> Result<String, Failure> {
        self.count();
        if id < 0 {
            return Err(Failure::Body("negative"));
        }
        id += 1;
        drop(parts);
        Ok(format!("{id}@{domain}"))
    }
}

macro_rules! cached_functions {
    ($($name:ident: $key:literal in $life:literal),*) => {$(
        #[cached(key = $key, ttl = $life)]
        async fn $name(cache: &Cache, id: i64) -> i64 { id }
    )*};
}

cached_functions!(first: "first:<id>" in "1h", second: "second:<id>" in "1m");

fn is_send<T: Send>(future: T) -> T {
    future
}

#[tokio::test]
async fn a_second_call_is_answered_without_the_body() {
    let repo = repo();
    for _ in 0..2 {
        assert_eq!(repo.find(7).await.unwrap(), Some(User::numbered(7)));
        assert_eq!(repo.find(-1).await.unwrap(), None);
    }
    assert_eq!(repo.loads(), 2);
}

#[tokio::test]
async fn a_parameter_that_is_ignored_shares_the_entry_and_one_in_the_key_does_not() {
    let repo = repo();
    let first = repo.by_slug("a", Role::Author, "x").await.unwrap();
    assert_eq!(repo.by_slug("a", Role::Author, "y").await.unwrap(), first);
    assert_ne!(repo.by_slug("a", Role::Reader, "x").await.unwrap(), first);
    assert_ne!(repo.by_slug("b", Role::Author, "x").await.unwrap(), first);
}

#[tokio::test]
async fn a_typed_key_is_shared_by_functions() {
    let repo = repo();
    let user = repo.typed(9).await;
    assert_eq!(repo.typed_from_a_field(&user).await, user);
    assert_eq!(repo.loads(), 1);
    assert_eq!(repo.cache.stats().of("user:<id>").loads, 1);
}

#[tokio::test]
async fn bodies_may_move_and_change_what_the_key_is_made_of() {
    let repo = repo();
    for _ in 0..2 {
        let text = repo.moves_its_arguments("a".into(), vec!["b".into(), "c".into()], ("d".into(), 1)).await;
        assert_eq!(text, "abcd");
        assert_eq!(repo.changes_its_arguments(1, vec!["x".into()]).await, 4);
    }
    assert_eq!(repo.loads(), 2);
}

#[tokio::test]
async fn every_kind_of_receiver_and_future_is_cached() {
    let mut repo = repo();
    for _ in 0..2 {
        assert_eq!(repo.by_reference(&UserId(1)).await, 1);
        assert_eq!(repo.raw(4).await, 4);
        assert_eq!(repo.boxed("12").await.unwrap(), "12");
        assert_eq!(repo.opaque(5).await, 5);
        assert_eq!(repo.wild("anything").await, 5);
        assert_eq!(repo.name(3).await, "user 3");
        assert_eq!(repo.exclusive(&Pool::default(), 3, 0).await, 7);
    }
    assert!(repo.boxed("twelve").await.is_err());
    let repo = Arc::new(repo);
    assert_eq!(repo.clone().owned(1).await, repo.clone().owned(1).await);
}

#[tokio::test]
async fn an_async_trait_is_cached() {
    let concrete = repo();
    let repo: &dyn DynUsers = &concrete;
    for _ in 0..2 {
        assert_eq!(repo.email(1, "example.org", vec![1]).await.unwrap(), "2@example.org");
    }
    assert!(repo.email(-1, "example.org", vec![]).await.is_err());
    assert_eq!(concrete.loads(), 2);
}

#[tokio::test]
async fn a_transaction_runs_past_the_cache_and_fills_nothing() {
    let repo = repo();
    let pool = Pool::default();
    let mut tx: PgTx<'_> = pool.ledger.begin(&repo.cache);
    assert_eq!(repo.on(&mut tx, 1).await, 1);
    assert_eq!(repo.on(&mut tx, 1).await, 1);
    assert_eq!(repo.loads(), 2);
    repo.on(&pool, 1).await;
    repo.on(&pool, 1).await;
    assert_eq!(repo.loads(), 3);
    assert_eq!(repo.cache.stats().of("on:<id>").bypasses, 2);
}

#[tokio::test]
async fn free_and_generic_functions_are_cached() {
    let (cache, loads) = (cache(), AtomicU32::new(0));
    for _ in 0..2 {
        assert_eq!(free(&cache, 1, &loads).await.unwrap().unwrap().id, 1);
        assert_eq!(generic(&cache, 7_i32, &loads).await, 7);
        assert_eq!(generic(&cache, 8_i64, &loads).await, 8);
        assert_eq!(first(&cache, 5).await, second(&cache, 5).await);
    }
    assert_eq!(loads.into_inner(), 3);
    assert_eq!(from_state(App { cache: cache.clone() }, 3).await, [3]);
}

#[tokio::test]
async fn one_generic_function_keeps_its_types_apart() {
    let cache = cache();
    let numbers = Source { cache: cache.clone(), make: |id| id };
    let texts = Source { cache: cache.clone(), make: |id| id.to_string() };
    for _ in 0..2 {
        assert_eq!(numbers.get(1).await, Some(1));
        assert_eq!(texts.get(1).await.as_deref(), Some("1"));
    }
    assert_eq!(cache.stats().of("made:<id>").loads, 2);
}

#[tokio::test]
async fn one_generic_function_keeps_types_with_equal_fields_apart() {
    let cache = cache();
    let users = Source { cache: cache.clone(), make: User::numbered };
    let orgs = Source { cache: cache.clone(), make: |id| Org { id, name: format!("org {id}") } };
    for _ in 0..2 {
        assert_eq!(users.get(1).await, Some(User::numbered(1)));
        assert_eq!(orgs.get(1).await.map(|org| org.name).as_deref(), Some("org 1"));
    }
    assert_eq!(cache.stats().of("made:<id>").loads, 2);
}

#[test]
fn futures_stay_send() {
    let repo = repo();
    drop(is_send(repo.find(1)));
    drop(is_send(repo.by_slug("a", Role::Author, "x")));
    drop(is_send(repo.moves_its_arguments(String::new(), vec![], (String::new(), 0))));
    drop(is_send(repo.boxed("1")));
    drop(is_send(repo.opaque(1)));
    drop(is_send(repo.email(1, "x", vec![])));
}

#[test]
fn a_site_says_where_it_stands_and_what_it_is() {
    use cache_core::site::Site;
    let sites: Vec<_> = cache_core::__private::inventory::iter::<Site>
        .into_iter()
        .filter_map(|site| match site {
            Site::Read(read) if read.at.function == "reads::find" => Some(*read),
            _ => None,
        })
        .collect();
    assert_eq!(sites.len(), 1);
    let site = sites[0];
    assert_eq!(site.template, "user:<id>");
    assert_eq!(site.tags, ["users", "org:<self.tenant>"]);
    assert_eq!(site.value, "User");
    assert_eq!(site.options.jitter, Some(0.1));
    assert_eq!(site.options.ttl, Some(std::time::Duration::from_secs(3600)));
    assert_eq!(site.options.stampede.unwrap().early, cache_core::policy::Early::XFetch { beta: 1.0 });
    assert!(site.at.file.ends_with("tests/reads.rs"), "{}", site.at.file);
    let attribute = include_str!("reads.rs").lines().position(|line| line.contains("stampede = \"xfetch\""));
    assert_eq!(site.at.line as usize, attribute.unwrap() + 1);
}
