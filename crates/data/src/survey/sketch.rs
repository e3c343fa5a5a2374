//! Summaries of a column's values whose size does not depend on how many there are.

use cupola_task::Draw;
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use datasketches::hll::{HllSketch, HllType};
use datasketches::tdigest::TDigestMut;
use std::collections::HashMap;

/// Up to so many distinct values are counted each; it makes counts, quantiles and histograms exact.
pub(super) const EXACT_MAX: usize = 4096;
/// Slots of the summary of frequent values: a count is too small by at most 3.5 / 4096 of the rows.
const SLOTS: usize = 4096;
/// HyperLogLog's registers, as a power of two: the standard error is 1.04 / sqrt(2^13), 1.1 %.
const LG_REGISTERS: u8 = 13;
/// t-digest's compression: a quantile is off by less than half a percent of the rows in the middle, far less at the ends.
const COMPRESSION: u16 = 400;
/// Characters of a value that are kept to be shown.
pub(super) const SHOWN_CHARS: usize = 60;
/// Shown values that are kept at most, before those that are frequent no more are dropped.
const SHOWN_MAX: usize = 4 * SLOTS;

/// A number for a text: equal texts have equal ones, others different ones but for odds of 2^-64.
pub(super) fn hash_text(text: &str) -> u64 {
    crate::cells::hash(0x7465_7874, text.as_bytes())
}

/// The same for a number.
pub(super) fn hash_number(number: f64) -> u64 {
    Draw::value(0x6e75_6d62, (number + 0.0).to_bits()).max(1)
}

/// A value as it is shown: cut where it is long.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A distinct value.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub count: u64,
    pub text: String,
    /// NaN for what is no number.
    pub number: f64,
}

/// How often which values come.
pub(super) enum Values {
    /// Each is counted.
    Exact(HashMap<u64, Known>),
    /// There were too many.
    Sketched(Box<Sketched>),
}

/// Summaries of many distinct values.
pub(super) struct Sketched {
    distinct: HllSketch,
    frequent: FrequentItemsSketch<u64>,
    /// How frequent values are written.
    texts: HashMap<u64, (String, f64)>,
    digest: TDigestMut,
}

impl Default for Values {
    fn default() -> Values {
        Values::Exact(HashMap::new())
    }
}

impl Values {
    /// Counts a value; a number that is not finite is none.
    pub fn add(&mut self, key: u64, text: impl FnOnce() -> String, number: f64) {
        match self {
            Values::Exact(known) => {
                match known.entry(key) {
                    std::collections::hash_map::Entry::Occupied(mut entry) => entry.get_mut().count += 1,
                    std::collections::hash_map::Entry::Vacant(entry) => {
                        entry.insert(Known { count: 1, text: text(), number });
                    }
                }
                if known.len() > EXACT_MAX {
                    let known = std::mem::take(known);
                    *self = Values::Sketched(Box::new(Sketched::of(known)));
                }
            }
            Values::Sketched(sketched) => sketched.add(key, text, number, 1),
        }
    }

    /// How many distinct values, and whether that is exact.
    pub fn distinct(&self) -> (u64, bool) {
        match self {
            Values::Exact(known) => (known.len() as u64, true),
            Values::Sketched(sketched) => (sketched.distinct.estimate().round() as u64, false),
        }
    }

    /// All distinct values, when each is counted.
    pub fn exact(&self) -> Option<&HashMap<u64, Known>> {
        match self {
            Values::Exact(known) => Some(known),
            Values::Sketched(_) => None,
        }
    }

