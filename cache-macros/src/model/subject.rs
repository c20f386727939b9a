//! What a key or tag option names: a template whose places are found in the signature, or a typed key.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, LitStr, Member, Path};

use crate::function::{Function, Param};
use crate::mistakes::Mistakes;
use crate::model::batch;
use crate::model::options::string;
use crate::template::{self, Hole, Piece};
use crate::text;

/// Where a place begins.
#[derive(Clone)]
pub(crate) enum Root {
    /// `self`, with the receiver's hygiene.
    This(Ident),
    /// A parameter, with its own hygiene.
    Param(Ident),
    /// What the body returned.
    Returned,
    /// One of the keys of a batch, by the name it is given here.
    Element(String),
}

/// A value that stands in a name: `user.id`.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) root: Root,
    pub(crate) members: Vec<Member>,
    /// Whether it is a parameter of a shared reference type, all of it.
    pub(crate) is_reference: bool,
    pub(crate) span: Span,
}

/// A piece of a template whose place was found.
pub(crate) enum Written {
    Literal(String),
    Place(Place),
}

/// The name of a subject.
pub(crate) enum Name {
    Template { text: LitStr, written: Vec<Written> },
    Typed { path: Path, places: Vec<Place>, span: Span },
}

impl Name {
    fn places(&self) -> Vec<&Place> {
        match self {
            Self::Typed { places, .. } => places.iter().collect(),
            Self::Template { written, .. } => written
                .iter()
                .filter_map(|written| match written {
                    Written::Place(place) => Some(place),
                    Written::Literal(_) => None,
                })
                .collect(),
        }
    }

    /// Whether only the result names it.
    pub(crate) fn is_returned(&self) -> bool {
        self.places().iter().any(|place| matches!(place.root, Root::Returned))
    }

    /// The names that stand for one of the keys of a batch.
    pub(crate) fn elements(&self) -> Vec<String> {
        let named = |place: &&Place| match &place.root {
            Root::Element(name) => Some(name.clone()),
            _ => None,
        };
        self.places().iter().filter_map(named).collect()
    }

    /// The place in it that callers bring and that does not stand in `key`: an entry is shared by callers who differ in it.
    pub(crate) fn beside(&self, key: &Name) -> Option<&Place> {
        let in_key: Vec<String> = key.places().iter().map(|place| place.as_written()).collect();
        let is_brought = |place: &&Place| !matches!(place.root, Root::Returned);
        self.places().into_iter().filter(is_brought).find(|place| !in_key.contains(&place.as_written()))
    }

    /// Whether a parameter, or a field of it, stands in it.
    pub(crate) fn mentions(&self, param: &Param) -> bool {
        self.places().iter().any(|place| matches!(&place.root, Root::Param(ident) if *ident == param.ident))
    }

    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Template { text, .. } => text.span(),
            Self::Typed { span, .. } => *span,
        }
    }

    /// As written, to be compared.
    pub(crate) fn as_written(&self) -> String {
        match self {
            Self::Template { text, .. } => text.value(),
            Self::Typed { path, places, .. } => {
                let places: Vec<String> = places.iter().map(Place::as_written).collect();
                format!("{}({})", text::of(path.to_token_stream()), places.join(", "))
            }
        }
    }
}

impl Place {
    pub(crate) fn as_written(&self) -> String {
        let mut out = match &self.root {
            Root::This(_) => "self".to_owned(),
            Root::Param(ident) => ident.unraw().to_string(),
            Root::Returned => "return".to_owned(),
            Root::Element(name) => name.clone(),
        };
        for member in &self.members {
            out.push('.');
            out.push_str(&text::of(member.to_token_stream()));
        }
        out
    }
}

/// Whether names may come from what the body returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returns {
    /// The body runs in a transaction that commits afterwards.
    Known,
    /// A read: its key is needed before the load.
    AfterTheLoad,
    /// The body commits by itself.
    AfterTheCommit,
}

/// Finds places in a signature.
pub(crate) struct Resolver<'f> {
    pub(crate) function: &'f Function,
    pub(crate) returns: Returns,
    /// The parameters that may name the subject; what `key = User` passes if there is exactly one.
    pub(crate) remaining: Vec<&'f Param>,
    /// The parameter that holds the keys of a batch: a placeholder that is no parameter stands for one of them.
    pub(crate) batch: Option<&'f Param>,
}

