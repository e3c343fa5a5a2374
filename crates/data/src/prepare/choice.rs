//! What a column's settings and the whole table's ask for together.

use super::text::How;
use cupola_task::{Error, Needs, Result, Settings, Value};
use serde::{Deserialize, Serialize};

/// An enumeration whose members are words of recipes and of model files.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$own:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
        pub(crate) enum $name { $($(#[$own])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// The word that stands for it.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// What a word stands for; none for `auto`.
            pub fn open(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// How images are brought to one size.
    Fit { Pad = "pad", Resize = "resize", Crop = "crop" }
}

words! {
    /// What stands in for a missing cell.
    Missing {
        None = "none",
        Mean = "mean",
        Median = "median",
        Mode = "mode",
        Constant = "constant",
        Class = "class",
        /// The last value before it.
        Forward = "ffill",
        /// The mean of the nearest training rows.
        Neighbours = "knn",
        /// What the other columns say.
        Iterative = "iterative",
    }
}

words! {
    /// How numbers are scaled.
    Scaling {
        None = "none",
        Standard = "standard",
        Minmax = "minmax",
        Robust = "robust",
        /// Yeo and Johnson's power, then standard.
        Power = "power",
        /// The place among the training values.
        Quantile = "quantile",
        /// The normal number of that place.
        QuantileNormal = "quantile_normal",
    }
}

words! {
    /// What the bins of a number have in common: width, rows, or a centre.
    BinRule { Uniform = "uniform", Quantile = "quantile", Kmeans = "kmeans" }
}

words! {
    /// How bins reach the model.
    BinEncode { Onehot = "onehot", Ordinal = "ordinal" }
}

words! {
    /// What is done about outliers.
    Outliers { None = "none", Clip = "clip", Flag = "flag", Drop = "drop" }
}

words! {
    /// What makes a number an outlier: its distance from the quartiles, from the mean, or its rank.
    OutlierRule { Quartiles = "iqr", Deviations = "zscore", Quantile = "quantile" }
}

/// Which spellings of a class are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// None: each is a class of its own.
    #[default]
    Keep,
    /// Those that differ in white space, or in how an accent is written.
    Trim,
    /// Those that differ in case and compatible forms as well.
    Fold,
}

impl Spelling {
    /// What a recipe's word stands for; none for `auto`.
    pub fn open(word: &str) -> Option<Spelling> {
        match word {
            "keep" => Some(Spelling::Keep),
            "trim" => Some(Spelling::Trim),
            "fold" => Some(Spelling::Fold),
            _ => None,
        }
    }

    /// The word that stands for it.
    pub fn word(self) -> &'static str {
        match self {
            Spelling::Keep => "keep",
            Spelling::Trim => "trim",
            Spelling::Fold => "fold",
        }
    }
}

words! {
    /// How texts reach the model.
    TextEncode { Tfidf = "tfidf", Count = "count", Hash = "hash", Vectors = "vectors" }
}

words! {
    /// What texts are cut into.
    Analyzer {
        Word = "word",
        Char = "char",
        /// Runs of characters that do not go beyond a word.
        CharWb = "char_wb",
    }
}

words! {
    /// What weights of a text are divided by: their length, their sum, or nothing.
    Norm { None = "none", L1 = "l1", L2 = "l2" }
}

/// A number of texts, or a share of them.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Frequency {
    Texts(u64),
    Share(f64),
}

impl Frequency {
    /// Of so many texts.
    pub fn of(self, texts: f64) -> f64 {
        match self {
            Frequency::Texts(count) => count as f64,
            Frequency::Share(share) => share * texts,
        }
    }

    /// As a recipe says it.
    pub fn value(self) -> Value {
        match self {
            Frequency::Texts(count) => Value::Integer(i64::try_from(count).unwrap_or(i64::MAX)),
            Frequency::Share(share) => Value::Real(share),
        }
    }

    fn open(value: &Value) -> Option<Frequency> {
        match value {
            Value::Integer(count) => Some(Frequency::Texts(count.unsigned_abs())),
            Value::Real(share) => Some(Frequency::Share(*share)),
            _ => None,
        }
    }
}

words! {
    /// By what features are chosen.
    Select { None = "none", Variance = "variance", FTest = "f_test", Chi2 = "chi2", MutualInfo = "mutual_info" }
}

