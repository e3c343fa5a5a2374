//! `data.max_memory`: the same model in less memory of the program's own.

use crate::desk::Desk;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Read;

const CEILING: u64 = 64 << 20;

/// A table that takes some five times the ceiling while a model learns from it.
fn table() -> String {
    let mut text = String::from("a,b,c,d,e,f,g,h,kind,y\n");
    for row in 0_u64..250_000 {
        let number = |place: u64| (row.wrapping_mul(2_654_435_761).wrapping_add(place * 40_503) % 100_003) as f64 / 1000.0;
        for place in 0..8 {
            let _ = write!(text, "{:.3},", number(place));
        }
        let kind = ["red", "green", "blue"][(row % 3) as usize];
        let _ = writeln!(text, "{kind},{}", if number(0) + number(3) > 100.0 { "yes" } else { "no" });
    }
    text
}

/// The model's hash and the most memory of its own that the process had.
fn train(desk: &Desk, more: &[&str]) -> (String, u64) {
    let words = ["train", "table.csv", "target=y", "model=gbdt", "model.n_estimators=5", "--json"];
    let mut child = desk.cupola(&[&words, more].concat()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let own = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let own: Option<u64> = own.and_then(|own| own.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(own.unwrap_or(0) * 1024);
        std::thread::yield_now();
    }
    let text = reader.join().unwrap().unwrap();
    let end: Value = serde_json::from_str(text.lines().last().expect("it says how it ended")).unwrap();
    (end["hash"].as_str().unwrap_or_else(|| panic!("{end}")).to_owned(), most)
}

#[test]
fn a_ceiling_is_kept_and_changes_no_byte() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let desk = Desk::new();
    desk.put("table.csv", table());
    if desk.shell("df --output=fstype . | grep -q tmpfs").code == Some(0) {
        // There the file would lie in memory, which is refused.
        return;
    }
    let (hash, most) = train(&desk, &[]);
    let (hash_below, most_below) = train(&desk, &["max_memory=64M"]);
    assert_eq!(hash, hash_below);
    assert!(most > 2 * CEILING && most_below < CEILING / 10 * 11, "{most} bytes without a ceiling, {most_below} below one of {CEILING}");
}

#[test]
fn a_ceiling_too_low_or_without_a_unit_that_is_known_is_refused() {
    let desk = Desk::new();
    desk.put("table.csv", "x,y\n1,2\n");
    for (word, found) in [("1M", "1M"), ("5 parsecs", "5 parsecs"), ("100", "100")] {
        let ran = desk.run(&["train", "table.csv", "target=y", &format!("max_memory={word}")]);
        assert!(ran.code == Some(2) && ran.stderr.contains(found) && ran.stderr.contains("at least 64M"), "{ran:?}");
    }
}
