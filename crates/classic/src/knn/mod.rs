//! The nearest training rows, asked for their answers (Fix, Hodges 1951; Cover, Hart: "Nearest neighbor pattern classification", 1967).
//! scikit-learn: `KNeighborsClassifier` and `KNeighborsRegressor`, the same settings and answers.
//!
//! Neighbours are exact. Of equally near rows the earlier ones count. Few columns are searched by a [k-d tree](tree), more by [brute
//! force](brute). The model file holds the training rows.
//!
//! A row's weight multiplies its vote; it does not make it two rows.
//!
//! Differs: with fewer training rows than `n_neighbors` all of them answer, where scikit-learn refuses.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "knn").expect("knn is registered");
//! let value = cupola_task::Value::Integer(7);
//! let settings = cupola_task::Settings::check("model", model.settings, [("k", &value)])?;
//! assert_eq!(settings.integer("n_neighbors"), 7);
//! # Ok::<(), cupola_task::Error>(())
//! ```

mod brute;
mod metric;
mod nearest;
mod tree;

#[cfg(test)]
mod tests;

use crate::bytes::{Reader, Writer};
use crate::points::{Points, check_finite};
use crate::rows::{Target, answer_of, the_target};
use crate::solve::{Input, Taken, check_target, inputs_of, rows_with_inputs, take, width, within_memory};
use brute::Brute;
use cupola_task::{
    Ask, Columns, Cost, Error, Kind, Learner, Make, Math, ModelDef, Needs, Parts, Predictions, Predictor, Range, Result, Run, Schema,
    Setting, Settings, Source, Task, Where,
};
use metric::Metric;
use nearest::Nearest;
use rayon::prelude::*;
use std::sync::Arc;
use tree::Tree;

/// Up to so many columns a tree is quicker than all distances.
const TREE_COLUMNS_MAX: usize = 10;
/// Below so many rows there is nothing to be saved.
const TREE_ROWS_MIN: usize = 256;
/// Rows in a block of answers by a tree.
const BLOCK: usize = 32;
/// Rows to answer that lie ready at once, at most, and how many neighbours they have together.
const ROWS: usize = 4096;
const FOUND: usize = 1 << 22;
/// Most neighbours, in recipes and in model files.
const NEIGHBOURS_MAX: usize = 10_000;
/// Rows that lie sparsely are laid out in full: up to so many cells, or so many for each number that is stored.
const CELLS_MAX: usize = 1 << 24;
const CELLS_A_NUMBER: usize = 512;
const MARK: [u8; 4] = *b"CUKN";
const VERSION: u16 = 1;
const PART: &str = "model/neighbours";

/// The registry's entry.
pub(crate) const KNN: ModelDef = ModelDef {
    name: "knn",
    doc: "The nearest training rows: their classes' shares, or the mean of their numbers. The model file holds the training rows.",
    tasks: &[Task::Classify, Task::Regress],
    settings: &[
        Setting {
            name: "n_neighbors",
            alias: &["k"],
            default: "5",
            range: Range::Integer { min: 1, max: NEIGHBOURS_MAX as i64 },
            doc: "How many of the nearest training rows answer.",
        },
        Setting {
            name: "weights",
            alias: &[],
            default: "uniform",
            range: Range::Choice(&["uniform", "distance"]),
            doc: "uniform: all of them count alike; distance: each by 1 / distance, and where some are at distance 0 these alone.",
        },
        Setting {
            name: "metric",
            alias: &[],
            default: "minkowski",
            range: Range::Choice(&["minkowski", "euclidean", "manhattan", "chebyshev", "cosine"]),
            doc: "What is near: minkowski: (sum |x - y|^p)^(1/p); chebyshev: the largest difference; cosine: 1 - x y / (|x| |y|).",
        },
        Setting {
            name: "p",
            alias: &[],
            default: "2",
            range: Range::Real { min: 1.0, max: 1000.0 },
            doc: "The power of metric=minkowski: 1 is manhattan, 2 euclidean.",
        },
        Setting {
            name: "algorithm",
            alias: &[],
            default: "auto",
            range: Range::Choice(&["auto", "kd_tree", "brute"]),
            doc: "How neighbours are sought; the answers are the same. auto: kd_tree up to 10 columns, brute above, and for metric=cosine.",
        },
    ],
    needs: Needs::Dense,
    // Neighbours are found by the same sums everywhere; powers of other numbers than 1 and 2 are the system's.
    math: Math::Rounded(1e-9),
    auto: &["n_neighbors=15 weights=distance rows<=50000", "n_neighbors=5 rows<=50000"],
    make: Make::Learner(make),
    open,
};

