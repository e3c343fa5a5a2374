//! Every key a recipe can use: the lists of the crates below, chained under their tables.

use crate::models::models;
use cupola_task::{Range, Setting, Task};
use serde_json::{Map, Value as Json, json};

/// The keys at the top of a recipe.
pub const KEYS: &[Setting] = &[
    Setting {
        name: "task",
        alias: &[],
        default: "auto",
        range: Range::Choice(&["auto", "classify", "regress"]),
        doc: "What is to be learned about the targets; auto: categories are classified, numbers regressed.",
    },
    Setting {
        name: "target",
        alias: &["targets", "label", "label_col"],
        default: "[]",
        range: Range::List(&Range::Text),
        doc: "The column or columns to predict.",
    },
    Setting {
        name: "weight",
        alias: &["weights", "sample_weight"],
        default: "\"\"",
        range: Range::Text,
        doc: "The column that says how much a row counts.",
    },
    Setting {
        name: "group",
        alias: &["groups"],
        default: "\"\"",
        range: Range::Text,
        doc: "The column whose rows belong together: a patient, a site. No group may be on two sides of a split.",
    },
    Setting {
        name: "ignore",
        alias: &["drop"],
        default: "[]",
        range: Range::List(&Range::Text),
        doc: "Columns the model may not look at.",
    },
    Setting {
        name: "sensitive",
        alias: &[],
        default: "[]",
        range: Range::List(&Range::Text),
        doc: "Columns whose groups must be treated alike; the model does not look at them.",
    },
    Setting {
        name: "seed",
        alias: &["random_state"],
        default: "7",
        range: Range::Integer { min: 0, max: i64::MAX },
        doc: "Everything random is a function of it.",
    },
    Setting {
        name: "time",
        alias: &["time_limit", "max_time"],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Real { min: 0.1, max: 1e9 }, Range::Text]),
        doc: "Time limit in seconds, or as 90s, 5m, 2h; auto: at most 60 seconds for model=auto, none for a named model. A time that is said is used by model=auto as far as a search finds anything better.",
    },
    Setting {
        name: "threads",
        alias: &["n_jobs", "num_threads", "workers"],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 1, max: 1024 }]),
        doc: "Threads to use; auto: one a core. The result does not depend on it.",
    },
    Setting {
        name: "device",
        alias: &[],
        default: "auto",
        range: Range::Choice(&["auto", "cpu", "gpu"]),
        doc: "Where networks compute; auto: the graphics card when this build has support for one, else the processor.",
    },
    Setting { name: "name", alias: &[], default: "\"\"", range: Range::Text, doc: "A name for the run; empty: data and model." },
    Setting {
        name: "golden",
        alias: &[],
        default: "shuffled",
        range: Range::Choice(&["real", "shuffled", "off"]),
        doc: "The 64 rows kept in the model file to prove its answers at every load: real rows, rows with each column shuffled so that no real row is told, or none.",
    },
];

/// The keys of `[data]` beside those of the readers.
pub const DATA: &[Setting] = &[
    Setting {
        name: "train",
        alias: &["path", "dataset"],
        default: "\"\"",
        range: FILES,
        doc: "The file, folder or pattern (2024-*.csv) to learn from, or a list of files; - is standard input.",
    },
    Setting {
        name: "test",
        alias: &[],
        default: "\"\"",
        range: FILES,
        doc: "The file, folder, pattern or list of files to measure on, instead of rows of data.train.",
    },
    Setting {
        name: "sql",
        alias: &["query"],
        default: "\"\"",
        range: Range::Text,
        doc: "A query that makes the table: `data` is what train names (or test, to measure on), other tables stand in [data.tables]; empty: the table as it is.",
    },
];

/// Files of a table.
const FILES: Range = Range::Any(&[Range::Text, Range::List(&Range::Text)]);

/// The keys of `[data.clean]` beside those of the preparation.
pub const CLEAN: &[Setting] = &[
    Setting {
        name: "leaks",
        alias: &[],
        default: "deny",
        range: Range::Choice(&["deny", "warn", "off"]),
        doc: "What to do when test rows could be known in training: stop, warn, or do not look.",
    },
    Setting {
        name: "duplicates",
        alias: &[],
        default: "keep",
        range: Range::Choice(&["keep", "drop"]),
        doc: "Whether rows that stand in the file twice are used twice; dropped rows are counted.",
    },
    Setting {
        name: "missing_target",
        alias: &[],
        default: "deny",
        range: Range::Choice(&["deny", "drop"]),
        doc: "Rows without a target: refuse the file, or leave them out and count them.",
    },
];

