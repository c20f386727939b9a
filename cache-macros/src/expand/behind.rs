//! `#[writes_behind]`: the body makes the value, the queue takes it, and the function returns once it has.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned;

use super::body::{self, Arguments};
use super::{local, local_at, location, name, private};
use crate::function::Function;
use crate::model::Behind;

pub(crate) fn behind(behind: &Behind, function: &Function) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(&behind.krate);
    let (at, template, value_text) = (location(&p, function), name::template(&p, &behind.key), &behind.value);
    let site = quote_spanned! {span=>
        static __CACHE_SITE: #p::QueueSite =
            #p::QueueSite { at: #at, template: #template, value: #value_text };
        #p::inventory::submit! { #p::Site::Queue(&__CACHE_SITE) }
    };

    let (queue, key, result) = (local("__cache_queue"), local("__cache_key"), local("__cache_result"));
    let (value, payload, item) = (local("__cache_value"), local("__cache_payload"), local("__cache_item"));
    let error = local("__cache_error");
    let writer = name::of_write(&p, &behind.key);
    let written = quote_spanned!(span=> let #key = #p::text(#writer););
    let (before, after) = match behind.key.is_returned() {
        true => (TokenStream::new(), written),
        false => (written, TokenStream::new()),
    };
    let (output, load) = (body::output(function), body::closure(function, Arguments::AsDeclared));
    let source = &behind.queue;
    let there = span.located_at(function.output.span());
    let failed = quote_spanned!(there=> ::core::result::Result::Err(::core::convert::From::from(#error)));
    // What is wrong with the value's type is told where the type stands, and what is wrong with the queue's where that does.
    let pointing = local_at("__cache_value", there);
    let peeked = quote_spanned!(there=> #p::Payload::peek(&#pointing));
    let at_queue = span.located_at(behind.queue.span());
    let queued =
        quote_spanned! {at_queue=> #p::WriteBehind::write_behind(#queue, &__CACHE_SITE, #key, #item) };
    let inside = quote_spanned! {span=>
        let #queue = #source;
        #before
        let #result: #output = #p::run(#load).await;
        match #result {
            ::core::result::Result::Err(#error) => ::core::result::Result::Err(#error),
            ::core::result::Result::Ok(#value) => {
                let #payload = match #peeked {
                    ::core::option::Option::Some(#item) => {
                        #after
                        ::core::option::Option::Some(#queued)
                    }
                    ::core::option::Option::None => ::core::option::Option::None,
                };
                match #p::written_behind(#payload).await {
                    ::core::result::Result::Ok(()) => ::core::result::Result::Ok(#value),
                    ::core::result::Result::Err(#error) => #failed,
                }
            }
        }
    };
    body::function(function, &function.sig, &site, &inside)
}
