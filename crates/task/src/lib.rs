//! The vocabulary of Cupola: nouns (schema, batch, answer) and seams (dataset, learner, predictor, metric).
//!
//! Nothing here reads a file, holds an engine or knows a model; every other crate depends on this one and on
//! few others. `ARCHITECTURE.md` draws the arrows.

mod answer;
mod batch;
mod classes;
mod contributions;
mod dataset;
mod draw;
mod duration;
mod error;
mod images;
mod registry;
mod run;
mod schema;
mod seams;
mod settings;
mod size;

#[cfg(test)]
mod fixtures;

pub use answer::{Answer, Predictions, argmax};
pub use batch::{Batch, Column, Columns, Object, Rle};
pub use classes::{Classes, Decision, Rule, SetRule};
pub use contributions::{Against, Contributions, Interactions, Unit};
pub use dataset::{Chunks, Dataset, Side, Source, Splits, Subset, Table, TrainSplit};
pub use draw::Draw;
pub use duration::duration;
pub use error::{Error, Exit, Fault, Result, nearest};
pub use images::{Images, Pixels, Place};
pub use registry::{ImageNeeds, Make, MakeLearner, MakeTrainee, Math, MetricDef, ModelDef, Needs, Try, Where};
pub use run::{Collective, Event, Flow, INIT_MODEL, Local, Parts, Run, Start};
pub use schema::{Field, Key, Kind, Role, Schema, Task};
pub use seams::{Ask, Cost, Fitted, Game, Lanes, Learner, Metric, Predictor, Preparation, Session, Spaces, Trail, View, World};
pub use settings::{Range, Setting, Settings, Value};
pub use size::size;
