//! What a server takes from the world: the time of day, what tells this process from every other, and where it keeps things.

use cupola_task::Event;
use cupola_watch::StoreAt;
use cupola_watch::registry::Registry;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Makes the next step of a name's retraining. Takes the folder of logs where that is not the one of deployed models. Blocks while it trains; says
/// what was done, or nothing when nothing was; an error is a sentence.
pub type Retrain = Arc<dyn Fn(&str, Option<&Path>) -> Result<Option<String>, String> + Send + Sync>;

/// Clock and name of a process.
#[derive(Clone)]
pub struct World {
    /// Begins the ids of requests that bring none. No two processes may have the same, or labels would find the answers of both.
    pub instance: String,
    /// Microseconds since 1970. It may jump: durations are measured otherwise.
    pub now_us: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Hears notes and warnings for whoever runs the server.
    pub tell: Arc<dyn Fn(Event) + Send + Sync>,
    /// Makes the next step from labels to a better model of that name; none when this process does not retrain.
    pub retrain: Option<Retrain>,
    /// The folder of deployed models, for logs and labels.
    pub deploy: PathBuf,
    /// Where labels are kept when not in that folder.
    pub store: Option<StoreAt>,
}

impl World {
    /// Where labels are kept.
    pub(crate) fn labels(&self) -> StoreAt {
        self.store.clone().unwrap_or_else(|| Registry::store(&self.deploy))
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("instance", &self.instance).finish_non_exhaustive()
    }
}
