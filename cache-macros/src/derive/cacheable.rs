//! `#[derive(Cacheable)]`: what a walker is told. A type's own name is part of it, so that two types with equal fields never
//! share an entry of a generic function; its module is not, so a type may be moved.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Generics, parse_quote};

use super::keyed;
use super::options::{On, Options};
use super::stored::{self, Stored};
use crate::mistakes::Mistakes;
use crate::text;

pub(crate) fn cacheable(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut mistakes = Mistakes::default();
    let options = Options::read(&input.attrs, On::Type, &mut mistakes);
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let message = format!(
            "a cached value owns its data, but `{}` borrows for `{}`",
            input.ident, lifetime.lifetime
        );
        mistakes.add(lifetime.span(), message);
    }
    let p = {
        let krate = &options.krate;
        quote!(#krate::__private)
    };
    let has_default = stored::Said::of(&input.attrs).default;
    let mut words = Words { p: p.clone(), out: TokenStream::new(), mistakes, has_default };
    match &input.data {
        Data::Struct(data) => {
            words.word("struct");
            words.word(&input.ident.unraw().to_string());
            words.container(&input.attrs, options.version);
            words.fields(&data.fields, false);
        }
        Data::Enum(data) => {
            words.word("enum");
            words.word(&input.ident.unraw().to_string());
            words.container(&input.attrs, options.version);
            words.number(data.variants.len() as u64);
            for variant in &data.variants {
                Options::read(&variant.attrs, On::Variant, &mut words.mistakes);
                words.word(&variant.ident.unraw().to_string());
                let skipped = words.serde(&variant.attrs);
                words.fields(&variant.fields, skipped);
            }
        }
        Data::Union(data) => {
            words
                .mistakes
                .add(data.union_token.span, "a union cannot be cached: which field is alive is unknown");
        }
    }
    let Words { out, mut mistakes, .. } = words;
    let keyed = options.key.as_ref().and_then(|key| mistakes.take(keyed::keyed(&p, input, key)));
    let name = &input.ident;
    let described = bounded(&input.generics, &p);
    let (impl_generics, type_generics, where_clause) = described.split_for_impl();
    let mut coded = described.clone();
    if !input.generics.params.is_empty() {
        let clause = coded.make_where_clause();
        clause.predicates.push(parse_quote! {
            Self: #p::Serialize + #p::DeserializeOwned + ::core::marker::Send + ::core::marker::Sync
        });
    }
    let (_, _, coded_clause) = coded.split_for_impl();
    let walker = if out.is_empty() { quote!(_) } else { quote!(__cache_walker) };
    let expanded = quote! {
        #[automatically_derived]
        impl #impl_generics #p::Schema for #name #type_generics #where_clause {
            fn describe(#walker: &mut #p::Walker) {
                #out
            }
        }
        #[automatically_derived]
        impl #impl_generics #p::Cacheable for #name #type_generics #coded_clause {}
        #keyed
    };
    mistakes.end(Some(expanded))
}

/// Every type parameter describes itself.
fn bounded(generics: &Generics, p: &TokenStream) -> Generics {
    let mut generics = generics.clone();
    for param in generics.type_params_mut() {
        param.bounds.push(parse_quote!(#p::Schema));
    }
    generics
}

/// The statements that tell a walker.
struct Words {
    p: TokenStream,
    out: TokenStream,
    mistakes: Mistakes,
    /// Whether the type has a default for each of its fields.
    has_default: bool,
}

impl Words {
    fn word(&mut self, word: &str) {
        self.out.extend(quote!(__cache_walker.word(#word);));
    }

    fn number(&mut self, number: u64) {
        self.out.extend(quote!(__cache_walker.number(#number);));
    }

    fn container(&mut self, attrs: &[Attribute], version: Option<u64>) {
        self.serde(attrs);
        if let Some(version) = version {
            self.word("version");
            self.number(version);
        }
    }

    /// Tells the serde attributes; whether the value is skipped altogether.
    fn serde(&mut self, attrs: &[Attribute]) -> bool {
        let mut skipped = false;
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
            let Ok(list) = attr.meta.require_list() else { continue };
            let words = text::of(list.tokens.clone());
            skipped |= words.split(',').any(|word| word == "skip");
            self.word(&format!("serde({words})"));
        }
        skipped
    }

    fn fields(&mut self, fields: &Fields, skipped: bool) {
        self.word(match fields {
            Fields::Named(_) => "named",
            Fields::Unnamed(_) => "unnamed",
            Fields::Unit => "unit",
        });
        self.number(fields.len() as u64);
        for (i, field) in fields.iter().enumerate() {
            self.field(i, field, skipped);
        }
    }

    fn field(&mut self, index: usize, field: &Field, skipped: bool) {
        let options = Options::read(&field.attrs, On::Field, &mut self.mistakes);
        if !skipped {
            let stored = stored::stored(field, self.has_default);
            let name = field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string);
            match &stored {
                Stored::Whole => {}
                Stored::AsDefault(_) if options.lossy => {}
                Stored::AsDefault(word) | Stored::Never(word) | Stored::Shifted(word) => {
                    self.mistakes.add(word.span(), stored.refusal(&name));
                }
            }
        }
        if let Some(name) = &field.ident {
            self.word(&name.unraw().to_string());
        }
        let skipped = self.serde(&field.attrs) || skipped;
        if let Some(version) = options.version {
            self.word("version");
            self.number(version);
        } else if !skipped {
            let (ty, p) = (&field.ty, &self.p);
            let walk = quote_spanned!(Span::mixed_site().located_at(ty.span())=> #p::Walker::walk::<#ty>);
            self.out.extend(quote!(#walk(__cache_walker);));
        }
    }
}

/// Type parameters of a type, as arguments to `impl`.
pub(super) fn is_generic(input: &DeriveInput) -> bool {
    !input.generics.params.to_token_stream().is_empty()
}
