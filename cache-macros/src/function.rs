//! The annotated function, taken apart as far as attributes need it. The body stays as it was written, unparsed.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, FnArg, GenericArgument, Pat, Path, PathArguments, Receiver, ReceiverKind, ReturnType,
    Signature, Token, Type, TypeParamBound, Visibility, WherePredicate,
};

/// How a function says that it is asynchronous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `async fn`.
    Async,
    /// `fn … -> Pin<Box<dyn Future<Output = R>>>`, as `#[async_trait]` writes it.
    Boxed,
    /// `fn … -> impl Future<Output = R>`.
    Future,
}

/// A parameter that has a name.
pub(crate) struct Param {
    /// The name as written, with its hygiene.
    pub(crate) ident: Ident,
    /// The name without `r#`.
    pub(crate) name: String,
    pub(crate) ty: Type,
}

impl Param {
    /// Whether it is a shared reference, which can be copied out of the way of a body that moves its arguments.
    pub(crate) fn is_shared_reference(&self) -> bool {
        matches!(&self.ty, Type::Reference(reference) if reference.mutability.is_none())
    }
}

/// The function under the attribute.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) defaultness: Option<Token![default]>,
    pub(crate) sig: Signature,
    /// `#![…]` at the start of the body.
    pub(crate) inner_attrs: TokenStream,
    /// The body without its inner attributes, in braces.
    pub(crate) body: Group,
    pub(crate) shape: Shape,
    /// What the future resolves to.
    pub(crate) output: Type,
    pub(crate) params: Vec<Param>,
    /// Parameters without a name: where they stand.
    pub(crate) patterns: Vec<(Pat, Type)>,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let defaultness = if input.peek(Token![default]) { Some(input.parse()?) } else { None };
        let ahead = input.fork();
        let sig: Signature = ahead.parse().map_err(|_| {
            syn::Error::new(input.span(), "this attribute stands on a function: an `async fn` with a body")
        })?;
        input.advance_to(&ahead);
        let body = match input.parse::<TokenTree>() {
            Ok(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => group,
            _ => {
                let message = format!(
                    "`{}` has no body here: the attribute stands on the implementation, not on the declaration",
                    sig.ident
                );
                return Err(syn::Error::new(sig.ident.span(), message));
            }
        };
        let (shape, output) = shape(&sig)?;
        let (inner_attrs, body) = split_inner_attributes(&body);
        let (params, patterns) = parameters(&sig);
        Ok(Self { attrs, vis, defaultness, sig, inner_attrs, body, shape, output, params, patterns })
    }
}

impl Function {
    pub(crate) fn name(&self) -> String {
        self.sig.ident.unraw().to_string()
    }

    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        self.sig.receiver()
    }

    pub(crate) fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name == name)
    }

    /// Whether the receiver is `&self`.
    pub(crate) fn borrows_self(&self) -> bool {
        match self.receiver().map(|receiver| &receiver.kind) {
            Some(ReceiverKind::Reference(_, _, mutability)) => mutability.is_none(),
            Some(ReceiverKind::Typed(_, ty)) => {
                matches!(&**ty, Type::Reference(reference) if reference.mutability.is_none())
            }
            _ => false,
        }
    }

    /// The receiver, if it is `&mut self` or holds a `&mut`, as `self: Pin<&mut Self>` does.
    pub(crate) fn exclusive_receiver(&self) -> Option<&Receiver> {
        self.receiver().filter(|receiver| match &receiver.kind {
            ReceiverKind::Reference(_, _, mutability) => mutability.is_some(),
            ReceiverKind::Typed(_, ty) => is_exclusive(ty),
            _ => false,
        })
    }

    /// The names that bound this type where it is a type parameter: `E` of `E: Executor<'c>` is bounded by `Executor`.
    pub(crate) fn type_names(&self, ty: &Type) -> Vec<String> {
        self.names(ty, Reach::Outermost)
    }

    /// As [`Self::type_names`], and of all it may hold: `Option<&mut PgTx>` is named by both.
    pub(crate) fn names_within(&self, ty: &Type) -> Vec<String> {
        self.names(ty, Reach::Arguments)
    }

    fn names(&self, ty: &Type, reach: Reach) -> Vec<String> {
        let mut names = Vec::new();
        collect_names(ty, reach, &mut names);
        let mut bounds = Vec::new();
        for param in self.sig.generics.type_params() {
            if names.contains(&param.ident.to_string()) {
                bound_names(&param.bounds, reach, &mut bounds);
            }
        }
        for predicate in self.sig.generics.where_clause.iter().flat_map(|clause| &clause.predicates) {
            if let WherePredicate::Type(predicate) = predicate {
                let mut bounded = Vec::new();
                collect_names(&predicate.bounded_ty, Reach::Outermost, &mut bounded);
                if bounded.iter().any(|name| names.contains(name)) {
                    bound_names(&predicate.bounds, reach, &mut bounds);
                }
            }
        }
        names.extend(bounds);
        names
    }
}

