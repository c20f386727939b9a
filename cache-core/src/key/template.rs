//! Key templates that are read at run time. Pure: text to pieces; refuses what an attribute refuses, and with it whatever could
//! let two different argument lists write the same name.

/// A piece of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text that stands in the name as written.
    Literal(&'static str),
    /// `<id>`: the next argument.
    Hole,
}

/// Characters with a meaning in names or in stores.
const RESERVED: &str = "{}#~|%()[],";

/// The pieces of a template, or what is wrong with it.
pub(crate) fn parse(text: &'static str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let (mut rest, mut between) = (text, None::<String>);
    if text.is_empty() {
        return Err("an empty key names nothing: write for example `user:<id>`".into());
    }
    while !rest.is_empty() {
        let Some(inside) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            let part = &rest[..end];
            if let Some(c) = part.chars().find(|&c| c == '>' || RESERVED.contains(c)) {
                return Err(format!(
                    "`{c}` cannot stand in the key `{text}`: a placeholder is written `<name>`, `:` separates, and letters, digits, \
                     `-`, `_`, `.` and `/` are free"
                ));
            }
            if part.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(format!(
                    "a blank or control character cannot stand in the key `{}`: write `-` or `_`",
                    text.escape_debug()
                ));
            }
            if let Some(between) = &mut between {
                between.push_str(part);
            }
            pieces.push(Piece::Literal(part));
            rest = &rest[end..];
            continue;
        };
        let Some(end) = inside.find('>') else {
            return Err(format!("`<` is not closed in the key `{text}`: write `<name>`"));
        };
        let name = &inside[..end];
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') || !name.chars().all(fits) {
            return Err(format!("`<{name}>` in the key `{text}` is no placeholder: write `<id>`"));
        }
        if between.is_some_and(|between| !between.contains(':')) {
            return Err(format!(
                "no `:` between `<{name}>` and the placeholder before it in the key `{text}`, so different arguments would \
                 share an entry"
            ));
        }
        pieces.push(Piece::Hole);
        between = Some(String::new());
        rest = &inside[end + 1..];
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_placeholders_alternate() {
        use Piece::{Hole, Literal};
        assert_eq!(
            parse("page:<org>:<n>:x"),
            Ok(vec![Literal("page:"), Hole, Literal(":"), Hole, Literal(":x")])
        );
        assert_eq!(parse("users"), Ok(vec![Literal("users")]));
    }

    #[test]
    fn what_is_malformed_is_quoted_and_told_how_to_write() {
        for (text, said) in [
            ("", "names nothing"),
            ("user:<id", "is not closed"),
            ("user:id>", "`>` cannot stand in the key `user:id>`"),
            ("user:{id}", "a placeholder is written `<name>`"),
            ("user:<>", "`<>` in the key `user:<>` is no placeholder"),
            ("user:<1>", "is no placeholder"),
            ("user:<a b>", "is no placeholder"),
            ("user <id>", "blank"),
            ("<a><b>", "no `:` between"),
            ("x:<a>-<b>", "no `:` between `<b>`"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(said), "{text:?}: {message}");
        }
    }
}
