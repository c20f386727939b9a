//! Policies by name: built in, changed, from configuration, at run time.

use cache_core::cached;
use cache_core::policy::{Overrides, Profiles};

use super::*;

#[derive(Clone)]
struct Prices {
    cache: Cache,
    source: Arc<Source>,
}

impl Prices {
    #[cached(key = "live:<id>", profile = "realtime")]
    async fn live(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "own:<id>", profile = "realtime", ttl = "1m")]
    async fn own(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }
}

#[tokio::test]
async fn a_profile_says_what_the_attribute_does_not() {
    let world = World::new();
    let prices = Prices { cache: world.cache(), source: world.source.clone() };
    assert_eq!((prices.live(7).await, prices.own(7).await), (Ok(1), Ok(1)));
    world.passes(10);
    world.source.becomes(2);
    assert_eq!((prices.live(7).await, prices.own(7).await), (Ok(2), Ok(1)));
}

#[tokio::test]
async fn profiles_change_at_run_time() {
    let world = World::new();
    let prices = Prices { cache: world.cache(), source: world.source.clone() };
    let longer = Profiles::default().with("realtime", Overrides::ttl(100 * SECOND));
    prices.cache.set_profiles(longer).unwrap();
    assert_eq!(prices.live(7).await, Ok(1));
    world.passes(99);
    assert_eq!(prices.live(7).await, Ok(1));
    assert_eq!(world.loads(), 1);
    prices.cache.set_profiles(Profiles::default()).unwrap();
    world.passes(1);
    assert_eq!(prices.live(7).await, Ok(1));
    world.passes(10);
    assert_eq!(prices.live(7).await, Ok(1));
    assert_eq!(world.loads(), 3, "entries that are filled from now on are shorter");
}

#[tokio::test]
async fn profiles_come_from_configuration() {
    let text = r#"{ "realtime": { "ttl": "2s", "stampede": "flight" }, "mine": { "ttl": "1h 30m", "refresh_ahead": "80%" } }"#;
    let profiles: Profiles = serde_json::from_str(text).unwrap();
    assert_eq!(profiles.get("mine").unwrap().refresh_ahead, Some(0.8));
    let world = World::new();
    let cache = world.builder().profiles(profiles).build().unwrap();
    let prices = Prices { cache, source: world.source.clone() };
    assert_eq!(prices.live(7).await, Ok(1));
    world.passes(2);
    assert_eq!(prices.live(7).await, Ok(1));
    assert_eq!(world.loads(), 2);
}

#[tokio::test]
async fn what_a_profile_gets_wrong_is_told_and_changes_nothing() {
    let world = World::new();
    let cache = world.cache();
    let wrong = Overrides { jitter: Some(7.0), ..Overrides::NONE };
    let error = cache.set_profiles(Profiles::default().with("realtime", wrong)).unwrap_err();
    assert_eq!(error.mistakes().len(), 1, "{error}");
    assert!(error.to_string().contains("profile `realtime`: `jitter` has to be from 0 to 1"), "{error}");
    let soft = Overrides { soft_timeout: Some(SECOND), stale_if_error: Some(SECOND), ..Overrides::NONE };
    let error = world.builder().profiles(Profiles::default().with("realtime", soft)).build().unwrap_err();
    assert!(error.to_string().contains("refresh = \"background\""), "{error}");
    for (text, says) in [
        (r#"{ "a": { "ttl": "soon" } }"#, "is no duration"),
        (r#"{ "a": { "tll": "1s" } }"#, "unknown field"),
        (r#"{ "a": { "refresh_ahead": "120%" } }"#, "less than 100 %"),
        (r#"{ "a": { "stampede": "luck" } }"#, "is unknown"),
    ] {
        let error = serde_json::from_str::<Profiles>(text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
