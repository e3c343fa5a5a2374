//! `data`: profile, leaks, noise, dup, split, convert, lock, diff.

use crate::desk::{Desk, csv, good, shipped};
use expect_test::expect;
use serde_json::Value;
use std::fs;

fn told(stdout: &str) -> Value {
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn a_profile_tells_columns_groups_and_what_to_look_at() {
    let desk = Desk::new();
    let table = csv(300, |row, column, text| match (row, column) {
        (17, 0) => String::new(),
        (row, 2) if row % 50 == 0 => text.to_uppercase(),
        _ => text.to_owned(),
    });
    desk.put("table.csv", table);
    let ran = desk.ok(&["data", "profile", "table.csv", "target=y", "sensitive=c", "--html", "page.html"]);
    expect![[r#"
        table.csv (csv): 300 rows, 4 columns, 0.1 % of the cells missing

        column  type      missing  distinct  lowest  median  highest  most frequent
        a       number      0.3 %       294  0.0017  0.5024   0.9963  0.2986 (0.7 %)
        b       number                  296  0.0002  0.4968   0.9994  0.0672 (0.7 %)
        c       category                  4                           no (51.7 %)
        y       number                  300  0.4053  2.4428   4.6101

        to look at:
          c: one name in several spellings: no (155), NO (5); yes (139), YES (1)

        groups of c by y:
        group  rows   share  mean of target
        no      155  51.7 %          2.0059
        yes     139  46.3 %          3.0379
        NO        5   1.7 %          1.6295
        YES       1   0.3 %          2.7080
          groups of fewer than 30 rows, of which little can be said: NO, YES
          means of the target differ by 1.11 standard deviations between groups of c

        hangs together:
           0.91  y and a (Pearson)
           0.56  y and c (correlation ratio)
           0.53  a and c (correlation ratio)
           0.31  y and b (Pearson)
    "#]]
    .assert_eq(&ran.stdout);
    assert_eq!(ran.stderr, "wrote page.html\n");
    let page = desk.text("page.html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("table.csv") && !page.contains("<script") && !page.contains("http://"));
    let json = told(&desk.ok(&["--json", "data", "profile", "table.csv"]).stdout);
    assert_eq!((json["rows"].as_u64(), json["columns"][0]["missing"].as_u64()), (Some(300), Some(1)));
    let piped = desk.fed(&["--json", "data", "profile", "-"], &desk.bytes("table.csv"));
    assert_eq!(told(&piped.stdout)["columns"], json["columns"]);
}

/// A page stays small, whatever the table.
#[test]
fn a_page_of_many_columns_stays_below_a_megabyte() {
    let desk = Desk::new();
    let names: Vec<String> = (0..2000).map(|column| format!("a column of quite a long name {column}")).collect();
    let row = |row: usize| (0..2000).map(|column| ((row * 7919 + column * 31) % 1009).to_string()).collect::<Vec<_>>().join(",");
    desk.put("wide.csv", format!("{}\n{}\n", names.join(","), (0..30).map(row).collect::<Vec<_>>().join("\n")));
    desk.ok(&["data", "profile", "wide.csv", "--html", "wide.html", "-q"]);
    let bytes = desk.bytes("wide.html").len();
    assert!((100_000..1_000_000).contains(&bytes), "{bytes}");
}

#[test]
fn tables_go_from_format_to_format_and_back() {
    let desk = Desk::new();
    desk.put("a.csv", "id,share,ok,day,note\n1,0.5,true,2024-01-05,\"a, b\"\n2,3,false,2024-02-01,it's\n3,,true,,x\n");
    let ran = desk.ok(&["data", "convert", "a.csv", "a.parquet"]);
    expect![[r#"
        wrote a.parquet: 3 rows, 5 columns (csv to parquet)
          id: whole number
          share: number
          ok: flag
          day: date
          note: text
    "#]]
    .assert_eq(&(ran.stdout + &ran.stderr));
    for ending in ["arrow", "jsonl", "arff", "tsv"] {
        desk.ok(&["data", "convert", "a.parquet", &format!("b.{ending}")]);
        desk.ok(&["data", "convert", &format!("b.{ending}"), "back.csv", "--force"]);
        // ARFF has one format for all dates of a column, and that has a time.
        assert_eq!(desk.text("back.csv").replace("T00:00:00", ""), desk.text("a.csv"), "{ending}");
    }
    desk.ok(&["data", "convert", "a.csv", "sql.csv", "sql=select id, share from data where share > 1"]);
    assert_eq!(desk.text("sql.csv"), "id,share\n2,3\n");
    desk.put("b.csv", desk.bytes("a.csv"));
    assert!(told(&desk.ok(&["--json", "data", "convert", "a.csv", "b.csv", "both.csv"]).stdout)["rows"] == 6);
}

/// `split` writes the rows that `train` learns from with the same recipe.
#[test]
fn a_split_is_that_of_a_training() {
    let desk = Desk::new();
    desk.put("good.csv", good(200));
    let ran = desk.ok(&["data", "split", "good.csv", "target=c", "ignore=y", "-o", "parts", "--sides", "sides.csv"]);
    expect![[r#"
        split by stratified: each class of c keeps its share on every side
        side   rows   share  file
        train   160  80.0 %  parts/good.train.csv
        valid    20  10.0 %  parts/good.valid.csv
        test     20  10.0 %  parts/good.test.csv

        c     train   valid    test
        no   53.8 %  55.0 %  55.0 %
        yes  46.2 %  45.0 %  45.0 %
    "#]]
    .assert_eq(&ran.stdout);
    assert_eq!(desk.names("parts"), ["good.test.csv", "good.train.csv", "good.valid.csv"]);
    let mut rows: Vec<String> = vec![];
    for side in ["train", "valid", "test"] {
        rows.extend(desk.text(&format!("parts/good.{side}.csv")).lines().skip(1).map(str::to_owned));
    }
    let mut whole: Vec<String> = desk.text("good.csv").lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    whole.sort();
    assert_eq!(rows, whole);
    desk.ok(&["train", "good.csv", "target=c", "model=tree", "ignore=y", "name=one", "-q"]);
    desk.ok(&["data", "convert", "runs/0001-one/data/sides.parquet", "trained.csv"]);
    assert_eq!(desk.text("trained.csv"), desk.text("sides.csv"));
    let plain =
        told(&desk.ok(&["--json", "data", "split", "good.csv", "data.split.ratio=[0.5,0.5]", "-o", "plain", "--format", "parquet"]).stdout);
    assert_eq!((plain["by"].as_str(), plain["files"].as_array().map(Vec::len)), (Some("random"), Some(2)));
}

#[test]
fn leaks_are_told_and_fail() {
    let desk = Desk::new();
    desk.put("good.csv", good(300));
    let clean = desk.ok(&["data", "leaks", "good.csv", "target=c", "ignore=y"]);
    expect![[r#"
        no leak found: 11 checks on 240 training, 30 validation and 30 test rows (split by stratified)
    "#]]
    .assert_eq(&clean.stdout);
    let leaky = good(300)
        .lines()
        .map(|line| format!("{line},{}\n", line.split(',').nth(2).unwrap().replace("yes", "1").replace("no", "0")))
        .collect::<String>();
    desk.put("leaky.csv", leaky.replacen(",c\n", ",copy\n", 1));
    let ran = desk.run(&["data", "leaks", "leaky.csv", "target=c", "ignore=y"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    expect![[r#"
        leak  target_copy: column copy is the target c under another name: it tells it in every row, one value for one value (for example leaky.csv:3, leaky.csv:4, leaky.csv:5): leave it out (ignore=copy)
        1 certain, 0 to look at: 11 checks on 240 training, 30 validation and 30 test rows (split by stratified)
    "#]].assert_eq(&ran.stdout);
    let json = told(&desk.run(&["--json", "data", "leaks", "leaky.csv", "target=c", "ignore=y"]).stdout);
    assert_eq!((json["certain"].as_bool(), json["findings"][0]["check"].as_str()), (Some(true), Some("target_copy")));
}

#[test]
fn duplicates_are_named_and_fail_across_sides() {
    let desk = Desk::new();
    let mut table = good(200);
    let again = table.lines().nth(7).unwrap().to_owned();
    desk.put("train.csv", &table);
    table += &format!("{again}\n");
    desk.put("both.csv", &table);
    let ran = desk.ok(&["data", "dup", "both.csv"]);
    expect![[r#"
        201 rows: 1 repeat an earlier one (in 1 groups), 0 pairs nearly equal (at least 80 % of what they hold in common)
          equal   both.csv:8, both.csv:202
    "#]]
    .assert_eq(&ran.stdout);
    desk.put("test.csv", format!("a,b,c,y\n{again}\n0.1,0.2,yes,7.5\n"));
    let ran = desk.run(&["data", "dup", "train.csv", "test=test.csv"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    expect![[r#"
        202 rows: 1 repeat an earlier one (in 1 groups), 0 pairs nearly equal (at least 80 % of what they hold in common)
        across sides: 1 group of equal rows, 0 pairs nearly equal
          equal   across  train.csv:8 (train), test.csv:2 (test)
    "#]]
    .assert_eq(&ran.stdout);
    assert_eq!(desk.run(&["data", "dup", "train.csv", "data.split.by=random"]).code, Some(0));
}

#[test]
fn a_lock_holds_until_a_file_changes() {
    let desk = Desk::new();
    fs::create_dir(desk.path("tables")).unwrap();
    desk.put("tables/a.csv", "x\n1\n");
    desk.put("tables/b.csv", "x\n2\n");
    let ran = desk.ok(&["data", "lock", "tables"]);
    expect![[r#"
        wrote data.lock: 2 files, 8 bytes, root 350fae761754efb7
    "#]]
    .assert_eq(&ran.stdout);
    expect![[r#"
        unchanged: 2 files (0 read), root 350fae761754efb7
    "#]]
    .assert_eq(&desk.ok(&["data", "lock", "--check"]).stdout);
    desk.put("tables/a.csv", "x\n9\n");
    desk.put("tables/c.csv", "x\n");
    fs::remove_file(desk.path("tables/b.csv")).unwrap();
    let ran = desk.run(&["data", "lock", "--check", "--full"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    expect![[r#"
        changed  tables/a.csv
        added    tables/c.csv
        removed  tables/b.csv
        1 changed, 1 added, 1 removed of 2 files (1 read)
    "#]]
    .assert_eq(&ran.stdout);
}

#[test]
fn versions_of_a_table_are_compared() {
    let desk = Desk::new();
    let of = |shift: f64, from: usize| {
        let row = |row: usize| format!("{row},{:.3},{}\n", (row * 37 % 101) as f64 + shift, ["a", "b"][row % 2]);
        format!("id,x,kind\n{}", (from..400).map(row).collect::<String>())
    };
    desk.put("old.csv", of(0.0, 0));
    desk.put("new.csv", of(40.0, 2).replace("\n7,", "\n700,"));
    let ran = desk.run(&["data", "diff", "old.csv", "new.csv", "key=id", "listed=2"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    expect![[r#"
        old.csv: 400 rows
        new.csv: 398 rows
        rows by id: 1 added, 3 removed, 397 changed, 0 the same
          2 x: "74" became "114" (new.csv:2)
          3 x: "10" became "50" (new.csv:3)
          added   new.csv:7
          removed old.csv:2
          removed old.csv:3

        column  changed  missing before  after  distribution
        x           397           0.0 %  0.0 %  ks 0.400      moved
    "#]]
    .assert_eq(&ran.stdout);
    desk.ok(&["data", "convert", "old.csv", "old.parquet"]);
    assert_eq!(desk.ok(&["data", "diff", "old.csv", "old.parquet"]).stdout, "equal: 400 rows\n");
}

#[test]
fn wrong_labels_are_ranked() {
    let desk = Desk::new();
    // Two clear clouds, five rows of which have the other's label.
    let row = |row: usize| {
        let class = row % 2;
        let label = if [10, 33, 56, 99, 140].contains(&row) { 1 - class } else { class };
        format!("{},{},{}\n", class * 10 + row % 7, class * 8 + row * 13 % 5, ["left", "right"][label])
    };
    desk.put("noisy.csv", format!("x,z,side\n{}", (0..200).map(row).collect::<String>()));
    let ran = desk.ok(&["data", "noise", "noisy.csv", "target=side", "model=logistic", "-o", "suspects.csv", "-q"]);
    expect![[r#"
        5 of 200 labels of side (2.5 %) are likely wrong, judged by logistic in 5 folds

        row            given  suggested  self-confidence  normalized margin
        noisy.csv:142  right  left                 0.004              0.004
        noisy.csv:35   left   right                0.008              0.008
        noisy.csv:58   right  left                 0.013              0.013
        noisy.csv:12   right  left                 0.017              0.017
        noisy.csv:101  left   right                0.059              0.059

        given, likely  left  right
        left             96      3
        right             4     97
    "#]]
    .assert_eq(&ran.stdout);
    assert_eq!(desk.text("suspects.csv").lines().count(), 6);
    assert!(desk.text("suspects.csv").starts_with("row,place,given,suggested,self_confidence,normalized_margin,is_suspect\n"));
}

#[test]
fn what_is_wrong_is_said() {
    let desk = Desk::new();
    desk.put("good.csv", good(50));
    desk.put("there.csv", "x\n1\n");
    desk.refuses(
        &[
            "data profile none.csv",
            "data profile good.csv sensitive=d",
            "data convert good.csv",
            "data convert good.csv good.xlsx",
            "data convert good.csv there.csv",
            "data split good.csv data.split.by=group",
            "data leaks good.csv",
            "data dup good.csv threshold=2",
            "data lock",
            "data lock --check",
            "data lock none",
            "data diff good.csv",
            "data diff good.csv good.csv key=id",
            "data noise good.csv target=y",
            "data noise good.csv target=c filter_by=most",
        ],
        expect![[r#"
            $ data profile none.csv
            error: failed to profile the table: none.csv: found no such file, wanted a file
            = 3
            $ data profile good.csv sensitive=d
            error: failed to profile the table: setting sensitive: found d, which is not there, wanted a column of the table
            hint: did you mean a?
            = 2
            $ data convert good.csv
            error: command line: found one path, wanted the table and where to write it
            hint: cupola data convert data.csv data.parquet
            = 2
            $ data convert good.csv good.xlsx
            error: failed to read the command line: setting out: found good.xlsx, wanted a file that ends in .csv, .tsv, .jsonl, .parquet, .arrow or .arff
            = 2
            $ data convert good.csv there.csv
            error: command line: there.csv is there already
            hint: write it elsewhere, or replace it with --force
            = 2
            $ data split good.csv data.split.by=group
            error: failed to split the table: setting data.split.key: found nothing, wanted the name of a column to split by group
            hint: write data.split.key=COLUMN
            = 2
            $ data leaks good.csv
            error: failed to look for leaks: command line: no target; the columns are a, b, c, y
            hint: say what to predict: target=y
            = 2
            $ data dup good.csv threshold=2
            error: failed to read the command line: setting dup.threshold: found 2, wanted a number in 0.05..1
            hint: the default is 0.8
            = 2
            $ data lock
            error: command line: found no path, wanted files or folders to lock
            hint: cupola data lock data/, or --check to hold what was locked against the disk
            = 2
            $ data lock --check
            error: failed to read the lock: data.lock: No such file or directory (os error 2)
            hint: `cupola data lock PATH..` writes it
            = 3
            $ data lock none
            error: failed to read the files: none: No such file or directory (os error 2)
            = 3
            $ data diff good.csv
            error: command line: found 1 tables, wanted two
            hint: cupola data diff old.csv new.csv key=id; several files as one table: "part-*.csv"
            = 2
            $ data diff good.csv good.csv key=id
            error: failed to compare the tables: setting key: found id, which is not in both tables, wanted a column of both
            hint: good.csv and good.csv have in common: a, b, c, y
            = 2
            $ data noise good.csv target=y
            error: failed to judge the labels: labels are judged by their class, and y holds numbers
            hint: if they are classes, say outputs.NAME.type=category
            = 3
            $ data noise good.csv target=c filter_by=most
            error: failed to read the command line: setting noise.filter_by: found "most", wanted prune_by_noise_rate|prune_by_class|both|confident_learning|predicted_neq_given
            hint: the default is "prune_by_noise_rate"
            = 2
        "#]],
    );
}

#[test]
fn shipped_tables_have_profiles() {
    let desk = Desk::new();
    for (name, target) in [("penguins.csv", "species"), ("weather.csv", ""), ("gapminder.jsonl.gz", ""), ("reviews.tsv.gz", "")] {
        let target = format!("target={target}");
        let told = told(&desk.ok(&["--json", "data", "profile", &shipped(name), &target, "--html", "page.html"]).stdout);
        assert!(told["rows"].as_u64() > Some(100) && desk.bytes("page.html").len() < 1_000_000, "{name}");
    }
}
