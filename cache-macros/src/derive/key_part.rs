//! `#[derive(KeyPart)]`: made of parts that are injective, so it is.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Member, parse_quote};

use super::options::{On, Options};
use crate::mistakes::Mistakes;

pub(crate) fn key_part(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut mistakes = Mistakes::default();
    let options = Options::read(&input.attrs, On::Type, &mut mistakes);
    let krate = &options.krate;
    let p = quote!(#krate::__private);
    let (body, bytes) = match &input.data {
        Data::Struct(data) => (structure(&p, &data.fields), structure_bytes(&p, &data.fields)),
        Data::Enum(data) => {
            let (mut arms, mut names) = (TokenStream::new(), TokenStream::new());
            for variant in &data.variants {
                if !matches!(variant.fields, Fields::Unit) {
                    let message = format!(
                        "`{}` holds data, and only enums without data are parts of keys",
                        variant.ident
                    );
                    mistakes.on(variant, message);
                }
                let (ident, name) = (&variant.ident, variant.ident.unraw().to_string());
                arms.extend(quote!(Self::#ident => __cache_text.escaped(#name),));
                names.extend(quote!(Self::#ident => __cache_bytes.named(#name),));
            }
            match data.variants.is_empty() {
                true => (quote!(match *self {}), quote!(match *self {})),
                false => (quote!(match self { #arms }), quote!(match self { #names })),
            }
        }
        Data::Union(data) => {
            mistakes.add(
                data.union_token.span,
                "a union cannot be part of a key: which field is alive is unknown",
            );
            (TokenStream::new(), TokenStream::new())
        }
    };
    let mut generics = input.generics.clone();
    for param in generics.type_params_mut() {
        param.bounds.push(parse_quote!(#p::KeyPart));
    }
    let (name, (impl_generics, type_generics, where_clause)) = (&input.ident, generics.split_for_impl());
    let expanded = quote! {
        #[automatically_derived]
        impl #impl_generics #p::KeyPart for #name #type_generics #where_clause {
            fn text(&self, __cache_text: &mut #p::Text) {
                #body
            }

            fn bytes_into(&self, __cache_bytes: &mut #p::KeyBytes) {
                #bytes
            }
        }
    };
    mistakes.end(Some(expanded))
}

/// One field is as itself; several are as a tuple.
fn structure(p: &TokenStream, fields: &Fields) -> TokenStream {
    let parts: Vec<TokenStream> = fields
        .iter()
        .enumerate()
        .map(|(i, field)| {
            let span = Span::mixed_site().located_at(field.ty.span());
            let member = field.ident.clone().map_or_else(|| Member::from(i), Member::Named);
            let ty = &field.ty;
            let write = quote_spanned!(span=> <#ty as #p::KeyPart>::text);
            quote!(#write(&self.#member, __cache_text);)
        })
        .collect();
    match parts.as_slice() {
        [only] => only.clone(),
        [] => quote!(__cache_text.literal("()");),
        [first, rest @ ..] => quote! {
            __cache_text.literal("(");
            #first
            #(__cache_text.literal(","); #rest)*
            __cache_text.literal(")");
        },
    }
}

/// The same as bytes.
fn structure_bytes(p: &TokenStream, fields: &Fields) -> TokenStream {
    let parts = fields.iter().enumerate().map(|(i, field)| {
        let span = Span::mixed_site().located_at(field.ty.span());
        let member = field.ident.clone().map_or_else(|| Member::from(i), Member::Named);
        let ty = &field.ty;
        let write = quote_spanned!(span=> <#ty as #p::KeyPart>::bytes_into);
        quote!(#write(&self.#member, __cache_bytes);)
    });
    let parts: TokenStream = parts.collect();
    let many = fields.len();
    if many == 1 { parts } else { quote!(__cache_bytes.tuple(#many); #parts) }
}
