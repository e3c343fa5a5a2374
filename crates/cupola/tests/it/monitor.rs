//! What moved since training: from a table, from the log, and by a server that goes on where it stopped.

use crate::desk::{Desk, Server, ask, until};
use serde_json::Value;

/// Rows whose class is told by `a`; `shift` moves it.
fn rows(count: usize, seed: u64, shift: f64) -> Vec<(f64, f64, &'static str)> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    let mut row = || {
        let (a, b, noise) = (next() + shift, next(), next());
        (a, b, if a - shift + noise * 0.4 > 0.7 { "yes" } else { "no" })
    };
    (0..count).map(|_| row()).collect()
}

fn table(rows: &[(f64, f64, &str)]) -> String {
    rows.iter().fold("a,b,c\n".to_owned(), |text, (a, b, c)| text + &format!("{a},{b},{c}\n"))
}

fn trained() -> Desk {
    let desk = Desk::new();
    desk.put("old.csv", table(&rows(2000, 1, 0.0)));
    let words = [
        "train",
        "old.csv",
        "target=c",
        "model=tree",
        "name=small",
        "eval.importance=false",
        "monitor.window=200",
        "monitor.cooldown=0",
        "-q",
    ];
    desk.ok(&words);
    desk
}

fn last(output: &str) -> Value {
    let last = output.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {output}"))
}

#[test]
fn a_table_is_held_against_training_and_against_another_table() {
    let desk = trained();
    desk.put("same.csv", table(&rows(1000, 2, 0.0)));
    desk.put("moved.csv", table(&rows(1000, 3, 0.2)));
    let calm = last(&desk.ok(&["monitor", "1", "same.csv", "--json"]).stdout);
    assert_eq!((&calm["raised"], &calm["windows"]), (&Value::Array(vec![]), &1.into()));
    let ran = desk.run(&["monitor", "1", "moved.csv", "--html", "page.html"]);
    let text = ran.stdout;
    assert_eq!(ran.code, Some(4), "{text}");
    assert!(text.contains("a moved: mean") && text.contains("raised: ") && text.contains("labelled now, 1000 rows: accuracy"), "{text}");
    let page = desk.text("page.html");
    assert!(page.contains("input.a.ks") && !page.contains("<script") && !page.contains("http"), "{page}");
    // Held against rows that moved as much, nothing has.
    let calm = last(&desk.ok(&["monitor", "1", "moved.csv", "--reference", "moved.csv", "window=500", "--json"]).stdout);
    assert_eq!((&calm["raised"], &calm["windows"]), (&Value::Array(vec![]), &2.into()));
    let ran = desk.run(&["monitor", "1", "moved.csv", "window=1d"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("a table has no times"), "{}", ran.stderr);
}

/// Asks for rows, all at once.
fn live(server: &Server, name: &str, rows: &[(f64, f64, &str)]) {
    let body = rows.iter().fold("a,b\n".to_owned(), |text, (a, b, _)| text + &format!("{a},{b}\n"));
    let (status, answer) = ask(&server.address, "POST", "/predict", &format!("x-request-id: {name}\r\ncontent-type: text/csv\r\n"), &body);
    assert_eq!(status, 200, "{answer}");
}

fn label(desk: &Desk, name: &str, rows: &[(f64, f64, &str)]) {
    let labels =
        rows.iter().enumerate().fold("id,label\n".to_owned(), |text, (row, (_, _, c))| text + &format!("{name}-{},{c}\n", row + 1));
    desk.put("labels.csv", labels);
    desk.ok(&["feedback", "labels.csv"]);
}

#[test]
fn a_server_watches_and_goes_on_where_it_stopped() {
    let desk = trained();
    desk.ok(&["registry", "add", "1"]);
    let server = desk.serve(&["small", "log=on"]);
    let calm = rows(300, 4, 0.0);
    live(&server, "calm", &calm);
    label(&desk, "calm", &calm);
    let seen =
        |server: &Server| -> Value { serde_json::from_str(&ask(&server.address, "GET", "/models/small/monitor", "", "").1).unwrap() };
    until("labels are counted", || seen(&server)["present"]["targets"][0]["live"][0]["rows"].as_u64().is_some_and(|rows| rows >= 100));
    server.stop();
    // A window was half full: the next process fills it.
    let server = desk.serve(&["small", "log=on"]);
    live(&server, "moved", &rows(500, 5, 0.3));
    until("alarms are raised", || ask(&server.address, "GET", "/health", "", "").1.contains("input.a.ks"));
    let found = seen(&server);
    assert!(found["raised"].to_string().contains("input.a.ks"), "{found}");
    assert_eq!(found["history"]["windows"].as_array().map(Vec::len), Some(4), "{found}");
    let text = ask(&server.address, "GET", "/metrics", "", "").1;
    assert!(text.contains("cupola_alarm{model=\"small\",key=\"input.a.ks\"} 1") && text.contains("cupola_quality{"), "{text}");
    let page = ask(&server.address, "GET", "/monitor", "", "").1;
    assert!(page.contains("a moved: mean") && !page.contains("Promote") && page.contains("Decisions"), "{page}");
    let decisions = desk.text("deploy/small/decisions.jsonl");
    assert!(decisions.contains("\"kind\":\"alarm\""), "{decisions}");
    // The log says the same afterwards, and its alarms are an exit code.
    let ran = desk.run(&["monitor", "small", "--json"]);
    let found = last(&ran.stdout);
    assert_eq!((ran.code, found["windows"].as_u64()), (Some(4), Some(4)), "{found}");
    assert!(found["raised"].to_string().contains("input.a.ks"), "{found}");
    server.stop();
}

#[test]
fn requests_that_lack_a_column_are_told() {
    let desk = trained();
    let server = desk.serve(&["1", "monitor.window=1s", "monitor.min_rows=20"]);
    until("the alarm", || {
        let (status, answer) = server.ask("POST", "/predict", r#"{"b": 0.5}"#);
        assert_eq!(status, 422, "{answer}");
        server.ask("GET", "/health", "").1.contains("data.a.absent")
    });
    assert_eq!(server.stop(), Some(0));
}
