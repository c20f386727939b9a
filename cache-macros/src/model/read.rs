//! `#[cached]`.

use proc_macro2::Ident;
use syn::{Expr, Lit, Path};

use super::options::{Known, Options};
use super::policy::Policy;
use super::subject::{self, Name, Place, Resolver, Returns};
use super::{Batch, CachePlace, batch, source};
use crate::args::{self, Args};
use crate::function::{self, Function, Param, Wrapper};
use crate::mistakes::Mistakes;
use crate::text;

const KNOWN: Known = Known {
    attribute: "#[cached]",
    options: &[
        "key",
        "ttl",
        "negative_ttl",
        "jitter",
        "stampede",
        "profile",
        "refresh",
        "refresh_ahead",
        "stale_while_revalidate",
        "bounded",
        "stale_if_error",
        "on_wait",
        "soft_timeout",
        "hard_timeout",
        "ttl_from",
        "unless",
        "only_if",
        "cache_err",
        "tag",
        "tags",
        "version_of",
        "ignores",
        "on",
        "cache",
        "version",
        "warm",
        "l1",
        "batch",
        "batch_limit",
        "crate",
    ],
    repeatable: &["tag"],
};

/// A valid `#[cached]`.
pub(crate) struct Read {
    pub(crate) krate: Path,
    pub(crate) cache: CachePlace,
    pub(crate) key: Name,
    pub(crate) tags: Vec<Name>,
    pub(crate) on: Option<Ident>,
    pub(crate) policy: Policy,
    pub(crate) version: u32,
    /// Whether its entries go into an L1.
    pub(crate) l1: bool,
    /// The name of the companion that warms its entry.
    pub(crate) warm: Option<Ident>,
    /// The value's type as text.
    pub(crate) value: String,
    /// What the value is wrapped in, outermost first, as far as it is a supported order.
    pub(crate) written: Vec<Wrapper>,
    /// The parameter that holds the keys of many entries.
    pub(crate) batch: Option<Batch>,
}

impl Read {
    pub(crate) fn new(args: Args, function: &Function) -> syn::Result<Self> {
        let mut mistakes = Mistakes::default();
        let options = Options::new(args, &KNOWN, &mut mistakes);
        let krate = options.krate(&mut mistakes);
        let known_before = mistakes.len();
        let cache = mistakes.take(CachePlace::find(options.one("cache"), function));
        let on = options.one("on").and_then(|value| mistakes.take(parameter(value, "on", function)));
        let ignores = ignored(&options, function, &mut mistakes);
        let taken_apart = patterns(function, &mut mistakes);
        let all_placed = mistakes.len() == known_before;

        let is_cache =
            |param: &Param| cache.as_ref().is_some_and(|cache| cache.param.as_ref() == Some(&param.name));
        let is_on = |param: &Param| on.is_some_and(|on| on.name == param.name);
        let is_ignored = |param: &Param| ignores.iter().any(|ignored| ignored.name == param.name);
        let remaining: Vec<&Param> = function
            .params
            .iter()
            .filter(|param| !is_cache(param) && !is_on(param) && !is_ignored(param))
            .collect();
        let open: Vec<&Param> =
            remaining.iter().copied().filter(|param| !source::may_be_transaction(function, param)).collect();
        for param in function.params.iter().filter(|param| !is_on(param)) {
            if source::may_be_transaction(function, param) {
                let held = source::is_held(function, param);
                mistakes.on(&param.ty, transaction(param, held, is_ignored(param)));
            }
        }
        if let Some(receiver) = function.exclusive_receiver()
            && options.one("on").is_none()
        {
            let message = "`&mut self` may hold a transaction, whose reads must not fill the cache: take `&self`, or take what is read from as a parameter and name it, `on = db`";
            mistakes.on(receiver, message);
        }

        let many = Batch::find(&options, function, &open, &mut mistakes);
        let (holder, many) = (many.as_ref().map(|(param, _)| *param), many.map(|(_, batch)| batch));
        batch::fits(&options, &mut mistakes);
        // Without it nobody knows which placeholder is a mistake.
        let no_names = taken_apart || (options.one("batch").is_some() && many.is_none());
        let resolver =
            Resolver { function, returns: Returns::AfterTheLoad, remaining: open.clone(), batch: holder };
        let key = match options.one("key") {
            // What was taken apart cannot be found by name.
            Some(_) if no_names => None,
            Some(value) => resolver.key(value, &mut mistakes),
            None => {
                mistakes.add_error(options.mistake(missing_key(function, &open)));
                None
            }
        };
        // The elements of a batch are known before the load; what it returns is matched to them after it.
        let returns = if holder.is_some() { Returns::AfterTheLoad } else { Returns::Known };
        let valued = Resolver { returns, ..resolver };
        let named = [("tag", "tags"), ("version_of", "version_of")];
        let named: Vec<Expr> = named.iter().flat_map(|(one, many)| options.all(one, many)).collect();
        let tags = if no_names && !taken_apart { Vec::new() } else { named };
        let tags: Vec<Name> = tags.iter().filter_map(|tag| valued.tag(tag, &mut mistakes)).collect();
        subject::twice(&tags, &mut mistakes);
        if let Some(key) = &key {
            for tag in tags.iter().filter(|tag| tag.is_returned()) {
                if let Some(place) = tag.beside(key) {
                    mistakes.add(tag.span(), beside(place, tag));
                }
            }
        }
        if let (Some(holder), Some(key)) = (holder, &key) {
            batch::check(holder, key, &tags, &mut mistakes);
        }
        // A parameter whose place was misspelt is no second mistake.
        if let Some(key) = &key
            && all_placed
        {
            let is_holder = |param: &Param| holder.is_some_and(|holder| holder.name == param.name);
            for param in open.iter().filter(|param| !key.mentions(param) && !is_holder(param)) {
                mistakes.add(param.ident.span(), uncovered(param, &tags));
            }
            for param in ignores.iter().filter(|param| key.mentions(param)) {
                let message =
                    format!("`{0}` is in the key and in `ignores`: leave it out of one", param.name);
                mistakes.add(key.span(), message);
            }
        }

        let version = options.one("version").and_then(|value| mistakes.take(version(value))).unwrap_or(0);
        let l1 = options.one("l1").and_then(|value| mistakes.take(near(value))).unwrap_or(true);
        let warm = mistakes.take(super::warm::companion(options.one("warm"), function)).flatten();
        let on = on.map(|param| param.ident.clone());
        let (written, mut value) = function::unwrap(&function.output);
        if many.is_some() {
            value = batch::value(&function.output);
        }
        let policy = Policy::new(&options, function, &written, &mut mistakes);
        let whole = match (cache, key) {
            (Some(cache), Some(key)) => Some(Self {
                krate,
                cache,
                key,
                tags,
                on,
                policy,
                version,
                l1,
                warm,
                value,
                written,
                batch: many,
            }),
            _ => None,
        };
        mistakes.end(whole)
    }
}

