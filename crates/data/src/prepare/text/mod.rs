//! Texts as vectors: counts of words or of runs of words or characters, weighed by TF-IDF as scikit-learn's
//! `TfidfVectorizer` does (`ln((1 + texts) / (1 + texts with the word)) + 1`), counts alone, counts hashed to a fixed number
//! of elements, or the mean of the words' vectors.
//!
//! Differs: where there are more tokens than features, those in most texts are kept (ties alphabetically).

mod tokens;
mod vectors;

use super::category::vectors as column;
use super::choice::{Analyzer, Choice, Frequency, Norm, TextEncode};
use super::hashing;
use arrow_array::{Array, ArrayRef, StringArray};
use cupola_task::{Error, Needs, Result, Value};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The longest run of words or characters.
pub(crate) const RUN_MAX: i64 = 16;
/// Words that `auto` weighs for trees, and at most for what takes numbers only, and how many cells of these there may be.
const WORDS_NATIVE: usize = 256;
const WORDS_DENSE: usize = 4096;
const CELLS_MAX: usize = 64_000_000;
/// No vector is wider.
const FEATURES_MAX: usize = 65_536;
/// The vectors of no more words are kept: those in most training texts.
const VECTORS_MAX: usize = 20_000;

/// What is done to one column of texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextStep {
    /// Tokens in alphabetical order.
    words: Vec<Arc<str>>,
    /// How much each word weighs.
    idf: Vec<f64>,
    features_max: usize,
    /// How tokens are cut and weighed.
    #[serde(default, skip_serializing_if = "How::is_plain")]
    how: How,
    /// The words' vectors, one after another, and how long each is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vectors: Option<(usize, Vec<f32>)>,
    #[serde(skip)]
    codes: HashMap<Arc<str>, u32>,
    /// Names of elements that are no words.
    #[serde(skip)]
    names: Arc<[Arc<str>]>,
}

/// How tokens are cut and weighed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct How {
    pub encode: TextEncode,
    pub analyzer: Analyzer,
    /// The shortest and the longest run.
    pub ngrams: [usize; 2],
    pub sublinear: bool,
    pub norm: Norm,
    /// In how many training texts a token must be at least and at most.
    pub texts: [Option<Frequency>; 2],
    /// To how many elements tokens are hashed.
    pub n_features: usize,
}

impl Default for How {
    fn default() -> How {
        How {
            encode: TextEncode::Tfidf,
            analyzer: Analyzer::Word,
            ngrams: [1, 1],
            sublinear: false,
            norm: Norm::L2,
            texts: [None, None],
            n_features: 0,
        }
    }
}

impl How {
    fn is_plain(&self) -> bool {
        *self == How::default()
    }

    fn is_sound(&self) -> bool {
        let [least, most] = self.ngrams;
        let counts_are_positive = !self.sublinear || self.encode != TextEncode::Hash;
        (1..=most).contains(&least) && most <= RUN_MAX as usize && self.n_features <= FEATURES_MAX && counts_are_positive
    }
}

/// How many words `auto` weighs: trees look at every word in each split and want the most frequent; what multiplies numbers profits from many, as far as their cells go into memory.
fn words_max(needs: Needs, rows: usize) -> usize {
    match needs {
        Needs::Dense => (CELLS_MAX / rows.max(1)).clamp(WORDS_NATIVE, WORDS_DENSE),
        _ => WORDS_NATIVE,
    }
}

impl TextStep {
    /// Learns the tokens of training texts.
    ///
    /// # Errors
    /// When settings contradict each other, or the file of vectors cannot be read.
    pub fn fit(array: &StringArray, choice: &Choice) -> Result<TextStep> {
        let how = choice.text.clone();
        check(&how, choice)?;
        let features_max = choice.max_features.unwrap_or_else(|| words_max(choice.needs, array.len()));
        let mut step =
            TextStep { words: vec![], idf: vec![], features_max, vectors: None, codes: HashMap::new(), names: Arc::from([]), how };
        match step.how.encode {
            TextEncode::Hash => {}
            TextEncode::Vectors => step.learn_vectors(array, choice)?,
            TextEncode::Tfidf | TextEncode::Count => step.learn_words(array),
        }
        step.open();
        Ok(step)
    }

    fn learn_words(&mut self, array: &StringArray) {
        let texts = (array.len() - array.null_count()) as f64;
        let [least, most] = self.how.texts.map(|bound| bound.map(|bound| bound.of(texts)));
        let mut kept = frequencies(array, &self.how);
        kept.retain(|(_, count)| least.is_none_or(|least| *count as f64 >= least) && most.is_none_or(|most| *count as f64 <= most));
        kept.truncate(self.features_max);
        kept.sort_unstable();
        let weight = |count: u64| match self.how.encode {
            TextEncode::Count => 1.0,
            _ => ((1.0 + texts) / (1.0 + count as f64)).ln() + 1.0,
        };
        self.idf = kept.iter().map(|(_, count)| weight(*count)).collect();
        self.words = kept.into_iter().map(|(word, _)| word.into()).collect();
    }