/// The keys of `[inputs.NAME]` beside those of the preparation.
pub const INPUT: &[Setting] = &[Setting {
    name: "type",
    alias: &[],
    default: "auto",
    range: Range::Choice(&["auto", "number", "category", "binary", "date", "text", "id", "image", "constant"]),
    doc: "What the column holds.",
}];

/// The keys of `[outputs.NAME]`.
pub const OUTPUT: &[Setting] = &[
    Setting {
        name: "type",
        alias: &[],
        default: "auto",
        range: Range::Choice(&["auto", "number", "category", "binary", "labels"]),
        doc: "What the target holds; number makes it a regression, labels takes each cell as a list of labels, of which each has a model of its own (binary relevance).",
    },
    Setting {
        name: "separator",
        alias: &[],
        default: "auto",
        range: Range::Text,
        doc: "What stands between the labels of a cell, or json for JSON lists; said, it makes the target one of labels. auto: a semicolon, a bar or a comma where what it parts comes back in other cells, and JSON where all cells are such lists.",
    },
    Setting {
        name: "min_rows",
        alias: &[],
        default: "5",
        range: Range::Integer { min: 1, max: i64::MAX },
        doc: "How many training rows a label must have to be learned. Others are counted and told.",
    },
    Setting {
        name: "max_labels",
        alias: &[],
        default: "100",
        range: Range::Integer { min: 1, max: 2000 },
        doc: "How many labels of a list are learned, the most frequent ones.",
    },
    Setting {
        name: "categories",
        alias: &["spelling"],
        default: "auto",
        range: Range::Choice(&["auto", "keep", "trim", "fold"]),
        doc: "Which spellings of the target's classes, or labels, are one, as data.clean.categories says it of inputs. The most frequent spelling names the class, what was merged is counted, and rows that come later are read in the same way. auto: as data.clean.categories says.",
    },
    Setting {
        name: "positive",
        alias: &["pos_label"],
        default: "\"\"",
        range: Range::Any(&[
            Range::Text,
            Range::Integer { min: i64::MIN, max: i64::MAX },
            Range::Flag,
            Range::Real { min: f64::MIN, max: f64::MAX },
        ]),
        doc: "The class that counts as positive; empty: the last in order.",
    },
    Setting {
        name: "costs",
        alias: &[],
        default: "[]",
        range: Range::List(&Range::List(&Range::Real { min: f64::MIN, max: f64::MAX })),
        doc: "What answers cost: for each true class a list of costs, one for each answered class, in the order of the classes; or by names, as outputs.y.costs.TRUTH.ANSWER = 5. The class of least expected cost is answered.",
    },
];

/// The keys of `[eval]`.
pub const EVAL: &[Setting] = &[
    Setting {
        name: "metrics",
        alias: &[],
        default: "auto",
        range: Range::List(&Range::Text),
        doc: "Measures to report, the first one decides; auto: all that suit the task.",
    },
    Setting {
        name: "ci",
        alias: &["confidence"],
        default: "0.95",
        range: Range::Real { min: 0.5, max: 0.999 },
        doc: "The level of every interval.",
    },
    Setting {
        name: "draws",
        alias: &["n_bootstrap"],
        default: "1000",
        range: Range::Integer { min: 50, max: 100_000 },
        doc: "Bootstrap draws for an interval.",
    },
    Setting {
        name: "importance",
        alias: &[],
        default: "true",
        range: Range::Flag,
        doc: "Whether to measure how much the score falls when a column is shuffled, and what each column adds (SHAP) where that is cheap.",
    },
    Setting {
        name: "mistakes",
        alias: &["errors"],
        default: "10",
        range: Range::Integer { min: 0, max: 200 },
        doc: "How many of the worst test rows the report shows with their inputs; 0 keeps rows out of it. golden=off leaves them out, too.",
    },
    Setting {
        name: "slices",
        alias: &[],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto", "none"]), Range::List(&Range::Text)]),
        doc: "Columns in which groups of test rows are sought whose loss is larger than that of the others; auto: all, none: do not look.",
    },
    Setting {
        name: "cv",
        alias: &["folds"],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 2, max: 50 }]),
        doc: "Folds of the cross-validation behind model=auto (auto: 5, for large tables 3); said for a named model, every measure is reported over so many folds of the training rows.",
    },
    Setting {
        name: "cv_repeats",
        alias: &["n_repeats"],
        default: "1",
        range: Range::Integer { min: 1, max: 100 },
        doc: "How often a named model's cross-validation is made, each time with other folds. Intervals of means over folds are those of the corrected resampled t-test.",
    },
    Setting {
        name: "nested_cv",
        alias: &[],
        default: "off",
        range: Range::Any(&[Range::Choice(&["off"]), Range::Integer { min: 2, max: 20 }]),
        doc: "Outer folds in which the whole choice of model=auto or of tune is made again, each time from the other folds alone: the score there is honest about choosing.",
    },
];

