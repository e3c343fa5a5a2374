//! Names from outside, made safe to show: a column may be called anything, a page or a terminal must not obey it.

use std::fmt::Write;

/// A text on one line of at most `max` characters. Control characters and those that turn or hide text (U+202E and its
/// kin) are shown as `\u{..}`; white space of any kind becomes one blank; an empty name shows as `""`.
pub(super) fn shown(text: &str, max: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        for c in word.chars() {
            if length >= max {
                return shortened(&line, max);
            }
            length += push(&mut line, c);
        }
    }
    match line.is_empty() {
        true => "\"\"".to_owned(),
        false if length > max => shortened(&line, max),
        false => line,
    }
}

/// Adds a character as it may be shown; how many characters that took.
fn push(line: &mut String, c: char) -> usize {
    if !(c.is_control() || is_invisible(c)) {
        line.push(c);
        return 1;
    }
    let before = line.len();
    write!(line, "{}", c.escape_unicode()).expect("a string takes any text");
    line.len() - before
}

/// Zero-width, direction-turning, interlinear and byte-order characters, and those that XML forbids.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

fn shortened(line: &str, max: usize) -> String {
    let mut short: String = line.chars().take(max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// As it may stand in a text or an attribute of an SVG that is written by hand.
pub(super) fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// As it may stand in a cell or sentence of Markdown, where none of its characters marks anything up.
pub(super) fn markdown(text: &str, max: usize) -> String {
    let mut safe = String::new();
    for c in shown(text, max).chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => safe.extend(['\\', c]),
            _ => safe.push(c),
        }
    }
    safe
}

/// One word of a shell command, in quotes where the shell would read something else.
pub(super) fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '=' | ':' | '+' | ',');
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// A noun with its number: `1 row`, `2 rows`.
pub(super) fn plural(count: u64, noun: &str) -> String {
    let count_text = super::numbers::count(count);
    match count {
        1 => format!("{count_text} {noun}"),
        _ if noun.ends_with("ss") => format!("{count_text} {noun}es"),
        _ => format!("{count_text} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_tamed() {
        for (text, max, wanted) in [
            ("age", 9, "age"),
            ("", 9, "\"\""),
            ("  two\n\twords ", 20, "two words"),
            ("much too long", 6, "much …"),
            ("\u{1b}[31mred", 30, "\\u{1b}[31mred"),
            ("a\u{202e}b", 30, "a\\u{202e}b"),
            ("\u{0}", 4, "\\u{…"),
            ("größe", 5, "größe"),
        ] {
            assert_eq!(shown(text, max), wanted, "{text:?}");
        }
        assert_eq!(markdown("a|b<i>*", 9), "a\\|b&lt;i&gt;\\*");
        assert_eq!([shell("runs/a-1/m.cupola"), shell("my run's")], ["runs/a-1/m.cupola", "'my run'\\''s'"]);
        assert_eq!(plural(1, "class") + &plural(1200, "class") + &plural(2, "row"), "1 class1\u{a0}200 classes2 rows");
    }
}