/// How far names are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Outermost,
    /// Into generic arguments and tuples too.
    Arguments,
}

/// What holds rows or opens connections, and is no connection itself.
const CLOSED: [&str; 9] =
    ["Vec", "VecDeque", "HashMap", "BTreeMap", "HashSet", "BTreeSet", "IndexMap", "Pool", "PhantomData"];

/// The last names of a type's paths, through references and `impl` and `dyn`.
fn collect_names(ty: &Type, reach: Reach, names: &mut Vec<String>) {
    match ty {
        Type::Reference(reference) => collect_names(&reference.elem, reach, names),
        Type::Group(group) => collect_names(&group.elem, reach, names),
        Type::Paren(paren) => collect_names(&paren.elem, reach, names),
        Type::Path(path) => path_names(&path.path, reach, names),
        Type::Tuple(tuple) if reach == Reach::Arguments => {
            tuple.elems.iter().for_each(|elem| collect_names(elem, reach, names));
        }
        Type::ImplTrait(it) => bound_names(&it.bounds, reach, names),
        Type::TraitObject(it) => bound_names(&it.bounds, reach, names),
        _ => {}
    }
}

fn path_names(path: &Path, reach: Reach, names: &mut Vec<String>) {
    let Some(last) = path.segments.last() else { return };
    let name = last.ident.to_string();
    if let PathArguments::AngleBracketed(arguments) = &last.arguments
        && reach == Reach::Arguments
        && !CLOSED.contains(&name.as_str())
    {
        for argument in &arguments.args {
            match argument {
                GenericArgument::Type(ty) => collect_names(ty, reach, names),
                GenericArgument::AssocType(it) => collect_names(&it.ty, reach, names),
                _ => {}
            }
        }
    }
    names.push(name);
}

fn bound_names<'a>(
    bounds: impl IntoIterator<Item = &'a TypeParamBound>,
    reach: Reach,
    names: &mut Vec<String>,
) {
    for bound in bounds {
        if let TypeParamBound::Trait(bound) = bound {
            path_names(&bound.path, reach, names);
        }
    }
}

fn is_exclusive(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => reference.mutability.is_some() || is_exclusive(&reference.elem),
        Type::Group(group) => is_exclusive(&group.elem),
        Type::Paren(paren) => is_exclusive(&paren.elem),
        Type::Path(path) => path
            .path
            .segments
            .last()
            .and_then(|last| type_argument(&last.arguments))
            .is_some_and(is_exclusive),
        _ => false,
    }
}

fn parameters(sig: &Signature) -> (Vec<Param>, Vec<(Pat, Type)>) {
    let (mut params, mut patterns) = (Vec::new(), Vec::new());
    for input in &sig.inputs {
        let FnArg::Typed(typed) = input else { continue };
        match &*typed.pat {
            Pat::Ident(pat) if pat.subpat.is_none() && pat.by_ref.is_none() => {
                let name = pat.ident.unraw().to_string();
                params.push(Param { ident: pat.ident.clone(), name, ty: (*typed.ty).clone() });
            }
            pat => patterns.push((pat.clone(), (*typed.ty).clone())),
        }
    }
    (params, patterns)
}

