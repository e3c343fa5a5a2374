//! The whole way, from data to answers, on every kind of table.

use crate::desk::{Desk, good, root, shipped};
use serde_json::Value;
use std::fs;

/// Trains, takes the run's own recipe, and must get the same bytes again; one and two threads alike.
fn repeats(name: &str, arguments: &[&str]) {
    let desk = Desk::new();
    let named = format!("name={name}");
    desk.ok(&[&["train"], arguments, &[named.as_str(), "-q"]].concat());
    let run = format!("runs/0001-{name}");
    for (number, threads) in [(2, "threads=auto"), (3, "threads=1"), (4, "threads=2")] {
        desk.ok(&["train", &format!("{run}/run.toml"), threads, "-q"]);
        assert_eq!(desk.hash("1"), desk.hash(&number.to_string()), "{name} {threads}");
    }
    let [first, second] = ["1", "2"].map(|number| desk.json(&format!("runs/000{number}-{name}/run.lock")));
    for key in ["model", "data", "split", "binary", "seed"] {
        assert_eq!(first[key], second[key], "{name}: {key}");
    }
    assert_eq!(first["model"].as_str(), Some(desk.hash("1").as_str()));
}

#[test]
fn a_run_repeats_from_its_own_recipe() {
    let path = shipped;
    let (iris, wine, diabetes, adult) = (path("iris.csv"), path("wine.csv"), path("diabetes.csv"), path("tiny/adult.csv"));
    let (adult_test, weather, gapminder, reviews) =
        (format!("test={}", path("tiny/adult.test.csv")), path("tiny/weather.csv"), path("tiny/gapminder.jsonl"), path("tiny/reviews.tsv"));
    let cases: [(&str, &[&str]); 20] = [
        ("iris", &[&iris, "target=species", "model=logistic"]),
        ("auto", &[&iris, "target=species", "time=2"]),
        ("wine", &[&wine, "target=cultivar", "task=classify", "model=tree"]),
        ("diabetes", &[&diabetes, "target=progression", "model=gbdt"]),
        ("adult", &[&adult, &adult_test, "target=income", "model=gbdt", "outputs.income.positive=<=50K"]),
        (
            "weighted",
            &[&adult, "target=income", "model=logistic", "weight=fnlwgt", "sensitive=[sex,race]", "data.clean.class_weight=balanced"],
        ),
        ("encoded", &[&adult, "target=income", "model=logistic", "inputs.occupation.encode=target", "duplicates=drop"]),
        ("time", &[&weather, "target=temp_max", "model=gbdt", "data.split.by=time", "data.split.key=date"]),
        (
            "group",
            &[
                &gapminder,
                "target=life_expectancy",
                "model=forest",
                "data.split.by=group",
                "data.split.key=country",
                "model.n_estimators=20",
            ],
        ),
        ("hash", &[&gapminder, "target=life_expectancy", "model=lasso", "data.split.by=hash", "data.split.key=country"]),
        ("two", &[&weather, "target=[weather,wind]", "model=gbdt", "model.n_estimators=20"]),
        ("two-models", &[&weather, "target=[weather,wind]", "outputs.wind.model=ridge", "outputs.weather.model=forest"]),
        ("class-first", &[&adult, "target=[sex,hours_per_week]", "time=2"]),
        ("two-auto", &[&weather, "target=[weather,wind]", "time=2"]),
        ("text", &[&reviews, "target=rating", "model=ridge", "inputs.text.type=text", "inputs.id.type=id"]),
        ("golden", &[&iris, "target=species", "model=extra_trees", "golden=real", "seed=3"]),
        ("svm", &[&wine, "target=cultivar", "task=classify", "model=svm", "model.C=2"]),
        ("knn", &[&diabetes, "target=progression", "model=knn", "model.weights=distance"]),
        ("bayes", &[&adult, "target=income", "model=naive_bayes", "data.clean.balance=over"]),
        ("smote", &[&adult, "target=income", "model=gbdt", "model.objective=focal", "data.clean.balance=smote"]),
    ];
    for (name, arguments) in cases {
        repeats(name, arguments);
    }
}

