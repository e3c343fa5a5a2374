//! What a recipe may say about preparation, for the whole table and for one column.

use super::balance::SETTINGS as BALANCE;
use super::image::SIZE_MAX;
use super::products::DEGREE_MAX;
use super::text::RUN_MAX;
use cupola_task::{Range, Setting};

const MISSING: Setting = Setting {
    name: "missing",
    alias: &["impute"],
    default: "auto",
    range: Range::Choice(&["auto", "none", "mean", "median", "mode", "constant", "class", "ffill", "knn", "iterative"]),
    doc: "What stands in for a missing cell: its column's mean, median (numbers, dates), mode, a constant (fill), a class of its own (categories). Numbers only: ffill, the last value before it among training rows, in order of time within the group where the table has such keys, else in row order (a row to answer stands alone and gets the training median); knn, the mean of the n_neighbors nearest training rows by all columns of numbers, each scaled by its deviation (at most 4096 training rows are kept, in the model file); iterative, regressions of each column of numbers on all others, in at most 10 rounds (at most 64 columns, 10000 training rows). auto: nothing where the model takes missing values, else median, or a class of its own.",
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
    range: Range::Choice(&["auto", "codes", "onehot", "ordinal", "target", "hash"]),
    doc: "How categories reach the model: as categories, one-hot, as their rank, as the cross-fitted mean of the target, or hashed to n_features elements. auto: as categories where the model takes them, else one-hot, and by target above max_classes; ranks where there are more than 1000 classes and no target of at most 16.",
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
    range: Range::Choice(&["auto", "none", "standard", "minmax", "robust", "power", "quantile", "quantile_normal"]),
    doc: "How numbers are scaled: to mean 0 and deviation 1, to 0..1, by median and quartiles; by the power that makes them most like a normal distribution (Yeo-Johnson), then to mean 0 and deviation 1; as their place among the quantiles of the training rows, or as the normal number of that place. auto: standard where the model wants it, else not.",
};
const BINS: Setting = Setting {
    name: "bins",
    alias: &["n_bins"],
    default: "auto",
    range: Range::Any(&[Range::Choice(&["auto", "none"]), Range::Integer { min: 2, max: 1000 }]),
    doc: "Into how many bins numbers are put, after missing cells are filled. auto: none.",
};
const BIN_STRATEGY: Setting = Setting {
    name: "bin_strategy",
    alias: &[],
    default: "auto",
    range: Range::Choice(&["auto", "uniform", "quantile", "kmeans"]),
    doc: "What bins have in common: their width, their number of training rows, or that they lie around the centres of k-means. auto: quantile.",
};
const BIN_ENCODE: Setting = Setting {
    name: "bin_encode",
    alias: &[],
    default: "auto",
    range: Range::Choice(&["auto", "onehot", "ordinal"]),
    doc: "How bins reach the model: one-hot, or as their number. auto: one-hot where the model takes numbers only, else their number.",
};
const N_FEATURES: Setting = Setting {
    name: "n_features",
    alias: &["hash_size"],
    default: "256",
    range: Range::Integer { min: 1, max: 65_536 },
    doc: "To how many elements encode=hash and text=hash take what they hash; no vocabulary is kept.",
};
const DATES: Setting = Setting {
    name: "dates",
    alias: &["date_encoding"],
    default: "auto",
    range: Range::Choice(&["auto", "parts", "cyclic"]),
    doc: "How dates reach the model: as year, month, day, weekday, hour, minute and days since 1970; or with month, weekday, hour and day of the year as sine and cosine, so that December is beside January. Parts that do not vary are left out. auto: parts.",
};
const MAX_FEATURES: Setting = Setting {
    name: "max_features",
    alias: &["vocabulary"],
    default: "auto",
    range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 1, max: 65_536 }]),
    doc: "How many words of a text column are weighed (TF-IDF): those in most training rows. auto: 256; up to 4,096 for models that take numbers only.",
};
const TEXT: Setting = Setting {
    name: "text",
    alias: &["text_encoding"],
    default: "auto",
    range: Range::Choice(&["auto", "tfidf", "count", "hash", "vectors"]),
    doc: "How texts reach the model: tokens weighed by TF-IDF, counted, or counted and hashed to n_features elements without a vocabulary; or the mean of the vectors of their words, which a file gives (vectors). auto: tfidf.",
};
const ANALYZER: Setting = Setting {
    name: "analyzer",
    alias: &[],
    default: "auto",
    range: Range::Choice(&["auto", "word", "char", "char_wb"]),
    doc: "What texts are cut into: words, runs of characters, or runs of characters that do not go beyond a word. auto: word.",
};
const NGRAM_RANGE: Setting = Setting {
    name: "ngram_range",
    alias: &["ngrams"],
    default: "auto",
    range: Range::Any(&[Range::Choice(&["auto"]), Range::List(&Range::Integer { min: 1, max: RUN_MAX })]),
    doc: "The shortest and the longest run of words or characters. auto: [1, 1].",
};
const SUBLINEAR_TF: Setting = Setting {
    name: "sublinear_tf",
    alias: &[],
    default: "auto",
    range: Range::Any(&[Range::Choice(&["auto"]), Range::Flag]),
    doc: "Whether a token's count weighs as 1 + ln(count). auto: false.",
};
const NORM: Setting = Setting {
    name: "norm",
    alias: &[],
    default: "auto",
    range: Range::Choice(&["auto", "none", "l1", "l2"]),
    doc: "What the weights of a text are divided by: nothing, their sum, or their length. auto: l2; none for text=count.",
};
const MIN_DF: Setting = Setting {
    name: "min_df",
    alias: &[],
    default: "auto",
    range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 1, max: i64::MAX }, Range::Real { min: 0.0, max: 1.0 }]),
    doc: "In how many training texts a token must be at least, as a number or as a share below 1. auto: 1.",
};
const MAX_DF: Setting = Setting {
    name: "max_df",
    alias: &[],
    default: "auto",
    range: Range::Any(&[Range::Choice(&["auto"]), Range::Real { min: 0.0, max: 1.0 }, Range::Integer { min: 2, max: i64::MAX }]),
    doc: "In how many training texts a token may be at most, as a number above 1 or as a share. auto: all.",
};
const VECTORS: Setting = Setting {
    name: "vectors",
    alias: &["embeddings"],
    default: "\"\"",
    range: Range::Text,
    doc: "The file of words and their vectors for text=vectors: GloVe's or word2vec's text format. The vectors of at most 20000 words of the training texts go into the model file, which needs no other file then.",
};

