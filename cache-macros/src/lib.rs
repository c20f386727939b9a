//! The attributes and derives of `cache-core`; depend on `cache-core`, which re-exports them. Refuses to decide anything at
//! run time: what is generated calls `cache_core::__private` and nothing else.
//!
//! One way through the code: `args` (as written) -> `model` (building it is the validation) -> `expand` (cannot fail);
//! `fallback` when there was a mistake.

mod args;
mod derive;
mod duration;
mod expand;
mod fallback;
mod function;
mod mistakes;
mod model;
mod template;
mod text;

use proc_macro::TokenStream;

/// Reads through the cache: an entry is served, or the body loads the value and fills it.
///
/// ```text
/// #[cached(key = "user:<id>", ttl = "1h", jitter = 0.1, stampede = "xfetch", tags = ["users"])]
/// async fn find(&self, id: i64) -> sqlx::Result<Option<User>> { … }
/// ```
///
/// | option | meaning | default |
/// |---|---|---|
/// | `key` | template (`"user:<id>"`, `"user:<user.id>"`, `"<self.tenant>:user:<id>"`) or a type with a typed key (`User(org, id)`; `User` alone where exactly one parameter can be meant) | required |
/// | `ttl` | lifetime of a value: `"90s"`, `"15m"`, `"1h 30m"`, `"7d"` | required, or `profile` |
/// | `negative_ttl` | lifetime of "there is none" | `"60s"` |
/// | `jitter` | share of the lifetime, 0 to 1, by which it is stretched or shrunk at random | `0` |
/// | `stampede` | who shares a load: `"none"`, `"flight"`, `"lease"`; and early by chance: `"xfetch"`, `"xfetch(beta=2.0)"` | `"lease"` |
/// | `profile` | a named policy, for what the attribute does not say | none |
/// | `refresh_ahead` | load anew in the background after this share of the lifetime: `"80%"` | none |
/// | `stale_while_revalidate` | how long past its lifetime a value is served while it is loaded anew | none |
/// | `stale_if_error` | how long past its lifetime a value is served if the load fails | none |
/// | `bounded` | how long ago a write may have invalidated what answers a call inside `cache_core::bounded` | none |
/// | `on_wait` | what a caller does while another loads: `"wait"`, `"wait(500ms)"`, `"stale"`, `"load"` | `"wait"` |
/// | `soft_timeout` | after this the stale value is served and the load goes on | none |
/// | `hard_timeout` | after this the load is dropped, and its caller gets an error | none |
/// | `refresh` | who loads what still stands: `"background"` or `"inline"` | as the options need |
/// | `ttl_from` | the lifetime, from the value: <code>&#124;token: &Token&#124; token.lasts()</code> | `ttl` |
/// | `unless`, `only_if` | a closure about the value (not stored), or an expression about the arguments (past the cache) | none |
/// | `cache_err` | an error without fields that means "there is none": `sqlx::Error::RowNotFound` | none |
/// | `tags` | invalidation groups of the entry, as templates | none |
/// | `ignores` | parameters that do not change the answer | none |
/// | `on` | the parameter that is read from; inside a transaction the cache is bypassed | none |
/// | `cache` | where the cache is | a parameter `cache`, else `self.cache` |
/// | `version` | raise it when a value's meaning changes and its type does not | `0` |
/// | `l1` | `false` keeps its entries out of the L1, where the cache has one | `true` |
/// | `warm` | whether a companion `warm_find` stands beside the method `find`: the same arguments, and it answers what became of the entry | `true` for methods with a receiver and a visibility |
/// | `batch` | many keys in one call: the parameter that is in neither the key nor `ignores` holds them; `batch = ids` names it | none |
/// | `batch_limit` | entries in one pipeline to the store | `1000` |
/// | `crate` | path of cache-core | `::cache_core` |
///
/// With `batch` a placeholder that is no parameter stands for one of the keys, and the body is given those that are missing:
///
/// ```text
/// #[cached(key = "user:<id>", ttl = "1h", batch)]
/// async fn find_many(&self, ids: &[i64]) -> sqlx::Result<HashMap<i64, User>> { … }
/// ```
///
/// `&mut self` may hold a transaction and is refused without `on`; so is a parameter whose type may hold one and that is not `on`.
/// Every parameter is in the key, is `on` or the cache, or is listed in `ignores`: a forgotten `<viewer>` would serve one
/// user's answer to another.
#[proc_macro_attribute]
pub fn cached(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(item, |function| {
        let read = model::Read::new(args::parse_with_flags(args.into(), &["batch"])?, function)?;
        Ok(expand::read(&read, function))
    })
}

