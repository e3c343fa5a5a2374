//! Naive Bayes: inputs as if they were independent within a class (Maron 1961; Zhang: "The optimality of naive Bayes", 2004). Numbers by a
//! normal distribution, or as yes and no, or as counts; categories by their shares; all in one model. scikit-learn: `GaussianNB`,
//! `BernoulliNB`, `MultinomialNB` and `CategoricalNB`, whose numbers these are, each for its own columns.
//!
//! A missing cell says nothing: it is left out of the product, in training and in answers, which Bayes' rule allows.
//!
//! Differs: columns that are constant in all classes are left out, where scikit-learn divides by zero. A class without a cell of a column
//! takes over what all classes together have.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "naive_bayes").expect("naive_bayes is registered");
//! let value = cupola_task::Value::Text("bernoulli".into());
//! let settings = cupola_task::Settings::check("model", model.settings, [("distribution", &value)])?;
//! assert_eq!(settings.real("alpha"), 1.0);
//! # Ok::<(), cupola_task::Error>(())
//! ```

use crate::rows::{Feature, MISSING, Values, are_seen, features, seen_classes, the_target};
use crate::solve::{check_target, rows_with_inputs, within_memory};
use crate::trees::exp::exp;
use cupola_task::{
    Answer, Ask, Columns, Cost, Error, Kind, Learner, Make, Math, ModelDef, Needs, Parts, Predictions, Predictor, Range, Result, Role, Run,
    Schema, Setting, Settings, Source, Task, Where,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// Rows in a block of answers: sums of all classes stay in the nearest cache.
const BLOCK: usize = 256;
/// The part it saves itself into, and its version.
const PART: &str = "model/bayes";
const VERSION: u32 = 1;

/// The registry's entry.
pub(crate) const NAIVE_BAYES: ModelDef = ModelDef {
    name: "naive_bayes",
    doc: "Naive Bayes: numbers by normal distributions (or as yes and no, or as counts), categories by shares. Very quick, and takes missing cells.",
    tasks: &[Task::Classify],
    settings: &[
        Setting {
            name: "distribution",
            alias: &["event_model"],
            default: "gaussian",
            range: Range::Choice(&["gaussian", "bernoulli", "multinomial"]),
            doc: "What numbers are taken for: gaussian: normally distributed; bernoulli: yes above binarize, else no; multinomial: counts, of which a row is a draw.",
        },
        Setting {
            name: "var_smoothing",
            alias: &[],
            default: "1e-9",
            range: Range::Real { min: 0.0, max: 1e9 },
            doc: "This share of the largest variance of a column is added to all variances.",
        },
        Setting {
            name: "alpha",
            alias: &[],
            default: "1.0",
            range: Range::Real { min: 1e-10, max: 1e9 },
            doc: "Rows (or counts) that every category of every class is taken to have had besides.",
        },
        Setting {
            name: "binarize",
            alias: &[],
            default: "0.0",
            range: Range::Real { min: f64::MIN, max: f64::MAX },
            doc: "With distribution=bernoulli, above which number a cell says yes.",
        },
        Setting {
            name: "fit_prior",
            alias: &[],
            default: "true",
            range: Range::Flag,
            doc: "Whether classes are as probable beforehand as they are common; false: all alike.",
        },
    ],
    needs: Needs::Native,
    // The logarithm is the system's.
    math: Math::Rounded(1e-9),
    auto: &["distribution=gaussian"],
    make: Make::Learner(make),
    open,
};

struct Settled {
    settings: Settings,
}

fn make(settings: &Settings, schema: &Schema) -> Result<Box<dyn Learner>> {
    check_target("naive_bayes", schema, &[Task::Classify], "use model=linear for numbers")?;
    Ok(Box::new(Settled { settings: settings.clone() }))
}

/// What is known of one input: one of each for every class seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Known {
    /// It does not tell classes apart.
    Nothing,
    /// Mean and variance.
    Normal { mean: Vec<f64>, variance: Vec<f64> },
    /// Logarithms of the chances of yes and no.
    Binary { yes: Vec<f64>, no: Vec<f64> },
    /// Logarithms of a count's chances.
    Count { share: Vec<f64> },
    /// Logarithms of chances: `[categories, classes]`.
    Category { shares: Vec<f64> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    binarize: f64,
    /// Classes that training rows had, ascending, and the logarithms of their chances.
    seen: Vec<u32>,
    prior: Vec<f64>,
    inputs: Vec<Known>,
}

/// A fitted model behind the seam.
struct Bayes {
    schema: Schema,
    saved: Saved,
}

/// Rows as a fit reads them.
struct Rows<'a> {
    keep: &'a [usize],
    weights: &'a [f64],
    codes: &'a [u32],
    classes: usize,
}

