//! Rare classes: training rows that weigh more, come more often, or are made up between their like, so that every class counts alike.
//! Only training rows are changed; validation and test rows stay as they are.
//!
//! SMOTE is of Chawla et al.: "SMOTE: synthetic minority over-sampling technique", JAIR 2002, with its form for tables that have categories
//! as well, SMOTE-NC (section 6.1). imbalanced-learn: `RandomOverSampler`, `RandomUnderSampler`, `SMOTE`, `SMOTENC`: the same counts,
//! neighbours and formula; what is drawn is drawn otherwise.
//!
//! Differs: numbers are measured in their deviations where the preparation has not scaled them. Columns of 0 and 1 (indicators, one-hot codes)
//! stay such. A cell that is missing in one of two rows does not part them, and is taken over as it is. A class of one row is copied.

use super::category::vectors;
use super::weight::balanced;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, Float64Array, UInt32Array};
use cupola_task::{Column, Columns, Draw, Error, Field, Key, Kind, Needs, Range, Result, Role, Schema, Setting, Settings};
use rayon::prelude::*;
use std::sync::Arc;

/// What a recipe may say about it in `[data.clean]`.
pub(super) const SETTINGS: [Setting; 3] = [
    Setting {
        name: "balance",
        alias: &["class_weight"],
        default: "none",
        range: Range::Choice(&["none", "weights", "balanced", "over", "under", "smote", "focal"]),
        doc: "Training rows of rare classes. weights (or balanced): a row weighs rows / (classes * rows of its class); over: rows of rare classes are drawn again; under: of common classes only some are drawn; smote: rows are made up between a row and one of its nearest of the class (categories by majority, as SMOTE-NC); focal: rows stay, and the model makes the focal loss small (model.objective=focal), if it has one.",
    },
    Setting {
        name: "balance_ratio",
        alias: &["sampling_strategy"],
        default: "1.0",
        range: Range::Real { min: 0.001, max: 1.0 },
        doc: "With balance=over|under|smote, how many rows the rarest class has at least for each row of the most common one.",
    },
    Setting {
        name: "balance_neighbors",
        alias: &["k_neighbors"],
        default: "5",
        range: Range::Integer { min: 1, max: 1000 },
        doc: "With balance=smote, among how many nearest rows of the class the other one is drawn.",
    },
];

/// Rows of a class among which nearest ones are sought, at most: the search takes their number times that of the rows made up.
const CANDIDATES_MAX: usize = 20_000;
/// Rows that balancing may lead to, at most, for each row there was.
const GROWTH_MAX: usize = 50;

/// The training rows as a model is to see them.
///
/// # Errors
/// When no target has classes, or rows cannot be made up of such columns.
pub(super) fn apply(settings: &Settings, needs: Needs, schema: &mut Schema, columns: Columns, draw: Draw) -> Result<Columns> {
    let method = settings.text("balance");
    if method == "none" {
        return Ok(columns);
    }
    let Some((classes, target)) = schema.targets().find_map(|(field, _)| Some((field.kind.classes()?.len(), field.name.clone()))) else {
        let error = Error::setting("data.clean.balance", method, "none, for no target has classes");
        return Err(error.with_hint("leave it out"));
    };
    let codes: Vec<Option<u32>> = columns.array(&target)?.as_primitive::<UInt32Type>().iter().collect();
    if method == "focal" {
        // The model's loss does it.
        return Ok(columns);
    }
    if method == "weights" || method == "balanced" {
        return weigh(schema, columns, &codes, classes);
    }
    let mut rows_of = vec![Vec::new(); classes];
    codes.iter().zip(0u64..).filter_map(|(code, row)| Some(((*code)?, row))).for_each(|(code, row)| rows_of[code as usize].push(row));
    let ratio = settings.real("balance_ratio");
    let draw = draw.stream("balance");
    match method {
        "under" => Ok(columns.take(&under(&rows_of, codes.len() as u64, ratio, draw))),
        "over" => {
            let more = more(&rows_of, codes.len(), ratio)?;
            let drawn = rows_of.iter().zip(&more).zip(0..).flat_map(|((rows, &more), class)| {
                (0..more as u64).map(move |place| rows[draw.at(class).below(place, rows.len() as u64) as usize])
            });
            Ok(columns.take(&(0..codes.len() as u64).chain(drawn).collect::<Vec<_>>()))
        }
        _ => {
            let more = more(&rows_of, codes.len(), ratio)?;
            let neighbours = settings.integer("balance_neighbors") as usize;
            let sight = Sight::of(schema, &columns, needs)?;
            let mut made = Vec::new();
            for ((rows, &more), class) in rows_of.iter().zip(&more).zip(0..) {
                made.extend(sight.make(rows, more, neighbours, draw.at(class)));
            }
            sight.with_rows(&columns, codes.len(), &made)
        }
    }
}

