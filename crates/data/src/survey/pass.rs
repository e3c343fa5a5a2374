//! The pass over the rows, and what is told in the end.

use super::association::{Association, Sampled, associations};
use super::column::{ColumnSurvey, Passing, Seen};
use super::groups::{self, Crossing, GroupSurvey, TargetSurvey};
use super::patterns::{Pattern, Patterns};
use super::sample::Sample;
use crate::{Chunk, Input, ReadOptions, Result, Skipped, stream};
use cupola_task::{Column, Draw, nearest};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;

/// The version of the JSON form.
pub const SURVEY_VERSION: u32 = 1;
/// Rows that are read at once; from the first of them types are inferred, as `check` does.
const CHUNK: usize = 20_000;
/// Columns that are looked at together.
const BLOCK: usize = 64;
/// Rows that are sampled at most, and cells.
const SAMPLE_ROWS: usize = 10_000;
const SAMPLE_CELLS: usize = 4_000_000;
/// Columns whose pairs are all looked at; further ones are held against targets.
const AMONG: usize = 60;
/// Categories of more values hang together with everything.
const CODES_MAX: usize = 50;
/// Associations and patterns that are told.
const ASSOCIATIONS: usize = 300;
const PATTERNS: usize = 20;
/// Repeated rows are counted up to so many rows.
const REPEATED_MAX: usize = 1_000_000;

/// What a table holds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Survey {
    /// [`SURVEY_VERSION`].
    pub version: u32,
    /// The input's name.
    pub name: String,
    /// Its format.
    pub format: String,
    /// Rows.
    pub rows: u64,
    /// Rows that could not be read and were left out.
    pub skipped: u64,
    /// Cells that are missing.
    pub missing_cells: u64,
    /// Rows that repeat an earlier one in all columns; not counted in tables of over a million rows.
    pub repeated_rows: Option<u64>,
    /// The columns.
    pub columns: Vec<ColumnSurvey>,
    /// Columns that are missing together.
    pub patterns: Vec<Pattern>,
    /// Rows with a missing cell that no pattern tells of.
    pub patterns_left_out: u64,
    /// How columns hang together, strongest first.
    pub associations: Vec<Association>,
    /// Rows that associations were found on.
    pub sampled_rows: u64,
    /// The targets.
    pub targets: Vec<TargetSurvey>,
    /// Sensitive columns by target.
    pub groups: Vec<GroupSurvey>,
    /// What looked odd when the table was opened.
    pub warnings: Vec<String>,
}

/// What is asked beside the table itself.
#[derive(Clone, Debug, Default)]
pub struct Looked<'a> {
    /// Columns to be predicted.
    pub targets: &'a [String],
    /// Columns whose groups are compared.
    pub sensitive: &'a [String],
    /// Columns that are not looked at.
    pub ignore: &'a [String],
}

/// Looks at a table once, from its first row to its last. `progress` hears how many rows were read.
///
/// # Errors
/// When the table cannot be read, or a column that is named is not there.
pub fn survey(input: &Input, options: &ReadOptions, looked: &Looked<'_>, progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<Survey> {
    let mut stream = stream(input, options, CHUNK)?;
    let (format, total) = (stream.format().to_owned(), stream.total());
    let first = stream.next().transpose()?.ok_or_else(|| crate::formats::no_rows(&input.name(), &Skipped::default()))?;
    check_names(looked, &first)?;
    let mut pass = Pass::begin(&first, looked);
    let mut next = Some(first);
    while let Some(chunk) = next {
        pass.absorb(&chunk);
        progress(pass.rows, total);
        next = stream.next().transpose()?;
    }
    let mut survey = pass.end();
    (survey.name, survey.format, survey.skipped) = (input.name(), format, stream.skipped().count);
    survey.warnings = stream.warnings().to_vec();
    Ok(survey)
}