#[test]
fn a_time_limit_is_settled_in_the_recipe() {
    let desk = Desk::new();
    let long =
        ["model=gbdt", "model.n_estimators=100000", "model.early_stopping_rounds=0", "model.learning_rate=0.01", "eval.importance=false"];
    desk.ok(&[&["train", shipped("tiny/adult.csv").as_str(), "target=income", "time=0.4", "name=cut", "-q"], &long[..]].concat());
    desk.ok(&["train", "runs/0001-cut/run.toml", "-q"]);
    assert_eq!(desk.hash("1"), desk.hash("2"));
    let resolved = desk.text("runs/0001-cut/run.toml");
    let trees = resolved.lines().find(|line| line.starts_with("n_estimators")).unwrap();
    assert!(trees.contains("# auto: ") && !trees.contains("100000"), "{trees}");
    assert!(resolved.contains("time = \"auto\" # auto: the limit has settled what it had to"), "{resolved}");
}

#[test]
fn column_names_may_be_anything() {
    let desk = Desk::new();
    desk.put("odd.csv", good(80).replacen("a,b,c,y", "a.b,\"größe = \"\"x\"\"\",c,y", 1));
    desk.ok(&[
        "train",
        "odd.csv",
        "target=c",
        "ignore=y",
        "model=logistic",
        "inputs.\"a.b\".type=number",
        "inputs.'größe = \"x\"'.missing=mean",
        "-q",
    ]);
    desk.ok(&["train", "runs/latest/run.toml", "-q"]);
    assert_eq!(desk.hash("1"), desk.hash("2"));
    assert_eq!(desk.ok(&["predict", "1", "odd.csv", "--bare", "-q"]).stdout.lines().count(), 81);
}

/// The first line of a table and its last columns, whatever the format.
fn predictions(desk: &Desk, arguments: &[&str]) -> String {
    desk.ok(&[&["predict"], arguments, &["--bare", "--format", "csv", "-q"]].concat()).stdout
}

#[test]
fn old_rows_keep_their_side_when_rows_are_added() {
    let desk = Desk::new();
    let old = fs::read_to_string(shipped("iris.csv")).unwrap();
    let added: String = old.lines().skip(1).take(30).map(|line| line.replacen('.', ".77", 1) + "\n").collect();
    desk.put("old.csv", &old);
    desk.put("more.csv", &(old + &added));
    desk.ok(&["train", "old.csv", "target=species", "model=tree"]);
    let ran = desk.ok(&["train", "more.csv", "target=species", "model=tree", "data.split.keep=runs/latest/data/sides.parquet"]);
    assert!(ran.stderr.contains("150 of 180 rows keep their side"), "{}", ran.stderr);
    assert_eq!(desk.hash("latest"), desk.hash("2"));
}

#[test]
fn a_run_folder_and_what_is_done_with_it() {
    let desk = Desk::new();
    let (adult, test) = (shipped("tiny/adult.csv"), shipped("tiny/adult.test.csv"));
    let ran = desk.ok(&["train", &adult, &format!("test={test}"), "target=income", "model=gbdt", "model.n_estimators=30"]);
    assert!(ran.stdout.contains("runs/0001-adult-gbdt") && ran.stdout.contains("roc_auc"), "{}", ran.stdout);
    let folder = "runs/0001-adult-gbdt";
    assert_eq!(
        desk.names(folder),
        [
            "begin.json",
            "card.md",
            "data",
            "eval",
            "events.jsonl",
            "model.cupola",
            "plots",
            "recipe.toml",
            "report.html",
            "report.json",
            "results.csv",
            "run.lock",
            "run.toml"
        ]
    );
    assert_eq!(desk.names(&format!("{folder}/data")), ["leaks.json", "preparation.json", "profile.json", "sides.parquet", "split.json"]);
    assert!(desk.names(&format!("{folder}/plots")).iter().all(|name| name.ends_with(".svg")));
    for line in desk.text(&format!("{folder}/events.jsonl")).lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    assert_eq!(fs::read_link(desk.path("runs/latest")).unwrap().to_str(), Some("0001-adult-gbdt"));
    let html = desk.text(&format!("{folder}/report.html"));
    assert!(html.len() < 2_000_000 && !html.contains("src=\"http") && !html.contains("href=\"http"));
    let model = desk.bytes(&format!("{folder}/model.cupola"));
    for word in [desk.path("").display().to_string(), root().display().to_string()] {
        assert!(!model.windows(word.len()).any(|bytes| bytes == word.as_bytes()), "the model file holds a path");
    }

    let verified = desk.ok(&["verify", "latest"]).stdout;
    assert!(verified.contains("64 golden rows answer as saved, largest difference 0e0"), "{verified}");

    // What train measured on the test file, eval measures again.
    let evaluated: Value = serde_json::from_str(&desk.ok(&["--json", "eval", "latest", &test]).stdout).unwrap();
    let report = desk.json(&format!("{folder}/report.json"));
    let score = |scores: &Value, name: &str| {
        scores.as_array().unwrap().iter().find(|score| score["name"] == name).unwrap()["test"]["value"].as_f64().unwrap()
    };
    for name in ["roc_auc", "accuracy", "log_loss"] {
        let [again, before] = [&evaluated, &report].map(|told| score(&told["targets"][0]["scores"], name));
        assert!((again - before).abs() < 1e-12, "{name}: {again} {before}");
    }

    let listed = desk.ok(&["runs"]).stdout;
    assert!(listed.lines().count() == 2 && listed.contains("0001-adult-gbdt  gbdt"), "{listed}");
    assert!(desk.ok(&["runs", "show", "1"]).stdout.contains("roc_auc"));
    assert_eq!(desk.ok(&["runs", "rm", "latest"]).stdout, "removed runs/0001-adult-gbdt\n");
    assert_eq!(desk.names("runs"), Vec::<String>::new());
}

