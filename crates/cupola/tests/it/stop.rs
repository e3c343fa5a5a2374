//! Signals: the first one stops cleanly and saves, the second one ends at once.

use crate::desk::{Desk, shipped};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command};
use std::sync::mpsc;
use std::time::Duration;

/// How long anything may take before the test says that it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A fit that takes minutes when nobody stops it.
const LONG: [&str; 6] = [
    "model=gbdt",
    "model.n_estimators=100000",
    "model.early_stopping_rounds=0",
    "model.learning_rate=0.01",
    "eval.importance=false",
    "--json",
];

struct Going {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Going {
    fn start(desk: &Desk, arguments: &[&str]) -> Going {
        let mut child = desk.cupola(arguments).stderr(std::process::Stdio::inherit()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        Going { child, lines }
    }

    /// The first line of that kind.
    fn wait_for(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("the line comes before the program ends");
            let event: Value = serde_json::from_str(&line).expect("every line is JSON");
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Sends signals, one right after the other.
    fn signal(&self, names: &[&str]) {
        let line: Vec<String> = names.iter().map(|name| format!("kill -{name} {}", self.child.id())).collect();
        assert!(Command::new("sh").args(["-c", &line.join("; ")]).status().unwrap().success());
    }

    fn end(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn lines(stdout: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn is_fitting(event: &Value) -> bool {
    event["event"] == "progress" && event["unit"] == "trees" && event["done"].as_u64() >= Some(3)
}

#[test]
fn a_stopped_fit_is_saved_and_repeats() {
    for signal in ["TERM", "INT"] {
        let desk = Desk::new();
        let adult = shipped("tiny/adult.csv");
        let going = Going::start(&desk, &[&["train", adult.as_str(), "target=income"], &LONG[..]].concat());
        going.wait_for(is_fitting);
        going.signal(&[signal]);
        let end = going.wait_for(|event| event["event"] == "end");
        assert_eq!((&end["interrupted"], going.end()), (&Value::Bool(true), Some(130)), "{signal}");
        let report = desk.json("runs/0001-adult-gbdt/report.json");
        assert!(report["warnings"].to_string().contains("stopped"), "{}", report["warnings"]);
        assert_eq!(end["hash"].as_str().unwrap(), desk.hash("latest"));
        // What the signal settled stands in run.toml, so the same model comes out again.
        desk.ok(&["train", "runs/0001-adult-gbdt/run.toml", "-q"]);
        assert_eq!(desk.hash("1"), desk.hash("2"));
    }
}

#[test]
fn a_stopped_leaderboard_keeps_the_model_that_leads() {
    let desk = Desk::new();
    let going = Going::start(&desk, &["train", &shipped("adult.csv.gz"), "target=income", "--json"]);
    going.wait_for(|event| event["event"] == "note" && event["text"].as_str().is_some_and(|text| text.starts_with("1/")));
    going.signal(&["INT"]);
    let end = going.wait_for(|event| event["event"] == "end");
    assert_eq!((&end["interrupted"], going.end()), (&Value::Bool(true), Some(130)));
    let board = &desk.json("runs/0001-adult-auto/leaderboard.json")[0]["board"];
    let trees = desk
        .text("runs/0001-adult-auto/run.toml")
        .lines()
        .find_map(|line| line.strip_prefix("n_estimators = ")?.split(' ').next()?.parse::<u32>().ok());
    assert!(trees.is_none_or(|trees| trees > 5), "{trees:?} trees, {board}");
    desk.ok(&["train", "runs/0001-adult-auto/run.toml", "-q"]);
    assert_eq!(desk.hash("1"), desk.hash("2"));
}

#[test]
fn a_second_signal_ends_at_once() {
    let desk = Desk::new();
    // Measuring so many rows takes long enough that the second signal comes before the end.
    let adult = shipped("adult.csv.gz");
    let going = Going::start(&desk, &[&["train", adult.as_str(), "target=income"], &LONG[..]].concat());
    going.wait_for(is_fitting);
    going.signal(&["INT", "TERM"]);
    assert_eq!(going.end(), Some(130));
    assert!(!desk.path("runs/latest").exists());
}
