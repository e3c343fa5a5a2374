//! Lists of labels in one cell, and values of earlier rows, on the whole way.

use crate::desk::{Desk, shipped};
use serde_json::Value;
use std::fmt::Write as _;

fn films(rows: usize) -> String {
    let mut text = "x,z,genres\n".to_owned();
    for row in 0..rows {
        let (x, z) = ((row * 7919) % 100, (row * 104_729) % 100);
        let genres = [(x > 40, "action"), (z > 60, "comedy"), (x + z > 120, "drama")];
        let genres: Vec<&str> = genres.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        writeln!(text, "{x},{z},{}", genres.join("|")).unwrap();
    }
    text
}

#[test]
fn lists_of_labels_go_the_whole_way() {
    let desk = Desk::new();
    desk.put("films.csv", films(500));
    let said = ["outputs.genres.type=labels", "outputs.genres.separator=|", "outputs.genres:drama.threshold=0.9", "name=films", "-q"];
    desk.ok(&[&["train", "films.csv", "target=genres", "model=logistic", "leaks=off"], &said[..]].concat());
    let predicted = desk.ok(&["predict", "1", "films.csv", "--bare", "-q"]).stdout;
    assert_eq!(predicted.lines().next().unwrap(), "prediction,probability_action,probability_comedy,probability_drama");
    assert!(predicted.contains(r#""[""action"",""comedy"",""drama""]""#) && predicted.contains("\n[],"), "{predicted}");
    let evaluated: Value = serde_json::from_str(&desk.ok(&["eval", "1", "films.csv", "--json"]).stdout).unwrap();
    let score = |name: &str| {
        let scores = evaluated["labels"][0]["scores"].as_array().unwrap();
        scores.iter().find(|score| score["name"] == name).unwrap()["test"]["value"].as_f64().unwrap()
    };
    assert!(score("f1_micro") > 0.9 && score("hamming_loss") < 0.1 && score("coverage_error") < 3.0);
    assert_eq!(evaluated["targets"].as_array().unwrap().len(), 3);
    let shown = desk.ok(&["eval", "1", "films.csv"]).stdout;
    assert!(shown.starts_with("genres on 500 rows\n") && shown.contains("label_ranking_average_precision"), "{shown}");
    let explained = desk.ok(&["explain", "1", "films.csv", "target=genres:drama"]).stdout;
    assert!(explained.contains("genres:drama"), "{explained}");
    let server = desk.serve(&["1"]);
    let (status, body) = server.ask("POST", "/predict", r#"{"x": 95, "z": 5, "genres": "action"}"#);
    let body: Value = serde_json::from_str(&body).unwrap();
    let answer = &body["predictions"][0];
    assert_eq!((status, &answer["prediction"]), (200, &serde_json::json!(["action"])), "{body}");
    assert!(answer["probability_comedy"].as_f64().unwrap() < 0.5);
    assert_eq!(server.stop(), Some(0));
    desk.ok(&["train", "runs/0001-films/run.toml", "-q"]);
    assert_eq!(desk.hash("1"), desk.hash("2"));
}

#[test]
fn earlier_rows_are_looked_at_in_order_and_kept() {
    let desk = Desk::new();
    let weather = shipped("weather.csv");
    let split = ["target=temp_max", "data.split.by=time", "data.split.key=date", "ignore=[temp_min]"];
    let lag = ["data.lag.columns=[temp_max,temp_min]", "data.lag.lags=[1,2]", "data.lag.windows=[7]", "name=lags", "-q"];
    desk.ok(&[&["train", &weather, "model=gbdt"], &split[..], &lag].concat());
    desk.ok(&[&["train", &weather, "model=gbdt", "name=plain", "-q"], &split[..]].concat());
    let rmse = |run: &str| {
        let report = desk.json(&format!("runs/{run}/report.json"));
        let scores = report["targets"][0]["scores"].as_array().unwrap();
        scores.iter().find(|score| score["name"] == "rmse").unwrap()["test"]["value"].as_f64().unwrap()
    };
    assert!(rmse("0001-lags") < 0.8 * rmse("0002-plain"), "{} and {}", rmse("0001-lags"), rmse("0002-plain"));
    // A row alone follows the rows that are kept; behind its own history it is answered alike, in any order.
    desk.put("next.csv", "date,precipitation,wind,weather\n2016-01-01,0,3,sun\n");
    let alone = desk.ok(&["predict", "1", "next.csv", "--bare", "-q"]).stdout;
    let mut rows: Vec<&str> = std::fs::read_to_string(&weather).unwrap().leak().lines().collect();
    let head = rows.remove(0);
    rows.reverse();
    desk.put("all.csv", format!("{head}\n2016-01-01,0,,,3,sun\n{}\n", rows.join("\n")));
    let whole = desk.ok(&["predict", "1", "all.csv", "--bare", "-q"]).stdout;
    assert_eq!(alone.lines().nth(1), whole.lines().nth(1));
    desk.ok(&["eval", "1", &weather, "-q"]);
    let server = desk.serve(&["1"]);
    let (status, body) = server.ask("POST", "/predict", r#"{"date": "2016-01-01", "precipitation": 0, "wind": 3, "weather": "sun"}"#);
    let body: Value = serde_json::from_str(&body).unwrap();
    let served = body["predictions"][0]["prediction"].as_f64().unwrap();
    assert_eq!((status, Some(served)), (200, alone.lines().nth(1).and_then(|cell| cell.parse().ok())));
    // Rows before it may come with it; who does not say the day is told so.
    let row = |date: &str, temp_max: &str| format!(r#"{{{date}"temp_max": {temp_max}, "precipitation": 0, "wind": 3, "weather": "sun"}}"#);
    let rows = format!("[{}, {}]", row(r#""date": "2016-01-01", "#, "30"), row(r#""date": "2016-01-02", "#, "null"));
    let (status, body) = server.ask("POST", "/predict", &rows);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, body["predictions"][0]["prediction"].as_f64()), (200, Some(served)));
    assert!(body["predictions"][1]["prediction"].as_f64().unwrap() > served + 3.0, "{body}");
    let (status, body) = server.ask("POST", "/predict", &row("", "3"));
    assert!(status == 422 && body.contains("date"), "{status} {body}");
    assert_eq!(server.stop(), Some(0));
    desk.ok(&["train", "runs/0001-lags/run.toml", "-q"]);
    assert_eq!(desk.hash("1"), desk.hash("3"));
}
