//! Answers are watched: by the server while it gives them, and afterwards from the log or a table.

mod charts;
mod line;
mod live;
mod page;
mod replay;

pub(crate) use charts::bars;
pub use live::LiveOptions;
pub(crate) use live::{Around, Live, MONITOR_FOLDER, read_kept};
pub(crate) use page::sections;
pub use page::{Page, page};
pub(crate) use replay::known_labels;
pub use replay::{Replay, reference_of};
