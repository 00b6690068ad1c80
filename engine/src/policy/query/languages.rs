//! The two-letter codes of languages, and the codes of countries that are taken for them.
//!
//! Owns the list of ISO 639-1, with the codes that were withdrawn and that producers still write. Codes of three letters
//! are too many to be listed, and any is taken. Called by `fields`, and by `shape` to spell a query.

/// ISO 639-1, and the withdrawn `bh`, `in`, `iw`, `ji`, `jw`, `mo` and `sh`.
/// Source: <https://www.loc.gov/standards/iso639-2/php/code_list.php>; CLDR names the same ones.
const CODES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de \
    dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik in \
    io is it iu iw ja ji jv jw ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml \
    mn mo mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg \
    sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh \
    yi yo za zh zu";
/// Countries whose code is not that of their language. The last two are languages too, whose names are given.
const COUNTRIES: [(&str, &str, &str); 20] = [
    ("al", "sq", ""),
    ("at", "de", ""),
    ("cn", "zh", ""),
    ("cz", "cs", ""),
    ("dk", "da", ""),
    ("gb", "en", ""),
    ("gr", "el", ""),
    ("il", "he", ""),
    ("ir", "fa", ""),
    ("jp", "ja", ""),
    ("kz", "kk", ""),
    ("mx", "es", ""),
    ("ph", "tl", ""),
    ("pk", "ur", ""),
    ("rs", "sr", ""),
    ("ua", "uk", ""),
    ("us", "en", ""),
    ("vn", "vi", ""),
    ("kr", "ko", "Kanuri"),
    ("se", "sv", "Northern Sami"),
];

/// What is wrong with a language that is probably none, and what to write; none for a code that is known, in any case.
pub fn doubtful(tag: &str) -> Option<(String, String)> {
    let code = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let exact = format!("for a producer that writes just that, lang:\"{tag}\"");
    // `se-NO` says which of the two it is.
    let country = COUNTRIES
        .iter()
        .find(|(country, _, _)| *country == code && (!is_code(&code) || tag.eq_ignore_ascii_case(&code)));
    match country {
        Some((_, language, "")) => {
            let what = format!("`{tag}` is a country, no language");
            Some((what, format!("write lang:{language}; {exact}")))
        }
        Some((_, language, other)) => {
            let what = format!("`{tag}` is the language {other}, and a country that speaks another");
            Some((what, format!("write lang:{language} for the country's; for {other}, lang:\"{tag}\"")))
        }
        None if code.len() == 2 && !is_code(&code) => {
            let what = format!("there is no language `{code}` of two letters");
            Some((what, format!("languages are named as in ISO 639-1, such as `en`; {exact}")))
        }
        None => None,
    }
}

fn is_code(code: &str) -> bool {
    CODES.split(' ').any(|known| known == code)
}