    /// Values by how often they come, the most frequent first; ties by their text. Of a summary only those that are surely frequent.
    pub fn frequent(&self, count: usize) -> Vec<(u64, Known)> {
        let mut all: Vec<(u64, Known)> = match self {
            Values::Exact(known) => known.iter().map(|(key, known)| (*key, known.clone())).collect(),
            Values::Sketched(sketched) => sketched.frequent(),
        };
        all.sort_by(|(_, a), (_, b)| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
        all.truncate(count);
        all
    }

    /// How a value is written, where that is still known.
    pub fn text(&self, key: u64) -> Option<&str> {
        match self {
            Values::Exact(known) => known.get(&key).map(|known| known.text.as_str()),
            Values::Sketched(sketched) => sketched.texts.get(&key).map(|(text, _)| text.as_str()),
        }
    }

    /// Quantiles of the numbers and how many lie at or below each of the ascending edges; none without numbers.
    pub fn spread(&mut self, shares: &[f64], edges: &[f64]) -> Option<(Vec<f64>, Vec<u64>)> {
        match self {
            Values::Exact(known) => exact_spread(known, shares, edges),
            Values::Sketched(sketched) => {
                let total = sketched.digest.total_weight() as f64;
                let quantiles = sketched.digest.quantiles(shares).ok()??;
                let below = match edges.windows(2).all(|pair| pair[0] < pair[1]) {
                    true => sketched.digest.cdf(edges).ok()??,
                    false => vec![1.0; edges.len()],
                };
                Some((quantiles, below.iter().take(edges.len()).map(|share| (share * total).round() as u64).collect()))
            }
        }
    }
}

/// By linear interpolation between the two values beside a place, as the profile of a model file has it.
fn exact_spread(known: &HashMap<u64, Known>, shares: &[f64], edges: &[f64]) -> Option<(Vec<f64>, Vec<u64>)> {
    let mut numbers: Vec<(f64, u64)> =
        known.values().filter(|known| known.number.is_finite()).map(|known| (known.number, known.count)).collect();
    numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ends: Vec<u64> = numbers
        .iter()
        .scan(0, |sum, (_, count)| {
            *sum += count;
            Some(*sum)
        })
        .collect();
    let total = *ends.last()?;
    let at = |row: u64| numbers[ends.partition_point(|end| *end <= row).min(numbers.len() - 1)].0;
    let quantile = |share: &f64| {
        let place = share * (total - 1) as f64;
        let (low, high) = (at(place.floor() as u64), at(place.ceil() as u64));
        let part = place.fract();
        low * (1.0 - part) + high * part
    };
    let below = |edge: &f64| match numbers.partition_point(|(number, _)| number <= edge) {
        0 => 0,
        end => ends[end - 1],
    };
    Some((shares.iter().map(quantile).collect(), edges.iter().map(below).collect()))
}

impl Sketched {
    fn of(known: HashMap<u64, Known>) -> Sketched {
        let mut sketched = Sketched {
            distinct: HllSketch::new(LG_REGISTERS, HllType::Hll8).expect("13 is in 4..=21"),
            frequent: FrequentItemsSketch::new(SLOTS).expect("4096 is a power of two"),
            texts: HashMap::new(),
            digest: TDigestMut::new(COMPRESSION).expect("400 is at least 10"),
        };
        // The order of a hash map is another in each process, and the summaries depend on the order.
        let mut known: Vec<(u64, Known)> = known.into_iter().collect();
        known.sort_unstable_by_key(|(key, _)| *key);
        for (key, Known { count, text, number }) in known {
            sketched.add(key, || text, number, count);
        }
        sketched
    }

    fn add(&mut self, key: u64, text: impl FnOnce() -> String, number: f64, count: u64) {
        self.distinct.update(key);
        self.frequent.update_with_count(key, count);
        if number.is_finite() {
            (0..count).for_each(|_| self.digest.update(number));
        }
        if let std::collections::hash_map::Entry::Vacant(entry) = self.texts.entry(key) {
            entry.insert((text(), number));
        }
        if self.texts.len() > SHOWN_MAX {
            let frequent = &self.frequent;
            self.texts.retain(|key, _| frequent.estimate(key) > 0);
        }
    }

    fn frequent(&self) -> Vec<(u64, Known)> {
        let rows = self.frequent.frequent_items(ErrorType::NoFalsePositives);
        let known = |row: &datasketches::frequencies::Row<u64>| {
            let (text, number) = self.texts.get(row.item())?;
            Some((*row.item(), Known { count: row.estimate(), text: text.clone(), number: *number }))
        };
        rows.iter().filter_map(known).collect()
    }
}
