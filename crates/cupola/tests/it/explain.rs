//! `explain`: why a model answers as it does.

use crate::desk::{Desk, good, root, shipped};
use expect_test::expect;
use serde_json::Value;

/// A desk with a model of `good.csv` by this name, as run 1.
fn trained(model: &str, target: &str, left_out: &str) -> Desk {
    let desk = Desk::new();
    desk.put("good.csv", good(400));
    let (target, left_out) = (format!("target={target}"), format!("ignore={left_out}"));
    let few = if model == "model=ridge" { "seed=7" } else { "model.n_estimators=30" };
    desk.ok(&["train", "good.csv", &target, model, &left_out, "name=why", few, "-q"]);
    desk
}

fn told(desk: &Desk, arguments: &[&str]) -> Value {
    let ran = desk.ok(&[&["--json", "explain", "latest"], arguments].concat());
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "explanation");
    last["explanation"].clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn all_rows_are_explained_and_told_on_a_page() {
    let desk = trained("model=gbdt", "c", "y");
    let ran = desk.ok(&["explain", "latest", "--html", "why.html", "-q"]);
    for text in [
        "mean |SHAP| in log-odds (exact, against what training saw)",
        "what roc_auc loses when a column is shuffled",
        "with a set to",
        "Friedman's H",
    ] {
        assert!(ran.stdout.contains(text), "{text} in {}", ran.stdout);
    }
    let page = desk.text("why.html");
    for text in ["What each column adds", "Dependence on a", "Local effect of b", "Pairs that act together"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("<script") && !page.contains("http://") && page.len() < 2_000_000);
    let all = told(&desk, &["n_repeats=2", "grid_resolution=5", "ice=3"]);
    assert_eq!((all["source"].as_str(), all["shap"]["method"].as_str()), (Some("the run's test rows"), Some("tree_path_dependent")));
    assert!(number(&all["shap"]["columns"][0]["mean_abs"]) > 0.0 && all["shap"]["columns"][0]["column"] == "a");
    assert_eq!(all["permutation"]["repeats"], 2);
    let dependence = &all["columns"][0]["dependence"];
    assert_eq!((dependence["grid"].as_array().map(Vec::len), dependence["ice"].as_array().map(Vec::len)), (Some(5), Some(3)));
    let mean = |place: usize| number(&dependence["mean"][place]);
    assert!(mean(4) > mean(0) + 0.3, "more of a makes yes: {dependence}");
    // The same again, whatever the threads.
    assert_eq!(all, told(&desk, &["n_repeats=2", "grid_resolution=5", "ice=3"]));
    assert!(!desk.ok(&["explain", "latest", "good.csv", "columns=b", "-q"]).stdout.contains("with a set to"));
}

#[test]
fn a_row_is_explained_and_what_would_change_it_does() {
    let desk = trained("model=gbdt", "c", "y");
    let row = told(&desk, &["good.csv", "row=3", "set.a=0.99", "counterfactuals=2"]);
    let row = &row["row"];
    let parts: f64 = row["parts"].as_array().unwrap().iter().map(|part| number(&part["shap"])).sum();
    let score = number(&row["base"]) + parts;
    assert!((score - number(&row["sum"])).abs() < 1e-9);
    let probability = 1.0 / (1.0 + (-score).exp());
    assert!((probability - number(&row["score"])).abs() < 1e-9, "log-odds {score} are the answer's {}", row["score"]);
    assert!(row["truth"].is_string() && row["changed"]["set"][0][0] == "a");
    let ways = row["counterfactuals"].as_array().unwrap();
    assert!(!ways.is_empty());
    // What the counterfactual says is what predict answers.
    let cells: Vec<String> = good(400).lines().nth(3).unwrap().split(',').map(str::to_owned).collect();
    for way in ways {
        let mut changed = cells.clone();
        for change in way["changes"].as_array().unwrap() {
            let place = ["a", "b"].iter().position(|name| change["column"] == *name).unwrap();
            changed[place] = change["to"].to_string();
        }
        desk.put("changed.csv", format!("a,b\n{},{}\n", changed[0], changed[1]));
        let answer = desk.ok(&["predict", "latest", "changed.csv", "--bare", "-q"]).stdout;
        let answered = answer.lines().nth(1).unwrap().split(',').next().unwrap();
        assert!(answered == way["answer"].as_str().unwrap() && answered != row["answer"].as_str().unwrap(), "{way}: {answer}");
    }
    let kept = told(&desk, &["good.csv", "row=3", "fixed=[a]"]);
    let changed = kept["row"]["counterfactuals"].to_string();
    assert!(!changed.contains("\"column\":\"a\""), "{changed}");
}

