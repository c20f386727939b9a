//! `#[cacheable(key = "user:<id>")]`: one template that attributes and code share by type.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Field, LitStr};

use super::cacheable::is_generic;
use crate::template::{self, Hole, Piece};
use crate::text;

pub(super) fn keyed(p: &TokenStream, input: &DeriveInput, key: &LitStr) -> syn::Result<TokenStream> {
    let pieces = template::parse(&key.value()).map_err(|message| syn::Error::new(key.span(), message))?;
    if is_generic(input) {
        let message = format!(
            "`{}` is generic, and one template would name the values of all its types: use a key in the attribute",
            input.ident
        );
        return Err(syn::Error::new(key.span(), message));
    }
    let (mut parameters, mut statements) = (Vec::new(), TokenStream::new());
    let mut taken = Vec::<String>::new();
    for piece in &pieces {
        match piece {
            Piece::Literal(literal) => statements.extend(quote!(__cache_text.literal(#literal);)),
            Piece::Hole(hole) => {
                let field = field(input, hole, key)?;
                let (ty, parameter) = (&field.ty, format_ident!("{}", hole.root, span = key.span()));
                let name = if syn::parse_str::<syn::Ident>(&hole.root).is_err() {
                    syn::Ident::new_raw(&hole.root, key.span())
                } else {
                    parameter
                };
                if !taken.contains(&hole.root) {
                    taken.push(hole.root.clone());
                    let part = quote_spanned!(ty.span()=> #p::PartOf<#ty>);
                    parameters.push(quote!(#name: impl #part));
                }
                statements.extend(quote!(#p::PartOf::write(&#name, __cache_text);));
            }
        }
    }
    let (name, vis, template) = (&input.ident, &input.vis, key.value());
    let doc = format!("The key `{template}`.");
    Ok(quote! {
        #[automatically_derived]
        impl #p::Keyed for #name {
            const TEMPLATE: &'static str = #template;
        }
        #[automatically_derived]
        impl #name {
            #[doc = #doc]
            #[allow(dead_code, reason = "attributes and code may use it")]
            #vis fn key(#(#parameters),*) -> impl ::core::ops::FnOnce(&mut #p::Text) {
                move |__cache_text: &mut #p::Text| { #statements }
            }
        }
    })
}

fn field<'i>(input: &'i DeriveInput, hole: &Hole, key: &LitStr) -> syn::Result<&'i Field> {
    let name = &input.ident;
    let named = |field: &&Field| field.ident.as_ref().is_some_and(|ident| ident.unraw() == hole.root);
    let fields: Vec<&Field> = match &input.data {
        Data::Struct(data) => data.fields.iter().filter(|field| field.ident.is_some()).collect(),
        _ => Vec::new(),
    };
    if !hole.members.is_empty() {
        let message =
            format!("`<{hole}>`: a typed key takes fields of `{name}` itself, such as `<{}>`", hole.root);
        return Err(syn::Error::new(key.span(), message));
    }
    fields.iter().copied().find(named).ok_or_else(|| {
        let names: Vec<String> =
            fields.iter().filter_map(|field| Some(field.ident.as_ref()?.unraw().to_string())).collect();
        let has = if names.is_empty() {
            "it has no named ones".into()
        } else {
            format!("it has {}", text::list(&names))
        };
        syn::Error::new(key.span(), format!("`<{hole}>` is no field of `{name}`; {has}"))
    })
}
