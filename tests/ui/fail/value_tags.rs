use cache_core::{Cache, Cacheable, cached};

#[derive(Clone, serde::Serialize, serde::Deserialize, Cacheable)]
struct Article {
    author_id: i64,
}

fn article() -> Article {
    Article { author_id: 1 }
}

#[cached(key = "a:<id>", ttl = "1h", tag = "author:<return.autor_id>")]
async fn unknown_field(cache: &Cache, id: i64) -> Option<Article> { let _ = id; Some(article()) }

#[cached(key = "b:<return.author_id>", ttl = "1h", tag = "author:<return.author_id>")]
async fn key_from_the_value(cache: &Cache, id: i64) -> Article { let _ = id; article() }

#[cached(key = "c:<id>", ttl = "1h", ignores = [org], tag = "org:<org>:author:<return.author_id>")]
async fn argument_beside_the_key(cache: &Cache, id: i64, org: i64) -> Article { let _ = (id, org); article() }

#[cached(key = "d:<id>", ttl = "1h", tag = "all:<return>")]
async fn no_part_of_a_name(cache: &Cache, id: i64) -> Article { let _ = id; article() }

fn main() {}
