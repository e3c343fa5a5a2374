//! Explanations of trees: equal to `shap` and LightGBM (`parity/explain.py`), and to the definition of Shapley values.

use super::bins::BinSet;
use super::ensemble::{CATEGORY, Ensemble, FEATURE, Input, LEAF, Link, MISSING_LEFT, Node};
use super::predictor;
use crate::fixtures::{Sketch, answers, fit, opened, saved};
use crate::{Feature, MODELS, Values, features};
use cupola_task::{Against, Ask, Column, Columns, Dataset, ModelDef, Needs, Run, Table, Unit};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct Golden {
    trees: Vec<Case>,
    linear: Linear,
}

#[derive(Deserialize)]
struct Case {
    #[serde(flatten)]
    model: Model,
    behind: Vec<Vec<Option<f64>>>,
    path: Vec<Vec<Vec<f64>>>,
    base: Vec<f64>,
    against: Vec<Vec<Vec<f64>>>,
    against_base: Vec<f64>,
}

/// Trees that were written, and rows.
#[derive(Deserialize)]
pub(super) struct Model {
    pub(super) name: String,
    link: String,
    start: Vec<f64>,
    trees: Vec<Vec<Given>>,
    pub(super) rows: Vec<Vec<Option<f64>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Question { feature: u32, threshold: f64, missing_left: bool, left: usize, right: usize },
    Leaf { value: Vec<f64>, cover: f32 },
}

#[derive(Deserialize)]
struct Linear {
    rows: Vec<Vec<Option<f64>>>,
    target: Vec<f64>,
    values: Vec<Vec<f64>>,
    base: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../parity/shap.json")).unwrap()
}

pub(super) fn table(rows: &[Vec<Option<f64>>]) -> Vec<Feature> {
    let column = |place: usize| rows.iter().map(|row| row[place].unwrap_or(f64::NAN)).collect();
    (0..rows[0].len()).map(|place| Feature { name: format!("x{place}").into(), values: Values::Numbers(column(place)) }).collect()
}

/// The trees that were written, with children side by side.
pub(super) fn ensemble(case: &Model) -> Ensemble {
    let link = match case.link.as_str() {
        "logistic" => Link::Logistic,
        "softmax" => Link::Softmax,
        "mean" => Link::Mean,
        _ => Link::Shares,
    };
    let mut ensemble = Ensemble::constant(&table(&case.rows), link, case.start.clone());
    for tree in &case.trees {
        let root = ensemble.nodes.len() as u32;
        ensemble.roots.push(root);
        // Breadth first, so that children stand side by side and leaves' covers are in the order of nodes.
        let mut order = vec![0];
        let mut next = 0;
        while next < order.len() {
            let node = match &tree[order[next]] {
                Given::Question { feature, threshold, missing_left, left, right } => {
                    let place = root + order.len() as u32;
                    order.extend([*left, *right]);
                    Node { threshold: *threshold, ask: feature | if *missing_left { MISSING_LEFT } else { 0 }, left: place }
                }
                Given::Leaf { value, cover } => {
                    ensemble.covers.as_mut().unwrap().push(*cover);
                    let number = ensemble.vectors.len() / case.start.len();
                    let threshold = if link == Link::Shares { f64::from_bits(number as u64) } else { value[0] };
                    if link == Link::Shares {
                        ensemble.vectors.extend(value);
                    }
                    Node { threshold, ask: LEAF, left: 0 }
                }
            };
            ensemble.nodes.push(node);
            next += 1;
        }
    }
    Ensemble::from_bytes(&ensemble.to_bytes()).unwrap()
}

pub(super) fn near(name: &str, found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= tolerance * (1.0 + wanted.abs()), "{name}, value {place}: found {found}, wanted {wanted}");
    }
}

/// `shap` and LightGBM add in double precision, in another order; paths of a dozen inputs cost them some digits.
const TOLERANCE: f64 = 1e-9;
/// `shap` keeps the weights of sets in single precision where it explains against rows; against the definition ours hold to 1e-12, below.
const TOLERANCE_AGAINST: f64 = 1e-6;

