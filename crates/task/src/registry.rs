//! What an entry of a registry says. Registries are plain `const` slices, one a crate; `train` chains them.

use crate::{Field, Learner, Metric, Parts, Predictor, Result, Schema, Setting, Settings, Task};
use std::any::Any;

/// Makes a `Box<dyn Trainee>` for the training loop: settings, prepared schema, device. It holds no weights yet.
/// The box is `dyn Any` because the trait lives in `nets`, which this crate must not know.
pub type MakeTrainee = fn(&Settings, &Schema, Where) -> Result<Box<dyn Any + Send>>;

/// Makes a learner from settings and the prepared schema.
pub type MakeLearner = fn(&Settings, &Schema) -> Result<Box<dyn Learner>>;

/// How a model is made. Classic crates make learners, nets make trainees; `train` owns the loop.
#[derive(Clone, Copy)]
pub enum Make {
    /// A model that learns by itself.
    Learner(MakeLearner),
    /// A network for the training loop.
    Trainee(MakeTrainee),
    /// A model made of others, which its settings name; `train` fits them.
    Members,
}

/// Where a model computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Where {
    /// The processor.
    Cpu,
    /// A graphics card, by number.
    Gpu(u8),
}

/// What a model wants its inputs to be like; the preparation's `auto` follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing: the model looks at no input. Images stay as they are, other columns as [`Needs::Native`].
    Nothing,
    /// Numbers with NaN where missing, and categories as codes: the model handles both itself.
    Native,
    /// Finite, scaled numbers only: missing values filled, categories one-hot.
    Dense,
    /// Finite, scaled numbers, and categories as codes into their classes, which the model embeds.
    Embedded,
    /// Images, all of one size and with equally many channels. Other columns as [`Needs::Embedded`].
    Images(ImageNeeds),
}

/// What a model wants images to be like; what is none follows the training images.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ImageNeeds {
    /// Channels, where the model takes no others: 1 grey, 3 colour.
    pub channels: Option<u8>,
    /// Height and width, where the model takes no others.
    pub size: Option<[u32; 2]>,
    /// Height and width that images of many sizes are brought to.
    pub size_default: u32,
    /// The smallest height or width the model can work on.
    pub size_min: u32,
}

/// How equal answers of a reopened model must be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Math {
    /// Bit for bit.
    Exact,
    /// To this relative difference: sums in floating point may run in another order on another machine.
    Rounded(f64),
}

/// A model of the registry.
#[derive(Clone, Copy)]
pub struct ModelDef {
    /// The name a recipe uses.
    pub name: &'static str,
    /// One sentence for `cupola models`.
    pub doc: &'static str,
    /// What it can learn.
    pub tasks: &'static [Task],
    /// What a recipe may say about it.
    pub settings: &'static [Setting],
    /// What it wants its inputs to be like.
    pub needs: Needs,
    /// How equal its answers are after reopening.
    pub math: Math,
    /// The settings that `model=auto` tries, each as `key=value key=value`; empty when it does not try the model. `rows<=N` among them says that
    /// it is tried on so many training rows at most. See [`ModelDef::tries`].
    pub auto: &'static [&'static str],
    /// Makes one to train.
    pub make: Make,
    /// Opens a saved one. The bytes may be hostile.
    pub open: fn(&Parts, &Schema, Where) -> Result<Box<dyn Predictor>>,
}

/// Settings that `model=auto` tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// As `key=value key=value`.
    pub settings: String,
    /// The most training rows it is tried on.
    pub rows_max: Option<u64>,
}

impl ModelDef {
    /// What `model=auto` tries, in order.
    pub fn tries(&self) -> impl Iterator<Item = Try> {
        self.auto.iter().map(|said| {
            let limit = |word: &str| word.strip_prefix("rows<=").and_then(|rows| rows.parse().ok());
            let settings: Vec<&str> = said.split_whitespace().filter(|word| limit(word).is_none()).collect();
            Try { settings: settings.join(" "), rows_max: said.split_whitespace().find_map(limit) }
        })
    }
}

/// A metric of the registry.
#[derive(Clone, Copy)]
pub struct MetricDef {
    /// scikit-learn's name where it has one.
    pub name: &'static str,
    /// One sentence for `cupola metrics`, with the formula's source.
    pub doc: &'static str,
    /// What it measures.
    pub tasks: &'static [Task],
    /// Whether more is better.
    pub is_score: bool,
    /// The best value there is, and the worst when there is one.
    pub best: f64,
    /// What a recipe may say about it.
    pub settings: &'static [Setting],
    /// Makes an empty one for a target. A binary target's positive class is the last of its classes.
    pub new: fn(&Field, &Settings) -> Result<Box<dyn Metric>>,
}
