//! Which rows teach, choose and measure: random, stratified, by group, by time, by hash of a key, by a column.
//!
//! `random` and `stratified` depend on the number of rows, so that adding rows moves old ones; `hash` looks at one row's
//! key only, so that an old row keeps its side for ever.

use crate::cells::{Cells, Codes, MISSING, column, fingerprints};
use cupola_task::{Batch, Dataset, Draw, Error, Key, Range, Result, Schema, Setting, Settings, Side, Task, Value, nearest};
use serde::{Deserialize, Serialize};

/// What a recipe may say in `[data.split]`.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "by",
        alias: &["method"],
        default: "auto",
        range: Range::Choice(&["auto", "random", "stratified", "group", "time", "hash", "column"]),
        doc: "How rows are put on sides. auto: by group or time where such a key exists, stratified for classes, else random.",
    },
    Setting {
        name: "key",
        alias: &[],
        default: "\"\"",
        range: Range::Text,
        doc: "The column that group, time, hash and column look at; by default the column with that role. hash without one takes all inputs.",
    },
    Setting {
        name: "ratio",
        alias: &["shares"],
        default: "[0.8, 0.1, 0.1]",
        range: Range::List(&Range::Real { min: 0.0, max: f64::MAX }),
        doc: "Shares of training, validation and test rows. Two numbers: training and test; with a test file: training and validation.",
    },
];

const SIDES: [Side; 3] = [Side::Train, Side::Valid, Side::Test];

/// How rows are put on sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// By what the schema shows.
    Auto,
    /// A keyed permutation.
    Random,
    /// Random within each class.
    Stratified,
    /// Groups stay whole.
    Group,
    /// The oldest teach, the newest measure.
    Time,
    /// By a hash of the row's key.
    Hash,
    /// As a column says.
    Column,
}

/// Where test rows come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TestRows {
    /// They are cut from the table.
    Cut,
    /// They are in a file of their own.
    Given,
}

/// A checked `[data.split]`.
#[derive(Clone, PartialEq, Debug)]
pub struct SplitSettings {
    /// How.
    pub by: By,
    /// By which column, when the recipe names one.
    pub key: Option<String>,
    /// Shares of training, validation and test rows; they add up to 1.
    pub shares: [f64; 3],
}

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

impl By {
    /// The word a recipe uses.
    pub fn word(self) -> &'static str {
        match self {
            By::Auto => "auto",
            By::Random => "random",
            By::Stratified => "stratified",
            By::Group => "group",
            By::Time => "time",
            By::Hash => "hash",
            By::Column => "column",
        }
    }

    fn open(word: &str) -> By {
        let all = [By::Random, By::Stratified, By::Group, By::Time, By::Hash, By::Column];
        all.into_iter().find(|by| by.word() == word).unwrap_or(By::Auto)
    }
}

impl SplitSettings {
    /// Reads settings that were checked against [`SETTINGS`].
    ///
    /// # Errors
    /// When the ratio has not two or three numbers, or leaves no row to teach.
    pub fn open(settings: &Settings, test: TestRows) -> Result<SplitSettings> {
        let ratio: Vec<f64> = settings.list("ratio").iter().filter_map(real).collect();
        let shares = match (ratio[..].first_chunk(), &ratio[..], test) {
            (Some(&[train, other]), [_, _], TestRows::Cut) => [train, 0.0, other],
            (Some(&[train, valid]), [_, _] | [_, _, _], TestRows::Given) => [train, valid, 0.0],
            (Some(&[train, valid]), &[_, _, test], TestRows::Cut) => [train, valid, test],
            _ => return Err(Error::setting("data.split.ratio", format!("{} numbers", ratio.len()), "two or three numbers")),
        };
        let total: f64 = shares.iter().sum();
        if !(shares[0] > 0.0 && total.is_finite()) {
            return Err(Error::setting("data.split.ratio", settings.value("ratio"), "a positive share of training rows"));
        }
        let key = Some(settings.text("key").to_owned()).filter(|key| !key.is_empty());
        let by = By::open(settings.text("by"));
        if let (By::Auto | By::Random | By::Stratified, Some(key)) = (by, &key) {
            let error =
                Error::setting("data.split.key", format!("{key} with data.split.by={}", by.word()), "by group, time, hash or column");
            return Err(error.with_hint("say what the column is for: data.split.by=group, time, hash or column"));
        }
        Ok(SplitSettings { by, key, shares: shares.map(|share| share / total) })
    }

