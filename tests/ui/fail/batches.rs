use std::collections::HashMap;

use cache_core::{Cache, cached};

#[cached(key = "a:<ids>", ttl = "1h", batch)]
async fn the_whole_list(cache: &Cache, ids: &[i64]) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "b", ttl = "1h", batch)]
async fn no_element(cache: &Cache, ids: &[i64]) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "c:<org>:<id>", ttl = "1h", batch)]
async fn two_names(cache: &Cache, ids: &[i64]) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "d:<id>", tags = ["owner:<owner>"], ttl = "1h", batch)]
async fn another_name_in_a_tag(cache: &Cache, ids: &[i64]) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "e:<id>", ttl = "1h", batch)]
async fn two_parameters(cache: &Cache, ids: &[i64], viewer: i64) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "f:<id>", ttl = "1h", batch = ids)]
async fn uncovered(cache: &Cache, ids: &[i64], viewer: i64) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "g:<id>", ttl = "1h", batch)]
async fn no_parameter(cache: &Cache) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "h:<id>", ttl = "1h", batch = keys)]
async fn unheard_of(cache: &Cache, ids: &[i64]) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "i:<id>", ttl = "1h", batch)]
async fn fixed_length(cache: &Cache, ids: [i64; 3]) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "m:<one>", ttl = "1h", batch)]
async fn one_key(cache: &Cache, id: i64) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "j:<id>", ttl = "1h", batch)]
async fn exclusive(cache: &Cache, ids: &mut Vec<i64>) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "k:<id>", ttl = "1h", batch, batch_limit = 0)]
async fn nothing_at_once(cache: &Cache, ids: &[i64]) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "l:<id>", ttl = "1h", batch_limit = 10)]
async fn a_limit_of_one(cache: &Cache, id: i64) -> i64 { id }

#[cached(key = "n:<id>", ttl = "1h", batch, unless = |id| *id == 0, refresh = "background")]
async fn options_of_one(cache: &Cache, ids: &[i64]) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "o:<id>", tags = ["owner:<return.owner>"], ttl = "1h", batch)]
async fn a_tag_of_the_value(cache: &Cache, ids: &[i64]) -> HashMap<i64, i64> { HashMap::new() }

#[cached(key = "near:<id>", ttl = "1h", batch, l1 = false)]
async fn past_the_l1_anyway(cache: &Cache, ids: &[i64]) -> std::collections::HashMap<i64, i64> { todo!() }

fn main() {}
