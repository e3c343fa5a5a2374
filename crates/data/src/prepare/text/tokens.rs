//! What a text is made of, as scikit-learn's vectorisers cut it: words, runs of words, or runs of characters.
//!
//! Differs: marks that combine with letters belong to words, as Unicode's Alphabetic property has it.

use super::super::choice::Analyzer;

/// Calls for every token of a text.
pub(crate) fn each(text: &str, analyzer: Analyzer, [least, most]: [usize; 2], mut call: impl FnMut(&str)) {
    let lowercase = text.to_lowercase();
    match analyzer {
        Analyzer::Word if most == 1 => words(&lowercase).for_each(call),
        Analyzer::Word => {
            let words: Vec<&str> = words(&lowercase).collect();
            let runs = (least..=most).flat_map(|size| words.windows(size));
            runs.for_each(|run| call(&run.join(" ")));
        }
        Analyzer::Char => {
            let spaced = spaced(&lowercase);
            let starts = starts(&spaced);
            (least..=most).for_each(|size| starts.windows(size + 1).for_each(|run| call(&spaced[run[0]..run[size]])));
        }
        Analyzer::CharWb => lowercase.split_whitespace().for_each(|word| {
            let padded = format!(" {word} ");
            let starts = starts(&padded);
            for size in least..=most {
                if starts.len() <= size + 1 {
                    // A word that is no longer counts once, with all that it has, and longer runs add nothing.
                    call(&padded);
                    break;
                }
                starts.windows(size + 1).for_each(|run| call(&padded[run[0]..run[size]]));
            }
        }),
    }
}

/// The words of a text: runs of letters, digits and underscores of at least two characters.
pub(super) fn words(lowercase: &str) -> impl Iterator<Item = &str> {
    lowercase.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| word.chars().nth(1).is_some())
}

/// Where characters begin, and the end.
fn starts(text: &str) -> Vec<usize> {
    text.char_indices().map(|(start, _)| start).chain([text.len()]).collect()
}

/// One space for two or more characters of white space.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().map(Some).chain([None]) {
        match c {
            Some(c) if c.is_whitespace() => run.push(c),
            other => {
                spaced.push_str(if run.chars().nth(1).is_some() { " " } else { &run });
                run.clear();
                spaced.extend(other);
            }
        }
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str, analyzer: Analyzer, range: [usize; 2]) -> Vec<String> {
        let mut tokens = Vec::new();
        each(text, analyzer, range, |token| tokens.push(token.to_owned()));
        tokens
    }

    #[test]
    fn texts_are_cut_into_words_and_characters() {
        for (text, analyzer, range, expected) in [
            ("it's a TEST-case", Analyzer::Word, [1, 1], vec!["it", "test", "case"]),
            ("¡Año_2024! x 42 ß", Analyzer::Word, [1, 1], vec!["año_2024", "42"]),
            ("one two three", Analyzer::Word, [1, 2], vec!["one", "two", "three", "one two", "two three"]),
            ("a  bé", Analyzer::Char, [2, 3], vec!["a ", " b", "bé", "a b", " bé"]),
            ("to bé", Analyzer::CharWb, [3, 3], vec![" to", "to ", " bé", "bé "]),
            ("a", Analyzer::CharWb, [2, 4], vec![" a", "a ", " a "]),
            ("", Analyzer::Word, [1, 1], vec![]),
        ] {
            assert_eq!(tokens(text, analyzer, range), expected, "{text}");
        }
    }
}
