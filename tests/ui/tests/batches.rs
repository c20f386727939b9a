//! `#[cached(batch)]` on every shape of function it supports.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use cache_core::error::{BatchError, LoadTimeout};
use cache_core::{Cache, MemoryStore, cached};
use cache_ui_tests::User;

#[derive(Debug, PartialEq)]
struct Failure(String);

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        Self(error.to_string())
    }
}

impl From<LoadTimeout> for Failure {
    fn from(error: LoadTimeout) -> Self {
        Self(error.to_string())
    }
}

struct Repo {
    cache: Cache,
    asked: Mutex<Vec<Vec<i64>>>,
}

fn repo() -> Repo {
    let cache = Cache::builder("ui").store(MemoryStore::default()).build().expect("a store and a good name");
    Repo { cache, asked: Mutex::default() }
}

impl Repo {
    fn select(&self, ids: impl IntoIterator<Item = i64>) -> HashMap<i64, User> {
        let ids: Vec<i64> = ids.into_iter().collect();
        self.asked.lock().expect("nobody panics with it").push(ids.clone());
        ids.into_iter().filter(|id| *id > 0).map(|id| (id, User::numbered(id))).collect()
    }

    /// What the loaders were asked for since the last time.
    fn asked(&self) -> Vec<Vec<i64>> {
        std::mem::take(&mut self.asked.lock().expect("nobody panics with it"))
    }

    #[cached(key = "user:<id>", ttl = "1h")]
    async fn find(&self, id: i64) -> Result<Option<User>, Failure> {
        Ok(self.select([id]).remove(&id))
    }

    /// As in the manual.
    #[cached(key = "user:<id>", ttl = "1h", batch)]
    async fn find_many(&self, ids: &[i64]) -> Result<HashMap<i64, User>, Failure> {
        if ids.contains(&-99) {
            return Err(Failure("no such id".into()));
        }
        Ok(self.select(ids.iter().copied()))
    }

    #[cached(key = "user:<id>", ttl = "1h", batch, batch_limit = 2)]
    async fn in_order(&self, mut ids: Vec<i64>) -> Result<Vec<Option<User>>, Failure> {
        let mut found = self.select(ids.iter().copied());
        if ids.contains(&-13) {
            ids.pop();
        }
        Ok(ids.iter().map(|id| found.remove(id)).collect())
    }

    #[cached(key = "user:<id>", ttl = "1h", batch)]
    async fn any(&self, ids: impl IntoIterator<Item = i64>) -> HashMap<i64, Arc<User>> {
        self.select(ids).into_iter().map(|(id, user)| (id, Arc::new(user))).collect()
    }

    #[cached(key = "user:<id>", ttl = "1h", batch)]
    async fn generic<I: IntoIterator<Item = i64> + Send>(&self, ids: I) -> BTreeMap<i64, User> {
        self.select(ids).into_iter().collect()
    }

    #[cached(key = "user:<id>", ttl = "1h", batch)]
    async fn set(&self, ids: &HashSet<i64>) -> HashMap<i64, User> {
        self.select(ids.iter().copied())
    }

    #[cached(key = "user:<id>", ttl = "1h", batch)]
    async fn owned_set(&self, ids: BTreeSet<i64>) -> HashMap<i64, User> {
        self.select(ids)
    }

    #[cached(
        key = "slow:<id>",
        ttl = "1h",
        batch,
        hard_timeout = "10ms",
        stale_if_error = "1h",
        refresh_ahead = "80%"
    )]
    async fn slow(&self, ids: &[i64]) -> Result<HashMap<i64, User>, Failure> {
        if ids.contains(&13) {
            std::future::pending::<()>().await;
        }
        Ok(self.select(ids.iter().copied()))
    }

    #[cached(key = User, ttl = "1h", version = 1, batch)]
    async fn typed(&self, ids: &[i64]) -> HashMap<i64, User> {
        self.select(ids.iter().copied())
    }

    #[cached(key = "org:<org>:member:<member.0>:<member.1>", tags = ["org:<org>", "role:<member.1>"], ttl = "1h", batch = members, ignores = [trace])]
    async fn members(&self, org: i64, members: &[(i64, bool)], trace: &str) -> HashMap<(i64, bool), User> {
        let _ = (trace, org);
        let mut found = self.select(members.iter().map(|member| member.0));
        members.iter().filter_map(|&(id, admin)| Some(((id, admin), found.remove(&id)?))).collect()
    }

    #[cached(key = "boxed:<id>", ttl = "1h", batch)]
    fn boxed<'a>(&'a self, ids: &'a [i64]) -> Pin<Box<dyn Future<Output = HashMap<i64, User>> + Send + 'a>> {
        Box::pin(async move { self.select(ids.iter().copied()) })
    }

    #[cached(key = "promised:<id>", ttl = "1h", batch)]
    fn promised(&self, ids: Vec<i64>) -> impl Future<Output = HashMap<i64, User>> {
        async move { self.select(ids) }
    }
}

