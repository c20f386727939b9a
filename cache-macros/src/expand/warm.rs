//! The companion of a cached function that warms its entry: the same arguments, and what became of the call in place of its value.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{FnArg, GenericParam, Pat, PatIdent, ReturnType, Signature, parse_quote};

use super::{local, private};
use crate::function::Function;
use crate::model::Read;

/// The function, and its companion.
pub(crate) fn read(read: &Read, function: &Function) -> TokenStream {
    let (whole, companion) = (super::read::read(read, function), companion(read, function));
    quote!(#whole #companion)
}

/// Nothing, where there is to be none.
fn companion(read: &Read, function: &Function) -> TokenStream {
    let Some(name) = &read.warm else { return TokenStream::new() };
    let (p, span, vis) = (private(&read.krate), Span::mixed_site(), &function.vis);
    let (sig, arguments) = signature(name, &p, &function.sig);
    let (callee, types) = (&function.sig.ident, types(&function.sig));
    let about =
        format!("Warms the entry that [`{}`](Self::{0}) reads with the same arguments.", function.name());
    let receiver = function.receiver().map(|receiver| receiver.self_token);
    let call = quote_spanned!(span=> #p::warmed(#receiver.#callee #types(#(#arguments),*)).await);
    quote_spanned! {span=>
        #[doc = #about]
        #[allow(dead_code, deprecated, private_bounds, private_interfaces, clippy::all, clippy::pedantic, clippy::nursery, reason = "written by #[cached]")]
        #vis #sig { #call }
    }
}

/// The signature under another name and with another answer; parameters without a name get one.
fn signature(name: &Ident, p: &TokenStream, sig: &Signature) -> (Signature, Vec<TokenStream>) {
    let mut sig = sig.clone();
    sig.ident = name.clone();
    sig.asyncness = Some(parse_quote!(async));
    let answer: ReturnType = parse_quote!(-> #p::Warmed);
    sig.output = answer;
    let mut arguments = Vec::new();
    for (place, input) in sig.inputs.iter_mut().enumerate() {
        match input {
            FnArg::Receiver(receiver) => receiver.mutability = None,
            FnArg::Typed(typed) => {
                let ident = match &*typed.pat {
                    Pat::Ident(PatIdent { ident, subpat: None, by_ref: None, .. }) => ident.clone(),
                    _ => local(&format!("__cache_argument_{place}")),
                };
                arguments.push(ident.to_token_stream());
                *typed.pat = parse_quote!(#ident);
            }
        }
    }
    (sig, arguments)
}

/// `::<T, N>`: a type that only the return type names could not be inferred from the arguments.
fn types(sig: &Signature) -> TokenStream {
    let names: Vec<&Ident> = sig
        .generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Type(param) => Some(&param.ident),
            GenericParam::Const(param) => Some(&param.ident),
            GenericParam::Lifetime(_) => None,
        })
        .collect();
    if names.is_empty() { TokenStream::new() } else { quote!(::<#(#names),*>) }
}