#[test]
fn numbers_lines_and_models_that_cannot_tell_are_explained_too() {
    let desk = trained("model=ridge", "y", "c");
    let row = told(&desk, &["good.csv", "row=1", "want=>= 4"]);
    let row = &row["row"];
    assert_eq!((row["unit"].as_str(), row["method"].as_str()), (Some("number"), Some("tree_path_dependent")));
    assert!((number(&row["sum"]) - number(&row["score"])).abs() < 1e-9);
    let ways = row["counterfactuals"].as_array().unwrap();
    assert!(ways.iter().all(|way| way["answer"].as_str().unwrap().parse::<f64>().unwrap() >= 3.99), "{ways:?}");
    let against = told(&desk, &["good.csv", "row=1", "method=interventional", "background=50"]);
    assert!((number(&against["row"]["sum"]) - number(&row["score"])).abs() < 1e-9);
    let sampled = told(&desk, &["good.csv", "row=1", "method=permutation", "background=50"]);
    // A line's values need no luck: each order gives the same.
    for part in sampled["row"]["parts"].as_array().unwrap() {
        let exact = against["row"]["parts"].as_array().unwrap().iter().find(|other| other["column"] == part["column"]).unwrap();
        assert!((number(&part["shap"]) - number(&exact["shap"])).abs() < 1e-9, "{part} {exact}");
        assert!(part["error"].is_number());
    }
}

