//! Deployed models: exchanged while requests go on, remembered, labelled, forgotten.

use crate::desk::{Desk, Server, ask, good, until};
use serde_json::Value;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

const ROW: &str = r#"{"a": 0.9, "b": 0.9}"#;

/// A desk with two versions of the model `small`: a tree that is the champion, and another.
fn deployed() -> Desk {
    let desk = Desk::new();
    desk.put("good.csv", good(200));
    for depth in ["2", "3"] {
        desk.ok(&[
            "train",
            "good.csv",
            "target=c",
            "model=tree",
            "ignore=y",
            "name=small",
            "eval.importance=false",
            &format!("model.max_depth={depth}"),
            "-q",
        ]);
    }
    desk.ok(&["registry", "add", "1"]);
    desk.ok(&["registry", "add", "2", "alias=challenger"]);
    desk
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn version(server: &Server) -> String {
    json(&server.ask("POST", "/predict", ROW).1)["version"].as_str().unwrap().to_owned()
}

#[test]
fn models_are_exchanged_without_losing_a_request() {
    let desk = deployed();
    let server = desk.serve(&["small", "refresh_s=0.02"]);
    let hashes = [desk.hash("1"), desk.hash("2")];
    let stop = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut asked = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let (status, body) = server.ask("POST", "/predict", ROW);
                        let answer = json(&body);
                        let number: usize = answer["version"].as_str().unwrap().parse().unwrap();
                        assert_eq!((status, answer["hash"].as_str()), (200, Some(hashes[number - 1].as_str())), "{body}");
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        for _ in 0..5 {
            desk.ok(&["registry", "promote", "small", "2", "--why", "a test"]);
            until("the challenger answers", || version(&server) == "2");
            let (status, body) = server.ask("POST", "/admin/models/small/rollback", r#"{"why": "a test"}"#);
            assert_eq!((status, json(&body)["champion"]["version"].as_str()), (200, Some("1")), "{body}");
            assert_eq!(version(&server), "1");
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).sum::<i32>()
    });
    assert!(asked > 10, "{asked}");
    let said = json(&server.ask("GET", "/admin/models/small", "").1);
    let kinds: Vec<&str> = said["decisions"].as_array().unwrap().iter().map(|decision| decision["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "rollback").count(), 5, "{kinds:?}");
    let lines = desk.text("deploy/small/decisions.jsonl");
    assert_eq!(lines.lines().count(), kinds.len());
    assert_eq!(server.ask("POST", "/admin/models/small/promote", r#"{"version": "7"}"#).0, 422);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_model_that_does_not_open_leaves_the_one_that_serves() {
    let desk = deployed();
    fs::copy(desk.path("runs/0001-small/model.cupola"), desk.path("served.cupola")).unwrap();
    let server = desk.serve(&["served.cupola", "refresh_s=0.02"]);
    let hash = || json(&server.ask("POST", "/predict", ROW).1)["hash"].as_str().unwrap().to_owned();
    let replace = |bytes: &[u8]| {
        desk.put("next", bytes);
        fs::rename(desk.path("next"), desk.path("served.cupola")).unwrap();
    };
    assert_eq!(hash(), desk.hash("1"));
    let mut damaged = desk.bytes("runs/0002-small/model.cupola");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    replace(&damaged);
    let fault = || json(&server.ask("GET", "/health", "").1)["models"][0]["reload_fault"].as_str().map(str::to_owned);
    until("the fault is told", || fault().is_some_and(|fault| fault.contains("checksum")));
    assert_eq!(hash(), desk.hash("1"));
    replace(&desk.bytes("runs/0002-small/model.cupola"));
    until("the new model answers", || hash() == desk.hash("2"));
    assert_eq!(fault(), None);
    assert!(server.ask("GET", "/metrics", "").1.contains("cupola_reloads_total{model=\"served\",outcome=\"failed\"} 1"));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn challengers_answer_in_the_shadow_or_for_their_share() {
    let desk = deployed();
    let server = desk.serve(&["small", "challenger=split", "split=0.5"]);
    let versions: Vec<String> = (0..60).map(|_| version(&server)).collect();
    let second = versions.iter().filter(|version| *version == "2").count();
    assert!((15..45).contains(&second), "{second} of 60");
    let named = |path: &str| json(&server.ask("POST", path, ROW).1)["version"].as_str().map(str::to_owned);
    assert_eq!(named("/models/small/versions/challenger/predict").as_deref(), Some("2"));
    assert_eq!(named("/models/small/versions/1/predict").as_deref(), Some("1"));
    assert_eq!(named("/models/small/versions/9/predict"), None);
    assert_eq!(server.stop(), Some(0));

    let server = desk.serve(&["small", "log=on"]);
    until("a shadow answers", || {
        version(&server);
        server.ask("GET", "/metrics", "").1.contains("cupola_shadow_answers_total{outcome=\"made\"} 1")
    });
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn answers_are_remembered_labelled_exported_and_forgotten() {
    let desk = deployed();
    let server = desk.serve(&["small", "log=on", "challenger=off"]);
    let put = |id: &str, key: &str, body: &str| {
        let (status, body) = ask(&server.address, "POST", "/predict", &format!("x-request-id: {id}\r\nx-key: {key}\r\n"), body);
        assert_eq!((status, json(&body)["logged"].as_bool()), (200, Some(true)), "{body}");
    };
    put("p1", "ann", ROW);
    put("p2", "bob", &format!("[{ROW},{ROW}]"));
    // Labels may come before anybody looks, twice, and against each other.
    assert_eq!(server.ask("POST", "/feedback", r#"{"id": "p1", "label": "no", "at": "2026-01-02T00:00:00Z"}"#).0, 200);
    assert_eq!(server.ask("POST", "/models/small/feedback", r#"[{"id": "p1", "label": "yes", "at": "2026-01-03"}]"#).0, 200);
    desk.put("labels.csv", "id,c,at\np2-2,no,2026-01-05\np2-1,,\np1,no,2026-01-01\n");
    let told = desk.ok(&["feedback", "labels.csv"]);
    assert_eq!(told.stdout, "2 labels of c kept for small\n");
    // A server that dies keeps what it said it kept.
    put("p3", "cyd", ROW);
    server.kill();
    let table = |arguments: &[&str]| {
        let text = desk.ok(&[&["log", "export", "small"], arguments].concat()).stdout;
        let cut = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("{} {}", cells[0], cells[2..].join(","))
        };
        text.lines().map(cut).collect::<Vec<_>>()
    };
    assert_eq!(table(&[]), ["prediction_id a,b,c", "p1 0.9,0.9,yes", "p2-1 0.9,0.9,", "p2-2 0.9,0.9,no", "p3 0.9,0.9,"]);
    assert_eq!(table(&["--labelled"]), ["prediction_id a,b,c", "p1 0.9,0.9,yes", "p2-2 0.9,0.9,no"]);
    desk.ok(&["log", "export", "small", "--labelled", "-o", "new.parquet"]);
    desk.ok(&["eval", "1", "new.parquet"]);
    assert_eq!(desk.ok(&["log", "forget", "small", "key=bob"]).stdout, "2 rows and 1 labels of small with key=bob are forgotten\n");
    assert_eq!(table(&[]), ["prediction_id a,b,c", "p1 0.9,0.9,yes", "p3 0.9,0.9,"]);
}
