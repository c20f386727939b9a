//! What `#[writes_behind]` hands to its queue.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::Arc;

use cache_core::{cached, writes_behind};
use cache_ui_tests::{Full, Queue, User};

#[derive(Debug, PartialEq, Eq)]
enum Error {
    Refused,
    Full,
}

impl From<Full> for Error {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

struct Users {
    cache: cache_core::Cache,
    queue: Queue<User>,
}

impl Users {
    #[cached(key = "user:<id>", ttl = "1m")]
    async fn find(&self, id: i64) -> Option<User> {
        Some(User::numbered(id))
    }

    #[writes_behind(key = "user:<id>", queue = self.queue)]
    async fn save(&self, id: i64) -> Result<User, Error> {
        if id < 0 {
            return Err(Error::Refused);
        }
        Ok(User::numbered(id))
    }

    /// Moves its argument, whose key is written before.
    #[writes_behind(key = "user:<user.id>", queue = self.queue)]
    async fn take(&self, user: User) -> Result<Arc<User>, Error> {
        Ok(Arc::new(user))
    }

    #[writes_behind(key = "user:<return.id>", queue = self.queue)]
    async fn save_some(&self, id: Option<i64>) -> Result<Option<User>, Error> {
        Ok(id.map(User::numbered))
    }

    #[writes_behind(key = "name:<name>", queue = queue)]
    fn boxed<'a>(
        &'a self,
        queue: &'a Queue<u64>,
        name: &'a str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<u64, Full>> + Send + 'a>> {
        Box::pin(async move { Ok(name.len() as u64) })
    }
}

fn users(size: usize) -> Users {
    Users { cache: cache_core::Cache::builder("t").off().build().unwrap(), queue: Queue::of(size) }
}

#[tokio::test]
async fn what_the_body_returns_is_queued_under_its_key() {
    let users = users(9);
    assert_eq!(users.save(7).await.unwrap(), users.find(7).await.unwrap());
    users.take(User::numbered(8)).await.unwrap();
    assert_eq!(users.save_some(None).await.unwrap(), None);
    users.save_some(Some(9)).await.unwrap();
    let written: Vec<_> = users.queue.writes().into_iter().map(|(_, key, user)| (key, user.id)).collect();
    let expected = [7, 8, 9].map(|id| (format!("user:{id}"), User::numbered(id).id));
    assert_eq!(written, expected);
    let names = Queue::of(1);
    assert_eq!(users.boxed(&names, "a:b").await, Ok(3));
    assert_eq!(names.writes(), [("name:<name>", "name:a%3ab".to_owned(), 3)]);
}

#[tokio::test]
async fn an_error_queues_nothing_and_a_full_queue_is_an_error() {
    let users = users(1);
    assert_eq!(users.save(-1).await.unwrap_err(), Error::Refused);
    assert!(users.queue.writes().is_empty());
    users.save(1).await.unwrap();
    assert_eq!(users.save(2).await.unwrap_err(), Error::Full);
    assert_eq!(users.queue.writes().len(), 1);
}

#[test]
fn futures_can_be_sent() {
    fn can_be_sent<T: Send>(_: T) {}
    let users = users(1);
    can_be_sent(users.save(1));
    can_be_sent(users.take(User::numbered(1)));
}
