//! Where the next labels pay most, by slices of rows: the worst ones of each column that the search of reports finds among the test rows, and the groups of
//! sensitive columns.
//!
//! That a slice is bad does not say that labels of its rows help: it may be noise. So it is tried. The model is trained with a quarter and with half of
//! the slice's training rows, all others kept, and with all of them; through the slice's mean loss at these three goes the law of the learning curve, over
//! the slice's own rows. Its gain from so many labels more is what they are worth to the slice; times the slice's share of test rows, to all rows. The
//! bands come from the bootstrap over the repeats, and the worth of labels of any rows from the curve itself.

use crate::Result;
use crate::audit::{self, COLUMNS_SEARCHED, LEVEL, SLICE_ROWS_MIN, SLICE_SHARE_MIN};
use crate::fit::read_all;
use crate::journal::heard_by;
use crate::learning_curve::{Curve, Law, Trained, band, draw_of, laws, places};
use crate::plan::SlicePlan;
use cupola_metrics::{Search, SliceColumn};
use cupola_task::{Batch, Column, Columns, Event, Flow, Key, Run, Side};
use serde::Serialize;

/// Shares of a slice's training rows that are learned from, beside all of them.
const SHARES: [f64; 2] = [0.25, 0.5];
/// Of two slices that share so much of their rows, one says it all.
const OVERLAP_MAX: f64 = 0.7;
/// A slice of fewer training rows says nothing by parts of them.
const ROWS_MIN: u64 = 8;

/// What is asked.
pub(crate) struct SlicesAsked<'a> {
    pub slices: usize,
    pub labels: u64,
    /// Training rows of the curve's points.
    pub sizes: &'a [u64],
}

/// The worth of labels by slices.
#[derive(Clone, Debug, Serialize)]
pub struct SliceCurves {
    /// The loss that gains are of: `log_loss`, or `mae` for numbers.
    pub loss: String,
    /// The mean loss of all test rows.
    pub overall: f64,
    /// What so many labels of rows as they come bring.
    pub everywhere: Gain,
    /// Slices, those where labels bring most to all rows first.
    pub slices: Vec<SliceCurve>,
    /// Slices that were found and say nothing, and why.
    pub left_out: Vec<String>,
}

/// A mean loss that becomes less; positive is better.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Gain {
    /// What is to be expected.
    pub value: f64,
    /// Lower end of the 95 % band.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// One slice.
#[derive(Clone, Debug, Serialize)]
pub struct SliceCurve {
    /// Column and what it holds, for one column or two.
    pub parts: Vec<[String; 2]>,
    /// Its training rows.
    pub rows: u64,
    /// Its share of test rows.
    pub share: f64,
    /// Its mean loss with all training rows.
    pub loss: f64,
    /// Its mean loss with a quarter, half and all of its own.
    pub points: Vec<[f64; 2]>,
    /// The law of its loss over its own rows.
    pub law: Law,
    /// What labels of its rows bring to its rows.
    pub gain: Gain,
    /// What they bring to all test rows, where the others stay as they are.
    pub gain_all: Gain,
}

impl SliceCurve {
    /// `age 17 to 24 and sex = Male`.
    pub fn phrase(&self) -> String {
        self.parts.iter().map(|part| part.join(" ")).collect::<Vec<_>>().join(" and ")
    }
}

/// Rows of a slice, of training and of test rows.
struct Slice {
    parts: Vec<[String; 2]>,
    train: Vec<usize>,
    test: Vec<usize>,
}

