//! Read-through: a loader that is registered once, so that call sites ask the cache only. Refuses a template that an attribute
//! would refuse, and a template that is read as another type elsewhere.

use std::fmt;
use std::future::Future;
use std::panic;
use std::sync::Arc;
use std::time::Duration;

use super::Cache;
use crate::catalogue;
use crate::engine::{self, Background};
use crate::error::BuildError;
use crate::key::template::{self, Piece};
use crate::key::{KeyBytes, KeyPart, Text};
use crate::output::{Output, ValueOf};
use crate::policy::Overrides;
use crate::site::{Location, ReadSite};
use crate::store::BoxFuture;

/// A registered loader under a key template: [`Cache::reader`]. Cheap to clone.
pub struct Reader<K, O> {
    cache: Cache,
    site: &'static ReadSite,
    pieces: Arc<[Piece]>,
    load: Arc<dyn Fn(K) -> BoxFuture<'static, O> + Send + Sync>,
}

impl<K, O> Clone for Reader<K, O> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            site: self.site,
            pieces: self.pieces.clone(),
            load: self.load.clone(),
        }
    }
}

impl<K, O> fmt::Debug for Reader<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("site", &self.site).finish_non_exhaustive()
    }
}

/// How long what a reader loads lives, and the rest of its policy: a `Duration`, the name of a profile, or [`Overrides`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// What is said here; it wins over the profile.
    pub options: Overrides,
    /// The profile that says the rest.
    pub profile: Option<&'static str>,
}

impl From<Duration> for Terms {
    fn from(ttl: Duration) -> Self {
        Self { options: Overrides::ttl(ttl), profile: None }
    }
}

impl From<Overrides> for Terms {
    fn from(options: Overrides) -> Self {
        Self { options, profile: None }
    }
}

impl From<&'static str> for Terms {
    fn from(profile: &'static str) -> Self {
        Self { options: Overrides::NONE, profile: Some(profile) }
    }
}

/// The arguments of a loader, in the order of the template's placeholders: a tuple of one to four key parts.
pub trait Arguments: Clone + Send + Sync + 'static {
    /// How many.
    const COUNT: usize;

    /// Writes the argument at this place, from 0.
    fn write(&self, at: usize, text: &mut Text);

    /// Writes all of them as bytes.
    #[doc(hidden)]
    fn bytes_into(&self, out: &mut KeyBytes);
}

/// What stands for a loader's arguments at a call: the tuple itself, or the only argument alone.
pub trait IntoArguments<K> {
    /// The arguments.
    fn into_arguments(self) -> K;
}

impl<K: Arguments> IntoArguments<K> for K {
    fn into_arguments(self) -> K {
        self
    }
}

impl<A: KeyPart> IntoArguments<(A,)> for A {
    fn into_arguments(self) -> (A,) {
        (self,)
    }
}

/// A function of one to four key parts that loads what they name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a reader's loader",
    note = "write `|id: i64| async move {{ … }}`: one to four arguments of `KeyPart` types, each with its type, and a future that is `Send + 'static`"
)]
pub trait Loader<K, O>: Send + Sync + 'static {
    /// Loads.
    fn load(&self, key: K) -> BoxFuture<'static, O>;
}

macro_rules! arities {
    ($($count:literal: $($part:ident $at:tt),*;)*) => {$(
        impl<$($part: KeyPart + Clone + Send + Sync + 'static),*> Arguments for ($($part,)*) {
            const COUNT: usize = $count;

            fn write(&self, at: usize, text: &mut Text) {
                match at {
                    $($at => text.part(&self.$at),)*
                    _ => {}
                }
            }

            fn bytes_into(&self, out: &mut KeyBytes) {
                $(out.part(&self.$at);)*
            }
        }

        impl<$($part,)* O, F, L> Loader<($($part,)*), O> for L
        where
            L: Fn($($part),*) -> F + Send + Sync + 'static,
            F: Future<Output = O> + Send + 'static,
        {
            fn load(&self, key: ($($part,)*)) -> BoxFuture<'static, O> {
                Box::pin(self($(key.$at),*))
            }
        }
    )*};
}