impl Learner for Settled {
    fn cost(&self, schema: &Schema, rows: u64) -> Option<Cost> {
        let (rows, inputs) = (rows as f64, schema.inputs().count() as f64);
        Some(Cost { flops: 8.0 * rows * inputs, memory_bytes: (rows * (inputs * 16.0 + 32.0)) as u64 })
    }

    fn fit(&mut self, source: Source<'_>, run: &Run<'_>) -> Result<Box<dyn Predictor>> {
        let (rows, keep, weights) = rows_with_inputs("naive_bayes", &source)?;
        let Source::Data { train, .. } = source else { unreachable!("rows were read from data") };
        within_memory("memory of naive Bayes", self.cost(train.data().schema(), keep.len() as u64), run)?;
        let (_, seen, codes) = seen_classes(&rows, &keep)?;
        let taught = Rows { keep: &keep, weights: &weights, codes: &codes, classes: seen.len() };
        let inputs = self.known(&rows.features, &taught)?;
        let mut prior = taught.sums(|_| 1.0);
        let total: f64 = prior.iter().sum();
        prior.iter_mut().for_each(|sum| *sum = if self.settings.flag("fit_prior") { *sum / total } else { 1.0 / seen.len() as f64 });
        prior.iter_mut().for_each(|chance| *chance = chance.ln());
        let saved = Saved { version: VERSION, binarize: self.settings.real("binarize"), seen, prior, inputs };
        Ok(Box::new(
            Bayes::new(train.data().schema(), saved)
                .ok_or_else(|| Error::input("training rows", "numbers too large to compute with", "columns on a common scale"))?,
        ))
    }
}

impl Settled {
    fn known(&self, features: &[Feature], rows: &Rows<'_>) -> Result<Vec<Known>> {
        let alpha = self.settings.real("alpha");
        let distribution = self.settings.text("distribution");
        let variances: Vec<f64> = features.par_iter().map(|feature| rows.variance(feature)).collect();
        let smoothing = self.settings.real("var_smoothing") * variances.iter().copied().fold(0.0, f64::max);
        let one = |(feature, &variance): (&Feature, &f64)| match &feature.values {
            Values::Codes { codes, classes } => Ok(rows.shares(codes, *classes, alpha)),
            Values::Numbers(values) => match distribution {
                "bernoulli" => Ok(rows.binary(values, self.settings.real("binarize"), alpha)),
                "multinomial" => {
                    rows.check_counts(feature, values)?;
                    let counts = rows.sums(|row| if values[row].is_nan() { 0.0 } else { values[row] });
                    Ok(Known::Count { share: counts })
                }
                _ if variance > 0.0 => Ok(rows.normal(values, smoothing)),
                _ => Ok(Known::Nothing),
            },
        };
        let mut known = features.par_iter().zip(&variances).map(one).collect::<Result<Vec<Known>>>()?;
        share_counts(&mut known, rows.classes, alpha);
        Ok(known)
    }
}

/// Turns sums of counts into logarithms of each column's share of all of them.
fn share_counts(known: &mut [Known], classes: usize, alpha: f64) {
    let mut totals = vec![0.0; classes];
    for known in known.iter() {
        if let Known::Count { share } = known {
            totals.iter_mut().zip(share).for_each(|(total, count)| *total += count + alpha);
        }
    }
    for known in known {
        if let Known::Count { share } = known {
            share.iter_mut().zip(&totals).for_each(|(share, total)| *share = ((*share + alpha) / total).ln());
        }
    }
}

