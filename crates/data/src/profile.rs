//! What a table looks like, in a size that does not depend on its rows: kept in the model file, so that later rows can be
//! held against it.

use crate::cells::{Cells, MISSING, column};
use crate::prepare::quantile;
use arrow_array::{Array, StringArray};
use cupola_task::{Dataset, Draw, Error, Field, Images, Result, Role};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// At which shares of the sorted values quantiles are kept.
pub const SHARES: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
/// Bins of a histogram.
const BINS: usize = 20;
/// How many of the most frequent values are kept, and how many characters of each.
const TOP: usize = 20;
const TOP_CHARS: usize = 100;
/// Of how many images brightness is measured.
const BRIGHTNESS_OF: usize = 1000;

/// What a table looks like: its inputs and targets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// How many rows.
    pub rows: u64,
    /// Columns, in the schema's order.
    pub columns: Vec<ColumnProfile>,
}

/// What a column looks like.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Its name.
    pub name: Arc<str>,
    /// The word of its kind.
    pub kind: String,
    /// Cells without a value; a number that is not finite is none.
    pub missing: u64,
    /// Distinct values.
    pub distinct: u64,
    /// What depends on the kind; none where every cell is missing.
    pub values: Option<Values>,
}

/// What depends on a column's kind.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Values {
    /// Finite numbers.
    Numbers {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
        /// Mean.
        mean: f64,
        /// Population standard deviation.
        std: f64,
        /// At [`SHARES`], by linear interpolation.
        quantiles: Vec<f64>,
        /// How many values are in each of 20 bins of equal width from `min` to `max`.
        histogram: Vec<u64>,
    },
    /// Classes.
    Categories {
        /// The most frequent, with how often they come; ties in alphabetical order. Long names are cut.
        top: Vec<(String, u64)>,
        /// How many rows have another.
        other: u64,
    },
    /// Texts, by their length in characters.
    Texts {
        /// Shortest.
        min: u64,
        /// Longest.
        max: u64,
        /// Mean.
        mean: f64,
    },
    /// Images.
    Images {
        /// Smallest height and width.
        min: [u32; 2],
        /// Largest height and width.
        max: [u32; 2],
        /// Median height and width.
        #[serde(default)]
        median: [u32; 2],
        /// How many are in colour.
        colour: u64,
        /// The mean value of all pixels, 0 to 255; of a thousand images where there are more.
        #[serde(default)]
        brightness: f64,
    },
    /// Dates, in microseconds since 1970.
    Dates {
        /// Earliest.
        first: i64,
        /// Latest.
        last: i64,
    },
}

/// Looks at every input and target of a raw table.
///
/// # Errors
/// When a column is not of its kind.
pub fn profile(table: &dyn Dataset) -> Result<Profile> {
    let rows: Vec<u64> = (0..table.len()).collect();
    let batch = table.read(&rows, Draw::default())?;
    let fields: Vec<&Field> = table.schema().fields.iter().filter(|field| matches!(field.role, Role::Input | Role::Target(_))).collect();
    let look = |field: &&Field| {
        let cells = column(&batch, &field.name).ok_or_else(|| Error::input(format!("column {}", field.name), "nothing", "a column"))?;
        Ok(look(field, Cells::open(field, cells)?))
    };
    Ok(Profile { rows: table.len(), columns: fields.par_iter().map(look).collect::<Result<_>>()? })
}

fn look(field: &Field, cells: Cells<'_>) -> ColumnProfile {
    let codes = cells.codes();
    let mut missing = codes.code.iter().filter(|code| **code == MISSING).count();
    let mut distinct = codes.distinct;
    let values = match cells {
        Cells::Numbers(_) => {
            let mut sorted: Vec<f64> = cells.numbers().unwrap_or_default().into_iter().filter(|value| !value.is_nan()).collect();
            sorted.sort_unstable_by(f64::total_cmp);
            missing = cells.len() - sorted.len();
            distinct = sorted.chunk_by(|a, b| a == b).count();
            numbers(&sorted)
        }
        Cells::Dates(array) => {
            let dates = || array.iter().flatten();
            dates().min().zip(dates().max()).map(|(first, last)| Values::Dates { first, last })
        }
        Cells::Texts(array) if field.kind == cupola_task::Kind::Text => texts(array),
        Cells::Texts(array) => categories(array, &codes.code, codes.distinct),
        Cells::Images(images) => pictures(images),
    };
    ColumnProfile {
        name: field.name.clone(),
        kind: field.kind.word().to_owned(),
        missing: missing as u64,
        distinct: distinct as u64,
        values,
    }
}

