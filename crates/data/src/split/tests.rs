use super::deal::SIDES;
use super::*;
use crate::cells::tests::{classes, dates, numbers, table};
use crate::{Input, OutputFormat, Writer};
use cupola_task::{Dataset, Draw, Fault, Key, Result, Role, Settings, Side, Table, Task, Value};
use expect_test::expect;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

fn settings(given: &[(&str, &str)], test: TestRows) -> Result<SplitSettings> {
    let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
    SplitSettings::open(&Settings::check("data.split", SETTINGS, values.iter().map(|(name, value)| (*name, value)))?, test)
}

fn cut(table: &Table, given: &[(&str, &str)]) -> Result<Cut> {
    sides(table, &settings(given, TestRows::Cut)?, Draw::new(7).stream("split"))
}

fn people(rows: usize) -> Table {
    let cycle = |words: &[&str]| classes((0..rows).map(|row| words[row % words.len()].to_owned()));
    table(vec![
        ("x", Role::Input, numbers((0..rows).map(|row| row as f64))),
        ("person", Role::Key(Key::Group), cycle(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"])),
        ("day", Role::Key(Key::Time), dates((0..rows).map(|row| Some((row as i64 * 7919 % 50) * 86_400_000_000)))),
        ("side", Role::Key(Key::Id), cycle(&["train", "Training", "dev", "test", "out"])),
        (
            "y",
            Role::Target(Task::Classify),
            classes((0..rows).map(|row| {
                if row == 3 {
                    "rare"
                } else if row % 4 == 0 {
                    "yes"
                } else {
                    "no"
                }
            })),
        ),
    ])
}

#[test]
fn every_rule_meets_its_shares() {
    let table = people(1000);
    for (by, slack) in [("random", 0), ("stratified", 1), ("group", 95), ("time", 15), ("hash", 40)] {
        let cut = cut(&table, &[("by", by), ("key", if by == "hash" { "x" } else { "" })]).unwrap();
        assert_eq!(cut.by.word(), by);
        for (count, wanted) in cut.counts.into_iter().zip([800u64, 100, 100]) {
            assert!(count.abs_diff(wanted) <= slack, "{by}: {:?}", cut.counts);
        }
    }
    let by_column = cut(&table, &[("by", "column"), ("key", "side")]).unwrap();
    assert_eq!(by_column.counts, [400, 200, 200]);
    assert_eq!(by_column.sides[..5], [Side::Train, Side::Train, Side::Valid, Side::Test, Side::Out]);
    let given = settings(&[("by", "random")], TestRows::Given).unwrap();
    assert_eq!(sides(&table, &given, Draw::new(1)).unwrap().counts, [889, 111, 0]);
}

#[test]
fn sides_that_files_lack_are_made() {
    let laid_out = |words: &[&str], test: TestRows, given: &[(&str, &str)]| {
        let rows = 1000;
        let table = table(vec![
            ("x", Role::Input, numbers((0..rows).map(|row| row as f64))),
            ("split", Role::Key(Key::Id), classes((0..rows).map(|row| words[row / 7 % words.len()].to_owned()))),
            ("y", Role::Target(Task::Classify), classes((0..rows).map(|row| ["a", "b", "c"][row % 3]))),
        ]);
        let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
        let given = Settings::check("data.split", SETTINGS, values.iter().map(|(name, value)| (*name, value))).unwrap();
        let cut = sides(&table, &SplitSettings::open_laid_out(&given, test, "split").unwrap(), Draw::new(7).stream("split")).unwrap();
        format!("{:?} {}: {}", cut.counts, cut.key.unwrap_or_default(), cut.reason)
    };
    let (both, all, photos) = (["train", "test"], ["train", "valid", "test"], ["train", "train", "train", "valid"]);
    expect![[r#"
        [447, 56, 497] split: as the files are laid out; validation rows are cut from the training rows
        [336, 335, 329] split: as the files are laid out
        [671, 84, 245] split: as the files are laid out; without test rows, their validation rows measure; validation rows are cut from the training rows
        [447, 56, 0] split: as the files are laid out; their test rows are left out, since there is a test file; validation rows are cut from the training rows
        [251, 252, 497] split: as the files are laid out; validation rows are cut from the training rows
        [800, 100, 100] : the recipe says so"#]]
    .assert_eq(
        &[
            laid_out(&both, TestRows::Cut, &[]),
            laid_out(&all, TestRows::Cut, &[]),
            laid_out(&photos, TestRows::Cut, &[]),
            laid_out(&both, TestRows::Given, &[]),
            laid_out(&both, TestRows::Cut, &[("ratio", "[1, 1]")]),
            laid_out(&both, TestRows::Cut, &[("by", "stratified")]),
        ]
        .join("\n"),
    );
}

#[test]
fn groups_stay_whole_times_in_order_classes_in_proportion() {
    let table = people(1000);
    let group = cut(&table, &[]).unwrap();
    assert_eq!((group.by, group.key.as_deref(), &*group.reason), (By::Group, Some("person"), "rows of one person belong together"));
    assert!((0..1000).all(|row| group.sides[row] == group.sides[row % 11]));
    let time = cut(&table, &[("by", "time")]).unwrap();
    let days = |side| (0..1000).filter(|&row| time.sides[row] == side).map(|row| row * 7919 % 50).collect::<Vec<_>>();
    let [train, valid, test] = SIDES.map(days);
    assert!(train.iter().max() < valid.iter().min() && valid.iter().max() < test.iter().min());
    let strata = cut(&table, &[("by", "stratified")]).unwrap();
    assert_eq!(strata.sides[3], Side::Train, "a class of one row teaches");
    let yes = |side| (0..1000).filter(|&row| row % 4 == 0 && strata.sides[row] == side).count();
    assert_eq!(SIDES.map(yes), [200, 25, 25]);
}

#[test]
fn few_rows_still_fill_every_side() {
    for by in ["random", "group", "time"] {
        assert_eq!(cut(&people(3), &[("by", by)]).unwrap().counts, [1, 1, 1], "{by}");
    }
    assert_eq!(cut(&people(10), &[("by", "stratified")]).unwrap().counts, [8, 1, 1]);
}

#[test]
fn what_cannot_be_split_is_refused() {
    let mut found = String::new();
    for given in [
        &[("by", "group"), ("key", "persn")][..],
        &[("by", "column")],
        &[("key", "person")],
        &[("by", "column"), ("key", "person")],
        &[("by", "time"), ("key", "person")],
        &[("ratio", "[0, 1]")],
        &[("ratio", "[1, 1, 1, 1]")],
        &[("ratio", "[1, 0, 0]")],
        &[("by", "column"), ("key", "side"), ("keep", "sides.parquet")],
    ] {
        let error = cut(&people(30), given).unwrap_err();
        found += &format!("{error}; {}\n", error.hint().unwrap_or_default());
    }
    for rows in [0, 1] {
        let error = cut(&people(rows), &[("by", if rows == 0 { "random" } else { "group" })]).unwrap_err();
        found += &format!("{error}; {}\n", error.hint().unwrap_or_default());
    }
    expect![[r#"
        setting data.split.key: found an unknown column persn, wanted a column of the table; did you mean person?
        setting data.split.key: found nothing, wanted the name of a column to split by column; write data.split.key=COLUMN
        setting data.split.key: found person with data.split.by=auto, wanted by group, time, hash or column; say what the column is for: data.split.by=group, time, hash or column
        row 1 of column person: found "a", wanted train, valid, test or out; write train, valid, test or out into every row of the column
        column person: found texts, wanted dates or numbers to split by time; 
        setting data.split.ratio: found [0.0, 1.0], wanted a positive share of training rows; 
        setting data.split.ratio: found 4 numbers, wanted two or three numbers; 
        setting data.split.ratio: found [1.0, 0.0, 0.0], wanted a positive share of test rows; give a third share, or a test file
        setting data.split.keep: found sides.parquet with data.split.by=column, wanted another rule; the column says every row's side: leave out data.split.keep
        split: found 0 of 0 rows on the training side, wanted at least one; choose another data.split.by or data.split.ratio
        column person: found 1 distinct value, wanted at least 3, one group for each side; use data.split.by=random, or fewer shares in data.split.ratio
    "#]].assert_eq(&found);
}

#[test]
fn record_holds_the_rule_and_the_sides() {
    let given = settings(&[("by", "random")], TestRows::Cut).unwrap();
    let record = |seed| sides(&people(50), &given, Draw::new(seed)).unwrap().record(&given);
    assert_eq!(record(1), record(1));
    assert_ne!(record(1).sides, record(2).sides);
    let text = serde_json::to_string(&record(1)).unwrap();
    assert_eq!(serde_json::from_str::<SplitRecord>(&text).unwrap(), record(1));
}

#[test]
fn distinct_rows_keeps_the_first_of_equals() {
    let copies = table(vec![
        ("x", Role::Input, numbers([1.0, 2.0, 1.0, 1.0, f64::NAN, f64::NAN])),
        ("y", Role::Target(Task::Classify), classes(["a", "a", "a", "b", "a", "a"])),
    ]);
    assert_eq!(distinct_rows(&copies).unwrap(), [0, 1, 3, 4]);
}

#[test]
fn distinct_beside_leaves_out_what_the_table_has() {
    let of = |x: &[f64], y: &[&str]| {
        table(vec![("x", Role::Input, numbers(x.iter().copied())), ("y", Role::Target(Task::Classify), classes(y.iter().copied()))])
    };
    let (rows, test) = (of(&[1.0, 2.0, 2.0], &["a", "b", "b"]), of(&[2.0, 1.0, 3.0, f64::NAN, 3.0, 1.0], &["b", "b", "a", "a", "a", "a"]));
    assert_eq!(distinct_beside(&rows, &test).unwrap(), [1, 2, 3]);
    let wrong = table(vec![("x", Role::Input, classes(["2"]))]);
    let error = distinct_beside(&rows, &wrong).unwrap_err().to_string();
    assert!(error.starts_with("column x: found another type in the test file"), "{error}");
}

/// The rows of that table in that order.
fn taken(table: &Table, rows: &[u64]) -> Table {
    Table::new(table.schema().clone(), table.columns().take(rows)).unwrap()
}

#[test]
fn old_rows_keep_their_side_when_new_ones_come() {
    let all = people(1300);
    let old = taken(&all, &(0..1000).collect::<Vec<u64>>());
    // New rows among the old ones, and four that repeat an old row.
    let order: Vec<u64> = Draw::new(3).permutation(1300).into_iter().chain([5, 5, 17, 400]).collect();
    let grown = taken(&all, &order);
    for by in ["random", "stratified", "hash", "group"] {
        let given = [("by", by), ("key", if by == "hash" { "x" } else { "" })];
        let before = cut(&old, &given).unwrap();
        let record = through_a_file(&record_columns(&row_keys(&old).unwrap(), &before.sides));
        let keys = row_keys(&grown).unwrap();
        let dealt = cut(&grown, &given).unwrap();
        let mut after = dealt.clone();
        assert_eq!(after.keep(&grown, &keys, &record).unwrap(), 1004, "{by}");
        for (place, &row) in order.iter().enumerate() {
            match before.sides.get(row as usize) {
                Some(side) => assert_eq!(after.sides[place], *side, "{by}: row {row} is old"),
                None if by == "group" => assert_eq!(after.sides[place], before.sides[row as usize % 11], "its group is old"),
                None => assert_eq!(after.sides[place], dealt.sides[place], "{by}: row {row} is new"),
            }
        }
        assert_eq!(after.counts, SIDES.map(|side| after.sides.iter().filter(|of| **of == side).count() as u64));
    }
}

/// What a run writes and a later one reads.
fn through_a_file(columns: &cupola_task::Columns) -> HashMap<u128, Side> {
    let mut writer = Writer::new(Vec::new(), OutputFormat::Parquet);
    writer.write(columns).unwrap();
    read_record(&Input::Bytes { name: "sides.parquet".into(), bytes: writer.finish().unwrap().into() }).unwrap()
}

#[test]
fn row_keys_go_by_content_alone_and_never_change() {
    let cells = |swapped: bool| {
        let mut columns = vec![
            ("a", Role::Input, numbers([1.5, f64::NAN, -0.0, 0.0])),
            ("b", Role::Input, classes(["x", "", "a longer text", "a longer text"])),
            ("d", Role::Key(Key::Time), dates([Some(1), None, Some(-1), Some(-1)])),
        ];
        if swapped {
            columns.swap(0, 2);
        }
        table(columns)
    };
    let keys = row_keys(&cells(false)).unwrap();
    assert_eq!(keys, row_keys(&cells(true)).unwrap());
    assert_eq!(row_keys(&taken(&cells(false), &[3, 1])).unwrap(), [keys[2], keys[1]]);
    let hex: String = keys.iter().map(|key| format!("{key:032x}\n")).collect();
    expect![[r#"
        9bd8e5fbf6b403d9804e47531ec5e7cb
        7930c3d615e8e0e02e680a02ee37f5c2
        001ed1b921cd30ff2fbe78ef30bcd0f9
        001ed1b921cd30ff2fbe78ef30bcd0f9
    "#]]
    .assert_eq(&hex);
    let many: HashSet<u128> = row_keys(&people(1000)).unwrap().into_iter().collect();
    assert_eq!(many.len(), 1000);
}

#[test]
fn records_are_checked() {
    let key = |digit: char| digit.to_string().repeat(32);
    let (one, two) = (key('0'), key('f'));
    let of = |text: String| read_record(&Input::Bytes { name: "sides.csv".into(), bytes: text.into() });
    let both = of(format!("side,row\ntest,{one}\nvalid,{two}\ntrain,{one}\n")).unwrap();
    assert_eq!(both, [(0, Side::Train), (u128::MAX, Side::Valid)].into());
    let mut found = String::new();
    for text in [format!("row,side\n{one},left\n"), "row,side\n+1,train\n".into(), format!("row,side\n{one},\n"), "a,b\n1,2\n".into()] {
        let error = of(text).unwrap_err();
        found += &format!("{error}; {}\n", error.hint().unwrap_or_default());
    }
    expect![[r#"
        sides.csv:2: column side: found "left", wanted train, valid, test or out; 
        sides.csv:2: column row: found "+1", wanted 32 hexadecimal digits; 
        sides.csv:2: column side: found nothing, wanted train, valid, test or out; 
        sides.csv: found no column row of texts, wanted a record of sides, with the columns row and side; name the data/sides.parquet of an earlier run
    "#]].assert_eq(&found);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn hash_never_moves_an_old_row(old in prop::collection::vec("[a-c]{0,3}", 30..60), new in prop::collection::vec("[a-z]{0,6}", 0..40), seed in any::<u64>()) {
        let of = |texts: Vec<String>| table(vec![("k", Role::Key(Key::Id), classes(texts))]);
        let given = settings(&[("by", "hash"), ("ratio", "[0.5, 0.25, 0.25]")], TestRows::Cut).unwrap();
        let cut = |texts| sides(&of(texts), &given, Draw::new(seed));
        if let (Ok(before), Ok(after)) = (cut(old.clone()), cut(old.iter().cloned().chain(new).collect())) {
            prop_assert_eq!(&before.sides[..], &after.sides[..old.len()]);
        }
    }
}