impl Rows<'_> {
    /// Weighted sums of something over each class's rows, in the rows' order.
    fn sums(&self, of: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.classes];
        for ((&row, &weight), &code) in self.keep.iter().zip(self.weights).zip(self.codes) {
            sums[code as usize] += weight * of(row);
        }
        sums
    }

    /// The variance over all rows that have a value, as if all weighed the same.
    fn variance(&self, feature: &Feature) -> f64 {
        let Values::Numbers(values) = &feature.values else { return 0.0 };
        let known = || self.keep.iter().map(|&row| values[row]).filter(|value| !value.is_nan());
        let count = known().count() as f64;
        let mean = known().sum::<f64>() / count;
        let variance = known().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
        if variance.is_nan() { 0.0 } else { variance }
    }

    fn normal(&self, values: &[f64], smoothing: f64) -> Known {
        let present = |row: usize| f64::from(u8::from(!values[row].is_nan()));
        let value = |row: usize| if values[row].is_nan() { 0.0 } else { values[row] };
        let counts = self.sums(present);
        let mut mean = self.sums(value);
        let all = mean.iter().sum::<f64>() / counts.iter().sum::<f64>();
        mean.iter_mut().zip(&counts).for_each(|(mean, count)| *mean = if *count > 0.0 { *mean / count } else { all });
        let spread = |center: &dyn Fn(u32) -> f64| -> Vec<f64> {
            let mut sums = vec![0.0; self.classes];
            for ((&row, &weight), &code) in self.keep.iter().zip(self.weights).zip(self.codes) {
                let apart = value(row) - center(code);
                sums[code as usize] += weight * present(row) * apart * apart;
            }
            sums
        };
        let mut variance = spread(&|code| mean[code as usize]);
        let of_all = spread(&|_| all).iter().sum::<f64>() / counts.iter().sum::<f64>();
        let share = |(variance, count): (&mut f64, &f64)| *variance = if *count > 0.0 { *variance / count } else { of_all } + smoothing;
        variance.iter_mut().zip(&counts).for_each(share);
        // Without smoothing a class whose cells are all equal has no density: nothing can be said by this column.
        if variance.iter().any(|variance| *variance <= 0.0) { Known::Nothing } else { Known::Normal { mean, variance } }
    }

    fn binary(&self, values: &[f64], above: f64, alpha: f64) -> Known {
        let counts = self.sums(|row| f64::from(u8::from(!values[row].is_nan())));
        let mut yes = self.sums(|row| f64::from(u8::from(values[row] > above)));
        yes.iter_mut().zip(&counts).for_each(|(yes, count)| *yes = (*yes + alpha) / (count + 2.0 * alpha));
        let no = yes.iter().map(|yes| (1.0 - yes).ln()).collect();
        yes.iter_mut().for_each(|yes| *yes = yes.ln());
        Known::Binary { yes, no }
    }

    fn shares(&self, codes: &[u32], categories: usize, alpha: f64) -> Known {
        let mut sums = vec![alpha; categories * self.classes];
        let mut totals = vec![alpha * categories as f64; self.classes];
        for ((&row, &weight), &class) in self.keep.iter().zip(self.weights).zip(self.codes) {
            if codes[row] != MISSING {
                sums[codes[row] as usize * self.classes + class as usize] += weight;
                totals[class as usize] += weight;
            }
        }
        for sums in sums.chunks_exact_mut(self.classes) {
            sums.iter_mut().zip(&totals).for_each(|(sum, total)| *sum = (*sum / total).ln());
        }
        Known::Category { shares: sums }
    }

    fn check_counts(&self, feature: &Feature, values: &[f64]) -> Result<()> {
        match self.keep.iter().find(|&&row| values[row] < 0.0) {
            None => Ok(()),
            Some(&row) => {
                let error = Error::input(format!("column {} in row {row}", feature.name), values[row], "a count, which is not below 0");
                Err(error.with_hint("distribution=gaussian takes any number; scale=minmax makes numbers of 0 to 1"))
            }
        }
    }
}

impl Bayes {
    /// None when a number is not finite.
    fn new(schema: &Schema, saved: Saved) -> Option<Bayes> {
        let is_finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        let are_finite = saved.inputs.iter().all(|known| match known {
            Known::Nothing => true,
            Known::Normal { mean, variance } => is_finite(mean) && variance.iter().all(|variance| variance.is_finite() && *variance > 0.0),
            Known::Binary { yes, no } => is_finite(yes) && is_finite(no),
            Known::Count { share } => is_finite(share),
            Known::Category { shares } => is_finite(shares),
        });
        let fields = schema.fields.iter().filter(|field| matches!(field.role, Role::Input | Role::Target(_))).cloned().collect();
        (are_finite && is_finite(&saved.prior)).then_some(Bayes { schema: Schema { fields }, saved })
    }