#[test]
fn trees_are_explained_as_shap_and_lightgbm_explain_them() {
    for case in golden().trees {
        let Model { name, rows: given, .. } = &case.model;
        let (ensemble, rows, behind) = (ensemble(&case.model), table(given), table(&case.behind));
        let groups: Vec<u32> = (0..rows.len() as u32).collect();
        let flat = |values: &[Vec<Vec<f64>>]| values.concat().concat();
        let found = ensemble.shap(&rows, given.len(), &groups, rows.len()).unwrap();
        near(name, &found.values, &flat(&case.path), TOLERANCE);
        near(&format!("base of {name}"), &found.base, &case.base, TOLERANCE);
        let found = ensemble.shap_against((&rows, given.len()), (&behind, case.behind.len()), &groups, rows.len()).unwrap();
        near(&format!("{name} against rows"), &found.values, &flat(&case.against), TOLERANCE_AGAINST);
        near(&format!("base of {name} against rows"), &found.base, &case.against_base, TOLERANCE_AGAINST);
    }
}

#[test]
fn linear_models_are_explained_as_shap_explains_them() {
    let golden = golden().linear;
    let column = |place: usize| golden.rows.iter().map(|row| row[place].unwrap()).collect();
    let sketch = Sketch { numbers: (0..5).map(column).collect(), codes: vec![], target: (golden.target.clone(), 2), weight: None };
    let table = sketch.table();
    let predictor = fit(model("logistic"), "", &table, 0, &Run::quiet(1)).unwrap();
    let found =
        predictor.explain(&sketch.take(&(0..20).collect::<Vec<_>>()).table().columns().clone(), Against::Training).unwrap().unwrap();
    // scikit-learn stops its fit at a gradient of 1e-10, ours at 1e-8: their coefficients differ in the seventh digit.
    near("linear", &found.values, &golden.values.concat(), 1e-5);
    near("linear base", &found.base, &[golden.base], 1e-5);
    assert_eq!((found.unit, &*found.outputs[0]), (Unit::LogOdds, "k1"));
}

#[test]
fn linear_models_of_earlier_files_are_explained_against_rows() {
    let sketch = Sketch::new(Needs::Dense, 3, 200, 5);
    let table = sketch.table();
    let predictor = fit(model("logistic"), "", &table, 0, &Run::quiet(1)).unwrap();
    let mut parts = saved(&*predictor);
    let part = parts.0.get_mut("model/coefficients").unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(part).unwrap();
    assert!(json.as_object_mut().unwrap().remove("means").is_some());
    *part = serde_json::to_vec(&json).unwrap();
    let old = opened(model("logistic"), &parts, &table).unwrap();
    assert_eq!((answers(&*old, &table).unwrap(), &saved(&*old)), (answers(&*predictor, &table).unwrap(), &parts));
    let columns = table.columns();
    assert!(old.explain(columns, Against::Training).unwrap().is_err());
    let [told, wanted] = [&old, &predictor].map(|model| model.explain(columns, Against::Rows(columns)).unwrap().unwrap());
    assert_eq!(told, wanted);
    // Against all training rows is against their means.
    let told = predictor.explain(columns, Against::Training).unwrap().unwrap();
    near("logistic", &told.values, &wanted.values, 1e-9);
    assert_eq!((told.unit, told.outputs.len()), (Unit::Score, 3));
}

pub(super) fn model(name: &str) -> &'static ModelDef {
    MODELS.iter().find(|model| model.name == name).unwrap()
}

/// Shapley values by their definition, of a game over so many players.
fn shapley(players: usize, worth: impl Fn(u32) -> f64) -> Vec<f64> {
    let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
    let worths: Vec<f64> = (0..1u32 << players).map(worth).collect();
    let value = |player: usize| -> f64 {
        let without = (0..1u32 << players).filter(|set| set >> player & 1 == 0);
        without
            .map(|set| {
                let size = set.count_ones() as usize;
                let weight = factorial(size) * factorial(players - size - 1) / factorial(players);
                weight * (worths[(set | 1 << player) as usize] - worths[set as usize])
            })
            .sum()
    };
    (0..players).map(value).collect()
}

/// What a tree is worth when only the inputs of a set are known: elsewhere both sides count by their rows.
pub(super) fn expectation(ensemble: &Ensemble, covers: &[f64], place: usize, row: &[f64], set: u32, output: usize) -> f64 {
    let node = &ensemble.nodes[place];
    if node.ask & LEAF != 0 {
        return ensemble.leaf_value(node, output);
    }
    let left = node.left as usize;
    let of = |side: usize| expectation(ensemble, covers, left + side, row, set, output);
    match set >> (node.ask & FEATURE) & 1 {
        1 => of(usize::from(ensemble.side(node, row))),
        _ => (of(0) * covers[left] + of(1) * covers[left + 1]) / (covers[left] + covers[left + 1]),
    }
}