    /// The column that the recipe names, and the role it must be given so that the split can read it and no model does.
    pub fn role(&self) -> Option<(&str, Key)> {
        let key = match self.by {
            By::Group => Key::Group,
            By::Time => Key::Time,
            By::Hash | By::Column => Key::Id,
            By::Auto | By::Random | By::Stratified => return None,
        };
        self.key.as_deref().map(|name| (name, key))
    }
}

fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Real(number) => Some(*number),
        Value::Integer(number) => Some(*number as f64),
        _ => None,
    }
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
    let (by, key, reason) = resolve(table.schema(), settings)?;
    let source = Source { schema: table.schema(), batch: &batch, rows: rows.len(), shares: settings.shares, draw };
    let sides = match (by, &key) {
        (By::Stratified, _) => source.stratified()?,
        (By::Hash, key) => source.hash(key.as_deref())?,
        (By::Group, Some(key)) => source.group(key)?,
        (By::Time, Some(key)) => source.time(key)?,
        (By::Column, Some(key)) => source.column(key)?,
        _ => source.random(),
    };
    let counts = SIDES.map(|side| sides.iter().filter(|&&of| of == side).count() as u64);
    if counts[0] == 0 {
        let found = format!("0 of {} rows on the training side", rows.len());
        return Err(Error::input("split", found, "at least one").with_hint("choose another data.split.by or data.split.ratio"));
    }
    Ok(Cut { sides, by, key, reason, counts })
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
        let Some((field, _)) = self.schema.targets().find(|(_, task)| *task == Task::Classify) else {
            let error = Error::setting("data.split.by", "stratified without a target of classes", "a classification target");
            return Err(error.with_hint("use data.split.by=random"));
        };
        let codes = self.cells(&field.name)?.codes();
        let mut strata = vec![Vec::new(); codes.distinct + 1];
        for row in self.draw.permutation(self.rows as u64) {
            strata[(codes.code[row as usize] as usize).min(codes.distinct)].push(row as usize);
        }
        strata.sort_by_key(|rows| (std::cmp::Reverse(rows.len()), rows.iter().min().copied()));
        Ok(deal(&strata, self.rows, self.shares))
    }

    fn group(&self, key: &str) -> Result<Vec<Side>> {
        let groups = whole_groups(&self.cells(key)?.codes());
        let wanted = self.shares.iter().filter(|share| **share > 0.0).count();
        if groups.len() < wanted {
            let found = format!("{} distinct values", groups.len());
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
            let error = Error::input(format!("column {key}"), format!("{} distinct times", codes.distinct), format!("at least {wanted}"));
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

    fn column(&self, key: &str) -> Result<Vec<Side>> {
        let cells = self.cells(key)?;
        (0..self.rows)
            .map(|row| {
                let text = cells.text(row).unwrap_or_default();
                match side_of_word(text.trim()) {
                    Some(Side::Test) if self.shares[2] == 0.0 => Err(Error::setting(
                        "data.split.by",
                        format!("column {key} with test rows (row {row}) and no share for them"),
                        "test rows either there or in a file of their own",
                    )),
                    Some(side) => Ok(side),
                    None => Err(Error::input(format!("column {key} in row {row}"), format!("{text:?}"), "train, valid, test or out")),
                }
            })
            .collect()
    }
}

fn side_of_word(word: &str) -> Option<Side> {
    match word.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Side::Train),
        "valid" | "validation" | "val" | "dev" => Some(Side::Valid),
        "test" | "testing" | "eval" => Some(Side::Test),
        "out" => Some(Side::Out),
        _ => None,
    }
}