#[test]
fn predict_answers_alike_in_every_format() {
    let desk = Desk::new();
    let test = shipped("tiny/adult.test.csv");
    desk.ok(&["train", &shipped("tiny/adult.csv"), "target=income", "model=gbdt", "model.n_estimators=20", "-q"]);
    let wanted = predictions(&desk, &["1", &test]);
    let rows = fs::read_to_string(&test).unwrap().lines().count();
    assert!(wanted.starts_with("prediction,probability_<=50K,probability_>50K\n") && wanted.lines().count() == rows);
    // Each format is written with the inputs beside, stripped of its answers by being asked again, and answered alike.
    for name in ["x.csv", "x.tsv", "x.jsonl", "x.parquet"] {
        desk.ok(&["predict", "1", &test, "-o", name, "-q"]);
        assert_eq!(predictions(&desk, &["1", name]), wanted, "{name}");
        assert_eq!(
            desk.fed(&["predict", "1", "-", "--bare", "--format", "csv", "-q"], &desk.bytes(name)).stdout,
            wanted,
            "{name} from standard input"
        );
    }
    // Without --format what came in goes out.
    desk.put("one.jsonl", desk.text("x.jsonl").lines().next().unwrap());
    let line = desk.ok(&["predict", "1", "one.jsonl", "--bare", "-q"]).stdout;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert!(line["prediction"].is_string() && line["probability_>50K"].is_f64(), "{line}");
    // Nobody reads on: no fault.
    let ran = desk.shell("{ \"$CUPOLA\" predict 1 x.csv --bare -q --format jsonl; echo $? >&2; } | head -c 10 >/dev/null");
    assert!(ran.stderr.ends_with("0\n"), "{}", ran.stderr);
}

#[test]
fn classes_that_training_did_not_see_and_missing_cells_are_answered() {
    let desk = Desk::new();
    desk.ok(&["train", &shipped("penguins.csv"), "target=species", "model=forest", "model.n_estimators=20", "-q"]);
    let penguins = fs::read_to_string(shipped("penguins.csv")).unwrap();
    let head = penguins.lines().next().unwrap();
    let blank = ",".repeat(head.matches(',').count());
    desk.put("rows.csv", format!("{head}\n{blank}\n{}\n", blank.replacen(',', "x,", 1)));
    assert_eq!(predictions(&desk, &["1", "rows.csv"]).lines().count(), 3);
}

#[test]
fn two_targets_have_two_answers() {
    let desk = Desk::new();
    desk.ok(&["train", &shipped("tiny/weather.csv"), "target=[weather,wind]", "model=gbdt", "model.n_estimators=20", "-q"]);
    let head = predictions(&desk, &["1", &shipped("tiny/weather.csv")]).lines().next().unwrap().to_owned();
    assert!(head.starts_with("wind_prediction,weather_prediction,weather_probability_drizzle,"), "{head}");
    let report = desk.json("runs/latest/report.json");
    assert_eq!(report["targets"].as_array().unwrap().len(), 2);
    desk.ok(&["verify", "1"]);
}

