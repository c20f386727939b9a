//! The options of an attribute as written, with their spans. Knows no option; refuses only what is no list of options.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Token};

/// `name = value`.
#[derive(Clone)]
pub(crate) struct Arg {
    pub(crate) name: Ident,
    pub(crate) value: Expr,
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = Ident::parse_any(input).map_err(|_| {
            let message = "an option is written `name = value`, for example `key = \"user:<id>\"`";
            syn::Error::new(input.span(), message)
        })?;
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
    let args = Punctuated::<Arg, Token![,]>::parse_terminated.parse2(tokens.clone())?;
    Ok(Args { args: args.into_iter().collect(), whole: tokens })
}

/// The elements of `[a, b]`, or the value itself.
pub(crate) fn elements(value: &Expr) -> Vec<Expr> {
    match value {
        Expr::Array(array) => array.elems.iter().cloned().map(bare).collect(),
        other => vec![other.clone()],
    }
}