#[test]
fn models_of_earlier_versions_are_explained_against_rows() {
    let desk = Desk::new();
    let fixture = root().join("crates/cupola/fixtures/iris-gbdt-0.1.cupola").display().to_string();
    let ran = desk.ok(&["--json", "explain", &fixture, &shipped("iris.csv"), "row=60"]);
    let told: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    let told = &told["explanation"];
    assert_eq!((told["row"]["method"].as_str(), told["class"].as_str()), (Some("interventional"), Some("versicolor")));
    let ran = desk.run(&["explain", &fixture, &shipped("iris.csv"), "method=tree_path_dependent"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("did not keep how many rows came to each leaf"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let desk = trained("model=gbdt", "c", "y");
    desk.refuses(
        &[
            "explain latest columns=[aa]",
            "explain latest row=1 fixed=[c]",
            "explain latest class=maybe",
            "explain latest good.csv row=401",
            "explain latest fixed=[a]",
            "explain latest good.csv tops=3",
            "explain latest percentiles=[0.9,0.1]",
            "explain latest target=y",
        ],
        expect![[r#"
            $ explain latest columns=[aa]
            error: failed to explain: command line: no input aa
            hint: did you mean a?
            = 2
            $ explain latest row=1 fixed=[c]
            error: failed to explain: command line: no input c
            hint: did you mean a?
            = 2
            $ explain latest class=maybe
            error: failed to explain: command line: no class maybe
            hint: there are: no, yes
            = 2
            $ explain latest good.csv row=401
            error: failed to explain: command line: explain.row: found 401, wanted 1 to 400, as many as good.csv has
            = 2
            $ explain latest fixed=[a]
            error: failed to read the command line: command line: fixed is about one row, and none is named
            hint: add row=1, say
            = 2
            $ explain latest good.csv tops=3
            error: failed to read the command line: command line: found tops, wanted a key of explain, or of [data] behind a table
            hint: did you mean top?
            = 2
            $ explain latest percentiles=[0.9,0.1]
            error: failed to read the command line: command line: explain.percentiles: wanted two shares, the smaller first
            = 2
            $ explain latest target=y
            error: failed to explain: command line: no target y
            hint: did you mean c?
            = 2
        "#]],
    );
    desk.put("alone.cupola", desk.bytes("runs/0001-why/model.cupola"));
    desk.refuses(
        &["explain alone.cupola"],
        expect![[r#"
        $ explain alone.cupola
        error: failed to read the rows of the model's run: folder . holds no run.toml, so there are no rows to look at
        hint: name a table behind the model
        = 1
    "#]],
    );
}

#[test]
fn the_server_explains_answers() {
    let desk = trained("model=forest", "c", "y");
    let server = desk.serve(&["latest"]);
    let (status, body) = server.ask("POST", "/predict?explain=true", r#"{"a": 0.9, "b": 0.8}"#);
    let told: Value = serde_json::from_str(&body).unwrap();
    let explained = &told["explanations"][0];
    assert_eq!((status, explained["unit"].as_str(), explained["class"].as_str()), (200, Some("probability"), Some("yes")), "{body}");
    assert!((number(&explained["score"]) - number(&told["predictions"][0]["probability_yes"])).abs() < 1e-9);
}

#[test]
fn the_report_shows_the_worst_rows_unless_it_may_not() {
    let desk = trained("model=gbdt", "c", "y");
    let report = desk.json("runs/0001-why/report.json");
    let target = &report["targets"][0];
    assert_eq!(target["shap"]["unit"], "log-odds");
    let first = &target["mistakes"]["rows"][0];
    assert!(first["place"].as_str().unwrap().starts_with("good.csv:") && first["truth"] != first["answer"], "{first}");
    assert_eq!(first["inputs"].as_array().map(Vec::len), Some(2));
    assert!(desk.text("runs/0001-why/report.html").contains("Worst mistakes about"));
    for (number, quiet) in [(2, "eval.mistakes=0"), (3, "golden=off")] {
        desk.ok(&["train", "good.csv", "target=c", "model=tree", "ignore=y", "name=quiet", quiet, "-q"]);
        let report = desk.json(&format!("runs/000{number}-quiet/report.json"));
        assert!(report["targets"][0]["mistakes"].is_null(), "{quiet}");
        assert!(!desk.text(&format!("runs/000{number}-quiet/report.html")).contains("Worst mistakes"));
    }
}

#[test]
fn pairs_of_columns_are_told_and_written() {
    let desk = trained("model=gbdt", "c", "y");
    let text = desk.ok(&["explain", "latest", "shap_interactions=3", "--interactions", "pairs.csv", "rows=20", "-q"]).stdout;
    assert!(text.contains("what pairs of columns add together: SHAP interaction, mean |value| in log-odds"), "{text}");
    // Of each row the matrix of the two columns; its lines sum to their SHAP values.
    let pairs = desk.text("pairs.csv");
    assert_eq!((pairs.lines().next(), pairs.lines().count()), (Some("row,first,second,shap"), 1 + 20 * 4));
    let all = told(&desk, &["good.csv", "row=3", "shap_interactions=5", "--html", "pairs.html", "--interactions", "row.jsonl"]);
    assert!(desk.text("pairs.html").contains("What pairs add together"));
    let cells: Vec<Value> = desk.text("row.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for part in all["row"]["parts"].as_array().unwrap() {
        let own: f64 = cells.iter().filter(|cell| cell["first"] == part["column"]).map(|cell| number(&cell["shap"])).sum();
        assert!((own - number(&part["shap"])).abs() < 1e-9, "{part}: {own}");
    }
    let pair = &all["shap_interactions"]["pairs"][0];
    let both: f64 = cells.iter().filter(|cell| cell["first"] != cell["second"]).map(|cell| number(&cell["shap"])).sum();
    assert!((number(&pair["mean"]) - both).abs() < 1e-12 && pair["columns"][1] == "b", "{pair}");
    let lines = trained("model=ridge", "y", "c");
    let ran = lines.run(&["explain", "latest", "shap_interactions=3"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("trees tell them"), "{} {:?}", ran.stderr, ran.code);
}
