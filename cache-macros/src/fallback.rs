//! What is emitted when there was a mistake: the message, and the function as it was, so that callers still compile. Refuses to
//! let anything else be said about it: what the attribute would have used is not unused.

use proc_macro2::TokenStream;
use quote::quote;

pub(crate) fn fallback(error: &syn::Error, item: &TokenStream) -> TokenStream {
    let message = error.to_compile_error();
    quote! {
        #message
        #[allow(unused, reason = "the attribute would have used it")]
        #item
    }
}
