//! The rules: each puts every row of a table on a side.

use super::deal::{SIDES, allocate, balance, boundaries, deal, whole_groups};
use super::settings::{By, SplitSettings, TestRows};
use crate::cells::{Cells, Codes, MISSING, column};
use crate::conform::shown;
use cupola_task::{Batch, Dataset, Draw, Error, Field, Key, Result, Schema, Side, Task, nearest};
use serde::{Deserialize, Serialize};

/// Where each row goes, and how that was decided.
#[derive(Clone, PartialEq, Debug)]
pub struct Cut {
    /// One a row.
    pub sides: Vec<Side>,
    /// The rule; never [`By::Auto`].
    pub by: By,
    /// The column the rule looked at.
    pub key: Option<String>,
    /// Why this rule, as a fragment.
    pub reason: String,
    /// How many training, validation and test rows.
    pub counts: [u64; 3],
}

/// What `run.lock` keeps of a split.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SplitRecord {
    /// The rule.
    pub by: By,
    /// The column the rule looked at.
    pub key: Option<String>,
    /// Shares asked for.
    pub shares: [f64; 3],
    /// Training, validation and test rows.
    pub counts: [u64; 3],
    /// blake3 of the sides in row order, one byte each: 0 train, 1 valid, 2 test, 3 out.
    pub sides: String,
}

impl Cut {
    /// What `run.lock` keeps.
    pub fn record(&self, settings: &SplitSettings) -> SplitRecord {
        let bytes: Vec<u8> = self.sides.iter().map(|side| SIDES.iter().position(|known| known == side).unwrap_or(3) as u8).collect();
        SplitRecord {
            by: self.by,
            key: self.key.clone(),
            shares: settings.shares,
            counts: self.counts,
            sides: blake3::hash(&bytes).to_hex().to_string(),
        }
    }
}

/// Puts every row on a side. `draw` is the run's draw for the split.
///
/// # Errors
/// When there is no row, the key column is unknown or of a kind the rule cannot use, a cell of it is missing where the
/// rule needs it, or no row would teach.
pub fn sides(table: &dyn Dataset, settings: &SplitSettings, draw: Draw) -> Result<Cut> {
    let rows: Vec<u64> = (0..table.len()).collect();
    let batch = table.read(&rows, Draw::default())?;
    let (by, key, mut reason) = resolve(table.schema(), settings)?;
    let source = Source { schema: table.schema(), batch: &batch, rows: rows.len(), shares: settings.shares, draw };
    let sides = match (by, &key) {
        (By::Stratified, _) => source.stratified()?,
        (By::Hash, key) => source.hash(key.as_deref())?,
        (By::Group, Some(key)) => source.group(key)?,
        (By::Time, Some(key)) => source.time(key)?,
        (By::Column, Some(key)) => match settings.laid_out {
            Some(test) => {
                let sides;
                (sides, reason) = source.laid_out(key, test)?;
                sides
            }
            None => source.column(key, settings.shares[2] == 0.0)?,
        },
        _ => source.random(),
    };
    let counts = count(&sides)?;
    Ok(Cut { sides, by, key, reason, counts })
}

/// How many rows teach, choose and measure; an error when none teaches.
pub(super) fn count(sides: &[Side]) -> Result<[u64; 3]> {
    let counts = SIDES.map(|side| sides.iter().filter(|&&of| of == side).count() as u64);
    if counts[0] == 0 {
        let found = format!("0 of {} rows on the training side", sides.len());
        return Err(Error::input("split", found, "at least one").with_hint("choose another data.split.by or data.split.ratio"));
    }
    Ok(counts)
}

fn resolve(schema: &Schema, settings: &SplitSettings) -> Result<(By, Option<String>, String)> {
    let of = |key| schema.keys(key).next().map(|field| field.name.to_string());
    if settings.by == By::Auto {
        return Ok(automatic(schema, of));
    }
    let key = match settings.by {
        By::Group => settings.key.clone().or_else(|| of(Key::Group)),
        By::Time => settings.key.clone().or_else(|| of(Key::Time)),
        By::Hash => settings.key.clone().or_else(|| of(Key::Id)),
        By::Column => settings.key.clone(),
        By::Auto | By::Random | By::Stratified => None,
    };
    let needs_key = matches!(settings.by, By::Group | By::Time | By::Column);
    match key {
        None if needs_key => {
            let wanted = format!("the name of a column to split by {}", settings.by.word());
            Err(Error::setting("data.split.key", "nothing", wanted).with_hint("write data.split.key=COLUMN"))
        }
        key => Ok((settings.by, key, "the recipe says so".into())),
    }
}

