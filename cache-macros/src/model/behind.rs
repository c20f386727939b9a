//! `#[writes_behind]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Path};

use super::options::{Known, Options};
use super::source;
use super::subject::{Name, Resolver, Returns};
use crate::args::Args;
use crate::function::{self, Function, Param};
use crate::mistakes::Mistakes;
use crate::text;

const KNOWN: Known =
    Known { attribute: "#[writes_behind]", options: &["key", "queue", "crate"], repeatable: &[] };

/// A valid attribute on a write that is queued.
pub(crate) struct Behind {
    pub(crate) krate: Path,
    pub(crate) key: Name,
    /// An expression of type `&impl WriteBehind<_>`.
    pub(crate) queue: TokenStream,
    /// The value's type as text.
    pub(crate) value: String,
}

impl Behind {
    pub(crate) fn new(args: Args, function: &Function) -> syn::Result<Self> {
        let mut mistakes = Mistakes::default();
        let options = Options::new(args, &KNOWN, &mut mistakes);
        let krate = options.krate(&mut mistakes);
        for param in function.params.iter().filter(|param| source::may_be_transaction(function, param)) {
            let name = &param.name;
            let message = format!(
                "`{name}` may be inside a transaction, and a queued write is made later, in the queue's own: leave `{name}` out, or write `#[invalidates(…, within = {name})]`"
            );
            mistakes.on(&param.ty, message);
        }
        let remaining: Vec<&Param> =
            function.params.iter().filter(|param| !options.begins_with("queue", param)).collect();
        let resolver = Resolver { function, returns: Returns::Known, remaining, batch: None };
        let key = match options.one("key") {
            Some(key) => resolver.key(key, &mut mistakes),
            None => {
                let message =
                    "`#[writes_behind]` needs the key whose value it writes: write `key = \"user:<id>\"`";
                mistakes.add_error(options.mistake(message));
                None
            }
        };
        let queue = match options.one("queue") {
            Some(queue) => Some(by_reference(queue, function)),
            None => {
                let message = "`#[writes_behind]` needs a queue to write to: write `queue = self.queue`, with a field of type `Queue<…>`";
                mistakes.add_error(options.mistake(message));
                None
            }
        };
        if function::is_no_result(&function.output) {
            let output = &function.output;
            let shown = text::without_paths(quote!(#output));
            let message = format!(
                "queueing may fail, and `{shown}` does not say so: return a `Result` whose error is `From<cache_sqlx::QueueError>`, such as `sqlx::Error`"
            );
            mistakes.on(output, message);
        }
        let (_, value) = function::unwrap(&function.output);
        mistakes.end(key.zip(queue).map(|(key, queue)| Self { krate, key, queue, value }))
    }
}

fn by_reference(queue: &Expr, function: &Function) -> TokenStream {
    let param = match queue {
        Expr::Path(path) => path.path.get_ident().and_then(|ident| function.param(&ident.to_string())),
        _ => None,
    };
    match param {
        Some(param) if param.is_shared_reference() => queue.to_token_stream(),
        _ => quote_spanned!(queue.span()=> &#queue),
    }
}
