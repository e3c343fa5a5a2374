//! What columns hold and what they are for.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a column holds, with all that a model needs to size itself. `List` gives sequences, tokens, several references, item lists.
///
/// In *raw* columns a `Category` is an Arrow `Utf8` array; in *prepared* columns it is `UInt32` codes into `classes`, null
/// where missing. A `Number` is `Float64`, a `Date` is `Timestamp(Microsecond, None)` in UTC, a `Text` is `Utf8`, a `Vector` is
/// `FixedSizeList<Float32>`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A real or whole number.
    Number,
    /// One of a known set of names.
    Category {
        /// The names, in a fixed order.
        classes: Arc<[Arc<str>]>,
    },
    /// Any subset of a known set of names.
    Labels {
        /// The names, in a fixed order.
        classes: Arc<[Arc<str>]>,
    },
    /// Free text.
    Text,
    /// A point in time.
    Date,
    /// A fixed number of `f32`.
    Vector {
        /// How many.
        width: usize,
    },
    /// Pixels.
    Image {
        /// 1 grey, 3 colour, 4 with alpha.
        channels: u8,
        /// Height and width when all images share them.
        size: Option<[u32; 2]>,
    },
    /// Sound.
    Audio {
        /// Samples a second.
        rate: u32,
    },
    /// Boxes and masks in an image.
    Objects {
        /// The names of what can be found.
        classes: Arc<[Arc<str>]>,
    },
    /// A class for each pixel.
    Map {
        /// The names of what a pixel can be.
        classes: Arc<[Arc<str>]>,
    },
    /// Places in a text: start and end.
    Spans,
    /// A sequence of something.
    List(Box<Kind>),
}

/// What is to be learned about a target.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// One class a row.
    Classify,
    /// A number a row.
    Regress,
    /// A group a row, without labels.
    Cluster,
    /// Fewer columns that say nearly as much.
    Reduce,
    /// How unusual a row is.
    Anomaly,
    /// An order of items.
    Rank,
    /// Items for a user.
    Recommend,
    /// What comes next in a series.
    Forecast,
    /// The probability of a text.
    Language,
    /// A text in another language.
    Translate,
    /// An answer from a text.
    Answer,
    /// A text from sound.
    Transcribe,
    /// Boxes in an image.
    Detect,
    /// A class a pixel.
    Segment,
    /// A vector that stands for the input.
    Embed,
    /// New examples.
    Generate,
    /// An action in a world.
    Act,
}

/// What a column is for. Each target has its own task, so several targets cost nothing extra.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The model may look at it.
    Input,
    /// The model answers it.
    Target(Task),
    /// It tells about the row: who, when, how much it counts.
    Key(Key),
    /// It is carried along and not used.
    Ignored,
}

/// What a key column tells about a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    /// Names the row.
    Id,
    /// Rows of one group stay on one side of a split.
    Group,
    /// Orders the rows in time.
    Time,
    /// How much the row counts in losses and measures.
    Weight,
    /// Members of these groups must be treated alike.
    Sensitive,
}

/// A column's name, content and purpose.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Field {
    /// Unique in its schema.
    pub name: Arc<str>,
    /// What it holds.
    pub kind: Kind,
    /// What it is for.
    pub role: Role,
}

/// The columns of a data set, in order.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Schema {
    /// The columns; names are unique.
    pub fields: Vec<Field>,
}

impl Kind {
    /// The class names, where the kind has them.
    pub fn classes(&self) -> Option<&Arc<[Arc<str>]>> {
        match self {
            Kind::Category { classes } | Kind::Labels { classes } | Kind::Objects { classes } | Kind::Map { classes } => Some(classes),
            _ => None,
        }
    }

    /// The word that stands for this kind in recipes and messages.
    pub fn word(&self) -> &'static str {
        match self {
            Kind::Number => "number",
            Kind::Category { .. } => "category",
            Kind::Labels { .. } => "labels",
            Kind::Text => "text",
            Kind::Date => "date",
            Kind::Vector { .. } => "vector",
            Kind::Image { .. } => "image",
            Kind::Audio { .. } => "audio",
            Kind::Objects { .. } => "objects",
            Kind::Map { .. } => "map",
            Kind::Spans => "spans",
            Kind::List(_) => "list",
        }
    }
}

impl Schema {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| &*field.name == name)
    }

    /// The fields a model may look at, in order.
    pub fn inputs(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.role == Role::Input)
    }

    /// The fields a model answers, in order, with their tasks.
    pub fn targets(&self) -> impl Iterator<Item = (&Field, Task)> {
        self.fields.iter().filter_map(|field| match field.role {
            Role::Target(task) => Some((field, task)),
            _ => None,
        })
    }

    /// The fields with that key role.
    pub fn keys(&self, key: Key) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| field.role == Role::Key(key))
    }

    /// All column names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| &*field.name)
    }
}
