//! Searches, comparisons and learning curves.

use crate::desk::{Desk, good, shipped};
use expect_test::expect;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Child;

/// A search of a few seconds over a choice, a whole number, a number where ratios count, and a condition.
const SEARCH: [&str; 9] = [
    "tune",
    "good.csv",
    "target=c",
    "ignore=y",
    "search.model=[tree,gbdt]",
    "search.tree.max_depth=int 2..12",
    "search.gbdt.learning_rate=log 0.02..0.5",
    "search.gbdt.num_leaves=int log 2..64",
    "trials=16",
];

/// What a search found, without what differs from machine to machine.
fn trials(desk: &Desk, run: &str) -> Value {
    let mut tuning = desk.json(&format!("{run}/report.json"))["tuning"].take();
    for trial in tuning["trials"].as_array_mut().unwrap() {
        trial.as_object_mut().unwrap().remove("seconds");
    }
    tuning
}

/// Reads events until one is of that kind; then the process is sent a signal and waited for.
fn cut(mut child: Child, signal: &str, wanted: impl Fn(&Value) -> bool) -> Option<i32> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| wanted(&serde_json::from_str(line).unwrap())).expect("the line comes before the program ends");
    assert!(std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    lines.for_each(drop);
    child.wait().unwrap().code()
}

fn is_trial(event: &Value, number: u64) -> bool {
    event["text"].as_str().is_some_and(|text| text.starts_with(&format!("trial {number}/")))
}

fn is_last_fit(event: &Value) -> bool {
    event["event"] == "stage" && event["name"].as_str().is_some_and(|name| name.starts_with("fit "))
}

#[test]
fn a_killed_search_goes_on_to_the_same_bytes() {
    let whole = Desk::new();
    whole.put("good.csv", good(300));
    whole.ok(&[&SEARCH[..], &["threads=1", "-q"]].concat());
    let wanted = trials(&whole, "runs/0001-good-auto");
    assert_eq!(wanted["trials"].as_array().unwrap().len(), 16);
    let cut_off = Desk::new();
    cut_off.put("good.csv", good(300));
    let child = cut_off.cupola(&[&SEARCH[..], &["--json"]].concat()).spawn().unwrap();
    assert_eq!(cut(child, "-KILL", |event| is_trial(event, 3)), None);
    let child = cut_off.cupola(&[&SEARCH[..], &["--json"]].concat()).spawn().unwrap();
    assert_eq!(cut(child, "-KILL", |event| is_trial(event, 9)), None);
    let child = cut_off.cupola(&["resume", "1", "--json"]).spawn().unwrap();
    assert_eq!(cut(child, "-KILL", is_last_fit), None);
    cut_off.ok(&["resume", "1", "-q"]);
    assert_eq!(trials(&cut_off, "runs/0001-good-auto"), wanted);
    assert_eq!(cut_off.hash("1"), whole.hash("1"));
    // The run's own recipe trains the same model without a search.
    whole.ok(&["train", "runs/0001-good-auto/run.toml", "-q"]);
    assert_eq!(whole.hash("2"), whole.hash("1"));
}

#[test]
fn a_stopped_search_keeps_the_best_and_goes_on() {
    let whole = Desk::new();
    whole.put("good.csv", good(300));
    whole.ok(&[&SEARCH[..], &["-q"]].concat());
    let desk = Desk::new();
    desk.put("good.csv", good(300));
    let child = desk.cupola(&[&SEARCH[..], &["--json"]].concat()).spawn().unwrap();
    assert_eq!(cut(child, "-INT", |event| is_trial(event, 4)), Some(130));
    let before = trials(&desk, "runs/0001-good-auto")["trials"].as_array().unwrap().len();
    assert!((4..16).contains(&before), "{before}");
    desk.ok(&["verify", "1"]);
    desk.ok(&["resume", "1", "-q"]);
    assert_eq!(trials(&desk, "runs/0001-good-auto"), trials(&whole, "runs/0001-good-auto"));
    assert_eq!(desk.hash("1"), whole.hash("1"));
}

#[test]
fn every_sampler_and_pruner_finds_something() {
    let desk = Desk::new();
    desk.put("good.csv", good(200));
    for (number, words) in [
        &["model=gbdt", "sampler=random", "pruner=asha"][..],
        &["model=tree", "sampler=cmaes", "pruner=none", "search.model.max_depth=int 2..12", "search.model.min_samples_leaf=int log 1..64"],
        &["model=logistic", "sampler=grid", "tune.levels=4", "metrics=[log_loss]"],
        &["model=ridge", "target=y", "ignore=c", "tune.judge=valid"],
        &["model=gbdt", "time=3"],
    ]
    .into_iter()
    .enumerate()
    {
        desk.ok(&[&["tune", "good.csv", "target=c", "ignore=y", "trials=8", "name=x", "-q"], words].concat());
        let tuning = trials(&desk, &format!("runs/000{}-x", number + 1));
        let chosen = tuning["trials"].as_array().unwrap().iter().filter(|trial| trial["chosen"] == true).count();
        assert_eq!(chosen, 1, "{words:?}: {tuning}");
    }
    assert_eq!(trials(&desk, "runs/0003-x")["trials"].as_array().unwrap().len(), 4, "a grid ends");
}

