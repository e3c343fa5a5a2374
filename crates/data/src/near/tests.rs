use super::*;
use crate::{Input, ReadOptions};
use cupola_task::{Draw, Settings, Side, Value};
use std::fmt::Write;

fn look(inputs: &[Input], sides: Option<&[Side]>, given: &[(&str, Value)]) -> Duplicates {
    let settings = Settings::check("dup", DUP, given.iter().map(|(name, value)| (*name, value))).unwrap();
    let rows = Rows { inputs, read: &ReadOptions::default(), ignore: &[], sides };
    duplicates(&rows, &settings, &mut |_, _| {}).unwrap()
}

fn input(text: String) -> Input {
    Input::Bytes { name: "a.csv".into(), bytes: text.into() }
}

/// Twelve columns of numbers: row 7 again with one cell changed, row 9 as it is, and many rows that agree on frequent names only.
fn table() -> String {
    let draw = Draw::new(3);
    let mut text = format!("kind,{}\n", (0..12).map(|at| format!("x{at}")).collect::<Vec<_>>().join(","));
    let row = |row: u64, changed: Option<u64>| {
        let cells = (0..12).map(|at| if changed == Some(at) { "9.5".into() } else { draw.at(row).normal(at).to_string() });
        format!("{},{}\n", ["a", "b"][(row % 2) as usize], cells.collect::<Vec<_>>().join(","))
    };
    (0..500).for_each(|at| text += &row(at, None));
    text += &row(7, Some(3));
    text += &row(9, None);
    text
}

#[test]
fn equal_and_nearly_equal_rows_are_found_with_their_places() {
    let found = look(&[input(table())], None, &[]);
    assert_eq!((found.rows, found.exact_groups, found.exact_rows, found.near_pairs), (502, 1, 1, 1));
    let places: Vec<&str> = found.groups[0].rows.iter().map(|spot| spot.place.as_str()).collect();
    assert_eq!(places, ["a.csv:11", "a.csv:503"]);
    let pair = &found.pairs[0];
    assert_eq!((pair.rows[0].place.as_str(), pair.rows[1].place.as_str()), ("a.csv:9", "a.csv:502"));
    assert!((0.8..0.9).contains(&pair.similarity) && !found.is_cut && found.recall > 0.95, "{pair:?}");
    assert_eq!(look(&[input(table())], None, &[("threshold", Value::Real(1.0))]).near_pairs, 0);
}

#[test]
fn sides_tell_what_is_across() {
    let mut sides = vec![Side::Train; 502];
    (sides[501], sides[500]) = (Side::Test, Side::Train);
    let found = look(&[input(table())], Some(&sides), &[]);
    assert_eq!((found.exact_across, found.near_across, found.is_across()), (1, 0, true));
    sides[501] = Side::Out;
    assert!(!look(&[input(table())], Some(&sides), &[]).is_across());
    // Copies that are left out stand between those on two sides.
    let copies = |sides: [Side; 4]| look(&[input("a,b\n".to_owned() + &"1.5,x\n".repeat(4))], Some(&sides), &[]).exact_across;
    assert_eq!(copies([Side::Out, Side::Train, Side::Out, Side::Test]), 1);
    assert_eq!(copies([Side::Out, Side::Train, Side::Out, Side::Train]), 0);
}

#[test]
fn texts_are_alike_by_their_runs_of_words() {
    let draw = Draw::new(4);
    let words: Vec<String> = (0..400).map(|at| format!("word{at}")).collect();
    let text = |row: u64| (0..40).map(|at| words[draw.at(row).below(at, 400) as usize].clone()).collect::<Vec<_>>();
    let mut table = String::from("note,label\n");
    (0..300).for_each(|row| writeln!(table, "{},{}", text(row).join(" "), row % 2).unwrap());
    let mut changed = text(5);
    changed[39] = "OTHER!".into();
    writeln!(table, "{}.,0", changed.join("  ").replace("word", "Word")).unwrap();
    let found = look(&[input(table)], None, &[]);
    assert_eq!((found.near_pairs, found.exact_groups), (1, 0));
    assert!(found.pairs[0].rows[0].place.ends_with(":7"), "{:?}", found.pairs);
}

/// Of many pairs of known similarity as many share a hash as the theory says.
#[test]
fn hashes_agree_as_often_as_rows_are_alike() {
    let signer = Signer::new(4000);
    let draw = Draw::new(6);
    for shared in [5, 20, 35] {
        let token = |at: u64| (draw.bits(at), 1.0 + (at % 7) as f32);
        let mut one: Vec<Token> = (0..40).map(token).collect();
        let mut other: Vec<Token> = (40 - shared..80 - shared).map(token).collect();
        one.sort_by_key(|token| token.0);
        other.sort_by_key(|token| token.0);
        let (a, b) = (signer.sign(&one), signer.sign(&other));
        let agree = a.iter().zip(&b).filter(|(a, b)| a == b).count() as f64 / 4000.0;
        let (alike, _) = similarity(&one, &other);
        // Three standard errors of a share of 4,000.
        assert!((agree - alike).abs() < 3.0 * (alike * (1.0 - alike) / 4000.0).sqrt(), "{agree} {alike}");
    }
}