arities! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
}

impl Cache {
    /// Registers a loader under a key template, so that call sites ask the cache only. The arguments stand for the
    /// placeholders, in order. `terms` is a lifetime, the name of a profile, or [`Overrides`].
    ///
    /// What it reads is what a `#[cached]` function with the same template and value type reads: the same entries, flights and
    /// leases. Make a reader once and keep it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use cache_core::{Cache, MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder("shop").store(MemoryStore::default()).build()?;
    /// let names = cache.reader("name:<id>", Duration::from_secs(60), |id: i64| async move {
    ///     Ok::<_, std::io::Error>(Some(format!("name of {id}")))
    /// })?;
    /// assert_eq!(names.get(42).await?.as_deref(), Some("name of 42"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// One sentence a mistake: a malformed template, another number of placeholders than arguments, a template that a
    /// `#[cached]` function or another reader reads as another type, an unknown profile, options that contradict each other.
    #[track_caller]
    pub fn reader<K, O>(
        &self,
        key: &'static str,
        terms: impl Into<Terms>,
        load: impl Loader<K, O>,
    ) -> Result<Reader<K, O>, BuildError>
    where
        K: Arguments,
        O: Output + Send + 'static,
    {
        let place = panic::Location::caller();
        let at = Location { function: "reader", file: place.file(), line: place.line() };
        let Terms { options, profile } = terms.into();
        let value = catalogue::value_text(std::any::type_name::<ValueOf<O>>());
        let site = ReadSite { profile, background: true, ..ReadSite::new(at, key, value, options) };
        let refuse = |mistakes: Vec<String>| {
            BuildError::new(mistakes.into_iter().map(|mistake| format!("{at}: {mistake}")).collect())
        };
        let pieces = template::parse(key).map_err(|mistake| refuse(vec![mistake]))?;
        let holes = pieces.iter().filter(|piece| **piece == Piece::Hole).count();
        let mut mistakes = Vec::new();
        if holes != K::COUNT {
            mistakes.push(format!(
                "the key `{key}` has {holes} placeholders and the loader takes {} arguments: write one for each, in order",
                K::COUNT
            ));
        }
        mistakes.extend(catalogue::mistakes_of_reader(
            &site,
            &self.0.profiles(),
            self.0.settings.on_unfenced,
        ));
        if !mistakes.is_empty() {
            return Err(refuse(mistakes));
        }
        let site = catalogue::enter(site);
        self.0.reads_by(site);
        let load = Arc::new(move |key| load.load(key));
        Ok(Reader { cache: self.clone(), site, pieces: pieces.into(), load })
    }
}

impl<K: Arguments, O: Output + Send + 'static> Reader<K, O> {
    /// Reads through the cache; the loader's own error passes through untouched.
    pub async fn get(&self, key: impl IntoArguments<K>) -> O {
        self.read(key.into_arguments()).await
    }

    async fn read(&self, key: K) -> O {
        let cache = &self.cache;
        let near = engine::near::<O>(&cache.0, cache.1, self.site, |bytes| key.bytes_into(bytes));
        let request = match near {
            Ok(kept) => match engine::taken(&cache.0, self.site, kept) {
                Some(output) => return output,
                None => None,
            },
            Err(sought) => {
                let text = |text: &mut Text| self.write(&key, text);
                let request = engine::request(&cache.0, cache.1, self.site, text, |_| {});
                request.map(|request| request.sought_by(sought))
            }
        };
        let again = Background(|| self.clone().again(key.clone()));
        engine::read(&cache.0, request, || (self.load)(key.clone()), again).await
    }

    /// The same read, for a task of its own. No `async fn`: whether that is `Send` could not be told from inside itself.
    fn again(self, key: K) -> BoxFuture<'static, ()> {
        Box::pin(async move { drop(self.read(key).await) })
    }

    fn write(&self, key: &K, text: &mut Text) {
        let mut at = 0;
        for piece in &*self.pieces {
            match piece {
                Piece::Literal(literal) => text.literal(literal),
                Piece::Hole => {
                    key.write(at, text);
                    at += 1;
                }
            }
        }
    }
}