#[test]
fn searches_that_cannot_be_made_are_refused() {
    let desk = Desk::new();
    desk.put("good.csv", good(200));
    desk.refuses(
        &[
            "tune good.csv target=c model=linear",
            "tune good.csv target=[c,y]",
            "tune good.csv target=c model=gbdt sampler=best",
            "tune good.csv target=c search.train.lr=1..2",
            "tune good.csv target=c search.model=[gbdt,nothing]",
            "tune good.csv target=c search.model=[gbdt,forest] sampler=cmaes",
            "tune good.csv target=c model=gbdt search.data.train=[a,b]",
        ],
        expect![[r#"
            $ tune good.csv target=c model=linear
            error: failed to tune: recipe: model linear has no search space of its own
            hint: name what to search: tune.search.model.SETTING="log 1e-3..1e3"
            = 2
            $ tune good.csv target=[c,y]
            error: failed to tune: recipe: tune searches for one target, and there are 2: c, y
            hint: tune one after another, with the other targets in ignore=[...]
            = 2
            $ tune good.csv target=c model=gbdt sampler=best
            error: failed to check the recipe: command line: tune.sampler: found "best", wanted tpe|random|cmaes|grid
            hint: the default is "tpe"
            = 2
            $ tune good.csv target=c search.train.lr=1..2
            error: failed to tune: recipe: what is searched belongs to no model
            hint: name one: model=gbdt, or search it: tune.search.model=[gbdt,forest]
            = 2
            $ tune good.csv target=c search.model=[gbdt,nothing]
            error: failed to tune: command line: tune.search.model: unknown model nothing
            hint: `cupola models` lists them; a model file may need the cupola that wrote it, or a newer one
            = 2
            $ tune good.csv target=c search.model=[gbdt,forest] sampler=cmaes
            error: failed to tune: command line: tune.sampler=cmaes searches numbers that are always there, and model is a choice
            hint: tune.sampler=tpe searches choices and conditions, too
            = 2
            $ tune good.csv target=c model=gbdt search.data.train=[a,b]
            error: failed to tune: command line: tune.search.data.train: this key is not searched
            hint: keys that are: model, train.*, augment.*, data.clean.*, inputs.COLUMN.* and MODEL.SETTING
            = 2
        "#]],
    );
}

#[test]
fn models_are_compared_on_rows_that_taught_none() {
    let desk = Desk::new();
    desk.put("good.csv", good(600));
    desk.ok(&["train", "good.csv", "target=c", "ignore=y", "model=logistic", "name=line", "-q"]);
    desk.ok(&["train", "good.csv", "target=c", "ignore=[y,a]", "model=tree", "name=half", "-q"]);
    desk.ok(&["train", "good.csv", "target=c", "ignore=y", "model=logistic", "model.C=0.9", "name=near", "-q"]);
    let ran = desk.ok(&["compare", "1", "2", "3", "metrics=[roc_auc,accuracy]"]);
    let blocks: Vec<&str> =
        ran.stdout.split("\n\n").filter(|block| !block.contains("answers took") && !block.contains("program")).collect();
    expect![[r#"
        3 models on 60 rows, rows that are test rows of every run

        c
        measure   0001-line                  0002-half                  0003-near
        roc_auc   0.8828 (0.7578 to 0.9477)  0.5737 (0.4283 to 0.7073)  0.8828 (0.7578 to 0.9477)
        accuracy  0.8167 (0.7029 to 0.8935)  0.5667 (0.4430 to 0.6825)  0.8167 (0.7029 to 0.8935)

        difference             roc_auc  95 % interval            p  p (Holm)  verdict
        0001-line - 0002-half  +0.3092  +0.1606 to +0.4489  0.0020    0.0060  real
        0001-line - 0003-near  +0.0000  +0.0000 to +0.0000  1.0000    1.0000  not distinguishable
        0002-half - 0003-near  -0.3092  -0.4489 to -0.1606  0.0020    0.0060  real
        0001-line - 0002-half: intervals without 0 also for accuracy
        0001-line - 0002-half: 19 rows decided rightly by the first alone, 4 by the second alone; McNemar's exact p 0.0026
        0001-line - 0003-near: 0 rows decided rightly by the first alone, 0 by the second alone; McNemar's exact p 1.0000
        0002-half - 0003-near: intervals without 0 also for accuracy
        0002-half - 0003-near: 4 rows decided rightly by the first alone, 19 by the second alone; McNemar's exact p 0.0026

        recipe differs in
                                     0001-line   0002-half   0003-near
        ignore                       "y"         ["y", "a"]  "y"
        inputs.a.indicator           false       -           false
        inputs.a.missing             "median"    -           "median"
        inputs.a.scale               "standard"  -           "standard"
        inputs.b.missing             "median"    "none"      "median"
        inputs.b.scale               "standard"  "none"      "standard"
        model.C                      1.0         -           0.9
        model.fit_intercept          true        -           true
        model.max_bin                -           255         -
        model.max_depth              -           "none"      -
        model.max_features           -           "all"       -
        model.max_iter               100         -           100
        model.min_impurity_decrease  -           0.0         -
        model.min_samples_leaf       -           1           -
        model.min_samples_split      -           2           -
        model.name                   "logistic"  "tree"      "logistic"
        model.penalty                "l2"        -           "l2"
        model.tol                    1e-8        -           1e-8

        data: the same, as far as the runs tell
    "#]]
    .assert_eq(&blocks.join("\n\n"));
    let told: Value = serde_json::from_str(&desk.ok(&["compare", "1", "3", "--json"]).stdout).unwrap();
    let pair = &told["comparison"]["targets"][0]["pairs"][0];
    assert_eq!(pair["differences"][0]["is_real"], false, "{pair}");
    desk.put("new.csv", good(100));
    desk.put("line.cupola", desk.bytes("runs/0001-line/model.cupola"));
    desk.ok(&["compare", "line.cupola", "2", "data=new.csv"]);
    desk.ok(&["train", "good.csv", "target=c", "ignore=y", "model=tree", "seed=8", "name=other", "-q"]);
    let told: Value = serde_json::from_str(&desk.ok(&["compare", "1", "4", "--json"]).stdout).unwrap();
    assert!(told["comparison"]["warnings"][0].as_str().unwrap().contains("test rows of every run"), "{told}");
    assert!(told["comparison"]["rows"].as_u64().unwrap() < 20, "{told}");
    desk.refuses(
        &["compare 1", "compare line.cupola line.cupola", "compare 1 2 delimiter=;", "compare 1 9"],
        expect![[r#"
        $ compare 1
        error: failed to compare: command line: found one model, wanted two or more
        hint: cupola compare runs/0001-a runs/0002-b
        = 2
        $ compare line.cupola line.cupola
        error: failed to compare: command line: model files alone do not tell which rows are test rows
        hint: name the rows: data=FILE; or name run folders
        = 2
        $ compare 1 2 delimiter=;
        error: command line: found "delimiter=;", which says how a file is read, and no file
        hint: data=FILE names one; eval.ci, eval.draws, metrics=[...] and seed say how to compare
        = 2
        $ compare 1 9
        error: failed to find the model: no model file or run 9
        hint: `cupola runs ls` lists runs; a model file ends in .cupola
        = 1
    "#]],
    );
}

#[test]
fn a_learning_curve_tells_what_more_rows_bring() {
    let desk = Desk::new();
    let iris = shipped("iris.csv");
    let words = ["learning-curve", &iris, "target=species", "model=logistic", "curve.points=4", "curve.repeats=3", "curve.smallest=20"];
    let ran = desk.ok(&[&words[..], &["--html", "curve.html", "-q"]].concat());
    expect![[r#"
        accuracy of species by logistic, on 15 rows

        training rows  mean of 3  95 % interval        law
                   20     0.8667  0.7011 to 1.0000  0.8654
                   36     0.9111  0.8155 to 1.0000  0.9193
                   66     0.9556  0.8599 to 1.0000  0.9379
                  120     0.9333  0.9333 to 0.9333  0.9440

        law: loss = 0.0530 + 20.0794 n^-1.838

        with                   accuracy  95 % band            gain
        10 times, 1200 rows      0.9470  0.9333 to 0.9778  +0.0030
        100 times, 12000 rows    0.9470  0.9333 to 0.9914  +0.0030

        What 1000 more labels of a class bring to its recall, where they pay most first
        class       rows  recall     gain  95 % band           rows of 1000
        virginica     40  1.0000  +0.0258  +0.0000 to +0.1046         +8.61
        setosa        40  1.0000  +0.0000  +0.0000 to +0.0000         +0.00
        versicolor    40  0.8000  +0.0000  +0.0000 to +0.0016         +0.00

        What 1000 more labels of a slice take off the loss, by trainings without a part of its rows, where they pay most first
        slice              rows  of test rows  log_loss  its gain  gain of all  95 % band
        rows as they come   120       100.0 %    0.1960   +0.1013      +0.1013  +0.0498 to +0.1034

        What lies beyond the last row is a guess: laws hold until they do not.
    "#]]
    .assert_eq(&ran.stdout);
    assert!(desk.text("curve.html").contains("Where the next 1\u{a0}000 labels pay most"));
    let one: Value = desk.json_of(&[&words[..], &["threads=1", "--json"]].concat());
    let two: Value = desk.json_of(&[&words[..], &["threads=2", "--json"]].concat());
    assert_eq!(one["curve"], two["curve"]);
    assert_eq!(desk.names("runs"), Vec::<String>::new(), "nothing is kept");
    desk.refuses(
        &[&format!("learning-curve {iris} target=species model=logistic curve.smallest=100")],
        expect![[r#"
        $ learning-curve REPO/data/iris.csv target=species model=logistic curve.smallest=100
        error: failed to draw the learning curve: 120 training rows are too few for parts of 100 and more
        hint: curve.smallest=N begins with fewer
        = 3
    "#]],
    );
}

impl Desk {
    /// The last line of standard output.
    fn json_of(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(self.ok(arguments).stdout.lines().last().unwrap()).unwrap()
    }
}
