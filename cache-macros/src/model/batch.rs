//! `batch`: the parameter that holds the keys, the name of one of them, and what the body is given instead of it.

use syn::{Expr, GenericArgument, Lit, PathArguments, Type};

use super::options::Options;
use super::subject::{Name, roots};
use crate::function::{self, Function, Param};
use crate::mistakes::Mistakes;
use crate::text;

/// Entries of one pipeline unless the attribute says otherwise: few enough that nobody behind it waits for long.
pub(crate) const LIMIT: usize = 1000;
const MOST: usize = 100_000;

/// How a batch takes its keys.
#[derive(Clone)]
pub(crate) enum Form {
    /// `&[K]`, `&Vec<K>`, `&HashSet<K>`: what stands behind the reference.
    Borrowed(Type),
    /// `Vec<K>`, `HashSet<K>`.
    Owned(Type),
    /// `impl IntoIterator<Item = K>`, or a type parameter.
    Opaque,
}

/// The parameter that holds the keys.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) ident: proc_macro2::Ident,
    pub(crate) ty: Type,
    pub(crate) form: Form,
    pub(crate) limit: usize,
    /// Whether the result is seen to be a list in a `Result`.
    pub(crate) is_aligned: bool,
}

impl Batch {
    /// The batch that the options ask for.
    pub(crate) fn find<'f>(
        options: &Options,
        function: &'f Function,
        open: &[&'f Param],
        mistakes: &mut Mistakes,
    ) -> Option<(&'f Param, Self)> {
        let value = options.one("batch")?;
        let param = mistakes.take(holder(value, options.one("key"), function, open))?;
        let form = mistakes.take(form(function, param))?;
        let limit = options.one("batch_limit").and_then(|value| mistakes.take(limit(value))).unwrap_or(LIMIT);
        let list = function::unwrapped(&function.output, "Result").and_then(of_list);
        let (ident, ty, is_aligned) = (param.ident.clone(), param.ty.clone(), list.is_some());
        Some((param, Self { ident, ty, form, limit, is_aligned }))
    }
}

/// Options that go with a batch only, and those that do not.
pub(crate) fn fits(options: &Options, mistakes: &mut Mistakes) {
    if options.one("batch").is_none() {
        if let Some(value) = options.one("batch_limit") {
            mistakes.on(
                value,
                "`batch_limit` is about many keys in one call: write `batch` too, or leave it out",
            );
        }
        return;
    }
    for name in ["ttl_from", "unless", "only_if", "cache_err"] {
        if let Some(value) = options.one(name) {
            mistakes.on(value, format!("`{name}` speaks of one value, and a batch loads many: leave it out"));
        }
    }
    if let Some(value) = options.one("l1") {
        mistakes.on(value, "`l1` is about single reads, and a batch reads past the L1: leave it out");
    }
    for name in ["refresh", "soft_timeout"] {
        if let Some(value) = options.one(name) {
            let message = format!(
                "`{name}` is about loads in the background, and a batch is loaded by its caller: leave it out"
            );
            mistakes.on(value, message);
        }
    }
}

/// Whether `batch` stands without a value.
fn is_flag(value: &Expr) -> bool {
    matches!(value, Expr::Path(path) if path.path.is_ident("batch"))
}

fn holder<'f>(
    value: &Expr,
    key: Option<&Expr>,
    function: &'f Function,
    open: &[&'f Param],
) -> syn::Result<&'f Param> {
    if !is_flag(value) {
        return super::read::parameter(value, "batch", function);
    }
    let named = key.map(roots).unwrap_or_default();
    let rest: Vec<_> = open.iter().filter(|param| !named.contains(&param.name)).collect();
    match rest[..] {
        [one] => Ok(one),
        [] => match open.iter().find(|param| named.contains(&param.name)) {
            Some(param) => Err(syn::Error::new_spanned(key.unwrap_or(value), whole_list(param))),
            None => Err(syn::Error::new_spanned(
                value,
                format!(
                    "`{}` has no parameter that holds keys: a batch takes `&[K]`, `Vec<K>` or `impl IntoIterator<Item = K>`",
                    function.name()
                ),
            )),
        },
        [first, ..] => {
            let names: Vec<String> = rest.iter().map(|param| param.name.clone()).collect();
            Err(syn::Error::new_spanned(
                value,
                format!(
                    "`batch` does not say which parameter holds the keys, of {}: write `batch = {}`, and the others in the key or in `ignores`",
                    text::list(&names),
                    first.name
                ),
            ))
        }
    }
}

/// What is wrong with a placeholder that names the parameter itself.
pub(crate) fn whole_list(param: &Param) -> String {
    format!(
        "`<{}>` is the whole list, and an entry is of one of its elements: write `<{}>`",
        param.name,
        singular(&param.name)
    )
}

/// What one of these is called.
pub(crate) fn singular(name: &str) -> String {
    match name.strip_suffix("ies") {
        Some(stem) if !stem.is_empty() => format!("{stem}y"),
        _ => match name.strip_suffix('s').filter(|stem| !stem.is_empty() && !stem.ends_with('s')) {
            Some(stem) => stem.to_owned(),
            None => "one".to_owned(),
        },
    }
}

