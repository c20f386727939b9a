//! The part of `#[cached]` that says how long an entry lives, who loads it and when. What contradicts itself does not compile.

use std::time::Duration;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Expr, ExprUnary, Lit, LitStr, UnOp};

use super::options::{Options, string};
use crate::function::{Function, Wrapper};
use crate::mistakes::Mistakes;
use crate::{duration, text};

/// Who shares a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sharing {
    Nobody,
    Flight,
    Lease,
}

/// How stampedes are avoided; `beta` is XFetch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stampede {
    pub(crate) sharing: Sharing,
    pub(crate) beta: Option<f64>,
}

/// What a caller does while somebody else loads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum OnWait {
    Wait(Option<Duration>),
    Stale,
    Load,
}

/// What is asked about the value, or about the arguments, before it is kept.
pub(crate) enum Condition {
    /// A closure or a path, called with the value.
    Value(Expr),
    /// An expression over the arguments.
    Arguments(Expr),
}

/// The options that make a policy, as far as they were written.
#[derive(Default)]
pub(crate) struct Policy {
    pub(crate) profile: Option<LitStr>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) negative_ttl: Option<Duration>,
    pub(crate) jitter: Option<f64>,
    pub(crate) stampede: Option<Stampede>,
    pub(crate) refresh_ahead: Option<f64>,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) bounded: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) on_wait: Option<OnWait>,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) hard_timeout: Option<Duration>,
    /// Whether the function can be called again by itself.
    pub(crate) background: bool,
    pub(crate) ttl_from: Option<Expr>,
    pub(crate) unless: Option<Condition>,
    pub(crate) only_if: Option<Condition>,
    pub(crate) cache_err: Option<Expr>,
}

impl Policy {
    pub(crate) fn new(
        options: &Options,
        function: &Function,
        written: &[Wrapper],
        mistakes: &mut Mistakes,
    ) -> Self {
        let mut known = Reader { options, mistakes };
        let profile = known.read("profile", |value| string(value, "\"catalog\"").cloned());
        let policy = Self {
            ttl: known.read("ttl", lifetime),
            negative_ttl: known.read("negative_ttl", lifetime),
            jitter: known.read("jitter", jitter),
            stampede: known.read("stampede", stampede),
            refresh_ahead: known.read("refresh_ahead", percent),
            stale_while_revalidate: known.read("stale_while_revalidate", lifetime),
            bounded: known.read("bounded", lifetime),
            stale_if_error: known.read("stale_if_error", lifetime),
            on_wait: known.read("on_wait", on_wait),
            soft_timeout: known.read("soft_timeout", lifetime),
            hard_timeout: known.read("hard_timeout", lifetime),
            ttl_from: options.one("ttl_from").cloned(),
            unless: options.one("unless").map(condition),
            only_if: options.one("only_if").map(condition),
            cache_err: known.read("cache_err", |value| pattern(value, written)),
            background: false,
            profile,
        };
        let refresh = known.read("refresh", refresh);
        if policy.ttl.is_none() && policy.profile.is_none() && options.one("ttl").is_none() {
            mistakes.add_error(options.mistake(
                "`#[cached]` needs a lifetime: write for example `ttl = \"1h\"`, or `profile = \"catalog\"`",
            ));
        }
        policy.contradictions(options, mistakes);
        let implied = policy.refresh_ahead.is_some()
            || policy.stale_while_revalidate.is_some()
            || policy.bounded.is_some()
            || policy.soft_timeout.is_some();
        // A batch is loaded by its caller.
        let background = refresh.unwrap_or(implied) && options.one("batch").is_none();
        if policy.soft_timeout.is_some()
            && !background
            && options.one("batch").is_none()
            && let Some(value) = options.one("refresh")
        {
            mistakes.on(
                value,
                "`soft_timeout` lets a load go on in the background, which `inline` forbids: leave one out",
            );
        }
        if background {
            repeatable(function, mistakes);
        }
        Self { background, ..policy }
    }

