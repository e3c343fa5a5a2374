//! Numbers that are read as numbers at once make the same table as those that are read as text first.

use super::shown;
use crate::{BadRows, Input, Raw, ReadOptions, Result, Wanted, conform, infer, read, read_numbers, schema};
use cupola_task::Fault;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What few cells of a column are.
const ODD: &[&str] = &[
    "",
    "NA",
    "nan",
    "?",
    "-9",
    "-9.0",
    "-0",
    "0",
    "-0.0",
    "+5",
    " 5",
    "5 ",
    "\" 7\"",
    "5.",
    ".5",
    "5.0",
    "1.50",
    ".",
    "-",
    "--1",
    "1.2.3",
    "1e3",
    "1E-2",
    "inf",
    "-inf",
    "infinity",
    "1e400",
    "007",
    "00.5",
    "-01",
    "1234567",
    "12345678",
    "123456789.25",
    "0.1234567",
    "12345678901234567890",
    "9007199254740993",
    "0.1234567890123456789",
    "1_000",
    "0x10",
    "\"1.5\"",
    "\"1,5\"",
    "\"1,234\"",
    "\"2\"\"\"",
    "1 234",
    "\u{a0}5",
    "TRUE",
    "x",
    "a b c",
    "\"a\n1\"",
    "2021-01-05",
    "8:30",
    "\u{e9}",
];
/// Lines that are no rows of the table, or hardly.
const BROKEN: &[&str] = &["1", "1,2,3,4,5,6", "\"x", "\"x\"y,1,2", "", "  ", "1,\"2\r\n3\",4", "\0,1,2"];

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![4 => "-?(0|[1-9][0-9]{0,3})\\.[0-9]{1,4}", 2 => "-?[1-9][0-9]{0,2}", 1 => Just(String::new())]
}

/// Cells of one column: mostly numbers, or all the same, with an odd one now and then.
fn column(rows: usize) -> impl Strategy<Value = Vec<String>> {
    let odd = || prop::sample::select(ODD).prop_map(str::to_owned);
    let amounts = |odd_share: u32| {
        let cell = if odd_share == 0 {
            cell().boxed()
        } else {
            prop_oneof![60 => cell(), odd_share => prop::sample::select(ODD).prop_map(str::to_owned)].boxed()
        };
        prop::collection::vec(cell, rows)
    };
    let same = odd().prop_flat_map(move |same| prop::collection::vec(prop_oneof![30 => Just(same), 1 => odd()], rows));
    let rising = (0u32..200).prop_map(move |from| (from..).take(rows).map(|number| number.to_string()).collect());
    prop_oneof![4 => amounts(0), 4 => amounts(1), 2 => amounts(20), 1 => same, 1 => rising]
}

fn table() -> impl Strategy<Value = String> {
    let names = prop::sample::subsequence(vec!["x", "y", "id", "row", "day", "paid"], 3);
    let columns = (1usize..40).prop_flat_map(|rows| prop::collection::vec(column(rows), 3));
    let broken = prop::option::weighted(0.3, (any::<prop::sample::Index>(), prop::sample::select(BROKEN)));
    (names, columns, broken, prop::sample::select(vec!["\n", "\r\n"])).prop_map(|(names, columns, broken, end)| {
        let mut lines: Vec<String> =
            (0..columns[0].len()).map(|row| columns.iter().map(|column| &*column[row]).collect::<Vec<_>>().join(",")).collect();
        if let Some((place, line)) = broken {
            lines.insert(place.index(lines.len() + 1), line.to_owned());
        }
        std::iter::once(names.join(",")).chain(lines).map(|line| line + end).collect()
    })
}

/// All that training sees of a table.
fn seen(raw: Result<Raw>, options: &ReadOptions, target: &str) -> String {
    let told = |error: crate::Error| format!("{error}; {}", error.hint().unwrap_or_default());
    let raw = match raw {
        Ok(raw) => raw,
        Err(error) => return told(error),
    };
    let about = format!(
        "{} {} {:?} {:?} {}",
        raw.format,
        raw.hash,
        raw.skipped,
        raw.warnings,
        (0..raw.columns.rows()).map(|row| raw.place(row)).collect::<String>()
    );
    let place = |row: usize| raw.place(row);
    let inferred = match infer(&raw.columns, &BTreeMap::new(), &[target], &place) {
        Ok(inferred) => inferred,
        Err(error) => return format!("{about} {}", told(error)),
    };
    let (schema, mut notation) = schema(&inferred);
    notation.missing_values.clone_from(&options.missing_values);
    let conformed = conform(&raw.columns, &schema, &notation, &place, Wanted::All).map(|conformed| {
        let types = conformed.columns.iter().map(|(name, column)| format!("{name} {}", column.array().unwrap().data_type()));
        format!("{}\n{}", types.collect::<Vec<_>>().join(" "), shown(&conformed.columns).join("\n"))
    });
    format!("{about} {inferred:?} {}", conformed.unwrap_or_else(told))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]
    #[test]
    fn numbers_at_once_make_the_table_that_texts_make(
        text in table(), has_target in any::<bool>(), skips in any::<bool>(), marks in any::<bool>(), has_decimal_comma in prop::bool::weighted(0.2)
    ) {
        let mut options = ReadOptions { has_decimal_comma, delimiter: Some(b','), ..ReadOptions::default() };
        if skips {
            options.bad_rows = BadRows::Skip;
        }
        if marks {
            options.missing_values.push("-9".to_owned());
        }
        let input = Input::Bytes { name: "t.csv".into(), bytes: text.clone().into() };
        let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        let target = if has_target { names[2] } else { names[0] };
        let at_once = read_numbers(&input, &options, &[target].into());
        prop_assert_eq!(seen(at_once, &options, target), seen(read(&input, &options), &options, target), "{}", text);
    }
}

#[test]
fn numbers_are_numbers_until_one_is_none() {
    let types = |last: &str| {
        let text = format!("x,y\n{}2,{last}\n", "0.5,1\n".repeat(40));
        let raw = read_numbers(&Input::Bytes { name: "t.csv".into(), bytes: text.into() }, &ReadOptions::default(), &["z"].into()).unwrap();
        raw.columns.iter().map(|(_, column)| column.array().unwrap().data_type().to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(types("2"), "Float64 Float64");
    assert_eq!(types(""), "Float64 Float64");
    assert_eq!(types("02"), "Float64 Utf8");
    assert_eq!(types("inf"), "Float64 Utf8");
    assert_eq!(types("\"a,b\""), "Float64 Utf8");
}
