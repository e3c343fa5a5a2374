//! Numbers of other countries.

use super::{options, read_bytes, shown};
use cupola_task::Fault;
use expect_test::expect;

#[test]
fn commas_points_and_blanks_are_taken_at_their_word() {
    let told = |text: &str, given: &[(&str, &str)]| match read_bytes("a.csv", text, &options(given)) {
        Ok(raw) => shown(&raw.columns).join(" "),
        Err(error) => format!("{error}; {}", error.hint().unwrap_or_default()),
    };
    let comma = ("decimal", "comma");
    let lines = [
        told("x;y\n1,5;a,b\n-0,25e3; 1\n;12\n", &[comma]),
        told("x;y\n1.234.567,5;a\n1,5;1.23\n", &[comma, ("thousands", "point")]),
        told("x;y\n1.5;a\n", &[comma]),
        told("x;y\n1 234,5;a\n1\u{a0}234;1 23\n", &[comma, ("thousands", "space")]),
        told("x;y\n1,234.5;12,34\n\"1,234\";1,2345\n", &[("thousands", "comma")]),
        told("x;y\n2024.01.31;v1.2\n", &[comma]),
        told("x\n1\n", &[("thousands", "none")]),
    ];
    expect![[r#"
        1.5|a,b -0.25e3|1 .|12
        a.csv:3: column y: found 1.23, wanted a number with a decimal comma, as data.decimal says; set data.thousands=point if points stand between thousands
        a.csv:2: column x: found 1.5, wanted a number with a decimal comma, as data.decimal says; set data.thousands=point if points stand between thousands
        1234.5|a 1234|1 23
        1234.5|12,34 1234|1,2345
        2024.01.31|v1.2
        1"#]].assert_eq(&lines.join("\n"));
    let settings = [("decimal", "comma"), ("thousands", "comma")].map(|(name, word)| (name, cupola_task::Value::Text(word.into())));
    let settings =
        cupola_task::Settings::check("data", crate::ReadOptions::SETTINGS, settings.iter().map(|(name, value)| (*name, value))).unwrap();
    assert!(crate::ReadOptions::from_settings(&settings).unwrap_err().to_string().contains("data.thousands"));
}