/// Types that are one key and no list of any.
const ONE: [&str; 16] = [
    "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize", "bool", "char",
    "str", "String",
];

fn form(function: &Function, param: &Param) -> syn::Result<Form> {
    let ty = bare(&param.ty);
    let behind = if let Type::Reference(reference) = ty { bare(&reference.elem) } else { ty };
    if let Type::Path(path) = behind
        && ONE.iter().any(|one| path.path.is_ident(one))
    {
        let message = format!(
            "`{}` is one key: a batch takes `&[K]`, `Vec<K>` or `impl IntoIterator<Item = K>`",
            param.name
        );
        return Err(syn::Error::new_spanned(&param.ty, message));
    }
    let array = || {
        let message = format!(
            "`{}` has a fixed length, and the body is given the missing keys only: take `&[K]` or `Vec<K>`",
            param.name
        );
        syn::Error::new_spanned(&param.ty, message)
    };
    match bare(&param.ty) {
        Type::Reference(reference) if reference.mutability.is_some() => Err(syn::Error::new_spanned(
            &param.ty,
            format!(
                "`{}` is a `&mut`, and the body is given the missing keys only: take `&[K]` or `Vec<K>`",
                param.name
            ),
        )),
        Type::Reference(reference) => match bare(&reference.elem) {
            Type::Array(_) => Err(array()),
            inner => Ok(Form::Borrowed(inner.clone())),
        },
        Type::Array(_) => Err(array()),
        Type::ImplTrait(_) => Ok(Form::Opaque),
        Type::Path(path)
            if path.path.get_ident().is_some_and(|name| {
                function.sig.generics.type_params().any(|generic| generic.ident == *name)
            }) =>
        {
            Ok(Form::Opaque)
        }
        other => Ok(Form::Owned(other.clone())),
    }
}

fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

fn limit(value: &Expr) -> syn::Result<usize> {
    let number = match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(int) => int.base10_parse::<usize>().ok(),
            _ => None,
        },
        _ => None,
    };
    number.filter(|number| (1..=MOST).contains(number)).ok_or_else(|| {
        let message =
            format!("`batch_limit` takes a number of keys from 1 to {MOST}, for example `batch_limit = 500`");
        syn::Error::new_spanned(value, message)
    })
}

/// The names by which key and tags call an element must be one, and the key must have it.
pub(crate) fn check(param: &Param, key: &Name, tags: &[Name], mistakes: &mut Mistakes) {
    for tag in tags.iter().filter(|tag| tag.is_returned()) {
        let message = format!(
            "`{}` is known of each value only after the load, and a batch names its tags before it: name parameters and elements",
            tag.as_written()
        );
        mistakes.add(tag.span(), message);
    }
    let of_key = key.elements();
    let Some(first) = of_key.first() else {
        let message = format!(
            "the key is the same for all of `{}`: write `<{}>` for one of its elements",
            param.name,
            singular(&param.name)
        );
        return mistakes.add(key.span(), message);
    };
    for name in std::iter::once(key).chain(tags) {
        if let Some(other) = name.elements().iter().find(|other| *other != first) {
            let message = format!(
                "`<{other}>` and `<{first}>` are no parameters, and only one name can stand for an element of `{}`",
                param.name
            );
            mistakes.add(name.span(), message);
        }
    }
}

/// The text of a batch's value type; empty where an alias hides it.
pub(crate) fn value(output: &Type) -> String {
    let output = function::unwrapped(output, "Result").unwrap_or(output);
    let of_map = ["HashMap", "BTreeMap"].iter().find_map(|map| second_argument(output, map));
    match of_map.or_else(|| of_list(output)) {
        Some(value) => {
            let value = function::unwrapped(value, "Arc").unwrap_or(value);
            text::without_paths(quote::quote!(#value))
        }
        None => String::new(),
    }
}

/// The `V` of `Vec<Option<V>>`.
fn of_list(ty: &Type) -> Option<&Type> {
    function::unwrapped(function::unwrapped(ty, "Vec")?, "Option")
}

fn second_argument<'t>(ty: &'t Type, name: &str) -> Option<&'t Type> {
    let Type::Path(path) = bare(ty) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_called_as_its_list_without_the_plural() {
        for (list, one) in [
            ("ids", "id"),
            ("slugs", "slug"),
            ("cities", "city"),
            ("keys", "key"),
            ("s", "one"),
            ("data", "one"),
            ("boss", "one"),
        ] {
            assert_eq!(singular(list), one);
        }
    }

    #[test]
    fn a_batch_s_value_is_what_its_map_or_list_holds() {
        let value = |text: &str| value(&syn::parse_str(text).unwrap());
        assert_eq!(value("sqlx::Result<HashMap<i64, crate::User>>"), "User");
        assert_eq!(value("HashMap<i64, std::sync::Arc<Vec<User>>>"), "Vec<User>");
        assert_eq!(value("Result<Vec<Option<Arc<User>>>, E>"), "User");
        assert_eq!(value("BTreeMap<(i64, i64), User>"), "User");
        assert_eq!(value("Users"), "");
    }
}
