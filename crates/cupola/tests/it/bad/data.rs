//! Data that is no table, or teaches nothing, or gives itself away.

use crate::desk::{Desk, csv, good, table};
use expect_test::expect;

#[test]
fn files_that_are_no_tables() {
    let desk = Desk::new();
    for (name, bytes) in [
        ("empty.csv", &b""[..]),
        ("header.csv", b"a,b,y\n"),
        ("ragged.csv", b"a,b,y\n1,2,3\n1,2\n"),
        ("wide.csv", b"a,b,y\n1,2,3\n1,2,3,4\n"),
        ("quote.csv", b"a,b,y\n1,\"2,3\n1,2,4\n"),
        ("junk.csv", b"\x89\x00\x01\xff\xfe\x00junk\x00\x00\x80\n\x81\x00"),
        ("twice.csv", b"a,a,y\n1,2,3\n"),
        ("blank.csv", b"a,,y\n1,2,3\n"),
        ("latin.csv", b"a,b,y\n1,caf\xe9,3\n"),
        ("line.csv", b"a,b,y\n1,2,3\n1,0000000000000000000000000000000000002,3\n"),
        ("broken.jsonl", b"{\"a\":1,\"y\":2}\n{\"a\":1,\n"),
        ("broken.csv.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03abc"),
        ("foreign.parquet", b"PAR1 but no more than that"),
    ] {
        desk.put(name, bytes);
    }
    desk.refuses(
        &[
            "train empty.csv target=y",
            "train header.csv target=y",
            "train ragged.csv target=y",
            "train wide.csv target=y",
            "train quote.csv target=y",
            "train junk.csv target=y",
            "train twice.csv target=y",
            "train blank.csv target=y",
            "train latin.csv target=y",
            "train line.csv target=y data.max_line=32",
            "train line.csv target=y data.max_bytes=32",
            "train broken.jsonl target=y",
            "train broken.csv.gz target=y",
            "train foreign.parquet target=y",
            "train raged.csv target=y",
            "train . target=y",
            "check empty.csv target=y",
            "init empty.csv target=y",
        ],
        expect![[r#"
            $ train empty.csv target=y
            error: failed to train: empty.csv: found an empty file, wanted a header and rows
            hint: check that writing the file had finished
            = 3
            $ train header.csv target=y
            error: failed to train: header.csv: found a header and no row, wanted at least one row
            hint: if the first line is data, set data.header=false
            = 3
            $ train ragged.csv target=y
            error: failed to train: ragged.csv:3: found 2 fields, wanted 3 fields as in the header
            hint: fields are cut at each comma; quote a field that holds one, set data.delimiter, or leave such rows out with data.bad_rows=skip
            = 3
            $ train wide.csv target=y
            error: failed to train: wide.csv:3: found 4 fields, wanted 3 fields as in the header
            hint: fields are cut at each comma; quote a field that holds one, set data.delimiter, or leave such rows out with data.bad_rows=skip
            = 3
            $ train quote.csv target=y
            error: failed to train: quote.csv:2: found a quote that is never closed, wanted a closing quote
            hint: the file may be cut off, or the field holds a quote that is not doubled (data.quote=none reads it as it is)
            = 3
            $ train junk.csv target=y
            error: failed to train: junk.csv:1: found a NUL at byte 1, wanted text
            hint: the file is damaged or no text; data.bad_rows=skip leaves such rows out
            = 3
            $ train twice.csv target=y
            error: failed to train: twice.csv:1: found the name a for column 1 and column 2, wanted names that differ
            hint: rename one, or set data.header=false if the first line is data
            = 3
            $ train blank.csv target=y
            error: failed to train: blank.csv:1: found no name for column 2, wanted a name for each column
            hint: name it (pandas writes such a column for its index unless told index=False), or set data.header=false if the first line is data
            = 3
            $ train latin.csv target=y
            error: failed to train: latin.csv:2: found byte 0xE9 at byte 11, which is not UTF-8, wanted UTF-8 text
            hint: set data.encoding=latin-1 if the file comes from an older Windows program, or write it as UTF-8
            = 3
            $ train line.csv target=y data.max_line=32
            error: failed to train: line.csv:3: found a record of more than 32 bytes, wanted a record within data.max_line
            hint: is this a table? if so, raise data.max_line
            = 3
            $ train line.csv target=y data.max_bytes=32
            error: failed to train: line.csv: found more than 32 bytes, wanted content within data.max_bytes
            hint: raise data.max_bytes, or give a part of the file
            = 3
            $ train broken.jsonl target=y
            error: failed to train: broken.jsonl:2: found a line that breaks off, wanted one flat JSON object a line
            hint: each line must be whole JSON; data.bad_rows=skip leaves such lines out
            = 3
            $ train broken.csv.gz target=y
            error: failed to train: broken.csv.gz: found gzip data that breaks off, wanted a whole gzip file
            hint: copy the file again; a whole one unpacks without complaint
            = 3
            $ train foreign.parquet target=y
            error: failed to train: foreign.parquet: found damaged or cut off Parquet (Parquet error: Invalid Parquet file. Corrupt footer), wanted a whole Parquet file
            hint: write or copy the file again
            = 3
            $ train raged.csv target=y
            error: failed to train: raged.csv: found no such file, wanted a file
            hint: did you mean ragged.csv?
            = 3
            $ train . target=y
            error: failed to train: ./broken.csv.gz: found gzip data that breaks off, wanted a whole gzip file
            hint: copy the file again; a whole one unpacks without complaint
            = 3
            $ check empty.csv target=y
            error: failed to check the data: empty.csv: found an empty file, wanted a header and rows
            hint: check that writing the file had finished
            = 3
            $ init empty.csv target=y
            error: failed to write a recipe from the data: empty.csv: found an empty file, wanted a header and rows
            hint: check that writing the file had finished
            = 3
        "#]],
    );
}

#[test]
fn a_line_of_70_megabytes() {
    let desk = Desk::new();
    let mut bytes = b"a,b,y\n1,2,3\n4,".to_vec();
    bytes.resize(70_000_000, b'5');
    desk.put("long.csv", bytes);
    desk.refuses(
        &["train long.csv target=y"],
        expect![[r#"
        $ train long.csv target=y
        error: failed to train: long.csv:3: found a record of more than 67108864 bytes, wanted a record within data.max_line
        hint: is this a table? if so, raise data.max_line
        = 3
    "#]],
    );
}

#[test]
fn tables_that_teach_nothing() {
    let desk = Desk::new();
    desk.put("good.csv", good(100));
    desk.put("constant.csv", csv(100, |_, column, text| if column >= 2 { "1".into() } else { text.to_owned() }));
    desk.put("class.csv", csv(100, |_, column, text| if column == 2 { "yes".into() } else { text.to_owned() }));
    for (name, cell) in [("missing.csv", ""), ("nan.csv", "NaN"), ("inf.csv", "inf"), ("huge.csv", "1e999"), ("word.csv", "tall")] {
        desk.put(name, csv(100, |row, column, text| if (row, column) == (5, 3) { cell.into() } else { text.to_owned() }));
    }
    desk.put("none.csv", csv(100, |_, column, text| if column == 3 { String::new() } else { text.to_owned() }));
    desk.put("negative.csv", csv(100, |row, column, text| if (row, column) == (5, 1) { "-0.5".into() } else { text.to_owned() }));
    desk.put("weightless.csv", csv(100, |row, column, text| if (row, column) == (5, 1) { String::new() } else { text.to_owned() }));
    desk.put("zero.csv", csv(100, |_, column, text| if column == 1 { "0".into() } else { text.to_owned() }));
    desk.refuses(
        &[
            "train good.csv",
            "train good.csv target=x",
            "train good.csv target=",
            "train good.csv target=y ignore=y",
            "train good.csv target=y weight=y",
            "train good.csv target=c ignore=[a,b,y]",
            "train constant.csv target=y",
            "train class.csv target=c",
            "train missing.csv target=y",
            "train nan.csv target=y",
            "train inf.csv target=y",
            "train huge.csv target=y",
            "train word.csv target=y task=regress",
            "train none.csv target=y",
            "train good.csv target=c task=regress",
            "train good.csv target=c model=ridge",
            "train good.csv target=y model=logistic",
            "train good.csv target=c model=tree metrics=rmse",
            "train good.csv target=y model=tree gates.f1=>=0.5",
            "train good.csv target=c model=tree outputs.c.positive=maybe",
            "train negative.csv target=c weight=b model=logistic",
            "train weightless.csv target=c weight=b model=logistic",
            "train zero.csv target=c weight=b model=logistic",
            "train good.csv target=c test=nothere.csv",
            "train good.csv target=c data.split.by=group data.split.key=nothere",
        ],
        expect![[r#"
            $ train good.csv
            error: failed to train: command line: no target; the columns are a, b, c, y
            hint: say what to predict: target=y
            = 2
            $ train good.csv target=x
            error: failed to train: good.csv: target names column x, which is not there
            hint: did you mean a?
            = 2
            $ train good.csv target=
            error: failed to train: command line: no target; the columns are a, b, c, y
            hint: say what to predict: target=y
            = 2
            $ train good.csv target=y ignore=y
            error: failed to train: recipe: ignore names column y, which is a target
            = 2
            $ train good.csv target=y weight=y
            error: failed to train: recipe: weight names column y, which is a target
            = 2
            $ train good.csv target=c ignore=[a,b,y]
            error: failed to train: no column is left to learn from; left out: a (ignored by the recipe); b (ignored by the recipe); y (ignored by the recipe)
            hint: set a type where a guess is wrong: inputs.NAME.type=number
            = 3
            $ train constant.csv target=y
            warning: not learned from: c (all 100 values are "1")
            error: failed to train: target y: found one class (1) in all 90 training rows, wanted at least two
            hint: is this the right column? `target=` names it
            = 3
            $ train class.csv target=c
            error: failed to train: target c: found one class (yes) in all 90 training rows, wanted at least two
            hint: is this the right column? `target=` names it
            = 3
            $ train missing.csv target=y
            error: failed to train: missing.csv:7: target y is missing here
            hint: data.clean.missing_target=drop leaves those rows out and counts them
            = 3
            $ train nan.csv target=y
            error: failed to train: nan.csv:7: target y is missing here
            hint: data.clean.missing_target=drop leaves those rows out and counts them
            = 3
            $ train inf.csv target=y
            error: failed to train: inf.csv:7: column y: found "inf", wanted a finite number
            hint: leave the cell empty if its value is missing, or, when training, add inf to data.missing_values
            = 3
            $ train huge.csv target=y
            error: failed to train: huge.csv:7: column y: found "1e999", wanted a finite number
            hint: leave the cell empty if its value is missing, or, when training, add 1e999 to data.missing_values
            = 3
            $ train word.csv target=y task=regress
            error: failed to train: word.csv:7: column y: found "tall", wanted a number
            hint: correct the cell, add it to data.missing_values, or leave out type=number
            = 3
            $ train none.csv target=y
            error: failed to train: none.csv:2: column y: found a target without any value, wanted values to learn
            hint: choose another target, or check data.missing_values
            = 3
            $ train good.csv target=c task=regress
            error: failed to train: good.csv:2: column c: found "yes", wanted a number
            hint: correct the cell, add it to data.missing_values, or leave out type=number
            = 3
            $ train good.csv target=c model=ridge
            error: failed to train: to classify c is not supported by model ridge
            hint: models that classify: gbdt, forest, extra_trees, tree, logistic, svm, knn, naive_bayes, baseline, mlp, ensemble
            = 2
            $ train good.csv target=y model=logistic
            error: failed to train: to regress y is not supported by model logistic
            hint: models that regress: gbdt, forest, extra_trees, tree, linear, ridge, lasso, elastic_net, svm, knn, baseline, mlp, ensemble
            = 2
            $ train good.csv target=c model=tree metrics=rmse
            error: failed to train: recipe: metric rmse does not suit target c (classify)
            hint: metrics that suit: accuracy, balanced_accuracy, precision, recall, f1, roc_auc, average_precision, log_loss, brier, calibration_error, expected_cost, mcc, kappa
            = 2
            $ train good.csv target=y model=tree gates.f1=>=0.5
            error: failed to train: recipe: metric f1 does not suit target y (regress)
            hint: metrics that suit: mse, rmse, mae, mape, r2
            = 2
            $ train good.csv target=c model=tree outputs.c.positive=maybe
            error: failed to train: setting outputs.c.positive: found maybe, wanted a class of the target: no, yes
            = 2
            $ train negative.csv target=c weight=b model=logistic
            error: failed to train: negative.csv:7: weight b: found -0.5, wanted a number of at least 0
            hint: a row that is not to count has weight 0
            = 3
            $ train weightless.csv target=c weight=b model=logistic
            error: failed to train: weightless.csv:7: weight b: found no value, wanted a number of at least 0
            hint: a row that is not to count has weight 0
            = 3
            $ train zero.csv target=c weight=b model=logistic
            error: failed to train: training rows: found no row with a target and a weight above 0, wanted at least one
            = 3
            $ train good.csv target=c test=nothere.csv
            error: failed to train: nothere.csv: found no such file, wanted a file
            = 3
            $ train good.csv target=c data.split.by=group data.split.key=nothere
            error: failed to train: setting data.split.key: found an unknown column nothere, wanted a column of the table
            hint: columns: a, b, c, y
            = 2
        "#]],
    );
}

#[test]
fn a_column_without_values_is_left_out() {
    let desk = Desk::new();
    desk.put("rows.csv", csv(100, |_, column, text| if column == 1 { String::new() } else { text.to_owned() }));
    desk.ok(&["train", "rows.csv", "target=c", "model=logistic", "ignore=y", "-q"]);
    let report = desk.json("runs/latest/report.json");
    let column = report["data"]["columns"].as_array().unwrap().iter().find(|column| column["name"] == "b").unwrap();
    expect!["constant, ignored: all values are missing"].assert_eq(&format!(
        "{}, {}: {}",
        column["kind"].as_str().unwrap(),
        column["role"].as_str().unwrap(),
        column["reason"].as_str().unwrap()
    ));
}

#[test]
fn gates() {
    let desk = Desk::new();
    let copied = csv(200, |row, column, text| if column == 1 { table(200)[row][3].clone() } else { text.to_owned() });
    desk.put("leak.csv", copied);
    desk.put("good.csv", good(200));
    desk.refuses(
        &["train leak.csv target=y model=ridge"],
        expect![[r#"
            $ train leak.csv target=y model=ridge
            error: failed to train: leak check stops the run: column b is the target y under another name: it follows it (correlation 1.00000) (for example leak.csv:2, leak.csv:3, leak.csv:4): leave it out (ignore=b)
            hint: mend the data as each finding says, or pass leaks=warn to go on anyway
            = 3
        "#]],
    );
    for (leaks, is_told) in [("leaks=warn", true), ("leaks=off", false)] {
        let ran = desk.ok(&["train", "leak.csv", "target=y", "model=ridge", leaks]);
        assert_eq!(ran.stderr.contains("column b is the target y"), is_told, "{leaks}: {}", ran.stderr);
        assert_eq!(ran.stdout.contains("Do not believe"), is_told, "{leaks}: {}", ran.stdout);
    }
    let ran = desk.run(&["train", "good.csv", "target=c", "model=logistic", "ignore=y", "gates.roc_auc=>= 0.999", "metrics=f1", "-q"]);
    assert_eq!(ran.code, Some(4));
    assert!(
        ran.stderr.starts_with("error: quality gate: roc_auc of c is 0.") && ran.stderr.ends_with(", wanted >= 0.999\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(desk.hash("latest"), desk.hash("3"), "the model is kept, the exit code tells");
    assert_eq!(desk.run(&["eval", "3", "good.csv", "gates.accuracy=>=0.999"]).code, Some(4));
    desk.ok(&["eval", "3", "good.csv", "gates.accuracy=>=0.5"]);
}
