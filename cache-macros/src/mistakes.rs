//! Collects mistakes, so that each is reported, and only once.

use proc_macro2::Span;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Mistakes(Option<syn::Error>);

impl Mistakes {
    pub(crate) fn add(&mut self, span: Span, message: impl std::fmt::Display) {
        self.add_error(syn::Error::new(span, message));
    }

    /// Underlines all of `tokens`.
    pub(crate) fn on(&mut self, tokens: impl quote::ToTokens, message: impl std::fmt::Display) {
        self.add_error(syn::Error::new_spanned(tokens, message));
    }

    pub(crate) fn add_error(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().flat_map(|error| error.into_iter()).count()
    }

    /// The value, or the mistake that stands in its place.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add_error(error)).ok()
    }

    /// The value, unless there were mistakes; without mistakes there is one.
    pub(crate) fn end<T>(self, value: Option<T>) -> syn::Result<T> {
        match (self.0, value) {
            (None, Some(value)) => Ok(value),
            (Some(error), _) => Err(error),
            (None, None) => Err(syn::Error::new(Span::call_site(), "the attribute is incomplete")),
        }
    }
}