fn check_names(looked: &Looked<'_>, chunk: &Chunk) -> Result<()> {
    for (key, names) in [("target", looked.targets), ("sensitive", looked.sensitive), ("ignore", looked.ignore)] {
        for name in names {
            if chunk.columns.get(name).is_none() {
                let error = crate::Error::setting(key, format!("{name}, which is not there"), "a column of the table");
                let all = || format!("the columns are {}", chunk.columns.names().take(20).collect::<Vec<_>>().join(", "));
                let near = nearest(name, chunk.columns.names()).map(|near| format!("did you mean {near}?"));
                return Err(error.with_hint(near.unwrap_or_else(all)));
            }
        }
    }
    Ok(())
}

struct Pass {
    columns: Vec<Passing>,
    sample: Sample,
    patterns: Patterns,
    crossings: Vec<Crossing>,
    targets: Vec<usize>,
    /// Hashes of the rows seen, while they are counted.
    seen: Option<HashSet<u64>>,
    repeated: u64,
    rows: u64,
    sampled: u64,
}

impl Pass {
    fn begin(first: &Chunk, looked: &Looked<'_>) -> Pass {
        let kept: Vec<(&Arc<str>, &Column)> = first.columns.iter().filter(|(name, _)| !is_in(looked.ignore, name)).collect();
        let slots = (SAMPLE_CELLS / kept.len().max(1)).clamp(500, SAMPLE_ROWS);
        let begin = |(name, column): &(&Arc<str>, &Column)| Passing::begin(name, column, is_in(looked.targets, name), &first.places, slots);
        let columns: Vec<Passing> = kept.par_iter().map(begin).collect();
        let place = |name: &String| columns.iter().position(|column| *column.name == **name);
        let targets: Vec<usize> = looked.targets.iter().filter_map(place).collect();
        let mut crossings = Vec::new();
        for group in looked.sensitive.iter().filter_map(place) {
            let distinct = columns[group].inferred.as_ref().map_or(0, |inferred| inferred.distinct);
            let first = columns[group].is_numeric().then(|| (first_numbers(&columns[group], first), distinct));
            let crossing = |target: Option<usize>| {
                let is_number = target.is_some_and(|target| columns[target].is_numeric());
                Crossing::new(group, target, is_number, first.clone())
            };
            match targets.is_empty() {
                true => crossings.push(crossing(None)),
                false => crossings.extend(targets.iter().map(|target| crossing(Some(*target)))),
            }
        }
        Pass {
            sample: Sample::new(slots),
            patterns: Patterns::default(),
            crossings,
            targets,
            seen: Some(HashSet::new()),
            repeated: 0,
            rows: 0,
            sampled: first.columns.rows() as u64,
            columns,
        }
    }

    fn absorb(&mut self, chunk: &Chunk) {
        let rows = chunk.columns.rows();
        let taken = self.sample.take(rows);
        let (mut whole, mut gaps) = (vec![1u64; rows], vec![2u64; rows]);
        let watched: Vec<usize> = self.crossings.iter().flat_map(|crossing| [Some(crossing.group), crossing.target]).flatten().collect();
        let mut kept: Vec<(usize, Seen)> = Vec::new();
        for (block, columns) in self.columns.chunks_mut(BLOCK).enumerate() {
            let look = |column: &mut Passing| match chunk.columns.get(&column.name) {
                Some(cells) => column.absorb(cells, &chunk.places, &taken),
                None => Seen { keys: vec![0; rows], numbers: vec![f64::NAN; rows] },
            };
            let seen: Vec<Seen> = columns.par_iter_mut().map(look).collect();
            for (place, seen) in seen.into_iter().enumerate() {
                let column = block * BLOCK + place;
                for ((whole, gaps), &key) in whole.iter_mut().zip(&mut gaps).zip(&seen.keys) {
                    *whole = Draw::value(*whole, key);
                    if key == 0 {
                        *gaps = Draw::value(*gaps, column as u64);
                    }
                }
                if watched.contains(&column) {
                    kept.push((column, seen));
                }
            }
        }
        self.count_gaps(&gaps, chunk);
        self.count_repeats(&whole);
        for crossing in &mut self.crossings {
            let of = |column: usize| kept.iter().find(|(known, _)| *known == column).map(|(_, seen)| seen);
            let (Some(group), target) = (of(crossing.group), crossing.target.and_then(of)) else { continue };
            for row in 0..rows {
                let target = target.map(|target| (target.keys[row], target.numbers[row]));
                crossing.add(group.keys[row], group.numbers[row], target);
            }
        }
        self.rows += rows as u64;
    }

