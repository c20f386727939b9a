//! Finds the paths by which a file names other modules of its crate. Skips what only tests compile. Pure.

use super::tokens::{Token, tokens};

/// A path from the crate's root, as far as it is written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
    /// `crate::name!`: an exported macro lives at the root wherever it is defined.
    pub(super) is_macro: bool,
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) imports: Vec<Import>,
    /// Modules in files of their own that only tests compile.
    pub(super) test_modules: Vec<Vec<String>>,
}

pub(super) fn scan(module: &[String], text: &str) -> Scan {
    let tokens = tokens(text);
    let mut scanner =
        Scanner { tokens: &tokens, at: 0, module: module.to_vec(), inner: Vec::new(), scan: Scan::default() };
    scanner.file();
    scanner.scan
}

struct Scanner<'t> {
    tokens: &'t [(Token, usize)],
    at: usize,
    module: Vec<String>,
    /// For each open brace, whether it opens a module.
    inner: Vec<bool>,
    scan: Scan,
}

const ITEMS: &[&str] = &[
    "mod",
    "use",
    "fn",
    "struct",
    "enum",
    "union",
    "impl",
    "trait",
    "const",
    "static",
    "type",
    "unsafe",
    "async",
    "extern",
    "macro_rules",
    "let",
    "pub",
];

impl Scanner<'_> {
    fn file(&mut self) {
        while let Some(token) = self.token(0) {
            match token {
                Token::Sign('#') => self.attribute(),
                Token::Sign('{') => {
                    self.inner.push(false);
                    self.at += 1;
                }
                Token::Sign('}') => {
                    if self.inner.pop() == Some(true) {
                        self.module.pop();
                    }
                    self.at += 1;
                }
                Token::Word(word) if word == "mod" => self.inline_module(),
                Token::Word(word) if matches!(word.as_str(), "crate" | "super" | "self") => self.path(),
                _ => self.at += 1,
            }
        }
    }

    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    fn is_sign(&self, ahead: usize, sign: char) -> bool {
        self.token(ahead).is_some_and(|token| token.is_sign(sign))
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        match self.token(ahead) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn inline_module(&mut self) {
        if let (Some(name), true) = (self.word(1).map(str::to_owned), self.is_sign(2, '{')) {
            self.module.push(name);
            self.inner.push(true);
            self.at += 3;
        } else {
            self.at += 1;
        }
    }

    fn attribute(&mut self) {
        let is_inner = self.is_sign(1, '!');
        let open = if is_inner { 2 } else { 1 };
        if !self.is_sign(open, '[') {
            self.at += 1;
            return;
        }
        let words: Vec<Option<&str>> = (open + 1..open + 6).map(|ahead| self.word(ahead)).collect();
        let tests_only = words[..3] == [Some("cfg"), None, Some("test")] && self.is_sign(open + 4, ')')
            || words[..3] == [Some("cfg"), None, Some("all")] && words[4] == Some("test");
        if !tests_only {
            // Step inside: a path within an attribute is a path.
            self.at += open + 1;
            return;
        }
        if is_inner {
            self.scan.test_modules.push(self.module.clone());
        }
        self.at += open;
        self.skip_group();
        if !is_inner {
            self.skip_item();
        }
    }

    /// Skips what one attribute stands on, remembering a module in a file of its own.
    fn skip_item(&mut self) {
        while self.is_sign(0, '#') {
            self.at += 1;
            self.skip_group();
        }
        let is_item = self.word(0).is_some_and(|word| ITEMS.contains(&word));
        while let Some(token) = self.token(0) {
            match token {
                Token::Word(word) if word == "mod" && self.is_sign(2, ';') => {
                    let name = self.word(1).map(str::to_owned);
                    self.scan.test_modules.push(self.module.iter().cloned().chain(name).collect());
                    self.at += 3;
                    return;
                }
                Token::Sign('(' | '[') => self.skip_group(),
                Token::Sign('{') => return self.skip_group(),
                Token::Sign('}' | ')' | ']') => return,
                Token::Sign(';') => {
                    self.at += 1;
                    return;
                }
                Token::Sign(',') if !is_item => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
    }

    /// Skips a bracketed group, from its opening bracket.
    fn skip_group(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.token(0) {
            match token {
                Token::Sign('(' | '[' | '{') => depth += 1,
                Token::Sign(')' | ']' | '}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    fn path(&mut self) {
        let continues = self.token(1) == Some(&Token::Colons);
        let is_tail = self.at > 0 && self.tokens[self.at - 1].0 == Token::Colons;
        if !continues || is_tail || self.is_visibility() {
            self.at += 1;
            return;
        }
        let mut path = match self.word(0) {
            Some("crate") => Vec::new(),
            Some("super") => self.module[..self.module.len().saturating_sub(1)].to_vec(),
            _ => self.module.clone(),
        };
        self.at += 2;
        while self.word(0) == Some("super") && self.token(1) == Some(&Token::Colons) {
            path.pop();
            self.at += 2;
        }
        self.tree(&path);
    }

    /// `pub(in crate::engine)` names a module and imports nothing.
    fn is_visibility(&self) -> bool {
        self.at >= 2 && self.tokens[self.at - 1].0.is_word("in") && self.tokens[self.at - 2].0.is_sign('(')
    }

    /// What follows `prefix::`.
    fn tree(&mut self, prefix: &[String]) {
        let line = self.tokens.get(self.at).map_or(0, |&(_, line)| line);
        if self.is_sign(0, '{') {
            self.at += 1;
            while self.at < self.tokens.len() && !self.is_sign(0, '}') {
                let before = self.at;
                self.tree(prefix);
                // `as name`, commas, and whatever else stands between two branches.
                while self.word(0) == Some("as") || self.is_sign(0, ',') {
                    self.at += if self.is_sign(0, ',') { 1 } else { 2 };
                }
                if self.at == before {
                    self.at += 1;
                }
            }
            self.at += 1;
            return;
        }
        let Some(name) = self.word(0).map(str::to_owned) else {
            let path = prefix.to_vec();
            self.scan.imports.push(Import { path, line, is_macro: false });
            self.at += usize::from(self.is_sign(0, '*'));
            return;
        };
        let path: Vec<String> =
            if name == "self" { prefix.to_vec() } else { prefix.iter().cloned().chain([name]).collect() };
        self.at += 1;
        if self.token(0) == Some(&Token::Colons) && !self.is_sign(1, '<') {
            self.at += 1;
            return self.tree(&path);
        }
        let is_macro = self.is_sign(0, '!') && !self.is_sign(1, '=');
        self.scan.imports.push(Import { path, line, is_macro });
    }
}