impl Resolver<'_> {
    /// A key: a template or a typed key.
    pub(crate) fn key(&self, value: &Expr, mistakes: &mut Mistakes) -> Option<Name> {
        if let Some(this) = own_type(value) {
            mistakes.on(
                this,
                "`Self` has no name outside its `impl`, where the key is registered: write the type's name",
            );
            return None;
        }
        match value {
            Expr::Path(path) if path.qself.is_none() => mistakes.take(self.typed(&path.path, value.span())),
            Expr::Call(call) => match &*call.func {
                Expr::Path(path) if path.qself.is_none() => {
                    let places: Vec<_> =
                        call.args.iter().map(|arg| mistakes.take(self.argument(arg))).collect();
                    let places = places.into_iter().collect::<Option<_>>()?;
                    Some(Name::Typed { path: path.path.clone(), places, span: value.span() })
                }
                _ => self.template(value, "\"user:<id>\"", mistakes),
            },
            _ => self.template(value, "\"user:<id>\"", mistakes),
        }
    }

    /// A tag: always a template.
    pub(crate) fn tag(&self, value: &Expr, mistakes: &mut Mistakes) -> Option<Name> {
        self.template(value, "\"users\"", mistakes)
    }

    fn template(&self, value: &Expr, example: &str, mistakes: &mut Mistakes) -> Option<Name> {
        let text = mistakes.take(string(value, example))?;
        let pieces = template::parse(&text.value()).map_err(|message| syn::Error::new(text.span(), message));
        let mut written = Vec::new();
        let mut whole = true;
        for piece in mistakes.take(pieces)? {
            match piece {
                Piece::Literal(literal) => written.push(Written::Literal(literal)),
                Piece::Hole(hole) => match mistakes.take(self.place(&hole, text.span())) {
                    Some(place) => written.push(Written::Place(place)),
                    None => whole = false,
                },
            }
        }
        whole.then(|| Name::Template { text: text.clone(), written })
    }

    fn typed(&self, path: &Path, span: Span) -> syn::Result<Name> {
        let shown = text::of(path.to_token_stream());
        if let Some(ident) = path.get_ident()
            && self.function.param(&ident.unraw().to_string()).is_some()
        {
            let message = format!(
                "`{shown}` is a parameter: write a template, `key = \"{}:<{shown}>\"`",
                self.function.name()
            );
            return Err(syn::Error::new(span, message));
        }
        if self.remaining.len() != 1 {
            // A read is made of all of them, in an order that only its author knows; a write mostly of one.
            let shown_first = if self.returns == Returns::AfterTheLoad { self.remaining.len() } else { 1 };
            let names: Vec<&str> =
                self.remaining.iter().take(shown_first).map(|param| param.name.as_str()).collect();
            let example = if names.is_empty() { "…".to_owned() } else { names.join(", ") };
            let order = if names.len() > 1 { ", in the order of its template" } else { "" };
            let message = format!(
                "`key = {shown}` does not say what it is made of: write `key = {shown}({example})`{order}"
            );
            return Err(syn::Error::new(span, message));
        }
        let places = self.remaining.iter().map(|param| self.whole(param, span)).collect();
        Ok(Name::Typed { path: path.clone(), places, span })
    }

    /// An argument of `User(id, user.org, self.tenant, return.id)`.
    fn argument(&self, arg: &Expr) -> syn::Result<Place> {
        let refuse = || {
            let message =
                "a typed key takes parameters and their fields, such as `User(id)` or `User(user.id)`";
            syn::Error::new_spanned(arg, message)
        };
        let (mut members, mut expr) = (Vec::new(), arg);
        let root = loop {
            match expr {
                Expr::Reference(reference) => expr = &reference.expr,
                Expr::Group(group) => expr = &group.expr,
                Expr::Paren(paren) => expr = &paren.expr,
                Expr::Field(field) => {
                    members.insert(
                        0,
                        text::of(field.member.to_token_stream()).trim_start_matches("r#").to_owned(),
                    );
                    expr = &field.base;
                }
                Expr::Return(it) if it.expr.is_none() => break "return".to_owned(),
                Expr::Path(path) => break path.path.get_ident().ok_or_else(refuse)?.unraw().to_string(),
                _ => return Err(refuse()),
            }
        };
        self.place(&Hole { root, members }, arg.span())
    }

    fn place(&self, hole: &Hole, span: Span) -> syn::Result<Place> {
        let function = self.function;
        let members: Vec<Member> = hole.members.iter().map(|member| self::member(member, span)).collect();
        if hole.root == "return" {
            let why = match self.returns {
                Returns::Known => {
                    return Ok(Place { root: Root::Returned, members, is_reference: false, span });
                }
                Returns::AfterTheLoad => {
                    "is known only after the load, and the key is needed before it: name parameters"
                }
                Returns::AfterTheCommit => {
                    "is known only when the row is already committed, and until then readers could fill the old value: write `within = tx` or `begin = self.pool`"
                }
            };
            return Err(syn::Error::new(span, format!("`<{hole}>` {why}")));
        }
        if hole.root == "self" {
            let Some(receiver) = function.receiver() else {
                return Err(syn::Error::new(
                    span,
                    format!("`<{hole}>`: `{}` has no `self`", function.name()),
                ));
            };
            let this = Ident::new("self", receiver.self_token.span.located_at(span));
            return Ok(Place { root: Root::This(this), members, is_reference: false, span });
        }
        let param = match (function.param(&hole.root), self.batch) {
            (Some(param), Some(batch)) if param.name == batch.name => {
                return Err(syn::Error::new(span, batch::whole_list(param)));
            }
            (Some(param), _) => param,
            (None, Some(_)) => return Ok(element(&hole.root, members, span)),
            (None, None) => return Err(syn::Error::new(span, self.unknown(hole))),
        };
        let mut place = whole(param, span);
        place.is_reference &= members.is_empty();
        place.members = members;
        Ok(place)
    }

    /// All of a parameter; of the keys of a batch, one.
    fn whole(&self, param: &Param, span: Span) -> Place {
        match self.batch {
            Some(batch) if batch.name == param.name => {
                element(&batch::singular(&param.name), Vec::new(), span)
            }
            _ => whole(param, span),
        }
    }

    fn unknown(&self, hole: &Hole) -> String {
        let names: Vec<String> = self.function.params.iter().map(|param| param.name.clone()).collect();
        let has =
            if names.is_empty() { "it has none".into() } else { format!("it has {}", text::list(&names)) };
        format!("`<{hole}>` is no parameter of `{}`; {has}", self.function.name())
    }
}