struct Settled {
    settings: Settings,
}

fn make(settings: &Settings, schema: &Schema) -> Result<Box<dyn Learner>> {
    check_target("knn", schema, &[Task::Classify, Task::Regress], "it classifies categories and regresses numbers")?;
    if settings.text("metric") == "cosine" && settings.text("algorithm") == "kd_tree" {
        let error = Error::setting("model.algorithm", "kd_tree with metric=cosine", "auto or brute");
        return Err(error.with_hint("a tree needs distances along columns"));
    }
    Ok(Box::new(Settled { settings: settings.clone() }))
}

/// What of the settings answers need.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Way {
    metric: Metric,
    neighbours: usize,
    by_distance: bool,
    /// Whether to use a tree; none is left to what there is.
    tree: Option<bool>,
}

impl Way {
    fn of(settings: &Settings) -> Way {
        let metric = match (settings.text("metric"), settings.real("p")) {
            ("manhattan", _) | ("minkowski", 1.0) => Metric::Manhattan,
            ("euclidean", _) | ("minkowski", 2.0) => Metric::Euclidean,
            ("chebyshev", _) => Metric::Chebyshev,
            ("cosine", _) => Metric::Cosine,
            (_, p) => Metric::Minkowski(p),
        };
        let tree = match settings.text("algorithm") {
            "kd_tree" => Some(true),
            "brute" => Some(false),
            _ => None,
        };
        Way { metric, neighbours: settings.integer("n_neighbors") as usize, by_distance: settings.text("weights") == "distance", tree }
    }
}

impl Learner for Settled {
    fn cost(&self, schema: &Schema, rows: u64) -> Option<Cost> {
        let (rows, width) = (rows as f64, width(schema) as f64);
        Some(Cost { flops: rows * width * rows.max(2.0).log2(), memory_bytes: (rows * (width * 32.0 + 40.0)) as u64 })
    }

    fn fit(&mut self, source: Source<'_>, run: &Run<'_>) -> Result<Box<dyn Predictor>> {
        let (rows, keep, weights) = rows_with_inputs("knn", &source)?;
        let Source::Data { train, .. } = source else { unreachable!("rows were read from data") };
        let schema = train.data().schema();
        within_memory("memory of training rows to compare with", self.cost(schema, keep.len() as u64), run)?;
        let points = Points::new(&rows.features, &keep)?;
        let truth = match &rows.target {
            Target::Numbers(values) => Truth::Numbers(keep.iter().map(|&row| values[row]).collect()),
            Target::Classes { codes, .. } => Truth::Classes(keep.iter().map(|&row| codes[row]).collect()),
        };
        let weights = rows.weight.is_some().then_some(weights);
        Ok(Box::new(Neighbours::new(schema, Way::of(&self.settings), points, truth, weights)?))
    }
}

/// What training rows answer.
#[derive(Clone, Debug, PartialEq)]
enum Truth {
    Numbers(Vec<f64>),
    Classes(Vec<u32>),
}

enum Search {
    Tree(Tree),
    Brute(Brute),
}

/// Training rows that answer.
struct Neighbours {
    inputs: Vec<Input>,
    target: Arc<str>,
    classes: Option<Arc<[Arc<str>]>>,
    way: Way,
    points: Points,
    truth: Truth,
    weights: Option<Vec<f64>>,
    search: Search,
}

