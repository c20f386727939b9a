//! Fingerprints of value types: a changed struct never decodes an old entry. Refuses `type_name` (it changes with the
//! compiler) and const recursion (it fails on cyclic types).

#[cfg(feature = "chrono")]
mod chrono;
mod standard;
#[cfg(feature = "time")]
mod time;
#[cfg(feature = "uuid")]
mod uuid;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

/// A type that can describe its own shape: names, fields, variants and serde attributes.
///
/// Derived by `#[derive(Cacheable)]`. Types that describe themselves equally decode each other's entries.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not describe its shape to the cache",
    label = "no schema",
    note = "derive `Cacheable` on your own type; on a field of a foreign type write `#[cacheable(version = 1)]` and raise the number when its meaning changes"
)]
pub trait Schema: 'static {
    /// Tells the walker what this type is made of.
    fn describe(walker: &mut Walker);
}

/// A type that may be an entry's value. Derive it; containers of described types have it already.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached",
    label = "this type has no schema fingerprint",
    note = "add `#[derive(Clone, serde::Serialize, serde::Deserialize, cache_core::Cacheable)]` to your own types; wrap foreign ones in a newtype"
)]
pub trait Cacheable: Schema + Serialize + DeserializeOwned + Any + Send + Sync {}

/// Collects the description of a type and everything it is made of. Cycles are cut: a type met again is named by the
/// order in which it was first met.
#[derive(Default)]
pub struct Walker {
    hash: Xxh3,
    met: HashMap<TypeId, u64>,
}

impl std::fmt::Debug for Walker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walker").field("types", &self.met.len()).finish_non_exhaustive()
    }
}

impl Walker {
    /// A name: of a primitive, a field, a variant, or the tokens of an attribute.
    pub fn word(&mut self, word: &str) {
        self.number(word.len() as u64);
        self.hash.update(word.as_bytes());
    }

    /// A number: of fields, of a version.
    pub fn number(&mut self, number: u64) {
        self.hash.update(&number.to_le_bytes());
    }

    /// Everything `T` is made of.
    pub fn walk<T: Schema + ?Sized>(&mut self) {
        let next = self.met.len() as u64;
        if let Some(&earlier) = self.met.get(&TypeId::of::<T>()) {
            self.word("again");
            self.number(earlier);
        } else {
            self.met.insert(TypeId::of::<T>(), next);
            T::describe(self);
        }
    }
}

/// The fingerprint of a type's shape, computed once a process.
#[must_use]
pub fn fingerprint<T: Schema + ?Sized>() -> u64 {
    static KNOWN: RwLock<Option<HashMap<TypeId, u64>>> = RwLock::new(None);
    let id = TypeId::of::<T>();
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(&print) = known.as_ref().and_then(|known| known.get(&id)) {
        return print;
    }
    drop(known);
    let mut walker = Walker::default();
    walker.walk::<T>();
    let print = walker.hash.digest();
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(id, print);
    print
}
