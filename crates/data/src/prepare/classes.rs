//! Class names in a fixed order, and the codes of cells.

use std::collections::HashMap;
use std::sync::Arc;

/// Sorts names: by value when all are numbers, else as texts.
pub(crate) fn sort(names: &mut [Arc<str>]) {
    let number = |name: &Arc<str>| name.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    if names.iter().all(|name| number(name).is_some()) {
        names.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(std::cmp::Ordering::Equal).then_with(|| a.cmp(b)));
    } else {
        names.sort();
    }
}

/// Each name's place.
pub(crate) fn codes(names: &[Arc<str>]) -> HashMap<Arc<str>, u32> {
    names.iter().cloned().zip(0..).collect()
}

/// Whether names read from outside are few, short and unique.
pub(crate) fn is_sound(names: &[Arc<str>]) -> bool {
    names.len() < u32::MAX as usize && names.iter().collect::<std::collections::HashSet<_>>().len() == names.len()
}

/// How often each text comes, missing ones left out.
pub(crate) fn count<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> HashMap<&'a str, u64> {
    let mut counts = HashMap::new();
    texts.flatten().for_each(|text| *counts.entry(text).or_insert(0) += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_by_value_and_words_as_texts() {
        for (names, sorted) in [(vec!["10", "9", "-1", "9.5"], vec!["-1", "9", "9.5", "10"]), (vec!["10", "9", "x"], vec!["10", "9", "x"])]
        {
            let mut names: Vec<Arc<str>> = names.into_iter().map(Arc::from).collect();
            sort(&mut names);
            assert_eq!(names, sorted.into_iter().map(Arc::from).collect::<Vec<_>>());
        }
    }
}
