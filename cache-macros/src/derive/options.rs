//! `#[cacheable(…)]` on types and fields.

use syn::{Attribute, Expr, Lit, LitStr, Path, parse_quote};

use crate::args::{self, Arg};
use crate::mistakes::Mistakes;
use crate::text;

/// What was said about a type or a field.
pub(super) struct Options {
    pub(super) version: Option<u64>,
    /// Whether the field may come back as its default.
    pub(super) lossy: bool,
    pub(super) key: Option<LitStr>,
    pub(super) krate: Path,
}

/// Where the attribute stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Type,
    Field,
    Variant,
}

impl On {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Type => &["version", "key", "crate"],
            Self::Field => &["version", "lossy"],
            Self::Variant => &[],
        }
    }
}

impl Options {
    pub(super) fn read(attrs: &[Attribute], on: On, mistakes: &mut Mistakes) -> Self {
        let mut options = Self { version: None, lossy: false, key: None, krate: parse_quote!(::cache_core) };
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("cacheable")) {
            let list = attr.meta.require_list();
            let args = list.and_then(|list| args::parse_with_flags(list.tokens.clone(), &["lossy"]));
            for arg in mistakes.take(args).map(|args| args.args).unwrap_or_default() {
                if let Err(error) = options.set(&arg, on) {
                    mistakes.add_error(error);
                }
            }
        }
        options
    }

    fn set(&mut self, arg: &Arg, on: On) -> syn::Result<()> {
        let name = arg.name.to_string();
        if !on.options().contains(&name.as_str()) {
            return Err(syn::Error::new(arg.name.span(), unknown(&name, on)));
        }
        match (name.as_str(), &arg.value) {
            ("version", Expr::Lit(it)) if matches!(it.lit, Lit::Int(_)) => {
                let Lit::Int(version) = &it.lit else { return Ok(()) };
                self.version = Some(version.base10_parse()?);
            }
            ("key", Expr::Lit(it)) if matches!(it.lit, Lit::Str(_)) => {
                let Lit::Str(key) = &it.lit else { return Ok(()) };
                self.key = Some(key.clone());
            }
            ("lossy", Expr::Path(path)) if path.path.is_ident("lossy") => self.lossy = true,
            ("lossy", value) => {
                return Err(syn::Error::new_spanned(value, "`lossy` takes no value: write `lossy`"));
            }
            ("crate", Expr::Path(path)) => self.krate = path.path.clone(),
            _ => {
                let wanted = match name.as_str() {
                    "version" => "a whole number, for example `version = 2`",
                    "key" => "a template, for example `key = \"user:<id>\"`",
                    _ => "a path, for example `crate = ::cache_core`",
                };
                return Err(syn::Error::new_spanned(&arg.value, format!("`{name}` takes {wanted}")));
            }
        }
        Ok(())
    }
}

fn unknown(name: &str, on: On) -> String {
    let options = on.options();
    let place = match on {
        On::Type => "",
        On::Field => " on a field",
        On::Variant => " on a variant",
    };
    match text::nearest(name, options) {
        Some(meant) => format!("`{name}` is no option of `#[cacheable]`{place}; did you mean `{meant}`?"),
        None if options.is_empty() => format!("`#[cacheable]` takes no options{place}"),
        None => {
            let options: Vec<String> = options.iter().map(ToString::to_string).collect();
            format!("`{name}` is no option of `#[cacheable]`{place}; it takes {}", text::list(&options))
        }
    }
}