/// Multiplies the weights, or makes some.
fn weigh(schema: &mut Schema, mut columns: Columns, codes: &[Option<u32>], classes: usize) -> Result<Columns> {
    let known = schema.keys(Key::Weight).next().map(|field| field.name.clone());
    let weights = match &known {
        Some(name) => {
            let array = columns.array(name)?;
            let wrong = || Error::input(format!("weight {name}"), array.data_type(), "numbers");
            Some(array.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?.clone())
        }
        None => None,
    };
    let name = known.unwrap_or_else(|| {
        let mut name = "class_weight".to_owned();
        while schema.field(&name).is_some() {
            name.push('\'');
        }
        let field = Field { name: name.as_str().into(), kind: Kind::Number, role: Role::Key(Key::Weight) };
        schema.fields.push(field);
        name.into()
    });
    columns.insert(name, Column::Array(balanced(codes, classes, weights.as_ref())));
    Ok(columns)
}

/// How many rows each class is to get besides: as imbalanced-learn counts, `ratio` times the most common class, rounded down.
fn more(rows_of: &[Vec<u64>], rows: usize, ratio: f64) -> Result<Vec<usize>> {
    let most = rows_of.iter().map(Vec::len).max().unwrap_or(0);
    let goal = (most as f64 * ratio) as usize;
    let more: Vec<usize> = rows_of.iter().map(|rows| if rows.is_empty() { 0 } else { goal.saturating_sub(rows.len()) }).collect();
    let total = more.iter().sum::<usize>();
    if total > rows.saturating_mul(GROWTH_MAX) {
        let (found, wanted) = (format!("{ratio}"), format!("fewer than {GROWTH_MAX} new rows for each of {rows}, not {total}"));
        return Err(Error::setting("data.clean.balance_ratio", found, wanted).with_hint("balance=weights adds no rows"));
    }
    Ok(more)
}

/// The rows that stay, in their order: of each class as many as the rarest has, divided by `ratio` and rounded down.
fn under(rows_of: &[Vec<u64>], rows: u64, ratio: f64, draw: Draw) -> Vec<u64> {
    let least = rows_of.iter().map(Vec::len).filter(|&count| count > 0).min().unwrap_or(0);
    let goal = (least as f64 / ratio) as usize;
    let mut goes = vec![false; rows as usize];
    for (rows, class) in rows_of.iter().zip(0..) {
        if rows.len() > goal {
            let order = draw.at(class).permutation(rows.len() as u64);
            order[goal..].iter().for_each(|&place| goes[rows[place as usize] as usize] = true);
        }
    }
    (0..rows).filter(|&row| !goes[row as usize]).collect()
}

/// A row made up: between a row and another, and the rows whose majority says its categories.
#[derive(Clone, Debug, PartialEq)]
struct Made {
    from: u64,
    to: u64,
    step: f64,
    neighbours: Arc<[u64]>,
}

/// Where a prepared column's cells are seen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// As one of the numbers.
    Number(usize),
    /// As one of the categories.
    Category(usize),
    /// As some of the numbers.
    Numbers(usize, usize),
    /// As one of the categories: its vectors have a single 1, or none.
    Onehot(usize, usize),
}

/// Prepared inputs as SMOTE sees them.
struct Sight {
    places: Vec<(Arc<str>, Place)>,
    /// Column by column, NaN where missing.
    numbers: Vec<Vec<f64>>,
    /// What each column of numbers is multiplied by when distances are measured.
    scales: Vec<f64>,
    /// Column by column, none where missing.
    categories: Vec<Vec<Option<u32>>>,
}