words! {
    /// How categories reach the model.
    Encode { Codes = "codes", Onehot = "onehot", Ordinal = "ordinal", Target = "target", Hash = "hash" }
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
    pub n_quantiles: usize,
    /// How many bins, where numbers are put into some.
    pub bins: Option<usize>,
    pub bin_rule: Option<BinRule>,
    pub bin_encode: Option<BinEncode>,
    pub outliers: Option<Outliers>,
    pub outlier_rule: Option<OutlierRule>,
    pub outlier_factor: Option<f64>,
    pub spelling: Spelling,
    pub max_features: Option<usize>,
    /// How texts are cut and weighed.
    pub text: How,
    /// The file of words' vectors.
    pub vectors: Option<String>,
    /// To how many elements texts are hashed.
    pub n_features: usize,
    /// Whether dates go round in circles.
    pub cyclic: bool,
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
        let said = Said { table, column };
        let fill = column.map(|column| column.value("fill")).filter(|fill| **fill != Value::Text("auto".into()));
        Choice {
            name: name.to_owned(),
            needs,
            indicator: if let Value::Flag(flag) = said.value("indicator") { Some(*flag) } else { None },
            encode: Encode::open(said.word("encode")),
            rare: said.whole("rare").map(|rows| rows as u64),
            max_classes: said.whole("max_classes").unwrap_or(64),
            scale: Scaling::open(said.word("scale")),
            n_quantiles: table.integer("n_quantiles").unsigned_abs() as usize,
            bins: said.whole("bins"),
            bin_rule: BinRule::open(said.word("bin_strategy")),
            bin_encode: BinEncode::open(said.word("bin_encode")),
            outliers: Outliers::open(said.word("outliers")),
            outlier_rule: OutlierRule::open(said.word("outlier_method")),
            outlier_factor: said.number("outlier_factor"),
            spelling: Spelling::open(said.word("categories")).unwrap_or(Spelling::Keep),
            max_features: said.whole("max_features"),
            n_features: said.whole("n_features").unwrap_or(256),
            cyclic: said.word("dates") == "cyclic",
            text: how(needs, &said),
            vectors: Some(said.word("vectors")).filter(|path| !path.is_empty()).map(str::to_owned),
            fill: fill.cloned(),
            size: column.and_then(size),
            channels: column.and_then(|column| column.try_integer("channels")).and_then(|channels| u8::try_from(channels).ok()),
            fit: column.and_then(|column| column.try_text("fit")).and_then(Fit::open),
            crop: column.and_then(|column| column.try_real("crop")),
            missing: match needs {
                // Who looks at no input needs no cell filled from others.
                Needs::Nothing => [None, None],
                _ => [column.and_then(|column| column.try_text("missing")).and_then(Missing::open), Missing::open(table.text("missing"))],
            },
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

/// What is said about a column: its own setting where that says something, else the whole table's.
struct Said<'a> {
    table: &'a Settings,
    column: Option<&'a Settings>,
}

impl<'a> Said<'a> {
    fn value(&self, setting: &str) -> &'a Value {
        let is_said = |value: &&Value| !matches!(value, Value::Text(word) if matches!(word.as_str(), "auto" | ""));
        self.column.map(|column| column.value(setting)).filter(is_said).unwrap_or_else(|| self.table.value(setting))
    }

    /// Nothing where it is no word.
    fn word(&self, setting: &str) -> &'a str {
        if let Value::Text(word) = self.value(setting) { word } else { "" }
    }

    fn whole(&self, setting: &str) -> Option<usize> {
        if let Value::Integer(number) = self.value(setting) { Some(number.unsigned_abs() as usize) } else { None }
    }

    fn number(&self, setting: &str) -> Option<f64> {
        match self.value(setting) {
            Value::Real(number) => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            _ => None,
        }
    }
}

/// How texts are cut and weighed. Who looks at no input needs no vectors of words.
fn how(needs: Needs, said: &Said<'_>) -> How {
    let plain = How::default();
    let encode = TextEncode::open(said.word("text")).filter(|encode| *encode != TextEncode::Vectors || needs != Needs::Nothing);
    let encode = encode.unwrap_or(plain.encode);
    let size = |value: &Value| if let Value::Integer(size) = value { size.unsigned_abs() as usize } else { 1 };
    let ngrams = match said.value("ngram_range") {
        Value::List(sizes) if !sizes.is_empty() => [size(&sizes[0]), size(&sizes[sizes.len() - 1])],
        _ => plain.ngrams,
    };
    How {
        encode,
        analyzer: Analyzer::open(said.word("analyzer")).unwrap_or(plain.analyzer),
        ngrams,
        sublinear: *said.value("sublinear_tf") == Value::Flag(true),
        norm: match encode {
            TextEncode::Count => Norm::None,
            _ => Norm::open(said.word("norm")).unwrap_or(plain.norm),
        },
        texts: [Frequency::open(said.value("min_df")), Frequency::open(said.value("max_df"))],
        n_features: said.whole("n_features").filter(|_| encode == TextEncode::Hash).unwrap_or(plain.n_features),
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
