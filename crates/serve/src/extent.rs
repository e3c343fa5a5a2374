//! How much a body holds, before it becomes columns or a tree of values: two bytes of text can become a hundred in memory.

use crate::problem::Problem;

/// # Errors
/// 413 when lists and objects of a JSON text begin or go on more often than `most` times. A text that is not JSON may be counted wrongly, but not a
/// list or an object before the place where its parser stops.
pub(crate) fn check_values(text: &[u8], most: usize) -> Result<(), Problem> {
    // So many values need so many bytes.
    if text.len() > most && values(text) > most {
        return Err(Problem::too_large(format!("found more than {most} values in the body")).with_hint("send fewer rows at once"));
    }
    Ok(())
}

/// # Errors
/// 413 when a text of delimited fields has more lines than so many rows and their header.
pub(crate) fn check_lines(text: &[u8], delimiter: u8, rows: usize) -> Result<(), Problem> {
    if text.len() > rows && lines(text, delimiter) > rows.saturating_add(1) {
        return Err(Problem::too_large(format!("found more than {rows} rows")).with_hint("send fewer rows at once"));
    }
    Ok(())
}

/// Commas and opening brackets outside of texts.
fn values(text: &[u8]) -> usize {
    let (mut count, mut is_quoted, mut is_escaped) = (0, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            b',' | b'[' | b'{' if !is_quoted => count += 1,
            _ => {}
        }
    }
    count
}

/// Line feeds that end a line with something in it, outside of quoted fields. A quote opens a field where one begins, and nowhere else.
fn lines(text: &[u8], delimiter: u8) -> usize {
    let (mut count, mut is_quoted, mut before) = (0, false, b'\n');
    for &byte in text {
        match byte {
            b'"' if is_quoted => is_quoted = false,
            // The second of two quotes goes on with the field that the first seemed to end.
            b'"' => is_quoted = before == delimiter || matches!(before, b'\n' | b'\r' | b'"'),
            b'\n' if !is_quoted => count += usize::from(!matches!(before, b'\n' | b'\r')),
            // A carriage return is told apart only where it stands alone.
            b'\r' if !is_quoted && before != b'\n' => continue,
            _ => {}
        }
        before = byte;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_and_brackets_outside_of_texts_count() {
        for (text, wanted) in [
            ("1", 0),
            (r#"{"a": [1, 2], "b": {}}"#, 5),
            (r#"["a,[{", "\",", "\\", 1]"#, 4),
            (r#"["\\\",", 1]"#, 2),
            ("[[[[", 4),
            (r#"["#, 1),
        ] {
            assert_eq!(values(text.as_bytes()), wanted, "{text}");
        }
        assert!(check_values(b"[1,2,3]", 3).is_ok() && check_values(b"[1,2,3]", 2).is_err());
    }

    #[test]
    fn lines_outside_of_quoted_fields_count() {
        for (text, wanted) in [
            ("a,b\n1,2\n3,4", 2),
            ("a,b\r\n1,2\r\n\r\n\n", 2),
            ("a\n\"x\ny\"\n", 2),
            ("a,b\n1,\"x\n\"\"y\n\"\n", 2),
            ("a\n5\" pipe\n6\" pipe\n", 3),
        ] {
            assert_eq!(lines(text.as_bytes(), b','), wanted, "{text}");
        }
        assert!(check_lines(b"a\n1\n2\n", b',', 2).is_ok() && check_lines(b"a\n1\n2\n", b',', 1).is_err());
    }
}
