//! A number for each id, by which a share of requests is chosen: the same id is always on the same side.

use cupola_task::Draw;

/// Between 0 and 1, evenly spread over ids.
pub fn share(id: &str) -> f64 {
    Draw::new(0).stream(id).uniform(0)
}