/// The key of `[model]` beside those of the model.
pub const MODEL: &[Setting] = &[Setting {
    name: "name",
    alias: &[],
    default: "auto",
    range: Range::Text,
    doc: "A model of `cupola models`, or auto: the best of a cross-validated leaderboard.",
}];

/// Short forms, and names from other systems, with the path they stand for.
const SHORT: &[(&[&str], &[&str])] = &[
    (&["model"], &["model", "name"]),
    (&["metric"], &["eval", "metrics"]),
    (&["data"], &["data", "train"]),
    (&["test"], &["data", "test"]),
    (&["sql"], &["data", "sql"]),
    (&["sheet"], &["data", "sheet"]),
    (&["table"], &["data", "sheet"]),
    (&["max_memory"], &["data", "max_memory"]),
    (&["leaks"], &["data", "clean", "leaks"]),
    (&["duplicates"], &["data", "clean", "duplicates"]),
    (&["missing"], &["data", "clean", "missing"]),
    (&["outliers"], &["data", "clean", "outliers"]),
    (&["conflicts"], &["data", "clean", "conflicts"]),
    (&["balance"], &["data", "clean", "balance"]),
    (&["select"], &["data", "clean", "select"]),
    (&["metrics"], &["eval", "metrics"]),
    (&["cv"], &["eval", "cv"]),
    (&["cv_repeats"], &["eval", "cv_repeats"]),
    (&["nested_cv"], &["eval", "nested_cv"]),
    (&["slices"], &["eval", "slices"]),
    (&["calibrate"], &["decision", "calibrate"]),
    (&["threshold"], &["decision", "threshold"]),
    (&["interval"], &["decision", "interval"]),
    (&["intervals"], &["decision", "intervals"]),
    (&["split"], &["data", "split", "by"]),
    (&["epochs"], &["train", "epochs"]),
    (&["batch"], &["train", "batch"]),
    (&["lr"], &["train", "lr"]),
    (&["precision"], &["train", "precision"]),
    (&["trials"], &["tune", "trials"]),
    (&["sampler"], &["tune", "sampler"]),
    (&["pruner"], &["tune", "pruner"]),
    (&["train", "seed"], &["seed"]),
    (&["train", "time"], &["time"]),
    (&["train", "threads"], &["threads"]),
    (&["train", "device"], &["device"]),
    (&["data", "clean", "sensitive"], &["sensitive"]),
];

/// The one path of a key that may be written in a short form or under an alias of the lists above.
pub fn canonical(path: Vec<String>) -> Vec<String> {
    if let Some(searched) = searched(&path) {
        return ["tune".to_owned(), "search".to_owned(), searched].into();
    }
    let same = |short: &[&str]| path.iter().map(String::as_str).eq(short.iter().copied());
    if let [outputs, _, model] = path.as_slice()
        && outputs == "outputs"
        && model == "model"
    {
        return path.into_iter().chain(["name".to_owned()]).collect();
    }
    if let Some((_, long)) = SHORT.iter().find(|(short, _)| same(short)) {
        return long.iter().map(|&segment| segment.to_owned()).collect();
    }
    let Some((last, prefix)) = path.split_last() else { return path };
    let named = lists(&prefix.iter().map(String::as_str).collect::<Vec<_>>())
        .into_iter()
        .flatten()
        .find(|setting| setting.alias.contains(&last.as_str()))
        .map(|setting| setting.name.to_owned());
    match named {
        Some(name) => prefix.iter().cloned().chain([name]).collect(),
        None => path,
    }
}