fn refuse_missing(key: &str, codes: &Codes, wanted: &str) -> Result<()> {
    match codes.code.iter().position(|&code| code == MISSING) {
        Some(row) => Err(Error::input(format!("column {key} in row {row}"), "nothing", wanted)),
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

/// Whole numbers in proportion to the shares, adding up to `rows`: largest remainders, ties to the later side. Every
/// side with a share gets a row when there are enough.
fn allocate(rows: usize, shares: [f64; 3]) -> [usize; 3] {
    let quotas = shares.map(|share| share * rows as f64);
    let mut counts = quotas.map(|quota| quota.floor() as usize);
    while counts.iter().sum::<usize>() < rows {
        counts[neediest(quotas, counts)] += 1;
    }
    for side in 0..3 {
        let largest = (0..3).max_by_key(|&other| counts[other]).expect("there are three sides");
        if counts[side] == 0 && shares[side] > 0.0 && counts[largest] > 1 {
            counts[largest] -= 1;
            counts[side] += 1;
        }
    }
    counts
}

/// The side furthest below its quota, ties to the later one; a side without quota never is.
fn neediest(quotas: [f64; 3], counts: [usize; 3]) -> usize {
    let lack = |side: usize| if quotas[side] > 0.0 { quotas[side] - counts[side] as f64 } else { f64::NEG_INFINITY };
    (0..3).max_by(|&a, &b| lack(a).total_cmp(&lack(b))).expect("there are three sides")
}

/// Deals each stratum out in proportion: whole shares first, what is left to the sides that lack most so far, the
/// first row of a stratum always to training.
fn deal(strata: &[Vec<usize>], rows: usize, shares: [f64; 3]) -> Vec<Side> {
    let mut sides = vec![Side::Out; rows];
    let (mut quotas, mut counts) = ([0.0; 3], [0; 3]);
    for stratum in strata.iter().filter(|stratum| !stratum.is_empty()) {
        let share = shares.map(|share| share * stratum.len() as f64);
        let mut dealt = share.map(|quota| (quota + 1e-9).floor() as usize);
        if dealt[0] == 0 {
            dealt[0] = 1;
        }
        (0..3).for_each(|side| (quotas[side], counts[side]) = (quotas[side] + share[side], counts[side] + dealt[side]));
        while dealt.iter().sum::<usize>() < stratum.len() {
            let side = neediest(quotas, counts);
            dealt[side] += 1;
            counts[side] += 1;
        }
        let order = (0..3).flat_map(|side| std::iter::repeat_n(SIDES[side], dealt[side]));
        stratum.iter().zip(order).for_each(|(&row, side)| sides[row] = side);
    }
    sides
}

/// Rows of each group; a row without a group is a group of its own.
fn whole_groups(codes: &Codes) -> Vec<Vec<usize>> {
    let mut groups = vec![Vec::new(); codes.distinct];
    for (row, &code) in codes.code.iter().enumerate() {
        match code {
            MISSING => groups.push(vec![row]),
            code => groups[code as usize].push(row),
        }
    }
    groups
}

/// A side for each group: in random order to the side that lacks most rows, then a small group to each side left empty.
fn balance(groups: &[Vec<usize>], order: &[usize], quotas: [f64; 3]) -> Vec<usize> {
    let mut side_of = vec![0; groups.len()];
    let (mut counts, mut members) = ([0; 3], [0; 3]);
    for &group in order {
        let side = neediest(quotas, counts);
        side_of[group] = side;
        counts[side] += groups[group].len();
        members[side] += 1;
    }
    for side in 0..3 {
        let fullest = (0..3).max_by_key(|&other| members[other]).expect("there are three sides");
        if quotas[side] > 0.0 && members[side] == 0 && members[fullest] > 1 {
            let smallest = order.iter().copied().filter(|&group| side_of[group] == fullest).min_by_key(|&group| groups[group].len());
            side_of[smallest.expect("the fullest side has groups")] = side;
            members[fullest] -= 1;
            members[side] += 1;
        }
    }
    side_of
}

/// The first distinct time that is not training, and the first that is test; each the nearest to its share of rows that
/// leaves a time for every side.
fn boundaries(codes: &Codes, shares: [f64; 3]) -> [usize; 2] {
    let mut before = vec![0usize; codes.distinct + 1];
    codes.code.iter().for_each(|&code| before[code as usize + 1] += 1);
    (0..codes.distinct).for_each(|time| before[time + 1] += before[time]);
    let rows = codes.code.len() as f64;
    let near = |share: f64, low: usize, high: usize| {
        let distance = |time: &usize| (before[*time] as f64 - share * rows).abs();
        (low..=high).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(low)
    };
    let (has_valid, has_test) = (usize::from(shares[1] > 0.0), usize::from(shares[2] > 0.0));
    let train = near(shares[0], 1, codes.distinct - has_valid - has_test);
    let valid = match (has_valid, has_test) {
        (0, _) => train,
        (_, 0) => codes.distinct,
        _ => near(shares[0] + shares[1], train + 1, codes.distinct - 1),
    };
    [train, valid]
}

/// The rows that are left when of rows with equal inputs and targets only the first is kept: `data.clean.duplicates=drop`.
///
/// # Errors
/// When a column is not of its kind.
pub fn distinct_rows(table: &dyn Dataset) -> Result<Vec<u64>> {
    let rows: Vec<u64> = (0..table.len()).collect();
    let batch = table.read(&rows, Draw::default())?;
    let schema = table.schema();
    let fields = schema.inputs().chain(schema.targets().map(|(field, _)| field));
    let codes = fields
        .filter_map(|field| column(&batch, &field.name).map(|cells| Ok(Cells::open(field, cells)?.codes())))
        .collect::<Result<Vec<_>>>()?;
    let prints = fingerprints(rows.len(), codes.iter());
    let mut seen = std::collections::HashSet::new();
    Ok(rows.into_iter().filter(|&row| seen.insert(prints[row as usize])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::tests::{classes, dates, numbers, table};
    use cupola_task::{Fault, Role, Table};
    use expect_test::expect;
    use proptest::prelude::*;

    fn settings(given: &[(&str, &str)], test: TestRows) -> Result<SplitSettings> {
        let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
        SplitSettings::open(&Settings::check("data.split", SETTINGS, values.iter().map(|(name, value)| (*name, value)))?, test)
    }

    fn cut(table: &Table, given: &[(&str, &str)]) -> Result<Cut> {
        sides(table, &settings(given, TestRows::Cut)?, Draw::new(7).stream("split"))
    }

    fn people(rows: usize) -> Table {
        let cycle = |words: &[&str]| classes((0..rows).map(|row| words[row % words.len()].to_owned()));
        table(vec![
            ("x", Role::Input, numbers((0..rows).map(|row| row as f64))),
            ("person", Role::Key(Key::Group), cycle(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"])),
            ("day", Role::Key(Key::Time), dates((0..rows).map(|row| Some((row as i64 * 7919 % 50) * 86_400_000_000)))),
            ("side", Role::Key(Key::Id), cycle(&["train", "Training", "dev", "test", "out"])),
            (
                "y",
                Role::Target(Task::Classify),
                classes((0..rows).map(|row| {
                    if row == 3 {
                        "rare"
                    } else if row % 4 == 0 {
                        "yes"
                    } else {
                        "no"
                    }
                })),
            ),
        ])
    }

    #[test]
    fn every_rule_meets_its_shares() {
        let table = people(1000);
        for (by, slack) in [("random", 0), ("stratified", 1), ("group", 95), ("time", 15), ("hash", 40)] {
            let cut = cut(&table, &[("by", by), ("key", if by == "hash" { "x" } else { "" })]).unwrap();
            assert_eq!(cut.by.word(), by);
            for (count, wanted) in cut.counts.into_iter().zip([800u64, 100, 100]) {
                assert!(count.abs_diff(wanted) <= slack, "{by}: {:?}", cut.counts);
            }
        }
        let by_column = cut(&table, &[("by", "column"), ("key", "side")]).unwrap();
        assert_eq!(by_column.counts, [400, 200, 200]);
        assert_eq!(by_column.sides[..5], [Side::Train, Side::Train, Side::Valid, Side::Test, Side::Out]);
        let given = settings(&[("by", "random")], TestRows::Given).unwrap();
        assert_eq!(sides(&table, &given, Draw::new(1)).unwrap().counts, [889, 111, 0]);
    }

    #[test]
    fn groups_stay_whole_times_in_order_classes_in_proportion() {
        let table = people(1000);
        let group = cut(&table, &[]).unwrap();
        assert_eq!((group.by, group.key.as_deref(), &*group.reason), (By::Group, Some("person"), "rows of one person belong together"));
        assert!((0..1000).all(|row| group.sides[row] == group.sides[row % 11]));
        let time = cut(&table, &[("by", "time")]).unwrap();
        let days = |side| (0..1000).filter(|&row| time.sides[row] == side).map(|row| row * 7919 % 50).collect::<Vec<_>>();
        let [train, valid, test] = SIDES.map(days);
        assert!(train.iter().max() < valid.iter().min() && valid.iter().max() < test.iter().min());
        let strata = cut(&table, &[("by", "stratified")]).unwrap();
        assert_eq!(strata.sides[3], Side::Train, "a class of one row teaches");
        let yes = |side| (0..1000).filter(|&row| row % 4 == 0 && strata.sides[row] == side).count();
        assert_eq!(SIDES.map(yes), [200, 25, 25]);
    }

    #[test]
    fn few_rows_still_fill_every_side() {
        for by in ["random", "group", "time"] {
            assert_eq!(cut(&people(3), &[("by", by)]).unwrap().counts, [1, 1, 1], "{by}");
        }
        assert_eq!(cut(&people(10), &[("by", "stratified")]).unwrap().counts, [8, 1, 1]);
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let mut found = String::new();
        for given in [
            &[("by", "group"), ("key", "persn")][..],
            &[("by", "column")],
            &[("key", "person")],
            &[("by", "column"), ("key", "person")],
            &[("by", "time"), ("key", "person")],
            &[("ratio", "[0, 1]")],
            &[("ratio", "[1, 1, 1, 1]")],
        ] {
            let error = cut(&people(30), given).unwrap_err();
            found += &format!("{error}; {}\n", error.hint().unwrap_or_default());
        }
        for rows in [0, 1] {
            let error = cut(&people(rows), &[("by", if rows == 0 { "random" } else { "group" })]).unwrap_err();
            found += &format!("{error}; {}\n", error.hint().unwrap_or_default());
        }
        expect![[r#"
            setting data.split.key: found an unknown column persn, wanted a column of the table; did you mean person?
            setting data.split.key: found nothing, wanted the name of a column to split by column; write data.split.key=COLUMN
            setting data.split.key: found person with data.split.by=auto, wanted by group, time, hash or column; say what the column is for: data.split.by=group, time, hash or column
            column person in row 0: found "a", wanted train, valid, test or out; 
            column person: found texts, wanted dates or numbers to split by time; 
            setting data.split.ratio: found [0.0, 1.0], wanted a positive share of training rows; 
            setting data.split.ratio: found 4 numbers, wanted two or three numbers; 
            split: found 0 of 0 rows on the training side, wanted at least one; choose another data.split.by or data.split.ratio
            column person: found 1 distinct values, wanted at least 3, one group for each side; use data.split.by=random, or fewer shares in data.split.ratio
        "#]].assert_eq(&found);
    }

    #[test]
    fn record_holds_the_rule_and_the_sides() {
        let given = settings(&[("by", "random")], TestRows::Cut).unwrap();
        let record = |seed| sides(&people(50), &given, Draw::new(seed)).unwrap().record(&given);
        assert_eq!(record(1), record(1));
        assert_ne!(record(1).sides, record(2).sides);
        let text = serde_json::to_string(&record(1)).unwrap();
        assert_eq!(serde_json::from_str::<SplitRecord>(&text).unwrap(), record(1));
    }

    #[test]
    fn distinct_rows_keeps_the_first_of_equals() {
        let copies = table(vec![
            ("x", Role::Input, numbers([1.0, 2.0, 1.0, 1.0, f64::NAN, f64::NAN])),
            ("y", Role::Target(Task::Classify), classes(["a", "a", "a", "b", "a", "a"])),
        ]);
        assert_eq!(distinct_rows(&copies).unwrap(), [0, 1, 3, 4]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn hash_never_moves_an_old_row(old in prop::collection::vec("[a-c]{0,3}", 30..60), new in prop::collection::vec("[a-z]{0,6}", 0..40), seed in any::<u64>()) {
            let of = |texts: Vec<String>| table(vec![("k", Role::Key(Key::Id), classes(texts))]);
            let given = settings(&[("by", "hash"), ("ratio", "[0.5, 0.25, 0.25]")], TestRows::Cut).unwrap();
            let cut = |texts| sides(&of(texts), &given, Draw::new(seed));
            if let (Ok(before), Ok(after)) = (cut(old.clone()), cut(old.iter().cloned().chain(new).collect())) {
                prop_assert_eq!(&before.sides[..], &after.sides[..old.len()]);
            }
        }
    }
}
