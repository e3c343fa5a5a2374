//! What a server takes from the world: the time of day, and what tells this process from every other.

use std::fmt;
use std::sync::Arc;

/// Clock and name of a process.
#[derive(Clone)]
pub struct World {
    /// Begins the ids of requests that bring none. No two processes may have the same, or labels would find the answers of both.
    pub instance: String,
    /// Microseconds since 1970. It may jump: durations are measured otherwise.
    pub now_us: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("instance", &self.instance).finish_non_exhaustive()
    }
}
