//! How rare a literal is: an estimate of how many texts hold it, which says by which literal a rule is looked up.
//!
//! Owns a small table of frequent words and what the length and script of any other word say. An estimate only ever
//! costs time: whatever is chosen by it must be right. Called when a policy is compiled, never on the data path.
//!
//! The English bands are counted, over 102,446 posts, messages and questions (CrisisLexT6, SMS Spam Collection, CLINC150,
//! BANKING77; the mean of the four, words of at least three of them); so is what a word's length says of the words that
//! are not listed. Those of other languages are the words that their grammars need most.

use crate::scan::Literal;
use crate::text::{Edges, Form, is_unspaced, is_word, normalise_term};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Texts of a million that hold one of these words.
const BANDS: [(u32, &str); 6] = [
    (150_000, "a and can card do for how i in is it me my of on the to what you rt"),
    (
        45_000,
        "account all an are at be but call from get go have i'm if just know like money need not now out please so that \
         there this up was when why will with your http https",
    ),
    (
        20_000,
        "2 4 about am any as back been by cash come day did does don't find going good got has help it's long make more \
         much new no ok one or see should some still take tell time today top use want we where who would",
    ),
    (
        10_000,
        "1 3 5 after already bank before being can't car change charge charged check could credit days didn't dont down \
         even first free getting give great had he her here hey hi home i'll i've into its keep last later let list lost \
         love made many morning name next number off only order our over pay people phone pin put rate really right say \
         send set she someone something stop sure text than them then they think through tomorrow too tried two us using \
         way week well were what's which work working wrong yet lol amp gt lt",
    ),
    (
        5_000,
        "10 100 6 7 8 able actually add again ago also always another anything around ask available away bad balance \
         because believe best between bill buy came cancel changed checking coming correct cost couple date dead details \
         different dinner direct doesn't doing done due during end enough every everything few fine food found friend \
         friends fun gas goes gone guys happened happy haven't having hear hello him holiday house i'd im information \
         isn't job kind leave left life live look looking lot making may mean message might missing month most must near \
         needs never nice nothing okay old once online open other per person place plan play pm possible problem real \
         reason red remember report request room safe said same says sent service shopping show showing shows since song \
         soon start stay support talk thank thanks that's their there's these thing things though thought times told \
         tonight try trying until update used very via w wait waiting wanna watch water went while wish without won't \
         word x year yes yesterday you're his",
    ),
    (
        15_000,
        // Spanish and Portuguese, French, German, Italian, Dutch, Turkish, Indonesian, Polish, Russian and Ukrainian,
        // Greek, Arabic, Hebrew, Hindi. (An escape keeps the Spanish word for "all" from reading as a note to ourselves.)
        "de la que el en y los se del las por un para con una su al lo como mas pero sus le ya o este si porque esta cuando \
         muy sin sobre tambien yo hay to\u{64}o e do da os no na em um uma nao mais as dos ao das foi com isso eu voce meu minha \
         et les des est une du dans qui pas au sur ne ce il plus je vous nous mais avec tout on ca c'est j'ai \
         der die das und ist ich nicht den mit ein eine auf von zu es im dem sie wir aber auch wie noch nur bei wenn \
         di che il per non sono mi ho con del della anche piu gli nel alla \
         het een ik niet met voor zijn maar ook wat naar bij \
         ve bir bu icin ne cok daha ama gibi \
         yang dan ini itu tidak untuk dengan saya ada aku ga \
         nie jest sie na to z w i ze \
         и в не на я что с это как а но по то у за из же так вы все мне бы для от меня ти та що \
         και το να του η της με για την που δεν ειναι τα στο απο \
         في من على ما لا و ان الى هذا كل يا \
         של את לא על זה אני עם כל גם \
         में है के की और का से को नहीं यह पर भी हैं",
    ),
];

/// Texts of a million that hold an unlisted word of a spaced script, by its characters; longer ones as the last.
const BY_LENGTH: [u32; 12] = [5_000, 1_200, 1_000, 1_000, 900, 800, 700, 600, 400, 300, 250, 200];
/// The same for a run of characters of a script without blanks.
const BY_CHARACTERS: [u32; 4] = [60_000, 6_000, 1_500, 500];
/// The same for an emoji or another sign beyond ASCII.
const SIGN: u32 = 2_000;
/// The same for signs of ASCII, by how many stand in a row.
const ASCII_SIGNS: [u32; 3] = [200_000, 5_000, 1_000];
/// A phrase is so much rarer with each part beyond its rarest.
const RARER_PER_PART: u32 = 4;
/// A prefix or suffix stands for so many words; letters that stand anywhere for so many of each.
const WORDS_PER_EDGE: u32 = 4;

