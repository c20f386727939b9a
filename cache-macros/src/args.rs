//! The options of an attribute as written, with their spans. Knows no option; refuses only what is no list of options.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Token, parse_quote};

/// `name = value`.
#[derive(Clone)]
pub(crate) struct Arg {
    pub(crate) name: Ident,
    pub(crate) value: Expr,
}

impl Arg {
    /// An option that is one of `flags` may stand without a value; its own name is then its value.
    fn read(input: ParseStream<'_>, flags: &[&str]) -> syn::Result<Self> {
        let name = Ident::parse_any(input).map_err(|_| {
            let message = "an option is written `name = value`, for example `key = \"user:<id>\"`";
            syn::Error::new(input.span(), message)
        })?;
        if flags.iter().any(|flag| name == flag) && !input.peek(Token![=]) {
            return Ok(Self { value: parse_quote!(#name), name });
        }
        if !input.peek(Token![=]) {
            let message = format!("`{name}` has no value: write `{name} = …`");
            return Err(syn::Error::new(name.span(), message));
        }
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            let message = format!("`{name}` has no value: write `{name} = …`");
            return Err(syn::Error::new(name.span(), message));
        }
        Ok(Self { name, value: bare(input.parse()?) })
    }
}

/// Takes off the invisible groups and parentheses that `macro_rules` leaves around a value.
fn bare(value: Expr) -> Expr {
    match value {
        Expr::Group(group) => bare(*group.expr),
        Expr::Paren(paren) => bare(*paren.expr),
        other => other,
    }
}

/// The options between the parentheses of an attribute.
pub(crate) struct Args {
    pub(crate) args: Vec<Arg>,
    whole: TokenStream,
}

impl Args {
    /// What is underlined where something is missing: all that is there.
    pub(crate) fn mistake(&self, message: impl std::fmt::Display) -> syn::Error {
        syn::Error::new_spanned(&self.whole, message)
    }
}

pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Args> {
    parse_with_flags(tokens, &[])
}

/// As [`parse`], and `flags` need no value.
pub(crate) fn parse_with_flags(tokens: TokenStream, flags: &[&str]) -> syn::Result<Args> {
    let read = |input: ParseStream<'_>| {
        let mut args = Vec::new();
        while !input.is_empty() {
            args.push(Arg::read(input, flags)?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    };
    let args = read.parse2(tokens.clone())?;
    Ok(Args { args, whole: tokens })
}

/// The elements of `[a, b]`, or the value itself.
pub(crate) fn elements(value: &Expr) -> Vec<Expr> {
    match value {
        Expr::Array(array) => array.elems.iter().cloned().map(bare).collect(),
        other => vec![other.clone()],
    }
}
