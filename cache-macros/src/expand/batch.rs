//! `#[cached(batch)]`: a site, and one call whose loader is given the missing keys in place of all.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Pat, Signature, Type};

use super::body::{self, Arguments};
use super::read::{cache, site};
use super::{local, local_at, name, private};
use crate::function::{Function, Shape};
use crate::model::{Batch, Form, Read};

pub(super) fn read(read: &Read, batch: &Batch, function: &Function) -> TokenStream {
    let (p, span) = (private(&read.krate), Span::mixed_site());
    let (keys, lookup) = (local("__cache_keys"), local("__cache_lookup"));
    let (bind, cache) = cache(&p, &read.cache);
    let site = site(&p, read, function);
    let (key, tags) = names(&p, read);
    let limit = batch.limit;
    let covered =
        quote_spanned!(span=> #p::BatchLookup::new(#cache, &__CACHE_SITE, #keys, #limit, #key, #tags));
    let begun = match &read.on {
        None => covered,
        Some(on) => quote_spanned! {span=>
            if #p::inside_transaction(&#on) {
                #p::BatchLookup::bypass(#cache, &__CACHE_SITE, #keys)
            } else {
                #covered
            }
        },
    };
    let (holder, taken) = (&batch.ident, taken(&p, batch));
    let load = timed(&p, read, loader(&p, batch, function), function);
    // One place for all that the return type can be wrong about, so that the compiler says it once.
    let at = span.located_at(function.output.span());
    let pointing = local_at("__cache_lookup", at);
    let shape =
        if batch.is_aligned { quote_spanned!(span=> #p::Aligned<_>) } else { quote_spanned!(span=> _) };
    let answer = quote_spanned!(at=> #pointing.read::<_, #shape, _>(#load).await);
    let inside = quote_spanned! {span=>
        #bind
        let #keys = #taken(#holder);
        let #lookup = #begun;
        #answer
    };
    body::function(function, &signature(batch, function), &site, &inside)
}

/// The signature without a `mut` that only the body needs.
fn signature(batch: &Batch, function: &Function) -> Signature {
    let mut sig = function.sig.clone();
    for input in &mut sig.inputs {
        if let FnArg::Typed(typed) = input
            && let Pat::Ident(pat) = &mut *typed.pat
            && pat.ident == batch.ident
        {
            pat.mutability = None;
        }
    }
    sig
}

/// Closures that write the key and the tags of one element.
fn names(p: &TokenStream, read: &Read) -> (TokenStream, TokenStream) {
    let (span, text, tags) = (Span::mixed_site(), local("__cache_text"), local("__cache_tags"));
    let item = local("__cache_item");
    let key = name::of_element(&read.key, &text);
    let written = read.tags.iter().map(|tag| {
        let tag = name::of_element(tag, &text);
        quote_spanned!(span=> #tags.tag(|#text: &mut #p::Text| { #tag });)
    });
    (
        quote_spanned!(span=> |#text: &mut #p::Text, #item| { #key }),
        quote_spanned!(span=> |#tags: &mut #p::Tags, #item| { #(#written)* let _ = (#tags, #item); }),
    )
}

/// The function that takes the keys out of the parameter.
fn taken(p: &TokenStream, batch: &Batch) -> TokenStream {
    let at = Span::mixed_site().located_at(batch.ty.span());
    match batch.form {
        Form::Borrowed(_) => quote_spanned!(at=> #p::borrowed_keys),
        Form::Owned(_) | Form::Opaque => quote_spanned!(at=> #p::owned_keys),
    }
}

/// The loader, under its hard timeout if there is one.
fn timed(p: &TokenStream, read: &Read, load: TokenStream, function: &Function) -> TokenStream {
    if read.policy.hard_timeout.is_none() {
        return load;
    }
    let (span, body, missing) = (Span::mixed_site(), local("__cache_body"), local("__cache_missing"));
    let template = name::template(p, &read.key);
    let run =
        quote_spanned!(span.located_at(function.output.span())=> #p::timed(#template, #body(#missing)).await);
    quote_spanned!(span=> { let #body = #load; async move |#missing: ::std::vec::Vec<_>| #run })
}

/// The body as a closure over the missing keys, which stand in the parameter's place and in its type.
fn loader(p: &TokenStream, batch: &Batch, function: &Function) -> TokenStream {
    let (span, missing, holder) = (Span::mixed_site(), local("__cache_missing"), &batch.ident);
    let given = match &batch.form {
        Form::Borrowed(Type::Slice(slice)) if !body::mentions_impl(slice.to_token_stream()) => {
            quote_spanned!(span=> let #holder: &#slice = &#missing;)
        }
        Form::Borrowed(Type::Slice(_)) => quote_spanned!(span=> let #holder = &#missing[..];),
        Form::Borrowed(ty) if !body::mentions_impl(ty.to_token_stream()) => {
            quote_spanned!(span=> let #holder: &#ty = &#p::keys_as(#missing);)
        }
        Form::Borrowed(_) => quote_spanned!(span=> let #holder = &#missing;),
        Form::Owned(ty) if !body::mentions_impl(ty.to_token_stream()) => {
            quote_spanned!(span=> #[allow(unused_mut)] let mut #holder: #ty = #p::keys_as(#missing);)
        }
        Form::Owned(_) | Form::Opaque => {
            quote_spanned!(span=> #[allow(unused_mut)] let mut #holder = #missing;)
        }
    };
    let output = body::output(function);
    let output = if output.to_string() == "_" { TokenStream::new() } else { quote!(-> #output) };
    let body = match function.shape {
        Shape::Async => function.body.to_token_stream(),
        // A body that returns a future is run where the keys live.
        Shape::Boxed | Shape::Future => {
            let body = body::closure(function, Arguments::WithinTheCall);
            quote_spanned!(span=> (#body)().await)
        }
    };
    let closed = match function.shape {
        Shape::Async => output,
        Shape::Boxed | Shape::Future => TokenStream::new(),
    };
    if closed.is_empty() {
        quote_spanned!(span=> async |#missing: ::std::vec::Vec<_>| { #given #body })
    } else {
        quote_spanned!(span=> async |#missing: ::std::vec::Vec<_>| #closed { #given #body })
    }
}