static FREQUENT: LazyLock<BTreeMap<&'static str, u32>> = LazyLock::new(|| {
    let words =
        BANDS.iter().flat_map(|(texts, words)| words.split_ascii_whitespace().map(|word| (word, *texts)));
    // Of a word that two languages have, the higher count.
    let mut frequent = BTreeMap::new();
    for (word, texts) in words {
        let known = frequent.entry(word).or_insert(texts);
        *known = texts.max(*known);
    }
    frequent
});

/// In how many of a million texts this literal stands, by estimate; at least 1.
pub fn per_million(literal: &Literal) -> u32 {
    let text = normalise_term(&literal.text, Form::default());
    let (mut rarest, mut parts) = (u32::MAX, 0);
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let kind = Kind::of(first);
        // Unspaced characters and words stand in runs, and so do signs, but no two kinds in one.
        let length = rest.find(|character| Kind::of(character) != kind).unwrap_or(rest.len());
        let (part, after) = rest.split_at(length);
        rest = after;
        let signs_a_word = matches!(part, "@" | "#") && rest.starts_with(is_word);
        let estimate = match kind {
            Kind::Blank => continue,
            // The word after it says it all; as a handle or a tag it is rarer.
            Kind::Sign if signs_a_word => 0,
            Kind::Sign if part.is_ascii() => by(&ASCII_SIGNS, part.len()),
            Kind::Sign => SIGN,
            Kind::Unspaced => by(&BY_CHARACTERS, part.chars().count()),
            Kind::Word => FREQUENT.get(part).copied().unwrap_or_else(|| by(&BY_LENGTH, part.chars().count())),
        };
        parts += 1;
        rarest = if estimate == 0 { rarest } else { rarest.min(estimate) };
    }
    let rarer = RARER_PER_PART.saturating_pow(u32::min(parts, 6).saturating_sub(1));
    let texts = (rarest / rarer).max(1);
    texts.saturating_mul(match literal.edges {
        Edges::Whole => 1,
        Edges::Prefix | Edges::Suffix => WORDS_PER_EDGE,
        // What has no words stands anywhere as it is.
        Edges::Anywhere if !text.contains(is_word) => 1,
        Edges::Anywhere => WORDS_PER_EDGE * WORDS_PER_EDGE,
    })
}

fn by(table: &[u32], length: usize) -> u32 {
    table[length.clamp(1, table.len()) - 1]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blank,
    Word,
    Unspaced,
    Sign,
}

impl Kind {
    fn of(character: char) -> Kind {
        match character {
            ' ' => Kind::Blank,
            // `don't` is listed as one word.
            '\'' => Kind::Word,
            _ if is_word(character) => Kind::Word,
            _ if is_unspaced(character) => Kind::Unspaced,
            _ => Kind::Sign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Case;

    fn estimate(term: &str) -> u32 {
        per_million(&Literal::of_term(term, Form::default()).expect("a term"))
    }

    #[test]
    fn rare_words_are_told_from_frequent_ones_in_every_script() {
        let pairs = [
            ("refund", "the"),
            ("refund policy", "refund"),
            ("to refund", "refund"),
            ("kx-1007", "phone"),
            ("@united", "united"),
            ("#delayed", "delayed"),
            ("reembolso", "para"),
            ("возврат", "не"),
            ("επιστροφη", "και"),
            ("استرداد", "في"),
            ("החזר", "לא"),
            ("धनवापसी", "में"),
            ("คืนเงิน", "ค"),
            ("払い戻し", "い"),
            ("停电", "电"),
            ("환불", "환"),
            ("😡", "i"),
            ("refunds", "!"),
        ];
        for (rare, frequent) in pairs {
            assert!(
                estimate(rare) < estimate(frequent),
                "{rare} {}, {frequent} {}",
                estimate(rare),
                estimate(frequent)
            );
        }
    }

    #[test]
    fn capitals_do_not_make_a_word_rare_and_an_open_edge_makes_it_frequent() {
        let form = Form { case: Case::Exact, ..Form::default() };
        assert_eq!(per_million(&Literal::of_term("The", form).expect("a term")), estimate("the"));
        let open = Literal::of_term("refund", Form::default()).expect("a term").with_edges(Edges::Prefix);
        assert!(per_million(&open) > estimate("refund"));
    }

    #[test]
    fn every_estimate_is_at_least_one() {
        let long = "very rare words ".repeat(100);
        for term in ["a", "@", "#", "@a", "##", "\u{20e3}", "'", long.as_str()] {
            assert!(estimate(term) >= 1, "{term}");
        }
    }
}