    fn contradictions(&self, options: &Options, mistakes: &mut Mistakes) {
        let mut on = |name: &str, message: &str| {
            if let Some(value) = options.one(name) {
                mistakes.on(value, message);
            }
        };
        let xfetch = self.stampede.is_some_and(|stampede| stampede.beta.is_some());
        if xfetch && self.refresh_ahead.is_some() {
            on(
                "refresh_ahead",
                "`stampede = \"xfetch\"` and `refresh_ahead` both say when to load early: leave one out",
            );
        }
        let alone = self.profile.is_none();
        if alone && self.soft_timeout.is_some() && self.stale_if_error.is_none() {
            on(
                "soft_timeout",
                "past `soft_timeout` a value whose lifetime is over is served, and there is none: say for how long it is kept, for example `stale_if_error = \"1h\"`",
            );
        }
        if let (Some(soft), Some(hard)) = (self.soft_timeout, self.hard_timeout)
            && soft >= hard
        {
            on("soft_timeout", "`soft_timeout` is not below `hard_timeout`, so it would never pass");
        }
        if let (Some(bounded), Some(ttl)) = (self.bounded, self.ttl)
            && bounded > ttl.saturating_add(self.stale_while_revalidate.unwrap_or_default())
            && (alone || self.stale_while_revalidate.is_some())
        {
            on(
                "bounded",
                "`bounded` is longer than a value lives (`ttl` and `stale_while_revalidate` together), so it would never pass",
            );
        }
        let has_stale = self.stale_while_revalidate.is_some() || self.stale_if_error.is_some();
        if alone && self.on_wait == Some(OnWait::Stale) && !has_stale {
            on(
                "on_wait",
                "`stale` has nothing to serve: say for how long a value is kept past its lifetime, by `stale_while_revalidate` or `stale_if_error`",
            );
        }
        let nobody = self.stampede.is_some_and(|stampede| stampede.sharing == Sharing::Nobody);
        if nobody && self.on_wait.is_some() {
            on("on_wait", "with `stampede = \"none\"` nobody waits: leave `on_wait` out");
        }
    }
}

struct Reader<'a> {
    options: &'a Options,
    mistakes: &'a mut Mistakes,
}

impl Reader<'_> {
    fn read<T>(&mut self, name: &str, read: impl FnOnce(&Expr) -> syn::Result<T>) -> Option<T> {
        self.options.one(name).and_then(|value| self.mistakes.take(read(value)))
    }
}

/// What keeps a call from being made again by itself.
fn repeatable(function: &Function, mistakes: &mut Mistakes) {
    const INSTEAD: &str = "write `refresh = \"inline\"` and let a caller load";
    if let Some(receiver) = function.receiver()
        && !function.borrows_self()
    {
        mistakes.on(
            receiver,
            format!("a load in the background calls the function again: take `&self`, or {INSTEAD}"),
        );
    }
    for param in &function.params {
        let is_nameless = |ty: &syn::Type| match ty {
            syn::Type::ImplTrait(_) => true,
            syn::Type::Reference(reference) => {
                reference.mutability.is_some()
                    || matches!(*reference.elem, syn::Type::ImplTrait(_) | syn::Type::TraitObject(_))
            }
            _ => false,
        };
        if is_nameless(&param.ty) {
            mistakes.on(
                &param.ty,
                format!("`{}` cannot be kept for a load in the background: make it a type that can be cloned, or {INSTEAD}", param.name),
            );
        } else if borrows(below(&param.ty)) {
            mistakes.on(
                &param.ty,
                format!("`{}` borrows from the caller, whom a load in the background outlives: take what it owns (`&str`, `&[T]` and `&T` can be taken), or {INSTEAD}", param.name),
            );
        }
    }
}

/// A type's tokens without the reference that it is, which the background gets an owned copy of.
fn below(ty: &syn::Type) -> TokenStream {
    match ty {
        syn::Type::Reference(reference) => reference.elem.to_token_stream(),
        other => other.to_token_stream(),
    }
}

