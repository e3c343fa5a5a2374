//! Model files, and rows that they cannot answer.

use crate::desk::{Desk, csv, good};
use expect_test::expect;
use std::fs;
use std::net::TcpListener;

#[test]
fn model_files() {
    let desk = Desk::trained();
    let whole = desk.bytes("small.cupola");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    desk.put("flipped.cupola", &flipped);
    desk.put("cut.cupola", &whole[..whole.len() / 2]);
    desk.put("long.cupola", [&whole[..], b"more"].concat());
    desk.put("foreign.cupola", "a,b,c\n1,2,3\n");
    desk.put("empty.cupola", "");
    fs::create_dir(desk.path("hollow")).unwrap();
    for (name, wanted) in [
        ("flipped.cupola", "flipped.cupola: checksum: found ".to_owned()),
        (
            "cut.cupola",
            format!(
                "cut.cupola: found {} bytes, wanted {} bytes\n\nhint: the file was cut short: copy or train it again\n",
                whole.len() / 2,
                whole.len()
            ),
        ),
        (
            "long.cupola",
            format!(
                "long.cupola: found {} bytes, wanted {} bytes\n\nhint: something was written behind the model: copy the file again\n",
                whole.len() + 4,
                whole.len()
            ),
        ),
    ] {
        for arguments in [&["verify", name][..], &["predict", name, "good.csv"]] {
            let ran = desk.run(arguments);
            assert!(ran.code == Some(1) && ran.stderr.starts_with(&format!("error: failed to open the model: {wanted}")), "{}", ran.stderr);
        }
    }
    desk.refuses(
        &[
            "verify foreign.cupola",
            "verify empty.cupola",
            "verify hollow",
            "predict foreign.cupola good.csv -o out.csv",
            "serve foreign.cupola http=127.0.0.1:0",
        ],
        expect![[r#"
            $ verify foreign.cupola
            error: failed to open the model: foreign.cupola: found a file that begins with 61 2c 62 2c 63 0a 31 2c, wanted a model file of cupola
            hint: `cupola train` writes one into its run folder: model.cupola
            = 1
            $ verify empty.cupola
            error: failed to open the model: empty.cupola: found an empty file, wanted a model file of cupola
            hint: `cupola train` writes one into its run folder: model.cupola
            = 1
            $ verify hollow
            error: failed to find the model: hollow holds no model.cupola
            hint: the run may have stopped before a model was saved
            = 1
            $ predict foreign.cupola good.csv -o out.csv
            error: failed to open the model: foreign.cupola: found a file that begins with 61 2c 62 2c 63 0a 31 2c, wanted a model file of cupola
            hint: `cupola train` writes one into its run folder: model.cupola
            = 1
            $ serve foreign.cupola http=127.0.0.1:0
            error: failed to serve: foreign.cupola: found a file that begins with 61 2c 62 2c 63 0a 31 2c, wanted a model file of cupola
            hint: `cupola train` writes one into its run folder: model.cupola
            = 1
        "#]],
    );
    // Wherever a file is cut or changed, it is refused.
    for place in (0..whole.len()).step_by(whole.len() / 12) {
        let mut changed = whole.clone();
        changed[place] ^= 0x10;
        desk.put("changed.cupola", changed);
        desk.put("shorter.cupola", &whole[..place]);
        for name in ["changed.cupola", "shorter.cupola"] {
            let ran = desk.run(&["predict", name, "good.csv"]);
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{name} at {place}: {}", ran.stderr);
        }
    }
}

#[test]
fn rows_that_do_not_fit_the_model() {
    let desk = Desk::trained();
    desk.put("renamed.csv", good(20).replacen("a,b", "a,bb", 1));
    desk.put("word.csv", csv(20, |row, column, text| if (row, column) == (3, 0) { "tall".into() } else { text.to_owned() }));
    desk.put("taken.csv", good(20).replacen("y", "prediction", 1));
    desk.put("unlabelled.csv", good(20).replacen(",c,", ",d,", 1));
    desk.put("nolabel.csv", csv(20, |row, column, text| if (row, column) == (3, 2) { String::new() } else { text.to_owned() }));
    desk.ok(&["predict", "1", "good.csv", "-o", "x.parquet"]);
    let parquet = desk.bytes("x.parquet");
    desk.put("cut.parquet", &parquet[..parquet.len() - 10]);
    desk.put("middle.parquet", [&parquet[..parquet.len() / 3], &parquet[parquet.len() / 2..]].concat());
    desk.refuses(
        &[
            "predict 1 renamed.csv",
            "predict 1 word.csv -o out.csv",
            "predict 1 taken.csv",
            "predict 1 cut.parquet",
            "predict 1 good.csv -o out.xls",
            "predict 1 good.csv -o nofolder/out.csv",
            "predict 1 good.csv --format yaml",
            "predict 1 good.csv delim=;",
            "predict 1 nothere.csv",
            "train cut.parquet target=c",
            "eval 1 unlabelled.csv",
            "eval 1 nolabel.csv",
            "eval 1 good.csv metrics=nope",
            "eval 1 good.csv metrics=rmse",
            "runs rm 1 nosuch",
            "runs rm smal",
        ],
        expect![[r#"
            $ predict 1 renamed.csv
            error: failed to predict: columns: found no column b, wanted a column b (number)
            hint: is bb the one? rename it to b
            = 3
            $ predict 1 word.csv -o out.csv
            error: failed to predict: word.csv:5: column a: found "tall", wanted a number
            hint: correct the cell or leave it empty, or, when training, add "tall" to data.missing_values or set the column's type to category
            = 3
            $ predict 1 taken.csv
            error: failed to write predictions: data: found a column prediction, wanted no column of that name, since predictions are called so
            hint: rename it, or pass --bare to write predictions only
            = 3
            $ predict 1 cut.parquet
            error: failed to read the data: cut.parquet: found damaged or cut off Parquet (Parquet error: Invalid Parquet file. Corrupt footer), wanted a whole Parquet file
            hint: write or copy the file again
            = 3
            $ predict 1 good.csv -o out.xls
            error: failed to write predictions: setting out: found out.xls, wanted a file that ends in .csv, .tsv, .jsonl, .parquet, .arrow or .arff
            = 2
            $ predict 1 good.csv -o nofolder/out.csv
            error: failed to write predictions: write nofolder/out.csv: No such file or directory (os error 2)
            = 1
            $ predict 1 good.csv --format yaml
            error: failed to write predictions: setting format: found "yaml", wanted csv, tsv, jsonl, parquet, arrow or arff
            = 2
            $ predict 1 good.csv delim=;
            error: failed to read the command line: setting data.delim: found an unknown key, wanted a key of the list
            hint: known keys: format, delimiter, quote, decimal, thousands, sheet, header, encoding, missing_values, bad_rows, max_bytes, max_line, max_memory
            = 2
            $ predict 1 nothere.csv
            error: failed to read the data: nothere.csv: found no such file, wanted a file
            = 3
            $ train cut.parquet target=c
            error: failed to train: cut.parquet: found damaged or cut off Parquet (Parquet error: Invalid Parquet file. Corrupt footer), wanted a whole Parquet file
            hint: write or copy the file again
            = 3
            $ eval 1 unlabelled.csv
            error: failed to evaluate: columns: found no column c, wanted a column c
            hint: eval needs the truth; `cupola predict` does without
            = 3
            $ eval 1 nolabel.csv
            error: failed to evaluate: nolabel.csv:5: target c is missing
            = 3
            $ eval 1 good.csv metrics=nope
            error: failed to read the command line: command line: unknown metric nope
            hint: `cupola metrics` lists them
            = 2
            $ eval 1 good.csv metrics=rmse
            error: failed to evaluate: recipe: metric rmse does not suit target c (classify)
            hint: metrics that suit: accuracy, balanced_accuracy, precision, recall, f1, roc_auc, average_precision, log_loss, brier, calibration_error, expected_cost, mcc, kappa
            = 2
            $ runs rm 1 nosuch
            error: failed to remove the run: no run nosuch in runs
            hint: `cupola runs ls` lists them
            = 1
            $ runs rm smal
            error: failed to remove the run: no run smal in runs
            hint: `cupola runs ls` lists them
            = 1
        "#]],
    );
    let ran = desk.run(&["predict", "1", "middle.parquet"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("middle.parquet: found damaged or cut off Parquet"), "{}", ran.stderr);
    desk.put("class.csv", good(20).replacen("yes", "maybe", 1));
    let told = desk.ok(&["eval", "1", "class.csv"]).stderr;
    expect![[r#"
        warning: 1 row holds a c that training did not see, as maybe: no answer can be right there
    "#]]
    .assert_eq(&told);
    // A refused command leaves the file that was there before.
    desk.put("out.csv", "old");
    assert_eq!(desk.run(&["predict", "1", "word.csv", "-o", "out.csv"]).code, Some(3));
    assert_eq!(desk.text("out.csv"), "old");
}

#[test]
fn serving() {
    let desk = Desk::trained();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ran = desk.run(&["serve", "1", &format!("http=127.0.0.1:{port}")]);
    assert_eq!(ran.code, Some(1));
    expect![[r#"
        error: failed to serve: listen on 127.0.0.1:PORT: Address already in use (os error 98)

        hint: another program listens on port PORT: stop it, or pass http=127.0.0.1:0 for a free one
    "#]]
    .assert_eq(&ran.stderr.replace(&port.to_string(), "PORT"));
    desk.refuses(
        &[
            "serve 1 http=0.0.0.0:0",
            "serve 1 http=here",
            "serve 1 htp=127.0.0.1:0",
            "serve 1 1 http=127.0.0.1:0",
            "serve 1 good.csv http=127.0.0.1:0",
        ],
        expect![[r#"
            $ serve 1 http=0.0.0.0:0
            error: failed to read the command line: serve on 0.0.0.0:0: other machines can reach this address, and there is neither encryption nor a token
            hint: pass tls_cert=FILE tls_key=FILE tokens=FILE; or serve on 127.0.0.1:0 behind a proxy; or pass insecure=true if everyone who reaches it may ask and listen
            = 2
            $ serve 1 http=here
            error: failed to read the command line: setting serve.http: found "here", wanted an address with a port, as 127.0.0.1:8000
            = 2
            $ serve 1 htp=127.0.0.1:0
            error: failed to read the command line: setting serve.htp: found an unknown key, wanted a key of the list
            hint: did you mean http?
            = 2
            $ serve 1 1 http=127.0.0.1:0
            error: failed to serve: serve models: found 0001-small twice, wanted a name for each
            = 2
            $ serve 1 good.csv http=127.0.0.1:0
            error: failed to serve: good.csv: found a file that begins with 61 2c 62 2c 63 2c 79 0a, wanted a model file of cupola
            hint: `cupola train` writes one into its run folder: model.cupola
            = 1
        "#]],
    );
}
