//! Auditing: what becomes of answers, groups and slices, gates, cross-validation, the doctor, and a table nobody prepared.

use crate::desk::{Desk, good};
use serde_json::Value;
use std::fmt::Write as _;

fn report(desk: &Desk, run: &str) -> Value {
    desk.json(&format!("runs/{run}/report.json"))
}

/// Lines of a CSV file with its head.
fn rows(text: &str) -> (Vec<&str>, Vec<Vec<&str>>) {
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    (lines.next().unwrap(), lines.collect())
}

/// The column of that name.
fn column<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (head, rows) = rows(text);
    let place = head.iter().position(|known| *known == name).unwrap_or_else(|| panic!("{name} in {head:?}"));
    rows.into_iter().map(|row| row[place]).collect()
}

fn numbers(text: &str, name: &str) -> Vec<f64> {
    column(text, name).into_iter().map(|cell| cell.parse().unwrap()).collect()
}

/// Calibration, threshold and costs are learned on validation rows, lie in the model file, and every verb answers by them.
#[test]
fn decisions_lie_in_the_model_file_and_hold_everywhere() {
    let desk = Desk::new();
    desk.put("good.csv", good(3000));
    desk.ok(&["train", "good.csv", "target=c", "ignore=y", "model=logistic", "calibrate=sigmoid", "threshold=best_f1", "name=cut", "-q"]);
    let told = &report(&desk, "0001-cut")["targets"][0]["postprocessing"];
    let threshold = told["rule"]["threshold"].as_f64().unwrap();
    assert_eq!((told["learned_on"].as_str(), told["calibration"]["method"].as_str()), (Some("validation rows"), Some("sigmoid")));
    assert!(threshold > 0.05 && threshold < 0.6 && threshold != 0.5, "{threshold}");
    let answers = desk.ok(&["predict", "1", "good.csv", "--bare", "-q"]).stdout;
    let said = column(&answers, "prediction");
    for (probability, said) in numbers(&answers, "probability_yes").into_iter().zip(&said) {
        assert_eq!(*said == "yes", probability >= threshold, "{probability} {said}");
    }
    // eval measures the same answers.
    let truth = column(&good(3000), "c").join(",");
    let right = truth.split(',').zip(&said).filter(|(truth, said)| truth == *said).count() as f64 / 3000.0;
    let evaluated: Value = serde_json::from_str(&desk.ok(&["eval", "1", "good.csv", "metrics=[accuracy]", "--json"]).stdout).unwrap();
    assert!((evaluated["targets"][0]["scores"][0]["test"]["value"].as_f64().unwrap() - right).abs() < 1e-12);
    // So does the server.
    let probabilities = numbers(&answers, "probability_yes");
    let between = probabilities.iter().position(|p| (threshold.min(0.5)..threshold.max(0.5)).contains(p)).unwrap();
    let row = good(3000).lines().nth(between + 1).unwrap().split(',').map(str::to_owned).collect::<Vec<_>>();
    let server = desk.serve(&["1"]);
    let (status, body) = server.ask("POST", "/predict", &format!(r#"{{"a": {}, "b": {}}}"#, row[0], row[1]));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, body["predictions"][0]["prediction"].as_str()), (200, Some(said[between])));
    // The run's own recipe gives the same bytes again.
    desk.ok(&["train", "runs/0001-cut/run.toml", "-q"]);
    assert_eq!(desk.hash("1"), desk.hash("2"));
}

#[test]
fn costs_choose_the_class_and_are_measured() {
    let desk = Desk::new();
    desk.put("good.csv", good(1500));
    let costs = ["outputs.c.costs.yes.no=10", "outputs.c.costs.no.yes=1"];
    let base = ["train", "good.csv", "target=c", "ignore=y", "model=logistic", "-q"];
    desk.ok(&[&base[..], &["name=plain"]].concat());
    desk.ok(&[&base[..], &costs[..], &["name=named"]].concat());
    desk.ok(&[&base[..], &["outputs.c.costs=[[0,1],[10,0]]", "name=matrix"]].concat());
    assert_eq!(desk.hash("2"), desk.hash("3"), "a matrix says the same as names");
    let scores = |run: &str| report(&desk, run)["targets"][0]["scores"].as_array().unwrap().clone();
    let value = |run: &str, name: &str| {
        scores(run).iter().find(|score| score["name"] == name).map(|score| score["test"]["value"].as_f64().unwrap())
    };
    assert_eq!(value("0001-plain", "expected_cost"), None);
    let recall = [value("0001-plain", "recall").unwrap(), value("0002-named", "recall").unwrap()];
    assert!(recall[1] > recall[0] && value("0002-named", "expected_cost").unwrap() < 0.7, "{recall:?}");
    let answers = desk.ok(&["predict", "2", "good.csv", "--bare", "-q"]).stdout;
    for (p, said) in numbers(&answers, "probability_yes").into_iter().zip(column(&answers, "prediction")) {
        // No costs p * 10, yes costs 1 - p.
        assert!((p - 1.0 / 11.0).abs() < 1e-9 || (said == "yes") == (p > 1.0 / 11.0), "{p} {said}");
    }
}

/// Without validation rows all is learned from folds of the training rows.
#[test]
fn intervals_and_sets_hold_what_they_promise() {
    let desk = Desk::new();
    desk.put("good.csv", good(4000));
    desk.ok(&["train", "good.csv", "target=y", "ignore=c", "model=ridge", "interval=0.9", "name=number", "-q"]);
    let told = report(&desk, "0001-number")["targets"][0]["postprocessing"]["coverage"].clone();
    let [low, high] = ["low", "high"].map(|end| told["share"][end].as_f64().unwrap());
    assert!(low <= 0.9 && 0.9 <= high && high - low < 0.12, "{told}");
    let answers = desk.ok(&["predict", "1", "good.csv", "--bare", "-q"]).stdout;
    let (low, high, truth) = (numbers(&answers, "prediction_low"), numbers(&answers, "prediction_high"), good(4000));
    let held = numbers(&truth, "y").into_iter().enumerate().filter(|(row, y)| (low[*row]..=high[*row]).contains(y)).count();
    assert!((0.88..0.92).contains(&(held as f64 / 4000.0)), "{held}");
    let server = desk.serve(&["1"]);
    let body: Value = serde_json::from_str(&server.ask("POST", "/predict", r#"{"a": 0.5, "b": 0.5}"#).1).unwrap();
    let answer = &body["predictions"][0];
    assert!(answer["prediction_low"].as_f64().unwrap() < answer["prediction"].as_f64().unwrap(), "{body}");
    drop(server);
    desk.ok(&[
        "train",
        "good.csv",
        "target=c",
        "ignore=y",
        "model=logistic",
        "interval=0.9",
        "decision.sets=aps",
        "data.split.ratio=[0.7,0,0.3]",
        "name=sets",
        "-q",
    ]);
    let told = report(&desk, "0002-sets")["targets"][0]["postprocessing"].clone();
    assert_eq!(told["learned_on"], "training rows, cross-fitted");
    assert!(told["coverage"]["share"]["high"].as_f64().unwrap() >= 0.9, "{told}");
    let server = desk.serve(&["2"]);
    let body: Value = serde_json::from_str(&server.ask("POST", "/predict", r#"{"a": 0.6, "b": 0.5}"#).1).unwrap();
    assert!(body["predictions"][0]["prediction_set"].is_array(), "{body}");
    let answers = desk.ok(&["predict", "2", "good.csv", "--bare", "--format", "jsonl", "-q"]).stdout;
    let first: Value = serde_json::from_str(answers.lines().next().unwrap()).unwrap();
    let set: Vec<String> = serde_json::from_str(first["prediction_set"].as_str().unwrap()).unwrap();
    assert!(set.iter().any(|class| *class == first["prediction"].as_str().unwrap()));
}

#[test]
fn what_does_not_suit_a_target_is_refused() {
    let desk = Desk::new();
    desk.put("good.csv", good(300));
    for (arguments, wanted) in [
        (&["target=y", "model=ridge", "calibrate=isotonic"][..], "calibrate does not suit target y: it is a number"),
        (&["target=c", "model=logistic", "threshold=cost"], "nobody said what answers cost"),
        (&["target=c", "model=logistic", "outputs.c.costs.maybe.no=3"], "\"maybe\" is no class of c"),
        (&["target=c", "model=logistic", "outputs.c.costs=[[0,1,1],[1,0,1]]"], "found 2 lines, wanted 2 lines of 2 costs"),
        (&["target=c", "model=logistic", "slices=[q]"], "eval.slices names column q, which is no input"),
        (&["target=c", "model=logistic", "gates.group.a.equalized_odds=<= 0.1"], "column a is not sensitive"),
        (&["target=c", "model=logistic", "gates.slice.worst.recal=>= 0.1"], "did you mean recall?"),
    ] {
        let ran = desk.run(&[&["train", "good.csv"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(wanted), "{arguments:?}: {}", ran.stderr);
    }
}

/// Groups that are treated differently, a slice of noise in the labels; both are found and can close a gate.
#[test]
fn groups_and_slices_are_measured_and_gated() {
    let desk = Desk::new();
    let mut table = String::from("a,b,kind,group,c\n");
    for (row, line) in good(4000).lines().skip(1).enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        let (group, kind) = (["one", "two"][row % 2], ["x", "y", "z", "w"][row / 2 % 4]);
        // Where kind is w the label is a coin's; of group two yes is rarer.
        let coin = row * 7919 % 101 < 50;
        let is_yes = if kind == "w" { coin } else { cells[2] == "yes" && (group == "one" || kind != "x") };
        writeln!(table, "{},{},{kind},{group},{}", cells[0], cells[1], if is_yes { "yes" } else { "no" }).unwrap();
    }
    desk.put("t.csv", &table);
    let ran = desk.ok(&["train", "t.csv", "target=c", "sensitive=[group]", "model=gbdt", "name=fair", "cv=5"]);
    assert!(ran.stdout.contains("Worst slices") && ran.stdout.contains("kind = w"), "{}", ran.stdout);
    assert!(ran.stdout.contains("Cross-validation") && ran.stdout.contains("demographic_parity_difference"), "{}", ran.stdout);
    let target = &report(&desk, "0001-fair")["targets"][0];
    let (slice, set) = (&target["slices"]["slices"][0], &target["groups"][0]);
    assert!(slice["parts"].as_array().unwrap().iter().any(|part| part[0] == "kind" && part[1] == "= w"), "{slice}");
    assert!(slice["p_value"].as_f64().unwrap() <= 0.05 && slice["loss"].as_f64().unwrap() > slice["rest"].as_f64().unwrap());
    assert!(
        set["columns"][0] == "group"
            && set["groups"].as_array().unwrap().len() == 2
            && set["groups"][0]["train_rows"].as_u64().unwrap() > 0
    );
    assert_eq!(target["cross_validation"]["measures"][0]["folds"].as_array().unwrap().len(), 5);
    let page = desk.text("runs/0001-fair/report.html");
    for wanted in ["Worst slices of", "Groups of", "Cross-validation of", "equalized_odds_difference", "<th>prepared</th>"] {
        assert!(page.contains(wanted), "{wanted}");
    }
    let gates = |gate: &str| desk.run(&["eval", "1", "t.csv", "metrics=[accuracy,recall]", gate]);
    for (gate, code, wanted) in [
        ("gates.slice.worst.accuracy=>= 0.9", 4, "slice.worst.accuracy of c is 0."),
        ("gates.slice.worst.accuracy=>= 0.1", 0, "kind = w"),
        ("gates.group.group.demographic_parity=<= 0.01", 4, "group.group.demographic_parity_difference of c is 0."),
        ("gates.group.group.accuracy_difference=<= 0.9", 0, "2 groups"),
        ("gates.calibration_error=<= 0.5", 0, "holds"),
        ("gates.p99_ms=<= 60000", 0, "p99_ms is"),
        ("gates.p99_ms=<= 0", 4, "wanted <= 0"),
        ("gates.coverage=>= 0.9", 4, "was not measured"),
    ] {
        let ran = gates(gate);
        assert_eq!(ran.code, Some(code), "{gate}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(wanted) || ran.stderr.contains(wanted), "{gate}: {}{}", ran.stdout, ran.stderr);
    }
    let ran = gates("gates.accuracy=>= 0.99");
    assert!(ran.stderr.contains("interval") && ran.stderr.contains("wanted >= 0.99"), "{}", ran.stderr);
}

/// A remedy that helps is found, and its recipe patch is one that `train` takes.
#[test]
fn the_doctor_finds_a_remedy() {
    let desk = Desk::new();
    desk.put("good.csv", good(1200));
    // Leaves of one row learn the noise by heart.
    desk.ok(&[
        "train",
        "good.csv",
        "target=c",
        "ignore=y",
        "model=tree",
        "model.min_samples_leaf=1",
        "model.max_depth=40",
        "name=ill",
        "-q",
    ]);
    let told: Value = serde_json::from_str(desk.ok(&["doctor", "1", "time=60", "--json", "-q"]).stdout.lines().last().unwrap()).unwrap();
    assert_eq!(told, desk.json("runs/0001-ill/doctor.json"));
    assert!(
        told["findings"].as_array().unwrap().iter().any(|finding| finding["topic"] == "overfit" && finding["level"] == "warn"),
        "{told}"
    );
    let best = &told["remedies"][0];
    let helps: Vec<&Value> = told["remedies"].as_array().unwrap().iter().filter(|remedy| remedy["outcome"] == "helps").collect();
    let leaves = helps.iter().find(|remedy| remedy["patch"][0].as_str().unwrap().starts_with("model.min_samples_leaf")).unwrap();
    assert!(best["outcome"] == "helps" && leaves["gains"][0]["gain"]["low"].as_f64().unwrap() > 0.0, "{told}");
    assert!(told["noise"]["rows"].as_u64().unwrap() > 800);
    let text = desk.ok(&["doctor", "1", "time=60", "-q"]).stdout;
    assert!(text.contains("Remedies, each measured by 5-fold") && text.contains("cupola train runs/0001-ill/run.toml"), "{text}");
    let line = text.lines().find(|line| line.trim_start().starts_with("cupola train")).unwrap().trim().replacen("cupola", "$CUPOLA", 1);
    assert_eq!(desk.shell(&format!("{line} -q")).code, Some(0), "{line}");
    assert_eq!(desk.run(&["doctor", "nothing"]).code, Some(1));
}

/// Mixed types, missing values, dates, a leak, and one row in fourteen that is positive.
fn messy(rows: usize) -> String {
    let mut state = 11u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    let mut table = String::from("id,signed,age,income,city,plan,note,closed_code,churned\n");
    for row in 0..rows {
        let (month, day, age) = (1 + (next() * 12.0) as u32, 1 + (next() * 28.0) as u32, 18.0 + next() * 60.0);
        let city = ["Rome", "Oslo", "Lima", "rome ", "Kyiv"][(next() * 5.0) as usize];
        let plan = ["basic", "plus", "pro"][(next() * 3.0) as usize];
        let income = if next() < 0.22 { String::new() } else { format!("{:.0}", 18_000.0 + next() * 60_000.0) };
        let shown_age = if next() < 0.07 { "n/a".to_owned() } else { format!("{age:.0}") };
        let odds = f64::from(u8::from(month >= 11)) * 0.35 + f64::from(u8::from(plan == "basic")) * 0.12 - 0.06;
        let churned = next() < odds.max(0.005);
        // A code that is written when somebody has left.
        let code = if churned { "C9" } else { ["A1", "A2", "B1"][(next() * 3.0) as usize] };
        let note = if next() < 0.5 { "called twice about the bill" } else { "no contact" };
        writeln!(
            table,
            "{},2025-{month:02}-{day:02},{shown_age},{income},{city},{plan},{note},{code},{}",
            10_000 + row,
            if churned { "yes" } else { "no" }
        )
        .unwrap();
    }
    table
}

#[test]
fn a_table_nobody_prepared_ends_in_a_report_that_names_its_faults() {
    let desk = Desk::new();
    desk.put("messy.csv", messy(3000));
    let stopped = desk.run(&["train", "messy.csv", "target=churned", "model=gbdt", "-q"]);
    assert!(stopped.code == Some(3) && stopped.stderr.contains("closed_code"), "{}", stopped.stderr);
    let ran = desk.ok(&["train", "messy.csv", "target=churned", "model=gbdt", "leaks=warn", "name=messy"]);
    let report = report(&desk, "0001-messy");
    let leak = report["findings"].as_array().unwrap().iter().find(|finding| finding["column"] == "closed_code").expect("the leak is found");
    assert_ne!(leak["severity"], "note", "{leak}");
    let columns = report["data"]["columns"].as_array().unwrap();
    let of = |name: &str| columns.iter().find(|column| column["name"] == name).unwrap().clone();
    assert_eq!((of("signed")["kind"].as_str(), of("income")["role"].as_str()), (Some("date"), Some("input")));
    assert!((600..720).contains(&of("income")["missing"].as_u64().unwrap()), "{}", of("income"));
    assert!(of("signed")["prepared"].as_str().unwrap().contains("month"), "{}", of("signed"));
    let page = desk.text("runs/0001-messy/report.html");
    for (what, told) in [
        ("the leak", "closed_code"),
        ("the imbalance", "of training rows are yes"),
        ("what is missing", "Values are missing in"),
        ("the share", "income 22 %"),
        ("what the dates gave", "1 date became numbers"),
        ("what they are worth", "shuffled, roc_auc loses"),
        ("the baseline", "always no"),
    ] {
        assert!(ran.stdout.replace('\n', " ").split_whitespace().collect::<Vec<_>>().join(" ").contains(told), "{what}: {}", ran.stdout);
        assert!(page.replace('\u{a0}', " ").contains(told), "{what} on the page");
    }
    // The column that leaks left out, the date is what tells.
    desk.ok(&["train", "messy.csv", "target=churned", "model=gbdt", "ignore=[closed_code]", "name=clean", "-q"]);
    let clean = self::report(&desk, "0002-clean");
    let first = &clean["targets"][0]["permutation"]["columns"][0]["column"];
    assert!(first == "signed" || first == "plan", "{first}");
    assert!(clean["findings"].as_array().unwrap().iter().all(|finding| finding["severity"] != "stop"));
}