    /// Probabilities of the rows from `start` on: `out` is `[rows, all classes]`.
    fn answer(&self, features: &[Feature], start: usize, out: &mut [f64], all: usize) {
        let (rows, classes) = (out.len() / all, self.saved.seen.len());
        let mut sums: Vec<f64> = self.saved.prior.iter().flat_map(|&prior| std::iter::repeat_n(prior, rows)).collect();
        for (feature, known) in features.iter().zip(&self.saved.inputs) {
            match &feature.values {
                Values::Numbers(values) => self.add(known, &values[start..start + rows], &mut sums),
                Values::Codes { codes, .. } => {
                    let Known::Category { shares } = known else { continue };
                    for (class, sums) in sums.chunks_exact_mut(rows).enumerate() {
                        for (sum, &code) in sums.iter_mut().zip(&codes[start..start + rows]) {
                            *sum += if code == MISSING { 0.0 } else { shares[code as usize * classes + class] };
                        }
                    }
                }
            }
        }
        for (row, out) in out.chunks_exact_mut(all).enumerate() {
            let at = |class: usize| sums[class * rows + row];
            let most = (0..classes).map(at).fold(f64::NEG_INFINITY, f64::max);
            let mut total = 0.0;
            for (class, &place) in self.saved.seen.iter().enumerate() {
                // What is infinitely improbable in every class is as probable in each.
                let chance = if most.is_finite() { exp(at(class) - most) } else { 1.0 };
                out[place as usize] = chance;
                total += chance;
            }
            self.saved.seen.iter().for_each(|&place| out[place as usize] /= total);
        }
    }

    /// Adds what a column of numbers says; one that is missing says nothing.
    fn add(&self, known: &Known, values: &[f64], sums: &mut [f64]) {
        let by_class = sums.chunks_exact_mut(values.len().max(1));
        match known {
            Known::Nothing | Known::Category { .. } => {}
            Known::Normal { mean, variance } => {
                for ((sums, mean), variance) in by_class.zip(mean).zip(variance) {
                    let (base, scale) = (-0.5 * (TAU * variance).ln(), 0.5 / variance);
                    for (sum, value) in sums.iter_mut().zip(values) {
                        let term = base - (value - mean) * (value - mean) * scale;
                        *sum += if term.is_nan() { 0.0 } else { term };
                    }
                }
            }
            Known::Binary { yes, no } => {
                for ((sums, yes), no) in by_class.zip(yes).zip(no) {
                    for (sum, value) in sums.iter_mut().zip(values) {
                        let term = if *value > self.saved.binarize { *yes } else { *no };
                        *sum += if value.is_nan() { 0.0 } else { term };
                    }
                }
            }
            Known::Count { share } => {
                for (sums, share) in by_class.zip(share) {
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum += if *value > 0.0 { value * share } else { 0.0 };
                    }
                }
            }
        }
    }
}

impl Predictor for Bayes {
    fn predict(&self, inputs: &Columns, _: &Ask) -> Result<Predictions> {
        let features = features(&self.schema, inputs)?;
        let (target, _) = the_target(&self.schema)?;
        let classes = target.kind.classes().cloned().unwrap_or_else(|| [].into());
        let all = classes.len().max(1);
        let mut values = vec![0.0; inputs.rows() * classes.len()];
        let block = |(block, out): (usize, &mut [f64])| self.answer(&features, block * BLOCK, out, all);
        match inputs.rows() <= BLOCK {
            true => values.chunks_mut(BLOCK * all).enumerate().for_each(block),
            false => values.par_chunks_mut(BLOCK * all).enumerate().for_each(block),
        }
        Ok(Predictions(vec![(target.name.clone(), Answer::Scores { classes: classes.into(), values })]))
    }

    fn save(&self, parts: &mut Parts) -> Result<()> {
        parts.0.insert(PART.to_owned(), serde_json::to_vec(&self.saved).expect("finite numbers are JSON"));
        Ok(())
    }
}