/// Inner attributes may not move into a nested block, so they stay at the start of the function's own.
fn split_inner_attributes(body: &Group) -> (TokenStream, Group) {
    let mut inner = Vec::new();
    let mut rest = body.stream().into_iter().peekable();
    loop {
        let mut ahead = rest.clone();
        let is_inner = matches!(ahead.next(), Some(TokenTree::Punct(p)) if p.as_char() == '#')
            && matches!(ahead.next(), Some(TokenTree::Punct(p)) if p.as_char() == '!')
            && matches!(ahead.next(), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Bracket);
        if !is_inner {
            break;
        }
        inner.extend(rest.by_ref().take(3));
    }
    let mut bare = Group::new(Delimiter::Brace, rest.collect());
    bare.set_span(body.span());
    (inner.into_iter().collect(), bare)
}

fn shape(sig: &Signature) -> syn::Result<(Shape, Type)> {
    let declared = match &sig.output {
        ReturnType::Default => None,
        ReturnType::Type(_, ty) => Some(&**ty),
    };
    if sig.asyncness.is_some() {
        let unit = || syn::parse_quote_spanned!(sig.ident.span()=> ());
        return Ok((Shape::Async, declared.cloned().unwrap_or_else(unit)));
    }
    declared.and_then(future).ok_or_else(|| {
        let message = format!("`{0}` is not async: write `async fn {0}`", sig.ident);
        syn::Error::new(sig.fn_token.span, message)
    })
}

/// The output of `Pin<Box<dyn Future<Output = R>>>`, `BoxFuture<'_, R>` or `impl Future<Output = R>`.
fn future(ty: &Type) -> Option<(Shape, Type)> {
    match ty {
        Type::Group(group) => future(&group.elem),
        Type::Paren(paren) => future(&paren.elem),
        Type::ImplTrait(it) => output_of(&it.bounds).map(|output| (Shape::Future, output)),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let argument = || type_argument(&last.arguments);
            match last.ident.to_string().as_str() {
                "BoxFuture" | "LocalBoxFuture" => Some((Shape::Boxed, argument()?.clone())),
                "Pin" | "Box" => match argument()? {
                    Type::TraitObject(it) => output_of(&it.bounds).map(|output| (Shape::Boxed, output)),
                    inner => future(inner).filter(|(shape, _)| *shape == Shape::Boxed),
                },
                _ => None,
            }
        }
        _ => None,
    }
}

fn output_of<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> Option<Type> {
    bounds.into_iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last().filter(|last| last.ident == "Future")?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(it) if it.ident == "Output" => Some(it.ty.clone()),
            _ => None,
        })
    })
}

/// The first type among generic arguments.
pub(crate) fn type_argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// What a value may be wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapper {
    Result,
    Option,
    Arc,
}

/// Takes `Result`, `Option` and `Arc` off a return type, in this order: which were written, and the text of the rest without
/// the paths in front of names.
pub(crate) fn unwrap(ty: &Type) -> (Vec<Wrapper>, String) {
    let (mut wrappers, mut ty) = (Vec::new(), ty);
    for (name, wrapper) in [("Result", Wrapper::Result), ("Option", Wrapper::Option), ("Arc", Wrapper::Arc)] {
        if let Some(inner) = unwrapped(ty, name) {
            wrappers.push(wrapper);
            ty = inner;
        }
    }
    (wrappers, crate::text::without_paths(quote!(#ty)))
}

/// Whether a type is no `Result` as far as can be seen; an alias may be one.
pub(crate) fn is_no_result(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => is_no_result(&group.elem),
        Type::Paren(paren) => is_no_result(&paren.elem),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            let known = [
                "Option", "Vec", "Arc", "Box", "HashMap", "String", "bool", "i32", "i64", "u32", "u64",
                "usize",
            ];
            known.iter().any(|name| last.ident == name)
        }),
        Type::Tuple(_) | Type::Reference(_) | Type::Array(_) => true,
        _ => false,
    }
}