impl Sight {
    fn of(schema: &Schema, columns: &Columns, needs: Needs) -> Result<Sight> {
        let mut sight = Sight { places: vec![], numbers: vec![], scales: vec![], categories: vec![] };
        for field in schema.inputs() {
            let place = match &field.kind {
                Kind::Number => {
                    let array = columns.array(&field.name)?.as_primitive::<Float64Type>();
                    sight.number(array.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
                }
                Kind::Category { .. } => {
                    sight.categories.push(columns.array(&field.name)?.as_primitive::<UInt32Type>().iter().collect());
                    Place::Category(sight.categories.len() - 1)
                }
                Kind::Vector { width } => {
                    let list = columns.array(&field.name)?.as_fixed_size_list();
                    sight.vector(list.values().as_primitive::<Float32Type>().values(), *width)
                }
                other => {
                    let error = Error::setting(
                        "data.clean.balance",
                        "smote",
                        format!("over|under|weights, for column {} is {}", field.name, other.word()),
                    );
                    return Err(error.with_hint("no rows can be made up between such cells"));
                }
            };
            sight.places.push((field.name.clone(), place));
        }
        // Dense models have numbers scaled already, unless the recipe says otherwise, and then it means that.
        let scale = |values: &Vec<f64>| if needs == Needs::Dense { 1.0 } else { inverse(deviation(values.iter().copied())) };
        sight.scales = sight.numbers.par_iter().map(scale).collect();
        Ok(sight)
    }

    fn number(&mut self, values: Vec<f64>) -> Place {
        if values.iter().all(|value| *value == 0.0 || *value == 1.0) {
            self.categories.push(values.iter().map(|value| Some(*value as u32)).collect());
            return Place::Category(self.categories.len() - 1);
        }
        self.numbers.push(values);
        Place::Number(self.numbers.len() - 1)
    }

    fn vector(&mut self, flat: &[f32], width: usize) -> Place {
        let is_code = |row: &[f32]| row.iter().all(|value| *value == 0.0 || *value == 1.0) && row.iter().sum::<f32>() <= 1.0;
        if flat.chunks_exact(width).all(is_code) {
            let code = |row: &[f32]| row.iter().position(|value| *value == 1.0).map(|place| place as u32);
            self.categories.push(flat.chunks_exact(width).map(code).collect());
            return Place::Onehot(self.categories.len() - 1, width);
        }
        let first = self.numbers.len();
        self.numbers.extend((0..width).map(|place| flat.iter().skip(place).step_by(width).map(|&value| f64::from(value)).collect()));
        Place::Numbers(first, width)
    }

    /// Makes up rows of a class.
    fn make(&self, rows: &[u64], count: usize, neighbours: usize, draw: Draw) -> Vec<Made> {
        let neighbours = neighbours.min(rows.len().saturating_sub(1));
        let drawn = |place: u64| draw.below(2 * place, (rows.len() * neighbours.max(1)) as u64) as usize;
        let pairs: Vec<(usize, usize)> =
            (0..count as u64).map(drawn).map(|pair| (pair / neighbours.max(1), pair % neighbours.max(1))).collect();
        let mut asked: Vec<usize> = pairs.iter().map(|(row, _)| *row).collect();
        asked.sort_unstable();
        asked.dedup();
        let candidates: Vec<u64> = match rows.len() > CANDIDATES_MAX {
            false => rows.to_vec(),
            true => {
                let mut places = draw.stream("candidates").permutation(rows.len() as u64);
                places.truncate(CANDIDATES_MAX);
                places.sort_unstable();
                places.into_iter().map(|place| rows[place as usize]).collect()
            }
        };
        let ruler = Ruler::new(self, rows, &candidates);
        let found: Vec<Arc<[u64]>> = asked.par_iter().map(|&row| ruler.nearest(rows[row], neighbours).into()).collect();
        let made = |(place, (row, neighbour)): (usize, &(usize, usize))| {
            let neighbours = &found[asked.binary_search(row).expect("every drawn row was asked for")];
            let to = neighbours.get(*neighbour).copied().unwrap_or(rows[*row]);
            Made { from: rows[*row], to, step: draw.uniform(2 * place as u64 + 1), neighbours: neighbours.clone() }
        };
        pairs.iter().enumerate().map(made).collect()
    }

    /// All rows, and those made up behind them. What is no input is that of the row it begins from.
    fn with_rows(&self, columns: &Columns, rows: usize, made: &[Made]) -> Result<Columns> {
        let taken: Vec<u64> = (0..rows as u64).chain(made.iter().map(|made| made.from)).collect();
        let mut all = columns.take(&taken);
        for (name, place) in &self.places {
            let array: ArrayRef = match *place {
                Place::Number(column) => {
                    let made = made.iter().map(|made| between(&self.numbers[column], made));
                    Arc::new(self.numbers[column].iter().copied().chain(made).collect::<Float64Array>())
                }
                Place::Numbers(first, width) => {
                    let old = columns.array(name)?.as_fixed_size_list().values().as_primitive::<Float32Type>().values().to_vec();
                    let columns = &self.numbers[first..first + width];
                    let new = made.iter().flat_map(|made| columns.iter().map(move |column| between(column, made) as f32));
                    vectors(width, old.into_iter().chain(new).collect())
                }
                Place::Category(column) => {
                    let codes =
                        self.categories[column].iter().copied().chain(made.iter().map(|made| majority(&self.categories[column], made)));
                    match columns.array(name)?.as_primitive_opt::<UInt32Type>() {
                        Some(_) => Arc::new(codes.collect::<UInt32Array>()),
                        None => Arc::new(codes.map(|code| code.map(f64::from)).collect::<Float64Array>()),
                    }
                }
                Place::Onehot(column, width) => {
                    let mut values = vec![0f32; (rows + made.len()) * width];
                    let codes =
                        self.categories[column].iter().copied().chain(made.iter().map(|made| majority(&self.categories[column], made)));
                    for (row, code) in values.chunks_exact_mut(width).zip(codes) {
                        if let Some(code) = code {
                            row[code as usize] = 1.0;
                        }
                    }
                    vectors(width, values)
                }
            };
            all.insert(name.clone(), Column::Array(array));
        }
        Ok(all)
    }
}

/// A number on the way from one row to another.
fn between(values: &[f64], made: &Made) -> f64 {
    let (from, to) = (values[made.from as usize], values[made.to as usize]);
    let value = from + made.step * (to - from);
    if value.is_finite() { value } else { from }
}

/// The class that most neighbours have; of equally frequent ones the row's own, else the first.
fn majority(codes: &[Option<u32>], made: &Made) -> Option<u32> {
    let own = codes[made.from as usize];
    let mut seen: Vec<(Option<u32>, usize)> = vec![];
    for &row in &*made.neighbours {
        let code = codes[row as usize];
        match seen.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => seen.push((code, 1)),
        }
    }
    let most = seen.iter().map(|(_, count)| *count).max();
    let best = seen.into_iter().filter(|(_, count)| Some(*count) == most).map(|(code, _)| code);
    best.min_by_key(|code| (*code != own, *code)).unwrap_or(own)
}

