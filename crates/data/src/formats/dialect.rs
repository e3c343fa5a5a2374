//! Finds out what stands between fields, and refuses to guess between two answers that both fit.

use super::Window;
use super::record::{Dialect, Scan};
use crate::{Error, Result};

const CANDIDATES: [u8; 4] = *b",;\t|";
/// So many records are looked at.
const RECORDS: usize = 200;

struct Fit {
    delimiter: u8,
    /// Fields of the first record.
    width: usize,
    /// Records looked at that have as many.
    alike: usize,
    /// Records looked at.
    records: usize,
    is_broken: bool,
}

impl Fit {
    fn is_full(&self) -> bool {
        self.alike == self.records && !self.is_broken
    }
}

/// The delimiter of the text in the window. A delimiter fits fully when it cuts every record into the same number of
/// fields, more than one; where none does, the one that most records agree on is taken, so that the reader can name the
/// first record that differs; one column is the last resort.
pub(super) fn sniff(window: &Window, quote: Option<u8>, preferred: Option<u8>) -> Result<u8> {
    let fits: Vec<Fit> = CANDIDATES
        .iter()
        .map(|&delimiter| fit(window.bytes(), window.is_done(), Dialect { delimiter, quote }))
        .filter(|fit| fit.width > 1)
        .collect();
    let full: Vec<u8> = fits.iter().filter(|fit| fit.is_full()).map(|fit| fit.delimiter).collect();
    if let Some(preferred) = preferred.filter(|preferred| full.contains(preferred)) {
        return Ok(preferred);
    }
    match full.as_slice() {
        [one] => Ok(*one),
        [] => {
            let best = fits.iter().max_by(|a, b| (a.alike * b.records).cmp(&(b.alike * a.records)).then(a.width.cmp(&b.width)));
            Ok(best.map_or(preferred.unwrap_or(b','), |fit| fit.delimiter))
        }
        several => {
            let words: Vec<&str> = several.iter().map(|&delimiter| word(delimiter)).collect();
            let found = format!("a table that {} each cut evenly", words.join(" and "));
            let hint = format!("set data.delimiter={}", words.join(" or data.delimiter="));
            Err(Error::refused(window.name(), found, "one delimiter").with_hint(hint))
        }
    }
}

/// Whether tabs, and nothing else, cut the text evenly.
pub(super) fn has_tabs(head: &[u8]) -> bool {
    let full = |delimiter: u8| {
        let fit = fit(head, head.len() < super::HEAD, Dialect { delimiter, quote: Some(b'"') });
        fit.width > 1 && fit.is_full()
    };
    full(b'\t') && ![b',', b';', b'|'].into_iter().any(full)
}

fn fit(text: &[u8], is_last: bool, dialect: Dialect) -> Fit {
    let mut fit = Fit { delimiter: dialect.delimiter, width: 0, alike: 0, records: 0, is_broken: false };
    let (mut at, mut fields) = (0, Vec::new());
    while at < text.len() && fit.records < RECORDS {
        // A first record longer than the head is judged by the part that is here.
        let is_last = is_last || fit.records == 0 && at == 0 && !text.contains(&b'\n');
        match dialect.scan(&text[at..], is_last, &mut fields) {
            Scan::Record { length, .. } => {
                at += length;
                count(&mut fit, fields.len());
            }
            Scan::Partial { .. } => break,
            Scan::Broken { .. } => {
                fit.is_broken = true;
                break;
            }
        }
    }
    fit
}

fn count(fit: &mut Fit, fields: usize) {
    if fields == 0 {
        return;
    }
    if fit.records == 0 {
        fit.width = fields;
    }
    fit.records += 1;
    fit.alike += usize::from(fields == fit.width);
}

/// The word for a delimiter in the recipe.
pub(super) fn word(delimiter: u8) -> &'static str {
    match delimiter {
        b',' => "comma",
        b';' => "semicolon",
        b'\t' => "tab",
        b'|' => "pipe",
        _ => "another character",
    }
}
