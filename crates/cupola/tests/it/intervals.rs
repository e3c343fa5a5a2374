//! `intervals=cqr`: intervals that are as wide as the rows around them scatter.

use crate::desk::Desk;
use cupola_task::Draw;
use serde_json::Value;

/// A number whose scatter grows with `b` from a tenth to three.
fn scattered(rows: u64) -> String {
    let draw = Draw::new(11);
    let line = |row: u64| {
        let (a, b) = (draw.uniform(3 * row), draw.uniform(3 * row + 1));
        let y = 4.0 * a + (0.1 + 2.9 * b) * draw.stream("noise").normal(row);
        format!("{a:.4},{b:.4},{y:.4}\n")
    };
    std::iter::once("a,b,y\n".to_owned()).chain((0..rows).map(line)).collect()
}

fn coverage(desk: &Desk, run: &str) -> Value {
    let report: Value = serde_json::from_str(&desk.text(&format!("runs/{run}/report.json"))).unwrap();
    report["targets"][0]["postprocessing"]["coverage"].clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn intervals_of_quantiles_hold_as_promised_and_are_narrower() {
    let desk = Desk::new();
    desk.put("table.csv", scattered(4000));
    let train = |model: &str, by: &str, ratio: &str, name: &str| {
        let (name, split) = (format!("name={name}"), format!("data.split.ratio={ratio}"));
        desk.ok(&["train", "table.csv", "target=y", model, "interval=0.9", by, &split, &name, "-q"]);
    };
    train("model=ridge", "intervals=split", "[0.6,0.2,0.2]", "split");
    train("model=ridge", "intervals=cqr", "[0.6,0.2,0.2]", "cqr");
    train("model=gbdt", "intervals=cqr", "[0.8,0,0.2]", "folds");
    let split = coverage(&desk, "0001-split");
    // Models of folds learn from fewer rows than the one that answers, so intervals that are learned from them are rather too wide.
    for (run, most) in [("0002-cqr", 0.9), ("0003-folds", 0.92)] {
        let told = coverage(&desk, run);
        let [low, high] = ["low", "high"].map(|end| number(&told["share"][end]));
        assert!(low <= most && 0.9 <= high, "{run}: {told}");
        assert!(
            told["method"] == "conformalised quantiles" && number(&told["width"]) < 0.9 * number(&split["width"]),
            "{run}: {told} {split}"
        );
    }
    // The report says what one width for all would be: that of the model without quantiles.
    assert!((number(&coverage(&desk, "0002-cqr")["split_width"]) - number(&split["width"])).abs() < 1e-9);
    // Where little scatters the interval is narrow, where much does it is wide, in predict and in the server; the file holds it.
    desk.put("two.csv", "a,b\n0.5,0.05\n0.5,0.95\n");
    let answers = desk.ok(&["predict", "2", "two.csv", "--bare", "--format", "jsonl", "-q"]).stdout;
    let widths: Vec<f64> = answers
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            number(&row["prediction_high"]) - number(&row["prediction_low"])
        })
        .collect();
    assert!(widths[1] > 3.0 * widths[0] && widths[0] > 0.0, "{widths:?}");
    let server = desk.serve(&["2"]);
    let body: Value = serde_json::from_str(&server.ask("POST", "/predict", r#"{"a": 0.5, "b": 0.95}"#).1).unwrap();
    let answer = &body["predictions"][0];
    assert!((number(&answer["prediction_high"]) - number(&answer["prediction_low"]) - widths[1]).abs() < 1e-9, "{body}");
    drop(server);
    desk.ok(&["verify", "2"]);
    let ran = desk.run(&["train", "table.csv", "target=y", "model=ridge", "intervals=cqr", "-q"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("interval=0.9, say"), "{:?} {}", ran.code, ran.stderr);
}