/// Whether there are parameters without a name.
fn patterns(function: &Function, mistakes: &mut Mistakes) -> bool {
    let mut found = false;
    for (pattern, ty) in &function.patterns {
        // What `_` hides, the body cannot read either.
        if !matches!(pattern, syn::Pat::Wild(_)) {
            let ty = text::without_paths(quote::quote!(#ty));
            let message = format!(
                "a parameter that is taken apart has no name for the key: write `value: {ty}` and take it apart in the body"
            );
            mistakes.on(pattern, message);
            found = true;
        }
    }
    found
}

pub(super) fn parameter<'f>(value: &Expr, option: &str, function: &'f Function) -> syn::Result<&'f Param> {
    use syn::ext::IdentExt;
    let named = match value {
        Expr::Path(path) => path.path.get_ident().map(|ident| ident.unraw().to_string()),
        _ => None,
    };
    let Some(name) = named else {
        return Err(syn::Error::new_spanned(value, format!("`{option}` takes the name of a parameter")));
    };
    function.param(&name).ok_or_else(|| {
        let names: Vec<String> = function.params.iter().map(|param| param.name.clone()).collect();
        let has = if names.is_empty() { "none".into() } else { text::list(&names) };
        syn::Error::new_spanned(
            value,
            format!("`{name}` is no parameter of `{}`; it has {has}", function.name()),
        )
    })
}

fn ignored<'f>(options: &Options, function: &'f Function, mistakes: &mut Mistakes) -> Vec<&'f Param> {
    let listed = options.one("ignores").map(args::elements).unwrap_or_default();
    listed.iter().filter_map(|value| mistakes.take(parameter(value, "ignores", function))).collect()
}

fn transaction(param: &Param, held: bool, ignored: bool) -> String {
    let name = &param.name;
    let (holds, how) =
        if held { ("hold", "take what is read from by itself and ") } else { ("be inside", "") };
    let more = if ignored { ", and take it out of `ignores`" } else { "" };
    format!(
        "`{name}` may {holds} a transaction, whose reads must not fill the cache: {how}write `on = {name}`{more} (`within = {name}` belongs to writes)"
    )
}

fn missing_key(function: &Function, open: &[&Param]) -> String {
    let holes: String = open.iter().map(|param| format!(":<{}>", param.name)).collect();
    format!("`#[cached]` needs a key: write for example `key = \"{}{holes}\"`", function.name())
}

fn uncovered(param: &Param, tags: &[Name]) -> String {
    let name = &param.name;
    let place = if tags.iter().any(|tag| tag.mentions(param)) {
        "in a tag only"
    } else {
        "in neither the key nor `ignores`"
    };
    format!(
        "`{name}` is {place}, so calls that differ in it would share an entry: write `<{name}>` in the key, or `ignores = [{name}]`"
    )
}

fn beside(place: &Place, tag: &Name) -> String {
    let (place, tag) = (place.as_written(), tag.as_written());
    format!(
        "`<{place}>` is in a tag from the value and not in the key, so callers who differ in it would share an entry under one \
         of their tags: write `<{place}>` in the key too, or leave it out of `{tag}`"
    )
}

fn near(value: &Expr) -> syn::Result<bool> {
    if let Expr::Lit(literal) = value
        && let Lit::Bool(is) = &literal.lit
    {
        return Ok(is.value);
    }
    Err(syn::Error::new_spanned(
        value,
        "`l1` takes `false`, for entries that stay out of the L1: how large that is, and how long it keeps what, is said where the cache is built",
    ))
}

fn version(value: &Expr) -> syn::Result<u32> {
    let parsed = match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(int) => int.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    };
    parsed.ok_or_else(|| {
        syn::Error::new_spanned(value, "`version` takes a whole number, for example `version = 2`")
    })
}
