//! The confusion matrix: which classes are taken for which.

use crate::rows::{self, Labels};
use cupola_task::{Answer, Field, Result, View};
use std::sync::Arc;

/// Weight of the rows by true and answered class.
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    /// The target's classes, and last `(other)` when truth or answer has any other.
    pub classes: Vec<Arc<str>>,
    /// `values[truth * classes.len() + answer]`.
    pub values: Vec<f64>,
}

/// Counts rows, by their weights, by true and answered class.
///
/// # Errors
/// When target, truth or answer are not classes, or their lengths differ.
pub fn confusion(field: &Field, answer: &Answer, view: View<'_>) -> Result<Confusion> {
    let labels = Labels::new(rows::classes(field)?);
    let (answered, values) = rows::scores(answer)?;
    let names = rows::names(&view, answer.len())?;
    let weights = rows::weighted(&view, answer.len())?;
    let known = labels.known();
    let code = |name: &str| labels.find(name).map_or(known, |code| code as usize);
    let codes: Vec<usize> = answered.iter().map(|name| code(name)).collect();
    let mut cells = vec![0.0; (known + 1) * (known + 1)];
    let pairs: Vec<[usize; 2]> =
        names.iter().flatten().map(code).zip(answered.chosen(values)).map(|(truth, said)| [truth, codes[said]]).collect();
    weights.each(None, |row, mass| cells[pairs[row][0] * (known + 1) + pairs[row][1]] += mass);
    let size = if pairs.iter().flatten().any(|&code| code == known) { known + 1 } else { known };
    let classes = (0..size).map(|code| if code < known { labels.name(code as u32).clone() } else { "(other)".into() }).collect();
    Ok(Confusion { classes, values: cells.chunks_exact(known + 1).take(size).flat_map(|row| &row[..size]).copied().collect() })
}
