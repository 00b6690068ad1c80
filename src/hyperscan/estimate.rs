//! How much memory the matcher of a policy takes, told before it is built.
//!
//! Owns the bytes that libhs and the reference were measured to take for their literals; the word matcher's are known
//! exactly. May not build a matcher: `check` asks here first, so that a policy for which there is no memory is refused and
//! not tried. Called by `check`.

use super::HYPERSCAN_LITERALS_MAX;
use triage_engine::scan::{Literal, WordMatcher};
use triage_engine::text::Form;

/// What the matcher of these literals would take, in bytes, and its name.
#[must_use]
pub fn estimate(literals: &[Literal]) -> (usize, &'static str) {
    let mut name = "words";
    let bytes = WordMatcher::bytes_of(literals, |others| {
        let is_library = others.len() <= HYPERSCAN_LITERALS_MAX;
        name = if is_library { "words and hyperscan" } else { "words and reference" };
        let of_form = |form: Form| {
            let chosen = others.iter().filter(|literal| literal.form == form);
            let (count, bytes) =
                chosen.fold((0, 0), |(count, bytes), literal| (count + 1, bytes + literal.text.len()));
            match (count, is_library) {
                (0, _) => 0,
                (_, true) => library_bytes(count),
                (_, false) => reference_bytes(count, bytes),
            }
        };
        Form::ALL.into_iter().map(of_form).sum()
    });
    (bytes, name)
}

/// What libhs 5.4.0 was measured to take for words of scripts without blanks and emoji: it has other engines for one
/// literal, for few, for up to 96, and for more.
fn library_bytes(count: usize) -> usize {
    match count {
        1 => 1_100,
        2..=8 => 4_900,
        9..=96 => 9_200 + 65 * count,
        _ => 58_000 + 158 * count,
    }
}

/// What the automaton of aho-corasick 1.1 was measured to take: most bytes are a state of their own.
fn reference_bytes(count: usize, bytes: usize) -> usize {
    count * size_of::<u32>() + bytes * 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use triage_engine::text::Accents;

    /// Words of scripts without blanks, and emoji: what people look for beside words that stand apart.
    fn signs(count: usize) -> Vec<Literal> {
        let mut state = 7_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let literals = (0..count).map(|number| {
            let length = [1, 2, 2, 2, 3, 3, 4, 4, 5, 6][next(10) as usize];
            let mut character = |_| match number % 5 {
                0 => char::from_u32(0x1f300 + next(0x2ff) as u32),
                1 => char::from_u32(0x30a1 + next(80) as u32),
                _ => char::from_u32(0x4e00 + next(3_000) as u32),
            };
            let text: String = (0..length).filter_map(&mut character).collect();
            let accents = if number % 7 == 0 { Accents::Exact } else { Accents::Ignore };
            Literal::of_term(&text, accents)
        });
        let mut literals: Vec<Literal> = literals.flatten().collect();
        literals.sort();
        literals.dedup();
        literals
    }

    fn words(count: usize) -> Vec<Literal> {
        let literals = (0..count).map(|number| {
            let text = match number % 3 {
                0 => format!("word{number}"),
                1 => format!("phrase {number} of words"),
                _ => format!("@account{number}"),
            };
            let accents = if number % 7 == 0 { Accents::Exact } else { Accents::Ignore };
            Literal::of_term(&text, accents)
        });
        literals.flatten().collect()
    }

    #[test]
    fn the_estimate_is_within_a_fifth_of_what_is_built() {
        for count in [0, 1, 10, 100, 1_000, 10_000, 39_000, 60_000] {
            for literals in [signs(count), words(count), [signs(count / 3), words(count)].concat()] {
                let built = super::super::build(&literals);
                let (bytes, name) = estimate(&literals);
                let count = literals.len();
                assert_eq!(name, built.name(), "{count} literals");
                let (told, is) = (bytes as f64, built.bytes() as f64);
                println!("{count} literals: estimated {told}, built {is}");
                assert!((told - is).abs() <= is / 5.0, "{count} literals: estimated {told}, built {is}");
            }
        }
    }
}