    fn count_gaps(&mut self, gaps: &[u64], chunk: &Chunk) {
        let columns = &self.columns;
        for (row, &hash) in gaps.iter().enumerate() {
            self.patterns.add(hash, || {
                let is_missing = |column: &Passing| match chunk.columns.get(&column.name) {
                    Some(Column::Array(array)) => is_missing(array, row),
                    Some(_) => false,
                    None => true,
                };
                (0u32..).zip(columns).filter(|(_, column)| is_missing(column)).map(|(place, _)| place).collect()
            });
        }
    }

    fn count_repeats(&mut self, whole: &[u64]) {
        if let Some(seen) = &mut self.seen {
            self.repeated += whole.iter().filter(|hash| !seen.insert(**hash)).count() as u64;
        }
        if self.seen.as_ref().is_some_and(|seen| seen.len() > REPEATED_MAX) {
            self.seen = None;
        }
    }

    fn end(self) -> Survey {
        let names: Vec<Arc<str>> = self.columns.iter().map(|column| column.name.clone()).collect();
        let (patterns, patterns_left_out) = self.patterns.most(PATTERNS, &names);
        let rows = self.rows;
        let groups = self.crossings.iter().map(|crossing| crossing.end(&self.columns, rows)).collect();
        let associations = self.associations();
        let sampled_rows = self.sample.len() as u64;
        let targets: Vec<TargetSurvey> = self
            .targets
            .iter()
            .map(|&target| {
                let column = &self.columns[target];
                groups::target(column, column.is_numeric(), rows - column.missing())
            })
            .collect();
        let repeated_rows = self.seen.is_some().then_some(self.repeated);
        let columns: Vec<ColumnSurvey> = self.columns.into_par_iter().map(|column| column.end(self.sampled)).collect();
        Survey {
            version: SURVEY_VERSION,
            name: String::new(),
            format: String::new(),
            rows,
            skipped: 0,
            missing_cells: columns.iter().map(|column| column.missing).sum(),
            repeated_rows,
            columns,
            patterns,
            patterns_left_out,
            associations,
            sampled_rows,
            targets,
            groups,
            warnings: vec![],
        }
    }

    fn associations(&self) -> Vec<Association> {
        // Targets first, so that they are among the columns whose pairs are all looked at.
        let mut order: Vec<usize> = self.targets.clone();
        order.extend((0..self.columns.len()).filter(|column| !self.targets.contains(column)));
        let sampled = |&column: &usize| {
            let passing = &self.columns[column];
            let sampled = match passing.is_numeric() {
                true => Some(Sampled::numbers(passing.sample.iter().map(|bits| f64::from_bits(*bits)).collect())),
                false => Sampled::codes(&passing.sample, CODES_MAX),
            };
            Some((passing.name.clone(), sampled?))
        };
        let columns: Vec<(Arc<str>, Sampled)> = order.par_iter().filter_map(sampled).collect();
        let targets: Vec<usize> =
            (0..columns.len()).filter(|&place| self.targets.iter().any(|&target| self.columns[target].name == columns[place].0)).collect();
        let mut found = associations(&columns, AMONG, &targets);
        found.truncate(ASSOCIATIONS);
        found
    }
}

fn is_in(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known == name)
}

fn is_missing(array: &arrow_array::ArrayRef, row: usize) -> bool {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float64Type;
    array.is_null(row) || array.as_primitive_opt::<Float64Type>().is_some_and(|numbers| numbers.value(row).is_nan())
}

fn first_numbers(column: &Passing, first: &Chunk) -> Vec<f64> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float64Type;
    let Some(Column::Array(array)) = first.columns.get(&column.name) else { return vec![] };
    match (array.as_primitive_opt::<Float64Type>(), array.as_string_opt::<i32>()) {
        (Some(numbers), _) => numbers.iter().flatten().collect(),
        (None, Some(texts)) => texts.iter().flatten().filter_map(crate::conform::number).collect(),
        (None, None) => vec![],
    }
}