/// Whether these tokens of a type say that it borrows. A function's own arguments may.
fn borrows(tokens: TokenStream) -> bool {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is = match token {
            TokenTree::Ident(ident)
                if ident == "Fn" || ident == "FnMut" || ident == "FnOnce" || ident == "fn" =>
            {
                return false;
            }
            TokenTree::Group(group) => borrows(group.stream()),
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                !matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '\'')
            }
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                !matches!(tokens.peek(), Some(TokenTree::Ident(name)) if name == "static")
            }
            _ => false,
        };
        if is {
            return true;
        }
    }
    false
}

fn condition(value: &Expr) -> Condition {
    match value {
        Expr::Closure(_) => Condition::Value(value.clone()),
        Expr::Path(path) if path.path.segments.len() > 1 => Condition::Value(value.clone()),
        _ => Condition::Arguments(value.clone()),
    }
}

fn pattern(value: &Expr, written: &[Wrapper]) -> syn::Result<Expr> {
    if !matches!(value, Expr::Path(_)) {
        return Err(syn::Error::new_spanned(
            value,
            "`cache_err` takes an error without fields, for example `cache_err = sqlx::Error::RowNotFound`: it is stored as \"there is none\" and handed out again",
        ));
    }
    if written.contains(&Wrapper::Option) {
        return Err(syn::Error::new_spanned(
            value,
            "`cache_err` and `Option` both say \"there is none\": return one of them",
        ));
    }
    Ok(value.clone())
}

fn refresh(value: &Expr) -> syn::Result<bool> {
    let text = string(value, "\"background\"")?;
    match text.value().as_str() {
        "background" => Ok(true),
        "inline" => Ok(false),
        other => Err(syn::Error::new(
            text.span(),
            format!(
                "`{other}` is no way to refresh: write `inline` (a caller loads) or `background` (a task of its own does)"
            ),
        )),
    }
}

fn lifetime(value: &Expr) -> syn::Result<Duration> {
    let text = string(value, "\"1h\"")?;
    duration::parse(&text.value()).map_err(|message| syn::Error::new(text.span(), message))
}

fn number(value: &Expr) -> Option<f64> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Float(float) => float.base10_parse().ok(),
            Lit::Int(int) => int.base10_parse().ok(),
            _ => None,
        },
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => number(expr).map(|number| -number),
        _ => None,
    }
}

