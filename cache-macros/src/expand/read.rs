//! `#[cached]`: a site, and one call.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;

use super::body::{self, Arguments};
use super::{again, local, local_at, location, name, private};
use crate::function::{Function, Wrapper};
use crate::model::{CachePlace, Condition, OnWait, Policy, Read, Sharing, Stampede};

pub(crate) fn read(read: &Read, function: &Function) -> TokenStream {
    if let Some(batch) = &read.batch {
        return super::batch::read(read, batch, function);
    }
    let p = private(&read.krate);
    let span = Span::mixed_site();
    let (bind, cache) = cache(&p, &read.cache);
    let site = site(&p, read, function);
    let at = span.located_at(function.output.span());
    let written = written(&p, &wrappers(read));
    let (body, load) = load(&p, read, function);
    let lookup = local("__cache_lookup");
    let begun = begun(&p, read, function, &cache);
    // One place for all that the return type can be wrong about, so that the compiler says it once.
    let pointing = local_at("__cache_lookup", at);
    let again = read.policy.background.then(|| again::again(&p, function));
    let answer = match &again {
        None => quote_spanned!(at=> #pointing.read::<#written, _>(#load).await),
        Some(again) => {
            let closure = &again.closure;
            quote_spanned!(at=> #pointing.read_again::<#written, _, _>(#load, #closure).await)
        }
    };
    let answer = match &read.policy.cache_err {
        None => answer,
        Some(error) => quote_spanned!(at=> #p::present(#answer, || #error)),
    };
    let before = again.as_ref().map(|again| &again.before);
    let inside = quote_spanned! {span=>
        #bind
        let #lookup = #begun;
        #before
        #body
        #answer
    };
    let nested = again.as_ref().map(|again| &again.inside);
    let statics = quote_spanned!(span=> #site #nested);
    let whole = body::function(function, &function.sig, &statics, &inside);
    let beside = again.as_ref().map(|again| &again.beside);
    quote_spanned!(span=> #whole #beside)
}

/// An expression for the call's lookup, past the cache where an option says so.
fn begun(p: &TokenStream, read: &Read, function: &Function, cache: &TokenStream) -> TokenStream {
    let span = Span::mixed_site();
    let (text, tags) = (name::of_read(p, &read.key), tags(p, read));
    let mut past = Vec::new();
    if let Some(on) = &read.on {
        past.push(quote_spanned!(span=> #p::inside_transaction(&#on)));
    }
    if let Some(Condition::Arguments(unless)) = &read.policy.unless {
        past.push(quote_spanned!(unless.span()=> #unless));
    }
    if let Some(Condition::Arguments(only_if)) = &read.policy.only_if {
        // A function, since a lint may know a shorter form of what the user wrote, negated.
        past.push(quote_spanned!(only_if.span()=> #p::not(#only_if)));
    }
    let tagged = tagged(p, read, function);
    let arguments = name::arguments(p, std::iter::once(&read.key).chain(&read.tags));
    let covered =
        quote_spanned!(span=> #p::Lookup::new(#cache, &__CACHE_SITE, #arguments, #text, #tags) #tagged);
    if past.is_empty() {
        return covered;
    }
    quote_spanned!(span=> if #((#past))||* { #p::Lookup::bypass(#cache, &__CACHE_SITE) } else { #covered })
}

/// A statement that names the body where something goes around it, and the loader.
fn load(p: &TokenStream, read: &Read, function: &Function) -> (TokenStream, TokenStream) {
    let (span, policy) = (Span::mixed_site(), &read.policy);
    let load = body::closure(function, Arguments::AsDeclared);
    let (body, out) = (local("__cache_body"), local("__cache_out"));
    let mut around = TokenStream::new();
    if let Some(ttl) = &policy.ttl_from {
        around.extend(quote_spanned!(ttl.span()=> #p::ttl_from(&#out, #ttl);));
    }
    if let Some(Condition::Value(unless)) = &policy.unless {
        around.extend(quote_spanned!(unless.span()=> #p::unless(&#out, #unless);));
    }
    if let Some(Condition::Value(only_if)) = &policy.only_if {
        around.extend(quote_spanned!(only_if.span()=> #p::only_if(&#out, #only_if);));
    }
    if let Some(error) = &policy.cache_err {
        let is = local("__cache_error");
        around.extend(quote_spanned! {error.span()=>
            let #out = #p::absent(#out, |#is| ::core::matches!(#is, #error));
        });
    }
    if around.is_empty() && policy.hard_timeout.is_none() {
        return (TokenStream::new(), load);
    }
    let run = match policy.hard_timeout {
        Some(_) => {
            let template = name::template(p, &read.key);
            quote_spanned!(span.located_at(function.output.span())=> #p::timed(#template, #body()).await)
        }
        None => quote_spanned!(span=> #body().await),
    };
    let statement = quote_spanned!(span=> let #body = #load;);
    (statement, quote_spanned!(span=> async || { let #out = #run; #around #out }))
}

/// What the engine reads: with `cache_err` it can be told that there is none.
fn wrappers(read: &Read) -> Vec<Wrapper> {
    let mut wrappers = read.written.clone();
    if read.policy.cache_err.is_some()
        && let Some(at) = wrappers.iter().position(|wrapper| *wrapper == Wrapper::Result)
    {
        wrappers.insert(at + 1, Wrapper::Option);
    }
    wrappers
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
    if read.tags.is_empty() {
        return quote_spanned!(Span::mixed_site()=> |_: &mut #p::Tags| {});
    }
    let each = read.tags.iter().map(|tag| match tag.is_returned() {
        true => {
            let between = name::between(p, tag);
            quote_spanned!(Span::mixed_site()=> #tags.frame(#between);)
        }
        false => {
            let writer = name::of_read(p, tag);
            quote_spanned!(Span::mixed_site()=> #tags.tag(#writer);)
        }
    });
    quote_spanned!(Span::mixed_site()=> |#tags: &mut #p::Tags| { #(#each)* })
}

/// How the value completes the tags that it names; nothing where it names none.
fn tagged(p: &TokenStream, read: &Read, function: &Function) -> TokenStream {
    let span = Span::mixed_site();
    let (value, tags, item) = (local("__cache_value"), local("__cache_tags"), local("__cache_item"));
    let each = read.tags.iter().filter(|tag| tag.is_returned()).enumerate().map(|(number, tag)| {
        let writer = name::of_value(p, tag);
        quote_spanned!(span=> #tags.tag(#number, #writer);)
    });
    let each: TokenStream = each.collect();
    if each.is_empty() {
        return each;
    }
    let output = body::output(function);
    let at = span.located_at(function.output.span());
    let value_of = quote_spanned!(at=> &#p::ValueOf<#output>);
    quote_spanned! {span=>
        .tagged(|#value: #value_of, #tags: &mut #p::ValueTags<'_>| {
            #[allow(unused_imports, reason = "needed unless the value is a sequence")]
            use #p::ReturnedAlone as _;
            for #item in #p::Returned(#value).items() {
                #each
            }
        })
    }
}

pub(super) fn site(p: &TokenStream, read: &Read, function: &Function) -> TokenStream {
    let span = Span::mixed_site();
    let (at, template) = (location(p, function), name::template(p, &read.key));
    let tags = read.tags.iter().map(|tag| name::template(p, tag));
    let (value, version, l1, policy) = (&read.value, read.version, read.l1, &read.policy);
    let (options, profile) =
        (overrides(p, policy), optional(policy.profile.as_ref(), ToTokens::to_token_stream));
    let (background, times_out) = (policy.background, policy.hard_timeout.is_some());
    let by_value = |condition: &Option<Condition>| matches!(condition, Some(Condition::Value(_)));
    let judges = policy.ttl_from.is_some() || by_value(&policy.unless) || by_value(&policy.only_if);
    quote_spanned! {span=>
        static __CACHE_SITE: #p::ReadSite = #p::ReadSite {
            at: #at,
            template: #template,
            tags: &[#(#tags),*],
            value: #value,
            version: #version,
            options: #options,
            profile: #profile,
            background: #background,
            times_out: #times_out,
            l1: #l1,
            judges: #judges,
        };
        #p::inventory::submit! { #p::Site::Read(&__CACHE_SITE) }
    }
}

fn optional<T>(value: Option<T>, tokens: impl FnOnce(T) -> TokenStream) -> TokenStream {
    let span = Span::mixed_site();
    match value.map(tokens) {
        Some(value) => quote_spanned!(span=> ::core::option::Option::Some(#value)),
        None => quote_spanned!(span=> ::core::option::Option::None),
    }
}

/// Only what was written is set, so that defaults stay in one place.
fn overrides(p: &TokenStream, policy: &Policy) -> TokenStream {
    let span = Span::mixed_site();
    let mut fields = Vec::new();
    let mut set = |name: &str, value: Option<TokenStream>| {
        let name = Ident::new(name, span);
        fields.extend(value.map(|value| quote_spanned!(span=> #name: ::core::option::Option::Some(#value))));
    };
    for (name, value) in [
        ("ttl", policy.ttl),
        ("negative_ttl", policy.negative_ttl),
        ("stale_while_revalidate", policy.stale_while_revalidate),
        ("bounded", policy.bounded),
        ("stale_if_error", policy.stale_if_error),
        ("soft_timeout", policy.soft_timeout),
        ("hard_timeout", policy.hard_timeout),
    ] {
        set(name, value.map(duration));
    }
    set("jitter", policy.jitter.map(|jitter| jitter.to_token_stream()));
    set("refresh_ahead", policy.refresh_ahead.map(|share| share.to_token_stream()));
    set("stampede", policy.stampede.map(|it| stampede(p, it)));
    set("on_wait", policy.on_wait.map(|it| on_wait(p, it)));
    quote_spanned!(span=> #p::Overrides { #(#fields,)* ..#p::Overrides::NONE })
}

fn stampede(p: &TokenStream, stampede: Stampede) -> TokenStream {
    let span = Span::mixed_site();
    let sharing = match stampede.sharing {
        Sharing::Nobody => quote_spanned!(span=> #p::Sharing::Nobody),
        Sharing::Flight => quote_spanned!(span=> #p::Sharing::Flight),
        Sharing::Lease => quote_spanned!(span=> #p::Sharing::Lease),
    };
    let early = match stampede.beta {
        None => quote_spanned!(span=> #p::Early::Never),
        Some(beta) => quote_spanned!(span=> #p::Early::XFetch { beta: #beta }),
    };
    quote_spanned!(span=> #p::Stampede { sharing: #sharing, early: #early })
}

fn on_wait(p: &TokenStream, on_wait: OnWait) -> TokenStream {
    let span = Span::mixed_site();
    match on_wait {
        OnWait::Wait(bound) => {
            let bound = optional(bound, duration);
            quote_spanned!(span=> #p::OnWait::Wait(#bound))
        }
        OnWait::Stale => quote_spanned!(span=> #p::OnWait::Stale),
        OnWait::Load => quote_spanned!(span=> #p::OnWait::Load),
    }
}

fn duration(duration: Duration) -> TokenStream {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    quote_spanned!(Span::mixed_site()=> ::core::time::Duration::new(#seconds, #nanos))
}
