//! Finds the cache: `cache = expr`, a parameter called `cache`, else `self.cache`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Expr;
use syn::spanned::Spanned;

use crate::function::Function;

/// An expression for something that is `AsRef<Cache>`.
pub(crate) struct CachePlace {
    pub(crate) expr: TokenStream,
    /// Whether a borrow of it can last through the body: it lies behind a shared reference.
    pub(crate) lasting: bool,
    /// The parameter that is the cache.
    pub(crate) param: Option<String>,
    pub(crate) span: Span,
}

impl CachePlace {
    pub(crate) fn find(given: Option<&Expr>, function: &Function) -> syn::Result<Self> {
        if let Some(expr) = given {
            let root = root(expr);
            let lasting = match &root {
                Some(root) if root == "self" => function.borrows_self(),
                Some(root) => {
                    function.param(&root.to_string()).is_some_and(|param| param.is_shared_reference())
                }
                None => false,
            };
            let param = match expr {
                Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
                _ => None,
            };
            let param = param.filter(|name| function.param(name).is_some());
            return Ok(Self { expr: expr.to_token_stream(), lasting, param, span: expr.span() });
        }
        if let Some(param) = function.param("cache") {
            let lasting = param.is_shared_reference();
            let expr = param.ident.to_token_stream();
            return Ok(Self { expr, lasting, param: Some("cache".into()), span: param.ident.span() });
        }
        if let Some(receiver) = function.receiver() {
            let this = receiver.self_token;
            let field = Ident::new("cache", this.span);
            let expr = quote!(#this.#field);
            return Ok(Self { expr, lasting: function.borrows_self(), param: None, span: this.span });
        }
        let name = function.name();
        let message =
            format!("`{name}` has no cache: give it a parameter `cache: &Cache`, or write `cache = …`");
        Err(syn::Error::new(function.sig.ident.span(), message))
    }
}

/// The name that an expression of fields begins with.
pub(super) fn root(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Path(path) => path.path.get_ident().cloned(),
        Expr::Field(field) => root(&field.base),
        _ => None,
    }
}
