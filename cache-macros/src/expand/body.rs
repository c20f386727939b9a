//! The user's body as a closure that is called once, and the function around what replaces it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{ReturnType, Signature};

use super::local;
use crate::function::{Function, Shape};

/// Where the body's arguments live.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arguments {
    /// As long as the signature says.
    AsDeclared,
    /// One of them is borrowed from the generated code, and lives as long as the call.
    WithinTheCall,
}

/// The body as a closure of type `FnOnce() -> impl Future<Output = R>` that borrows what the body borrows and moves what it
/// moves. It states its return type where it can, so `return`, `?` and coercions work as they did.
pub(super) fn closure(function: &Function, arguments: Arguments) -> TokenStream {
    let (body, site) = (&function.body, Span::mixed_site());
    let output = match (function.shape, &function.sig.output) {
        (Shape::Async, _) => function.output.to_token_stream(),
        (Shape::Boxed, ReturnType::Type(_, ty)) if arguments == Arguments::AsDeclared => ty.to_token_stream(),
        (Shape::Boxed | Shape::Future, _) => quote!(impl Sized),
    };
    match (function.shape, mentions_impl(output.clone())) {
        (Shape::Async, false) => quote_spanned!(site=> async || -> #output #body),
        (Shape::Async, true) => quote_spanned!(site=> async || #body),
        (_, false) => quote_spanned!(site=> || -> #output #body),
        (_, true) => quote_spanned!(site=> || #body),
    }
}

/// What the future resolves to, where a local can be given that type.
pub(super) fn output(function: &Function) -> TokenStream {
    let output = function.output.to_token_stream();
    if mentions_impl(output.clone()) { quote!(_) } else { output }
}

pub(super) fn mentions_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident == "impl",
        proc_macro2::TokenTree::Group(group) => mentions_impl(group.stream()),
        _ => false,
    })
}

/// The function with this signature, whose future evaluates `inside`.
pub(super) fn function(
    function: &Function,
    sig: &Signature,
    statics: &TokenStream,
    inside: &TokenStream,
) -> TokenStream {
    let Function { attrs, vis, defaultness, inner_attrs, .. } = function;
    let site = Span::mixed_site();
    let done = local("__cache_done");
    let output = output(function);
    let future = quote_spanned! {site=>
        async move {
            let #done: #output = { #inside };
            #done
        }
    };
    let body = match function.shape {
        Shape::Async => inside.clone(),
        Shape::Boxed => quote_spanned!(site=> ::std::boxed::Box::pin(#future)),
        Shape::Future => future,
    };
    quote! {
        #(#attrs)*
        #vis #defaultness #sig {
            #inner_attrs
            #statics
            #body
        }
    }
}