#[test]
fn machines_get_json_and_quiet_is_quiet() {
    let desk = Desk::new();
    desk.put("good.csv", good(200));
    let ran = desk.ok(&["train", "good.csv", "target=c", "ignore=y", "time=1", "--json"]);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["event"].is_string()) && ran.stderr.is_empty(), "{}", ran.stderr);
    assert_eq!((&lines.first().unwrap()["name"], &lines.last().unwrap()["event"]), (&"read".into(), &"end".into()));
    assert_eq!(lines.last().unwrap()["hash"].as_str(), Some(desk.hash("1").as_str()));
    for arguments in [
        &["check", "good.csv", "target=c"][..],
        &["init", "good.csv", "target=c", "-o", "-"],
        &["eval", "1", "good.csv"],
        &["verify", "1"],
        &["runs"],
        &["runs", "show", "1"],
        &["models"],
        &["models", "gbdt"],
        &["metrics"],
        &["schema"],
        &["runs", "rm", "1"],
    ] {
        let ran = desk.ok(&[arguments, &["--json"]].concat());
        for line in ran.stdout.lines() {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {line}"));
        }
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{arguments:?}: {}", ran.stderr);
    }
    for arguments in [
        &["train", "good.csv", "target=c", "ignore=y", "time=1", "-q"][..],
        &["predict", "latest", "good.csv", "-q"],
        &["eval", "latest", "good.csv", "-q"],
    ] {
        assert_eq!(desk.ok(arguments).stderr, "", "{arguments:?}");
    }
}

#[test]
fn a_recipe_from_data_trains() {
    let desk = Desk::new();
    desk.put("good.csv", good(200));
    let ran = desk.ok(&["init", "good.csv", "target=c", "ignore=y", "model=tree"]);
    assert_eq!(ran.stdout, "wrote cupola.toml\nnext: cupola check cupola.toml && cupola train cupola.toml\n");
    let checked = desk.ok(&["check", "cupola.toml"]).stdout;
    assert!(checked.contains("ok: 200 rows looked at, target c, model tree"), "{checked}");
    desk.ok(&["train", "cupola.toml", "-q"]);
    desk.ok(&["train", "good.csv", "target=c", "ignore=y", "model=tree", "-q"]);
    assert_eq!(desk.hash("1"), desk.hash("2"), "the recipe says the same as the command line");
}

