use cache_core::{Cache, cached};

#[cached(key = "user:<uid>", ttl = "1h")]
async fn find(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "user:<a><b>", ttl = "1h")]
async fn adjacent(cache: &Cache, a: &str, b: &str) -> i64 { 1 }

#[cached(key = "user:<a>-<b>", ttl = "1h")]
async fn nearly_adjacent(cache: &Cache, a: &str, b: &str) -> i64 { 1 }

#[cached(key = "user:{id}", ttl = "1h")]
async fn braces(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "user <id>", ttl = "1h")]
async fn blank(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "user:<id", ttl = "1h")]
async fn unclosed(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "", ttl = "1h")]
async fn empty(cache: &Cache) -> i64 { 1 }

#[cached(key = "user:<return.id>", ttl = "1h")]
async fn of_the_result(cache: &Cache) -> i64 { 1 }

#[cached(key = "user:<self.tenant>", ttl = "1h")]
async fn without_self(cache: &Cache) -> i64 { 1 }

#[cached(key = id, ttl = "1h")]
async fn not_a_template(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = 7, ttl = "1h")]
async fn a_number(cache: &Cache) -> i64 { 1 }

struct Row;

impl Row {
    #[cached(key = Self(id), ttl = "1h")]
    async fn of_its_own_type(cache: &Cache, id: i64) -> i64 { id }

    #[cached(key = Row, ttl = "1h")]
    async fn which_is_which(cache: &Cache, slug: i64, org: i64) -> i64 { org }

    #[cached(key = Row, ttl = "1h")]
    async fn of_nothing(cache: &Cache) -> i64 { 1 }

    #[cached(key = Row(id.abs()), ttl = "1h")]
    async fn computed(cache: &Cache, id: i64) -> i64 { id }
}

fn main() {}
