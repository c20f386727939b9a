//! `#[invalidates]`, `#[writes_through]` and `#[writes_around]`: subjects of the arguments before the body, those of the result after it, and in
//! between a guard that keeps the transaction from committing.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Type};

use super::body::{self, Arguments};
use super::{local, local_at, location, name, private, read};
use crate::function::Function;
use crate::model::{CachePlace, Cover, Effect, Name, Write};

pub(crate) fn write(write: &Write, function: &Function) -> TokenStream {
    let p = private(&write.krate);
    let site = site(&p, write, function);
    match &write.cover {
        Cover::Within(scope) => {
            let inside = within(&p, write, function, scope, &TokenStream::new());
            body::function(function, &function.sig, &site, &inside)
        }
        Cover::Begin { cache, source, index, scope } => {
            let inside = begin(&p, write, function, (cache, source, *index, scope));
            let mut sig = function.sig.clone();
            sig.inputs =
                sig.inputs.into_iter().enumerate().filter(|(i, _)| i != index).map(|(_, arg)| arg).collect();
            body::function(function, &sig, &site, &inside)
        }
        Cover::Around { cache } => {
            let inside = around(&p, write, function, cache);
            body::function(function, &function.sig, &site, &inside)
        }
    }
}

/// What is written, each with its kind.
fn names(write: &Write) -> impl Iterator<Item = (&'static str, &Name)> {
    let keys = write.keys.iter().map(|key| ("Entity", key));
    keys.chain(write.tags.iter().map(|tag| ("Tag", tag)))
}

