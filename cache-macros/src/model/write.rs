//! `#[invalidates]`, `#[writes_through]` and `#[writes_around]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Expr, GenericArgument, Path, PathArguments, Type};

use super::options::{self, Known, Options};
use super::subject::{self, Name, Resolver, Returns};
use super::{CachePlace, source};
use crate::args::Args;
use crate::function::{self, Function, Param};
use crate::mistakes::Mistakes;
use crate::text;

const OPTIONS: &[&str] =
    &["key", "keys", "tag", "tags", "bumps", "bulk", "within", "begin", "on_unfenced", "cache", "crate"];
const REPEATABLE: &[&str] = &["key", "tag", "bumps"];

/// What happens to the entries of what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Invalidates,
    WritesThrough,
    WritesAround,
}

impl Effect {
    fn known(self) -> Known {
        let attribute = match self {
            Self::Invalidates => "#[invalidates]",
            Self::WritesThrough => "#[writes_through]",
            Self::WritesAround => "#[writes_around]",
        };
        Known { attribute, options: OPTIONS, repeatable: REPEATABLE }
    }
}

/// How the subjects become known to the commit.
pub(crate) enum Cover {
    /// In the caller's transaction: an expression of type `&mut impl WriteScope`.
    Within(TokenStream),
    /// In one the attribute opens.
    Begin {
        cache: CachePlace,
        /// An expression of type `&Source`.
        source: TokenStream,
        /// The parameter that callers leave out, by its place in the signature.
        index: usize,
        /// The scope's type.
        scope: Box<Type>,
    },
    /// Around a body that commits by itself.
    Around { cache: CachePlace },
}

/// A valid attribute on a write.
pub(crate) struct Write {
    pub(crate) effect: Effect,
    pub(crate) krate: Path,
    pub(crate) keys: Vec<Name>,
    pub(crate) tags: Vec<Name>,
    /// The tag that stands for the keys which the result names, if they are many.
    pub(crate) bulk: Option<Name>,
    pub(crate) cover: Cover,
    /// A variant of cache-core's `OnUnfenced`.
    pub(crate) on_unfenced: Option<&'static str>,
}

