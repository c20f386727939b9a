//! What an attribute leaves behind: a description of the annotated function, free of types. Refuses to hold anything that
//! depends on a type parameter, since inside generic code a static is one for all instantiations.

use std::fmt;

use crate::policy::{OnUnfenced, Overrides};

/// Where an attribute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// `module::path::function`.
    pub function: &'static str,
    /// Source file, as the compiler names it.
    pub file: &'static str,
    /// Line of the attribute.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.function, self.file, self.line)
    }
}

/// A `#[cached]` function, or a reader.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadSite {
    /// Where it stands.
    pub at: Location,
    /// Key template as written: `user:<id>`.
    pub template: &'static str,
    /// Templates of the declared tags.
    pub tags: &'static [&'static str],
    /// The value's type as written, without `Result`, `Option` and `Arc`.
    pub value: &'static str,
    /// The attribute's `version`, 0 without one: raising it makes all earlier entries misses.
    pub version: u32,
    /// What the attribute says about its policy.
    pub options: Overrides,
    /// The profile that says the rest.
    pub profile: Option<&'static str>,
    /// Whether the function can be called again by itself, in the background.
    pub background: bool,
    /// Whether its error can say that a load took too long.
    pub times_out: bool,
    /// Whether its entries go into an L1, where the cache has one.
    pub l1: bool,
    /// Whether the value says if it is stored, or for how long: then only a load stores it, and a write does not.
    pub judges: bool,
}

impl ReadSite {
    /// A function at this place, with this template, value and options, and nothing else.
    #[must_use]
    pub const fn new(at: Location, template: &'static str, value: &'static str, options: Overrides) -> Self {
        Self {
            at,
            template,
            tags: &[],
            value,
            version: 0,
            options,
            profile: None,
            background: false,
            times_out: false,
            l1: true,
            judges: false,
        }
    }
}

/// How a write makes its subjects known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// In the caller's transaction (`within`).
    Within,
    /// In a transaction the attribute opens (`begin`).
    Begin,
    /// Around a body that commits by itself: a writer that dies is only known by its fence's age.
    Around,
}

/// An `#[invalidates]`, `#[writes_through]` or `#[writes_around]` function.
#[derive(Clone, Copy, Debug)]
pub struct WriteSite {
    /// Where it stands.
    pub at: Location,
    /// Key templates as written.
    pub keys: &'static [&'static str],
    /// Tag templates as written.
    pub tags: &'static [&'static str],
    /// How its subjects become known.
    pub coverage: Coverage,
    /// What the attribute says about a store that cannot be reached; nothing: as the cache does.
    pub on_unfenced: Option<OnUnfenced>,
}

/// A `#[writes_behind]` function.
#[derive(Clone, Copy, Debug)]
pub struct QueueSite {
    /// Where it stands.
    pub at: Location,
    /// Key template as written.
    pub template: &'static str,
    /// The queued value's type as written.
    pub value: &'static str,
}

/// A write one of whose tags may stand for many of its rows (`bulk = …`).
#[derive(Clone, Copy, Debug)]
pub struct BulkSite {
    /// Where it stands.
    pub at: Location,
    /// The template of the tag.
    pub tag: &'static str,
    /// Key templates of the rows, as written.
    pub keys: &'static [&'static str],
}

/// A registered site; attributes submit one each, and the catalogue collects them.
#[derive(Clone, Copy, Debug)]
pub enum Site {
    /// A read.
    Read(&'static ReadSite),
    /// A write.
    Write(&'static WriteSite),
    /// A write that is queued.
    Queue(&'static QueueSite),
    /// What a write does when it changes many rows.
    Bulk(&'static BulkSite),
}

inventory::collect!(Site);

/// A template with its placeholders blanked: `user:<id>` and `user:<return.id>` are both `user:<>`. Two templates name the
/// same subjects if and only if their shapes are equal.
#[must_use]
pub fn shape(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut inside = false;
    for c in template.chars() {
        match c {
            '<' => {
                inside = true;
                out.push('<');
            }
            '>' => {
                inside = false;
                out.push('>');
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}
