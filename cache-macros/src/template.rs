//! Key and tag templates. Pure: text to pieces; refuses whatever could let two different argument lists write the same name.

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text that stands in the name as written.
    Literal(String),
    /// `<user.id>`: a place whose value is written.
    Hole(Hole),
}

/// A dotted place: `user`, `user.id`, `self.tenant`, `return.id`, `pair.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    /// `user`.
    pub(crate) root: String,
    /// `id`.
    pub(crate) members: Vec<String>,
}

impl std::fmt::Display for Hole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.root)?;
        self.members.iter().try_for_each(|member| write!(f, ".{member}"))
    }
}

/// Characters with a meaning in names or in stores, as the key builder escapes them in arguments.
const RESERVED: &str = "{}#~|%()[],";

/// The pieces of a template, or what is wrong with it and what would work.
pub(crate) fn parse(text: &str) -> Result<Vec<Piece>, String> {
    if text.is_empty() {
        return Err("an empty template names nothing: write for example `user:<id>`".into());
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('<') {
            let Some(end) = inside.find('>') else {
                return Err(format!("`<` is not closed in `{text}`: write `<name>`"));
            };
            pieces.push(Piece::Hole(hole(&inside[..end])?));
            rest = &inside[end + 1..];
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            pieces.push(Piece::Literal(literal(&rest[..end], text)?));
            rest = &rest[end..];
        }
    }
    separated(&pieces)?;
    Ok(pieces)
}

fn literal(part: &str, text: &str) -> Result<String, String> {
    for c in part.chars() {
        if c == '>' {
            return Err(format!("`>` without `<` in `{text}`: a placeholder is written `<name>`"));
        }
        if c.is_whitespace() || c.is_control() {
            return Err(format!(
                "a blank or control character cannot stand in `{}`: write `-` or `_`",
                text.escape_debug()
            ));
        }
        if RESERVED.contains(c) {
            let hint = match c {
                '{' | '}' => "; a placeholder is written `<name>`",
                _ => "; `:` separates, and letters, digits, `-`, `_`, `.` and `/` are free",
            };
            return Err(format!(
                "`{c}` has a meaning of its own in stored names and cannot stand in `{text}`{hint}"
            ));
        }
    }
    Ok(part.to_owned())
}

fn hole(inside: &str) -> Result<Hole, String> {
    let refuse = || {
        format!("`<{inside}>` is no placeholder: it takes a parameter, or fields of one, such as `<user.id>`")
    };
    let mut parts = inside.split('.').map(|part| part.strip_prefix("r#").unwrap_or(part));
    let root = parts.next().filter(|root| is_identifier(root)).ok_or_else(refuse)?.to_owned();
    let members: Vec<String> = parts.map(str::to_owned).collect();
    if members.iter().all(|member| is_identifier(member) || is_index(member)) {
        Ok(Hole { root, members })
    } else {
        Err(refuse())
    }
}

fn is_identifier(word: &str) -> bool {
    word != "_"
        && word.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn is_index(word: &str) -> bool {
    !word.is_empty() && word.len() < 5 && word.bytes().all(|b| b.is_ascii_digit())
}

/// An argument is escaped so that it holds no `:`; whatever else stands between two of them could be part of either.
fn separated(pieces: &[Piece]) -> Result<(), String> {
    let mut last: Option<&Hole> = None;
    let mut between = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => between.push_str(text),
            Piece::Hole(hole) => {
                if let Some(last) = last
                    && !between.contains(':')
                {
                    let pairs = if between.is_empty() {
                        "(\"1\", \"23\") and (\"12\", \"3\")".to_owned()
                    } else {
                        format!("(\"1\", \"{between}2\") and (\"1{between}\", \"2\")")
                    };
                    return Err(format!(
                        "no `:` between `<{last}>` and `<{hole}>`, so {pairs} would share an entry: write `<{last}>:<{hole}>`",
                    ));
                }
                last = Some(hole);
                between.clear();
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let show = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Hole(hole) => format!("<{hole}>"),
        };
        parse(text).unwrap().iter().map(show).collect()
    }

    #[test]
    fn literals_and_placeholders_alternate() {
        assert_eq!(pieces("user:<id>"), ["user:", "<id>"]);
        assert_eq!(pieces("<self.tenant>:user:<user.id>:x"), ["<self.tenant>", ":user:", "<user.id>", ":x"]);
        assert_eq!(pieces("users"), ["users"]);
        assert_eq!(pieces("<return.0.id>"), ["<return.0.id>"]);
    }

    #[test]
    fn a_raw_name_is_the_name() {
        let expected = Hole { root: "type".into(), members: vec!["in".into()] };
        assert_eq!(parse("<r#type.r#in>").unwrap(), [Piece::Hole(expected)]);
    }

    #[test]
    fn other_alphabets_are_welcome() {
        assert_eq!(pieces("größe:<größe>"), ["größe:", "<größe>"]);
    }

    #[test]
    fn what_is_malformed_is_quoted() {
        for (text, said) in [
            ("", "names nothing"),
            ("user:<id", "`<` is not closed in `user:<id`"),
            ("user:id>", "`>` without `<`"),
            ("user:<>", "`<>` is no placeholder"),
            ("user:<a b>", "`<a b>` is no placeholder"),
            ("user:<a.>", "`<a.>` is no placeholder"),
            ("user:<a..b>", "`<a..b>` is no placeholder"),
            ("user:<1>", "`<1>` is no placeholder"),
            ("user:<_>", "`<_>` is no placeholder"),
            ("user:<f()>", "`<f()>` is no placeholder"),
            ("user:<<id>>", "`<<id>` is no placeholder"),
            ("user <id>", "blank"),
            ("user\u{7}<id>", "control"),
            ("user:{id}", "a placeholder is written `<name>`"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(said), "{text:?}: {message}");
        }
    }

    #[test]
    fn every_reserved_character_is_refused() {
        for c in RESERVED.chars() {
            let message = parse(&format!("user{c}<id>")).unwrap_err();
            assert!(message.starts_with(&format!("`{c}`")), "{message}");
        }
    }

    #[test]
    fn two_placeholders_need_a_colon_between_them() {
        for text in ["<a><b>", "x:<a>-<b>", "x:<a>/y/<b>:<c>"] {
            assert!(parse(text).unwrap_err().contains("would share an entry: write `<a>:<b>`"), "{text}");
        }
        assert!(parse("<a>-:-<b>").is_ok());
    }
}