/// Covers a write: readers that begin after it has returned see it.
///
/// ```text
/// #[invalidates(key = "user:<id>", tag = "users", within = tx)]
/// async fn rename(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<()> { … }
/// ```
///
/// | option | meaning |
/// |---|---|
/// | `key`, `keys = […]` | what the write changes; `<return.id>` names a field of what it returns |
/// | `tag`, `tags = […]` | the invalidation groups it changes |
/// | `bulk = "users"` | past the builder's `bulk_limit` (1,000) of returned rows this tag is marked in place of their keys; their readers declare it |
/// | `within = tx` | the parameter whose transaction the body writes in; the caller commits |
/// | `begin = self.pool` | a transaction is opened from this pool, handed in as the parameter of type `&mut PgTx<'_>`, and committed; callers leave that argument out |
/// | `on_unfenced` | what becomes of the write while the store cannot be reached: `"reject"`, `"outbox"`, `"proceed"`; else as the cache was built |
/// | `cache`, `crate` | as in `#[cached]` |
///
/// `within` takes a field as well, such as `self.tx`. With neither form, `&mut self` and parameters whose types may hold a
/// transaction are refused: the write would be over only when that commits.
///
/// With neither `within` nor `begin` the body's own statements run inside a fence; then `<return.…>` cannot be used. Of an
/// `Option`, `None` says that nothing was changed; of a `Vec`, each element is named.
#[proc_macro_attribute]
pub fn invalidates(args: TokenStream, item: TokenStream) -> TokenStream {
    write(args, item, model::Effect::Invalidates)
}

/// As [`macro@invalidates`], and the value returned is installed under its keys when the transaction has committed, where that
/// is safe. Needs `within` or `begin`.
///
/// ```text
/// #[writes_through(key = "user:<return.id>", tag = "users", begin = self.pool)]
/// async fn create(&self, tx: &mut PgTx<'_>, new: NewUser) -> sqlx::Result<User> { … }   // callers write create(new)
/// ```
#[proc_macro_attribute]
pub fn writes_through(args: TokenStream, item: TokenStream) -> TokenStream {
    write(args, item, model::Effect::WritesThrough)
}

/// Queues the value that the body returns: the function returns once a journal has it and every cached read of its key sees it; the
/// database has it a moment later.
///
/// ```text
/// #[writes_behind(key = "user:<id>", queue = self.queue)]
/// async fn save(&self, id: i64, user: User) -> sqlx::Result<User> { Ok(user) }
/// ```
///
/// | option | meaning |
/// |---|---|
/// | `key` | whose value it is; `<return.id>` names a field of it |
/// | `queue` | a `cache_sqlx::Queue` of the value's type |
/// | `crate` | as in `#[cached]` |
///
/// The value has the type that the cached function with this key reads. The function returns a `Result` whose error is
/// `From<cache_sqlx::QueueError>`, as `sqlx::Error` is. Where the body returns an error, or `Ok(None)` of an option, nothing is queued.
#[proc_macro_attribute]
pub fn writes_behind(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(item, |function| {
        let behind = model::Behind::new(args::parse(args.into())?, function)?;
        Ok(expand::behind(&behind, function))
    })
}

/// As [`macro@invalidates`], for values that nobody is expected to read soon: nothing that is written in its body is installed, not even
/// by a `#[writes_through]` that it calls.
///
/// ```text
/// #[writes_around(tag = "users", begin = self.pool)]
/// async fn import(&self, tx: &mut PgTx<'_>, rows: &[NewUser]) -> sqlx::Result<()> { … }
/// ```
#[proc_macro_attribute]
pub fn writes_around(args: TokenStream, item: TokenStream) -> TokenStream {
    write(args, item, model::Effect::WritesAround)
}

fn write(args: TokenStream, item: TokenStream, effect: model::Effect) -> TokenStream {
    expand::attribute(item, |function| {
        let write = model::Write::new(effect, args::parse(args.into())?, function)?;
        Ok(expand::write(&write, function))
    })
}

/// Makes a type a cached value: its name and shape become part of every entry, so a changed struct never decodes an old one, and
/// `User` and `Org` never share one, even if their fields are equal.
///
/// On the type: `#[cacheable(version = 2)]` when its meaning changed and its shape did not; `#[cacheable(key = "user:<id>")]`
/// for a key that attributes share by type (`key = User`) and code calls as `User::key(42)`; `#[cacheable(crate = path)]`.
/// On a field: `#[cacheable(version = 1)]` where its type belongs to another crate; raise it when that type changes.
/// `#[cacheable(lossy)]` where serde skips a field: from the cache it comes back as its default, which is refused otherwise.
#[proc_macro_derive(Cacheable, attributes(cacheable))]
pub fn cacheable(item: TokenStream) -> TokenStream {
    expand::derive(item, derive::cacheable)
}

/// Makes an id type a part of keys: a newtype writes what it wraps, a struct its fields, a fieldless enum its variant's name.
#[proc_macro_derive(KeyPart, attributes(cacheable))]
pub fn key_part(item: TokenStream) -> TokenStream {
    expand::derive(item, derive::key_part)
}
