//! `warm = …`: whether a function gets a companion that warms its entry.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, Lit, Safety, Visibility};

use crate::function::Function;

/// The companion's name, if there is to be one.
///
/// Unasked there is one beside methods with a receiver and a visibility: a function without a visibility may belong to a trait's
/// impl, where nothing may be added, and one without a receiver may or may not need `Self::` in front; an attribute sees neither.
pub(crate) fn companion(option: Option<&Expr>, function: &Function) -> syn::Result<Option<Ident>> {
    let sig = &function.sig;
    let is_plain =
        matches!(sig.safety, Safety::Default) && sig.abi.is_none() && function.defaultness.is_none();
    let wanted = match option {
        None => function.receiver().is_some() && is_plain && !matches!(function.vis, Visibility::Inherited),
        Some(value) => {
            let wanted = switch(value)?;
            if wanted && function.receiver().is_none() {
                let message = format!(
                    "`{0}` has no receiver, so nothing can stand beside it: write `cache_core::warmed({0}(…))` where you warm it",
                    function.name()
                );
                return Err(syn::Error::new_spanned(value, message));
            }
            wanted
        }
    };
    Ok(wanted.then(|| Ident::new(&format!("warm_{}", sig.ident.unraw()), sig.ident.span())))
}

fn switch(value: &Expr) -> syn::Result<bool> {
    if let Expr::Lit(ExprLit { lit: Lit::Bool(switch), .. }) = value {
        return Ok(switch.value);
    }
    Err(syn::Error::new_spanned(value, "`warm` is `true` or `false`"))
}