/// Distances within a class.
struct Ruler<'a> {
    sight: &'a Sight,
    candidates: &'a [u64],
    /// What a different category adds to a squared distance: the square of the median deviation of the class's numbers.
    apart: f64,
}

impl<'a> Ruler<'a> {
    fn new(sight: &'a Sight, rows: &[u64], candidates: &'a [u64]) -> Ruler<'a> {
        let of_class = |(values, scale): (&Vec<f64>, &f64)| scale * deviation(rows.iter().map(|&row| values[row as usize]));
        let mut deviations: Vec<f64> = sight.numbers.iter().zip(&sight.scales).map(of_class).collect();
        deviations.sort_by(f64::total_cmp);
        let half = deviations.len() / 2;
        let median = match deviations.len() {
            // Where there are no numbers, categories are all there is to measure.
            0 => 1.0,
            odd if odd % 2 == 1 => deviations[half],
            _ => (deviations[half - 1] + deviations[half]) / 2.0,
        };
        Ruler { sight, candidates, apart: median * median }
    }

    /// The nearest other rows, the nearest first; of equally near ones the first.
    fn nearest(&self, row: u64, count: usize) -> Vec<u64> {
        let mut squares = vec![0.0; self.candidates.len()];
        for (values, scale) in self.sight.numbers.iter().zip(&self.sight.scales) {
            let own = values[row as usize];
            for (square, &other) in squares.iter_mut().zip(self.candidates) {
                let apart = scale * (values[other as usize] - own);
                *square += if apart.is_nan() { 0.0 } else { apart * apart };
            }
        }
        for codes in &self.sight.categories {
            let own = codes[row as usize];
            for (square, &other) in squares.iter_mut().zip(self.candidates) {
                *square += if codes[other as usize] == own { 0.0 } else { self.apart };
            }
        }
        let mut order: Vec<usize> = (0..self.candidates.len()).filter(|&place| self.candidates[place] != row).collect();
        let by = |a: &usize, b: &usize| squares[*a].total_cmp(&squares[*b]).then(a.cmp(b));
        if order.len() > count && count > 0 {
            order.select_nth_unstable_by(count - 1, by);
        }
        order.truncate(count);
        order.sort_unstable_by(by);
        order.into_iter().map(|place| self.candidates[place]).collect()
    }
}

