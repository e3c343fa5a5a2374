//! Test or validation pictures that are training pictures, saved again, made smaller or larger, a little brighter.
//!
//! What looks alike, and how it is found, says [`crate::near`]. Pictures of one kind look alike by nature, so only a side that has far more such twins
//! than training pictures have among each other is told of, and it stops a run.

use super::duplicates::is_more_than_within;
use super::evidence::{Evidence, Exhibit, Finding, LeakDef, Severity, called};
use super::near_duplicates::looked_at;
use crate::near::{Look, alike};
use cupola_task::{Images, Side};
use rayon::prelude::*;

/// The check.
pub(crate) const NEAR_PICTURES: LeakDef =
    LeakDef { name: "near_pictures", doc: "Test or validation pictures are training pictures, saved again or resized.", find };

/// Bits in which hashes may differ, and how well pictures must correlate. Of 30 million pairs of different clothes (Fashion-MNIST) one in three million
/// does; of copies saved as JPEG or made twice as large more than 95 in a hundred do.
const DISTANCE: u32 = 8;
const CORRELATION: f64 = 0.995;
/// How many at least.
const PICTURES_MIN: usize = 5;

fn find(evidence: &Evidence) -> Vec<Finding> {
    let pictures = evidence.inputs.iter().filter(|input| !input.pictures.is_empty() && evidence.train.len() >= 20);
    pictures.flat_map(|input| of_column(evidence, input)).collect()
}

/// What the picture of a row looks like; those of a test file follow the table's.
fn look(pictures: &[Images], row: usize) -> Option<Look> {
    let own = pictures.first()?;
    match row.checked_sub(own.len()) {
        None => Look::of(own, row),
        Some(behind) => pictures.get(1).filter(|test| behind < test.len()).and_then(|test| Look::of(test, behind)),
    }
}

fn of_column(evidence: &Evidence, input: &Exhibit) -> Vec<Finding> {
    let (name, codes) = (&input.field.name, &input.codes.code);
    let rows = looked_at(evidence);
    let looks: Vec<Option<Look>> = rows.par_iter().map(|&row| look(&input.pictures, row)).collect();
    let is_taught = |place: u32| evidence.sides[rows[place as usize]] == Side::Train;
    let mut has_twin = vec![false; rows.len()];
    for pair in alike(&looks, DISTANCE, CORRELATION).0 {
        // Equal pixels are a matter of the check of duplicates.
        if codes[rows[pair.one as usize]] == codes[rows[pair.other as usize]] {
            continue;
        }
        has_twin[pair.one as usize] |= is_taught(pair.other);
        has_twin[pair.other as usize] |= is_taught(pair.one);
    }
    let counted = |side: Side| rows.iter().zip(&has_twin).filter(move |(row, _)| evidence.sides[**row] == side);
    let (trains, within) = (counted(Side::Train).count(), counted(Side::Train).filter(|(_, twin)| **twin).count());
    let judge = |(side, word): (Side, &str)| {
        let own = counted(side).count();
        let again: Vec<usize> = counted(side).filter(|(_, twin)| **twin).map(|(row, _)| *row).collect();
        if again.len() < PICTURES_MIN || !is_more_than_within(again.len(), own, within, trains) {
            return None;
        }
        let (shown, in_test_file) = evidence.place(again.iter().copied());
        let (called, are) = (called(own, word, in_test_file), if within == 1 { "is" } else { "are" });
        Some(Finding {
            check: NEAR_PICTURES.name.into(),
            severity: Severity::Stop,
            column: Some(name.to_string()),
            rows: shown,
            in_test_file,
            value: again.len() as f64 / own as f64,
            sentence: format!(
                "pictures in {} of {called} look like a training picture; so {are} {within} of {trains} training rows",
                again.len()
            ),
            remedy: "`cupola data dup` lists them: leave them out, or keep their copies on one side (data.split.by=group)".into(),
        })
    };
    [(Side::Test, "test"), (Side::Valid, "validation")].into_iter().filter_map(judge).collect()
}
