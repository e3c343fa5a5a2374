//! Planted leaks are found, each by its check; tables that only look suspicious are not stopped.

use super::{Finding, Severity, check};
use crate::cells::tests::{classes, dates, numbers, table, texts};
use cupola_task::{Column, Dataset, Draw, Images, Key, Kind, Role, Side, Table, Task};
use expect_test::expect;
use std::sync::Arc;

const ROWS: usize = 400;

type Planted<'a> = Vec<(&'a str, Role, (Kind, Column))>;

fn noise(stream: &str) -> Vec<f64> {
    let draw = Draw::new(1).stream(stream);
    (0..ROWS as u64).map(|row| draw.normal(row)).collect()
}

/// Yes or no, leaning on `a` and on chance.
fn words() -> Vec<&'static str> {
    noise("a").iter().zip(noise("y")).map(|(a, noise)| if a + noise > 0.0 { "yes" } else { "no" }).collect()
}

/// Inputs `a`, `b` and `job`, what is planted, and a target of classes.
fn classified(planted: Planted<'_>) -> Table {
    with_target(planted, classes(words()), Task::Classify)
}

/// The same with a number to regress.
fn regressed(planted: Planted<'_>) -> Table {
    with_target(planted, numbers(amounts()), Task::Regress)
}

fn amounts() -> Vec<f64> {
    noise("a").iter().zip(noise("y")).map(|(a, noise)| 3.0 * a + noise).collect()
}

fn with_target(planted: Planted<'_>, target: (Kind, Column), task: Task) -> Table {
    let jobs = noise("job").into_iter().map(|job| ["smith", "baker", "clerk"][(job.abs() * 2.0) as usize % 3]);
    let mut columns: Planted<'_> = vec![
        ("a", Role::Input, numbers(noise("a"))),
        ("b", Role::Input, numbers(noise("b").into_iter().map(|b| (b * 10.0).round()))),
        ("job", Role::Input, classes(jobs)),
    ];
    columns.extend(planted);
    columns.push(("y", Role::Target(task), target));
    table(columns)
}

fn shuffled() -> Vec<Side> {
    let mut sides = vec![Side::Train; ROWS];
    let order = Draw::new(2).stream("split").permutation(ROWS as u64);
    order.iter().take(80).enumerate().for_each(|(place, &row)| sides[row as usize] = if place < 40 { Side::Test } else { Side::Valid });
    sides
}

fn found(table: &Table) -> Vec<Finding> {
    check(table, &shuffled(), None).unwrap()
}

/// Severity, check, column and, for the eye, the sentence of each finding.
fn told(findings: &[Finding]) -> String {
    let tell = |finding: &Finding| {
        let column = finding.column.as_deref().unwrap_or("-");
        format!("{:?} {} {column} {}: {}; {}\n", finding.severity, finding.check, finding.rows.len(), finding.sentence, finding.remedy)
    };
    findings.iter().map(tell).collect()
}

