//! Writes the code that a model stands for. Cannot fail, decides nothing: names of its own are `__cache_*` and hygienic.

mod again;
mod batch;
mod behind;
mod body;
mod name;
mod read;
mod warm;
mod write;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::{DeriveInput, Path};

use crate::fallback::fallback;
use crate::function::Function;
pub(crate) use behind::behind;
pub(crate) use warm::read;
pub(crate) use write::write;

/// Parses the function, expands the attribute, and keeps the function on a mistake.
pub(crate) fn attribute(
    item: proc_macro::TokenStream,
    expand: impl FnOnce(&Function) -> syn::Result<TokenStream>,
) -> proc_macro::TokenStream {
    let item = TokenStream::from(item);
    let expanded = syn::parse2::<Function>(item.clone()).and_then(|function| expand(&function));
    expanded.unwrap_or_else(|error| fallback(&error, &item)).into()
}

/// Parses the type and expands the derive.
pub(crate) fn derive(
    item: proc_macro::TokenStream,
    expand: impl FnOnce(&DeriveInput) -> syn::Result<TokenStream>,
) -> proc_macro::TokenStream {
    let expanded = syn::parse::<DeriveInput>(item).and_then(|input| expand(&input));
    expanded.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// A name that user code can neither see nor shadow.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The same name, where messages about it point to.
fn local_at(name: &str, place: Span) -> Ident {
    Ident::new(name, Span::mixed_site().located_at(place))
}

/// Everything generated code calls.
fn private(krate: &Path) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> #krate::__private)
}

/// Where the attribute stands.
fn location(p: &TokenStream, function: &Function) -> TokenStream {
    let name = function.name();
    quote_spanned! {Span::mixed_site()=>
        #p::Location {
            function: ::core::concat!(::core::module_path!(), "::", #name),
            file: ::core::file!(),
            line: ::core::line!(),
        }
    }
}