const OUTLIERS: Setting = Setting {
    name: "outliers",
    alias: &["outlier_strategy"],
    default: "auto",
    range: Range::Choice(&["auto", "none", "clip", "flag", "drop"]),
    doc: "What is done about numbers far from the others: nothing, taken back to the bound, marked by 0 and 1 in a column of their own, or their training rows left out and counted (rows that measure stay). auto: none.",
};
const OUTLIER_METHOD: Setting = Setting {
    name: "outlier_method",
    alias: &[],
    default: "auto",
    range: Range::Choice(&["auto", "iqr", "zscore", "quantile"]),
    doc: "Where outliers begin: outlier_factor times the distance of the quartiles beyond them (Tukey), so many standard deviations from the mean, or that share of the training rows at either end. A column whose spread is 0 has none. auto: iqr.",
};
const OUTLIER_FACTOR: Setting = Setting {
    name: "outlier_factor",
    alias: &["outlier_threshold"],
    default: "auto",
    range: Range::Any(&[Range::Choice(&["auto"]), Range::Real { min: 0.0, max: 1e6 }]),
    doc: "How far outlier_method goes. auto: 1.5 for iqr, 3 for zscore, 0.01 for quantile.",
};
const CATEGORIES: Setting = Setting {
    name: "categories",
    alias: &["spelling"],
    default: "auto",
    range: Range::Choice(&["auto", "keep", "trim", "fold"]),
    doc: "Which spellings of a class are one: none, those that differ in white space or in how an accent is written (trim), or also in case and in compatible forms such as full width (fold). The most frequent spelling names the class; what was merged is counted. auto: keep.",
};