/// The key that stands behind `tune.search` or its short form `search`, as one dotted name.
fn searched(path: &[String]) -> Option<String> {
    let name = match path {
        [tune, search, name @ ..] if tune == "tune" && search == "search" => name,
        [search, name @ ..] if search == "search" => name,
        _ => return None,
    };
    let quoted = |segment: &String| {
        if segment.contains(['.', '"', '\'']) { toml::Value::String(segment.clone()).to_string() } else { segment.clone() }
    };
    match name {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(many.iter().map(quoted).collect::<Vec<_>>().join(".")),
    }
}

/// The lists of keys that a table takes, without those of a model; empty for an unknown table.
pub fn lists(table: &[&str]) -> Vec<&'static [Setting]> {
    match table {
        [] => vec![KEYS],
        ["data"] => vec![DATA, cupola_data::ReadOptions::SETTINGS],
        ["data", "split"] => vec![cupola_data::split::SETTINGS],
        ["data", "images"] => vec![cupola_data::ImageOptions::SETTINGS],
        ["data", "clean"] => vec![CLEAN, cupola_data::prepare::SETTINGS],
        ["data", "lag"] => vec![cupola_data::lags::SETTINGS],
        ["inputs", _] => vec![INPUT, cupola_data::prepare::COLUMN_SETTINGS],
        ["outputs", _] => vec![OUTPUT, crate::postprocess::DECISION],
        ["model"] | ["outputs", _, "model"] => vec![MODEL],
        ["augment"] => cupola_data::augment::Augment::settings(),
        ["train"] => vec![crate::networks::TRAIN, cupola_nets::optim::SETTINGS],
        ["save"] => vec![crate::networks::SAVE],
        ["decision"] => vec![crate::postprocess::DECISION],
        ["eval"] => vec![EVAL],
        ["tune"] => vec![crate::tune::TUNE],
        ["curve"] => vec![crate::learning_curve::CURVE],
        ["monitor"] => vec![cupola_watch::MONITOR],
        ["retrain"] => vec![cupola_watch::policy::RETRAIN],
        _ => vec![],
    }
}

/// Every key that can be written without naming a column, as dotted names, for "did you mean".
pub fn names() -> Vec<String> {
    let tables: [&[&str]; 16] = [
        &[],
        &["data"],
        &["data", "split"],
        &["data", "images"],
        &["data", "clean"],
        &["data", "lag"],
        &["augment"],
        &["model"],
        &["train"],
        &["save"],
        &["decision"],
        &["eval"],
        &["tune"],
        &["curve"],
        &["monitor"],
        &["retrain"],
    ];
    let mut names: Vec<String> = tables
        .iter()
        .flat_map(|table| {
            lists(table).into_iter().flatten().map(|setting| table.iter().copied().chain([setting.name]).collect::<Vec<_>>().join("."))
        })
        .collect();
    names.extend(SHORT.iter().map(|(short, _)| short.join(".")));
    names
}