    fn learn_vectors(&mut self, array: &StringArray, choice: &Choice) -> Result<()> {
        let Some(path) = &choice.vectors else {
            return Err(Error::setting(choice.key("vectors"), "none", "a file of words and their vectors, for text=vectors"));
        };
        let counted = frequencies(array, &How::default());
        let wanted: HashSet<&str> = counted.iter().map(|(word, _)| word.as_str()).collect();
        let (width, found) = vectors::read(path, &wanted)?;
        let mut known: Vec<&str> = counted.iter().map(|(word, _)| word.as_str()).filter(|word| found.contains_key(*word)).collect();
        known.truncate(VECTORS_MAX);
        known.sort_unstable();
        if known.is_empty() {
            let error = Error::input(path, format!("no vector for any of {} words of {}", counted.len(), choice.name), "some");
            return Err(error.with_hint("are its words of the same language?"));
        }
        self.idf = vec![1.0; known.len()];
        self.vectors = Some((width, known.iter().flat_map(|word| found[*word].iter().copied()).collect()));
        self.words = known.into_iter().map(Arc::from).collect();
        Ok(())
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self) -> bool {
        self.codes = super::classes::codes(&self.words);
        let is_sound = super::classes::is_sound(&self.words)
            && self.how.is_sound()
            && self.words.len() == self.idf.len()
            && self.words.len() <= FEATURES_MAX
            && self.idf.iter().all(|idf| idf.is_finite() && *idf > 0.0 && *idf < 1e3)
            && match (&self.vectors, self.how.encode) {
                (Some((width, values)), TextEncode::Vectors) => {
                    (1..=vectors::WIDTH_MAX).contains(width)
                        && values.len() == self.words.len() * width
                        && values.iter().all(|value| value.is_finite())
                }
                (None, encode) => encode != TextEncode::Vectors,
                (Some(_), _) => false,
            };
        if is_sound && matches!(self.how.encode, TextEncode::Hash | TextEncode::Vectors) {
            self.names = hashing::names(self.width());
        }
        is_sound
    }

    /// How wide its vectors are; a column without words gives no prepared column.
    pub fn width(&self) -> usize {
        match (&self.vectors, self.how.encode) {
            (Some((width, _)), _) => *width,
            (None, TextEncode::Hash) => self.how.n_features,
            (None, _) => self.words.len(),
        }
    }

    /// The vectors; all zeros where the text is missing or has no known word.
    pub fn apply(&self, array: &StringArray) -> Vec<ArrayRef> {
        let width = self.width();
        if width == 0 {
            return vec![];
        }
        let mut values = vec![0f32; array.len() * width];
        let mut counts: Vec<(u32, f64)> = Vec::new();
        for (text, row) in array.iter().zip(values.chunks_exact_mut(width)) {
            let text = text.unwrap_or_default();
            match &self.vectors {
                Some((_, vectors)) => self.mean(text, vectors, row),
                None => {
                    self.weigh(text, &mut counts);
                    let size = self.size(&counts);
                    counts.iter().for_each(|&(word, weight)| row[word as usize] = (weight / size) as f32);
                }
            }
        }
        vec![column(width, values)]
    }

    /// What weights are divided by.
    fn size(&self, counts: &[(u32, f64)]) -> f64 {
        match self.how.norm {
            Norm::L2 => counts.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt(),
            Norm::L1 => counts.iter().map(|(_, weight)| weight.abs()).sum(),
            Norm::None => 1.0,
        }
    }

    /// Known tokens of a text, or the elements they are hashed to, and their weights, in order.
    fn weigh(&self, text: &str, counts: &mut Vec<(u32, f64)>) {
        let mut codes: Vec<(u32, f64)> = Vec::new();
        tokens::each(text, self.how.analyzer, self.how.ngrams, |token| match self.how.encode {
            TextEncode::Hash => {
                let (place, sign) = hashing::place(token, self.how.n_features);
                codes.push((place as u32, sign));
            }
            _ => codes.extend(self.codes.get(token).map(|&code| (code, 1.0))),
        });
        codes.sort_unstable_by_key(|(code, _)| *code);
        counts.clear();
        let weight = |run: &[(u32, f64)]| {
            let count: f64 = run.iter().map(|(_, sign)| sign).sum();
            let count = if self.how.sublinear { 1.0 + count.ln() } else { count };
            (run[0].0, count * self.idf.get(run[0].0 as usize).copied().unwrap_or(1.0))
        };
        // Hashed tokens of opposite signs leave nothing, which must not be divided by nothing.
        counts.extend(codes.chunk_by(|a, b| a.0 == b.0).map(weight).filter(|(_, weight)| *weight != 0.0));
    }

