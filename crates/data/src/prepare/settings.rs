//! What a recipe may say about preparation, for the whole table and for one column, and what the two together ask for.

use super::image::SIZE_MAX;
use cupola_task::{Error, Needs, Range, Result, Setting, Settings, Value};
use serde::{Deserialize, Serialize};

const MISSING: Setting = Setting {
    name: "missing",
    alias: &["impute"],
    default: "auto",
    range: Range::Choice(&["auto", "none", "mean", "median", "mode", "constant", "class"]),
    doc: "What stands in for a missing cell: its mean, median (numbers, dates), mode, a constant (fill), a class of its own (categories). auto: nothing where the model takes missing values, else median, or a class of its own.",
};
const INDICATOR: Setting = Setting {
    name: "indicator",
    alias: &["add_indicator"],
    default: "auto",
    range: Range::Any(&[Range::Choice(&["auto"]), Range::Flag]),
    doc: "Whether a column of 0 and 1 tells where a number or date was missing. auto: where missing cells are filled and training rows have some.",
};
const ENCODE: Setting = Setting {
    name: "encode",
    alias: &["encoding"],
    default: "auto",
    range: Range::Choice(&["auto", "codes", "onehot", "ordinal", "target"]),
    doc: "How categories reach the model: as categories, one-hot, as their rank, or as the cross-fitted mean of the target. auto: as categories where the model takes them, else one-hot, and by target above max_classes; ranks where there are more than 1000 classes and no target of at most 16.",
};
const RARE: Setting = Setting {
    name: "rare",
    alias: &["min_frequency"],
    default: "auto",
    range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 1, max: i64::MAX }]),
    doc: "Classes seen in fewer training rows than this become (other), and so do unseen ones later. auto: 1, and 5 where there are more than 1000 classes.",
};
const MAX_CLASSES: Setting = Setting {
    name: "max_classes",
    alias: &[],
    default: "64",
    range: Range::Integer { min: 2, max: 4096 },
    doc: "Up to how many classes auto encodes one-hot.",
};
const SCALE: Setting = Setting {
    name: "scale",
    alias: &["normalize"],
    default: "auto",
    range: Range::Choice(&["auto", "none", "standard", "minmax", "robust"]),
    doc: "How numbers are scaled: to mean 0 and deviation 1, to 0..1, or by median and quartiles. auto: standard where the model wants it, else not.",
};
const MAX_FEATURES: Setting = Setting {
    name: "max_features",
    alias: &["vocabulary"],
    default: "256",
    range: Range::Integer { min: 1, max: 65_536 },
    doc: "How many words of a text column are weighed (TF-IDF): those in most training rows.",
};

/// What a recipe may say in `[data.clean]` about preparing all columns.
pub const SETTINGS: &[Setting] = &[
    MISSING,
    INDICATOR,
    ENCODE,
    RARE,
    MAX_CLASSES,
    SCALE,
    MAX_FEATURES,
    Setting {
        name: "class_weight",
        alias: &["balance"],
        default: "none",
        range: Range::Choice(&["none", "balanced"]),
        doc: "balanced: training rows of a class weigh rows / (classes * rows of the class), so that every class counts alike.",
    },
];

/// What a recipe may say in `[inputs.NAME]` about preparing one column; what it does not say follows `[data.clean]`.
pub const COLUMN_SETTINGS: &[Setting] = &[
    MISSING,
    Setting {
        name: "fill",
        alias: &["fill_value"],
        default: "auto",
        range: Range::Any(&[Range::Real { min: f64::MIN, max: f64::MAX }, Range::Text]),
        doc: "The constant for missing=constant. auto: 0 for numbers, (missing) for categories.",
    },
    INDICATOR,
    ENCODE,
    RARE,
    Setting { default: "auto", range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 2, max: 4096 }]), ..MAX_CLASSES },
    SCALE,
    Setting { default: "auto", range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 1, max: 65_536 }]), ..MAX_FEATURES },
    Setting {
        name: "size",
        alias: &["imgsz", "image_size"],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::List(&Range::Integer { min: 1, max: SIZE_MAX as i64 })]),
        doc: "Height and width that images are brought to, as one number or as [height, width]. auto: the model's where it takes no other, else that of the training images where they share one of at most 256 (or the model's usual size) a side, else the model's usual size.",
    },
    Setting {
        name: "channels",
        alias: &[],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 1, max: 1 }, Range::Integer { min: 3, max: 3 }]),
        doc: "Whether images are grey (1) or in colour (3). auto: as the model takes them, else in colour if any training image is.",
    },
    Setting {
        name: "fit",
        alias: &["resize_mode"],
        default: "auto",
        range: Range::Choice(&["auto", "pad", "resize", "crop"]),
        doc: "How images of another size are brought to it: centred on black, stretched, or the shorter side resized and the middle cut out. auto: crop; pad where training images share a size that is smaller by at most a quarter.",
    },
    Setting {
        name: "crop",
        alias: &["crop_pct"],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Real { min: 0.1, max: 1.0 }]),
        doc: "With fit=crop, the share of the shorter side that is kept. auto: 0.875 where most training images are larger than the size by that much, else 1.",
    },
];

/// How images are brought to one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fit {
    Pad,
    Resize,
    Crop,
}

impl Fit {
    pub fn word(self) -> &'static str {
        match self {
            Fit::Pad => "pad",
            Fit::Resize => "resize",
            Fit::Crop => "crop",
        }
    }

    fn open(word: &str) -> Option<Fit> {
        [Fit::Pad, Fit::Resize, Fit::Crop].into_iter().find(|fit| fit.word() == word)
    }
}

/// What stands in for a missing cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Missing {
    None,
    Mean,
    Median,
    Mode,
    Constant,
    Class,
}

