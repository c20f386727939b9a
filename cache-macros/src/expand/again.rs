//! A call that is made again by itself, for a load in the background: a companion beside the function, and a closure that has all
//! that it takes. The companion returns a box, since a function that spawns itself could never be shown to be `Send`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{GenericParam, Generics, ReceiverKind, Type, TypeReference};

use super::{local, local_at};
use crate::function::Function;

/// What is generated for it.
pub(super) struct Again {
    /// Beside the function, for a method.
    pub(super) beside: TokenStream,
    /// Inside the function, for one without a receiver.
    pub(super) inside: TokenStream,
    /// Statements before the call.
    pub(super) before: TokenStream,
    /// The closure.
    pub(super) closure: TokenStream,
}

pub(super) fn again(p: &TokenStream, function: &Function) -> Again {
    let span = Span::mixed_site();
    let name = &function.sig.ident;
    let companion = format_ident!("__cache_again_{}", name.unraw(), span = name.span());
    let this = local("__cache_this");

    let mut declared = Vec::new();
    let mut passed = Vec::new();
    let mut before = TokenStream::new();
    let mut kept = Vec::new();
    let is_method = function.receiver().is_some();
    if let Some(receiver) = function.receiver() {
        let ty = match &receiver.kind {
            ReceiverKind::Typed(_, ty) => referent(ty),
            _ => quote!(Self),
        };
        let me = Ident::new("self", receiver.self_token.span);
        declared.push(quote_spanned!(span=> #this: #ty));
        let at = local_at("__cache_kept", receiver.self_token.span);
        before.extend(quote_spanned!(span=> let #at = #me;));
        kept.push(quote_spanned!(span=> #p::repeat(#at)));
    }
    for (index, param) in function.params.iter().enumerate() {
        let (ident, held) = (&param.ident, format_ident!("__cache_arg_{index}", span = span));
        let held = Ident::new(&held.to_string(), span);
        match &param.ty {
            Type::Reference(reference) if !is_static(reference) => {
                let ty = &reference.elem;
                declared.push(quote_spanned!(span=> #held: <#ty as ::std::borrow::ToOwned>::Owned));
                passed.push(quote_spanned!(span=> ::core::borrow::Borrow::<#ty>::borrow(&#held)));
                before.extend(quote_spanned!(span=> let #held: &#ty = #ident;));
                kept.push(quote_spanned!(span=> ::std::borrow::ToOwned::to_owned(#held)));
            }
            ty => {
                declared.push(quote_spanned!(span=> #held: #ty));
                passed.push(held.to_token_stream());
                // Now, since the body may move it.
                before.extend(quote_spanned!(span=> let #held: #ty = #p::repeat(&#ident);));
                kept.push(held.to_token_stream());
            }
        }
    }
    // Said, since a caller may have said them where nothing else tells.
    let said = arguments(&function.sig.generics);
    let (callee, call) = if is_method {
        (
            quote_spanned!(span=> Self::#companion #said),
            quote_spanned!(span=> #this.#name #said(#(#passed),*)),
        )
    } else {
        (quote_spanned!(span=> #companion #said), quote_spanned!(span=> #name #said(#(#passed),*)))
    };
    let cfgs = function.attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
    let (generics, where_clause) =
        (declarations(&function.sig.generics), &function.sig.generics.where_clause);
    let item = quote_spanned! {span=>
        #(#cfgs)*
        #[allow(clippy::all, clippy::pedantic, deprecated, unused_lifetimes, reason = "generated")]
        fn #companion #generics (#(#declared),*) -> #p::BoxFuture<'static, ()> #where_clause {
            ::std::boxed::Box::pin(async move {
                let _ = #call.await;
            })
        }
    };
    let closure = quote_spanned!(span=> move || #callee(#(#kept),*));
    let (beside, inside) = if is_method { (item, TokenStream::new()) } else { (TokenStream::new(), item) };
    Again { beside, inside, before, closure }
}

/// Whether it can be kept as it is.
fn is_static(reference: &TypeReference) -> bool {
    reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static")
}

fn referent(ty: &Type) -> TokenStream {
    match ty {
        Type::Reference(reference) => reference.elem.to_token_stream(),
        other => other.to_token_stream(),
    }
}

/// The function's own generics; lifetimes of its borrowed arguments are not needed.
fn declarations(generics: &Generics) -> TokenStream {
    let kept: Vec<&GenericParam> = generics.params.iter().collect();
    if kept.is_empty() { TokenStream::new() } else { quote!(<#(#kept),*>) }
}

/// The function's own types and constants, as a call names them.
fn arguments(generics: &Generics) -> TokenStream {
    let named = generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(ty) => Some(&ty.ident),
        GenericParam::Const(constant) => Some(&constant.ident),
        GenericParam::Lifetime(_) => None,
    });
    let named: Vec<_> = named.collect();
    if named.is_empty() { TokenStream::new() } else { quote!(::<#(#named),*>) }
}
