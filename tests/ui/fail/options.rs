use cache_core::{Cache, cached, invalidates};

#[cached(key = "a:<id>", tll = "1h", ttl = "1h")]
async fn slip(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "b:<id>", colour = "red", ttl = "1h")]
async fn unheard_of(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "c:<id>")]
async fn no_ttl(cache: &Cache, id: i64) -> i64 { id }

#[cached(ttl = "1h")]
async fn no_key(cache: &Cache, id: i64, page: u8) -> i64 { id }

#[cached(key = "d:<id>", ttl = "1 fortnight")]
async fn bad_ttl(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "e:<id>", ttl = 60)]
async fn ttl_without_unit(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "f:<id>", ttl = "1h", ttl = "2h")]
async fn twice(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "g:<id>", ttl = "1h", jitter = 1.5)]
async fn too_much_jitter(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "h:<id>", ttl = "1h", jitter = -0.1)]
async fn too_little_jitter(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "i:<id>", ttl = "1h", stampede = "xfetsch")]
async fn unknown_protection(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "j:<id>", ttl = "1h", version = "two")]
async fn version_in_words(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "k:<id>", ttl)]
async fn no_value(cache: &Cache, id: i64) -> i64 { id }

#[cached("user:<id>", ttl = "1h")]
async fn no_name(cache: &Cache, id: i64) -> i64 { id }

#[invalidates(key = "user:<id>", key = "user:<id>")]
async fn the_same_key_twice(cache: &Cache, id: i64) -> Result<(), cache_core::WriteError> { Ok(()) }

#[invalidates()]
async fn nothing(cache: &Cache, id: i64) -> Result<(), cache_core::WriteError> { Ok(()) }

struct Repo { cache: Cache }

impl Repo {
    #[cached(key = "warm:<id>", ttl = "1h", warm = "yes")]
    pub async fn warm_by_a_word(&self, id: i64) -> i64 { id }
}

#[cached(key = "warm:<id>", ttl = "1h", warm = true)]
pub async fn warm_beside_a_free_function(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "near:<id>", ttl = "1h", l1 = 1000)]
async fn a_size_for_the_l1(cache: &Cache, id: i64) -> i64 { id }

fn main() {}
