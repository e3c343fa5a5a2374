//! Several files as one table.

use super::{options, shown};
use crate::{Input, ReadOptions, read, stream};
use expect_test::expect;
use std::path::{Path, PathBuf};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Rows with their places, then warnings; or the error.
fn told(folder: &Path, input: &Input, options: &ReadOptions) -> String {
    let raw = match read(input, options) {
        Ok(raw) => raw,
        Err(error) => return error.to_string().replace(&folder.display().to_string(), "."),
    };
    let rows = shown(&raw.columns).into_iter().enumerate().map(|(row, text)| format!("{} {text}", raw.place(row)));
    let lines: Vec<String> = rows.chain(raw.warnings.clone()).collect();
    lines.join("\n").replace(&folder.display().to_string(), ".")
}

#[test]
fn a_folder_a_pattern_and_a_list_are_one_table() {
    let files = [
        ("b.csv", "y,x\n3,c\n,d\n"),
        ("a.csv", "x,y\na,1\nb,2\n"),
        ("c.jsonl", "{\"x\": \"e\", \"y\": 2.5}\n"),
        ("notes.txt", "no table"),
        ("old/a.csv", "x\n1\n"),
    ];
    let folder = folder(&files);
    let at = |name: &str| folder.path().join(name);
    expect![[r#"
        ./a.csv:2 a|1
        ./a.csv:3 b|2
        ./b.csv:2 c|3
        ./b.csv:3 d|.
        ./c.jsonl:1 e|2.5
        not read from .: notes.txt, old/, by their names no tables"#]]
    .assert_eq(&told(folder.path(), &Input::Path(folder.path().to_owned()), &ReadOptions::default()));
    expect![[r#"
        ./a.csv:2 a|1
        ./a.csv:3 b|2
        ./b.csv:2 c|3
        ./b.csv:3 d|."#]]
    .assert_eq(&told(folder.path(), &Input::Path(at("?.csv")), &ReadOptions::default()));
    // A list keeps its order, and its columns are those of its first file.
    expect![[r#"
        ./c.jsonl:1 e|2.5
        ./b.csv:2 c|3
        ./b.csv:3 d|."#]]
    .assert_eq(&told(folder.path(), &Input::Paths(vec![at("c.jsonl"), at("b*.csv")]), &ReadOptions::default()));
    // Chunks cross files, and say the same.
    let chunks: Vec<_> = stream(&Input::Path(at("?.csv")), &ReadOptions::default(), 3).unwrap().map(Result::unwrap).collect();
    let places: Vec<String> = chunks.iter().flat_map(|chunk| (0..chunk.columns.rows()).map(|row| chunk.places.place(row))).collect();
    assert_eq!(places, ["a.csv:2", "a.csv:3", "b.csv:2", "b.csv:3"].map(|place| at(place).display().to_string()));
    assert_eq!(chunks[0].columns.rows(), 3);
}

#[test]
fn files_that_do_not_fit_are_named() {
    let files = [
        ("a.csv", "x,y\na,1\n"),
        ("b.csv", "x,z\nb,2\n"),
        ("c.csv", "x\nb\n"),
        ("d.csv", "x,y\n"),
        ("e.csv", "x,y\n1\n2,3\n"),
        ("f.txt", "x;y\n5;6\n"),
    ];
    let folder = folder(&files);
    let list = |names: &[&str]| Input::Paths(names.iter().map(|name| folder.path().join(name)).collect::<Vec<PathBuf>>());
    let plain = ReadOptions::default();
    let lines = [
        told(folder.path(), &list(&["a.csv", "b.csv"]), &plain),
        told(folder.path(), &list(&["a.csv", "c.csv"]), &plain),
        told(folder.path(), &list(&["a.csv", "d.csv"]), &plain),
        told(folder.path(), &list(&["a.csv", "e.csv"]), &plain),
        told(folder.path(), &list(&["a.csv", "e.csv"]), &options(&[("bad_rows", "skip")])),
        told(folder.path(), &list(&["a.csv", "nothing.csv"]), &plain),
        told(folder.path(), &list(&["a.csv", "f.txt"]), &options(&[("format", "csv")])),
    ];
    expect![[r#"
        ./b.csv: found a column z, wanted the columns of ./a.csv, which has none of that name
        ./c.csv: found no column y, wanted the columns of ./a.csv
        ./d.csv: found a header and no row, wanted at least one row
        ./e.csv:2: found 1 field, wanted 2 fields as in the header
        ./a.csv:2 a|1
        ./e.csv:3 2|3
        ./nothing.csv: found no such file, wanted a file
        ./a.csv:2 a|1
        ./f.txt:2 5|6"#]]
    .assert_eq(&lines.join("\n"));
    // The content's hash is that of all files.
    let hash = |names: &[&str]| read(&list(names), &plain).unwrap().hash;
    assert!(hash(&["a.csv", "f.txt"]) != hash(&["a.csv"]) && hash(&["a.csv"]).len() == 64);
    assert_eq!(hash(&["a.csv", "f.txt"]), hash(&["a.csv", "f.txt"]));
}
