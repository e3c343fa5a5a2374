//! One name for the spellings of a class: `trim` takes white space and the ways to write an accent as one, `fold` also
//! upper and lower case and the compatible forms of Unicode (full width letters, ligatures).
//!
//! Spellings that become one take the name that most training cells have (of equals the first by alphabet).

use super::choice::Spelling;
use arrow_array::StringArray;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
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

/// A target's texts with one spelling for each class, the most frequent one, and how many cells had another and how many spellings were given up.
pub fn unified(texts: &StringArray, spelling: Spelling) -> (StringArray, u64, u64) {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    texts.iter().flatten().for_each(|text| *counts.entry(text).or_default() += 1);
    let merged = merge(&counts, spelling);
    let names: Vec<Arc<str>> = merged.counts.keys().map(|name| Arc::from(*name)).collect();
    (respelled(texts, &names, spelling).0, merged.cells, merged.spellings)
}

/// Texts in the spelling of the known class that they are, and how many were spelled otherwise; others stay as they are.
pub fn respelled(texts: &StringArray, classes: &[Arc<str>], spelling: Spelling) -> (StringArray, u64) {
    let known: HashMap<Cow<'_, str>, &str> = classes.iter().map(|class| (key(class, spelling), &**class)).collect();
    let mut cells = 0;
    let mut one = |text: &str| match known.get(&key(text, spelling)) {
        Some(class) if **class != *text => {
            cells += 1;
            (*class).to_owned()
        }
        _ => text.to_owned(),
    };
    let texts = texts.iter().map(|text| text.map(&mut one)).collect();
    (texts, cells)
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

    #[test]
    fn a_target_takes_one_spelling_and_later_rows_follow_it() {
        let cells = |array: &StringArray| array.iter().map(|cell| cell.unwrap_or("?").to_owned()).collect::<Vec<_>>().join("|");
        let texts = StringArray::from(vec![Some("Yes"), Some("YES"), None, Some("no"), Some("yes "), Some("Yes")]);
        let (unified, cells_changed, spellings) = unified(&texts, Spelling::Fold);
        assert_eq!((cells(&unified).as_str(), cells_changed, spellings), ("Yes|Yes|?|no|Yes|Yes", 2, 2));
        let later = StringArray::from(vec!["yEs", "NO", "perhaps", "Yes"]);
        let (later, changed) = respelled(&later, &["Yes".into(), "no".into()], Spelling::Fold);
        assert_eq!((cells(&later).as_str(), changed), ("Yes|no|perhaps|Yes", 2));
    }
}