/// What a recipe may say in `[data.clean]` about preparing all columns.
pub const SETTINGS: &[Setting] = &[
    MISSING,
    INDICATOR,
    Setting {
        name: "n_neighbors",
        alias: &["knn_neighbors"],
        default: "5",
        range: Range::Integer { min: 1, max: 100 },
        doc: "How many training rows missing=knn takes the mean of.",
    },
    OUTLIERS,
    OUTLIER_METHOD,
    OUTLIER_FACTOR,
    CATEGORIES,
    Setting {
        name: "conflicts",
        alias: &[],
        default: "keep",
        range: Range::Choice(&["keep", "drop"]),
        doc: "What to do about training rows with equal inputs and different classes of the target: keep them, or leave all of them out. They are counted in either case.",
    },
    ENCODE,
    RARE,
    MAX_CLASSES,
    SCALE,
    Setting {
        name: "n_quantiles",
        alias: &[],
        default: "1000",
        range: Range::Integer { min: 2, max: 10_000 },
        doc: "How many quantiles scale=quantile and quantile_normal keep.",
    },
    BINS,
    BIN_STRATEGY,
    BIN_ENCODE,
    N_FEATURES,
    DATES,
    Setting {
        name: "differences",
        alias: &["date_differences"],
        default: "false",
        range: Range::Flag,
        doc: "Whether the days between every two dates of a row are columns, too (at most 64).",
    },
    MAX_FEATURES,
    TEXT,
    ANALYZER,
    NGRAM_RANGE,
    SUBLINEAR_TF,
    NORM,
    MIN_DF,
    MAX_DF,
    VECTORS,
    Setting {
        name: "degree",
        alias: &["poly_degree"],
        default: "1",
        range: Range::Integer { min: 1, max: DEGREE_MAX as i64 },
        doc: "Up to how many prepared numbers are multiplied with each other (and with themselves), beside the numbers: at most 4096 products. Marks of missing cells and outliers are not multiplied.",
    },
    Setting {
        name: "interaction_only",
        alias: &[],
        default: "false",
        range: Range::Flag,
        doc: "Whether degree leaves out products of a number with itself.",
    },
    Setting {
        name: "interact",
        alias: &[],
        default: "[]",
        range: Range::List(&Range::Text),
        doc: "The columns that degree multiplies; none named: all that are prepared as numbers.",
    },
    Setting {
        name: "select",
        alias: &["feature_selection"],
        default: "none",
        range: Range::Choice(&["none", "variance", "f_test", "chi2", "mutual_info"]),
        doc: "Which prepared features the model sees: all; those whose variance is above variance_threshold; or the k that tell most about the target, by the F statistic, chi-squared (features of at least 0), or mutual information (of at most 10000 training rows). A column of categories counts as one feature, by the best of its one-hot columns. What is left out is told.",
    },
    Setting {
        name: "k",
        alias: &["k_best"],
        default: "10",
        range: Range::Integer { min: 1, max: 1_000_000 },
        doc: "How many features select keeps.",
    },
    Setting {
        name: "variance_threshold",
        alias: &[],
        default: "0",
        range: Range::Real { min: 0.0, max: f64::MAX },
        doc: "What the variance of a feature must be above, for select=variance.",
    },
    BALANCE[0],
    BALANCE[1],
    BALANCE[2],
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
    OUTLIERS,
    OUTLIER_METHOD,
    OUTLIER_FACTOR,
    CATEGORIES,
    ENCODE,
    RARE,
    Setting { default: "auto", range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 2, max: 4096 }]), ..MAX_CLASSES },
    SCALE,
    BINS,
    BIN_STRATEGY,
    BIN_ENCODE,
    Setting { default: "auto", range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 1, max: 65_536 }]), ..N_FEATURES },
    DATES,
    MAX_FEATURES,
    TEXT,
    ANALYZER,
    NGRAM_RANGE,
    SUBLINEAR_TF,
    NORM,
    MIN_DF,
    MAX_DF,
    VECTORS,
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
