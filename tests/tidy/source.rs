//! A Rust file as the house rules see it: code without comments and strings, production without tests.
//!
//! Owns a scanner that knows just enough of the language (comments, strings, raw strings, characters against
//! lifetimes, braces) and no more. Used by `tests/tidy.rs` alone.

use std::path::{Path, PathBuf};

/// One file of the project.
pub struct Source {
    /// Its path from the project's root, with slashes.
    pub path: String,
    /// Its text.
    pub text: String,
    /// The text with every byte of comments and of the inside of strings replaced by a space.
    pub code: String,
    /// Where production code ends: at the first `#[cfg(test)]` module, or at 0 in a file of tests.
    pub production: usize,
}

impl Source {
    /// The file `text` at `path`.
    pub fn new(path: &str, text: &str) -> Source {
        let code = blank(text);
        let name = path.rsplit('/').next().unwrap_or(path);
        let of_tests = path.split('/').any(|part| matches!(part, "tests" | "benches" | "fuzz"))
            || name == "tests.rs"
            || name.ends_with("_tests.rs");
        let production = if of_tests { 0 } else { test_module(&code).unwrap_or(code.len()) };
        Source { path: path.to_owned(), text: text.to_owned(), code, production }
    }

    /// Code that ships, comments and strings blanked.
    pub fn production(&self) -> &str {
        &self.code[..self.production]
    }

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.text[..at].bytes().filter(|&byte| byte == b'\n').count() + 1
    }

    /// Lines of code that ships, comments counted too.
    pub fn production_lines(&self) -> usize {
        self.text[..self.production].lines().count()
    }

    /// Name, first line and length in lines of every function that ships and has a body.
    pub fn functions(&self) -> Vec<(String, usize, usize)> {
        let code = self.production();
        let mut found = Vec::new();
        for at in words(code, "fn") {
            let name: String = code[at + 2..].trim_start().chars().take_while(|c| is_word(*c)).collect();
            // `fn(u32)` is a type.
            if name.is_empty() {
                continue;
            }
            if let Some(end) = body_end(code, at) {
                let first = self.line(at);
                found.push((name, first, self.line(end) - first + 1));
            }
        }
        found
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `code` as a whole word.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !code[..at].chars().next_back().is_some_and(is_word)
            && !code[at + word.len()..].chars().next().is_some_and(is_word)
    })
}

/// Where the first `#[cfg(test)]` followed by a module begins.
fn test_module(code: &str) -> Option<usize> {
    code.match_indices("#[cfg(test)]").map(|(at, _)| at).find(|&at| {
        let mut rest = code[at + "#[cfg(test)]".len()..].trim_start();
        while let Some(after) = rest.strip_prefix("#[").and_then(|attribute| attribute.split_once(']')) {
            rest = after.1.trim_start();
        }
        rest.trim_start_matches("pub ").starts_with("mod ")
    })
}

/// The closing brace of the function whose `fn` stands at `at`; `None` when it has no body.
fn body_end(code: &str, at: usize) -> Option<usize> {
    let (mut nested, mut braces, mut opened) = (0_i32, 0_i32, false);
    for (index, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' if !opened => nested += 1,
            b')' | b']' if !opened => nested -= 1,
            b';' if !opened && nested == 0 => return None,
            b'{' if nested == 0 || opened => (braces, opened) = (braces + 1, true),
            b'}' if opened => {
                braces -= 1;
                if braces == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

/// `text` with comments and the inside of strings and characters blanked; every byte keeps its place.
pub fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n"),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' | b'b' | b'c' if !at.checked_sub(1).is_some_and(|before| is_word(bytes[before] as char)) => {
                raw_end(bytes, at).unwrap_or(at)
            }
            b'\'' => character_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        if end > at {
            let inside = if bytes[at] == b'/' { at..end } else { at + 1..end - 1 };
            out[inside].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8(out).expect("blanking replaces whole characters")
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> usize {
    bytes[from..]
        .windows(what.len())
        .position(|window| window == what)
        .map_or(bytes.len(), |found| from + found)
}

fn comment_end(bytes: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if bytes[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of `r"…"`, `r#"…"#`, `br"…"`, `cr"…"` at `from`.
fn raw_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from + usize::from(matches!(bytes[from], b'b' | b'c'));
    at = (bytes.get(at) == Some(&b'r')).then_some(at + 1)?;
    let hashes = bytes[at..].iter().take_while(|&&byte| byte == b'#').count();
    at += hashes;
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    Some((find(bytes, at + 1, &close) + close.len()).min(bytes.len()))
}

/// The end of a character at `from`; `None` when the quote begins a lifetime.
fn character_end(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.get(from + 1) == Some(&b'\\') {
        return Some((find(bytes, from + 3, b"'") + 1).min(bytes.len()));
    }
    // A character is at most four bytes; a lifetime has no closing quote right behind its first character.
    let rest = std::str::from_utf8(&bytes[from + 1..(from + 5).min(bytes.len())]);
    let width = match rest {
        Ok(rest) => rest.chars().next()?.len_utf8(),
        Err(error) if error.valid_up_to() > 0 => {
            let valid = &bytes[from + 1..from + 1 + error.valid_up_to()];
            std::str::from_utf8(valid).ok()?.chars().next()?.len_utf8()
        }
        Err(_) => return None,
    };
    (bytes.get(from + 1 + width) == Some(&b'\'')).then_some(from + width + 2)
}

/// Every file below `folder` whose name `wanted` accepts; what is built, hidden or foreign is left out.
pub fn files(root: &Path, wanted: impl Fn(&str) -> bool + Copy) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).expect("a folder of the project can be read");
        for entry in entries.map(|entry| entry.expect("an entry can be read")) {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().expect("an entry has a type");
            if kind.is_dir() {
                let foreign = name == "target" || name == "node_modules";
                if name == ".ci" || !(foreign || name.starts_with('.')) {
                    folders.push(path);
                }
            } else if kind.is_file() && name != ".git" && wanted(&name) {
                let relative = path.strip_prefix(root).expect("it lies below the root");
                found.push((relative.to_string_lossy().replace('\\', "/"), path));
            }
        }
    }
    found.sort();
    found
}
