//! Rows in, rows out, whatever happens between.

use super::writer::REST;
use super::*;
use crate::Durability;
use arrow_array::{Float64Array, StringArray, TimestampMicrosecondArray};
use cupola_task::{Column, Columns, Field, Kind, Role, Schema, Task};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

const DAY: i64 = 86_400_000_000;

fn schema() -> Schema {
    let field = |name: &str, kind: Kind| Field { name: name.into(), kind, role: Role::Input };
    let classes: Arc<[Arc<str>]> = ["red".into()].into();
    Schema {
        fields: vec![
            field("age", Kind::Number),
            field("colour", Kind::Category { classes: classes.clone() }),
            field("day", Kind::Date),
            Field { name: "y".into(), kind: Kind::Category { classes }, role: Role::Target(Task::Classify) },
        ],
    }
}

fn inputs(ages: &[Option<f64>]) -> Columns {
    let texts: Vec<Option<String>> = ages.iter().map(|age| age.map(|age| format!("a \"{age}\"\n"))).collect();
    Columns::new(vec![
        ("age".into(), Column::Array(Arc::new(Float64Array::from(ages.to_vec())))),
        ("colour".into(), Column::Array(Arc::new(StringArray::from(texts)))),
        ("day".into(), Column::Array(Arc::new(TimestampMicrosecondArray::from(vec![Some(5); ages.len()])))),
    ])
}

fn outputs(rows: usize) -> Columns {
    Columns::new(vec![
        ("prediction".into(), Column::Array(Arc::new(StringArray::from(vec!["yes"; rows])))),
        ("probability_yes".into(), Column::Array(Arc::new(Float64Array::from(vec![0.1 + 0.2; rows])))),
    ])
}

fn encoder(hash: &str, redact: &[&str]) -> Encoder {
    let redact: Vec<String> = redact.iter().map(|&name| name.to_owned()).collect();
    Encoder::new("m", "3", hash, &schema(), &outputs(1), &redact)
}

fn answered(id: &str, at_us: i64) -> Answered<'_> {
    Answered { id, at_us, alias: "champion", latency_us: 123.4, key: Some("person") }
}

/// A clock that a test sets.
fn clock(at_us: i64) -> (Arc<AtomicI64>, Arc<dyn Fn() -> i64 + Send + Sync>) {
    let now = Arc::new(AtomicI64::new(at_us));
    let read = now.clone();
    (now, Arc::new(move || read.load(Ordering::Relaxed)))
}

fn options() -> LogOptions {
    LogOptions { to: LogTo::Own, ..LogOptions::default() }
}

/// Appends and waits until it is said whether the lines are kept.
fn append(logger: &Logger, lines: Lines) -> bool {
    let (tell, told) = channel();
    logger.append(lines, move |is_kept| tell.send(is_kept).unwrap());
    told.recv().unwrap()
}

fn all(folder: &Path) -> Vec<Logged> {
    read(folder, 0..i64::MAX, None).unwrap()
}

fn ids(folder: &Path) -> Vec<String> {
    let mut ids: Vec<String> =
        all(folder).iter().flat_map(|piece| piece.texts("id").into_iter().flatten().map(str::to_owned).collect::<Vec<_>>()).collect();
    ids.sort();
    ids
}

#[test]
fn rows_come_back_from_segments_and_tables() {
    for durability in [Durability::Process, Durability::Power] {
        let folder = tempfile::tempdir().unwrap();
        let (_, now) = clock(DAY * 20_000 + 7);
        let logger = Logger::open(folder.path(), &LogOptions { durability, ..options() }, now).unwrap();
        let (one, other) = (encoder("aaaaaaaaaaaaaaaa", &[]), encoder("bbbbbbbbbbbbbbbb", &["colour"]));
        assert!(append(&logger, one.lines(&answered("r1", DAY * 20_000 + 7), &inputs(&[Some(39.5)]), &outputs(1))));
        assert!(append(&logger, other.lines(&answered("r2", DAY * 20_000 + 8), &inputs(&[None, Some(1.0)]), &outputs(2))));
        assert_eq!(ids(folder.path()), ["r1", "r2-1", "r2-2"]);
        let counts = logger.counts();
        assert_eq!((counts.rows, counts.dropped, counts.failed, counts.waiting), (3, 0, 0, 0));
        let before = all(folder.path());
        drop(logger);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "segments have become tables");
        assert!(folder.path().join("date=2024-10-04").is_dir());
        let after = all(folder.path());
        assert_eq!(ids(folder.path()), ["r1", "r2-1", "r2-2"]);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((&before.hash, before.times()), (&after.hash, after.times()));
            for (name, column) in before.columns.iter() {
                assert_eq!(column.array(), after.columns.get(name).unwrap().array(), "{name}");
            }
        }
        let found = read(folder.path(), DAY * 20_000 + 8..i64::MAX, Some("bbbbbbbbbbbbbbbb")).unwrap();
        assert_eq!((found.len(), found[0].texts("input.colour")), (1, vec![None, None]));
        assert_eq!(found[0].inputs().names().collect::<Vec<_>>(), ["age", "colour", "day"]);
        assert_eq!(found[0].texts("output.prediction"), [Some("yes"), Some("yes")]);
        assert!(found[0].columns.get("output.probability_yes").is_some());
        assert_eq!(found[0].texts("key"), [Some("person"), Some("person")]);
    }
}

