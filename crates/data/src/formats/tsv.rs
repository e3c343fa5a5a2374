//! Tab-separated values: [CSV](super::csv) with tabs.
//!
//! ```
//! use cupola_data::{Input, ReadOptions, read};
//! let raw = read(&Input::Bytes { name: "a.tsv".into(), bytes: "x\ty\n1\t2\n".into() }, &ReadOptions::default())?;
//! assert_eq!(raw.format, "tsv");
//! # Ok::<(), cupola_data::Error>(())
//! ```

use super::{FormatDef, Open, csv, dialect};

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "tsv",
    extensions: &["tsv", "tab"],
    doc: "tab-separated values; gz and zst are unpacked",
    sniff: dialect::has_tabs,
    open: Open::Text(|window, options| csv::open_with(window, options, Some(b'\t'))),
};
