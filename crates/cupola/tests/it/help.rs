//! What `--help` says.

use crate::desk::Desk;
use expect_test::expect_file;

#[test]
fn every_command_helps() {
    let desk = Desk::new();
    let commands: [&[&str]; 29] = [
        &[],
        &["init"],
        &["check"],
        &["schema"],
        &["train"],
        &["tune"],
        &["compare"],
        &["learning-curve"],
        &["eval"],
        &["doctor"],
        &["explain"],
        &["predict"],
        &["verify"],
        &["serve"],
        &["data"],
        &["data", "profile"],
        &["data", "leaks"],
        &["data", "noise"],
        &["data", "dup"],
        &["data", "split"],
        &["data", "convert"],
        &["data", "lock"],
        &["data", "diff"],
        &["data", "preview"],
        &["runs"],
        &["runs", "rm"],
        &["models"],
        &["metrics"],
        &["completions"],
    ];
    let told = commands.map(|command| {
        let ran = desk.ok(&[command, &["--help"]].concat());
        assert_eq!(ran.stderr, "", "{command:?}");
        format!("$ cupola {}\n{}", [command, &["--help"]].concat().join(" "), ran.stdout)
    });
    expect_file!["help.txt"].assert_eq(&told.join("\n"));
}

#[test]
fn version_is_one_line() {
    assert_eq!(Desk::new().ok(&["--version"]).stdout, format!("cupola {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_know_the_commands() {
    let desk = Desk::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = desk.ok(&["completions", shell]).stdout;
        assert!(script.contains("predict"), "{shell}");
    }
    // Where bash is, it must understand its script.
    let checked = desk.shell("command -v bash >/dev/null || exit 0; \"$CUPOLA\" completions bash | bash -n");
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
}