/// The deviation of all that is there.
fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let known = values.filter(|value| value.is_finite());
    let count = known.clone().count().max(1) as f64;
    let mean = known.clone().sum::<f64>() / count;
    (known.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt()
}

fn inverse(deviation: f64) -> f64 {
    if deviation > 0.0 && deviation.is_finite() { 1.0 / deviation } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::{Task, Value};
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        numbers: Vec<Vec<f64>>,
        categories: Vec<Vec<u32>>,
        y: Vec<u32>,
        ratio: f64,
        neighbours: usize,
        /// Rows of each class after `over` and `smote`, and after `under`.
        over: Vec<usize>,
        under: Vec<usize>,
        /// For each rare class its rows' nearest, row by row, by their numbers in the class.
        nearest: Vec<(u32, Vec<Vec<usize>>)>,
        made: Vec<Wanted>,
    }

    /// A row made up; `row` and `neighbour` by their numbers in the class and among the nearest.
    #[derive(Deserialize)]
    struct Wanted {
        class: u32,
        row: usize,
        neighbour: usize,
        step: f64,
        numbers: Vec<f64>,
        categories: Vec<u32>,
    }

    fn cases() -> Vec<Case> {
        serde_json::from_str(include_str!("../../parity/balance.json")).unwrap()
    }

    fn table(case: &Case) -> (Schema, Columns) {
        let mut fields = vec![];
        let mut columns = vec![];
        let classes =
            |values: &[u32]| -> Arc<[Arc<str>]> { (0..=*values.iter().max().unwrap()).map(|code| code.to_string().into()).collect() };
        let mut add = |name: String, kind, role, array: ArrayRef| {
            fields.push(Field { name: name.as_str().into(), kind, role });
            columns.push((name.as_str().into(), Column::Array(array)));
        };
        for (place, values) in case.numbers.iter().enumerate() {
            add(format!("n{place}"), Kind::Number, Role::Input, Arc::new(Float64Array::from(values.clone())));
        }
        for (place, codes) in case.categories.iter().enumerate() {
            add(format!("c{place}"), Kind::Category { classes: classes(codes) }, Role::Input, Arc::new(UInt32Array::from(codes.clone())));
        }
        let target = Arc::new(UInt32Array::from(case.y.clone()));
        add("y".into(), Kind::Category { classes: classes(&case.y) }, Role::Target(Task::Classify), target);
        (Schema { fields }, Columns::new(columns))
    }

    fn settings(given: &[(&str, Value)]) -> Settings {
        Settings::check("data.clean", &SETTINGS, given.iter().map(|(name, value)| (*name, value))).unwrap()
    }

    fn counts(columns: &Columns, classes: usize) -> Vec<usize> {
        let codes = columns.array("y").unwrap().as_primitive::<UInt32Type>().values().to_vec();
        (0..classes as u32).map(|class| codes.iter().filter(|code| **code == class).count()).collect()
    }

    #[test]
    fn classes_have_as_many_rows_as_in_imbalanced_learn() {
        for case in cases() {
            let (mut schema, columns) = table(&case);
            for (method, wanted) in [("over", &case.over), ("smote", &case.over), ("under", &case.under)] {
                let said = settings(&[("balance", Value::Text(method.into())), ("balance_ratio", Value::Real(case.ratio))]);
                let after = apply(&said, Needs::Dense, &mut schema, columns.clone(), Draw::new(1)).unwrap();
                assert_eq!(&counts(&after, wanted.len()), wanted, "{} {method}", case.name);
                let again = apply(&said, Needs::Dense, &mut schema, columns.clone(), Draw::new(1)).unwrap();
                assert_eq!(format!("{after:?}"), format!("{again:?}"));
                let other = apply(&said, Needs::Dense, &mut schema, columns.clone(), Draw::new(2)).unwrap();
                assert_ne!(format!("{after:?}"), format!("{other:?}"), "{} {method}", case.name);
            }
        }
    }

    #[test]
    fn neighbours_and_rows_between_them_are_those_of_imbalanced_learn() {
        for case in cases() {
            let (schema, columns) = table(&case);
            let sight = Sight::of(&schema, &columns, Needs::Dense).unwrap();
            let rows_of =
                |class: u32| -> Vec<u64> { case.y.iter().zip(0..).filter(|(code, _)| **code == class).map(|(_, row)| row).collect() };
            for (class, nearest) in &case.nearest {
                let rows = rows_of(*class);
                let ruler = Ruler::new(&sight, &rows, &rows);
                for (row, wanted) in rows.iter().zip(nearest) {
                    let wanted: Vec<u64> = wanted.iter().map(|&place| rows[place]).collect();
                    assert_eq!(ruler.nearest(*row, case.neighbours), wanted, "{} class {class} row {row}", case.name);
                }
            }
            for Wanted { class, row, neighbour, step, numbers, categories } in &case.made {
                let rows = rows_of(*class);
                let neighbours = Ruler::new(&sight, &rows, &rows).nearest(rows[*row], case.neighbours);
                let made = Made { from: rows[*row], to: neighbours[*neighbour], step: *step, neighbours: neighbours.into() };
                let after = sight.with_rows(&columns, case.y.len(), &[made]).unwrap();
                let last = after.rows() - 1;
                for (place, wanted) in numbers.iter().enumerate() {
                    let found = after.array(&format!("n{place}")).unwrap().as_primitive::<Float64Type>().value(last);
                    assert!((found - wanted).abs() < 1e-12, "{}: {found} and {wanted}", case.name);
                }
                for (place, wanted) in categories.iter().enumerate() {
                    assert_eq!(
                        after.array(&format!("c{place}")).unwrap().as_primitive::<UInt32Type>().value(last),
                        *wanted,
                        "{}",
                        case.name
                    );
                }
                assert_eq!(after.array("y").unwrap().as_primitive::<UInt32Type>().value(last), *class);
            }
        }
    }

    #[test]
    fn one_hot_codes_indicators_and_missing_cells_stay_what_they_are() {
        let vector = |width: usize| Kind::Vector { width };
        let fields = [("v", vector(3)), ("e", vector(2)), ("i", Kind::Number), ("m", Kind::Number)];
        let mut schema = Schema { fields: fields.map(|(name, kind)| Field { name: name.into(), kind, role: Role::Input }).to_vec() };
        let kind = Kind::Category { classes: ["a".into(), "b".into()].into() };
        schema.fields.push(Field { name: "y".into(), kind, role: Role::Target(Task::Classify) });
        let onehot = |row: usize| (0..3).map(move |place| f32::from(u8::from(row % 4 == place)));
        let columns = Columns::new(vec![
            ("v".into(), Column::Array(vectors(3, (0..20).flat_map(onehot).collect()))),
            ("e".into(), Column::Array(vectors(2, (0..40).map(|place| place as f32 * 0.3).collect()))),
            ("i".into(), Column::Array(Arc::new(Float64Array::from_iter_values((0..20).map(|row| f64::from(row % 2)))))),
            ("m".into(), Column::Array(Arc::new((0..20).map(|row| (row % 3 > 0).then_some(f64::from(row))).collect::<Float64Array>()))),
            ("y".into(), Column::Array(Arc::new(UInt32Array::from_iter_values((0..20).map(|row| u32::from(row < 5)))))),
        ]);
        let said = settings(&[("balance", Value::Text("smote".into()))]);
        let after = apply(&said, Needs::Native, &mut schema, columns, Draw::new(3)).unwrap();
        assert_eq!(counts(&after, 2), [15, 15]);
        let flat = |name: &str| after.array(name).unwrap().as_fixed_size_list().values().as_primitive::<Float32Type>().values().to_vec();
        assert!(flat("v").chunks(3).all(|row| row.iter().all(|value| *value == 0.0 || *value == 1.0) && row.iter().sum::<f32>() <= 1.0));
        assert!(flat("e")[40..].iter().all(|value| (0.0..=2.7).contains(value)));
        let numbers = |name: &str| after.array(name).unwrap().as_primitive::<Float64Type>().values().to_vec();
        assert!(numbers("i").iter().all(|value| *value == 0.0 || *value == 1.0));
        assert!(numbers("m")[20..].iter().all(|value| value.is_nan() || (0.0..=4.0).contains(value)));
    }

    #[test]
    fn what_cannot_be_balanced_is_refused() {
        let mut schema = Schema { fields: vec![Field { name: "y".into(), kind: Kind::Number, role: Role::Target(Task::Regress) }] };
        let said = settings(&[("balance", Value::Text("smote".into()))]);
        let error = apply(&said, Needs::Dense, &mut schema, Columns::default(), Draw::new(1)).unwrap_err();
        assert_eq!(error.to_string(), "setting data.clean.balance: found smote, wanted none, for no target has classes");
    }
}
