//! One column that tells the target nearly by itself: in honest tables the best there is, in others a leak.

use super::evidence::{Evidence, Exhibit, Finding, LeakDef, Severity, Truth, leave_out};
use super::measure::{accuracy, auc, auc_of_categories, explained, quantiles, values};
use crate::cells::MISSING;
use cupola_task::Kind;

/// The check.
pub(crate) const SINGLE_FEATURE: LeakDef =
    LeakDef { name: "single_feature", doc: "A single column predicts the target suspiciously well.", find };

/// AUC, accuracy or R2 from which on a column is suspicious.
const SUSPICIOUS: f64 = 0.98;
/// How few rows say nothing.
const ROWS_MIN: usize = 40;

fn find(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (target, truth) in evidence.truths() {
        let rows: Vec<usize> = evidence.train.iter().copied().filter(|&row| target.codes.code[row] != MISSING).collect();
        for input in evidence.inputs.iter().filter(|_| rows.len() >= ROWS_MIN) {
            let Some((value, measure)) = strength(input, &truth, &rows).filter(|(value, _)| *value >= SUSPICIOUS) else { continue };
            findings.push(Finding {
                check: SINGLE_FEATURE.name.into(),
                severity: Severity::Warn,
                column: Some(input.field.name.to_string()),
                rows: vec![],
                in_test_file: false,
                value,
                sentence: format!("column {} alone predicts the target {} with {measure} {value:.3}", input.field.name, target.field.name),
                remedy: format!("make sure that it is known before the target is; if not, {}", leave_out(&input.field.name)),
            });
        }
    }
    findings
}

/// How well the column tells the target, and the measure's name.
fn strength(input: &Exhibit, truth: &Truth<'_>, rows: &[usize]) -> Option<(f64, &'static str)> {
    // The codes of images are numbers in order of appearance, which is a matter of the check of the row order.
    if let Kind::Image { .. } = input.field.kind {
        return None;
    }
    let is_ordered = input.texts.is_none();
    let bins = if is_ordered { quantiles(&input.codes, rows) } else { values(&input.codes, rows) };
    match truth {
        Truth::Numbers(_) => Some((explained(&bins, truth, rows), "R2")),
        Truth::Classes { codes, count: 2 } if is_ordered => Some((auc(&input.codes, codes, rows), "AUC")),
        Truth::Classes { codes, count: 2 } => Some((auc_of_categories(&bins, codes, rows), "AUC")),
        Truth::Classes { codes, count } => {
            let (accuracy, baseline) = accuracy(&bins, codes, *count, rows);
            (1.0 - accuracy <= 0.2 * (1.0 - baseline)).then_some((accuracy, "accuracy"))
        }
    }
}
