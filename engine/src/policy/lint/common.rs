//! The most frequent words of eight languages: what stands in nearly every text, whatever it is about.
//!
//! Owns the table. Each line is up to forty words that lead the subtitles of OpenSubtitles.org in one language, in the order of their
//! counts, as counted by FrequencyWords (https://github.com/hermitdave/FrequencyWords, `content/2018/<language>_50k.txt`,
//! for German of 2016); clipped forms such as `l'` and `'s` are left out, since texts are cut at blanks. Subtitles are
//! spoken language, as mentions are. Called by the lints.

use crate::scan::Literal;
use crate::text::{Edges, Form, normalise_term};
use std::borrow::Cow;
use std::sync::LazyLock;

/// A language, its name in English, and its most frequent words.
pub struct Language {
    /// As fields name it.
    pub code: &'static str,
    /// As people do.
    pub name: &'static str,
    /// As texts have them in the default form.
    words: Vec<String>,
}

/// The languages of the table.
pub static LANGUAGES: LazyLock<Vec<Language>> =
    LazyLock::new(|| TABLE.lines().filter_map(Language::read).collect());

/// In each line the code and the name of a language, and its words.
const TABLE: &str = "\
    en English you i the to a it and that of is in what we me this he for my on have your do was no not be \
        are don know can with but all so just there here they like get\n\
    es Spanish de que no a la el y es en lo un por qué me una los se te con para está mi pero sí si bien eso \
        su las yo del como aquí tu al más le esto\n\
    fr French de je est pas le que la vous tu un à et il a ne les en on ça une ce pour ai des qui mais dans \
        nous elle me bien si du y suis non avec tout plus mon\n\
    de German ich sie das ist du nicht die es und der wir was zu er ein in mir mit ja den wie mich auf dass \
        eine aber so hat hier haben sind für von dich war wenn ihr habe nein an\n\
    pt Portuguese que a o não de é e um para eu uma está com se do por os ele mas em bem isso da como sim as \
        no mais na meu aqui me muito foi ela isto estou fazer vamos já\n\
    it Italian e non che di la il un a per è in una mi sono ho si ha ma lo cosa con no le ti se da i come io \
        ci hai questo bene qui sei del tu solo mio al\n\
    tr Turkish bir bu ne ve için mi de o ben çok ama evet var da mı değil şey hayır daha sen kadar bana gibi yok \
        bunu onu iyi tamam beni seni her benim sana ki ya neden zaman sadece senin burada\n\
    ar Arabic لا من في أن هذا على ما أنا هل و يا ذلك لقد لم ماذا كان هنا إلى أنت هو هذه عن نعم ان هناك كل حسناً ليس \
        كنت فقط شيء الآن مع الذي لكن أجل لك يجب لن كيف";

impl Language {
    fn read(line: &'static str) -> Option<Language> {
        let mut words = line.split_whitespace();
        let (code, name) = (words.next()?, words.next()?);
        Some(Language {
            code,
            name,
            words: words.map(|word| normalise_term(word, Form::default())).collect(),
        })
    }

    /// Whether the literal is found in nearly every text of this language. Accents and capitals do not make a word rare:
    /// `QUE` is none, whatever its rule distinguishes.
    pub fn is_common(&self, literal: &Literal) -> bool {
        let text = match literal.form == Form::default() {
            true => Cow::Borrowed(literal.text.as_str()),
            false => Cow::Owned(normalise_term(&literal.text, Form::default())),
        };
        let mut words = self.words.iter();
        match literal.edges {
            Edges::Whole => words.any(|word| *word == text),
            Edges::Prefix => words.any(|word| word.starts_with(&*text)),
            Edges::Suffix => words.any(|word| word.ends_with(&*text)),
            Edges::Anywhere => words.any(|word| word.contains(&*text)),
        }
    }
}