/// Tries what labels of slices are worth.
///
/// # Errors
/// Those of fitting, and when the recipe names columns that are not there or the run was stopped.
pub(crate) fn slices(
    curve: &Curve<'_>,
    asked: &SlicesAsked<'_>,
    train: &Batch,
    trained: &[Vec<Trained>],
    run: &Run<'_>,
) -> Result<Option<SliceCurves>> {
    let last: Option<Vec<&(&str, Vec<f64>)>> = trained.iter().map(|one| one.last()?.losses.as_ref()).collect();
    let Some(last) = last.filter(|_| asked.slices > 0 && curve.plan.slices != SlicePlan::None) else { return Ok(None) };
    let count = last[0].1.len();
    let means: Vec<f64> = (0..count).map(|row| last.iter().map(|(_, losses)| losses[row]).sum::<f64>() / last.len() as f64).collect();
    let found = candidates(curve, train, &means, asked.slices, run)?;
    let (able, few): (Vec<Slice>, Vec<Slice>) = found.into_iter().partition(|slice| slice.train.len() as u64 >= ROWS_MIN);
    let mut told = SliceCurves {
        loss: last[0].0.to_owned(),
        overall: mean(&means),
        everywhere: everywhere(asked, trained, run),
        slices: vec![],
        left_out: few
            .iter()
            .map(|slice| format!("{}: {} training rows tell nothing by parts of them", phrase(slice), slice.train.len()))
            .collect(),
    };
    run.tell(Event::Stage { name: "slices".into() });
    let total = Some((able.len() * SHARES.len() * trained.len()) as u64);
    for (number, slice) in able.iter().enumerate() {
        let mut losses = Vec::new();
        for (repeat, one) in trained.iter().enumerate() {
            let draw = draw_of(run, repeat as u64);
            let order = places(curve.divided.loaded.schema(), train, curve.target, draw);
            let mut of_repeat = Vec::new();
            for share in SHARES {
                let done = (number * trained.len() + repeat) * SHARES.len() + of_repeat.len();
                let progress = |done: usize| Event::Progress { done: done as u64, total, unit: "trainings".into(), score: None };
                // What a training tells is no news of the run's; but that it is to stop is heard.
                let quiet = |_: &Event| run.tell(progress(done));
                let part = curve.train(&without(slice, &order, share), draw, &heard_by(run, &quiet));
                if run.tell(progress(done + 1)) == Flow::Stop {
                    return Err(cupola_task::Error::Interrupted.into());
                }
                of_repeat.push(loss_of(slice, &part?));
            }
            of_repeat.push(one.last().map_or(f64::NAN, |whole| loss_of(slice, whole)));
            losses.push(of_repeat);
        }
        told.slices.push(one_slice(slice, &losses, count, asked, run));
    }
    told.slices.sort_by(|one, other| other.gain_all.value.total_cmp(&one.gain_all.value).then(one.parts.cmp(&other.parts)));
    Ok(Some(told))
}

