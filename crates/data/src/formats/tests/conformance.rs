//! One table, every format: see `parity/data_fixtures.py`.

use super::{options, read_bytes, shown};
use crate::formats::FORMATS;
use crate::{ColumnType, Input, OutputFormat, ReadOptions, Wanted, Writer, conform, infer, schema, stream};
use arrow_array::{Float64Array, StringArray};
use cupola_task::{Column, Columns};
use expect_test::expect;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// File, format, and whether rows of a cut off file can be told from a whole one: a cut at a record border of plain text cannot.
const FIXTURES: &[(&str, &str, bool)] = &[
    ("flowers.csv", "csv", false),
    ("flowers.tsv", "tsv", false),
    ("flowers.semicolon.csv", "csv", false),
    ("flowers.utf16.csv", "csv", false),
    ("flowers.jsonl", "jsonl", false),
    ("flowers.csv.gz", "csv", false),
    ("flowers.csv.zst", "csv", true),
    ("flowers.parquet", "parquet", true),
    ("flowers.arrow", "arrow", true),
    ("flowers.stream.arrows", "arrow", true),
    ("flowers.xlsx", "sheet", true),
    ("flowers.sqlite", "sqlite", true),
    ("flowers.arff", "arff", false),
    ("flowers.npz", "numpy", true),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// The table as training sees it.
fn conformed(columns: &Columns) -> Vec<String> {
    let types = [("kind".to_owned(), ColumnType::Category)].into();
    let (schema, formats) = schema(&infer(columns, &types, &[], &|row| row.to_string()).unwrap());
    shown(&conform(columns, &schema, &formats, &|row| row.to_string(), Wanted::All).unwrap().columns)
}

#[test]
fn every_format_has_a_fixture_and_gives_the_same_table() {
    let table = |file: &str| {
        let raw = crate::read(&Input::Path(fixture(file)), &ReadOptions::default()).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!((raw.skipped.count, raw.warnings.len()), (0, 0), "{file}");
        (raw.format, conformed(&raw.columns).join("\n"))
    };
    let (_, expected) = table(FIXTURES[0].0);
    expect![[r#"
        rose|1.5|3.0|true|2021-01-05T00:00:00
        oak, red|30.0|12.0|false|1969-12-31T00:00:00
        say "fern"|.|7.0|true|.
        Gänseblümchen|0.1|0.0|.|2000-02-29T00:00:00
        .|-0.002|9007199254740991.0|false|2021-12-31T00:00:00
        rose|4.0|.|true|1999-09-09T00:00:00"#]]
    .assert_eq(&expected);
    for (file, format, _) in FIXTURES {
        assert_eq!(table(file), (*format, expected.clone()), "{file}");
    }
    // libsvm holds numbers alone.
    for format in FORMATS.iter().filter(|format| !format.is_folder() && format.name != "libsvm") {
        assert!(FIXTURES.iter().any(|(_, name, _)| *name == format.name), "{} has a fixture", format.name);
    }
}

#[test]
fn chunks_are_the_whole_in_pieces() {
    for (file, format, _) in FIXTURES {
        let whole = crate::read(&Input::Path(fixture(file)), &ReadOptions::default()).unwrap();
        for rows in [1, 2, 4, 5, 100] {
            let chunks = stream(&Input::Path(fixture(file)), &ReadOptions::default(), rows).unwrap();
            let chunks: Vec<_> = chunks.map(|chunk| chunk.unwrap()).collect();
            let places: Vec<String> =
                chunks.iter().flat_map(|chunk| (0..chunk.columns.rows()).map(|row| chunk.places.place(row))).collect();
            assert_eq!(places, (0..6).map(|row| whole.place(row)).collect::<Vec<_>>(), "{file} by {rows}");
            if *format != "jsonl" {
                let pieces: Vec<String> = chunks.iter().flat_map(|chunk| shown(&chunk.columns)).collect();
                assert_eq!(pieces, shown(&whole.columns), "{file} by {rows}");
            }
        }
    }
}

/// Text cut inside its last record may leave a shorter last cell, which nothing in the file tells; everything before it must be right.
#[test]
fn every_beginning_of_a_file_is_refused_or_right() {
    for (file, _, is_told) in FIXTURES {
        let bytes = std::fs::read(fixture(file)).unwrap();
        let whole = read_bytes(file, bytes.clone(), &ReadOptions::default()).unwrap();
        for length in 0..bytes.len() {
            match read_bytes(file, &bytes[..length], &ReadOptions::default()) {
                Err(error) => assert!(error.to_string().contains(file), "{file} cut at {length}: {error}"),
                Ok(raw) => {
                    assert!(!is_told, "{file} cut at {length} passes for whole");
                    let (rows, all) = (shown(&raw.columns), shown(&whole.columns));
                    let sure = rows.len() - 1;
                    assert!(
                        rows.len() <= all.len() && (raw.columns.len() < whole.columns.len() || rows[..sure] == all[..sure]),
                        "{file} cut at {length}"
                    );
                }
            }
        }
    }
}

/// Any byte changed: an answer or a refusal, never a panic.
#[test]
fn damaged_files_never_panic() {
    for (file, ..) in FIXTURES {
        let bytes = std::fs::read(fixture(file)).unwrap();
        for at in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                let _ = read_bytes(file, damaged, &options(&[("max_bytes", "1000000")]));
            }
        }
    }
}

#[test]
fn skipped_rows_are_counted_with_places() {
    let csv = "a,b\n1,2\n3\n4,5,6\n\"7\"x,8\n9,\u{0}\n10,11\n";
    let raw = read_bytes("a.csv", csv, &options(&[("bad_rows", "skip")])).unwrap();
    expect![[r#"
        Skipped {
            count: 4,
            places: [
                "a.csv:3: found 1 field, wanted 2 fields as in the header",
                "a.csv:4: found 3 fields, wanted 2 fields as in the header",
                "a.csv:5: found \"x,8\" behind a closing quote, wanted a delimiter or a line end",
                "a.csv:6: found a NUL at byte 25, wanted text",
            ],
        }
        ["1|2", "10|11"] at a.csv:2 and a.csv:7"#]]
    .assert_eq(&format!("{:#?}\n{:?} at {} and {}", raw.skipped, shown(&raw.columns), raw.place(0), raw.place(1)));
}

fn text() -> impl Strategy<Value = String> {
    "[ -~é\n\r\t]{1,8}".prop_filter("a marker is read as missing", |text| {
        !super::super::Markers::new(&ReadOptions::default().missing_values).contain(text)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_is_written_is_read_back(rows in prop::collection::vec((prop::option::of(text()), text(), prop::option::of(-1e300f64..1e300)), 1..6)) {
        let texts: StringArray = rows.iter().map(|(text, ..)| text.clone()).collect();
        let others: StringArray = rows.iter().map(|(_, text, _)| Some(text.clone())).collect();
        let numbers: Float64Array = rows.iter().map(|(.., number)| *number).collect();
        let column = |name: &str, array| (name.into(), Column::Array(array));
        let columns = Columns::new(vec![column("a, \"b\"", Arc::new(texts)), column("c", Arc::new(others)), column("n", Arc::new(numbers.clone()))]);
        for (format, name, given) in [
            (OutputFormat::Csv, "a.csv", &[("delimiter", "comma")][..]),
            (OutputFormat::Tsv, "a.tsv", &[("delimiter", "tab")]),
            (OutputFormat::Jsonl, "a.jsonl", &[]),
            (OutputFormat::Parquet, "a.parquet", &[]),
        ] {
            let mut writer = Writer::new(Vec::new(), format);
            writer.write(&columns).unwrap();
            let raw = read_bytes(name, writer.finish().unwrap(), &options(given)).unwrap();
            prop_assert_eq!(shown(&raw.columns.select(|name| name != "n")), shown(&columns.select(|name| name != "n")), "{}", name);
            let again: Vec<Option<f64>> = match raw.columns.array("n").unwrap().data_type() {
                arrow_schema::DataType::Float64 => arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Float64Type>(raw.columns.array("n").unwrap()).iter().collect(),
                _ => arrow_array::cast::AsArray::as_string::<i32>(raw.columns.array("n").unwrap()).iter().map(|text| text.map(|text| text.parse().unwrap())).collect(),
            };
            prop_assert_eq!(again, numbers.iter().collect::<Vec<_>>(), "{}", name);
        }
    }
}
