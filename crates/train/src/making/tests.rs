//! Whole trainings with lists of labels, spellings and lags.

use crate::recipe::Recipe;
use crate::{Artifact, EvalPlan, Opening, Outcome, Plan, evaluate_file, train};
use cupola_data::{Input, ReadOptions};
use cupola_task::{Fault, Run};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

fn plan(arguments: &[&str]) -> crate::Result<Plan> {
    let mut recipe = Recipe::default();
    for argument in arguments {
        recipe.argue(argument)?;
    }
    Plan::check(recipe)
}

fn trained(folder: &Path, arguments: &[&str]) -> Outcome {
    train(&plan(arguments).unwrap(), &Run::quiet(7), &folder.join("runs"), "").unwrap()
}

fn opened(outcome: &Outcome) -> Artifact {
    Artifact::open(&outcome.folder.join("model.cupola"), Opening { clock: &|| Duration::ZERO, replay: Opening::REPLAY }).unwrap()
}

fn put(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Films whose genres follow from two numbers; one genre is rare.
fn films(rows: usize) -> String {
    let mut text = "x,z,genres\n".to_owned();
    for row in 0..rows {
        let (x, z) = ((row * 7919) % 100, (row * 104_729) % 100);
        let mut genres = Vec::new();
        genres.extend((x > 40).then_some("action"));
        genres.extend((z > 60).then_some("comedy"));
        genres.extend((x + z > 120).then_some("drama"));
        genres.extend((row % 150 == 149).then_some("noir"));
        writeln!(text, "{x},{z},{}", genres.join(";")).unwrap();
    }
    text
}

#[test]
fn lists_of_labels_are_learned_measured_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let data = put(folder.path(), "films.csv", &films(600));
    let said = [&format!("data={data}"), "target=genres", "model=tree", "leaks=off", "slices=none"];
    let outcome = trained(folder.path(), &said);
    let list = &outcome.report.labels[0];
    let labels: Vec<&str> = list.labels.iter().map(|label| label.label.as_str()).collect();
    assert_eq!((labels, list.separator.as_str()), (vec!["action", "comedy", "drama"], ";"));
    let test = |name: &str| list.scores.iter().find(|score| score.name == name).unwrap();
    assert!(test("f1_micro").test.value > 0.95 && test("hamming_loss").test.value < 0.05, "{:?}", list.scores);
    assert!(test("f1_micro").baseline.unwrap().value < 0.8);
    let told = outcome.report.warnings.join("\n");
    assert!(told.contains("1 label not learned, since fewer than 5 training rows have them (min_rows): noir"), "{told}");
    assert!(
        outcome.report.data.made[0].starts_with("target genres: its cells list labels (8 combinations of 4 labels"),
        "{:?}",
        outcome.report.data.made
    );
    let page = std::fs::read_to_string(outcome.folder.join("report.html")).unwrap();
    assert!(page.contains("Labels of <bdi>genres</bdi>") && page.contains("label_ranking_average_precision"));
    // The run's own recipe gives the same bytes.
    let again = outcome.folder.join("run.toml");
    let again = train(&Plan::check(Recipe::open(&again).unwrap()).unwrap(), &Run::quiet(7), &folder.path().join("runs"), "").unwrap();
    assert_eq!(again.hash, outcome.hash);
    let artifact = opened(&outcome);
    let answers = artifact.answers(&artifact.predict(artifact.golden()).unwrap());
    assert_eq!(answers.names().collect::<Vec<_>>(), ["prediction", "probability_action", "probability_comedy", "probability_drama"]);
    // A file of later rows: labels that were not learned are told, other rows have none.
    let later = put(folder.path(), "later.csv", "x,z,genres\n90,90,\"action;comedy;drama\"\n90,10,action;western\n10,10,\n");
    let asked = EvalPlan::parse(&[]).unwrap();
    let eval = |path: &str| evaluate_file(&artifact, &Input::parse(path), &ReadOptions::default(), &asked, &|| Duration::ZERO);
    let measured = eval(&later).unwrap();
    assert_eq!(measured.labels[0].scores.iter().find(|score| score.name == "subset_accuracy").unwrap().test.value, 1.0);
    let warning = "genres: 1 label that was not learned is left out of what is measured: western in 1 row";
    assert!(measured.warnings.iter().any(|text| text == warning), "{:?}", measured.warnings);
    let error = eval(&put(folder.path(), "none.csv", "x,z\n1,2\n")).err().unwrap();
    assert_eq!(error.to_string(), "columns: found no column genres, wanted its lists of labels");
}