fn jitter(value: &Expr) -> syn::Result<f64> {
    let shown = text::of(quote::quote!(#value));
    match number(value) {
        Some(jitter) if (0.0..=1.0).contains(&jitter) => Ok(jitter),
        _ => {
            let message = format!(
                "`jitter = {shown}` is no share of the lifetime: write a number from 0 to 1, for example `jitter = 0.1`"
            );
            Err(syn::Error::new_spanned(value, message))
        }
    }
}

fn percent(value: &Expr) -> syn::Result<f64> {
    let text = string(value, "\"80%\"")?;
    parse_percent(&text.value()).map_err(|message| syn::Error::new(text.span(), message))
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    match number {
        Some(percent) if percent > 0.0 && percent < 100.0 => Ok(percent / 100.0),
        Some(_) => Err(format!("`{text}` is outside of the lifetime: write more than 0% and less than 100%")),
        None => Err(format!("`{text}` is no share of the lifetime: write for example `80%`")),
    }
}

fn stampede(value: &Expr) -> syn::Result<Stampede> {
    let text = string(value, "\"xfetch\"")?;
    parse_stampede(&text.value()).map_err(|message| syn::Error::new(text.span(), message))
}

fn parse_stampede(text: &str) -> Result<Stampede, String> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let sharing = |sharing| Ok(Stampede { sharing, beta: None });
    match bare.as_str() {
        "none" => return sharing(Sharing::Nobody),
        "flight" => return sharing(Sharing::Flight),
        "lease" => return sharing(Sharing::Lease),
        "xfetch" => return Ok(Stampede { sharing: Sharing::Lease, beta: Some(1.0) }),
        _ => {}
    }
    let Some(beta) = bare.strip_prefix("xfetch(beta=").and_then(|rest| rest.strip_suffix(')')) else {
        return Err(format!(
            "`{text}` is no protection against stampedes: write `none`, `flight`, `lease`, `xfetch` or `xfetch(beta=2.0)`"
        ));
    };
    match beta.parse::<f64>() {
        Ok(beta) if beta.is_finite() && beta > 0.0 => {
            Ok(Stampede { sharing: Sharing::Lease, beta: Some(beta) })
        }
        _ => Err(format!("`beta={beta}` is no positive number: above 1 loads earlier, below 1 later")),
    }
}

fn on_wait(value: &Expr) -> syn::Result<OnWait> {
    let text = string(value, "\"wait(500ms)\"")?;
    parse_on_wait(&text.value()).map_err(|message| syn::Error::new(text.span(), message))
}

fn parse_on_wait(text: &str) -> Result<OnWait, String> {
    match text.trim() {
        "wait" => return Ok(OnWait::Wait(None)),
        "stale" => return Ok(OnWait::Stale),
        "load" => return Ok(OnWait::Load),
        _ => {}
    }
    match text.trim().strip_prefix("wait(").and_then(|rest| rest.strip_suffix(')')) {
        Some(bound) => duration::parse(bound).map(|bound| OnWait::Wait(Some(bound))),
        None => Err(format!("`{text}` is no way to wait: write `wait(500ms)`, `stale` or `load`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protections_against_stampedes_are_read() {
        let plain = |sharing| Ok(Stampede { sharing, beta: None });
        let xfetch = |beta| Ok(Stampede { sharing: Sharing::Lease, beta: Some(beta) });
        assert_eq!(parse_stampede("none"), plain(Sharing::Nobody));
        assert_eq!(parse_stampede("flight"), plain(Sharing::Flight));
        assert_eq!(parse_stampede("lease"), plain(Sharing::Lease));
        assert_eq!(parse_stampede("xfetch"), xfetch(1.0));
        assert_eq!(parse_stampede("xfetch( beta = 2.5 )"), xfetch(2.5));
        for text in ["", "xfetch()", "x-fetch", "xfetch(gamma=1)"] {
            assert!(parse_stampede(text).unwrap_err().starts_with(&format!("`{text}` is no protection")));
        }
        for text in ["xfetch(beta=0)", "xfetch(beta=-1)", "xfetch(beta=inf)", "xfetch(beta=much)"] {
            assert!(parse_stampede(text).unwrap_err().contains("is no positive number"), "{text}");
        }
    }

    #[test]
    fn shares_of_a_lifetime_are_read() {
        assert_eq!(parse_percent("80%"), Ok(0.8));
        assert_eq!(parse_percent(" 12.5 % "), Ok(0.125));
        for text in ["0%", "100%", "120%", "-1%"] {
            assert!(parse_percent(text).unwrap_err().contains("outside of the lifetime"), "{text}");
        }
        for text in ["", "80", "0.8", "many%", "NaN %"] {
            assert!(parse_percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ways_to_wait_are_read() {
        assert_eq!(parse_on_wait("wait(500ms)"), Ok(OnWait::Wait(Some(Duration::from_millis(500)))));
        assert_eq!(parse_on_wait("wait"), Ok(OnWait::Wait(None)));
        assert_eq!(parse_on_wait("stale"), Ok(OnWait::Stale));
        assert_eq!(parse_on_wait("load"), Ok(OnWait::Load));
        assert!(parse_on_wait("wait(5)").unwrap_err().contains("has no unit"));
        assert!(parse_on_wait("hang").unwrap_err().contains("is no way to wait"));
    }
}