/// Opens a saved one.
///
/// # Errors
/// When the part is missing, damaged, or does not fit the schema.
fn open(parts: &Parts, schema: &Schema, _: Where) -> Result<Box<dyn Predictor>> {
    let damaged = |found: String, wanted: String| Error::input(format!("part {PART}"), found, wanted);
    let bytes = parts.0.get(PART).ok_or_else(|| damaged("nothing".into(), "naive Bayes".into()))?;
    let saved: Saved = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string(), "naive Bayes as JSON".into()))?;
    if saved.version != VERSION {
        return Err(damaged(format!("version {}", saved.version), format!("version {VERSION}")));
    }
    let Kind::Category { classes } = &the_target(schema)?.0.kind else {
        return Err(damaged("classes".into(), "an answer for a number".into()));
    };
    let count = saved.seen.len();
    if !are_seen(&saved.seen, classes.len()) || saved.prior.len() != count || !suits(&saved.inputs, schema, count) {
        return Err(damaged(format!("{count} classes and {} inputs", saved.inputs.len()), "those of the schema".into()));
    }
    let bayes = Bayes::new(schema, saved).ok_or_else(|| damaged("numbers that are not finite".into(), "finite ones".into()))?;
    Ok(Box::new(bayes))
}

/// Whether what is known fits the inputs, one by one.
fn suits(known: &[Known], schema: &Schema, count: usize) -> bool {
    let mut known = known.iter();
    for field in schema.inputs() {
        let (width, categories) = match &field.kind {
            Kind::Vector { width } => (*width, None),
            Kind::Category { classes } => (1, Some(classes.len())),
            _ => (1, None),
        };
        for _ in 0..width {
            let fits = match (known.next(), categories) {
                (Some(Known::Category { shares }), Some(categories)) => Some(shares.len()) == categories.checked_mul(count),
                (Some(Known::Nothing), None) => true,
                (Some(Known::Normal { mean, variance }), None) => mean.len() == count && variance.len() == count,
                (Some(Known::Binary { yes, no }), None) => yes.len() == count && no.len() == count,
                (Some(Known::Count { share }), None) => share.len() == count,
                _ => false,
            };
            if !fits {
                return false;
            }
        }
    }
    known.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Sketch, answers, fit};

    #[derive(Deserialize)]
    struct Case {
        name: String,
        settings: String,
        /// Whether columns hold categories.
        categories: bool,
        x: Vec<Vec<f64>>,
        y: Vec<f64>,
        weight: Option<Vec<f64>>,
        answers: Vec<Vec<f64>>,
    }

    fn sketch(case: &Case) -> Sketch {
        let column = |place: usize| case.x.iter().map(move |row| row[place]);
        let width = case.x[0].len();
        let numbers = if case.categories { vec![] } else { (0..width).map(|place| column(place).collect()).collect() };
        let code = |place: usize| -> (Vec<Option<u32>>, usize) {
            (column(place).map(|value| Some(value as u32)).collect(), column(place).fold(0.0, f64::max) as usize + 1)
        };
        let codes = if case.categories { (0..width).map(code).collect() } else { vec![] };
        let classes = case.y.iter().copied().fold(0.0, f64::max) as usize + 1;
        Sketch { numbers, codes, target: (case.y.clone(), classes), weight: case.weight.clone() }
    }

    #[test]
    fn probabilities_are_those_of_scikit_learn() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../parity/naive_bayes.json")).unwrap();
        for case in cases {
            let table = sketch(&case).table();
            let predictor = fit(&NAIVE_BAYES, &case.settings, &table, 0, &Run::quiet(1)).unwrap();
            let found = answers(&*predictor, &table).unwrap();
            let error = found.iter().zip(case.answers.concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            // The same formulas in another order of sums.
            assert!(error < 1e-9, "{}: {error}", case.name);
        }
    }

    #[test]
    fn a_missing_cell_says_nothing() {
        let whole = Sketch::new(Needs::Native, 3, 400, 3);
        let without = Sketch { numbers: whole.numbers[..1].to_vec(), codes: vec![], ..whole.clone() };
        let few = fit(&NAIVE_BAYES, "", &without.table(), 0, &Run::quiet(1)).unwrap();
        let only_first = Sketch {
            numbers: whole
                .numbers
                .iter()
                .enumerate()
                .map(|(place, values)| if place == 0 { values.clone() } else { vec![f64::NAN; 400] })
                .collect(),
            codes: vec![(vec![None; 400], 7)],
            ..whole.clone()
        };
        let all = fit(&NAIVE_BAYES, "var_smoothing=0", &whole.table(), 0, &Run::quiet(1)).unwrap();
        let of_few = fit(&NAIVE_BAYES, "var_smoothing=0", &without.table(), 0, &Run::quiet(1)).unwrap();
        let (a, b) = (answers(&*all, &only_first.table()).unwrap(), answers(&*of_few, &without.table()).unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(answers(&*few, &without.table()).unwrap().len(), 1200);
    }
}