fn automatic(schema: &Schema, of: impl Fn(Key) -> Option<String>) -> (By, Option<String>, String) {
    if let Some(group) = of(Key::Group) {
        let reason = format!("rows of one {group} belong together");
        return (By::Group, Some(group), reason);
    }
    if let Some(time) = of(Key::Time) {
        let reason = format!("{time} orders the rows in time");
        return (By::Time, Some(time), reason);
    }
    match schema.targets().find(|(_, task)| *task == Task::Classify) {
        Some((field, _)) => (By::Stratified, None, format!("each class of {} keeps its share on every side", field.name)),
        None => (By::Random, None, "rows are independent as far as the schema shows".into()),
    }
}

struct Source<'a> {
    schema: &'a Schema,
    batch: &'a Batch,
    rows: usize,
    shares: [f64; 3],
    draw: Draw,
}

impl<'a> Source<'a> {
    fn cells(&self, name: &str) -> Result<Cells<'a>> {
        let (Some(field), Some(cells)) = (self.schema.field(name), column(self.batch, name)) else {
            let found = match self.schema.field(name) {
                Some(_) => format!("the ignored column {name}"),
                None => format!("an unknown column {name}"),
            };
            let error = Error::setting("data.split.key", found, "a column of the table");
            return Err(match nearest(name, self.schema.names().filter(|known| *known != name)) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error.with_hint(format!("columns: {}", self.schema.names().take(20).collect::<Vec<_>>().join(", "))),
            });
        };
        Cells::open(field, cells)
    }

    fn random(&self) -> Vec<Side> {
        let [train, valid, _] = allocate(self.rows, self.shares);
        let mut sides = vec![Side::Test; self.rows];
        for (place, row) in self.draw.permutation(self.rows as u64).into_iter().enumerate() {
            if place < train + valid {
                sides[row as usize] = if place < train { Side::Train } else { Side::Valid };
            }
        }
        sides
    }

    fn stratified(&self) -> Result<Vec<Side>> {
        if self.classes().is_none() {
            let error = Error::setting("data.split.by", "stratified without a target of classes", "a classification target");
            return Err(error.with_hint("use data.split.by=random"));
        }
        Ok(deal(&self.strata(|_| true)?, self.rows, self.shares))
    }

    /// The first target of classes.
    fn classes(&self) -> Option<&'a Field> {
        self.schema.targets().find(|(_, task)| *task == Task::Classify).map(|(field, _)| field)
    }

    /// The rows that `keep` accepts by class, each in random order; all together when there is no target of classes.
    fn strata(&self, keep: impl Fn(usize) -> bool) -> Result<Vec<Vec<usize>>> {
        let codes = self.classes().map(|field| self.cells(&field.name)).transpose()?.map(|cells| cells.codes());
        let count = codes.as_ref().map_or(0, |codes| codes.distinct);
        let mut strata = vec![Vec::new(); count + 1];
        for row in self.draw.permutation(self.rows as u64).into_iter().map(|row| row as usize).filter(|&row| keep(row)) {
            strata[codes.as_ref().map_or(0, |codes| (codes.code[row] as usize).min(count))].push(row);
        }
        strata.sort_by_key(|rows| (std::cmp::Reverse(rows.len()), rows.iter().min().copied()));
        Ok(strata)
    }

    /// The sides that the data's files say, and why the rest is as it is. Sides that they lack are made: validation rows measure where
    /// there are no test rows, as is the custom with ImageNet, and training rows are cut where there are no validation rows.
    fn laid_out(&self, key: &str, test: TestRows) -> Result<(Vec<Side>, String)> {
        let mut sides = self.column(key, false)?;
        let mut reason = "as the files are laid out".to_owned();
        let move_all = |sides: &mut [Side], from: Side, to: Side| {
            let moved = sides.iter_mut().filter(|side| **side == from).map(|side| *side = to).count();
            moved > 0
        };
        if test == TestRows::Given && move_all(&mut sides, Side::Test, Side::Out) {
            reason.push_str("; their test rows are left out, since there is a test file");
        }
        if test == TestRows::Cut && !sides.contains(&Side::Test) && move_all(&mut sides, Side::Valid, Side::Test) {
            reason.push_str("; without test rows, their validation rows measure");
        }
        if !sides.contains(&Side::Valid) && self.shares[1] > 0.0 {
            let strata = self.strata(|row| sides[row] == Side::Train)?;
            for (side, cut) in sides.iter_mut().zip(deal(&strata, self.rows, self.shares)).filter(|(_, cut)| *cut == Side::Valid) {
                *side = cut;
            }
            reason.push_str("; validation rows are cut from the training rows");
        }
        Ok((sides, reason))
    }

    fn group(&self, key: &str) -> Result<Vec<Side>> {
        let groups = whole_groups(&self.cells(key)?.codes());
        let wanted = self.shares.iter().filter(|share| **share > 0.0).count();
        if groups.len() < wanted {
            let found = distinct(groups.len(), "value");
            let error = Error::input(format!("column {key}"), found, format!("at least {wanted}, one group for each side"));
            return Err(error.with_hint("use data.split.by=random, or fewer shares in data.split.ratio"));
        }
        let order: Vec<usize> = self.draw.permutation(groups.len() as u64).into_iter().map(|group| group as usize).collect();
        let side_of = balance(&groups, &order, self.shares.map(|share| share * self.rows as f64));
        let mut sides = vec![Side::Out; self.rows];
        for (group, side) in groups.iter().zip(side_of) {
            group.iter().for_each(|&row| sides[row] = SIDES[side]);
        }
        Ok(sides)
    }

    fn time(&self, key: &str) -> Result<Vec<Side>> {
        let cells = self.cells(key)?;
        if matches!(cells, Cells::Texts(_)) {
            return Err(Error::input(format!("column {key}"), "texts", "dates or numbers to split by time"));
        }
        let codes = cells.codes();
        refuse_missing(key, &codes, "a time in every row")?;
        let wanted = self.shares.iter().filter(|share| **share > 0.0).count();
        if codes.distinct < wanted {
            let error = Error::input(format!("column {key}"), distinct(codes.distinct, "time"), format!("at least {wanted}"));
            return Err(error.with_hint("use data.split.by=random, or fewer shares in data.split.ratio"));
        }
        let [train, valid] = boundaries(&codes, self.shares);
        let side = |code: u32| if (code as usize) < train { 0 } else { 1 + usize::from(code as usize >= valid) };
        Ok(codes.code.iter().map(|&code| SIDES[side(code)]).collect())
    }

    fn hash(&self, key: Option<&str>) -> Result<Vec<Side>> {
        let names: Vec<&str> = match key {
            Some(key) => vec![key],
            None => self.schema.inputs().map(|field| &*field.name).collect(),
        };
        let columns = names.into_iter().map(|name| self.cells(name)).collect::<Result<Vec<_>>>()?;
        let seed = self.draw.key().to_le_bytes();
        Ok((0..self.rows).map(|row| self.side_at(fraction(seed, &columns, row))).collect())
    }

    fn side_at(&self, fraction: f64) -> Side {
        let [train, valid, test] = self.shares;
        match () {
            () if fraction < train || valid + test == 0.0 => Side::Train,
            () if fraction < train + valid || test == 0.0 => Side::Valid,
            () => Side::Test,
        }
    }

    fn column(&self, key: &str, has_test_file: bool) -> Result<Vec<Side>> {
        let cells = self.cells(key)?;
        let wanted = if has_test_file { "train, valid or out" } else { "train, valid, test or out" };
        let side = |row: usize| {
            let text = cells.text(row);
            match text.as_deref().and_then(side_of_word) {
                Some(Side::Test) if has_test_file => {
                    let error = Error::input(at(row, key), "test", wanted);
                    Err(error.with_hint("the test rows are in a file of their own; write out to leave these out"))
                }
                Some(side) => Ok(side),
                None => {
                    let found = text.map_or("nothing".to_owned(), |text| shown(&text));
                    Err(Error::input(at(row, key), found, wanted).with_hint(format!("write {wanted} into every row of the column")))
                }
            }
        };
        (0..self.rows).map(side).collect()
    }
}

