//! Sorts options by name: unknown ones, and a second one where one is meant, are mistakes.

use syn::{Expr, Lit, LitStr, Path, parse_quote};

use crate::args::{Arg, Args};
use crate::function::Param;
use crate::mistakes::Mistakes;
use crate::text;

/// An attribute's name and what it takes.
pub(crate) struct Known {
    /// `#[cached]`.
    pub(crate) attribute: &'static str,
    pub(crate) options: &'static [&'static str],
    /// Those that may stand more than once.
    pub(crate) repeatable: &'static [&'static str],
}

/// The options given.
pub(crate) struct Options(Args);

impl Options {
    pub(crate) fn new(mut args: Args, known: &Known, mistakes: &mut Mistakes) -> Self {
        let mut kept = Vec::<Arg>::new();
        for arg in std::mem::take(&mut args.args) {
            let name = arg.name.to_string();
            if !known.options.contains(&name.as_str()) {
                mistakes.add(arg.name.span(), unknown(&name, known));
            } else if !known.repeatable.contains(&name.as_str()) && kept.iter().any(|kept| kept.name == name)
            {
                mistakes.add(arg.name.span(), format!("`{name}` is given twice"));
            } else {
                kept.push(arg);
            }
        }
        args.args = kept;
        Self(args)
    }

    pub(crate) fn one(&self, name: &str) -> Option<&Expr> {
        self.0.args.iter().find(|arg| arg.name == name).map(|arg| &arg.value)
    }

    /// All of `name = a` and, element by element, `names = [b, c]`.
    pub(crate) fn all(&self, name: &str, names: &str) -> Vec<Expr> {
        let mut values = Vec::new();
        for arg in &self.0.args {
            if arg.name == name {
                values.push(arg.value.clone());
            } else if arg.name == names {
                values.extend(crate::args::elements(&arg.value));
            }
        }
        values
    }

    /// Something is missing.
    pub(crate) fn mistake(&self, message: impl std::fmt::Display) -> syn::Error {
        self.0.mistake(message)
    }

    /// Whether the value of `name` is this parameter or a field of it.
    pub(crate) fn begins_with(&self, name: &str, param: &Param) -> bool {
        self.one(name).and_then(super::cache::root).is_some_and(|root| root == param.ident)
    }

    /// The path of cache-core.
    pub(crate) fn krate(&self, mistakes: &mut Mistakes) -> Path {
        match self.one("crate") {
            None => parse_quote!(::cache_core),
            Some(Expr::Path(path)) => path.path.clone(),
            Some(other) => {
                mistakes.on(other, "`crate` takes a path, for example `crate = ::cache_core`");
                parse_quote!(::cache_core)
            }
        }
    }
}

fn unknown(name: &str, known: &Known) -> String {
    let Known { attribute, options, .. } = known;
    match text::nearest(name, options) {
        Some(meant) => format!("`{name}` is no option of `{attribute}`; did you mean `{meant}`?"),
        None => {
            let options: Vec<String> = options.iter().map(ToString::to_string).collect();
            format!("`{name}` is no option of `{attribute}`; it takes {}", text::list(&options))
        }
    }
}

/// A string literal, or what to write instead.
pub(crate) fn string<'a>(value: &'a Expr, example: &str) -> syn::Result<&'a LitStr> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Ok(text),
            other => {
                Err(syn::Error::new_spanned(other, format!("a string is wanted here: write `{example}`")))
            }
        },
        other => Err(syn::Error::new_spanned(other, format!("a string is wanted here: write `{example}`"))),
    }
}
