//! Cuts Rust source into the few tokens that matter for paths. Comments, strings and numbers vanish. Pure.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    /// `::`
    Colons,
    Sign(char),
}

impl Token {
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }

    pub(super) fn is_sign(&self, sign: char) -> bool {
        *self == Self::Sign(sign)
    }
}

/// The tokens with the line each stands on, from 1.
pub(super) fn tokens(text: &str) -> Vec<(Token, usize)> {
    let mut reader = Reader { rest: text, line: 1 };
    let mut found = Vec::new();
    while let Some(first) = reader.rest.chars().next() {
        let line = reader.line;
        if reader.skip_comment() || reader.skip_string() || reader.skip_quote() {
            continue;
        }
        if first.is_alphabetic() || first == '_' {
            let word = reader.take_while(|c| c.is_alphanumeric() || c == '_');
            found.push((Token::Word(word.to_owned()), line));
        } else if first.is_ascii_digit() {
            reader.take_while(|c| c.is_alphanumeric() || c == '_');
        } else if reader.rest.starts_with("::") {
            reader.advance(2);
            found.push((Token::Colons, line));
        } else {
            reader.advance(first.len_utf8());
            if !first.is_whitespace() {
                found.push((Token::Sign(first), line));
            }
        }
    }
    found
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Reader<'t> {
    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let taken = &self.rest[..end];
        self.advance(end);
        taken
    }

    fn skip_comment(&mut self) -> bool {
        if self.rest.starts_with("//") {
            self.take_while(|c| c != '\n');
            return true;
        }
        if !self.rest.starts_with("/*") {
            return false;
        }
        let mut depth = 0;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.advance(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.advance(2);
            } else {
                let Some(next) = self.rest.chars().next() else { return true };
                self.advance(next.len_utf8());
            }
            if depth == 0 {
                return true;
            }
        }
    }

    /// `"…"`, `b"…"`, `c"…"`, `r#"…"#` and their mixtures.
    fn skip_string(&mut self) -> bool {
        let prefix = self.rest.len() - self.rest.trim_start_matches(['b', 'c', 'r']).len();
        let is_raw = self.rest[..prefix].contains('r');
        let after = &self.rest[prefix..];
        let hashes = if is_raw { after.len() - after.trim_start_matches('#').len() } else { 0 };
        if prefix > 2 || !after[hashes..].starts_with('"') {
            return false;
        }
        self.advance(prefix + hashes + 1);
        let close = format!("\"{}", "#".repeat(hashes));
        while !self.rest.is_empty() && !self.rest.starts_with(&close) {
            let escape = if !is_raw && self.rest.starts_with('\\') { 1 } else { 0 };
            let next = self.rest[escape..].chars().next().map_or(0, char::len_utf8);
            self.advance(escape + next);
        }
        self.advance(close.len().min(self.rest.len()));
        true
    }

    /// A character literal, or the quote and name of a lifetime.
    fn skip_quote(&mut self) -> bool {
        let Some(after) = self.rest.strip_prefix('\'') else { return false };
        if let Some(escaped) = after.strip_prefix('\\') {
            let skipped = escaped.chars().next().map_or(0, char::len_utf8);
            let close = escaped[skipped..].find('\'').map_or(escaped.len(), |at| skipped + at + 1);
            self.advance(2 + close);
            return true;
        }
        let mut chars = after.chars();
        let first = chars.next().map_or(0, char::len_utf8);
        if chars.next() == Some('\'') {
            self.advance(1 + first + 1);
        } else {
            self.advance(1);
            self.take_while(|c| c.is_alphanumeric() || c == '_');
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text)
            .into_iter()
            .map(|(token, _)| match token {
                Token::Word(word) => word,
                Token::Colons => "::".to_owned(),
                Token::Sign(sign) => sign.to_string(),
            })
            .collect()
    }

    #[test]
    fn comments_strings_and_characters_vanish() {
        assert_eq!(words("a /* b /* c */ d */ e // f\n g"), ["a", "e", "g"]);
        assert_eq!(words(r###"a "x\"y" b r#"c " d"# e b"f" br"\" g"###), ["a", "b", "e", "g"]);
        assert_eq!(words(r"a 'x' '\'' '\u{41}' '{' b"), ["a", "b"]);
        assert_eq!(words("fn f<'a>(x: &'a str)"), ["fn", "f", "<", ">", "(", "x", ":", "&", "str", ")"]);
        assert_eq!(words("1..2 0x_ff"), [".", "."]);
    }

    #[test]
    fn paths_come_out_whole_and_with_their_line() {
        assert_eq!(words("crate::a"), ["crate", "::", "a"]);
        let found = tokens("\"two\nlines\"\n/* and\none */ here");
        assert_eq!(found, [(Token::Word("here".into()), 4)]);
    }
}
