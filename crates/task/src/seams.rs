//! The seams: preparation, learner, predictor, metric, world, game. `ARCHITECTURE.md` says who implements which.

use crate::{
    Against, Answer, Column, Columns, Contributions, Error, Field, Interactions, Parts, Predictions, Result, Run, Schema, Settings, Source,
    TrainSplit,
};
use std::any::Any;
use std::sync::Arc;

/// Supervised, unsupervised, reinforcement: settings in, a fitted thing out.
pub trait Learner: Send {
    /// What fitting `rows` rows would take, when it can be told before.
    fn cost(&self, schema: &Schema, rows: u64) -> Option<Cost> {
        let _ = (schema, rows);
        None
    }

    /// Learns from prepared rows. Stops early, with the best so far, when the run says so.
    ///
    /// # Errors
    /// When the source does not suit the model, the run was stopped before anything was learned, or memory would not suffice.
    fn fit(&mut self, source: Source<'_>, run: &Run<'_>) -> Result<Box<dyn Predictor>>;
}

/// What a fit takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Additions and multiplications.
    pub flops: f64,
    /// Peak memory in bytes.
    pub memory_bytes: u64,
}

/// What learns from training rows how all rows are made ready for a model.
pub trait Preparation: Send {
    /// Learns, and hands the training rows on as the model is to see them. They may be other rows than it was given
    /// (resampling, cross-fitted encoding): hence the new `TrainSplit`.
    ///
    /// # Errors
    /// When a column cannot be prepared as the recipe asks.
    fn fit(&self, train: &TrainSplit, run: &Run<'_>) -> Result<(Box<dyn Fitted>, TrainSplit)>;
}

/// A fitted preparation. `apply` may split a row (long documents) or bend it (letterbox); `restore` finds the way back for the answers.
pub trait Fitted: Send + Sync {
    /// The raw columns it takes, with the classes seen in training.
    fn raw(&self) -> &Schema;

    /// The prepared columns it gives.
    fn schema(&self) -> &Schema;

    /// For each input of [`Fitted::schema`], in order, the numbers of the inputs of [`Fitted::raw`] that it is made of. An explanation is told
    /// of those.
    fn sources(&self) -> Vec<Vec<usize>> {
        let raw: Vec<&Arc<str>> = self.raw().inputs().map(|field| &field.name).collect();
        let own = |field: &Field| raw.iter().position(|name| **name == field.name).into_iter().collect();
        self.schema().inputs().map(own).collect()
    }

    /// Prepares raw columns. Every input of [`Fitted::raw`] must be there; targets and keys are prepared when they are. A
    /// class of a target that training did not see becomes null.
    ///
    /// # Errors
    /// When an input is missing or holds something else than its kind, with column and row.
    fn apply(&self, raw: &Columns) -> Result<(Columns, Trail)>;

    /// Answers about prepared rows as answers about raw rows.
    ///
    /// # Errors
    /// When the answers do not belong to the trail.
    fn restore(&self, answers: Predictions, trail: &Trail) -> Result<Predictions>;

    /// Saves itself into parts named `prepare/...`.
    ///
    /// # Errors
    /// When something in it cannot be written.
    fn save(&self, parts: &mut Parts) -> Result<()>;
}

/// The way from prepared rows back to raw ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trail {
    /// For each prepared row its raw row; empty when they are the same.
    pub row_of: Vec<u32>,
}

/// How to answer: thresholds, beam width, temperature, checked against the model's settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask(pub Settings);

/// A fitted model: what evaluation, serving and monitoring hold. A policy is one too.
pub trait Predictor: Send + Sync {
    /// Answers prepared rows, one answer per target.
    ///
    /// # Errors
    /// When a column is missing or of another kind than in training.
    fn predict(&self, inputs: &Columns, ask: &Ask) -> Result<Predictions>;

    /// Saves itself into parts named `model/...`.
    ///
    /// # Errors
    /// When something in it cannot be written.
    fn save(&self, parts: &mut Parts) -> Result<()>;

    /// Answers that come piece by piece: generated tokens, partial transcripts, recurrent policies.
    fn session(&self, inputs: &Columns, ask: &Ask) -> Option<Result<Box<dyn Session>>> {
        let _ = (inputs, ask);
        None
    }

    /// What each input added to each answer (Shapley values), when the model can tell exactly; none when it cannot.
    ///
    /// The error in it: a column is missing or of another kind than in training, or the model keeps nothing to explain against.
    fn explain(&self, inputs: &Columns, against: Against<'_>) -> Option<Result<Contributions>> {
        let _ = (inputs, against);
        None
    }

