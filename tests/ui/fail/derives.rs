use cache_core::{Cacheable, KeyPart};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Cacheable)]
struct Borrowed<'a> {
    name: &'a str,
}

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(versoin = 2)]
struct Slip {
    id: i64,
}

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(key = "user:<uid>")]
struct NoSuchField {
    id: i64,
}

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(key = "page:<id>")]
struct Generic<T> {
    id: T,
}

#[derive(Serialize, Deserialize, Cacheable)]
struct FieldOption {
    #[cacheable(key = "id")]
    id: i64,
}

#[derive(KeyPart)]
enum Filter {
    All,
    Author(i64),
}

fn main() {}
