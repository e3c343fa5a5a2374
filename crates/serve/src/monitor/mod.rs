//! Answers are watched: by the server while it gives them, and afterwards from the log or a table.

mod charts;
mod live;
mod page;
mod replay;

pub(crate) use charts::bars;
pub use live::LiveOptions;
pub(crate) use live::{Around, Live, read_kept};
pub(crate) use page::sections;
pub use page::{Page, page};
pub(crate) use replay::known_labels;
pub use replay::{Replay, reference_of};

/// Where, beside a name of the registry, a server keeps what it has seen.
pub(crate) const MONITOR_FOLDER: &str = "monitor";

use cupola_task::Event;
use cupola_watch::{AlarmEvent, post};
use std::sync::Arc;

/// Posts alarms without waiting for the other side; who runs the server hears when it fails.
fn post_in_background(url: &str, name: &str, hash: &str, events: Vec<AlarmEvent>, tell: Arc<dyn Fn(Event) + Send + Sync>) {
    let (url, name, hash) = (url.to_owned(), name.to_owned(), hash.to_owned());
    let posted = std::thread::Builder::new().name("webhook".into()).spawn(move || {
        if let Err(error) = post(&url, &name, &hash, &events) {
            tell(Event::Warning { text: format!("{name}: failed to {error}") });
        }
    });
    // Without a thread nobody is told this way; the alarm stands in every other place.
    drop(posted);
}
