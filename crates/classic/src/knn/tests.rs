//! Against scikit-learn's numbers, and every way of searching against measuring all.

use super::brute::Brute;
use super::metric::Metric;
use super::nearest::Nearest;
use super::tree::Tree;
use crate::fixtures::{Sketch, answers, fit};
use cupola_task::{Draw, Run};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    x: Vec<Vec<f64>>,
    at: Vec<Vec<f64>>,
    y: Vec<f64>,
    code: Vec<f64>,
    fits: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    settings: String,
    numbers: Vec<f64>,
    classes: Vec<Vec<f64>>,
}

fn columns(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..rows[0].len()).map(|column| rows.iter().map(|row| row[column]).collect()).collect()
}

#[test]
fn answers_are_those_of_scikit_learn() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../parity/knn.json")).unwrap();
    for case in &cases {
        let asked = |classes: usize| Sketch {
            numbers: columns(&case.at),
            codes: vec![],
            target: (vec![0.0; case.at.len()], classes),
            weight: None,
        };
        for found in &case.fits {
            for algorithm in ["auto", "brute", "kd_tree"] {
                if algorithm == "kd_tree" && found.settings.contains("cosine") {
                    continue;
                }
                let settings = format!("{} algorithm={algorithm}", found.settings);
                for (target, classes, wanted) in [(&case.y, 0, found.numbers.clone()), (&case.code, 3, found.classes.concat())] {
                    let table =
                        Sketch { numbers: columns(&case.x), codes: vec![], target: (target.clone(), classes), weight: None }.table();
                    let predictor = fit(&super::KNN, settings.trim(), &table, 0, &Run::quiet(1)).unwrap();
                    let answers = answers(&*predictor, &asked(classes).table()).unwrap();
                    let error = answers.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    // scikit-learn has squared distances as a difference of products, which errs by about 1e-15 of the squares.
                    assert!(error < 1e-7, "{settings} with {classes} classes: {error}");
                }
            }
        }
    }
}

#[test]
fn distances_that_overflow_are_refused() {
    let sketch = |far: f64| Sketch { numbers: vec![vec![0.0, 1.0, far]], codes: vec![], target: (vec![1.0, 2.0, 3.0], 0), weight: None };
    let ask = |settings: &str, far: f64| {
        let predictor = fit(&super::KNN, settings, &sketch(far).table(), 0, &Run::quiet(1)).unwrap();
        answers(&*predictor, &sketch(far).table())
    };
    for weights in ["uniform", "distance"] {
        // The 10th power of 1e40 is more than f64 holds: only the two nearest are known.
        let settings = format!("p=10 weights={weights} n_neighbors=3");
        assert!(ask(&settings, 1e40).is_err_and(|error| error.to_string().contains("row 0: found distances too large")));
        assert!(ask(&settings, 1.5).unwrap().iter().all(|value| value.is_finite()));
        // So is 3 to the power of 1000, but powers as large are taken of shares of the largest difference.
        let settings = format!("p=1000 weights={weights} n_neighbors=3");
        assert!(ask(&settings, 4.0).unwrap().iter().all(|value| value.is_finite()));
    }
}

/// Rows of few different numbers, so that many are equally far.
fn rows(count: u64, width: u64, seed: u64, steps: f64) -> Vec<f64> {
    let draw = Draw::new(seed);
    (0..count * width).map(|place| (draw.normal(place) * steps).round() / steps).collect()
}

fn all(metric: Metric, points: &[f64], width: usize, at: &[f64], count: usize) -> Vec<(f64, u32)> {
    let mut all: Vec<(f64, u32)> = points.chunks(width).zip(0..).map(|(point, number)| (metric.key(point, at), number)).collect();
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    all.truncate(count);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn every_search_finds_what_measuring_all_finds(seed in 0u64..1000, width in 1usize..20, count in 1usize..12, steps in 1u8..40) {
        let points = rows(700, width as u64, seed, f64::from(steps));
        let asked = rows(40, width as u64, seed + 5000, f64::from(steps));
        for metric in [Metric::Euclidean, Metric::Manhattan, Metric::Chebyshev, Metric::Minkowski(2.5), Metric::Minkowski(40.0), Metric::Cosine] {
            let scaled = |rows: &[f64]| {
                let mut rows = rows.to_vec();
                if metric == Metric::Cosine {
                    rows.chunks_mut(width).for_each(super::scale);
                }
                rows
            };
            let (points, asked) = (scaled(&points), scaled(&asked));
            let brute = Brute::new(points.clone(), width, metric);
            let mut found = vec![Nearest::new(count); 40];
            brute.search(&asked, &mut found);
            let tree = (metric != Metric::Cosine).then(|| Tree::new(&points, width));
            for (at, found) in asked.chunks(width).zip(&found) {
                let wanted = all(metric, &points, width, at, count);
                prop_assert_eq!(found.found(), &wanted[..], "brute {:?}", metric);
                if let Some(tree) = &tree {
                    let mut nearest = Nearest::new(count);
                    tree.search(metric, at, &mut nearest);
                    prop_assert_eq!(nearest.found(), &wanted[..], "tree {:?}", metric);
                }
            }
        }
    }
}

#[test]
fn large_and_far_numbers_are_found_too() {
    // Far from 0, and with one row so far out that f32 tells the others apart badly.
    for (offset, outlier) in [(1e6, 1.0), (0.0, 1e9), (0.0, 1e100)] {
        let width = 12;
        let mut points: Vec<f64> = rows(500, width, 1, 50.0).iter().map(|value| value + offset).collect();
        points[0] = outlier + offset;
        let asked: Vec<f64> = rows(30, width, 2, 50.0).iter().map(|value| value + offset).collect();
        let width = width as usize;
        let mut found = vec![Nearest::new(4); 30];
        Brute::new(points.clone(), width, Metric::Euclidean).search(&asked, &mut found);
        for (at, found) in asked.chunks(width).zip(&found) {
            assert_eq!(found.found(), &all(Metric::Euclidean, &points, width, at, 4)[..]);
        }
    }
}
