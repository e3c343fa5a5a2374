//! From late labels to a better champion, and what the gates stop.

use crate::desk::{Desk, Server, ask, until};
use serde_json::Value;

/// Rows whose class is told by `a` alone, by `b` alone, or by nothing.
#[derive(Clone, Copy)]
enum World {
    Old,
    New,
    Noise,
}

/// Numbers in 0..1 that are the same at every call.
fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    }
}

fn rows(world: World, count: usize, seed: u64) -> Vec<(f64, f64, &'static str)> {
    let mut next = numbers(seed);
    let mut row = || {
        let (a, b, noise) = (next(), next(), next());
        let score = match world {
            World::Old => a + noise * 0.2,
            World::New => b + noise * 0.2,
            World::Noise => noise * 1.2,
        };
        (a, b, if score > 0.6 { "yes" } else { "no" })
    };
    (0..count).map(|_| row()).collect()
}

/// Asks for rows and labels them.
fn live(desk: &Desk, server: &Server, name: &str, rows: &[(f64, f64, &str)]) {
    let body = rows.iter().fold("a,b\n".to_owned(), |text, (a, b, _)| text + &format!("{a},{b}\n"));
    let headers = format!("x-request-id: {name}\r\ncontent-type: text/csv\r\n");
    let (status, answer) = ask(&server.address, "POST", "/predict", &headers, &body);
    assert_eq!(status, 200, "{answer}");
    let labels =
        rows.iter().enumerate().fold("id,label\n".to_owned(), |text, (row, (_, _, c))| text + &format!("{name}-{},{c}\n", row + 1));
    desk.put("labels.csv", labels);
    desk.ok(&["feedback", "labels.csv", &format!("name={}", server.models[0])]);
}

fn told(output: &str) -> Value {
    let last = output.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {output}"))
}

fn deployed() -> Desk {
    let desk = Desk::new();
    let table = rows(World::Old, 600, 1).iter().fold("a,b,c\n".to_owned(), |text, (a, b, c)| text + &format!("{a},{b},{c}\n"));
    desk.put("old.csv", table);
    desk.ok(&["train", "old.csv", "target=c", "model=gbdt", "model.n_estimators=20", "name=small", "eval.importance=false", "-q"]);
    desk.ok(&["registry", "add", "1"]);
    desk
}

#[test]
fn a_world_that_changed_is_learned_and_people_or_the_policy_promote() {
    let desk = deployed();
    let server = desk.serve(&["small", "log=on", "refresh_s=0.02"]);
    let loop_ = ["--json", "retrain", "small", "retrain.anchor_drop=10", "retrain.shadow_rows=50", "retrain.data=log"];
    let with = |more: &[&'static str]| [&loop_[..], more].concat();
    assert!(told(&desk.ok(&loop_).stdout)["said"].as_str().unwrap().contains("no trigger"));
    assert!(
        told(&desk.ok(&with(&["--now"])).stdout)["said"].as_str().unwrap().contains("0 answers of the window are labelled, 200 are needed")
    );
    live(&desk, &server, "new", &rows(World::New, 900, 2));
    let tried = told(&desk.ok(&with(&["retrain.when=[labels > 500]"])).stdout);
    assert_eq!((tried["event"].as_str(), tried["version"].as_i64()), (Some("tried"), Some(2)), "{tried}");
    let waits = told(&desk.ok(&loop_).stdout);
    assert!(waits["said"].as_str().unwrap().contains("0 of 50 answers in the shadow"), "{waits}");
    let back = desk.ok(&["backtest", "small"]).stdout;
    assert!(back.contains("900 labelled answers of c") && back.contains("better"), "{back}");

    // The server looks every 20 ms; whoever asks until a shadow answers waits for nothing else.
    let asked = rows(World::New, 300, 3);
    until("a shadow answers", || {
        live(&desk, &server, "trial", &asked);
        !server.ask("GET", "/metrics", "").1.contains("cupola_shadow_answers_total{outcome=\"made\"} 0")
    });
    until("the trial is over", || told(&desk.ok(&loop_).stdout)["event"] != "idle");
    let suggested = told(&desk.ok(&loop_).stdout);
    assert_eq!(suggested["event"], "suggested", "{suggested}");
    let promoted = told(&desk.ok(&with(&["retrain.mode=auto"])).stdout);
    assert_eq!(promoted["event"], "promoted", "{promoted}");
    let log = desk.ok(&["registry", "log", "small"]).stdout;
    for word in ["retrain", "alias", "promote", "every gate is open"] {
        assert!(log.contains(word), "{word} in {log}");
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn labels_that_are_noise_teach_nothing() {
    let desk = deployed();
    let server = desk.serve(&["small", "log=on"]);
    live(&desk, &server, "noise", &rows(World::Noise, 900, 4));
    let ran = desk.run(&["--json", "retrain", "small", "--now"]);
    let refused = told(&ran.stdout);
    assert_eq!((ran.code, refused["event"].as_str()), (Some(4), Some("refused")), "{refused}");
    let shut: Vec<&str> = refused["gates"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|gate| gate["holds"] == false)
        .map(|gate| gate["name"].as_str().unwrap())
        .collect();
    assert!(shut.contains(&"attain"), "{refused}");
    assert!(desk.ok(&["registry", "ls", "small"]).stdout.lines().count() == 2, "the refused challenger is no version");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn networks_begin_from_the_champions_weights_and_boosting_behind_its_trees() {
    let desk = deployed();
    desk.ok(&["train", "old.csv", "target=c", "model=mlp", "train.epochs=4", "name=net", "eval.importance=false", "-q"]);
    desk.ok(&["registry", "add", "2"]);
    desk.ok(&["train", "old.csv", "target=c", "model=forest", "name=wood", "eval.importance=false", "-q"]);
    desk.ok(&["registry", "add", "3"]);
    for name in ["net", "small", "wood"] {
        let server = desk.serve(&[name, "log=on"]);
        live(&desk, &server, name, &rows(World::Old, 400, 5));
        assert_eq!(server.stop(), Some(0));
    }
    let warm = ["--json", "retrain", "net", "--now", "retrain.start=warm", "train.epochs=1", "train.lr=1e-6"];
    let ran = desk.run(&warm);
    assert!(matches!(ran.code, Some(0 | 4)), "{}", ran.stderr);
    let recipe = desk.text("runs/latest/run.toml");
    assert!(recipe.contains("weights.safetensors"), "{recipe}");
    // At such a rate nothing is learned: what is known was known before.
    let scores = |desk: &Desk| desk.json("runs/latest/report.json")["targets"][0]["scores"][0]["test"]["value"].as_f64().unwrap();
    let warm = scores(&desk);
    desk.run(&["retrain", "net", "--now", "train.epochs=1", "train.lr=1e-6"]);
    assert!(warm > scores(&desk) + 0.05, "{warm} against {}", scores(&desk));
    let trees = |recipe: &str| recipe.lines().any(|line| line.starts_with("init_model") && line.contains(".cupola\""));
    for (start, keeps) in [("warm", true), ("cold", false)] {
        let ran = desk.run(&["retrain", "small", "--now", &format!("retrain.start={start}")]);
        assert!(matches!(ran.code, Some(0 | 4)), "{}", ran.stderr);
        let recipe = desk.text("runs/latest/run.toml");
        assert_eq!(trees(&recipe), keeps, "{recipe}");
    }
    let ran = desk.run(&["retrain", "wood", "--now", "retrain.start=warm"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("have nothing to go on from"), "{}", ran.stderr);
}