fn numbers(sorted: &[f64]) -> Option<Values> {
    let (&min, &max) = sorted.first().zip(sorted.last())?;
    // Halves of the extremes, so that their difference is finite whatever they are.
    let width = max / 2.0 - min / 2.0;
    let mut histogram = vec![0; BINS];
    for value in sorted {
        let share = if width > 0.0 { (value / 2.0 - min / 2.0) / width } else { 0.0 };
        histogram[((share * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let unit = if width > 1e150 { width } else { 1.0 };
    let rows = sorted.len() as f64;
    let mean = sorted.iter().map(|value| value / unit).sum::<f64>() / rows;
    let std = (sorted.iter().map(|value| (value / unit - mean).powi(2)).sum::<f64>() / rows).sqrt();
    let finite = |value: f64| value.clamp(f64::MIN, f64::MAX);
    let quantiles = SHARES.iter().map(|&share| finite(quantile(sorted, share))).collect();
    Some(Values::Numbers { min, max, mean: finite(mean * unit), std: finite(std * unit), quantiles, histogram })
}

fn categories(array: &StringArray, codes: &[u32], distinct: usize) -> Option<Values> {
    let mut counts: Vec<(&str, u64)> = vec![("", 0); distinct];
    for (row, &code) in codes.iter().enumerate().filter(|(_, code)| **code != MISSING) {
        let (name, count) = &mut counts[code as usize];
        (*name, *count) = (array.value(row), *count + 1);
    }
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let other = counts.iter().skip(TOP).map(|(_, count)| count).sum();
    let top = counts.into_iter().take(TOP).map(|(name, count)| (name.chars().take(TOP_CHARS).collect(), count)).collect();
    (distinct > 0).then_some(Values::Categories { top, other })
}

fn texts(array: &StringArray) -> Option<Values> {
    let lengths: Vec<u64> = array.iter().flatten().map(|text| text.chars().count() as u64).collect();
    let (min, max) = (*lengths.iter().min()?, *lengths.iter().max()?);
    Some(Values::Texts { min, max, mean: lengths.iter().sum::<u64>() as f64 / (array.len() - array.null_count()) as f64 })
}

fn pictures(images: &Images) -> Option<Values> {
    let first = images.shapes().next()?;
    let bounds = |(least, most): ([u32; 2], [u32; 2]), shape: [u32; 3]| {
        ([least[0].min(shape[0]), least[1].min(shape[1])], [most[0].max(shape[0]), most[1].max(shape[1])])
    };
    let sides = [first[0], first[1]];
    let (min, max) = images.shapes().fold((sides, sides), bounds);
    let colour = images.shapes().filter(|shape| shape[2] > 1).count() as u64;
    let median = [0, 1].map(|side| {
        let mut sides: Vec<u32> = images.shapes().map(|shape| shape[side]).collect();
        let middle = sides.len() / 2;
        *sides.select_nth_unstable(middle).1
    });
    Some(Values::Images { min, max, median, colour, brightness: brightness(images) })
}

/// The mean over images of their mean pixel.
fn brightness(images: &Images) -> f64 {
    let step = images.len().div_ceil(BRIGHTNESS_OF);
    let mean = |row: usize| {
        let pixels = images.pixels(row);
        pixels.iter().map(|&pixel| u64::from(pixel)).sum::<u64>() as f64 / pixels.len().max(1) as f64
    };
    let means: Vec<f64> = (0..images.len()).into_par_iter().step_by(step).map(mean).collect();
    means.iter().sum::<f64>() / means.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::tests::{classes, dates, numbers, table, texts};
    use cupola_task::{Column, Kind};
    use expect_test::expect;

    #[test]
    fn images_have_sizes_and_brightness() {
        let shapes = [[2, 3, 1], [4, 1, 3], [5, 9, 1]];
        let pixels = shapes.iter().zip([10u8, 20, 60]).flat_map(|(shape, value)| vec![value; shape.iter().product::<u32>() as usize]);
        let images = Column::Images(Images::packed(pixels.collect(), shapes));
        let table = table(vec![("image", Role::Input, (Kind::Image { channels: 1, size: None }, images))]);
        expect![[r#"{"name":"image","kind":"image","missing":0,"distinct":3,"values":{"images":{"min":[2,1],"max":[5,9],"median":[4,3],"colour":1,"brightness":30.0}}}"#]]
            .assert_eq(&serde_json::to_string(&profile(&table).unwrap().columns[0]).unwrap());
    }

    #[test]
    fn every_kind_has_its_profile() {
        let mut rows: Vec<f64> = (0..=100).map(f64::from).collect();
        rows.extend([f64::NAN, f64::INFINITY]);
        let n = rows.len();
        let table = table(vec![
            ("number", Role::Input, numbers(rows)),
            ("huge", Role::Input, numbers((0..n).map(|row| [f64::MIN, f64::MAX][row % 2]))),
            ("absent", Role::Input, numbers(vec![f64::NAN; n])),
            ("class", Role::Input, classes((0..n).map(|row| if row < 50 { "often".to_owned() } else { format!("class {row:03}") }))),
            ("note", Role::Input, texts((0..n).map(|row| "é".repeat(row % 3)))),
            ("when", Role::Input, dates((0..n as i64).map(|row| (row > 0).then_some(row * 1000)))),
        ]);
        let profile = profile(&table).unwrap();
        let text = serde_json::to_string(&profile).unwrap();
        assert_eq!(serde_json::from_str::<Profile>(&text).unwrap(), profile);
        expect![[r#"
            {"name":"number","kind":"number","missing":2,"distinct":101,"values":{"numbers":{"min":0.0,"max":100.0,"mean":50.0,"std":29.154759474226502,"quantiles":[1.0,5.0,10.0,25.0,50.0,75.0,90.0,95.0,99.0],"histogram":[5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,6]}}}
            {"name":"huge","kind":"number","missing":0,"distinct":2,"values":{"numbers":{"min":-1.7976931348623157e+308,"max":1.7976931348623157e+308,"mean":-1.7453331406430247e+306,"std":1.7976084079559484e+308,"quantiles":[-1.7976931348623157e+308,-1.7976931348623157e+308,-1.7976931348623157e+308,-1.7976931348623157e+308,-1.7976931348623157e+308,1.7976931348623157e+308,1.7976931348623157e+308,1.7976931348623157e+308,1.7976931348623157e+308],"histogram":[52,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,51]}}}
            {"name":"absent","kind":"number","missing":103,"distinct":0,"values":null}
            {"name":"class","kind":"category","missing":0,"distinct":54,"values":{"categories":{"top":[["often",50],["class 050",1],["class 051",1],["class 052",1],["class 053",1],["class 054",1],["class 055",1],["class 056",1],["class 057",1],["class 058",1],["class 059",1],["class 060",1],["class 061",1],["class 062",1],["class 063",1],["class 064",1],["class 065",1],["class 066",1],["class 067",1],["class 068",1]],"other":34}}}
            {"name":"note","kind":"text","missing":35,"distinct":2,"values":{"texts":{"min":1,"max":2,"mean":1.5}}}
            {"name":"when","kind":"date","missing":1,"distinct":102,"values":{"dates":{"first":1000,"last":102000}}}
        "#]].assert_eq(&profile.columns.iter().map(|column| serde_json::to_string(column).unwrap() + "\n").collect::<String>());
    }
}