#[test]
fn what_is_said_about_a_list_holds_for_its_labels() {
    let said = ["data=x.csv", "target=[genres, n]", "outputs.genres.threshold=0.3", "outputs.genres:drama.model=tree"];
    let of_list = plan(&[&said[..], &["outputs.genres.separator=|"]].concat()).unwrap();
    let threshold = |target: &str| format!("{:?}", of_list.output(target).map(|output| &output.decision));
    assert_eq!(threshold("genres:drama"), threshold("genres"));
    assert_eq!(threshold("genres:action"), threshold("genres"));
    assert!(of_list.output("n").is_none() && of_list.output("genres:drama").unwrap().model.is_some());
    assert!(of_list.output("genres:action").unwrap().model.is_none());
    let folder = tempfile::tempdir().unwrap();
    let data = put(folder.path(), "films.csv", &films(100));
    let refused = |arguments: &[&str]| {
        let data = format!("data={data}");
        let all = [&[data.as_str(), "model=tree", "leaks=off"], arguments].concat();
        let error = train(&plan(&all).unwrap(), &Run::quiet(7), &folder.path().join("runs"), "").err().unwrap();
        format!("{error}; {}", error.hint().unwrap_or_default())
    };
    assert!(refused(&["target=genres", "outputs.genres.positive=drama"]).contains("each of which is positive for itself; leave it out"));
    assert!(refused(&["target=x", "outputs.x.type=labels"]).contains("found no separator that makes lists of labels"));
    assert!(refused(&["target=genres", "outputs.genres:dramma.model=tree"]).contains("genres:dramma"));
}

#[test]
fn spellings_of_a_target_are_one_class() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "x,y\n".to_owned();
    for row in 0..200 {
        let yes = ["Yes", "Yes", "YES", "yes "][row % 4];
        writeln!(text, "{},{}", row % 20, if row % 20 > 9 { yes } else { "No" }).unwrap();
    }
    let data = format!("data={}", put(folder.path(), "answers.csv", &text));
    let outcome = trained(folder.path(), &[&data, "target=y", "model=tree", "leaks=off", "outputs.y.categories=fold"]);
    assert_eq!(outcome.report.targets[0].classes, ["No", "Yes"]);
    let told = outcome.report.warnings.join("\n");
    assert!(
        told.contains("target y: 60 cells of 2 other spellings taken as the class that is spelled so most often (categories=fold)"),
        "{told}"
    );
    let later = put(folder.path(), "later.csv", "x,y\n19,yEs\n1, no\n18,Yes\n");
    let artifact = opened(&outcome);
    let asked = EvalPlan::parse(&["metrics=accuracy".to_owned()]).unwrap();
    let measured = evaluate_file(&artifact, &Input::parse(&later), &ReadOptions::default(), &asked, &|| Duration::ZERO).unwrap();
    assert_eq!(measured.targets[0].scores[0].test.value, 1.0);
    assert!(measured.warnings.iter().any(|text| text.starts_with("target y: 2 cells taken")), "{:?}", measured.warnings);
    // The same line for all columns holds for targets, too.
    let all = trained(folder.path(), &[&data, "target=y", "model=tree", "leaks=off", "data.clean.categories=fold"]);
    assert_eq!(all.report.targets[0].classes, ["No", "Yes"]);
}

#[test]
fn lags_beat_the_same_model_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let weather = format!("data={}/../../data/weather.csv", env!("CARGO_MANIFEST_DIR"));
    let said = [
        weather.as_str(),
        "target=temp_max",
        "model=gbdt",
        "data.split.by=time",
        "data.split.key=date",
        "ignore=[temp_min]",
        "eval.importance=false",
    ];
    let lag = ["data.lag.columns=[temp_max, temp_min]", "data.lag.lags=[1, 2, 7]", "data.lag.windows=[7]"];
    let rmse = |outcome: &Outcome| outcome.report.targets[0].scores.iter().find(|score| score.name == "rmse").unwrap().test.value;
    let without = trained(folder.path(), &said);
    let with = trained(folder.path(), &[&said[..], &lag[..]].concat());
    assert!(rmse(&with) < 0.8 * rmse(&without), "{} with, {} without", rmse(&with), rmse(&without));
    let told = &with.report.data.made[0];
    assert!(told.contains("8 columns of what rows before held, by date; the model file keeps the last 7 rows of the series"), "{told}");
    let again = Plan::check(Recipe::open(&with.folder.join("run.toml")).unwrap()).unwrap();
    assert_eq!(train(&again, &Run::quiet(7), &folder.path().join("runs"), "").unwrap().hash, with.hash);
    // The day after the last one is answered out of the kept rows; the same day behind its own history, too.
    let artifact = opened(&with);
    let read = |text: &str| {
        cupola_data::read(&Input::Bytes { name: "a.csv".into(), bytes: text.to_owned().into() }, &ReadOptions::default()).unwrap()
    };
    let all = std::fs::read_to_string(weather.trim_start_matches("data=")).unwrap();
    let next = artifact.predict(&read("date,precipitation,wind,weather\n2016-01-01,0,3,sun\n").columns).unwrap();
    let whole = artifact.predict(&read(&format!("{}\n2016-01-01,0,,,3,sun\n", all.trim_end())).columns).unwrap();
    assert_eq!(next.take(&[0]), whole.take(&[whole.rows() as u64 - 1]));
    let refused = artifact.predict(&read("temp_min\n3\n").columns).err().unwrap();
    assert!(refused.to_string().contains("found no column date"), "{refused}");
    // Earlier values of the target need a split by time.
    let random = [weather.as_str(), "target=temp_max", "model=gbdt", "data.lag.lags=[1]", "data.lag.time=date"];
    let error = train(&plan(&random).unwrap(), &Run::quiet(7), &folder.path().join("runs"), "").err().unwrap();
    assert_eq!(error.hint().as_deref(), Some("write data.split.by=time data.split.key=date"));
}
