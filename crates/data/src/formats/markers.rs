//! The words that stand for a missing value.

/// A set of words, looked up by length first: most cells are no marker, and that must cost little.
#[derive(Clone, Debug, Default)]
pub(crate) struct Markers {
    by_length: Vec<Vec<Box<str>>>,
    numbers: Vec<f64>,
}

impl Markers {
    /// The empty cell is always missing.
    pub(crate) fn new(words: &[String]) -> Markers {
        let mut by_length: Vec<Vec<Box<str>>> = Vec::new();
        for word in words.iter().map(|word| word.trim()).chain([""]) {
            if by_length.len() <= word.len() {
                by_length.resize(word.len() + 1, Vec::new());
            }
            by_length[word.len()].push(word.into());
        }
        let numbers = words.iter().filter_map(|word| crate::conform::number(word)).collect();
        Markers { by_length, numbers }
    }

    /// Whether the cell, without blanks around it, is a marker.
    #[inline]
    pub(crate) fn contain(&self, cell: &str) -> bool {
        let cell = trimmed(cell);
        // Most words are told from a cell by their first letter.
        let first = cell.as_bytes().first();
        let is_one = |word: &str| word.as_bytes().first() == first && word == cell;
        self.by_length.get(cell.len()).is_some_and(|words| words.iter().any(|word| is_one(word)))
    }

    /// Whether a number is one of the markers, such as -999. Not-a-number always is.
    #[inline]
    pub(crate) fn contain_number(&self, number: f64) -> bool {
        number.is_nan() || self.numbers.contains(&number)
    }
}

/// `str::trim`, but quick for the usual cell that begins and ends with a printable ASCII character.
#[inline]
pub(crate) fn trimmed(cell: &str) -> &str {
    match (cell.as_bytes().first(), cell.as_bytes().last()) {
        (Some(b'!'..=b'~'), Some(b'!'..=b'~')) => cell,
        _ => cell.trim(),
    }
}
