use super::*;
use crate::{Input, ReadOptions};
use cupola_task::{Draw, Fault};
use expect_test::expect;
use std::fmt::Write;

fn of(text: String, looked: &Looked<'_>) -> Survey {
    let input = Input::Bytes { name: "a.csv".into(), bytes: text.into() };
    survey(&input, &ReadOptions::default(), looked, &mut |_, _| {}).unwrap()
}

fn people(rows: u64) -> String {
    let draw = Draw::new(1);
    let mut text = String::from("id,age,city,same,often,note,joined,half,label\n");
    for row in 0..rows {
        let age = 20 + draw.stream("age").below(row, 60);
        let city = ["Oslo", "oslo", "Rome", "Cairo"][draw.stream("city").below(row, 4) as usize];
        let often = if row == 17 { "x" } else { "y" };
        let half = if row % 3 == 0 { String::new() } else { draw.stream("half").normal(row).to_string() };
        let label = if draw.stream("label").uniform(row) < if city == "Cairo" { 0.1 } else { 0.4 } { "yes" } else { "no" };
        let day = 1 + row % 28;
        writeln!(text, "{row},{age},{city},7,{often},the note of {row} is long,2024-02-{day:02},{half},{label}").unwrap();
    }
    text
}

#[test]
fn columns_are_told_with_what_deserves_a_look() {
    let (targets, sensitive) = (["label".to_owned()], ["city".to_owned(), "age".to_owned()]);
    let looked = Looked { targets: &targets, sensitive: &sensitive, ignore: &[] };
    let survey = of(people(1000), &looked);
    let mut told = String::new();
    for column in &survey.columns {
        writeln!(told, "{} {} {} {} {}", column.name, column.column_type, column.missing, column.distinct, column.reason).unwrap();
        for hint in &column.hints {
            writeln!(told, "  {:?}: {}", hint.kind, hint.sentence).unwrap();
        }
    }
    for pattern in &survey.patterns {
        writeln!(told, "missing {:?} in {}", pattern.columns, pattern.rows).unwrap();
    }
    for group in &survey.groups {
        writeln!(
            told,
            "{}: {} {:?}",
            group.column,
            group.groups.iter().map(|row| row.group.as_str()).collect::<Vec<_>>().join(", "),
            group.sentences
        )
        .unwrap();
    }
    expect![[r#"
        id id 0 1000 all 1,000 values are numbers, 1,000 distinct, whole and all different under this name
        age number 0 60 all 1,000 values are numbers, 60 distinct
        city category 0 4 4 distinct texts in 1,000 values
          InconsistentLabels: one name in several spellings: Oslo (252), oslo (242)
        same constant 0 1 all 1,000 values are "7"
          Constant: every value is 7
        often binary 0 2 2 distinct texts in 1,000 values
          NearConstant: y is 99.9 % of the values
        note text 0 1000 1,000 distinct texts in 1,000 values, of several words
        joined date 0 28 all 1,000 values are dates like %Y-%m-%d
        half number 334 666 all 666 values are numbers, 666 distinct
          Missing: 33.4 % of the cells are missing
        label binary 0 2 2 distinct texts in 1,000 values
        missing ["half"] in 334
        city: Cairo, Oslo, Rome, oslo ["yes is the label of 0.29 times as many rows of city Cairo as of Rome, below four fifths"]
        age: below 34, 34 to 49, 49 to 63, 63 and more []
    "#]]
    .assert_eq(&told);
    let age = survey.columns[1].numbers.as_ref().unwrap();
    assert!(age.is_exact && age.histogram.iter().sum::<u64>() == 1000 && (age.min, age.max) == (20.0, 79.0), "{age:?}");
    let city = &survey.groups[0];
    let cairo = city.groups.iter().find(|row| row.group == "Cairo").unwrap();
    assert!(cairo.classes.iter().find(|class| class.class == "yes").unwrap().share < 0.2);
    assert!((city.groups.iter().map(|row| row.share).sum::<f64>() - 1.0).abs() < 1e-12);
}

/// Sketches against what they stand for, and the same again whatever the process.
#[test]
fn sketches_are_close_and_repeat() {
    let rows = 60_000;
    let draw = Draw::new(5);
    let number = |row: u64| (draw.normal(row) * 10.0).exp2();
    let mut text = String::from("x,name\n");
    for row in 0..rows {
        let name = if row % 5 == 0 { "common".to_owned() } else { format!("rare {row}") };
        writeln!(text, "{},{name}", number(row)).unwrap();
    }
    let survey = of(text.clone(), &Looked::default());
    assert_eq!(survey, of(text, &Looked::default()));
    let mut sorted: Vec<f64> = (0..rows).map(number).collect();
    sorted.sort_by(f64::total_cmp);
    let numbers = survey.columns[0].numbers.as_ref().unwrap();
    assert!(!numbers.is_exact);
    for (share, quantile) in crate::profile::SHARES.iter().zip(&numbers.quantiles) {
        let rank = sorted.partition_point(|value| value < quantile) as f64 / rows as f64;
        assert!((rank - share).abs() < 0.003, "{share}: {quantile} is at {rank}");
    }
    let distinct = survey.columns[0].distinct as f64;
    assert!((distinct / rows as f64 - 1.0).abs() < 0.05, "{distinct}");
    let common = &survey.columns[1].frequent[0];
    assert!(common.value == "common" && common.count.abs_diff(rows / 5) <= rows / 1000, "{common:?}");
    assert_eq!(survey.columns[1].frequent.len(), 1, "what comes once is not frequent: {:?}", survey.columns[1].frequent);
}

#[test]
fn associations_are_known_ones() {
    let draw = Draw::new(2);
    let mut text = String::from("x,bent,noise,group,twin\n");
    for row in 0..3000 {
        let x = draw.stream("x").normal(row);
        let group = ["a", "b", "c"][(row % 3) as usize];
        writeln!(text, "{x},{},{},{group},{}", (3.0 * x).exp(), draw.stream("n").normal(row), group.to_uppercase()).unwrap();
    }
    let survey = of(text, &Looked::default());
    let strong: String = survey
        .associations
        .iter()
        .take(2)
        .map(|pair| format!("{} {} {:?} {:.3}\n", pair.first, pair.second, pair.measure, pair.value))
        .collect();
    expect![[r#"
        group twin CramersV 1.000
        x bent Spearman 1.000
    "#]]
    .assert_eq(&strong);
    assert!(survey.associations.iter().skip(2).all(|pair| pair.value.abs() < 0.1), "{:?}", survey.associations);
}

#[test]
fn odd_tables_are_told_or_refused() {
    let mixed = of(format!("x,y\n{}oops,2\n", "1.5,2\n".repeat(50)), &Looked::default());
    assert_eq!((mixed.columns[0].column_type.as_str(), mixed.repeated_rows), ("mixed", Some(49)));
    assert!(mixed.columns[0].hints[0].sentence.contains("a.csv:52"), "{:?}", mixed.columns[0].hints);
    let input = Input::Bytes { name: "a.csv".into(), bytes: "age,b\n1,2\n".into() };
    let names = ["ages".to_owned()];
    let looked = Looked { sensitive: &names, ..Looked::default() };
    let error = survey(&input, &ReadOptions::default(), &looked, &mut |_, _| {}).unwrap_err();
    assert_eq!(
        format!("{error}; {}", error.hint().unwrap()),
        "setting sensitive: found ages, which is not there, wanted a column of the table; did you mean age?"
    );
}
