//! What a preparation has to tell about the rows it learned from: what it left out, changed, or counted.

/// A sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// What is to be told.
    pub text: String,
    /// Whether rows or columns were left out, so that it belongs among the warnings of a report.
    pub is_warning: bool,
}

impl Note {
    /// Something that was left out.
    pub(crate) fn warning(text: String) -> Note {
        Note { text, is_warning: true }
    }

    /// Something that was changed or counted.
    pub(crate) fn said(text: String) -> Note {
        Note { text, is_warning: false }
    }
}