pub(super) fn covers(ensemble: &Ensemble) -> Vec<f64> {
    let mut leaves = ensemble.covers.as_ref().unwrap().iter().rev();
    let mut covers = vec![0.0; ensemble.nodes.len()];
    for place in (0..ensemble.nodes.len()).rev() {
        let node = &ensemble.nodes[place];
        let left = node.left as usize;
        covers[place] = if node.ask & LEAF != 0 { f64::from(*leaves.next().unwrap()) } else { covers[left] + covers[left + 1] };
    }
    covers
}

/// Every model of trees, with numbers, missing values and a category, for every kind of target.
pub(super) fn fitted() -> impl Iterator<Item = (String, Table, Box<dyn cupola_task::Predictor>, Ensemble)> {
    ["gbdt", "forest", "extra_trees", "tree"].into_iter().flat_map(|name| {
        [0, 2, 3].into_iter().map(move |classes| {
            let mut sketch = Sketch::new(Needs::Native, classes, 400, 6);
            sketch.weight = Some((0..400).map(|row| 0.5 + f64::from(row % 3)).collect());
            let table = sketch.table();
            let predictor = fit(model(name), "n_estimators=4 min_data_in_leaf=5", &table, 0, &Run::quiet(3)).unwrap();
            let ensemble = predictor::ensemble(&saved(&*predictor), table.schema()).unwrap();
            (format!("{name} with {classes} classes"), table, predictor, ensemble)
        })
    })
}

const ROWS: usize = 12;

#[test]
fn values_are_shapleys() {
    for (name, table, _, ensemble) in fitted() {
        let rows: Vec<u64> = (0..ROWS as u64).collect();
        let all = features(table.schema(), table.columns()).unwrap();
        let some = features(table.schema(), &table.columns().take(&rows)).unwrap();
        let (inputs, outputs) = (some.len(), ensemble.outputs());
        let groups: Vec<u32> = (0..inputs as u32).collect();
        let values = ensemble.values_block(&some, 0, ROWS);
        let covers = covers(&ensemble);
        let found = ensemble.shap(&some, ROWS, &groups, inputs).unwrap();
        let behind_rows: Vec<u64> = (100..117).collect();
        let behind = features(table.schema(), &table.columns().take(&behind_rows)).unwrap();
        let behind_values = ensemble.values_block(&behind, 0, 17);
        let against = ensemble.shap_against((&some, ROWS), (&behind, 17), &groups, inputs).unwrap();
        let roots = |output: usize| -> Vec<usize> {
            let adds = |tree: &usize| ensemble.outputs_of(*tree).contains(&output);
            (0..ensemble.trees()).filter(adds).map(|tree| ensemble.roots[tree] as usize).collect()
        };
        for row in 0..ROWS {
            let own = &values[row * inputs..][..inputs];
            for output in 0..outputs {
                let roots = roots(output);
                let sum =
                    |row: &[f64], set: u32| roots.iter().map(|&root| expectation(&ensemble, &covers, root, row, set, output)).sum::<f64>();
                let worth = |set: u32| sum(own, set);
                let mut wanted = shapley(inputs, worth);
                ensemble.scale(&mut wanted);
                let told: Vec<f64> = (0..inputs).map(|input| found.values[(row * inputs + input) * outputs + output]).collect();
                near(&name, &told, &wanted, 1e-12);
                let worth = |set: u32| {
                    let mean = |behind: &[f64]| -> f64 {
                        let mixed: Vec<f64> =
                            (0..inputs).map(|input| if set >> input & 1 == 1 { own[input] } else { behind[input] }).collect();
                        sum(&mixed, u32::MAX)
                    };
                    behind_values.chunks_exact(inputs).map(mean).sum::<f64>() / 17.0
                };
                let mut wanted = shapley(inputs, worth);
                ensemble.scale(&mut wanted);
                let told: Vec<f64> = (0..inputs).map(|input| against.values[(row * inputs + input) * outputs + output]).collect();
                near(&format!("{name} against rows"), &told, &wanted, 1e-12);
            }
        }
        assert_eq!(all.len(), inputs);
    }
}

