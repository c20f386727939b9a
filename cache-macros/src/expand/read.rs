//! `#[cached]`: a site, and one call.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use std::time::Duration;
use syn::spanned::Spanned;

use super::body::{self, Arguments};
use super::{local, local_at, location, name, private};
use crate::function::{Function, Wrapper};
use crate::model::{CachePlace, Read, Stampede};

pub(crate) fn read(read: &Read, function: &Function) -> TokenStream {
    let p = private(&read.krate);
    let span = Span::mixed_site();
    let (lookup, text, tags) = (local("__cache_lookup"), name::of_read(&p, &read.key), tags(&p, read));
    let (bind, cache) = cache(&p, &read.cache);
    let site = site(&p, read, function);
    let load = body::closure(function, Arguments::AsDeclared);
    let at = span.located_at(function.output.span());
    let written = written(&p, &read.written);
    // One place for all that the return type can be wrong about, so that the compiler says it once.
    let pointing = local_at("__cache_lookup", at);
    let answer = quote_spanned!(at=> #pointing.read::<_, #written, _>(#load).await);
    let covered = quote_spanned!(span=> #p::Lookup::new(#cache, &__CACHE_SITE, #text, #tags));
    let begun = match &read.on {
        None => covered,
        Some(on) => quote_spanned! {span=>
            if #p::inside_transaction(&#on) { #p::Lookup::bypass(#cache, &__CACHE_SITE) } else { #covered }
        },
    };
    let inside = quote_spanned! {span=>
        #bind
        let #lookup = #begun;
        #answer
    };
    body::function(function, &function.sig, &site, &inside)
}

/// The return type as written, as `cache_core::__private` names it.
fn written(p: &TokenStream, wrappers: &[Wrapper]) -> TokenStream {
    wrappers.iter().rev().fold(
        quote_spanned!(Span::mixed_site()=> #p::Unseen),
        |inner, wrapper| match wrapper {
            Wrapper::Arc => quote_spanned!(Span::mixed_site()=> #p::Shared),
            Wrapper::Option => quote_spanned!(Span::mixed_site()=> #p::Maybe<#inner>),
            Wrapper::Result => quote_spanned!(Span::mixed_site()=> #p::InResult<#inner>),
        },
    )
}

/// A statement that finds the cache, and an expression for it. Behind `&mut self` or an owned value the body may need the
/// place for itself, so the handle is cloned.
pub(super) fn cache(p: &TokenStream, place: &CachePlace) -> (TokenStream, TokenStream) {
    let (handle, expr) = (local("__cache_handle"), &place.expr);
    let found = quote_spanned!(Span::mixed_site().located_at(place.span)=> #p::cache_of(&#expr));
    if place.lasting {
        (
            quote_spanned!(Span::mixed_site()=> let #handle = #found;),
            quote_spanned!(Span::mixed_site()=> #handle),
        )
    } else {
        let clone = quote_spanned!(Span::mixed_site()=> let #handle = ::core::clone::Clone::clone(#found););
        (clone, quote_spanned!(Span::mixed_site()=> &#handle))
    }
}

fn tags(p: &TokenStream, read: &Read) -> TokenStream {
    let tags = local("__cache_tags");
    let writers = read.tags.iter().map(|tag| name::of_read(p, tag));
    if read.tags.is_empty() {
        return quote_spanned!(Span::mixed_site()=> |_: &mut #p::Tags| {});
    }
    quote_spanned!(Span::mixed_site()=> |#tags: &mut #p::Tags| { #(#tags.tag(#writers);)* })
}

fn site(p: &TokenStream, read: &Read, function: &Function) -> TokenStream {
    let span = Span::mixed_site();
    let (at, template) = (location(p, function), name::template(p, &read.key));
    let tags = read.tags.iter().map(|tag| name::template(p, tag));
    let (value, version, policy) = (&read.value, read.version, policy(p, read));
    quote_spanned! {span=>
        static __CACHE_SITE: #p::ReadSite = #p::ReadSite {
            at: #at,
            template: #template,
            tags: &[#(#tags),*],
            value: #value,
            version: #version,
            policy: #policy,
        };
        #p::inventory::submit! { #p::Site::Read(&__CACHE_SITE) }
    }
}

/// Only what was written is set, so that defaults stay in one place.
fn policy(p: &TokenStream, read: &Read) -> TokenStream {
    let (span, policy) = (Span::mixed_site(), local("__cache_policy"));
    let ttl = duration(read.ttl);
    let negative_ttl = read.negative_ttl.map(|ttl| {
        let ttl = duration(ttl);
        quote_spanned!(span=> #policy.negative_ttl = #ttl;)
    });
    let jitter = read.jitter.map(|jitter| quote_spanned!(span=> #policy.jitter = #jitter;));
    let stampede = read.stampede.map(|stampede| {
        let stampede = match stampede {
            Stampede::Lease => quote_spanned!(span=> #p::Stampede::Lease),
            Stampede::XFetch { beta } => quote_spanned!(span=> #p::Stampede::XFetch { beta: #beta }),
        };
        quote_spanned!(span=> #policy.stampede = #stampede;)
    });
    if negative_ttl.is_none() && jitter.is_none() && stampede.is_none() {
        return quote_spanned!(span=> #p::Policy::ttl(#ttl));
    }
    quote_spanned! {span=>
        {
            let mut #policy = #p::Policy::ttl(#ttl);
            #negative_ttl
            #jitter
            #stampede
            #policy
        }
    }
}

fn duration(duration: Duration) -> TokenStream {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    quote_spanned!(Span::mixed_site()=> ::core::time::Duration::new(#seconds, #nanos))
}