/// The JSON Schema (draft 2020-12) of recipe files, for editors that complete and check TOML.
pub fn json_schema() -> Json {
    let table = |path: &[&str]| object(&lists(path));
    let mut top = properties(&lists(&[]));
    let mut data = properties(&lists(&["data"]));
    data.insert("split".into(), table(&["data", "split"]));
    data.insert("images".into(), table(&["data", "images"]));
    data.insert("clean".into(), table(&["data", "clean"]));
    data.insert("lag".into(), table(&["data", "lag"]));
    let files = json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] });
    let tables = "Further tables of data.sql: a name for each file, folder, pattern or list of files.";
    data.insert("tables".into(), json!({ "type": "object", "description": tables, "additionalProperties": files }));
    for short in SHORT.iter().filter(|(short, _)| short.len() == 1 && !matches!(short[0], "model" | "data")) {
        let (last, prefix) = short.1.split_last().expect("a path has a segment");
        let setting = lists(prefix).into_iter().flatten().find(|setting| setting.name == *last).expect("short forms stand for keys");
        top.insert(short.0[0].into(), property(setting));
    }
    top.insert("data".into(), json!({ "type": "object", "properties": data, "additionalProperties": false }));
    top.insert("inputs".into(), json!({ "type": "object", "additionalProperties": table(&["inputs", "*"]) }));
    let mut output = table(&["outputs", "*"]);
    let matrix = output["properties"]["costs"].take();
    let named = json!({ "type": "object", "additionalProperties": { "type": "object", "additionalProperties": { "type": "number" } } });
    output["properties"]["costs"] = json!({ "anyOf": [matrix, named] });
    output["properties"]["model"] = model_schema();
    top.insert("outputs".into(), json!({ "type": "object", "additionalProperties": output }));
    top.insert("augment".into(), table(&["augment"]));
    top.insert("train".into(), table(&["train"]));
    top.insert("save".into(), table(&["save"]));
    top.insert("decision".into(), table(&["decision"]));
    top.insert("eval".into(), table(&["eval"]));
    let mut tune = table(&["tune"]);
    let search = "What is searched: a domain for each key, as \"log 1e-5..1e-2\", \"int 15..255\", \"choice a, b\" or a list; \" if KEY=VALUE\" behind it.";
    let domain = json!({ "anyOf": [{ "type": "string" }, { "type": "array" }] });
    tune["properties"]["search"] = json!({ "type": "object", "description": search, "additionalProperties": domain });
    top.insert("tune".into(), tune);
    top.insert("curve".into(), table(&["curve"]));
    top.insert("monitor".into(), table(&["monitor"]));
    top.insert("retrain".into(), table(&["retrain"]));
    top.insert(
        "gates".into(),
        json!({ "type": "object", "description": "Measures that must hold, as \">= 0.7\".", "additionalProperties": { "type": "string" } }),
    );
    top.insert("model".into(), model_schema());
    top.insert("tiny".into(), json!({ "type": "object", "description": "Keys that --tiny puts over the rest." }));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Cupola recipe",
        "type": "object",
        "properties": top,
        "additionalProperties": false,
    })
}

fn model_schema() -> Json {
    let names: Vec<&str> = std::iter::once("auto").chain(models().map(|model| model.name)).collect();
    let each: Vec<Json> = models()
        .map(|model| {
            let mut properties = properties(&[model.settings]);
            properties.insert("name".into(), json!({ "const": model.name }));
            json!({ "type": "object", "description": model.doc, "properties": properties, "required": ["name"], "additionalProperties": false })
        })
        .collect();
    json!({ "anyOf": [{ "type": "string", "enum": names }, { "type": "object", "properties": { "name": { "const": "auto" } }, "additionalProperties": false }, { "oneOf": each }] })
}

fn object(lists: &[&'static [Setting]]) -> Json {
    json!({ "type": "object", "properties": properties(lists), "additionalProperties": false })
}

fn properties(lists: &[&'static [Setting]]) -> Map<String, Json> {
    let each = lists.iter().copied().flatten();
    each.flat_map(|setting| {
        std::iter::once(setting.name).chain(setting.alias.iter().copied()).map(move |name| (name.to_owned(), property(setting)))
    })
    .collect()
}

fn property(setting: &Setting) -> Json {
    let mut schema = range_schema(&setting.range);
    schema["description"] = json!(setting.doc);
    schema["default"] = serde_json::to_value(setting.default_value()).expect("a setting's value is plain data");
    schema
}

fn range_schema(range: &Range) -> Json {
    match range {
        Range::Flag => json!({ "type": "boolean" }),
        Range::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Range::Real { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Range::Choice(words) => json!({ "enum": words }),
        Range::Text => json!({ "type": "string" }),
        Range::List(item) => json!({ "anyOf": [range_schema(item), { "type": "array", "items": range_schema(item) }] }),
        Range::Any(ranges) => json!({ "anyOf": ranges.iter().map(range_schema).collect::<Vec<_>>() }),
    }
}

/// The word a recipe uses for a task.
pub fn task_word(task: Task) -> String {
    format!("{task:?}").to_lowercase()
}
