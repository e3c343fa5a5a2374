//! What is told of a training before it starts, how sure means over folds are, and where labels pay.

use crate::desk::{Desk, good, shipped};
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Instant;

fn last(stdout: &str) -> Value {
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn a_plan_tells_time_and_memory_of_a_training_and_leaves_nothing() {
    let desk = Desk::new();
    let adult = shipped("adult.csv.gz");
    let asked = [adult.as_str(), "target=income", "model=gbdt"];
    let told = last(&desk.ok(&[&["plan"], &asked[..], &["--json", "-q"]].concat()).stdout)["forecast"].clone();
    assert!(desk.ok(&["runs", "ls"]).stdout.lines().all(|line| !line.contains("0001")), "a plan is no run");
    let began = Instant::now();
    desk.ok(&[&["train"], &asked[..], &["-q"]].concat());
    let took = began.elapsed().as_secs_f64();
    let seconds = told["seconds"]["value"].as_f64().unwrap();
    // Wide bounds: other tests share the machine. The proof script has the ratios of a machine at rest.
    assert!((took / 3.0..took * 3.0).contains(&seconds), "{seconds} s told, {took} s taken");
    assert!(told["memory_bytes"].as_u64().unwrap() > told["data_bytes"].as_u64().unwrap(), "{told}");
    assert_eq!(told["columns"], 14);
    let names: Vec<&str> = told["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["read", "prepare", "fit", "judge", "report"]);
    let text = desk.ok(&[&["plan"], &asked[..], &["cv=3", "-q"]].concat()).stdout;
    for word in ["data in memory", "cross-validation", "that the machine has", "for the run folder"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn means_over_the_same_folds_are_compared_with_the_corrected_test() {
    let desk = Desk::new();
    desk.put("good.csv", good(400));
    for model in ["logistic", "tree"] {
        desk.ok(&["train", "good.csv", "target=c", "ignore=y", &format!("model={model}"), "cv=5", "cv_repeats=2", "name=cv", "-q"]);
    }
    let report = desk.json("runs/0001-cv/report.json");
    let found = &report["targets"][0]["cross_validation"];
    assert_eq!((found["folds"].as_u64(), found["repeats"].as_u64()), (Some(10), Some(2)));
    let measure = &found["measures"][0];
    let interval = ["low", "high"].map(|end| measure["interval"][end].as_f64().unwrap());
    assert!(interval[0] < measure["mean"].as_f64().unwrap() && measure["mean"].as_f64().unwrap() < interval[1], "{measure}");
    let compared = last(&desk.ok(&["compare", "1", "2", "--json", "-q"]).stdout);
    let folds = &compared["comparison"]["targets"][0]["pairs"][0]["folds"];
    assert_eq!(folds["folds"], 10);
    assert!((0.0..=1.0).contains(&folds["differences"][0]["p"].as_f64().unwrap()), "{folds}");
    assert!(desk.ok(&["compare", "1", "2", "-q"]).stdout.contains("over the same 10 folds, by the corrected resampled t-test"));
}

#[test]
fn a_leaderboard_is_nested_where_that_is_asked_for() {
    let desk = Desk::new();
    desk.put("good.csv", good(300));
    desk.ok(&["train", "good.csv", "target=c", "ignore=y", "time=8s", "nested_cv=2", "name=nested", "-q"]);
    let report = desk.json("runs/0001-nested/report.json");
    let nested = &report["targets"][0]["nested"];
    assert_eq!((nested["folds"].as_u64(), nested["chosen"].as_array().map(Vec::len)), (Some(2), Some(2)), "{nested}");
    let page = String::from_utf8(desk.bytes("runs/0001-nested/report.html")).unwrap();
    assert!(page.contains("Nested cross-validation of"));
}

#[test]
fn a_curve_says_which_slice_labels_pay_in() {
    let desk = Desk::new();
    // `rare` follows x in stripes that take rows to be seen, and has few.
    let table = |rows: u32, rare: u32| {
        let mut text = String::from("group,x,y\n");
        for row in 0..rows {
            let (x, is_rare) = (i64::from(row * 37 % 201) - 100, row * 53 % 100 < rare);
            let is = if is_rare { (x + 100) * 6 / 201 % 2 == 0 } else { x > 0 };
            writeln!(text, "{},{x},{}", if is_rare { "rare" } else { "common" }, if is { "yes" } else { "no" }).unwrap();
        }
        text
    };
    desk.put("train.csv", table(2000, 4));
    desk.put("test.csv", table(800, 25));
    let asked =
        ["learning-curve", "train.csv", "data.test=test.csv", "target=y", "model=gbdt", "model.n_estimators=40", "data.clean.leaks=off"];
    let more = ["curve.points=3", "curve.repeats=2", "curve.labels=300", "--html", "curve.html", "--json", "-q"];
    let curve = last(&desk.ok(&[&asked[..], &more[..]].concat()).stdout)["curve"].clone();
    let first = &curve["slices"]["slices"][0];
    assert!(first["parts"].to_string().contains("rare"), "{}", curve["slices"]);
    assert!(first["gain_all"]["value"].as_f64().unwrap() > 0.0);
    let page = String::from_utf8(desk.bytes("curve.html")).unwrap();
    assert!(page.contains("Slices where the next 300 labels pay most"));
}