#[test]
fn what_a_crash_cut_short_is_left_out_and_the_rest_becomes_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = encoder("aaaaaaaaaaaaaaaa", &[]);
    let lines = encoder.lines(&answered("r1", 5), &inputs(&[Some(1.0)]), &outputs(1));
    let text = [lines.head.as_bytes(), &lines.bytes, &lines.bytes[..lines.bytes.len() / 2]].concat();
    std::fs::write(folder.path().join("open-000004-aaaaaaaaaaaa.jsonl"), &text).unwrap();
    std::fs::write(folder.path().join("open-000005-aaaaaaaaaaaa.jsonl"), &lines.head.as_bytes()[..9]).unwrap();
    assert_eq!(ids(folder.path()), ["r1"]);
    drop(Logger::open(folder.path(), &options(), clock(6).1).unwrap());
    assert_eq!(ids(folder.path()), ["r1"]);
    assert!(folder.path().join("date=1970-01-01/part-000004-aaaaaaaaaaaa.parquet").is_file());
    // A crash between the table and the end of its segment: the row stands there once.
    std::fs::write(folder.path().join("open-000004-aaaaaaaaaaaa.jsonl"), &text).unwrap();
    assert_eq!(ids(folder.path()), ["r1"]);
    drop(Logger::open(folder.path(), &options(), clock(6).1).unwrap());
    assert_eq!(ids(folder.path()), ["r1"]);
}

#[test]
fn a_log_that_cannot_keep_up_says_so_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let logger = Logger::open(folder.path(), &LogOptions { buffer_bytes: 10, ..options() }, clock(5).1).unwrap();
    assert!(!append(&logger, encoder("aaaaaaaaaaaaaaaa", &[]).lines(&answered("r1", 5), &inputs(&[None]), &outputs(1))));
    assert_eq!(logger.counts().dropped, 1);
    // A folder that is gone is a failure that is told, and over when the folder is back.
    let logger = Logger::open(folder.path(), &options(), clock(5).1).unwrap();
    std::fs::remove_dir_all(folder.path()).unwrap();
    let lines = encoder("aaaaaaaaaaaaaaaa", &[]).lines(&answered("r1", 5), &inputs(&[None]), &outputs(1));
    assert!(!append(&logger, lines.clone()));
    assert!(logger.fault().unwrap().contains("open segment") && logger.counts().failed == 1);
    std::fs::create_dir_all(folder.path()).unwrap();
    // It rests, and then tries again.
    std::thread::sleep(2 * REST);
    assert!(append(&logger, lines) && logger.fault().is_none());
}

#[test]
fn segments_end_at_midnight_and_not_when_the_clock_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (now, read) = clock(DAY * 3 - 1);
    let logger = Logger::open(folder.path(), &options(), read).unwrap();
    let encoder = encoder("aaaaaaaaaaaaaaaa", &[]);
    let put = |id: &str| {
        let at = now.load(Ordering::Relaxed);
        assert!(append(&logger, encoder.lines(&answered(id, at), &inputs(&[None]), &outputs(1))));
    };
    put("a");
    now.store(DAY * 3 - 3_600_000_000, Ordering::Relaxed);
    put("b");
    now.store(DAY * 3 + 1, Ordering::Relaxed);
    put("c");
    put("d");
    drop(logger);
    let parts = |day: &str| std::fs::read_dir(folder.path().join(day)).map_or(0, Iterator::count);
    assert_eq!((parts("date=1970-01-03"), parts("date=1970-01-04")), (1, 1), "the clock that went back made no segment of its own");
    assert_eq!(ids(folder.path()), ["a", "b", "c", "d"]);
    let late = super::read(folder.path(), DAY * 3..i64::MAX, None).unwrap();
    assert_eq!(late.iter().map(|piece| piece.columns.rows()).sum::<usize>(), 2);
}

#[test]
fn days_and_columns_are_retained_as_long_as_was_said_and_a_person_can_be_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = encoder("aaaaaaaaaaaaaaaa", &[]);
    for (day, key) in [(1, "ann"), (5, "bob"), (9, "ann")] {
        let logger = Logger::open(folder.path(), &options(), clock(DAY * day).1).unwrap();
        let id = format!("r{day}");
        let of = Answered { key: Some(key), ..answered(&id, DAY * day) };
        assert!(append(&logger, encoder.lines(&of, &inputs(&[Some(1.0), Some(day as f64)]), &outputs(2))));
    }
    let retain = [("age".to_owned(), 3)].into();
    drop(Logger::open(folder.path(), &LogOptions { retain_days: 6, retain, ..options() }, clock(DAY * 9).1).unwrap());
    assert_eq!(ids(folder.path()), ["r5-1", "r5-2", "r9-1", "r9-2"]);
    let all = all(folder.path());
    let ages = |piece: &Logged| piece.inputs().array("age").unwrap().null_count();
    assert_eq!((ages(&all[0]), ages(&all[1])), (2, 0));
    assert_eq!(forget(folder.path(), "key", "ann").unwrap().ids, ["r9-1", "r9-2"]);
    assert_eq!(forget(folder.path(), "age", "9").unwrap(), Forgotten::default());
    assert_eq!(ids(folder.path()), ["r5-1", "r5-2"]);
    assert_eq!(forget(folder.path(), "id", "r5-2").unwrap().ids, ["r5-2"]);
    assert_eq!(ids(folder.path()), ["r5-1"]);
}

#[test]
fn a_share_of_requests_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let logger =
        Logger::open(folder.path(), &LogOptions { sample: 0.25, wait: Duration::from_millis(1), ..options() }, clock(5).1).unwrap();
    let kept = (0..10_000).filter(|number| logger.samples(&format!("r{number}"))).count();
    assert!((2_300..2_700).contains(&kept), "{kept}");
}
