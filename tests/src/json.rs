//! One JSON object on one line. Refuses nesting, and texts that would need escapes: all of them are our own.

use std::fmt::{Display, Write};

/// An object in the making.
#[derive(Debug, Default)]
pub(crate) struct Object(String);

impl Object {
    fn add(&mut self, name: &str, value: impl Display) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        write!(self.0, "\"{name}\":{value}").expect("a string takes all text");
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        debug_assert!(!text.contains(['"', '\\', '\n']));
        self.add(name, format_args!("\"{text}\""));
    }

    pub(crate) fn number(&mut self, name: &str, number: impl Display) {
        self.add(name, number);
    }

    /// The value, or `null`.
    pub(crate) fn perhaps(&mut self, name: &str, value: Option<impl Display>) {
        match value {
            Some(value) => self.add(name, value),
            None => self.add(name, "null"),
        }
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
