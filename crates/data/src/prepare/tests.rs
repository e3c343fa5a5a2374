//! The preparation as a whole: what it learns from, what it gives, and what it refuses.

use super::{COLUMN_SETTINGS, FittedTable, SETTINGS, TablePreparation, open};
use crate::cells::tests::{classes, dates, numbers, table, texts};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, UInt32Type};
use cupola_task::{
    Column, Columns, Dataset, Draw, Fault, Fitted, ImageNeeds, Images, Key, Kind, Needs, Parts, Range, Result, Role, Settings, Side,
    Splits, Table, Task, TrainSplit, Value,
};
use expect_test::expect;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY: i64 = 86_400_000_000;

fn settings(list: &[cupola_task::Setting], given: &[(&str, &str)]) -> Result<Settings> {
    let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
    Settings::check("test", list, values.iter().map(|(name, value)| (*name, value)))
}

fn preparation(needs: Needs, given: &[(&str, &str)], columns: &[(&str, &[(&str, &str)])]) -> TablePreparation {
    let column = |(name, given): &(&str, &[(&str, &str)])| ((*name).to_owned(), settings(COLUMN_SETTINGS, given).unwrap());
    TablePreparation {
        needs,
        table: settings(SETTINGS, given).unwrap(),
        columns: columns.iter().map(column).collect(),
        positive: BTreeMap::new(),
    }
}

fn train_of(table: &Table) -> TrainSplit {
    Splits::new(Arc::new(table.clone()), &vec![Side::Train; table.len() as usize]).train().clone()
}

fn fit(preparation: &TablePreparation, table: &Table) -> Result<(FittedTable, TrainSplit)> {
    preparation.fit_table(&train_of(table), Draw::new(3).stream("prepare"))
}

/// 40 rows of all kinds; every fourth cell is missing in `gaps`, all in `absent`.
fn people() -> Table {
    let rows = 0..40usize;
    let of = |words: &[&str]| classes(rows.clone().map(|row| words[row % words.len()].to_owned()));
    table(vec![
        ("age", Role::Input, numbers(rows.clone().map(|row| 20.0 + row as f64))),
        ("gaps", Role::Input, numbers(rows.clone().map(|row| if row % 4 == 0 { f64::NAN } else { (row * row) as f64 }))),
        ("absent", Role::Input, numbers(rows.clone().map(|_| f64::NAN))),
        ("constant", Role::Input, numbers(rows.clone().map(|_| 5.0))),
        ("job", Role::Input, of(&["smith", "baker", "smith", "clerk", ""])),
        ("once", Role::Input, classes(rows.clone().map(|row| if row == 7 { "seldom" } else { "often" }))),
        ("empty", Role::Input, of(&[""])),
        ("town", Role::Input, classes(rows.clone().map(|row| format!("town {}", row % 20)))),
        ("born", Role::Input, dates(rows.clone().map(|row| (row != 9).then_some(row as i64 * 40 * DAY)))),
        ("note", Role::Input, texts(rows.clone().map(|row| ["good food", "bad food", "", "très bon"][row % 4]))),
        ("carried", Role::Ignored, of(&["x"])),
        ("count", Role::Key(Key::Weight), numbers(rows.clone().map(|row| 1.0 + (row % 2) as f64))),
        ("pays", Role::Target(Task::Classify), classes(rows.map(|row| if row % 4 == 1 { "yes" } else { "no" }))),
    ])
}

fn dense() -> TablePreparation {
    preparation(Needs::Dense, &[("max_classes", "10")], &[])
}

fn native() -> TablePreparation {
    preparation(Needs::Native, &[], &[])
}

/// Every word of every setting of `[data.clean]`, and a value of each that takes numbers, alone and with what it needs to have an effect.
fn all_settings() -> Vec<Vec<(&'static str, String)>> {
    let sample = |name: &str| match name {
        "interact" => "[age, gaps]",
        "ngram_range" => "[1, 2]",
        "min_df" | "max_df" => "0.4",
        "variance_threshold" => "0.1",
        "outlier_factor" => "0.3",
        "vectors" => "",
        _ => "3",
    };
    let beside = |name: &str| match name {
        "n_neighbors" => vec![("missing", "knn")],
        "outlier_method" | "outlier_factor" => vec![("outliers", "clip")],
        "n_quantiles" => vec![("scale", "quantile")],
        "bin_strategy" | "bin_encode" => vec![("bins", "3")],
        "interact" | "interaction_only" => vec![("degree", "2")],
        "k" => vec![("select", "f_test")],
        "variance_threshold" => vec![("select", "variance")],
        "n_features" => vec![("encode", "hash"), ("text", "hash")],
        _ => vec![],
    };
    fn words(range: &Range) -> Vec<String> {
        match range {
            Range::Choice(words) => words.iter().map(ToString::to_string).collect(),
            Range::Flag => vec!["true".into(), "false".into()],
            Range::Any(ranges) => ranges.iter().flat_map(words).collect(),
            _ => vec![],
        }
    }
    let mut all = Vec::new();
    for setting in SETTINGS {
        let mut values = words(&setting.range);
        if setting.range.admit(&Value::parse(sample(setting.name))).is_some() {
            values.push(sample(setting.name).into());
        }
        for value in values {
            let others = beside(setting.name).into_iter().map(|(name, value)| (name, value.to_owned()));
            all.push(others.chain([(setting.name, value)]).collect());
        }
    }
    let both = |a: (&'static str, &str), b: (&'static str, &str)| vec![(a.0, a.1.to_owned()), (b.0, b.1.to_owned())];
    all.extend(["clip", "flag", "drop"].map(|action| both(("outliers", action), ("outlier_method", "quantile"))));
    all.extend(["knn", "iterative", "ffill"].map(|missing| both(("missing", missing), ("outliers", "clip"))));
    all.extend(["f_test", "mutual_info"].map(|select| both(("select", select), ("degree", "2"))));
    all
}