/// Rows are counted from 1, as people do.
fn at(row: usize, column: &str) -> String {
    format!("row {} of column {column}", row + 1)
}

/// `3 distinct times`, `1 distinct time`.
fn distinct(count: usize, noun: &str) -> String {
    format!("{count} distinct {noun}{}", if count == 1 { "" } else { "s" })
}

/// The side that a word in a column or a record names.
pub(super) fn side_of_word(word: &str) -> Option<Side> {
    match word.trim().to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Side::Train),
        "valid" | "validation" | "val" | "dev" => Some(Side::Valid),
        "test" | "testing" | "eval" => Some(Side::Test),
        "out" => Some(Side::Out),
        _ => None,
    }
}

/// The word that files and reports have for a side; [`side_of_word`] knows it.
pub(crate) fn word_of_side(side: Side) -> &'static str {
    match side {
        Side::Train => "train",
        Side::Valid => "valid",
        Side::Test => "test",
        Side::Out => "out",
    }
}

fn refuse_missing(key: &str, codes: &Codes, wanted: &str) -> Result<()> {
    match codes.code.iter().position(|&code| code == MISSING) {
        Some(row) => Err(Error::input(at(row, key), "nothing", wanted)),
        None => Ok(()),
    }
}

/// Where a row's cells fall in [0, 1).
fn fraction(seed: [u8; 8], columns: &[Cells<'_>], row: usize) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed);
    for cells in columns {
        match cells.text(row) {
            Some(text) => hasher.update(&[1]).update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes()),
            None => hasher.update(&[0]),
        };
    }
    let head = hasher.finalize().as_bytes().first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
    (head >> 11) as f64 / (1u64 << 53) as f64
}
