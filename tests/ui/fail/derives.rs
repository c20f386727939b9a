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

#[derive(Serialize, Deserialize, Cacheable)]
struct Account {
    #[serde(skip)]
    hash: String,
    #[serde(rename = "a", skip_serializing, default)]
    address: String,
    #[serde(skip_serializing)]
    phone: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    bio: String,
    #[serde(skip_serializing_if = "is_default")]
    age: Option<u8>,
}

fn is_default<T>(_: &T) -> bool { true }

#[derive(Serialize, Deserialize, Cacheable)]
enum Contact {
    Mail(#[serde(skip_deserializing)] String),
    Name(#[serde(skip_serializing_if = "String::is_empty", default)] String, String),
    Phone(#[serde(skip)] String, String),
}

#[derive(Serialize, Deserialize, Cacheable)]
struct LossyValue {
    #[cacheable(lossy = true)]
    id: i64,
}

#[derive(KeyPart)]
enum Filter {
    All,
    Author(i64),
}

fn main() {}
