//! Names: as templates in a static, and as statements that write them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};

use super::local;
use crate::model::{Name, Place, Root, Written};

/// The template, as a constant of type `&'static str`.
pub(super) fn template(p: &TokenStream, name: &Name) -> TokenStream {
    match name {
        Name::Template { text, .. } => text.value().to_token_stream(),
        Name::Typed { path, .. } => quote_spanned!(Span::mixed_site()=> <#path as #p::Keyed>::TEMPLATE),
    }
}

/// A closure that writes the name of an entry or of what it depends on.
pub(super) fn of_read(p: &TokenStream, name: &Name) -> TokenStream {
    writer(p, name, &local("part"))
}

/// Statements that write into `text` the name of the entry of one key of a batch, or of what it depends on; the key is
/// `__cache_item`.
pub(super) fn of_element(name: &Name, text: &Ident) -> TokenStream {
    statements(name, text, &local("part"))
}

/// A closure that writes the name of what changes; places in what was returned are read from `__cache_item`.
pub(super) fn of_write(p: &TokenStream, name: &Name) -> TokenStream {
    writer(p, name, &local("one"))
}

/// Statements that write the texts between the places of a tag that the value fills.
pub(super) fn between(p: &TokenStream, name: &Name) -> TokenStream {
    let (text, frame, part) = (local("__cache_text"), local("__cache_frame"), local("part"));
    let Name::Template { written, .. } = name else { return TokenStream::new() };
    let texts = written.split(is_returned).map(|pieces| {
        let statements: TokenStream = pieces.iter().map(|piece| statement(piece, &text, &part)).collect();
        if statements.is_empty() {
            quote_spanned!(Span::mixed_site()=> #frame.next(|_: &mut #p::Text| {});)
        } else {
            quote_spanned!(Span::mixed_site()=> #frame.next(|#text: &mut #p::Text| { #statements });)
        }
    });
    quote_spanned!(Span::mixed_site()=> |#frame: &mut #p::Frame| { #(#texts)* })
}

/// A closure that writes such a tag: the texts in between and, from `__cache_item`, what the value gives.
pub(super) fn of_value(p: &TokenStream, name: &Name) -> TokenStream {
    let (text, between, part) = (local("__cache_text"), local("__cache_between"), local("valued"));
    let Name::Template { written, .. } = name else { return TokenStream::new() };
    let next = quote_spanned!(Span::mixed_site()=> #between.next(#text););
    let places = written.iter().filter(|piece| is_returned(piece)).map(|piece| {
        let place = statement(piece, &text, &part);
        quote_spanned!(Span::mixed_site()=> #place #next)
    });
    quote_spanned!(Span::mixed_site()=> |#text: &mut #p::Text, #between: &mut #p::Between<'_>| { #next #(#places)* })
}

/// A closure that writes, as bytes, all that these names are made of and that is known before the call; each once.
pub(super) fn arguments<'n>(p: &TokenStream, names: impl Iterator<Item = &'n Name>) -> TokenStream {
    let (span, bytes) = (Span::mixed_site(), local("__cache_bytes"));
    let (mut known, mut statements) = (Vec::new(), TokenStream::new());
    let mut add = |place: &Place| {
        let expr = expression(place);
        let text = expr.to_string();
        if !matches!(place.root, Root::Returned) && !known.contains(&text) {
            known.push(text);
            statements.extend(quote_spanned!(site(place.span)=> #bytes.part(&#expr);));
        }
    };
    for name in names {
        match name {
            Name::Template { written, .. } => {
                written.iter().for_each(|piece| {
                    if let Written::Place(place) = piece {
                        add(place);
                    }
                });
            }
            Name::Typed { places, .. } => places.iter().for_each(&mut add),
        }
    }
    quote_spanned!(span=> |#bytes: &mut #p::KeyBytes| { let _ = &#bytes; #statements })
}

fn is_returned(piece: &Written) -> bool {
    matches!(piece, Written::Place(Place { root: Root::Returned, .. }))
}

fn writer(p: &TokenStream, name: &Name, part: &Ident) -> TokenStream {
    let text = local("__cache_text");
    let statements = statements(name, &text, part);
    quote_spanned!(Span::mixed_site()=> |#text: &mut #p::Text| { #statements })
}

fn statements(name: &Name, text: &Ident, part: &Ident) -> TokenStream {
    match name {
        Name::Template { written, .. } => written.iter().map(|piece| statement(piece, text, part)).collect(),
        Name::Typed { path, places, span } => {
            let arguments = places.iter().map(|place| {
                let expr = expression(place);
                if place.is_reference { expr } else { quote_spanned!(site(place.span)=> &#expr) }
            });
            quote_spanned!(site(*span)=> (#path::key(#(#arguments),*))(#text))
        }
    }
}

fn statement(piece: &Written, text: &Ident, part: &Ident) -> TokenStream {
    match piece {
        Written::Literal(literal) => quote_spanned!(Span::mixed_site()=> #text.literal(#literal);),
        Written::Place(place) => {
            let expr = expression(place);
            quote_spanned!(site(place.span)=> #text.#part(&#expr);)
        }
    }
}

fn expression(place: &Place) -> TokenStream {
    match place.root {
        Root::Returned | Root::Element(_) => {
            let item = Ident::new("__cache_item", site(place.span));
            quote_spanned!(site(place.span)=> #item #place)
        }
        Root::This(_) | Root::Param(_) => place.to_token_stream(),
    }
}

/// Messages point to what was written; names resolve here.
fn site(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}