fn phrase(slice: &Slice) -> String {
    slice.parts.iter().map(|part| part.join(" ")).collect::<Vec<_>>().join(" and ")
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean loss of a slice's test rows.
fn loss_of(slice: &Slice, trained: &Trained) -> f64 {
    let losses = trained.losses.as_ref().map_or(&[][..], |(_, losses)| losses);
    slice.test.iter().map(|&row| losses.get(row).copied().unwrap_or(f64::NAN)).sum::<f64>() / slice.test.len() as f64
}

/// All training rows but those of the slice beyond its share, in the order of the repeat.
fn without(slice: &Slice, order: &[u64], share: f64) -> Vec<Side> {
    let mut own = slice.train.clone();
    own.sort_by_key(|&row| order[row]);
    let kept = kept(own.len(), share);
    let mut sides = vec![Side::Train; order.len()];
    own[kept..].iter().for_each(|&row| sides[row] = Side::Out);
    sides
}

fn kept(rows: usize, share: f64) -> usize {
    ((rows as f64 * share).round() as usize).max(1)
}

fn one_slice(slice: &Slice, losses: &[Vec<f64>], tested: usize, asked: &SlicesAsked<'_>, run: &Run<'_>) -> SliceCurve {
    let count = slice.train.len();
    let rows: Vec<f64> = SHARES.iter().map(|share| kept(count, *share) as f64).chain([count as f64]).collect();
    let (law, drawn) = laws(&rows, losses, run.draw("slices").stream(&phrase(slice)));
    let gain = gain(&law, &drawn, count as f64, asked.labels);
    let share = slice.test.len() as f64 / tested as f64;
    let at = |place: usize| mean(&losses.iter().map(|one| one[place]).collect::<Vec<_>>());
    SliceCurve {
        parts: slice.parts.clone(),
        rows: count as u64,
        share,
        loss: at(rows.len() - 1),
        points: rows.iter().enumerate().map(|(place, rows)| [*rows, at(place)]).collect(),
        law,
        gain,
        gain_all: Gain { value: gain.value * share, low: gain.low * share, high: gain.high * share },
    }
}

fn gain(law: &Law, drawn: &[Law], rows: f64, labels: u64) -> Gain {
    let of = |law: &Law| law.at(rows) - law.at(rows + labels as f64);
    let value = of(law);
    let [low, high] = band(drawn.iter().map(of).collect());
    Gain { value, low: low.min(value), high: high.max(value) }
}

/// What labels of any rows bring, by the curve's own points.
fn everywhere(asked: &SlicesAsked<'_>, trained: &[Vec<Trained>], run: &Run<'_>) -> Gain {
    let of = |trained: &Trained| trained.losses.as_ref().map_or(f64::NAN, |(_, losses)| mean(losses));
    let losses: Vec<Vec<f64>> = trained.iter().map(|one| one.iter().map(of).collect()).collect();
    let rows: Vec<f64> = asked.sizes.iter().map(|size| *size as f64).collect();
    let (law, drawn) = laws(&rows, &losses, run.draw("slices").stream("everywhere"));
    gain(&law, &drawn, rows.last().copied().unwrap_or(1.0), asked.labels)
}

/// The worst slices and groups of sensitive columns, those that lose most in all their rows first. Whether a slice is worse by chance need not be settled for all
/// columns at once, as reports do: each is tried.
fn candidates(curve: &Curve<'_>, train: &Batch, losses: &[f64], most: usize, run: &Run<'_>) -> Result<Vec<Slice>> {
    let test = read_all(&**curve.divided.splits.test())?;
    let schema = curve.divided.loaded.schema();
    let is_sensitive = |name: &str| schema.keys(Key::Sensitive).any(|field| &*field.name == name);
    let sensitive = test.keys.iter().filter(|(name, _)| is_sensitive(name));
    let looked_at: Vec<(&str, &Column)> = test.inputs.iter().chain(sensitive).map(|(name, column)| (&**name, column)).collect();
    if let SlicePlan::Columns(columns) = &curve.plan.slices {
        audit::check(columns, &looked_at)?;
    }
    let of_train = |name: &str| train.inputs.get(name).or_else(|| train.keys.get(name));
    // Both sides are cut at once, so that a slice is the same on both.
    let cut = |(name, column): &(&str, &Column)| -> Option<SliceColumn> {
        let own = of_train(name).filter(|_| curve.plan.slices.takes(name))?;
        let both = [*column, own].map(|column| Columns::new(vec![((*name).into(), column.clone())]));
        SliceColumn::new(name, Columns::concat(&both).ok()?.get(name)?)
    };
    let columns: Vec<SliceColumn> = looked_at.iter().filter_map(cut).take(COLUMNS_SEARCHED).collect();
    let tested = losses.len();
    let search = Search { level: LEVEL, rows_min: SLICE_ROWS_MIN.max(tested / SLICE_SHARE_MIN), found_max: most, draw: run.draw("slices") };
    let mut found: Vec<Slice> = Vec::new();
    for column in &columns {
        let of = |cell: usize| Slice {
            parts: vec![[column.name.clone(), column.cells[cell].clone()]],
            test: (0..tested).filter(|row| column.holds(cell, *row)).collect(),
            train: (0..train.rows.len()).filter(|row| column.holds(cell, tested + row)).collect(),
        };
        match is_sensitive(&column.name) {
            true => found.extend((0..column.cells.len()).map(of).filter(|slice| slice.test.len() >= search.rows_min)),
            // A column at a time: whoever asks for labels asks for rows of one kind.
            false => found
                .extend(cupola_metrics::slices(losses, &[column.take(0..tested)], search).slices.iter().map(|slice| of(slice.parts[0][1]))),
        }
    }
    // What a slice loses more than the mean, in all its rows, is the most that labels of it could bring.
    let overall = mean(losses);
    let excess = |slice: &Slice| slice.test.iter().map(|&row| losses[row] - overall).sum::<f64>();
    found.sort_by(|one, other| excess(other).total_cmp(&excess(one)).then(one.parts.cmp(&other.parts)));
    let mut told: Vec<Slice> = Vec::new();
    for slice in found {
        if told.len() < most && told.iter().all(|other| overlap(&slice.test, &other.test) <= OVERLAP_MAX) {
            told.push(slice);
        }
    }
    Ok(told)
}

/// The share of the smaller of two sorted sets of rows that is in the other.
fn overlap(one: &[usize], other: &[usize]) -> f64 {
    let (small, large) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    small.iter().filter(|row| large.binary_search(row).is_ok()).count() as f64 / small.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;
    use crate::{Plan, learning_curve};
    use cupola_task::Draw;
    use std::fmt::Write;
    use std::path::Path;

    /// `common` follows x; `noise` follows nothing, however many rows there are; `rare` follows x in stripes that take rows to be seen, and has few.
    fn write(path: &Path, rows: u64, shares: [u64; 2], seed: u64) {
        let draw = Draw::new(seed);
        let mut text = String::from("group,x,z,y\n");
        for row in 0..rows {
            let [x, z] = [1, 2].map(|stream| draw.at(stream).below(row, 2000) as f64 / 1000.0 - 1.0);
            let part = draw.at(3).below(row, 100);
            let group = if part < shares[0] {
                "common"
            } else if part < shares[0] + shares[1] {
                "noise"
            } else {
                "rare"
            };
            let is = match group {
                "common" => x > 0.0,
                "noise" => draw.at(4).below(row, 2) == 0,
                _ => (((x + 1.0) * 3.0) as u64).is_multiple_of(2),
            };
            writeln!(text, "{group},{x},{z},{}", if is { "yes" } else { "no" }).unwrap();
        }
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn labels_pay_where_rows_are_starved_and_not_where_there_is_noise() {
        let folder = tempfile::tempdir().unwrap();
        let [train, test] = ["train.csv", "test.csv"].map(|name| folder.path().join(name));
        write(&train, 2000, [64, 32], 1);
        write(&test, 1500, [45, 30], 2);
        let mut recipe = Recipe::parse("r.toml", "").unwrap();
        let said = [
            format!("data={}", train.display()),
            format!("data.test={}", test.display()),
            "target=y model=gbdt data.clean.leaks=off model.n_estimators=60 curve.points=3 curve.repeats=3 curve.labels=500".into(),
        ];
        said.iter().flat_map(|said| said.split(' ')).for_each(|word| recipe.argue(word).unwrap());
        let curve = learning_curve::learning_curve(&Plan::check(recipe).unwrap(), &Run::quiet(7)).unwrap();
        let slices = curve.slices.unwrap();
        let place = |group: &str| slices.slices.iter().position(|slice| slice.parts == [["group".to_owned(), format!("= {group}")]]);
        let [rare, noise] = ["rare", "noise"].map(|group| place(group).unwrap_or_else(|| panic!("{group} was not found: {slices:#?}")));
        assert_eq!(rare, 0, "{slices:#?}");
        let [starved, noisy] = [&slices.slices[rare], &slices.slices[noise]];
        assert!(starved.gain_all.low > 0.0 && starved.gain_all.low > noisy.gain_all.value, "{slices:#?}");
        assert!(starved.gain_all.value > slices.everywhere.value, "{slices:#?}");
        assert!(starved.rows < 100 && (starved.share - 0.25).abs() < 0.05 && starved.points.len() == 3, "{starved:?}");
    }
}