    /// What pairs of inputs added to one output of those that [`Predictor::explain`] tells of, against what training saw, when the model can tell
    /// exactly; none when it cannot. It takes rows times the square of the inputs: ask for few rows at a time.
    ///
    /// The error in it is that of [`Predictor::explain`].
    fn interactions(&self, inputs: &Columns, output: usize) -> Option<Result<Interactions>> {
        let _ = (inputs, output);
        None
    }
}

/// An answer on its way.
pub trait Session: Send {
    /// The next piece, given more input; none when the answer is complete.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    fn next(&mut self, more: &Columns) -> Result<Option<Predictions>>;
    /// Keeps only these rows (a beam search reorders, a finished row leaves).
    fn rows(&mut self, keep: &[usize]);
}

/// What a metric sees of a batch beside the answer.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The raw truth: `Utf8` class names, `Float64` numbers, texts, objects. None for measures that need none.
    pub truth: Option<&'a Column>,
    /// One weight a row; none means 1 each.
    pub weight: Option<&'a [f64]>,
    /// The inputs, for measures that look at them.
    pub inputs: &'a Columns,
    /// Id, group, time, sensitive.
    pub keys: &'a Columns,
}

/// A measure over host values, never a tensor. `merge` serves chunks and ranks; `value(Some(counts))` is one bootstrap
/// draw, which gives every number its interval.
pub trait Metric: Send {
    /// Adds a batch.
    ///
    /// # Errors
    /// When truth or answer are of another kind than the measure is for.
    fn update(&mut self, view: View<'_>, answer: &Answer) -> Result<()>;

    /// Adds what another of the same kind has seen.
    ///
    /// # Errors
    /// When the other is of another kind.
    fn merge(&mut self, other: &dyn Metric) -> Result<()>;

    /// How many items (rows, mostly) a bootstrap draws from.
    fn items(&self) -> usize;

    /// The measure, or the measure of a resample in which item `i` comes `counts[i]` times. NaN where it is undefined
    /// (no positive row, say).
    ///
    /// # Errors
    /// When nothing was added.
    fn value(&self, draw: Option<&[u32]>) -> Result<f64>;

    /// More than one number: per class, per threshold.
    fn detail(&self) -> Columns {
        Columns::default()
    }

    /// For `merge`.
    fn as_any(&self) -> &dyn Any;
}

/// Environments as struct of arrays: no allocation per step; terminated and truncated stay apart.
pub trait World: Send {
    /// What goes in and out.
    fn spaces(&self) -> &Spaces;
    /// Begins an episode in a lane.
    fn reset(&mut self, lane: usize, seed: u64);
    /// One step of every lane; finished lanes begin anew.
    fn step(&mut self, actions: &[f32], out: &mut Lanes);
    /// Appends the whole state.
    fn save(&self, bytes: &mut Vec<u8>);
    /// Takes the state back.
    ///
    /// # Errors
    /// When the bytes are not of this world.
    fn open(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

/// The sizes of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct Spaces {
    /// Episodes side by side.
    pub lanes: usize,
    /// Players in each.
    pub agents: usize,
    /// Shape of one agent's observation.
    pub observation: Vec<usize>,
    /// Number of choices of each discrete action; empty for continuous ones.
    pub actions: Vec<u32>,
}

/// What a step gives, lane by lane, agent by agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lanes {
    /// Row-major observations.
    pub observations: Vec<f32>,
    /// Rewards.
    pub rewards: Vec<f32>,
    /// Ended by the rules.
    pub terminated: Vec<bool>,
    /// Ended by a time limit: the value of the last state still counts.
    pub truncated: Vec<bool>,
    /// Which choices the rules allow.
    pub legal: Vec<bool>,
}

/// A two-player game. Generic on purpose: it is the inner loop of tree search.
pub trait Game: Clone + Send + Sync + 'static {
    /// How many choices there are at most.
    const MOVES: usize;
    /// Whose turn it is.
    fn player(&self) -> usize;
    /// Fills in the choices the rules allow.
    fn legal(&self, out: &mut Vec<u16>);
    /// Plays one.
    fn play(&mut self, choice: u16);
    /// The first player's result when the game is over: 1, 0, -1.
    fn outcome(&self) -> Option<f32>;
    /// The position as input planes.
    fn planes(&self, out: &mut [f32]);
    /// Equal for equal positions.
    fn key(&self) -> u64;
    /// How many symmetries the board has.
    fn symmetries() -> usize {
        1
    }
}