impl Neighbours {
    fn new(schema: &Schema, way: Way, points: Points, truth: Truth, weights: Option<Vec<f64>>) -> Result<Neighbours> {
        let (target, _) = the_target(schema)?;
        let width = points.width();
        let cells = points.rows().saturating_mul(width);
        let most = CELLS_MAX.max(points.stored().saturating_mul(CELLS_A_NUMBER));
        if cells > most {
            let (needs, has) = (format!("{cells} cells"), format!("{most}, for so empty columns"));
            return Err(Error::Budget { what: "training rows to compare with".into(), needs, has });
        }
        let mut rows = vec![0.0; points.rows() * width];
        let mut places = vec![0.0; width];
        for (row, out) in rows.chunks_exact_mut(width).enumerate() {
            points.write_row(row, &mut places);
            points.columns().iter().zip(&places).for_each(|(&column, value)| out[column as usize] = *value);
            if way.metric == Metric::Cosine {
                scale(out);
            }
        }
        let pays = width <= TREE_COLUMNS_MAX && points.rows() >= TREE_ROWS_MIN;
        let search = match way.metric != Metric::Cosine && way.tree.unwrap_or(pays) {
            true => Search::Tree(Tree::new(&rows, width)),
            false => Search::Brute(Brute::new(rows, width, way.metric)),
        };
        let classes = target.kind.classes().cloned();
        Ok(Neighbours { inputs: inputs_of(schema)?, target: target.name.clone(), classes, way, points, truth, weights, search })
    }

    /// The nearest points of rows that lie row by row.
    fn nearest(&self, rows: &[f64]) -> Vec<Nearest> {
        let width = self.points.width();
        let count = self.way.neighbours.min(self.points.rows());
        // A clone of one would have no room.
        let mut nearest: Vec<Nearest> = (0..rows.len() / width).map(|_| Nearest::new(count)).collect();
        match &self.search {
            Search::Brute(brute) => brute.search(rows, &mut nearest),
            Search::Tree(tree) => {
                let one = |(at, nearest): (&[f64], &mut Nearest)| tree.search(self.way.metric, at, nearest);
                match nearest.len() <= BLOCK {
                    true => rows.chunks_exact(width).zip(&mut nearest).for_each(one),
                    false => rows.par_chunks_exact(width).zip(&mut nearest).with_min_len(BLOCK).for_each(one),
                }
            }
        }
        nearest
    }

    fn answer(&self, nearest: &Nearest, out: &mut [f64]) {
        let found = nearest.found();
        let distance = |key: f64| self.way.metric.distance(key);
        let has_zero = found.iter().any(|&(key, _)| distance(key) == 0.0);
        let vote = |key: f64, point: u32| {
            let weight = self.weights.as_ref().map_or(1.0, |weights| weights[point as usize]);
            weight
                * match (self.way.by_distance, has_zero) {
                    (false, _) => 1.0,
                    (true, true) => f64::from(u8::from(distance(key) == 0.0)),
                    // The nearest is set to 1, so that far ones do not vanish.
                    (true, false) => distance(found[0].0) / distance(key),
                }
        };
        let total: f64 = found.iter().map(|&(key, point)| vote(key, point)).sum();
        match &self.truth {
            Truth::Numbers(values) => {
                out[0] = found.iter().map(|&(key, point)| vote(key, point) / total * values[point as usize]).sum();
            }
            Truth::Classes(codes) => {
                found.iter().for_each(|&(key, point)| out[codes[point as usize] as usize] += vote(key, point));
                out.iter_mut().for_each(|share| *share /= total);
            }
        }
    }

    /// Rows to answer, row by row, in the columns' order.
    fn rows(&self, taken: &[Taken<'_>], rows: std::ops::Range<usize>) -> Vec<f64> {
        let width = taken.len();
        let mut values = vec![0.0; rows.len() * width];
        for (column, taken) in taken.iter().enumerate() {
            values.iter_mut().skip(column).step_by(width).zip(rows.clone()).for_each(|(value, row)| *value = taken.value(row));
        }
        if self.way.metric == Metric::Cosine {
            values.chunks_exact_mut(width).for_each(scale);
        }
        values
    }
}

/// Scales a row to length 1; one of zeros stays.
fn scale(row: &mut [f64]) {
    let length = row.iter().fold(0.0, |sum, value| sum + value * value).sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|value| *value /= length);
    }
}