#[cached(key = "slug:<slug>", ttl = "1h", batch)]
async fn by_slug<'a>(cache: &Cache, slugs: &'a [&'a str]) -> HashMap<String, String> {
    slugs.iter().map(|slug| ((*slug).to_owned(), slug.to_uppercase())).collect()
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, cache_core::KeyPart)]
struct OrgId(i64);

#[cached(key = "org:<id>", ttl = "1h", batch)]
async fn orgs(cache: &Cache, ids: &[OrgId]) -> HashMap<OrgId, i64> {
    ids.iter().map(|id| (*id, id.0)).collect()
}

#[tokio::test]
async fn a_batch_and_a_single_function_share_their_entries() {
    let repo = repo();
    assert_eq!(repo.find(42).await.unwrap(), Some(User::numbered(42)));
    let found = repo.find_many(&[42, 7, -1]).await.unwrap();
    assert_eq!((found.len(), &found[&7]), (2, &User::numbered(7)));
    assert_eq!(repo.find(7).await.unwrap(), Some(User::numbered(7)));
    assert_eq!(repo.find(-1).await.unwrap(), None);
    assert_eq!(repo.asked(), [vec![42], vec![7, -1]]);
    assert_eq!(repo.find_many(&[-99]).await, Err(Failure("no such id".into())));
}

#[tokio::test]
async fn keys_may_come_in_any_collection() {
    let repo = repo();
    let list = repo.in_order(vec![2, -2, 1]).await.unwrap();
    assert_eq!(list, [Some(User::numbered(2)), None, Some(User::numbered(1))]);
    assert_eq!(repo.any([1, 2, 3]).await.len(), 3);
    assert_eq!(repo.generic(vec![3, 4]).await.len(), 2);
    assert_eq!(repo.set(&HashSet::from([4, 5])).await.len(), 2);
    assert_eq!(repo.owned_set(BTreeSet::from([5, 6])).await.len(), 2);
    assert_eq!(
        repo.asked(),
        [vec![2, -2, 1], vec![3], vec![4], vec![5], vec![6]],
        "each finds the others' entries"
    );
    let short = repo.in_order(vec![-13, 10]).await.unwrap_err();
    assert!(short.0.contains("asked for 2 keys and returned 1 values"), "{short:?}");
}

#[tokio::test]
async fn keys_may_be_typed_have_fields_and_stand_beside_others() {
    let repo = repo();
    for _ in 0..2 {
        assert_eq!(repo.typed(&[1, 2]).await.len(), 2);
        assert_eq!(repo.members(7, &[(1, true), (2, false)], "a").await.len(), 2);
        assert_eq!(orgs(&repo.cache, &[OrgId(1)]).await[&OrgId(1)], 1);
        assert_eq!(by_slug(&repo.cache, &["a", "bc"]).await["bc"], "BC");
    }
    assert_eq!(repo.asked().len(), 2, "each was stored");
    assert_eq!(repo.members(8, &[(1, true)], "a").await.len(), 1);
    assert_eq!(repo.asked().len(), 1, "another org's");
}

#[tokio::test]
async fn functions_that_return_futures_may_be_batches() {
    let repo = repo();
    for _ in 0..2 {
        assert_eq!(repo.boxed(&[1, 2]).await.len(), 2);
        assert_eq!(repo.promised(vec![1, 2]).await.len(), 2);
    }
    assert_eq!(repo.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_load_of_many_that_takes_too_long_is_an_error() {
    let repo = repo();
    assert_eq!(repo.slow(&[1, 2]).await.unwrap().len(), 2);
    let Failure(late) = repo.slow(&[2, 13]).await.unwrap_err();
    assert_eq!(late, "loading `slow:<id>` took longer than its `hard_timeout` of 10ms");
    assert_eq!(repo.slow(&[1, 2]).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_batch_may_be_spawned() {
    let repo = Arc::new(repo());
    let task =
        tokio::spawn(
            async move { (repo.find_many(&[1, 2]).await.unwrap().len(), repo.any([3]).await.len()) },
        );
    assert_eq!(task.await.unwrap(), (2, 1));
}

#[test]
fn the_catalogue_takes_a_batch_for_what_it_holds() {
    assert_eq!(cache_core::catalogue::Catalogue::linked().errors(), Vec::<String>::new());
}