/// Hands on what the attribute says about a store that cannot be reached.
fn on_unfenced(p: &TokenStream, write: &Write) -> TokenStream {
    let span = Span::mixed_site();
    let Some(variant) = write.on_unfenced else { return TokenStream::new() };
    let variant = Ident::new(variant, span);
    quote_spanned!(span=> .on_unfenced(#p::OnUnfenced::#variant))
}

/// Records, runs the body, records what it returned. `bind` stands in front of the body.
fn within(
    p: &TokenStream,
    write: &Write,
    function: &Function,
    scope: &TokenStream,
    bind: &TokenStream,
) -> TokenStream {
    let span = Span::mixed_site();
    let (recording, expected, result) =
        (local("__cache_recording"), local("__cache_expected"), local("__cache_result"));
    let output = body::output(function);
    let arguments = if bind.is_empty() { Arguments::AsDeclared } else { Arguments::WithinTheCall };
    let load = body::closure(function, arguments);
    let puts = write.effect == Effect::WritesThrough;

    let (mut before, mut put_whole, mut each) = (TokenStream::new(), TokenStream::new(), TokenStream::new());
    let rows_tag = local("__cache_rows_tag");
    if let Some(tag) = &write.bulk {
        let writer = name::of_write(p, tag);
        let bind = quote_spanned!(span=> let #rows_tag = #recording.bulk(#writer););
        if tag.is_returned() { each.extend(bind) } else { before.extend(bind) }
    }
    for (i, (kind, name)) in names(write).enumerate() {
        let (kind, writer) = (Ident::new(kind, span), name::of_write(p, name));
        let subject = format_ident!("__cache_subject_{i}", span = span);
        let touch = quote_spanned!(span=> #recording.touch(#p::Kind::#kind, #writer));
        let (put, template) = (puts && kind == "Entity", name::template(p, name));
        if name.is_returned() {
            let item = local("__cache_item");
            each.extend(if put {
                quote_spanned!(span=> #p::put(&#recording, #template, &#touch, #item);)
            } else if kind == "Entity" && write.bulk.is_some() {
                quote_spanned!(span=> #recording.touch_row(&#rows_tag, #writer);)
            } else {
                quote_spanned!(span=> #touch;)
            });
        } else if put {
            before.extend(quote_spanned!(span=> let #subject = #touch;));
            put_whole.extend(quote_spanned!(span=> #p::put(&#recording, #template, &#subject, &#result);));
        } else {
            before.extend(quote_spanned!(span=> #touch;));
        }
    }
    let (arm, returned) = if each.is_empty() {
        (TokenStream::new(), TokenStream::new())
    } else {
        let arm = quote_spanned!(span=> let #expected = #recording.expect(&__CACHE_SITE););
        (arm, returned(p, function, &each))
    };
    let run = local(runner(write));
    let run = quote_spanned!(span=> #p::#run(#load).await);
    let run = if bind.is_empty() { run } else { quote_spanned!(span=> { #bind #run }) };
    let on_unfenced = on_unfenced(p, write);
    quote_spanned! {span=>
        let #recording = #p::WriteScope::recording(#scope)#on_unfenced;
        #before
        #recording.settle(::core::option::Option::Some(&__CACHE_SITE)).await;
        #arm
        let #result: #output = #run;
        #returned
        #put_whole
        #result
    }
}

/// How the body is run.
fn runner(write: &Write) -> &'static str {
    if write.effect == Effect::WritesAround { "run_around" } else { "run" }
}

/// Records the subjects of each item returned, then disarms the guard.
fn returned(p: &TokenStream, function: &Function, each: &TokenStream) -> TokenStream {
    let span = Span::mixed_site();
    let (expected, payload, item) =
        (local("__cache_expected"), local("__cache_payload"), local("__cache_item"));
    let at = span.located_at(function.output.span());
    let returned = local_at("__cache_result", at);
    let payload_of = quote_spanned!(at=> #p::succeeded(&#returned));
    quote_spanned! {span=>
        if let ::core::option::Option::Some(#payload) = #payload_of {
            #[allow(unused_imports, reason = "needed unless the payload is an option or a sequence")]
            use #p::ReturnedAlone as _;
            for #item in #p::Returned(#payload).items() {
                #each
            }
            #expected.keep();
        }
    }
}

type Opened<'a> = (&'a CachePlace, &'a TokenStream, usize, &'a Type);

/// Opens a scope, runs the body within it, and commits it unless the body failed.
fn begin(
    p: &TokenStream,
    write: &Write,
    function: &Function,
    (place, source, index, scope): Opened<'_>,
) -> TokenStream {
    let span = Span::mixed_site();
    let (opened, error, result) = (local("__cache_scope"), local("__cache_error"), local("__cache_result"));
    let (bind_cache, cache) = read::cache(p, place);
    let parameter = match &function.sig.inputs[index] {
        FnArg::Typed(typed) => {
            let pattern = &typed.pat;
            quote_spanned!(span=> let #pattern: &mut #scope = #opened.scope();)
        }
        FnArg::Receiver(receiver) => receiver.to_token_stream(),
    };
    let within = within(p, write, function, &quote_spanned!(span=> #opened.scope()), &parameter);
    let output = body::output(function);
    let at = span.located_at(function.output.span());
    let failed = quote_spanned!(at=> ::core::result::Result::Err(::core::convert::From::from(#error)));
    let value = local("__cache_value");
    quote_spanned! {span=>
        #bind_cache
        match #p::Opened::<#scope, _>::open(#cache, #source).await {
            ::core::result::Result::Err(#error) => #failed,
            ::core::result::Result::Ok(mut #opened) => {
                let #result: #output = { #within };
                match #result {
                    ::core::result::Result::Err(#error) => ::core::result::Result::Err(#error),
                    ::core::result::Result::Ok(#value) => match #opened.close().await {
                        ::core::result::Result::Err(#error) => #failed,
                        ::core::result::Result::Ok(()) => ::core::result::Result::Ok(#value),
                    },
                }
            }
        }
    }
}

/// Fences the subjects, runs the body, and lifts the fence.
fn around(p: &TokenStream, write: &Write, function: &Function, place: &CachePlace) -> TokenStream {
    let span = Span::mixed_site();
    let (fence, subjects) = (local("__cache_around"), local("__cache_subjects"));
    let (bind_cache, cache) = read::cache(p, place);
    let load = body::closure(function, Arguments::AsDeclared);
    let named = names(write).map(|(kind, name)| {
        let (method, writer) = (local(if kind == "Entity" { "key" } else { "tag" }), name::of_write(p, name));
        quote_spanned!(span=> #subjects.#method(#writer);)
    });
    let at = span.located_at(function.output.span());
    let pointing = local_at("__cache_around", at);
    let run = Ident::new(runner(write), span.located_at(at));
    let run = quote_spanned!(at=> #pointing.#run(#load).await);
    let on_unfenced = on_unfenced(p, write);
    quote_spanned! {span=>
        #bind_cache
        let #fence =
            #p::Around::new(#cache, &__CACHE_SITE, |#subjects: &mut #p::Subjects<'_>| { #(#named)* })#on_unfenced;
        #run
    }
}

fn site(p: &TokenStream, write: &Write, function: &Function) -> TokenStream {
    let span = Span::mixed_site();
    let at = location(p, function);
    let keys = write.keys.iter().map(|key| name::template(p, key));
    let tags = write.tags.iter().map(|tag| name::template(p, tag));
    let coverage = Ident::new(
        match write.cover {
            Cover::Within(_) => "Within",
            Cover::Begin { .. } => "Begin",
            Cover::Around { .. } => "Around",
        },
        span,
    );
    let on_unfenced = match write.on_unfenced {
        None => quote_spanned!(span=> ::core::option::Option::None),
        Some(variant) => {
            let variant = Ident::new(variant, span);
            quote_spanned!(span=> ::core::option::Option::Some(#p::OnUnfenced::#variant))
        }
    };
    let bulk = bulk_site(p, write, &at);
    quote_spanned! {span=>
        static __CACHE_SITE: #p::WriteSite = #p::WriteSite {
            at: #at,
            keys: &[#(#keys),*],
            tags: &[#(#tags),*],
            coverage: #p::Coverage::#coverage,
            on_unfenced: #on_unfenced,
        };
        #p::inventory::submit! { #p::Site::Write(&__CACHE_SITE) }
        #bulk
    }
}

/// What the write does when it changes many rows, for the catalogue.
fn bulk_site(p: &TokenStream, write: &Write, at: &TokenStream) -> TokenStream {
    let span = Span::mixed_site();
    let Some(tag) = &write.bulk else { return TokenStream::new() };
    let tag = name::template(p, tag);
    let keys = write.keys.iter().filter(|key| key.is_returned()).map(|key| name::template(p, key));
    quote_spanned! {span=>
        static __CACHE_BULK: #p::BulkSite = #p::BulkSite { at: #at, tag: #tag, keys: &[#(#keys),*] };
        #p::inventory::submit! { #p::Site::Bulk(&__CACHE_BULK) }
    }
}