    /// The mean of the known words' vectors.
    fn mean(&self, text: &str, vectors: &[f32], row: &mut [f32]) {
        let mut sums = vec![0f64; row.len()];
        let mut count = 0.0;
        tokens::each(text, Analyzer::Word, [1, 1], |word| {
            if let Some(&code) = self.codes.get(word) {
                let vector = &vectors[code as usize * row.len()..][..row.len()];
                sums.iter_mut().zip(vector).for_each(|(sum, value)| *sum += f64::from(*value));
                count += 1.0;
            }
        });
        if count > 0.0 {
            row.iter_mut().zip(sums).for_each(|(cell, sum)| *cell = (sum / count) as f32);
        }
    }

    /// What it does, as a sentence's end.
    pub fn describe(&self) -> String {
        let what = match (self.how.analyzer, self.how.ngrams) {
            (Analyzer::Word, [1, 1]) => "words".to_owned(),
            (Analyzer::Word, [least, most]) => format!("runs of {least} to {most} words"),
            (Analyzer::Char, [least, most]) => format!("runs of {least} to {most} characters"),
            (Analyzer::CharWb, [least, most]) => format!("runs of {least} to {most} characters within words"),
        };
        match (self.how.encode, self.words.len()) {
            (TextEncode::Hash, _) => format!("{what} hashed to {} elements; missing texts become all zeros", self.how.n_features),
            (_, 0) => "left out: training texts have no word".into(),
            (TextEncode::Vectors, count) => {
                format!("the mean of the vectors of {count} words, {} numbers each; texts without any become all zeros", self.width())
            }
            (TextEncode::Count, count) => format!("counts of {count} {what}; missing texts become all zeros"),
            (TextEncode::Tfidf, count) => format!("TF-IDF over {count} {what}; missing texts become all zeros"),
        }
    }

    /// The settings that lead here without `auto`. The file of vectors is named by the recipe alone.
    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        let (how, plain) = (&self.how, How::default());
        let word = |word: &str| Value::Text(word.into());
        let mut settings = vec![("max_features", Value::Integer(self.features_max as i64))];
        let mut say = |is_said: bool, name, value| settings.extend(is_said.then_some((name, value)));
        say(how.encode != plain.encode, "text", word(how.encode.word()));
        say(how.analyzer != plain.analyzer, "analyzer", word(how.analyzer.word()));
        let ngrams = Value::List(how.ngrams.iter().map(|size| Value::Integer(*size as i64)).collect());
        say(how.ngrams != plain.ngrams, "ngram_range", ngrams);
        say(how.sublinear, "sublinear_tf", Value::Flag(true));
        say(how.norm != plain.norm && how.encode != TextEncode::Count, "norm", word(how.norm.word()));
        say(how.encode == TextEncode::Hash, "n_features", Value::Integer(how.n_features as i64));
        for (name, bound) in ["min_df", "max_df"].into_iter().zip(how.texts) {
            settings.extend(bound.map(|bound| (name, bound.value())));
        }
        settings
    }

    /// Names of the vector's elements.
    pub fn elements(&self) -> &[Arc<str>] {
        match self.how.encode {
            TextEncode::Hash | TextEncode::Vectors => &self.names,
            TextEncode::Tfidf | TextEncode::Count => &self.words,
        }
    }
}

fn check(how: &How, choice: &Choice) -> Result<()> {
    let [least, most] = how.ngrams;
    if !(1..=most).contains(&least) {
        let found = format!("[{least}, {most}]");
        return Err(Error::setting(choice.key("ngram_range"), found, "the shortest run and the longest, as in [1, 2]"));
    }
    if how.sublinear && how.encode == TextEncode::Hash {
        let wanted = "false with text=hash, whose counts may be negative";
        return Err(Error::setting(choice.key("sublinear_tf"), "true", wanted));
    }
    Ok(())
}

/// Tokens and in how many texts they are: those in most first, of equals by alphabet.
fn frequencies(array: &StringArray, how: &How) -> Vec<(String, u64)> {
    let mut texts_with: HashMap<String, u64> = HashMap::new();
    for text in array.iter().flatten() {
        let mut own: HashSet<String> = HashSet::new();
        tokens::each(text, how.analyzer, how.ngrams, |token| {
            if !own.contains(token) {
                own.insert(token.to_owned());
            }
        });
        own.into_iter().for_each(|token| *texts_with.entry(token).or_default() += 1);
    }
    let mut all: Vec<(String, u64)> = texts_with.into_iter().collect();
    all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all
}

#[cfg(test)]
impl TextStep {
    /// How much each word weighs.
    pub fn idf(&self) -> &[f64] {
        &self.idf
    }
}
