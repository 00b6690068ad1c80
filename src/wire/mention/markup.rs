//! Takes HTML out of text: entities become characters, tags vanish, paragraphs become line ends.
//!
//! Owns the reading of markup, forgiving as browsers are: what is no tag or entity stays as it is. May not fail. Called
//! by the decoder for the text, and by redaction, which must find what markup hides and therefore asks where each
//! piece came from.

use super::map::TextFormat;

/// Appends the plain form of `text` to `out`. When `origin` is given it receives, for every byte appended, the place
/// in `text` where its character began and ended.
pub(crate) fn to_plain(
    text: &str,
    format: TextFormat,
    out: &mut String,
    mut origin: Option<&mut Vec<(u32, u32)>>,
) {
    // Where the last tag can end: without it a text full of "<" would be searched to its end at each one.
    let tags_end = text.rfind('>').unwrap_or(0);
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (length, shown) = match rest.as_bytes()[0] {
            b'&' if format != TextFormat::Plain => entity(rest),
            b'<' if format == TextFormat::Html && at < tags_end => tag(rest),
            _ => first(rest),
        };
        let before = out.len();
        match shown {
            Shown::Nothing => {}
            Shown::Char(shown) => out.push(shown),
            // One line end, however many paragraphs meet.
            Shown::LineEnd if out.is_empty() || out.ends_with('\n') => {}
            Shown::LineEnd => out.push('\n'),
        }
        if let Some(origin) = origin.as_deref_mut() {
            origin.extend(std::iter::repeat_n((at as u32, (at + length) as u32), out.len() - before));
        }
        at += length;
    }
    // The last paragraph's end is no line.
    if format == TextFormat::Html && out.ends_with('\n') && text.ends_with('>') {
        out.pop();
        if let Some(origin) = origin {
            origin.pop();
        }
    }
}

enum Shown {
    Nothing,
    Char(char),
    LineEnd,
}

fn first(rest: &str) -> (usize, Shown) {
    let char = rest.chars().next().expect("invariant: the rest is not empty");
    (char.len_utf8(), Shown::Char(char))
}

fn entity(rest: &str) -> (usize, Shown) {
    // The longest entity taken, `&#1114111;`, has ten bytes.
    let Some(end) = rest.bytes().take(12).position(|byte| byte == b';') else { return first(rest) };
    let name = &rest[1..end];
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    let char = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        "commat" => Some('@'),
        "period" => Some('.'),
        "hellip" => Some('…'),
        "rsquo" => Some('’'),
        "lsquo" => Some('‘'),
        "ldquo" => Some('“'),
        "rdquo" => Some('”'),
        "ndash" => Some('–'),
        "mdash" => Some('—'),
        "shy" => Some('\u{ad}'),
        _ => match name.strip_prefix('#') {
            Some(digits) => match digits.strip_prefix(['x', 'X']) {
                Some(digits) => number(digits, 16),
                None => number(digits, 10),
            },
            None => None,
        },
    };
    char.map_or_else(|| first(rest), |char| (end + 1, Shown::Char(char)))
}

fn tag(rest: &str) -> (usize, Shown) {
    let bytes = rest.as_bytes();
    let opens = bytes.get(1).is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!'));
    let Some(end) = bytes.iter().position(|&byte| byte == b'>').filter(|_| opens) else { return first(rest) };
    let name = rest[1..end].trim_start_matches('/');
    let name = name.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or("");
    let line = ["br", "p", "div", "li", "blockquote"].iter().any(|known| name.eq_ignore_ascii_case(known));
    (end + 1, if line { Shown::LineEnd } else { Shown::Nothing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, format: TextFormat) -> String {
        let (mut out, mut origin) = (String::new(), Vec::new());
        to_plain(text, format, &mut out, Some(&mut origin));
        assert_eq!(out.len(), origin.len());
        assert!(
            origin.is_sorted()
                && origin.iter().all(|&(start, end)| text.get(start as usize..end as usize).is_some())
        );
        out
    }

    #[test]
    fn html_reads_as_its_reader_sees_it() {
        for (html, text) in [
            ("<p>TV broken</p><p>again &amp; again<br/>really</p>", "TV broken\nagain & again\nreally"),
            (
                r#"<p><span class="h-card"><a href="https://a.b/@brand">@<span>brand</span></a></span> hi</p>"#,
                "@brand hi",
            ),
            ("1 < 2 &copyright; & done", "1 < 2 &copyright; & done"),
            ("&#64;&#x40;&#xD800;&#99999999;", "@@&#xD800;&#99999999;"),
            ("a <3 b", "a <3 b"),
            ("<p>unclosed <b", "unclosed <b"),
            ("", ""),
        ] {
            assert_eq!(plain(html, TextFormat::Html), text, "{html}");
        }
        assert_eq!(plain("a &lt;b&gt; <i>c</i>", TextFormat::Entities), "a <b> <i>c</i>");
    }
}