impl Write {
    pub(crate) fn new(effect: Effect, args: Args, function: &Function) -> syn::Result<Self> {
        let mut mistakes = Mistakes::default();
        let known = effect.known();
        let options = Options::new(args, &known, &mut mistakes);
        let krate = options.krate(&mut mistakes);
        let cover = cover(effect, &options, function, &mut mistakes);

        let taken = match &cover {
            Some((_, taken)) => taken.clone(),
            None => None,
        };
        let remaining: Vec<&Param> = function
            .params
            .iter()
            .filter(|param| param.name != "cache" && Some(&param.name) != taken.as_ref())
            .filter(|param| ["begin", "cache"].iter().all(|name| !options.begins_with(name, param)))
            .filter(|param| !source::may_be_transaction(function, param))
            .collect();
        let is_around = matches!(cover, Some((Cover::Around { .. }, _)));
        let on_unfenced =
            options.one("on_unfenced").and_then(|value| mistakes.take(on_unfenced(value, is_around)));
        // A missing transaction is reported once, above.
        let covered = options.one("within").is_some() || options.one("begin").is_some() || cover.is_none();
        let returns = if covered { Returns::Known } else { Returns::AfterTheCommit };
        let resolver = Resolver { function, returns, remaining, batch: None };
        let given = options.all("key", "keys");
        let keys: Vec<Name> = given.iter().filter_map(|key| resolver.key(key, &mut mistakes)).collect();
        let named: Vec<Expr> = [("tag", "tags"), ("bumps", "bumps")]
            .iter()
            .flat_map(|(one, many)| options.all(one, many))
            .collect();
        let tags: Vec<Name> = named.iter().filter_map(|tag| resolver.tag(tag, &mut mistakes)).collect();
        subject::twice(&keys, &mut mistakes);
        subject::twice(&tags, &mut mistakes);
        let bulk = bulk(effect, &options, &resolver, (&keys, &tags), &mut mistakes);
        let attribute = known.attribute;
        if given.is_empty() && effect == Effect::WritesThrough {
            let message = format!(
                "`{attribute}` needs a key to install the value under: write `key = \"user:<return.id>\"`"
            );
            mistakes.add_error(options.mistake(message));
        } else if given.is_empty() && named.is_empty() {
            let message = format!(
                "`{attribute}` names nothing that changes: write `key = \"user:<id>\"` or `tag = \"users\"`"
            );
            mistakes.add_error(options.mistake(message));
        }
        let needs_result =
            !matches!(cover, Some((Cover::Within(_), _))) || keys.iter().chain(&tags).any(Name::is_returned);
        if needs_result && cover.is_some() && function::is_no_result(&function.output) {
            let output = &function.output;
            let shown = text::without_paths(quote!(#output));
            let message = format!(
                "whether `{}` succeeded must be known here, and `{shown}` does not say: return a `Result`",
                function.name()
            );
            mistakes.on(output, message);
        }
        mistakes.end(cover.map(|(cover, _)| Self { effect, krate, keys, tags, bulk, cover, on_unfenced }))
    }
}

/// What becomes of the write if it cannot be fenced.
fn on_unfenced(value: &Expr, is_around: bool) -> syn::Result<&'static str> {
    let word = options::string(value, "on_unfenced = \"outbox\"")?;
    match word.value().as_str() {
        "reject" => Ok("Reject"),
        "outbox" if is_around => Err(syn::Error::new_spanned(
            value,
            "`outbox` needs a transaction to leave a row in: write `within = tx`, or `begin = self.pool` to open one here",
        )),
        "outbox" => Ok("Outbox"),
        "proceed" => Ok("Proceed"),
        other => {
            let message = format!(
                "`{other}` is nothing that `on_unfenced` knows; it takes `reject`, `outbox` or `proceed`"
            );
            Err(syn::Error::new_spanned(value, message))
        }
    }
}

/// The tag that stands for the rows of a bulk write.
fn bulk(
    effect: Effect,
    options: &Options,
    resolver: &Resolver<'_>,
    (keys, tags): (&[Name], &[Name]),
    mistakes: &mut Mistakes,
) -> Option<Name> {
    let given = options.one("bulk")?;
    let tag = resolver.tag(given, mistakes)?;
    let text = tag.as_written();
    if effect == Effect::WritesThrough {
        let message = format!(
            "rows that die with the tag `{text}` are read under it, and no value is ever installed under a tag: use `#[invalidates]`"
        );
        mistakes.on(given, message);
    } else if !keys.iter().any(Name::is_returned) {
        let message = "`bulk` stands for the keys that the result names, and there is none: write `key = \"user:<return.id>\"`, or `tag` for a tag that is marked always";
        mistakes.on(given, message);
    } else if tags.iter().any(|other| other.as_written() == text) {
        let message = format!(
            "the tag `{text}` is marked always, and with it die the rows that are read under it: leave out `bulk`, and the keys it stands for"
        );
        mistakes.on(given, message);
    }
    Some(tag)
}

/// How the write is covered, and the parameter that is its transaction.
fn cover(
    effect: Effect,
    options: &Options,
    function: &Function,
    mistakes: &mut Mistakes,
) -> Option<(Cover, Option<String>)> {
    match (options.one("within"), options.one("begin")) {
        (Some(_), Some(begin)) => {
            mistakes
                .on(begin, "`within` and `begin` exclude each other: the caller's transaction, or a new one");
            None
        }
        (Some(within), None) => {
            if let Some(given) = options.one("cache") {
                mistakes.on(given, "with `within` the transaction brings its cache: leave `cache` out");
            }
            let (scope, taken) = mistakes.take(self::within(within, function))?;
            Some((Cover::Within(scope), Some(taken)))
        }
        (None, Some(begin)) => {
            let cache = mistakes.take(CachePlace::find(options.one("cache"), function));
            let (index, param) = mistakes.take(opened(begin, function))?;
            let scope = mistakes.take(scope(param))?;
            let source = self::source(begin, function);
            Some((Cover::Begin { cache: cache?, source, index, scope }, Some(param.name.clone())))
        }
        (None, None) => {
            if effect == Effect::WritesThrough {
                let message = "without a transaction the row is committed before its value is known here, and an older value could be installed over a newer one: write `within = tx` or `begin = self.pool`";
                mistakes.add_error(options.mistake(message));
                return None;
            }
            for param in &function.params {
                if source::may_be_transaction(function, param) {
                    let name = &param.name;
                    let (holds, how) = if source::is_held(function, param) {
                        ("hold", format!("take `{name}: &mut PgTx<'_>` and "))
                    } else {
                        ("be inside", String::new())
                    };
                    let message = format!(
                        "`{name}` may {holds} a transaction, and this write is over only when that commits: {how}write `within = {name}`, or `begin = self.pool` to open one here"
                    );
                    mistakes.on(&param.ty, message);
                    return None;
                }
            }
            if let Some(receiver) = function.exclusive_receiver() {
                let message = "`&mut self` may hold a transaction, and this write is over only when that commits: take `&self`, or name what it writes in, `within = self.tx`, or write `begin = self.pool` to open one here";
                mistakes.on(receiver, message);
                return None;
            }
            let cache = mistakes.take(CachePlace::find(options.one("cache"), function))?;
            Some((Cover::Around { cache }, None))
        }
    }
}

/// `tx`, or a field of a parameter or of `self`.
fn within(value: &Expr, function: &Function) -> syn::Result<(TokenStream, String)> {
    use syn::ext::IdentExt;
    let refuse = |what: &str| {
        let scopes: Vec<String> = function
            .params
            .iter()
            .filter(|param| source::is_scope(function, param))
            .map(|param| param.name.clone())
            .collect();
        let hint = if scopes.is_empty() {
            "add a parameter `tx: &mut PgTx<'_>`".to_owned()
        } else {
            format!("it has {}", text::list(&scopes))
        };
        syn::Error::new_spanned(value, format!("`{what}` is no parameter of `{}`; {hint}", function.name()))
    };
    let mut root = value;
    while let Expr::Field(field) = root {
        root = &field.base;
    }
    let Expr::Path(path) = root else { return Err(refuse(&text::of(value.to_token_stream()))) };
    let name = path.path.get_ident().map(|ident| ident.unraw().to_string());
    let name = name.ok_or_else(|| refuse(&text::of(value.to_token_stream())))?;
    if name == "self" && function.receiver().is_some() {
        return Ok((quote!(&mut #value), name));
    }
    let param = function.param(&name).ok_or_else(|| refuse(&name))?;
    let ident = &param.ident;
    let whole = matches!(value, Expr::Path(_));
    let reference = matches!(&param.ty, Type::Reference(reference) if reference.mutability.is_some());
    let scope = match (whole, reference) {
        (true, true) => quote!(#ident),
        (true, false) => quote!(&mut #ident),
        (false, _) => quote!(&mut #value),
    };
    Ok((scope, name))
}

/// The parameter that `begin` hands in.
fn opened<'f>(begin: &Expr, function: &'f Function) -> syn::Result<(usize, &'f Param)> {
    let scopes: Vec<&Param> =
        function.params.iter().filter(|param| source::is_scope(function, param)).collect();
    let param = match scopes.as_slice() {
        [] => function.param("tx").ok_or_else(|| {
            let message = format!(
                "`begin` opens a transaction and `{}` does not take one: add a parameter `tx: &mut PgTx<'_>`, which callers leave out",
                function.name()
            );
            syn::Error::new_spanned(begin, message)
        })?,
        [param] => param,
        [_, second, ..] => {
            let message = "`begin` opens one transaction: a second one cannot be handed in";
            return Err(syn::Error::new_spanned(&second.ty, message));
        }
    };
    let is_it = |input: &syn::FnArg| match input {
        syn::FnArg::Typed(typed) => matches!(&*typed.pat, syn::Pat::Ident(pat) if pat.ident == param.ident),
        syn::FnArg::Receiver(_) => false,
    };
    let index = function.sig.inputs.iter().position(is_it).unwrap_or_default();
    Ok((index, param))
}

/// The scope's own type. A transaction that is opened here borrows nothing, and saying so keeps the future `Send`: lifetimes
/// that the compiler infers are forgotten when it checks that.
fn scope(param: &Param) -> syn::Result<Box<Type>> {
    let Type::Reference(reference) = &param.ty else {
        let message = format!("`begin` hands in a borrowed transaction: write `{}: &mut …`", param.name);
        return Err(syn::Error::new_spanned(&param.ty, message));
    };
    let mut scope = reference.elem.clone();
    if let Type::Path(path) = &mut *scope
        && let Some(last) = path.path.segments.last_mut()
    {
        let span = last.ident.span();
        let forever = |span| GenericArgument::Lifetime(syn::Lifetime::new("'static", span));
        match &mut last.arguments {
            PathArguments::AngleBracketed(arguments) => {
                let mut named = false;
                for argument in &mut arguments.args {
                    if let GenericArgument::Lifetime(lifetime) = argument {
                        *argument = forever(lifetime.span());
                        named = true;
                    }
                }
                if !named && source::is_scope_name(&last.ident.to_string()) {
                    arguments.args.insert(0, forever(span));
                }
            }
            none @ PathArguments::None if source::is_scope_name(&last.ident.to_string()) => {
                let forever = forever(span);
                *none = PathArguments::AngleBracketed(syn::parse_quote!(<#forever>));
            }
            _ => {}
        }
    }
    Ok(scope)
}

/// What is opened from, by reference.
fn source(begin: &Expr, function: &Function) -> TokenStream {
    let param = match begin {
        Expr::Path(path) => path.path.get_ident().and_then(|ident| function.param(&ident.to_string())),
        _ => None,
    };
    match param {
        Some(param) if param.is_shared_reference() => begin.to_token_stream(),
        _ => quote!(&#begin),
    }
}