/// How numbers are scaled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scaling {
    None,
    Standard,
    Minmax,
    Robust,
}

/// How categories reach the model.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encode {
    Codes,
    Onehot,
    Ordinal,
    Target,
}

impl Missing {
    pub fn word(self) -> &'static str {
        match self {
            Missing::None => "none",
            Missing::Mean => "mean",
            Missing::Median => "median",
            Missing::Mode => "mode",
            Missing::Constant => "constant",
            Missing::Class => "class",
        }
    }

    fn open(word: &str) -> Option<Missing> {
        use Missing::{Class, Constant, Mean, Median, Mode, None};
        [None, Mean, Median, Mode, Constant, Class].into_iter().find(|missing| missing.word() == word)
    }
}

impl Scaling {
    pub fn word(self) -> &'static str {
        match self {
            Scaling::None => "none",
            Scaling::Standard => "standard",
            Scaling::Minmax => "minmax",
            Scaling::Robust => "robust",
        }
    }

    fn open(word: &str) -> Option<Scaling> {
        [Scaling::None, Scaling::Standard, Scaling::Minmax, Scaling::Robust].into_iter().find(|scaling| scaling.word() == word)
    }
}

impl Encode {
    pub fn word(self) -> &'static str {
        match self {
            Encode::Codes => "codes",
            Encode::Onehot => "onehot",
            Encode::Ordinal => "ordinal",
            Encode::Target => "target",
        }
    }

    fn open(word: &str) -> Option<Encode> {
        [Encode::Codes, Encode::Onehot, Encode::Ordinal, Encode::Target].into_iter().find(|encode| encode.word() == word)
    }
}

/// What is asked for one column; none is left to `auto`.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// The column.
    pub name: String,
    /// What the model wants.
    pub needs: Needs,
    pub indicator: Option<bool>,
    pub encode: Option<Encode>,
    pub rare: Option<u64>,
    pub max_classes: usize,
    pub scale: Option<Scaling>,
    pub max_features: usize,
    pub fill: Option<Value>,
    /// Height and width.
    pub size: Option<[u32; 2]>,
    pub channels: Option<u8>,
    pub fit: Option<Fit>,
    pub crop: Option<f64>,
    /// What the column's own table says, and what the whole table's says.
    missing: [Option<Missing>; 2],
}

impl Choice {
    /// What the column's settings ask for, and where they are silent those of the whole table.
    pub fn new(name: &str, needs: Needs, table: &Settings, column: Option<&Settings>) -> Choice {
        let word = |setting: &str| {
            let said = column.and_then(|column| column.try_text(setting));
            said.filter(|word| *word != "auto").or_else(|| table.try_text(setting))
        };
        let whole = |setting: &str| column.and_then(|column| column.try_integer(setting)).or_else(|| table.try_integer(setting));
        let flag = |settings: &Settings| match settings.value("indicator") {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        };
        let fill = column.map(|column| column.value("fill")).filter(|fill| **fill != Value::Text("auto".into()));
        Choice {
            name: name.to_owned(),
            needs,
            indicator: column.and_then(flag).or_else(|| flag(table)),
            encode: word("encode").and_then(Encode::open),
            rare: whole("rare").map(i64::unsigned_abs),
            max_classes: whole("max_classes").map_or(64, |number| number.unsigned_abs() as usize),
            scale: word("scale").and_then(Scaling::open),
            max_features: whole("max_features").map_or(256, |number| number.unsigned_abs() as usize),
            fill: fill.cloned(),
            size: column.and_then(size),
            channels: column.and_then(|column| column.try_integer("channels")).and_then(|channels| u8::try_from(channels).ok()),
            fit: column.and_then(|column| column.try_text("fit")).and_then(Fit::open),
            crop: column.and_then(|column| column.try_real("crop")),
            missing: [column.and_then(|column| column.try_text("missing")).and_then(Missing::open), Missing::open(table.text("missing"))],
        }
    }

    /// The way with missing cells, out of those that the column's kind has. What the whole table says counts only for
    /// columns that can follow it.
    ///
    /// # Errors
    /// When the column's own setting is none of them.
    pub fn missing(&self, allowed: &[Missing]) -> Result<Option<Missing>> {
        let [own, table] = self.missing;
        match own {
            Some(own) if !allowed.contains(&own) => {
                let words: Vec<&str> = allowed.iter().map(|missing| missing.word()).collect();
                Err(Error::setting(self.key("missing"), own.word(), words.join("|")))
            }
            Some(own) => Ok(Some(own)),
            None => Ok(table.filter(|table| allowed.contains(table))),
        }
    }

    /// Whether the model takes finite numbers only: no missing ones, and no categories.
    pub fn is_dense(&self) -> bool {
        self.needs == Needs::Dense
    }

    /// Whether the model wants numbers filled and scaled.
    pub fn is_scaled(&self) -> bool {
        !matches!(self.needs, Needs::Nothing | Needs::Native)
    }

    /// The dotted recipe key of one of the column's settings.
    pub fn key(&self, setting: &str) -> String {
        format!("inputs.{}.{setting}", quoted(&self.name))
    }
}

/// Height and width, where the column's table says them.
fn size(column: &Settings) -> Option<[u32; 2]> {
    let side = |value: &Value| match value {
        Value::Integer(side) => u32::try_from(*side).ok(),
        _ => None,
    };
    match column.list("size") {
        [both] => side(both).map(|side| [side; 2]),
        [height, width, ..] => Some([side(height)?, side(width)?]),
        [] => None,
    }
}

/// A column name as a segment of a dotted key.
pub(crate) fn quoted(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { name.to_owned() } else { format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")) }
}
