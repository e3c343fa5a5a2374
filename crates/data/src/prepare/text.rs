//! Short texts as TF-IDF vectors, as scikit-learn's `TfidfVectorizer` at its defaults: word counts times
//! `ln((1 + texts) / (1 + texts with the word)) + 1`, each vector of length 1.
//!
//! Differs: where there are more words than features, those in most texts are kept (ties alphabetically), and marks that
//! combine with letters belong to words, as Unicode's Alphabetic property has it.

use super::category::vectors;
use super::settings::Choice;
use arrow_array::{Array, ArrayRef, StringArray};
use cupola_task::Value;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// What is done to one column of texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextStep {
    /// In alphabetical order.
    words: Vec<Arc<str>>,
    /// How much each word weighs.
    idf: Vec<f64>,
    features_max: usize,
    #[serde(skip)]
    codes: HashMap<Arc<str>, u32>,
}

/// The words of a text: runs of letters, digits and underscores of at least two characters.
fn words(lowercase: &str) -> impl Iterator<Item = &str> {
    lowercase.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| word.chars().nth(1).is_some())
}

impl TextStep {
    /// Learns the words of training texts.
    pub fn fit(array: &StringArray, choice: &Choice) -> TextStep {
        let mut texts_with: HashMap<String, u64> = HashMap::new();
        for text in array.iter().flatten() {
            let lowercase = text.to_lowercase();
            let mut own: Vec<&str> = words(&lowercase).collect();
            own.sort_unstable();
            own.dedup();
            for word in own {
                match texts_with.get_mut(word) {
                    Some(count) => *count += 1,
                    None => _ = texts_with.insert(word.to_owned(), 1),
                }
            }
        }
        let mut kept: Vec<(String, u64)> = texts_with.into_iter().collect();
        kept.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        kept.truncate(choice.max_features);
        kept.sort_unstable();
        let texts = (array.len() - array.null_count()) as f64;
        let idf = kept.iter().map(|(_, count)| ((1.0 + texts) / (1.0 + *count as f64)).ln() + 1.0).collect();
        let words: Vec<Arc<str>> = kept.into_iter().map(|(word, _)| word.into()).collect();
        TextStep { codes: super::classes::codes(&words), words, idf, features_max: choice.max_features }
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self) -> bool {
        self.codes = super::classes::codes(&self.words);
        super::classes::is_sound(&self.words)
            && self.words.len() == self.idf.len()
            && self.words.len() <= 65_536
            && self.idf.iter().all(|idf| idf.is_finite() && *idf > 0.0 && *idf < 1e3)
    }

    /// How many words it weighs; a column without words gives no prepared column.
    pub fn width(&self) -> usize {
        self.words.len()
    }

    /// The vectors; all zeros where the text is missing or has no known word.
    pub fn apply(&self, array: &StringArray) -> Vec<ArrayRef> {
        let width = self.words.len();
        if width == 0 {
            return vec![];
        }
        let mut values = vec![0f32; array.len() * width];
        let mut counts: Vec<(u32, f64)> = Vec::new();
        for (text, row) in array.iter().zip(values.chunks_exact_mut(width)) {
            self.weigh(text.unwrap_or_default(), &mut counts);
            let length = counts.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
            counts.iter().for_each(|&(word, weight)| row[word as usize] = (weight / length) as f32);
        }
        vec![vectors(width, values)]
    }

    /// Known words of a text and their weights, in order.
    fn weigh(&self, text: &str, counts: &mut Vec<(u32, f64)>) {
        let lowercase = text.to_lowercase();
        let mut codes: Vec<u32> = words(&lowercase).filter_map(|word| self.codes.get(word).copied()).collect();
        codes.sort_unstable();
        counts.clear();
        counts.extend(codes.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as f64 * self.idf[run[0] as usize])));
    }

    /// What it does, as a sentence's end.
    pub fn describe(&self) -> String {
        match self.words.len() {
            0 => "left out: training texts have no word".into(),
            count => format!("TF-IDF over {count} words; missing texts become all zeros"),
        }
    }

    /// The settings that lead here without `auto`.
    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        vec![("max_features", Value::Integer(self.features_max as i64))]
    }

    /// Names of the vector's elements.
    pub fn elements(&self) -> &[Arc<str>] {
        &self.words
    }
}

#[cfg(test)]
impl TextStep {
    /// How much each word weighs.
    pub fn idf(&self) -> &[f64] {
        &self.idf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_two_or_more_letters_or_digits() {
        for (text, expected) in
            [("it's a TEST-case", vec!["it", "test", "case"]), ("¡Año_2024! x 42 ß", vec!["año_2024", "42"]), ("", vec![])]
        {
            assert_eq!(words(&text.to_lowercase()).collect::<Vec<_>>(), expected);
        }
    }
}
