//! A column that is the target under another name: equal to it, one to one with it, or all but so.

use super::evidence::{Evidence, Exhibit, Finding, LeakDef, Severity, Truth, leave_out};
use super::measure::{ln_factorial, pearson, ranks, values};
use crate::cells::{Codes, MISSING};

/// The check.
pub(crate) const TARGET_COPY: LeakDef =
    LeakDef { name: "target_copy", doc: "A column equals the target, or maps to it one to one, in all or nearly all rows.", find };

/// How often a near-copy agrees with the target under the best mapping.
pub(super) const AGREES: f64 = 0.995;
/// The mean recall it must reach beside: on rare classes agreement alone says little.
pub(super) const RECALL: f64 = 0.98;
/// The correlation (Pearson's or Spearman's) of a near-copy with a number.
const CORRELATES: f64 = 0.9995;
/// How unlikely it must be that chance made the two agree, as a natural logarithm: one in ten thousand tables.
pub(super) const SURPRISE: f64 = 9.2;

fn find(evidence: &Evidence) -> Vec<Finding> {
    let chance = SURPRISE + (evidence.inputs.len().max(1) as f64).ln();
    let mut findings = Vec::new();
    for (target, truth) in evidence.truths() {
        let rows: Vec<usize> = evidence.train.iter().copied().filter(|&row| target.codes.code[row] != MISSING).collect();
        for input in &evidence.inputs {
            let copy =
                one_to_one(input, target, &rows, chance).map(|()| (1.0, "tells it in every row, one value for one value".to_owned()));
            let near = || match truth {
                Truth::Classes { codes, count } => near_classes(&input.codes, codes, count, &rows, chance),
                Truth::Numbers(numbers) => near_number(input, target, numbers, &rows, chance),
            };
            if let Some((value, how)) = copy.or_else(near) {
                findings.push(Finding {
                    check: TARGET_COPY.name.into(),
                    severity: Severity::Stop,
                    column: Some(input.field.name.to_string()),
                    rows: evidence.place(rows.iter().copied()).0,
                    in_test_file: false,
                    value,
                    sentence: format!("column {} is the target {} under another name: it {how}", input.field.name, target.field.name),
                    remedy: leave_out(&input.field.name),
                });
            }
        }
    }
    findings
}

/// Whether the columns' values map onto each other, and chance would not do that.
fn one_to_one(input: &Exhibit, target: &Exhibit, rows: &[usize], chance: f64) -> Option<()> {
    let bins = values(&input.codes, rows);
    let (mut to, mut back) = (vec![MISSING; bins.count], vec![MISSING; target.codes.distinct]);
    let mut counts = vec![0usize; target.codes.distinct];
    for (&row, &bin) in rows.iter().zip(&bins.of) {
        let code = target.codes.code[row];
        let (there, here) = (&mut to[bin as usize], &mut back[code as usize]);
        if (*there != MISSING && *there != code) || (*here != MISSING && *here != bin) {
            return None;
        }
        (*there, *here) = (code, bin);
        counts[code as usize] += 1;
    }
    (surprise(&counts) >= chance).then_some(())
}

/// Minus the logarithm of the chance that two columns, each with values as frequent as `counts`, map onto each other
/// when their rows are shuffled: values of equal frequency may take each other's place.
pub(super) fn surprise(counts: &[usize]) -> f64 {
    let mut sizes: Vec<usize> = counts.iter().copied().filter(|count| *count > 0).collect();
    sizes.sort_unstable();
    let rows = sizes.iter().sum();
    let swaps: f64 = sizes.chunk_by(|a, b| a == b).map(|equal| ln_factorial(equal.len())).sum();
    ln_factorial(rows) - sizes.iter().map(|&size| ln_factorial(size)).sum::<f64>() - swaps
}

/// More values than this do not name so many classes.
pub(super) fn names_max(count: usize) -> usize {
    2 * count + 2
}

/// Agreement of a column of few values with the classes under the best mapping.
pub(super) fn near_classes(input: &Codes, codes: &[u32], count: usize, rows: &[usize], chance: f64) -> Option<(f64, String)> {
    if input.distinct > names_max(count) || !(2..=256).contains(&count) || rows.is_empty() {
        return None;
    }
    let bins = values(input, rows);
    let mut table = vec![0usize; bins.count * count];
    rows.iter().zip(&bins.of).for_each(|(&row, &bin)| table[bin as usize * count + codes[row] as usize] += 1);
    let (mut right, mut totals) = (vec![0usize; count], vec![0usize; count]);
    for counts in table.chunks_exact(count) {
        let best = (0..count).max_by_key(|&class| counts[class]).expect("there are classes");
        right[best] += counts[best];
        totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
    }
    let agreement = right.iter().sum::<usize>() as f64 / rows.len() as f64;
    let seen: Vec<usize> = (0..count).filter(|&class| totals[class] > 0).collect();
    let recall = seen.iter().map(|&class| right[class] as f64 / totals[class] as f64).sum::<f64>() / seen.len() as f64;
    let is_copy = seen.len() > 1 && agreement >= AGREES && recall >= RECALL && surprise(&totals) >= chance;
    is_copy.then(|| (agreement, format!("agrees with it in {:.2} % of the training rows", 100.0 * agreement)))
}

/// Correlation of a number with a number, of values and of ranks.
fn near_number(input: &Exhibit, target: &Exhibit, numbers: &[f64], rows: &[usize], chance: f64) -> Option<(f64, String)> {
    let own = input.numbers.as_ref()?;
    let both: Vec<usize> = rows.iter().copied().filter(|&row| own[row].is_finite() && numbers[row].is_finite()).collect();
    if (both.len() as f64) < 0.9 * rows.len() as f64 || ln_factorial(both.len()) < chance {
        return None;
    }
    let pairs: Vec<(f64, f64)> = both.iter().map(|&row| (own[row], numbers[row])).collect();
    let by_value = pearson(&pairs).map_or(0.0, f64::abs);
    let (x, y) = (ranks(&input.codes, &both), ranks(&target.codes, &both));
    let by_rank = pearson(&x.into_iter().zip(y).collect::<Vec<_>>()).map_or(0.0, f64::abs);
    let correlation = by_value.max(by_rank);
    // Two values alone correlate perfectly wherever they are one to one, which the other check judges.
    let is_copy = correlation >= CORRELATES && target.codes.distinct > 4;
    let word = if by_value >= by_rank { "correlation" } else { "rank correlation" };
    is_copy.then(|| (correlation, format!("follows it ({word} {correlation:.5})")))
}
