//! What is emitted when there was a mistake: the message, and the function as it was, so that callers still compile.

use proc_macro2::TokenStream;

pub(crate) fn fallback(error: &syn::Error, item: TokenStream) -> TokenStream {
    let mut out = error.to_compile_error();
    out.extend(item);
    out
}
