//! The model file: one file that answers raw rows and holds no code, no path, no time and no host.
//!
//! It keeps the fitted preparation and the model of each target, the raw schema, test scores, the profile of the training
//! data, what its answers are watched with, and golden rows: raw rows with the answers they got when the file was written. Every opening replays as many of
//! them as its time allows, so that a file that opens answers as it did then.

mod container;
mod exact;
mod golden;
mod manifest;
mod model;
mod open;
mod pictures;
mod watched;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod hostile;

pub use container::{FORMAT_VERSION, MAGIC};
pub(crate) use container::{pack as pack_parts, unpack as unpack_parts};
pub use golden::{GOLDEN_ROWS, GoldenMode, Verified};
pub use manifest::{PipelineRecord, Score};
pub(crate) use manifest::{from_json, to_json};
pub use model::{Artifact, Contents, Pipeline};
pub(crate) use open::{CATALOG, open_pipeline, pipeline_parts};
pub use open::{Opening, network_weights};
pub(crate) use watched::answer_column;
pub use watched::{ExpectedLosses, Losses, Watched};
