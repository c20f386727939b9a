//! What serde's attributes leave of a field in an entry: a hit must return what the load did.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Field, Lit, Meta, Token, Type};

/// How a field comes back from an entry.
pub(super) enum Stored {
    /// As it was loaded.
    Whole,
    /// As its default, because of this word.
    AsDefault(Ident),
    /// Not at all, because of this word: the entry does not decode.
    Never(Ident),
    /// As the one after it, because of this word: fields without names are told apart by their order.
    Shifted(Ident),
}

impl Stored {
    pub(super) fn refusal(&self, name: &str) -> String {
        match self {
            Self::Whole => String::new(),
            Self::AsDefault(word) => format!(
                "`{name}` comes back as its default from the cache; take `{word}` off and answer clients with another type, or accept it with `#[cacheable(lossy)]`"
            ),
            Self::Never(word) => format!(
                "without `{name}` an entry does not decode, so it would be loaded each time; take `{word}` off, or add `default`"
            ),
            Self::Shifted(word) => format!(
                "without `{name}` the fields after it come back in its place; take `{word}` off, or give the fields names"
            ),
        }
    }
}

/// What the serde attributes of a type or a field say, as far as it matters here.
#[derive(Default)]
pub(super) struct Said {
    /// `skip`, `skip_serializing` or `skip_deserializing`.
    skip: Option<Ident>,
    skip_if: Option<(Ident, Option<String>)>,
    pub(super) default: bool,
    decodes_itself: bool,
}

impl Said {
    /// Attributes that serde does not understand are left for serde to refuse.
    pub(super) fn of(attrs: &[Attribute]) -> Self {
        let mut said = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
            let list = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            for meta in list.into_iter().flatten() {
                let Some(word) = meta.path().get_ident().cloned() else { continue };
                match word.to_string().as_str() {
                    "skip" | "skip_serializing" | "skip_deserializing" => said.skip = Some(word),
                    "skip_serializing_if" => said.skip_if = Some((word, text(&meta))),
                    "default" => said.default = true,
                    "with" | "deserialize_with" => said.decodes_itself = true,
                    _ => {}
                }
            }
        }
        said
    }
}

pub(super) fn stored(field: &Field, type_has_default: bool) -> Stored {
    let said = Said::of(&field.attrs);
    // Serde takes an `Option` that is not there for `None`.
    let absent_is_none = is_option(&field.ty) && !said.decodes_itself;
    let decodes = said.default || type_has_default || absent_is_none;
    match (said.skip, said.skip_if) {
        (Some(word), _) if field.ident.is_none() && word != "skip" => Stored::Shifted(word),
        (None, Some((word, _))) if field.ident.is_none() => Stored::Shifted(word),
        (Some(word), _) if word == "skip_serializing" && !decodes => Stored::Never(word),
        (Some(word), _) => Stored::AsDefault(word),
        (None, Some((word, _))) if !decodes => Stored::Never(word),
        (None, Some((word, condition)))
            if !said.default && !type_has_default && condition.as_deref() != Some("Option::is_none") =>
        {
            Stored::AsDefault(word)
        }
        _ => Stored::Whole,
    }
}

fn text(meta: &Meta) -> Option<String> {
    match &meta.require_name_value().ok()?.value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        other => Some(other.to_token_stream().to_string()),
    }
}

fn is_option(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => is_option(&group.elem),
        Type::Paren(paren) => is_option(&paren.elem),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Option"),
        _ => false,
    }
}