/// The `Self` that a typed key begins with.
fn own_type(value: &Expr) -> Option<&Path> {
    match value {
        Expr::Path(path) => {
            path.path.segments.first().filter(|first| first.ident == "Self").map(|_| &path.path)
        }
        Expr::Call(call) => own_type(&call.func),
        _ => None,
    }
}

fn whole(param: &Param, span: Span) -> Place {
    let mut ident = param.ident.clone();
    ident.set_span(ident.span().located_at(span));
    Place { root: Root::Param(ident), members: Vec::new(), is_reference: param.is_shared_reference(), span }
}

/// A place in one of the keys of a batch, which generated code holds by reference.
fn element(name: &str, members: Vec<Member>, span: Span) -> Place {
    Place { root: Root::Element(name.to_owned()), is_reference: members.is_empty(), members, span }
}

/// The names that the places of a key begin with, as far as it can be read.
pub(crate) fn roots(key: &Expr) -> Vec<String> {
    match key {
        Expr::Call(call) => call
            .args
            .iter()
            .filter_map(|arg| {
                let arg = if let Expr::Reference(reference) = arg { &reference.expr } else { arg };
                super::cache::root(arg).map(|root| root.unraw().to_string())
            })
            .collect(),
        _ => {
            let pieces = string(key, "").ok().and_then(|text| template::parse(&text.value()).ok());
            let root = |piece| match piece {
                Piece::Hole(hole) => Some(hole.root),
                Piece::Literal(_) => None,
            };
            pieces.unwrap_or_default().into_iter().filter_map(root).collect()
        }
    }
}

fn member(name: &str, span: Span) -> Member {
    match name.parse::<u32>() {
        Ok(index) => Member::Unnamed(syn::Index { index, span }),
        Err(_) => {
            let keyword = syn::parse_str::<Ident>(name).is_err();
            Member::Named(if keyword { Ident::new_raw(name, span) } else { Ident::new(name, span) })
        }
    }
}

/// The first name given twice among these.
pub(crate) fn twice(names: &[Name], mistakes: &mut Mistakes) {
    for (i, name) in names.iter().enumerate() {
        let text = name.as_written();
        if names[..i].iter().any(|earlier| earlier.as_written() == text) {
            mistakes.add(name.span(), format!("`{text}` is named twice"));
        }
    }
}

impl ToTokens for Place {
    /// The place as an expression; what was returned is written by the expansion.
    fn to_tokens(&self, tokens: &mut TokenStream) {
        if let Root::This(root) | Root::Param(root) = &self.root {
            root.to_tokens(tokens);
        }
        for member in &self.members {
            tokens.extend(quote::quote_spanned!(self.span=> .#member));
        }
    }
}
