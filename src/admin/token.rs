//! The secret that a change over TCP must name.
//!
//! Owns its file (read once, at the start; not readable by everybody) and the comparison, which takes the same time
//! whatever the guess. May not be shown: it has no `Debug` of its content. Called by `socket` and `guard`, and by the
//! command line before a start.

use crate::error::Error;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use subtle::ConstantTimeEq;

/// A shorter one could be guessed.
pub(super) const TOKEN_BYTES_MIN: usize = 16;
const TOKEN_BYTES_MAX: u64 = 4096;

/// A secret, kept as its hash: what is compared has one length.
#[derive(Clone)]
pub(super) struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Reads the token of this file, without the white space around it.
    ///
    /// # Errors
    /// 78 when it cannot be read, is readable by everybody, or is too short or no visible ASCII.
    pub(super) fn read(path: &Path) -> Result<Token, Error> {
        let shown = path.display();
        let wrong = |what: String| Error::configuration(format!("`admin.token_file` `{shown}` {what}"));
        let metadata = fs::metadata(path).map_err(|why| wrong(format!("cannot be read: {why}")))?;
        if metadata.permissions().mode() & 0o007 != 0 {
            return Err(wrong("may be used by everybody on this machine".to_owned())
                .hint(format!("chmod 0600 {shown}; under systemd a credential is safest")));
        }
        if metadata.len() > TOKEN_BYTES_MAX {
            return Err(wrong(format!("is longer than {TOKEN_BYTES_MAX} bytes")));
        }
        let text = fs::read_to_string(path).map_err(|why| wrong(format!("cannot be read: {why}")))?;
        let token = text.trim();
        if token.len() < TOKEN_BYTES_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong(format!("holds no token: {TOKEN_BYTES_MIN} or more visible ASCII characters"))
                .hint(format!("make one: openssl rand -hex 32 > {shown}")));
        }
        Ok(Token::of(token.as_bytes()))
    }

    pub(super) fn of(token: &[u8]) -> Token {
        Token(Sha256::digest(token).into())
    }

    /// Whether the value of an Authorization header names it.
    pub(super) fn is_named_by(&self, authorization: &[u8]) -> bool {
        let Some((scheme, guess)) = authorization.split_at_checked("Bearer ".len()) else { return false };
        let Token(guess) = Token::of(guess);
        scheme.eq_ignore_ascii_case(b"Bearer ") & bool::from(self.0.ct_eq(&guess))
    }
}

/// Whether the server could start with the token of this file; the token itself is forgotten.
///
/// # Errors
/// As [`Token::read`], which the server calls.
pub fn check(path: &Path) -> Result<(), Error> {
    Token::read(path).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::of(b"0123456789abcdef");
        assert!(token.is_named_by(b"Bearer 0123456789abcdef"));
        assert!(token.is_named_by(b"bearer 0123456789abcdef"));
        for guess in [
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef ",
            "Bearer ",
            "Bearer",
            "",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
            "Bearer  0123456789abcdef",
        ] {
            assert!(!token.is_named_by(guess.as_bytes()), "{guess:?}");
        }
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn a_token_that_all_may_read_or_that_is_short_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        let write = |text: &str, mode: u32| {
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        };
        assert_eq!(Token::read(&path).expect_err("there is none").exit_code(), 78);
        write("0123456789abcdef\n", 0o644);
        assert!(Token::read(&path).expect_err("open").to_string().contains("everybody"));
        write("short\n", 0o600);
        assert!(Token::read(&path).expect_err("short").to_string().contains("holds no token"));
        write("0123456789abcdef\n", 0o640);
        assert!(Token::read(&path).expect("right").is_named_by(b"Bearer 0123456789abcdef"));
    }
}
