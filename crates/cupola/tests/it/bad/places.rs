//! Places that cannot be written.

use crate::desk::{Desk, good};
use expect_test::expect;

#[test]
fn places_that_cannot_be_written() {
    let desk = Desk::new();
    desk.put("good.csv", good(60));
    desk.put("runs", "a file where the folder should be");
    desk.put("cupola.toml", "mine");
    desk.refuses(
        &[
            "train good.csv target=c model=tree ignore=y",
            "runs",
            "runs show 1",
            "init good.csv target=c",
            "init good.csv target=c -o good.csv/x.toml",
        ],
        expect![[r#"
            $ train good.csv target=c model=tree ignore=y
            error: failed to train: make run folder runs: File exists (os error 17)
            hint: CUPOLA_HOME names the folder that holds runs/
            = 1
            $ runs
            error: failed to list runs: read runs folder runs: Not a directory (os error 20)
            = 1
            $ runs show 1
            error: failed to show the run: read runs folder runs: Not a directory (os error 20)
            = 1
            $ init good.csv target=c
            error: failed to write the recipe: cupola.toml: is there already
            hint: pass --force to replace it, or -o another name
            = 2
            $ init good.csv target=c -o good.csv/x.toml
            error: failed to write the recipe: make folder good.csv: File exists (os error 17)
            = 1
        "#]],
    );
    assert_eq!(desk.text("cupola.toml"), "mine");
    // An answer that could not be written is no success.
    let ran = desk.shell("[ -w /dev/full ] || exit 1; \"$CUPOLA\" models >/dev/full");
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
}

/// `ulimit -f` refuses to let a file grow, as a full disk does; the signal that comes with it must not end the program.
#[test]
fn a_disk_that_is_full() {
    let desk = Desk::trained();
    let hash = desk.hash("1");
    let ran = desk.shell("ulimit -f 2; exec \"$CUPOLA\" train good.csv target=c model=tree ignore=y");
    assert_eq!(ran.code, Some(1));
    expect![[r#"
        error: failed to train: write runs/0002-good-tree/model.cupola: File too large (os error 27)
    "#]]
    .assert_eq(&ran.stderr);
    assert_eq!((desk.hash("1"), desk.hash("latest")), (hash.clone(), hash));
    assert_eq!(desk.names("runs/0002-good-tree"), ["begin.json", "events.jsonl", "recipe.toml"], "no half of a file is left");
    let listed = desk.ok(&["runs"]).stdout;
    assert!(listed.contains("0002-good-tree  unfinished"), "{listed}");

    desk.put("out.csv", "old");
    let before = desk.names(".");
    let ran = desk.shell("ulimit -f 2; exec \"$CUPOLA\" predict 1 good.csv -o out.csv");
    assert_eq!(ran.code, Some(1));
    expect![[r#"
        error: failed to write predictions: write the table: File too large (os error 27)
    "#]]
    .assert_eq(&ran.stderr);
    assert_eq!((desk.text("out.csv"), desk.names(".")), ("old".to_owned(), before));
}