/// What stands in this wrapper, if it is one.
pub(crate) fn unwrapped<'t>(ty: &'t Type, wrapper: &str) -> Option<&'t Type> {
    match ty {
        Type::Group(group) => unwrapped(&group.elem, wrapper),
        Type::Paren(paren) => unwrapped(&paren.elem, wrapper),
        Type::Path(path) => {
            let last = path.path.segments.last().filter(|last| last.ident == wrapper)?;
            type_argument(&last.arguments)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(text: &str) -> Function {
        syn::parse_str(text).unwrap()
    }

    #[test]
    fn wrappers_and_paths_are_no_part_of_a_values_text() {
        let value = |text: &str| unwrap(&syn::parse_str(text).unwrap()).1;
        assert_eq!(value("sqlx::Result<Option<crate::User>>"), "User");
        assert_eq!(value("Result<std::sync::Arc<Vec<model::User>>, Error>"), "Vec<User>");
        assert_eq!(value("HashMap<i64, model::User>"), "HashMap<i64,User>");
    }

    #[test]
    fn the_three_ways_to_be_async_are_recognised() {
        let boxed = "fn f<'a>(&'a self) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = u8> + Send + 'a>> { x }";
        for (text, shape) in [
            ("async fn f() -> u8 { 1 }", Shape::Async),
            (boxed, Shape::Boxed),
            ("fn f<'a>(&'a self) -> BoxFuture<'a, u8> { x }", Shape::Boxed),
            ("fn f(&self) -> impl Future<Output = u8> + Send { x }", Shape::Future),
        ] {
            let function = function(text);
            assert_eq!(function.shape, shape, "{text}");
            assert_eq!(unwrap(&function.output).1, "u8", "{text}");
        }
    }

    #[test]
    fn a_bound_names_a_type_parameter() {
        let f =
            function("async fn f<'c, E: Executor<'c>, T>(db: E, t: &mut T) where T: sqlx::Acquire<'c> {}");
        assert_eq!(f.type_names(&f.params[0].ty), ["E", "Executor"]);
        assert_eq!(f.type_names(&f.params[1].ty), ["T", "Acquire"]);
    }

    #[test]
    fn a_type_is_named_by_what_it_may_hold_too() {
        let f = function(
            "async fn f<E: Executor>(a: Option<&mut PgTx<'_>>, b: &mut (u8, Option<E>), c: Vec<Transaction>, d: impl DerefMut<Target = PgTx>) {}",
        );
        let within = |i: usize| f.names_within(&f.params[i].ty);
        assert_eq!(within(0), ["PgTx", "Option"]);
        assert_eq!(within(1), ["u8", "E", "Option", "Executor"]);
        assert_eq!(within(2), ["Vec"]);
        assert_eq!(within(3), ["PgTx", "DerefMut"]);
        assert_eq!(f.type_names(&f.params[0].ty), ["Option"]);
    }

    #[test]
    fn a_receiver_is_exclusive_wherever_its_reference_stands() {
        for receiver in ["&mut self", "&'a mut self", "self: &mut Self", "self: Pin<&mut Self>"] {
            let text = format!("async fn f<'a>({receiver}) {{}}");
            assert!(function(&text).exclusive_receiver().is_some(), "{receiver}");
        }
        for receiver in ["&self", "self", "mut self", "self: &Self", "self: Arc<Self>", "id: &mut i64"] {
            assert!(
                function(&format!("async fn f({receiver}) {{}}")).exclusive_receiver().is_none(),
                "{receiver}"
            );
        }
    }

    #[test]
    fn inner_attributes_stay_in_front() {
        let f = function("async fn f() { #![allow(unused)] let x = 1; }");
        assert_eq!(crate::text::of(f.inner_attrs), "#![allow(unused)]");
        assert_eq!(crate::text::of(f.body.stream()), "let x=1;");
    }
}