fn prepared_by(needs: Needs, given: &[(&str, String)]) -> TablePreparation {
    preparation(needs, &given.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(), &[])
}

/// All numbers of the prepared inputs.
fn values(columns: &Columns, fitted: &FittedTable) -> Vec<f64> {
    let of = |name: &str| match columns.get(name) {
        Some(Column::Array(array)) => match array.as_fixed_size_list_opt() {
            Some(list) => list.values().as_primitive::<Float32Type>().values().iter().map(|&value| f64::from(value)).collect(),
            None => array.as_primitive_opt::<Float64Type>().map(|array| array.values().to_vec()).unwrap_or_default(),
        },
        _ => vec![],
    };
    fitted.schema().inputs().flat_map(|field| of(&field.name)).collect()
}

fn raw(table: &Table) -> Columns {
    table.columns().clone()
}

fn saved(fitted: &FittedTable) -> Parts {
    let mut parts = Parts::default();
    fitted.save(&mut parts).unwrap();
    parts
}

#[test]
fn auto_follows_what_the_model_needs() {
    let mut told = String::new();
    for preparation in [native(), dense()] {
        let (fitted, _) = fit(&preparation, &people()).unwrap();
        told += &format!("{:?}\n", preparation.needs);
        for (column, sentence) in fitted.describe() {
            told += &format!("  {column}: {sentence}\n");
        }
        for field in &fitted.schema().fields {
            let size = match &field.kind {
                Kind::Category { classes } => format!(" of {}", classes.len()),
                Kind::Vector { width } => format!(" of {width}"),
                _ => String::new(),
            };
            told += &format!("  {} {}{size} {:?}\n", field.name, field.kind.word(), field.role);
        }
    }
    expect![[r#"
        Native
          age: missing stay missing
          gaps: missing stay missing
          absent: missing stay missing
          constant: missing stay missing
          job: 3 classes as categories; unseen ones become missing
          once: 2 classes as categories; unseen ones become missing
          empty: left out: training rows have no class
          town: 20 classes as categories; unseen ones become missing
          born: as year, month, day, weekday, days; missing stay missing
          note: TF-IDF over 5 words; missing texts become all zeros
          pays: classes no and yes; yes is the positive one
          age number Input
          gaps number Input
          absent number Input
          constant number Input
          job category of 3 Input
          once category of 2 Input
          town category of 20 Input
          born.year number Input
          born.month number Input
          born.day number Input
          born.weekday number Input
          born.days number Input
          note vector of 5 Input
          pays category of 2 Target(Classify)
          count number Key(Weight)
        Dense
          age: missing become the median 39.5; standard scale (39.5 and 11.543396380615196)
          gaps: missing become the median 401, marked in a column of their own; standard scale (499.75 and 415.7550811475429)
          absent: missing become the median 0; standard scale (0 and 1)
          constant: missing become the median 5; standard scale (5 and 1)
          job: 4 classes one-hot; unseen ones become all zeros; missing become (missing)
          once: 2 classes one-hot; unseen ones become all zeros
          empty: 1 classes one-hot; unseen ones become all zeros; missing become (missing)
          town: 20 classes as cross-fitted target means (1), standard scale; unseen ones become the overall mean
          born: as year, month, day, weekday, days; missing become the median 1972, marked in a column of their own; standard scale (1971.7 and 1.2489995996796797)
          note: TF-IDF over 5 words; missing texts become all zeros
          pays: classes no and yes; yes is the positive one
          age number Input
          gaps number Input
          gaps.missing number Input
          absent number Input
          constant number Input
          job vector of 4 Input
          once vector of 2 Input
          empty vector of 1 Input
          town number Input
          born.year number Input
          born.missing number Input
          born.month number Input
          born.day number Input
          born.weekday number Input
          born.days number Input
          note vector of 5 Input
          pays category of 2 Target(Classify)
          count number Key(Weight)
    "#]].assert_eq(&told);
}

#[test]
fn resolved_settings_lead_to_the_same_preparation() {
    for preparation in [native(), dense()] {
        let (fitted, _) = fit(&preparation, &people()).unwrap();
        let mut given: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for (key, value) in fitted.resolved() {
            let [table, column, name] = key.split('.').collect::<Vec<_>>()[..] else { panic!("{key}") };
            assert_eq!(table, "inputs");
            given.entry(column.to_owned()).or_default().push((name.to_owned(), value));
        }
        let checked = |given: &Vec<(String, String)>| {
            settings(COLUMN_SETTINGS, &given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>()).unwrap()
        };
        let again = TablePreparation { columns: given.iter().map(|(name, given)| (name.clone(), checked(given))).collect(), ..preparation };
        assert_eq!(saved(&fit(&again, &people()).unwrap().0), saved(&fitted));
    }
}

#[test]
fn dense_inputs_are_finite_whatever_comes() {
    let (fitted, train) = fit(&dense(), &people()).unwrap();
    let strange = table(vec![
        ("age", Role::Input, numbers([f64::NAN, f64::INFINITY, f64::MIN])),
        ("gaps", Role::Input, numbers([f64::MAX, f64::NEG_INFINITY, 0.0])),
        ("absent", Role::Input, numbers([1.0, f64::NAN, f64::MAX])),
        ("constant", Role::Input, numbers([f64::NAN, f64::MAX, 5.0])),
        ("job", Role::Input, classes(["", "king", "baker"])),
        ("once", Role::Input, classes(["", "king", "seldom"])),
        ("empty", Role::Input, classes(["", "king", ""])),
        ("town", Role::Input, classes(["", "atlantis", "town 3"])),
        ("born", Role::Input, dates([None, Some(i64::MAX), Some(i64::MIN)])),
        ("note", Role::Input, texts(["", "🦀🦀", "food"])),
    ]);
    for columns in [raw(&strange), raw(&people())] {
        let (prepared, trail) = fitted.apply(&columns).unwrap();
        assert!(trail.row_of.is_empty());
        let values = values(&prepared, &fitted);
        assert!(!values.is_empty() && values.iter().all(|value| value.is_finite()));
    }
    let prepared = train.read_all().unwrap();
    assert!(values(&prepared.inputs, &fitted).iter().all(|value| value.is_finite()));
    assert_eq!(fitted.feature_names().len(), values(&prepared.inputs.take(&[0]), &fitted).len());
}

#[test]
fn unseen_and_rare_classes_are_defined() {
    let codes = |preparation: &TablePreparation| {
        let (fitted, _) = fit(preparation, &people()).unwrap();
        let fresh = people().columns().take(&[0, 1, 2, 3, 4]);
        let mut fresh = fresh.select(|name| name != "job");
        fresh.insert("job".into(), classes(["smith", "clerk", "king", "", "baker"]).1);
        let (prepared, _) = fitted.apply(&fresh).unwrap();
        let classes = fitted.schema().field("job").unwrap().kind.classes().unwrap().join(" ");
        (classes, prepared.array("job").unwrap().as_primitive::<UInt32Type>().iter().collect::<Vec<_>>())
    };
    let job = |given| preparation(Needs::Native, &[], &[("job", given)]);
    for (given, classes, expected) in [
        (&[][..], "baker clerk smith", [Some(2), Some(1), None, None, Some(0)]),
        (&[("rare", "9")], "smith (other)", [Some(0), Some(1), Some(1), None, Some(1)]),
        (&[("missing", "class")], "baker clerk smith (missing)", [Some(2), Some(1), None, Some(3), Some(0)]),
        (&[("missing", "mode")], "baker clerk smith", [Some(2), Some(1), None, Some(2), Some(0)]),
        (&[("missing", "constant"), ("fill", "clerk")], "baker clerk smith", [Some(2), Some(1), None, Some(1), Some(0)]),
        (&[("rare", "99"), ("missing", "class")], "(other) (missing)", [Some(0), Some(0), Some(0), Some(1), Some(0)]),
    ] {
        assert_eq!(codes(&job(given)), (classes.to_owned(), expected.to_vec()), "{given:?}");
    }
}

#[test]
fn fitted_state_does_not_move_when_other_rows_do() {
    let hash = |fitted: &FittedTable| blake3::hash(&saved(fitted).0["prepare/table.json"]);
    let sides = |rows: usize| (0..rows).map(|row| [Side::Train, Side::Train, Side::Valid, Side::Test][row % 4]).collect::<Vec<_>>();
    let split = |table: &Table| Splits::new(Arc::new(table.clone()), &sides(table.len() as usize)).train().clone();
    let before = people();
    // Every row that does not teach becomes its neighbour's opposite: another row of the table, or nonsense.
    let strange = |row: u64| if row % 4 < 2 { row } else { 40 + row % 3 };
    let nonsense = table(vec![
        ("age", Role::Input, numbers([f64::NAN, 1e300, -7.0])),
        ("gaps", Role::Input, numbers([1e9, f64::NAN, f64::MIN])),
        ("absent", Role::Input, numbers([1.0, 2.0, 3.0])),
        ("constant", Role::Input, numbers([6.0, 7.0, f64::NAN])),
        ("job", Role::Input, classes(["king", "", "queen"])),
        ("once", Role::Input, classes(["never", "", "always"])),
        ("empty", Role::Input, classes(["no", "longer", "empty"])),
        ("town", Role::Input, classes(["a", "b", "c"])),
        ("born", Role::Input, dates([None, Some(1), Some(i64::MAX)])),
        ("note", Role::Input, texts(["new words", "", "other words"])),
        ("carried", Role::Ignored, classes(["y", "z", ""])),
        ("count", Role::Key(Key::Weight), numbers([0.0, 9.0, 1.0])),
        ("pays", Role::Target(Task::Classify), classes(["maybe", "yes", ""])),
    ]);
    let join = |name: &str, rows: Vec<u64>| {
        let both = [before.columns().array(name).unwrap().clone(), nonsense.columns().array(name).unwrap().clone()];
        let all = arrow_select::concat::concat(&[&*both[0], &*both[1]]).unwrap();
        (Arc::from(name), Column::Array(all).take(&rows))
    };
    let rows: Vec<u64> = (0..40).map(strange).chain((42..44).flat_map(|_| [40u64, 41])).collect();
    let after = Columns::new(before.schema().names().map(|name| join(name, rows.clone())).collect());
    let after = Table::new(before.schema().clone(), after).unwrap();
    let sides_after: Vec<Side> = sides(40).into_iter().chain([Side::Test, Side::Valid, Side::Out, Side::Test]).collect();
    let after = Splits::new(Arc::new(after), &sides_after).train().clone();
    let all = all_settings().into_iter().flat_map(|given| [Needs::Native, Needs::Dense].map(|needs| (needs, given.clone())));
    let pair = vec![("encode", "target".to_owned()), ("class_weight", "balanced".to_owned())];
    let mut refused = Vec::new();
    for (needs, given) in all.chain([(Needs::Native, pair)]) {
        let preparation = prepared_by(needs, &given);
        let old = preparation.fit_table(&split(&before), Draw::new(1));
        let new = preparation.fit_table(&after, Draw::new(1));
        let ((old, old_rows), (new, new_rows)) = match (old, new) {
            (Ok(old), Ok(new)) => (old, new),
            (old, new) => {
                assert_eq!(old.err().map(|error| error.to_string()), new.err().map(|error| error.to_string()), "{given:?}");
                refused.push(given.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "));
                continue;
            }
        };
        assert_eq!(hash(&old), hash(&new), "{given:?}");
        assert_eq!(old.notes(), new.notes(), "{given:?}");
        assert_eq!(format!("{:?}", old_rows.read_all().unwrap()), format!("{:?}", new_rows.read_all().unwrap()), "{given:?}");
        let (other, _) = preparation.fit_table(&train_of(&before), Draw::new(1)).unwrap();
        // What hashes all classes and texts learns nothing where numbers and dates stay as they are.
        let learns = needs == Needs::Dense || given.iter().all(|(name, _)| *name != "n_features");
        assert!(!learns || hash(&old) != hash(&other), "other training rows do move it: {given:?}");
    }
    // What a model of this kind or this table does not take is refused in both; all else was compared.
    expect![[r#"
        missing=none
        encode=codes
        text=vectors
        text=vectors
        select=chi2"#]]
    .assert_eq(&refused.join("\n"));
}

#[test]
fn a_row_is_prepared_the_same_alone_and_among_others() {
    for (needs, given) in all_settings().into_iter().flat_map(|given| [Needs::Native, Needs::Dense].map(|needs| (needs, given.clone()))) {
        let Ok((fitted, train)) = fit(&prepared_by(needs, &given), &people()) else { continue };
        let opened = open(&saved(&fitted)).unwrap();
        assert_eq!(saved(&opened), saved(&fitted), "{given:?}");
        let (all, _) = fitted.apply(&raw(&people())).unwrap();
        for row in [0, 9, 17] {
            let (alone, _) = opened.apply(&raw(&people()).take(&[row])).unwrap();
            assert_eq!(format!("{alone:?}"), format!("{:?}", all.take(&[row])), "{given:?}");
        }
        let names = fitted.feature_names().len();
        let width: usize = fitted.schema().inputs().map(|field| if let Kind::Vector { width } = field.kind { width } else { 1 }).sum();
        assert_eq!(names, width, "{given:?}");
        if needs == Needs::Dense {
            assert!(values(&all, &fitted).iter().all(|value| value.is_finite()), "{given:?}");
            assert!(values(&train.read_all().unwrap().inputs, &fitted).iter().all(|value| value.is_finite()), "{given:?}");
        }
    }
}

#[test]
fn texts_become_the_mean_of_their_words_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.txt");
    let told = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let given = [("text", "vectors"), ("vectors", path.to_str().unwrap())];
        let fitted = fit(&preparation(Needs::Native, &[], &[("note", &given)]), &people()).map(|(fitted, _)| fitted);
        fitted.map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
    };
    let glove = "good 1 2\nGOOD 9 9\nfood 3 -4.5\nunseen 7 7\n";
    for text in [glove.to_owned(), format!("4 2\n{glove}"), format!("Food 0 0\n{glove}")] {
        let fitted = told(&text).unwrap();
        let opened = open(&saved(&fitted)).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!String::from_utf8(saved(&fitted).0["prepare/table.json"].clone()).unwrap().contains("unseen"));
        let note = |row| {
            let (prepared, _) = opened.apply(&raw(&people()).take(&[row])).unwrap();
            let list = prepared.array("note").unwrap().as_fixed_size_list().clone();
            list.values().as_primitive::<Float32Type>().values().to_vec()
        };
        // good food, bad food, nothing, très bon
        assert_eq!([note(0), note(1), note(2), note(3)], [vec![2.0, -1.25], vec![3.0, -4.5], vec![0.0; 2], vec![0.0; 2]]);
    }
    let errors = ["good 1 2\nfood 3", "good 1 two", "good", "unseen 1 2", ""].map(|text| told(text).unwrap_err());
    expect![[r#"
        FILE line 2: found food and 1 cells, wanted a word and 2 numbers
        FILE line 1: found good and 2 cells, wanted a word and 2 numbers
        FILE line 1: found a word and 0 numbers, wanted a word and 1 to 4096 numbers
        FILE: found no vector for any of 5 words of note, wanted some
        FILE: found no line, wanted words and their vectors"#]]
    .assert_eq(&errors.join("\n"));
}

#[test]
fn days_between_dates_are_columns_where_asked() {
    let orders = table(vec![
        ("ordered", Role::Input, dates((0..20).map(|row| (row != 3).then_some(row * row * DAY)))),
        ("sent", Role::Input, dates((0..20).map(|row| Some((row * row + row % 4) * DAY + DAY / 2)))),
        ("sent too", Role::Input, dates((0..20).map(|row| Some((row * row + row % 4) * DAY + DAY / 2)))),
        ("late", Role::Target(Task::Classify), classes((0..20).map(|row| if row % 4 > 1 { "yes" } else { "no" }))),
    ]);
    let given = [("differences", "true"), ("missing", "constant"), ("scale", "none"), ("degree", "2"), ("interact", "[ordered, sent]")];
    for needs in [Needs::Native, Needs::Dense] {
        let (fitted, train) = fit(&preparation(needs, &given, &[]), &orders).unwrap();
        let opened = open(&saved(&fitted)).unwrap();
        let (prepared, _) = opened.apply(&raw(&orders)).unwrap();
        let days = prepared.array("sent-ordered.days").unwrap().as_primitive::<Float64Type>().values().to_vec();
        assert_eq!(days[..5], [0.5, 1.5, 2.5, 0.0, 0.5]);
        assert!(prepared.get("sent too-sent.days").is_none(), "what does not vary is left out");
        assert_eq!(
            format!("{:?}", train.read_all().unwrap().inputs.get("sent-ordered.days")),
            format!("{:?}", prepared.get("sent-ordered.days"))
        );
        assert!(opened.feature_names().contains(&"sent-ordered.days^2".to_owned()));
        assert!(opened.describe()[1].1.contains("; the days since ordered"), "{:?}", opened.describe());
    }
}

#[test]
fn what_was_left_out_merged_or_counted_is_told() {
    let people = table(vec![
        ("age", Role::Input, numbers((0..30).map(|row| if row == 4 { 400.0 } else { 20.0 + f64::from(row % 7) }))),
        ("town", Role::Input, classes((0..30).map(|row| ["Rome", "rome ", "Paris"][row % 3 * usize::from(row < 12)]))),
        ("pays", Role::Target(Task::Classify), classes((0..30).map(|row| if row % 7 < 3 || row == 29 { "yes" } else { "no" }))),
    ]);
    let mut told = String::new();
    for given in [
        &[("outliers", "clip"), ("categories", "fold")][..],
        &[("outliers", "drop"), ("categories", "trim"), ("conflicts", "drop")],
        &[("outliers", "flag"), ("select", "f_test"), ("k", "2")],
        &[("missing", "iterative"), ("degree", "3"), ("scale", "power")],
        &[("bins", "3"), ("select", "variance"), ("variance_threshold", "0.1")],
    ] {
        let (fitted, train) = fit(&preparation(Needs::Dense, given, &[]), &people).unwrap();
        told += &format!("{given:?}: {} rows\n", train.data().len());
        told.extend(fitted.describe().into_iter().map(|(column, how)| format!("  {column}: {how}\n")));
        told.extend(fitted.notes().iter().map(|note| format!("  {} {}\n", if note.is_warning { "warning:" } else { "note:" }, note.text)));
    }
    expect![[r#"
        [("outliers", "clip"), ("categories", "fold")]: 30 rows
          age: values beyond 15..31 (iqr 1.5) clipped; missing become the median 23; standard scale (23.066666666666666 and 2.5024432505497947)
          town: 2 classes, whatever their case and white space one-hot; unseen ones become all zeros
          pays: classes no and yes; yes is the positive one
          note: column age: 1 training cell: values beyond 15..31 (iqr 1.5) clipped
          note: column town: 4 training cells in 1 spelling taken as the class that is spelled so most often (categories=fold)
        [("outliers", "drop"), ("categories", "trim"), ("conflicts", "drop")]: 29 rows
          age: values beyond 15..31 (iqr 1.5) left out of training with their rows; missing become the median 23; standard scale (22.79310344827586 and 2.0574391572656965)
          town: 3 classes, whatever their white space one-hot; unseen ones become all zeros
          pays: classes no and yes; yes is the positive one
          warning: 1 of 30 training rows left out: they hold outliers (age: 1; outliers=drop)
        [("outliers", "flag"), ("select", "f_test"), ("k", "2")]: 30 rows
          age: values beyond 15..31 (iqr 1.5) marked in a column of their own; missing become the median 23; standard scale (35.36666666666667 and 67.74091985072407)
          town: 3 classes one-hot; unseen ones become all zeros; left out by select=f_test
          pays: classes no and yes; yes is the positive one
          note: column age: 1 training cell: values beyond 15..31 (iqr 1.5) marked in a column of their own
          warning: select=f_test keeps 2 of 5 features: age (1.1590), age.outlier (0.8711); left out: town=Paris, town=Rome, town=rome 
        [("missing", "iterative"), ("degree", "3"), ("scale", "power")]: 30 rows
          age: missing become what the other numbers say; Yeo-Johnson's power -3.033822946183829; standard scale (0.3295948943764995 and 0.000007127118712055065) (iterative: 0 rounds over 1 columns of numbers)
          town: 3 classes one-hot; unseen ones become all zeros
          pays: classes no and yes; yes is the positive one
        [("bins", "3"), ("select", "variance"), ("variance_threshold", "0.1")]: 30 rows
          age: missing become the median 23; 3 bins of equally many rows, one-hot
          town: 3 classes one-hot; unseen ones become all zeros
          pays: classes no and yes; yes is the positive one
          note: select=variance keeps 6 of 6 features: age=24.. (0.2400), age=..22 (0.2222), town=Rome (0.1956), age=22..24 (0.1956), town=rome  (0.1156), town=Paris (0.1156); nothing left out
    "#]].assert_eq(&told);
}

#[test]
fn saved_is_opened_and_answers_the_same() {
    for preparation in [native(), dense()] {
        let (fitted, _) = fit(&preparation, &people()).unwrap();
        let opened = open(&saved(&fitted)).unwrap();
        assert_eq!((opened.raw(), opened.schema()), (fitted.raw(), fitted.schema()));
        assert_eq!(format!("{:?}", opened.apply(&raw(&people())).unwrap()), format!("{:?}", fitted.apply(&raw(&people())).unwrap()));
        assert_eq!(saved(&opened), saved(&fitted));
    }
}

#[test]
fn targets_keep_order_and_lose_unseen_classes() {
    let (fitted, _) = fit(&TablePreparation { positive: [("pays".to_owned(), "no".to_owned())].into(), ..native() }, &people()).unwrap();
    assert_eq!(fitted.raw().field("pays").unwrap().kind.classes().unwrap().join(" "), "yes no");
    let mut columns = people().columns().take(&[0, 1, 2]);
    columns.insert("pays".into(), classes(["no", "perhaps", "yes"]).1);
    let (prepared, _) = fitted.apply(&columns).unwrap();
    assert_eq!(prepared.array("pays").unwrap().as_primitive::<UInt32Type>().iter().collect::<Vec<_>>(), [Some(1), None, Some(0)]);
    assert!(fitted.apply(&columns.select(|name| name != "pays" && name != "count")).is_ok(), "targets and keys may be absent");
}

#[test]
fn balanced_weights_are_those_of_training_rows_only() {
    let balanced = preparation(Needs::Native, &[("class_weight", "balanced")], &[]);
    let weights = |columns: &Columns, name: &str| columns.array(name).unwrap().as_primitive::<Float64Type>().values().to_vec();
    let (fitted, train) = fit(&balanced, &people()).unwrap();
    let taught = weights(&train.read_all().unwrap().keys, "count");
    assert_eq!(taught[..3], [40.0 / 60.0, 2.0 * 2.0, 40.0 / 60.0]);
    assert_eq!(weights(&fitted.apply(&raw(&people())).unwrap().0, "count")[..3], [1.0, 2.0, 1.0]);
    let bare =
        table(vec![("x", Role::Input, numbers([1.0, 2.0, 3.0, 4.0])), ("y", Role::Target(Task::Classify), classes(["a", "b", "b", "b"]))]);
    let (fitted, train) = fit(&balanced, &bare).unwrap();
    assert_eq!(weights(&train.read_all().unwrap().keys, "class_weight"), [2.0, 4.0 / 6.0, 4.0 / 6.0, 4.0 / 6.0]);
    assert!(fitted.schema().field("class_weight").is_none());
}

#[test]
fn what_cannot_be_prepared_is_refused() {
    let mut told = String::new();
    let mut refuse = |preparation: TablePreparation, table: &Table| {
        let error = fit(&preparation, table).map(|_| ()).unwrap_err();
        told += &format!("{error}; {}\n", error.hint().unwrap_or_default());
    };
    let column = |needs, name: &'static str, given: &'static [(&'static str, &'static str)]| preparation(needs, &[], &[(name, given)]);
    refuse(column(Needs::Native, "agee", &[]), &people());
    refuse(column(Needs::Native, "job", &[("missing", "median")]), &people());
    refuse(column(Needs::Native, "age", &[("missing", "class")]), &people());
    refuse(column(Needs::Native, "age", &[("missing", "constant"), ("fill", "much")]), &people());
    refuse(column(Needs::Dense, "age", &[("missing", "none")]), &people());
    refuse(column(Needs::Dense, "job", &[("encode", "codes")]), &people());
    refuse(column(Needs::Native, "age", &[("outliers", "clip"), ("outlier_method", "quantile"), ("outlier_factor", "0.7")]), &people());
    refuse(column(Needs::Native, "age", &[("bins", "3"), ("scale", "power")]), &people());
    refuse(column(Needs::Native, "note", &[("ngram_range", "[3, 2]")]), &people());
    refuse(column(Needs::Native, "note", &[("text", "vectors")]), &people());
    refuse(column(Needs::Native, "note", &[("text", "vectors"), ("vectors", "nowhere.txt")]), &people());
    refuse(preparation(Needs::Native, &[("degree", "2"), ("interact", "[agee]")], &[]), &people());
    refuse(preparation(Needs::Dense, &[("select", "chi2")], &[]), &people());
    refuse(TablePreparation { positive: [("pays".to_owned(), "yess".to_owned())].into(), ..native() }, &people());
    let of = |target: (Kind, Column), task| table(vec![("x", Role::Input, numbers([1.0, 2.0])), ("y", Role::Target(task), target)]);
    refuse(native(), &of(classes(["a", "a"]), Task::Classify));
    refuse(native(), &of(classes(["", ""]), Task::Classify));
    refuse(native(), &of(numbers([3.0, 3.0]), Task::Regress));
    refuse(native(), &of(numbers([3.0, 4.0]), Task::Classify));
    refuse(preparation(Needs::Native, &[("class_weight", "balanced")], &[]), &of(numbers([3.0, 4.0]), Task::Regress));
    refuse(native(), &table(vec![("d", Role::Input, dates([None, None])), ("y", Role::Target(Task::Regress), numbers([1.0, 2.0]))]));
    let (fitted, _) = fit(&native(), &people()).unwrap();
    let mut wrong = people().columns().take(&[0]);
    wrong.insert("age".into(), classes(["old"]).1);
    for columns in [wrong, people().columns().select(|name| name != "age")] {
        let error = fitted.apply(&columns).unwrap_err();
        told += &format!("{error}; {}\n", error.hint().unwrap_or_default());
    }
    expect![[r#"
        setting inputs.agee: found an unknown column, wanted a column of the table; did you mean age?
        setting inputs.job.missing: found median, wanted none|mode|constant|class; 
        setting inputs.age.missing: found class, wanted none|mean|median|mode|constant|ffill|knn|iterative; 
        setting inputs.age.fill: found "much", wanted a number; 
        setting inputs.age.missing: found none, wanted mean|median|mode|constant|ffill|knn|iterative, for the model takes no missing values; 
        setting inputs.job.encode: found codes, wanted onehot|ordinal|target|hash, for the model takes numbers only; 
        setting inputs.age.outlier_factor: found 0.7, wanted a share below 0.5 on each side, for outlier_method=quantile; 
        setting inputs.age.scale: found power with bins, wanted none|standard|minmax|robust, or inputs.age.bins=none; 
        setting inputs.note.ngram_range: found [3, 2], wanted the shortest run and the longest, as in [1, 2]; 
        setting inputs.note.vectors: found none, wanted a file of words and their vectors, for text=vectors; 
        nowhere.txt: No such file or directory (os error 2); inputs.NAME.vectors names the file
        setting data.clean.interact: found agee, wanted columns that the model looks at; did you mean age?
        setting data.clean.select: found chi2 with -1.689277519114419 in age, wanted f_test|mutual_info, or numbers of at least 0: scale=minmax makes such of training rows; 
        setting outputs.pays.positive: found yess, wanted a class of the target: no, yes; did you mean yes?
        target y: found the one class a in all 2 training rows, wanted at least two; 
        target y: found no class in the training rows, wanted at least two; 
        target y: found the same value in all training rows, wanted values that differ; 
        target y: found number, wanted categories to classify or numbers to regress; 
        setting data.clean.balance: found balanced, wanted none, for no target has classes; leave it out
        inputs: found no column that tells rows apart, wanted at least one column to learn from; 
        column age: found Utf8, wanted number; 
        columns: found no column age, wanted a column age (number); 
    "#]]
    .assert_eq(&told);
}

/// Images of two sizes beside a number with gaps and a category.
fn album() -> Table {
    let rows = 0..20usize;
    let shapes: Vec<[u32; 3]> = rows.clone().map(|row| [6 + row as u32 % 2, 5, 1 + row as u32 % 2 * 2]).collect();
    let bytes = shapes.iter().map(|shape| shape.iter().product::<u32>() as usize).sum();
    let images = Images::packed((0..bytes).map(|byte| byte as u8).collect(), shapes);
    table(vec![
        ("photo", Role::Input, (Kind::Image { channels: 3, size: None }, Column::Images(images))),
        ("age", Role::Input, numbers(rows.clone().map(|row| if row == 3 { f64::NAN } else { row as f64 }))),
        ("town", Role::Input, classes(rows.clone().map(|row| ["here", "there"][row % 2]))),
        ("kind", Role::Target(Task::Classify), classes(rows.map(|row| ["cat", "dog"][row / 10]))),
    ])
}

#[test]
fn images_are_brought_to_one_shape_beside_other_columns() {
    let needs = ImageNeeds { channels: None, size: None, size_default: 8, size_min: 4 };
    let (fitted, train) = fit(&preparation(Needs::Images(needs), &[], &[]), &album()).unwrap();
    let kind = Kind::Image { channels: 3, size: Some([8, 8]) };
    assert_eq!(fitted.schema().field("photo").unwrap().kind, kind);
    assert_eq!(fitted.feature_names(), ["photo", "age", "age.missing", "town"]);
    let prepared = train.read_all().unwrap().inputs;
    let photos = prepared.get("photo").unwrap().images().unwrap();
    assert_eq!(photos.common_shape(), Some([8, 8, 3]));
    assert!(prepared.array("age").unwrap().as_primitive::<Float64Type>().values().iter().all(|age| age.is_finite()));
    assert_eq!(fitted.schema().field("town").unwrap().kind.word(), "category");
    let opened = open(&saved(&fitted)).unwrap();
    let (again, _) = opened.apply(&raw(&album()).take(&[4])).unwrap();
    assert_eq!(again.get("photo").unwrap().images().unwrap(), &photos.take(&[4]));
    let error = opened.apply(&raw(&people())).unwrap_err();
    assert_eq!(error.to_string(), "columns: found no column photo, wanted a column photo (image)");
    let (fitted, train) = fit(&preparation(Needs::Nothing, &[], &[]), &album()).unwrap();
    assert_eq!(fitted.describe()[0].1, "not looked at");
    let same = train.read_all().unwrap().inputs;
    assert_eq!(same.get("photo").unwrap().images(), album().columns().get("photo").unwrap().images());
}

#[test]
fn saved_image_steps_from_outside_are_checked() {
    let needs = ImageNeeds { channels: None, size: None, size_default: 8, size_min: 4 };
    let (fitted, _) = fit(&preparation(Needs::Images(needs), &[], &[]), &album()).unwrap();
    let text = String::from_utf8(saved(&fitted).0["prepare/table.json"].clone()).unwrap();
    for (from, to) in [
        ("\"size\":[8,8]", "\"size\":[0,8]"),
        ("\"size\":[8,8]", "\"size\":[8,65536]"),
        ("\"crop\":1.0", "\"crop\":-1.0"),
        ("\"channels\":3,\"size\":[", "\"channels\":2,\"size\":["),
    ] {
        assert!(text.contains(from), "{text}");
        let parts = Parts([("prepare/table.json".to_owned(), text.replace(from, to).into_bytes())].into());
        assert!(open(&parts).is_err(), "{to}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A preparation whose bytes were changed is refused, or works without a panic and without numbers that are not finite.
    #[test]
    fn changed_bytes_never_panic(place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), cuts in any::<bool>(), is_rich in any::<bool>()) {
        let rich = [("missing", "knn"), ("outliers", "clip"), ("scale", "quantile"), ("degree", "2"), ("select", "variance"), ("text", "hash"), ("n_features", "8")];
        let plain = preparation(Needs::Dense, if is_rich { &rich } else { &[("max_classes", "10")] }, &[]);
        let mut parts = saved(&fit(&plain, &people()).unwrap().0);
        let bytes = parts.0.get_mut("prepare/table.json").unwrap();
        match cuts {
            true => bytes.truncate(cut.index(bytes.len())),
            false => {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        if let Ok(opened) = open(&parts)
            && let Ok((prepared, _)) = opened.apply(&raw(&people()))
        {
            prop_assert!(values(&prepared, &opened).iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn large_tables_are_prepared_as_small_ones_are() {
    let (fitted, _) = fit(&dense(), &people()).unwrap();
    let rows: Vec<u64> = (0..3000).map(|row| row * 7 % 40).collect();
    let (large, _) = fitted.apply(&raw(&people()).take(&rows)).unwrap();
    let (small, _) = fitted.apply(&raw(&people())).unwrap();
    assert_eq!(format!("{:?}", large), format!("{:?}", small.take(&rows)));
    assert_eq!(large.array("job").unwrap().len(), 3000);
}