#[test]
fn planted_leaks_are_found() {
    let input = |column| vec![("leak", Role::Input, column)];
    let rows = || 0..ROWS;
    let coded = |flip: usize| {
        numbers(words().into_iter().zip(rows()).map(move |(y, row)| f64::from(u8::from((y == "yes") != (row % 350 == flip)))))
    };
    let sorted = |id: (Kind, Column)| {
        let target = rows().zip(noise("y")).map(|(row, noise)| if row as f64 + 80.0 * noise > 200.0 { "yes" } else { "no" });
        with_target(input(id), classes(target), Task::Classify)
    };
    let tables = [
        ("copy in other words", classified(input(classes(words().into_iter().map(|y| if y == "yes" { "1" } else { "2" }))))),
        ("copy as a text", classified(input(texts(words())))),
        ("copy with an error", classified(input(coded(3)))),
        ("copy of a number", regressed(input(numbers(amounts())))),
        ("number in another unit", regressed(input(numbers(amounts().into_iter().zip(noise("z")).map(|(y, z)| 7.0 - 2.5 * y + 0.01 * z))))),
        ("number on another scale", regressed(input(numbers(amounts().into_iter().map(f64::exp))))),
        ("counter", sorted(numbers(rows().map(|row| row as f64)))),
        ("counter with gaps as text", sorted(classes(rows().map(|row| format!("P-{:05}x", row * 3 + 7))))),
        ("groups", classified(vec![("person", Role::Key(Key::Group), classes(rows().map(|row| format!("p{}", row % 200))))])),
        (
            "strong feature",
            classified(input(numbers(words().into_iter().zip(noise("z")).map(|(y, z)| z + if y == "yes" { 4.0 } else { 0.0 })))),
        ),
        ("sorted file", sorted(numbers(noise("z")))),
    ];
    let all: String = tables.iter().map(|(name, table)| format!("{name}\n{}", told(&found(table)))).collect();
    expect![[r#"
        copy in other words
        Stop target_copy leak 10: column leak is the target y under another name: it tells it in every row, one value for one value; leave it out (ignore=leak)
        copy as a text
        Stop target_copy leak 10: column leak is the target y under another name: it tells it in every row, one value for one value; leave it out (ignore=leak)
        copy with an error
        Stop target_copy leak 10: column leak is the target y under another name: it agrees with it in 99.69 % of the training rows; leave it out (ignore=leak)
        copy of a number
        Stop target_copy leak 10: column leak is the target y under another name: it follows it (correlation 1.00000); leave it out (ignore=leak)
        number in another unit
        Stop target_copy leak 10: column leak is the target y under another name: it follows it (correlation 1.00000); leave it out (ignore=leak)
        number on another scale
        Stop target_copy leak 10: column leak is the target y under another name: it follows it (rank correlation 1.00000); leave it out (ignore=leak)
        counter
        Stop id_order leak 10: column leak numbers the rows, and their order tells 52 % of the target y: a model would learn the file and not the world; leave it out (ignore=leak)
        Warn row_order - 0: the order of rows in the file tells 52 % of the target y; nothing, as long as the split shuffles (data.split.by=stratified or random); a sorted file must not be cut in two
        counter with gaps as text
        Stop id_order leak 10: column leak numbers the rows, and their order tells 52 % of the target y: a model would learn the file and not the world; leave it out (ignore=leak)
        Warn row_order - 0: the order of rows in the file tells 52 % of the target y; nothing, as long as the split shuffles (data.split.by=stratified or random); a sorted file must not be cut in two
        groups
        Stop group_overlap person 10: 34 groups of column person are in training and in 34 test rows; split by group (data.split.by=group)
        Stop group_overlap person 10: 28 groups of column person are in training and in 28 validation rows; split by group (data.split.by=group)
        strong feature
        Warn single_feature leak 0: column leak alone predicts the target y with AUC 0.997; make sure that it is known before the target is; if not, leave it out (ignore=leak)
        sorted file
        Warn row_order - 0: the order of rows in the file tells 52 % of the target y; nothing, as long as the split shuffles (data.split.by=stratified or random); a sorted file must not be cut in two
    "#]].assert_eq(&all);
}

#[test]
fn honest_tables_pass() {
    let input = |column| vec![("c", Role::Input, column)];
    let seldom = (0..ROWS).map(|row| if row % 199 == 7 { "yes" } else { "no" });
    let years = || numbers((0..ROWS).map(|row| 1600.0 + row as f64));
    for (name, table) in [
        ("plain", classified(vec![])),
        ("regression", regressed(vec![])),
        ("constant column and rare class", with_target(input(numbers(vec![1.0; ROWS])), classes(seldom), Task::Classify)),
        ("identifier without order", classified(input(classes((0..ROWS).map(|row| format!("{}", row * 7919 % 400)))))),
        ("counter that tells nothing", classified(input(numbers((0..ROWS).map(|row| row as f64))))),
        ("missing cells", classified(input(numbers(vec![f64::NAN; ROWS])))),
    ] {
        assert_eq!(told(&found(&table)), "", "{name}");
    }
    let trend = with_target(input(years()), numbers((0..ROWS).zip(noise("y")).map(|(row, y)| row as f64 + 60.0 * y)), Task::Regress);
    assert!(found(&trend).iter().all(|finding| finding.severity == Severity::Warn), "years of a series are no identifier");
}

#[test]
fn tiny_tables_are_looked_at_without_fail() {
    for rows in 0..6usize {
        let target = || classes((0..rows).map(|row| ["a", "b"][row % 2]));
        let table = table(vec![("x", Role::Input, target()), ("y", Role::Target(Task::Classify), target())]);
        for side in [Side::Train, Side::Test, Side::Out] {
            let findings = check(&table, &vec![side; rows], None).unwrap();
            assert!(findings.iter().all(|finding| finding.severity == Severity::Warn), "chance does that");
        }
    }
}

#[test]
fn repeated_rows_are_judged_by_what_chance_gives() {
    let rich = classified(vec![]);
    let sides = shuffled();
    let train: Vec<u64> = (0..ROWS as u64).filter(|&row| sides[row as usize] == Side::Train).collect();
    let of = |rows: &[u64]| Table::new(rich.schema().clone(), rich.columns().take(rows)).unwrap();
    // Every third cell rounded to a few values: rows repeat by nature.
    let coarse = |column: &str| numbers(noise(column).into_iter().map(|x| x.signum()));
    let poor = table(vec![
        ("a", Role::Input, coarse("a")),
        ("b", Role::Input, coarse("b")),
        ("y", Role::Target(Task::Classify), classes(words())),
    ]);
    let mut planted: Vec<u64> = (0..ROWS as u64).collect();
    let tests = (0..ROWS).filter(|&row| sides[row] == Side::Test);
    tests.zip(&train).take(12).for_each(|(row, &taught)| planted[row] = taught);
    let twice: Vec<u64> = (0..ROWS as u64).map(|row| row / 2).collect();
    let foreign: Vec<u64> = (0..ROWS as u64).filter(|&row| sides[row as usize] != Side::Train).collect();
    let judged = [
        ("a few test rows copied from training", check(&of(&planted), &sides, None)),
        ("a test file cut from the training file", check(&rich, &sides, Some(&of(&train[5..60])))),
        ("a test file with one training row", check(&of(&train), &[Side::Train; 320], Some(&of(&[&foreign[..], &train[..1]].concat())))),
        ("a file written twice", check(&of(&twice), &sides, None)),
        ("coarse columns", check(&poor, &sides, None)),
    ];
    let all: String = judged.into_iter().map(|(name, findings)| format!("{name}\n{}", told(&findings.unwrap()))).collect();
    expect![[r#"
        a few test rows copied from training
        Stop duplicates - 10: 12 of 40 test rows have the inputs of a training row; none of 320 training rows repeats another; leave repeated rows out (data.clean.duplicates=drop)
        a test file cut from the training file
        Stop duplicates - 10: 55 of 95 rows of the test file have the inputs of a training row; none of 320 training rows repeats another; leave repeated rows out (data.clean.duplicates=drop)
        a test file with one training row
        Warn duplicates - 1: 1 of 81 rows of the test file has the inputs of a training row; none of 320 training rows repeats another; leave repeated rows out (data.clean.duplicates=drop)
        a file written twice
        Stop duplicates - 10: 31 of 40 test rows have the inputs of a training row; 254 of 320 training rows repeat each other; leave repeated rows out (data.clean.duplicates=drop)
        Stop duplicates - 10: 35 of 40 validation rows have the inputs of a training row; 254 of 320 training rows repeat each other; leave repeated rows out (data.clean.duplicates=drop)
        coarse columns
        Warn duplicates - 10: 40 of 40 test rows have the inputs of a training row; 320 of 320 training rows repeat each other; leave repeated rows out (data.clean.duplicates=drop)
        Warn duplicates - 10: 40 of 40 validation rows have the inputs of a training row; 320 of 320 training rows repeat each other; leave repeated rows out (data.clean.duplicates=drop)
    "#]].assert_eq(&all);
}

/// Two thousand rows of continuous columns, two hundred of them written a second time, shuffled and cut: one side in seven repeats training rows.
#[test]
fn rows_copied_before_the_cut_stop() {
    for seed in 0..8 {
        let draw = Draw::new(seed);
        let column = |name: &str| {
            let draw = draw.stream(name);
            numbers((0..2000).map(move |row| draw.normal(row)))
        };
        let once = table(vec![
            ("a", Role::Input, column("a")),
            ("b", Role::Input, column("b")),
            ("c", Role::Input, column("c")),
            ("y", Role::Target(Task::Regress), column("y")),
        ]);
        let rows: Vec<u64> = draw.stream("order").permutation(2200).into_iter().map(|row| row % 2000).collect();
        let copied = Table::new(once.schema().clone(), once.columns().take(&rows)).unwrap();
        let sides: Vec<Side> = (0..2200).map(|row| [Side::Train, Side::Test, Side::Valid][(row % 10usize).saturating_sub(7)]).collect();
        let findings = check(&copied, &sides, None).unwrap();
        assert!(findings.iter().any(|finding| finding.severity == Severity::Stop), "seed {seed}: {}", told(&findings));
    }
}

#[test]
fn a_test_file_may_lack_targets_but_not_change_types() {
    let table = classified(vec![]);
    let bare = |columns: &[&str]| {
        let fields = table.schema().fields.iter().filter(|field| columns.contains(&&*field.name)).cloned().collect();
        Table::new(cupola_task::Schema { fields }, table.columns().select(|name| columns.contains(&name)).take(&[0, 1])).unwrap()
    };
    assert!(check(&table, &shuffled(), Some(&bare(&["a", "b", "job"]))).is_ok());
    let other = crate::cells::tests::table(vec![("a", Role::Input, classes(["x"]))]);
    let error = check(&table, &shuffled(), Some(&other)).unwrap_err();
    assert!(error.to_string().starts_with("column a: found another type in the test file"), "{error}");
    let names: Arc<[&str]> = super::LEAKS.iter().map(|leak| leak.name).collect();
    assert_eq!(names.len(), 11);
}

/// A text that names the class, a column that is filled in for one class only, dates behind the row's time, rows changed in one cell.
#[test]
fn what_is_known_only_afterwards_is_found() {
    let draw = Draw::new(9);
    let note = |row: usize, word: &str| {
        let words = ["fine", "day", "call", "letter", "visit", "long", "short", "late"];
        let text: Vec<&str> = (0..6).map(|at| words[draw.at(row as u64).below(at, 8) as usize]).collect();
        format!("{} {word} {} {row}", text[..3].join(" "), text[3..].join(" "))
    };
    let rows = || words().into_iter().enumerate();
    let input = |column| vec![("leak", Role::Input, column)];
    let marked = texts(rows().map(|(row, y)| note(row, if y == "yes" { "CANCELLED." } else { "kept" })));
    let named = texts(rows().map(|(row, y)| note(row, if row % 3 == 0 { y } else { "-" })));
    let clean = texts(rows().map(|(row, _)| note(row, "said")));
    let filled = numbers(rows().map(|(row, y)| if y == "yes" { row as f64 * 1.5 } else { f64::NAN }));
    let day = |row: usize| row as i64 * 86_400_000_000;
    let late = vec![
        ("when", Role::Key(Key::Time), dates(rows().map(|(row, _)| Some(day(row))))),
        ("leak", Role::Input, dates(rows().map(|(row, _)| Some(day(row) + if row % 4 == 0 { 5 } else { -5 })))),
    ];
    let spelled = texts(amounts().iter().enumerate().map(|(row, amount)| note(row, &format!("paid {amount}"))));
    let tables = [
        classified(input(marked)),
        classified(input(named)),
        classified(input(clean)),
        classified(input(filled)),
        classified(late),
        regressed(input(spelled)),
    ];
    let stops = |check: &'static str| vec![(check, Severity::Stop)];
    let warns = |check: &'static str| vec![(check, Severity::Warn)];
    let wanted =
        [stops("target_in_text"), warns("target_in_text"), vec![], stops("after_event"), warns("after_event"), stops("target_in_text")];
    for (table, wanted) in tables.iter().zip(wanted) {
        let findings = found(table);
        let short: Vec<(&str, Severity)> = findings.iter().map(|finding| (finding.check.as_str(), finding.severity)).collect();
        assert_eq!(short, wanted, "{}", told(&findings));
        assert!(findings.iter().all(|finding| finding.column.as_deref() == Some("leak")), "{}", told(&findings));
    }
}

#[test]
fn rows_changed_in_one_cell_are_found_across_sides() {
    let columns = |copied: bool| {
        let value = |stream: usize, row: usize| {
            let own = noise(&format!("x{stream}"));
            // The second half of the test rows are training rows but for one column.
            own[if copied && (360..400).contains(&row) && stream != row % 12 { row - 300 } else { row }]
        };
        let column = |stream: usize| numbers((0..ROWS).map(|row| value(stream, row)).collect::<Vec<_>>());
        let names: Vec<String> = (0..12).map(|stream| format!("x{stream}")).collect();
        let columns: Vec<(Kind, Column)> = (0..12).map(column).collect();
        let mut planted: Planted<'_> =
            names.iter().map(String::as_str).zip(columns).map(|(name, column)| (name, Role::Input, column)).collect();
        planted.push(("y", Role::Target(Task::Classify), classes(words())));
        table(planted)
    };
    let sides: Vec<Side> = (0..ROWS).map(|row| if row < 320 { Side::Train } else { Side::Test }).collect();
    let findings = check(&columns(true), &sides, None).unwrap();
    let [finding] = findings.as_slice() else { panic!("{}", told(&findings)) };
    assert_eq!((finding.check.as_str(), finding.severity), ("near_duplicates", Severity::Stop));
    // Pairs that lie near the threshold may fall into no common band; 40 of 80 rows are copies.
    assert!((0.35..=0.5).contains(&finding.value) && finding.rows.iter().all(|row| *row >= 360), "{}", told(&findings));
    assert_eq!(check(&columns(false), &sides, None).unwrap(), []);
}

/// Parts of a total are told of together, and only they.
#[test]
fn columns_that_make_the_target_together_are_found() {
    let column = |name: &'static str, values: Vec<f64>| (name, Role::Input, numbers(values));
    let with =
        |other: &[f64], make: fn(f64, f64) -> f64| -> Vec<f64> { amounts().into_iter().zip(other).map(|(y, z)| make(y, *z)).collect() };
    let (z, u) = (noise("z"), noise("u"));
    let five = |y: &[f64]| -> Vec<Vec<f64>> {
        let shares = |row: usize, at: u64| 0.2 + 0.5 * Draw::new(9).at(row as u64).normal(at);
        let mut parts: Vec<Vec<f64>> = (0..4).map(|at| y.iter().enumerate().map(|(row, y)| y * shares(row, at)).collect()).collect();
        parts.push(y.iter().enumerate().map(|(row, y)| y - parts.iter().map(|part| part[row]).sum::<f64>()).collect());
        parts
    };
    let parts = five(&amounts());
    let names = ["p0", "p1", "p2", "p3", "p4"];
    let tables = [
        ("two parts", regressed(vec![column("one", with(&z, |y, z| 0.3 * y + z)), column("two", with(&z, |y, z| 0.7 * y - z))])),
        ("a difference, rounded", {
            let cents = |values: Vec<f64>| values.into_iter().map(|value| (value * 100.0).round() / 100.0).collect::<Vec<f64>>();
            regressed(vec![column("tax", cents(u.clone())), column("gross", cents(with(&u, |y, u| y + u)))])
        }),
        ("five parts", regressed(names.into_iter().zip(parts.clone()).map(|(name, part)| column(name, part)).collect())),
        ("four of five parts", regressed(names.into_iter().zip(parts).take(4).map(|(name, part)| column(name, part)).collect())),
        ("other weights", regressed(vec![column("one", with(&z, |y, z| 2.0 * y + z)), column("two", z.clone())])),
        ("a part that is missing in places", {
            let gaps = z.iter().enumerate().map(|(row, z)| if row % 9 == 2 { f64::NAN } else { *z }).collect();
            regressed(vec![column("one", with(&z, |y, z| y - z)), column("two", gaps)])
        }),
    ];
    let all: String = tables.iter().map(|(name, table)| format!("{name}\n{}", told(&found(table)))).collect();
    expect![[r#"
        two parts
        Stop target_sum - 0: the target y is one + two, but for a constant and rounding; leave out those that are known only with the target (ignore=[one,two])
        a difference, rounded
        Stop target_sum - 0: the target y is -tax + gross, but for a constant and rounding; leave out those that are known only with the target (ignore=[tax,gross])
        five parts
        Stop target_sum - 0: the target y is p0 + p1 + p2 + p3 + p4, but for a constant and rounding; leave out those that are known only with the target (ignore=[p0,p1,p2,p3,p4])
        four of five parts
        other weights
        Warn target_sum - 0: the target y follows 0.5000 one - 0.5000 two, a sum with these weights, in 100.00 % of its variance; leave out those that are known only with the target (ignore=[one,two])
        a part that is missing in places
    "#]].assert_eq(&all);
}

/// Pictures of 36 patches; some of them are others, darker.
fn patches(copies: std::ops::Range<usize>) -> (Kind, Column) {
    let picture = |row: usize| {
        let (of, shade) = if copies.contains(&row) { (row - copies.start, 0.9) } else { (row, 1.0) };
        let patch = move |at: usize| Draw::new(5).at(of as u64).normal((at / 24 / 4 * 6 + at % 24 / 4) as u64);
        (0..24 * 24).map(move |at| (shade * (128.0 + 30.0 * patch(at))) as u8)
    };
    let pixels: Vec<u8> = (0..ROWS).flat_map(picture).collect();
    (Kind::Image { channels: 1, size: Some([24, 24]) }, Column::Images(Images::packed(pixels, (0..ROWS).map(|_| [24, 24, 1]))))
}

#[test]
fn pictures_that_were_copied_to_another_side_are_found() {
    let sides: Vec<Side> = (0..ROWS).map(|row| if row < 300 { Side::Train } else { Side::Test }).collect();
    let told = |copies| {
        let table = table(vec![("picture", Role::Input, patches(copies)), ("y", Role::Target(Task::Classify), classes(words()))]);
        told(&check(&table, &sides, None).unwrap())
    };
    expect![[r#"
        none: 
        20 of 100: Stop near_pictures picture 10: pictures in 20 of 100 test rows look like a training picture; so are 0 of 300 training rows; `cupola data dup` lists them: leave them out, or keep their copies on one side (data.split.by=group)
    "#]].assert_eq(&format!("none: {}\n20 of 100: {}", told(0..0), told(340..360)));
}
