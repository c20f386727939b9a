//! Tokens as text that does not depend on the compiler's spacing, lists in words, and guesses at what was meant.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// Tokens without blanks except between words: `rename_all="camelCase"`, `Vec<User>`, `dyn Any+Send`.
pub(crate) fn of(tokens: TokenStream) -> String {
    let mut out = String::new();
    write(tokens, &mut out);
    out
}

fn write(tokens: TokenStream, out: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                out.push_str(open);
                write(group.stream(), out);
                out.push_str(close);
            }
            TokenTree::Punct(punct) => out.push(punct.as_char()),
            word => {
                if out.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '"')) {
                    out.push(' ');
                }
                out.push_str(&word.to_string());
            }
        }
    }
}

/// A type's text without the paths in front of its names: `crate::model::Page<model::User>` is `Page<User>`.
pub(crate) fn without_paths(tokens: TokenStream) -> String {
    of(strip(tokens))
}

fn strip(tokens: TokenStream) -> TokenStream {
    let mut out = Vec::<TokenTree>::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Group(group) => {
                let mut stripped = proc_macro2::Group::new(group.delimiter(), strip(group.stream()));
                stripped.set_span(group.span());
                out.push(stripped.into());
            }
            TokenTree::Punct(colon)
                if colon.as_char() == ':'
                    && colon.spacing() == Spacing::Joint
                    && matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':') =>
            {
                let qualified = matches!(out.last(), Some(TokenTree::Punct(last)) if last.as_char() == '>');
                let second = tokens.next();
                if qualified {
                    out.push(token);
                    out.extend(second);
                } else if matches!(out.last(), Some(TokenTree::Ident(_)))
                    && matches!(tokens.peek(), Some(TokenTree::Ident(_)))
                {
                    out.pop();
                }
            }
            _ => out.push(token),
        }
    }
    out.into_iter().collect()
}

/// "`a`", "`a` and `b`", "`a`, `b` and `c`".
pub(crate) fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// The name that was probably meant.
pub(crate) fn nearest<'a>(typed: &str, names: &[&'a str]) -> Option<&'a str> {
    let allowed = 1 + typed.len() / 4;
    names
        .iter()
        .map(|name| (distance(typed, name), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_does_not_depend_on_spacing() {
        let spaced = "rename_all  =  \"camelCase\" , default".parse().unwrap();
        assert_eq!(of(spaced), "rename_all=\"camelCase\",default");
        assert_eq!(of("Box<dyn   Any + Send + 'static>".parse().unwrap()), "Box<dyn Any+Send+'static>");
    }

    #[test]
    fn paths_in_front_of_names_are_left_out() {
        let bare = |text: &str| without_paths(text.parse().unwrap());
        assert_eq!(bare("crate::model::Page<::app::model::User, [a::B; 3]>"), "Page<User,[B;3]>");
        assert_eq!(bare("Vec::<u8>"), "Vec<u8>");
        assert_eq!(bare("<T as a::Trait>::Item"), "<T as Trait>::Item");
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let options = ["key", "ttl", "negative_ttl", "stampede", "tags"];
        assert_eq!(nearest("tll", &options), Some("ttl"));
        assert_eq!(nearest("stampeed", &options), Some("stampede"));
        assert_eq!(nearest("negativ_tttl", &options), Some("negative_ttl"));
        assert_eq!(nearest("colour", &options), None);
    }

    #[test]
    fn lists_read_as_words() {
        let names: Vec<String> = ["a", "b", "c"].map(String::from).into();
        assert_eq!(list(&names[..0]), "");
        assert_eq!(list(&names[..1]), "`a`");
        assert_eq!(list(&names), "`a`, `b` and `c`");
    }
}