#[test]
fn standard_input_teaches() {
    let desk = Desk::new();
    let ran = desk.fed(&["train", "-", "target=c", "ignore=y", "model=tree", "-q"], good(200).as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    desk.put("good.csv", good(200));
    desk.ok(&["train", "good.csv", "target=c", "ignore=y", "model=tree", "-q"]);
    assert_eq!(desk.hash("1"), desk.hash("2"));
}

/// The keys of a recipe that its schema does not know.
fn unknown_keys(table: &toml::Table, schema: &Value, path: &str, unknown: &mut Vec<String>) {
    for (key, value) in table {
        let choices = std::iter::once(schema).chain(schema["anyOf"].as_array().into_iter().flatten());
        let choices: Vec<&Value> = choices
            .chain(schema["anyOf"].as_array().into_iter().flatten().filter_map(|choice| choice["oneOf"].as_array()).flatten())
            .collect();
        let known = choices.iter().find_map(|schema| {
            schema["properties"].get(key).or_else(|| schema.get("additionalProperties").filter(|rest| rest.is_object()))
        });
        match (known, value) {
            (None, _) => unknown.push(format!("{path}{key}")),
            (Some(known), toml::Value::Table(inner)) => unknown_keys(inner, known, &format!("{path}{key}."), unknown),
            _ => {}
        }
    }
}

#[test]
fn shipped_recipes_fit_the_schema_and_their_data() {
    let desk = Desk::new();
    let schema: Value = serde_json::from_str(&desk.ok(&["schema"]).stdout).unwrap();
    let mut unknown = Vec::new();
    for recipe in fs::read_dir(root().join("recipes")).unwrap() {
        let path = recipe.unwrap().path();
        let mut table: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        table.remove("tiny");
        unknown_keys(&table, &schema, &format!("{}: ", path.display()), &mut unknown);
        // What `just data` fetches does not ship.
        let ships = table["data"]["train"].as_str().is_none_or(|train| !train.starts_with("data/full/"));
        let ways: &[&[&str]] = if ships { &[&["--tiny"], &[]] } else { &[&["--tiny"]] };
        for &tiny in ways {
            let ran = desk.cupola(&[&["check", path.to_str().unwrap()], tiny].concat()).current_dir(root()).output().unwrap();
            assert!(ran.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&ran.stderr));
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn registries_are_listed() {
    let desk = Desk::new();
    let models = desk.ok(&["models"]).stdout;
    for model in [
        "gbdt",
        "forest",
        "extra_trees",
        "tree",
        "linear",
        "ridge",
        "lasso",
        "elastic_net",
        "logistic",
        "svm",
        "knn",
        "naive_bayes",
        "baseline",
    ] {
        assert!(models.lines().any(|line| line.split(' ').next() == Some(model)), "{model}");
        desk.ok(&["models", model]);
    }
    let metrics = desk.ok(&["metrics"]).stdout;
    for metric in
        ["accuracy", "roc_auc", "average_precision", "log_loss", "brier", "calibration_error", "mcc", "kappa", "rmse", "mae", "mape", "r2"]
    {
        assert!(metrics.lines().any(|line| line.split(' ').next() == Some(metric)), "{metric}");
    }
}

/// One request, one connection.
#[test]
fn a_server_answers_as_predict_does_and_stops_cleanly() {
    let desk = Desk::new();
    desk.put("good.csv", good(200));
    desk.ok(&["train", "good.csv", "target=c", "ignore=y", "model=gbdt", "name=small", "-q"]);
    let server = desk.serve(&["latest"]);
    assert_eq!(server.models, ["0001-small"]);
    let ask = |method: &str, path: &str, body: &str| server.ask(method, path, body);
    let (status, answer) = ask("POST", "/predict", r#"{"rows":[{"a":0.9,"b":0.9},{"a":0.1,"b":0.1}]}"#);
    desk.put("two.csv", "a,b\n0.9,0.9\n0.1,0.1\n");
    let wanted = predictions(&desk, &["latest", "two.csv"]);
    let wanted: Vec<&str> = wanted.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert_eq!(status, 200, "{answer}");
    let told = answer.to_string();
    for word in &wanted {
        assert!(told.contains(&format!("\"{word}\"")), "{told} {wanted:?}");
    }
    let (status, answer) = ask("POST", "/predict", r#"{"rows":[{"a":"tall","b":1}]}"#);
    assert!((400..500).contains(&status) && answer.contains('a'), "{status} {answer}");
    assert_eq!(ask("GET", "/v2/health/ready", "").0, 200);
    assert!(ask("GET", "/metrics", "").1.contains("# TYPE"));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_library_door_answers_as_predict_does() {
    use arrow_array::{Array, Float64Array, StringArray};
    use cupola::{Column, Columns};
    let desk = Desk::new();
    desk.ok(&["train", &shipped("iris.csv"), "target=species", "model=gbdt", "-q"]);
    let model = cupola::open(desk.path("runs/latest/model.cupola")).unwrap();
    let values = [("sepal_length", 5.1), ("sepal_width", 3.5), ("petal_length", 1.4), ("petal_width", 0.2)];
    let rows = values.map(|(name, value)| (name.into(), Column::Array(std::sync::Arc::new(Float64Array::from(vec![value])))));
    let answers = cupola::columns(&model.predict(&Columns::new(rows.to_vec())).unwrap());
    let species = answers.array("prediction").unwrap().as_any().downcast_ref::<StringArray>().unwrap().value(0).to_owned();
    desk.put("one.csv", "sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n");
    assert_eq!(predictions(&desk, &["1", "one.csv"]).lines().nth(1).unwrap().split(',').next(), Some(species.as_str()));
    assert!(cupola::open(desk.path("one.csv")).is_err());
}

/// An ensemble answers the weighted mean of its members, and its recipe makes the same bytes again.
#[test]
fn an_ensemble_is_the_mean_of_its_members() {
    let desk = Desk::new();
    desk.put("good.csv", good(400));
    let common = ["train", "good.csv", "target=c", "ignore=y", "-q"];
    let train = |more: &[&str]| desk.ok(&[&common[..], more].concat());
    train(&["model=tree", "model.max_depth=3", "name=one"]);
    train(&["model=logistic", "name=two"]);
    train(&["model=ensemble", "model.members=[\"tree max_depth=3\", \"logistic\"]", "model.weights=[3, 1]", "name=both"]);
    let answers = |run: &str| -> Vec<f64> {
        let lines = desk.ok(&["predict", run, "good.csv", "--bare", "--format", "jsonl", "-q"]).stdout;
        let yes = |line: &str| serde_json::from_str::<Value>(line).unwrap()["probability_yes"].as_f64().unwrap();
        lines.lines().map(yes).collect()
    };
    let [one, two, both] = ["1", "2", "3"].map(answers);
    for (row, both) in both.iter().enumerate() {
        assert!((0.75 * one[row] + 0.25 * two[row] - both).abs() < 1e-12, "row {row}");
    }
    desk.ok(&["train", "runs/0003-both/run.toml", "-q"]);
    assert_eq!(desk.hash("3"), desk.hash("4"));
}