impl Predictor for Neighbours {
    fn predict(&self, inputs: &Columns, _: &Ask) -> Result<Predictions> {
        let taken = take(&self.inputs, inputs)?;
        let rows = inputs.rows();
        check_finite(&taken, &self.inputs, rows)?;
        let width = self.classes.as_ref().map_or(1, |classes| classes.len());
        let mut values = vec![0.0; rows * width];
        let at_once = (FOUND / self.way.neighbours).clamp(BLOCK, ROWS);
        for (number, out) in values.chunks_mut(at_once * width).enumerate() {
            let first = number * at_once;
            let nearest = self.nearest(&self.rows(&taken, first..first + out.len() / width));
            // Which of the points are the nearest cannot be told where powers of distances overflow.
            if let Some(row) = nearest.iter().position(|nearest| nearest.reach().is_infinite()) {
                let error =
                    Error::input(format!("row {}", first + row), "distances too large to compute with", "numbers like those of training");
                return Err(error.with_hint("columns on a common scale, or a smaller p; metric=chebyshev is what a large p comes to"));
            }
            out.par_chunks_exact_mut(width).zip(&nearest).with_min_len(512).for_each(|(out, nearest)| self.answer(nearest, out));
        }
        Ok(Predictions(vec![(self.target.clone(), answer_of(self.classes.as_ref(), values))]))
    }

    fn save(&self, parts: &mut Parts) -> Result<()> {
        let mut writer = Writer::new(MARK, VERSION);
        let (tag, p) = match self.way.metric {
            Metric::Manhattan => (0, 1.0),
            Metric::Euclidean => (1, 2.0),
            Metric::Minkowski(p) => (2, p),
            Metric::Chebyshev => (3, 0.0),
            Metric::Cosine => (4, 0.0),
        };
        writer.byte(tag);
        writer.real(p);
        writer.count(self.way.neighbours);
        writer.byte(u8::from(self.way.by_distance));
        writer.byte(self.way.tree.map_or(2, u8::from));
        self.points.write(&mut writer);
        match &self.truth {
            Truth::Numbers(values) => writer.reals(values),
            Truth::Classes(codes) => writer.wholes(codes),
        }
        writer.byte(u8::from(self.weights.is_some()));
        if let Some(weights) = &self.weights {
            writer.reals(weights);
        }
        parts.0.insert(PART.to_owned(), writer.0);
        Ok(())
    }
}

/// Opens saved ones.
///
/// # Errors
/// When the part is missing, damaged, or does not fit the schema.
fn open(parts: &Parts, schema: &Schema, _: Where) -> Result<Box<dyn Predictor>> {
    let bytes = parts.0.get(PART).ok_or_else(|| Error::input("model", format!("no part {PART}"), "training rows to compare with"))?;
    let (mut reader, _) = Reader::open(PART, bytes, MARK, VERSION)?;
    let (tag, p) = (reader.byte("the metric")?, reader.real("power")?);
    let metric = match tag {
        0 => Metric::Manhattan,
        1 => Metric::Euclidean,
        2 if p >= 1.0 => Metric::Minkowski(p),
        3 => Metric::Chebyshev,
        4 => Metric::Cosine,
        other => return Err(reader.wrong(format!("metric {other} of power {p}"), "a metric")),
    };
    let neighbours = reader.whole("neighbours")? as usize;
    let (by_distance, tree) = (reader.byte("weights")?, reader.byte("the algorithm")?);
    let points = Points::read(&mut reader, width(schema))?;
    let (truth, is_known) = match &the_target(schema)?.0.kind {
        Kind::Category { classes } => {
            let codes = reader.wholes("classes")?;
            let is_known = codes.iter().all(|&code| (code as usize) < classes.len());
            (Truth::Classes(codes), is_known)
        }
        _ => (Truth::Numbers(reader.reals("numbers")?), true),
    };
    let weights = if reader.byte("weights")? == 0 { None } else { Some(reader.reals("weights")?) };
    reader.end()?;
    let count = match &truth {
        Truth::Numbers(values) => values.len(),
        Truth::Classes(codes) => codes.len(),
    };
    let are_weights = weights.as_ref().is_none_or(|weights| weights.len() == count && weights.iter().all(|&weight| weight > 0.0));
    let is_sound = is_known
        && are_weights
        && count == points.rows()
        && count > 0
        && points.width() > 0
        && (1..=NEIGHBOURS_MAX).contains(&neighbours)
        && by_distance < 2;
    if !is_sound {
        return Err(reader.wrong(format!("{count} answers of {} rows", points.rows()), "an answer of each row, for this target"));
    }
    let way = Way {
        metric,
        neighbours,
        by_distance: by_distance == 1,
        tree: [Some(false), Some(true)].get(usize::from(tree)).copied().flatten(),
    };
    Ok(Box::new(Neighbours::new(schema, way, points, truth, weights)?))
}