#[test]
fn values_and_base_add_up_to_the_answer() {
    for (name, table, predictor, ensemble) in fitted() {
        let behind = table.columns().take(&[5, 6, 7, 8]);
        for against in [Against::Training, Against::Rows(&behind)] {
            let told = predictor.explain(table.columns(), against).unwrap().unwrap();
            let answers = match predictor.predict(table.columns(), &Ask::default()).unwrap().0.remove(0).1 {
                cupola_task::Answer::Scores { values, .. } | cupola_task::Answer::Numbers { values, .. } => values,
                other => panic!("{other:?}"),
            };
            let width = ensemble.width();
            for row in 0..400 {
                let scores: Vec<f64> = (0..told.outputs.len()).map(|output| told.score(row, output)).collect();
                let answer = &answers[row * width..][..width];
                let given = match ensemble.link {
                    Link::Sum | Link::Mean | Link::Shares => scores,
                    Link::Share => vec![1.0 - scores[0], scores[0]],
                    Link::Logistic => vec![1.0 / (1.0 + scores[0].exp()), 1.0 / (1.0 + (-scores[0]).exp())],
                    Link::Softmax => {
                        let sum: f64 = scores.iter().map(|score| score.exp()).sum();
                        scores.iter().map(|score| score.exp() / sum).collect()
                    }
                };
                near(&name, &given, answer, 1e-12);
            }
        }
    }
}

#[test]
fn threads_change_nothing_and_old_files_say_what_they_lack() {
    let (_, table, predictor, ensemble) = fitted().next().unwrap();
    let told = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| predictor.explain(table.columns(), Against::Training).unwrap().unwrap())
    };
    assert_eq!(told(1), told(3));
    let old = Ensemble { covers: None, ..ensemble };
    assert_eq!(old.to_bytes()[4..6], [1, 0], "trees without covers are written as version 1");
    let old = predictor::TreePredictor::new(table.schema(), Ensemble::from_bytes(&old.to_bytes()).unwrap());
    let error = cupola_task::Predictor::explain(&old, table.columns(), Against::Training).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "an explanation against training rows is not supported by this model of trees");
    let behind = table.columns().take(&[1, 2]);
    assert!(cupola_task::Predictor::explain(&old, table.columns(), Against::Rows(&behind)).unwrap().is_ok());
    assert!(cupola_task::Predictor::explain(&old, table.columns(), Against::Rows(&behind.take(&[]))).unwrap().is_err());
}

#[test]
fn a_vector_counts_as_one_input_and_deep_trees_are_walked() {
    // A chain of 300 questions about three elements, of which two are one input.
    let depth = 300u32;
    let mut nodes = Vec::new();
    for level in 0..depth {
        let threshold = f64::from(level % 7) - 3.0 + f64::from(level) / 100.0;
        nodes.push(Node { threshold, ask: (level % 3) | MISSING_LEFT, left: 2 * level + 1 });
        nodes.push(Node { threshold: f64::from(level).sin(), ask: LEAF, left: 0 });
    }
    nodes.push(Node { threshold: 2.0, ask: LEAF, left: 0 });
    // Root, then pairs of a leaf and the next question.
    let chain: Vec<Node> = std::iter::once(nodes[0])
        .chain((1..depth as usize).flat_map(|level| [nodes[2 * level - 1], nodes[2 * level]]))
        .chain([nodes[2 * depth as usize - 1], nodes[2 * depth as usize]])
        .collect();
    let covers = (0..=depth).map(|leaf| 1.0 + (leaf % 5) as f32).collect();
    let ensemble = Ensemble {
        inputs: vec![Input::Number; 3],
        link: Link::Sum,
        start: vec![1.0],
        roots: vec![0],
        nodes: chain,
        sets: vec![BinSet::default()],
        vectors: vec![],
        covers: Some(covers),
    };
    let ensemble = Ensemble::from_bytes(&ensemble.to_bytes()).unwrap();
    assert!(ensemble.nodes.iter().all(|node| node.ask & CATEGORY == 0));
    let rows = vec![vec![Some(0.5), Some(-1.0), None], vec![Some(9.0), Some(9.0), Some(9.0)]];
    let taken = table(&rows);
    for (groups, count) in [(vec![0, 1, 2], 3), (vec![0, 1, 1], 2), (vec![0, 0, 0], 1)] {
        let sums = ensemble.sums(&taken, 2);
        for found in
            [ensemble.shap(&taken, 2, &groups, count).unwrap(), ensemble.shap_against((&taken, 2), (&taken, 2), &groups, count).unwrap()]
        {
            for (row, answer) in sums.iter().enumerate() {
                let sum: f64 = found.base[0] + found.values[row * count..][..count].iter().sum::<f64>();
                assert!((sum - answer).abs() < 1e-10, "{sum} {answer}");
            }
        }
    }
    let columns = Columns::new(vec![("x".into(), Column::Array(Arc::new(arrow_array::Float64Array::from(vec![1.0]))))]);
    assert_eq!(columns.rows(), 1);
}
