//! One name for the spellings of a class: `trim` takes white space and the ways to write an accent as one, `fold` also
//! upper and lower case and the compatible forms of Unicode (full width letters, ligatures).
//!
//! Spellings that become one take the name that most training cells have (of equals the first by alphabet).

use super::choice::Spelling;
use std::borrow::Cow;
use std::collections::HashMap;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

/// What all spellings of a class have in common.
pub(crate) fn key(text: &str, spelling: Spelling) -> Cow<'_, str> {
    match spelling {
        Spelling::Keep => Cow::Borrowed(text),
        Spelling::Trim => match is_nfc_quick(text.chars()) {
            IsNormalized::Yes => spaced(Cow::Borrowed(text)),
            _ => spaced(Cow::Owned(text.nfc().collect())),
        },
        Spelling::Fold => {
            let lower = text.to_lowercase();
            match is_nfkc_quick(lower.chars()) {
                IsNormalized::Yes => spaced(Cow::Owned(lower)),
                // Compatible forms may hold capitals, as the sign for "telephone" does.
                _ => spaced(Cow::Owned(lower.nfkc().collect::<String>().to_lowercase())),
            }
        }
    }
}

/// The text with one space where there is white space, and none at its ends.
fn spaced(text: Cow<'_, str>) -> Cow<'_, str> {
    let mut before = ' ';
    let is_neat = text.chars().all(|c| {
        let is_fine = !c.is_whitespace() || (c == ' ' && before != ' ');
        before = c;
        is_fine
    }) && (text.is_empty() || before != ' ');
    if is_neat { text } else { Cow::Owned(text.split_whitespace().collect::<Vec<_>>().join(" ")) }
}

/// Counts of classes under one name for all spellings, and how many cells had another.
pub(crate) fn merge<'a>(counts: &HashMap<&'a str, u64>, spelling: Spelling) -> Merged<'a> {
    let mut forms: HashMap<String, Vec<(&'a str, u64)>> = HashMap::new();
    counts.iter().for_each(|(name, count)| forms.entry(key(name, spelling).into_owned()).or_default().push((name, *count)));
    let mut merged = Merged { counts: HashMap::new(), cells: 0, spellings: 0 };
    if spelling != Spelling::Keep {
        // Cells of nothing but white space are missing.
        forms.remove("");
    }
    for mut forms in forms.into_values() {
        forms.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let total: u64 = forms.iter().map(|(_, count)| count).sum();
        let (name, own) = forms[0];
        merged.counts.insert(name, total);
        merged.cells += total - own;
        merged.spellings += forms.len() as u64 - 1;
    }
    merged
}

/// Classes whose spellings were merged.
pub(crate) struct Merged<'a> {
    /// Training cells of each class, under its name.
    pub counts: HashMap<&'a str, u64>,
    /// Cells that were spelled otherwise.
    pub cells: u64,
    /// Spellings that were given up.
    pub spellings: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_class_have_one_key() {
        for (spelling, same, other) in [
            (Spelling::Trim, vec!["New York", " New  York", "New\u{a0}York\t"], vec!["new york", "NewYork"]),
            (Spelling::Trim, vec!["café", "cafe\u{301}", " café "], vec!["cafe", "Café"]),
            (Spelling::Fold, vec!["CAFÉ", "cafe\u{301}", "Ｃａｆé ", "café"], vec!["cafe"]),
            (Spelling::Fold, vec!["ﬁne", "FINE", "Fine"], vec!["f ine"]),
            (Spelling::Keep, vec!["a"], vec!["a ", "A"]),
            (Spelling::Trim, vec!["", " ", "\n"], vec!["x"]),
        ] {
            assert!(same.iter().all(|text| key(text, spelling) == key(same[0], spelling)), "{same:?} {spelling:?}");
            assert!(other.iter().all(|text| key(text, spelling) != key(same[0], spelling)), "{other:?} {spelling:?}");
        }
    }

    #[test]
    fn the_most_frequent_spelling_names_the_class() {
        let counts = HashMap::from([("Paris", 3), ("paris", 2), ("PARIS ", 1), ("Rome", 1), ("rome", 1)]);
        let merged = merge(&counts, Spelling::Fold);
        assert_eq!((merged.counts, merged.cells, merged.spellings), (HashMap::from([("Paris", 6), ("Rome", 2)]), 4, 3));
    }
}
