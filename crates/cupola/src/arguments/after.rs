//! What stands behind the options in help texts: keys, exit codes, examples.

pub const AFTER: &str = "\
Keys follow the command as key=value, dots for nesting: cupola train data.csv target=y model=gbdt model.num_leaves=63
`cupola schema` lists every key, `cupola models` every model, `cupola metrics` every measure.

Exit codes: 0 ok, 1 failure, 2 usage or recipe, 3 data or leak gate, 4 quality gate, 5 out of budget, 130 interrupted and saved.
Environment: CUPOLA_HOME is the folder that holds runs/, deploy/ and cache/ (default: the present one); CUPOLA_STORE is a PostgreSQL URL for
what deploy/ keeps in registry.sqlite; NO_COLOR turns colours off. Tables may stand elsewhere: postgres://USER@HOST/DATABASE?table=NAME goes by
PGPASSWORD, ~/.pgpass and what else libpq knows, s3://BUCKET/KEY by AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL.";

pub const AFTER_INIT: &str = "\
Example: cupola init data.csv target=y && cupola train cupola.toml";
pub const AFTER_TRAIN: &str = "\
Examples:
  cupola train data.csv target=y                       the best of a leaderboard, in 60 seconds
  cupola train data.csv target=y model=gbdt test=other.csv
  cupola train data.csv target=y data.split.by=time data.split.key=date
  cupola train postgres://ann@db/shop table=orders target=returned
  cupola train \"s3://bucket/2024/*.parquet\" target=y
  cupola train recipe.toml time=10m                    what is typed goes before what the file says
  cupola train runs/latest/run.toml                    the same model again";
pub const AFTER_COMPARE: &str = "\
Rows are those that are test rows of every run, so none of the models learned from them; data=FILE names others. The p-value is that of a
randomisation test, Holm's with several pairs; the interval that of the paired bootstrap. Runs that were cross-validated on the same folds (cv=10,
cv_repeats=10) are held against each other over these as well, by the corrected resampled t-test.
Keys: data=FILE and those of [data], metrics=[NAMES] (the first decides), eval.ci, eval.draws, seed
Examples:
  cupola compare 1 2
  cupola compare runs/0001-adult-gbdt runs/0002-adult-logistic metrics=[log_loss]
  cupola compare old.cupola new.cupola data=labelled.csv";
pub const AFTER_EVAL: &str = "\
Keys: metrics=[NAMES], slices=auto|none|[COLUMNS], eval.ci, eval.draws, seed, and those of [data]
Gates, exit code 4 when one is not held: gates.MEASURE, gates.slice.worst.MEASURE, gates.group.COLUMN.GAP (demographic_parity, equal_opportunity,
equalized_odds, MEASURE_difference, MEASURE_ratio), gates.coverage, gates.p99_ms, each as \">= NUMBER\" or \"<= NUMBER\"
Examples:
  cupola eval runs/latest data.csv metrics=[accuracy,f1] gates.accuracy=\">= 0.9\"
  cupola eval runs/latest data.csv gates.slice.worst.recall=\">= 0.6\" gates.group.sex.equal_opportunity=\"<= 0.05\"";
pub const AFTER_DOCTOR: &str = "\
Findings are those of the report, labels that look wrong, and columns that say nothing. Each remedy is a change of the recipe, measured by
cross-validation inside the training rows on the same folds as the recipe as it is; its gain comes with an interval. All of it is kept in RUN/doctor.json.
Example: cupola doctor runs/latest time=5m";
pub const AFTER_MODEL_SHOW: &str = "\
Keys: size, channels, classes (what is assumed when there is no data), and model.SETTING=VALUE
Examples:
  cupola model show resnet50
  cupola model show vgg16 size=32 classes=10
  cupola model show runs/latest";
pub const AFTER_PREDICT: &str = "\
Keys: those of [data], as delimiter, encoding, missing_values, bad_rows
Examples:
  cupola predict runs/latest data.csv -o answers.parquet
  generate | cupola predict model.cupola - --bare --format jsonl";

pub const AFTER_FEEDBACK: &str = "\
Labels may come days later, in any order and more than once: what was true last counts, then what came last.
Example: cupola feedback labels.csv name=adult";
pub const AFTER_RETRAIN: &str = "\
Each call does what is next: nothing when no trigger is met; a challenger from the champion's recipe, its data and labelled answers of the
log; a decision once the challenger has answered enough in the shadow. Exit code 4 when a challenger is refused.
Keys of [retrain]: mode, when, window, data, min_labels, holdout, start, budget, cooldown, level, anchor_drop, slice_drop, attain, latency_ratio,
shadow_rows
Example: cupola retrain adult --now retrain.mode=auto retrain.shadow_rows=100";
pub const AFTER_REGISTRY: &str = "\
Models are kept in deploy/, in CUPOLA_HOME or the present folder; CUPOLA_STORE=postgres://... shares registry and labels.
Examples:
  cupola registry add runs/latest name=adult
  cupola serve adult
  cupola registry add runs/latest name=adult alias=challenger
  cupola registry promote adult
  cupola registry rollback adult --why \"complaints\"";
pub const AFTER_PROFILE: &str = "\
Keys: target, sensitive (columns whose groups are compared), ignore, and those of [data], as format, sql, missing_values
Memory does not grow with the rows. Counts, quantiles and frequent values of columns with more than 4,096 distinct values are sketches.
Examples:
  cupola data profile data.csv target=y sensitive=[sex,race] --html profile.html
  cupola data profile \"2024-*.parquet\" --json";
pub const AFTER_CONVERT: &str = "\
CSV, TSV, JSON lines, Parquet, Arrow and ARFF are written; what is read, `cupola schema` lists under data.format. Columns of Parquet, Arrow, ARFF
and JSON lines get the plainest type that all their values have; CSV and TSV get what stood in the file.
Examples:
  cupola data convert data.csv data.parquet
  cupola data convert a.csv b.csv all.arrow decimal=comma
  cupola data convert measures.db out.csv sql=\"select * from data where x > 3\" --force";
pub const AFTER_SPLIT: &str = "\
Keys: those of [data.split], as data.split.by=random|stratified|group|time|hash|column, data.split.key, data.split.ratio; target, group, seed.
`train` with the same keys learns from the same rows.
Examples:
  cupola data split data.csv target=y
  cupola data split data.parquet data.split.by=group data.split.key=person data.split.ratio=[0.7,0.1,0.2] -o parts";
pub const AFTER_LEAKS: &str = "\
The checks of `train`, without the training. Exit code 3 when a leak is certain.
Examples:
  cupola data leaks data.csv target=y
  cupola data leaks data.csv target=y test=other.csv data.split.by=time data.split.key=day";
pub const AFTER_LOCK: &str = "\
Exit code 3 when --check finds a file that was changed, added or removed. A file whose size, time of change and inode are as they were is taken for
unchanged; --full reads every byte.
Examples:
  cupola data lock data/
  cupola data lock --check
  cupola data lock images/ labels.csv -o images.lock";
pub const AFTER_PREVIEW: &str = "\
Examples:
  cupola data preview photos/ augment.policy=standard -o sheet.png
  cupola data preview recipe.toml augment.rotate=15 augment.cutout=8";

/// The keys of `explain`.
pub fn after_explain() -> String {
    let keys: Vec<String> = cupola_train::explain::EXPLAIN
        .iter()
        .map(|setting| format!("  {:<16} {:<12} {}", setting.name, setting.default, setting.doc))
        .collect();
    format!(
        "Without a table the test rows of the model's run are read again. Without row=N all rows are explained: SHAP values, permutation \
         importance, partial dependence, accumulated local effects, interactions. With it one row is: SHAP values, what set.COLUMN=VALUE would \
         change, and the nearest changes that lead to another answer.\n\n\
         Keys, their defaults, and what they say; those of [data] for a table:\n{}\n  {:<16} {:<12} what the row is changed to, a key for each column\n\n\
         Examples:\n  cupola explain runs/latest --html why.html\n  cupola explain runs/latest data.csv columns=[age,income] top=0\n  \
         cupola explain runs/latest data.csv row=17 set.age=40 fixed=[sex,race]\n  \
         cupola explain runs/latest data.csv shap_interactions=10 --interactions pairs.parquet",
        keys.join("\n"),
        "set.COLUMN",
        "",
    )
}

/// The keys that only one verb of `data` has, with examples.
fn after_data(about: &str, settings: &[cupola_task::Setting], examples: &str) -> String {
    let keys: Vec<String> =
        settings.iter().map(|setting| format!("  {:<13} {:<20} {}", setting.name, setting.default, setting.doc)).collect();
    format!("{about}\n\nKeys, their defaults, and what they say; those of [data] as well:\n{}\n\nExamples:\n{examples}", keys.join("\n"))
}

pub fn after_dup() -> String {
    after_data(
        "Columns that name rows do not count, nor do those of `ignore`. Exit code 3 when a split is named (data.split.by=.., or test=FILE) and rows of one \
         side stand on another. About 150 bytes a row are kept in memory, and 300 more of a picture.",
        cupola_data::near::DUP,
        "  cupola data dup data.csv\n  cupola data dup train.csv test=test.csv threshold=0.9\n  cupola data dup data.csv target=y data.split.by=random --json",
    )
}

pub fn after_diff() -> String {
    after_data(
        "Exit code 0 when both hold the same rows and columns, in whatever order; 3 when they differ.",
        cupola_data::diff::DIFF,
        "  cupola data diff old.csv new.csv key=id\n  cupola data diff old.csv new.parquet --json",
    )
}

pub fn after_noise() -> String {
    after_data(
        "Each row is judged by a model that learned from other rows (cross-validation), and suspects are found by confident learning. Further keys: \
         target, model (default gbdt), eval.cv (folds, default 5), seed.",
        cupola_train::NOISE,
        "  cupola data noise data.csv target=y -o suspects.csv\n  cupola data noise data.csv target=y model=logistic eval.cv=10",
    )
}

/// The keys of `monitor`.
pub fn after_monitor() -> String {
    let keys: Vec<String> =
        cupola_watch::MONITOR.iter().map(|setting| format!("  {:<14} {:<8} {}", setting.name, setting.default, setting.doc)).collect();
    format!(
        "Windows of the log are held against what training counted, one after another; exit code 4 when an alarm is raised at the end. A table is one \
         window unless `window` says how many rows; with its targets in it, it is measured, too.\n\n\
         Keys of [monitor], their defaults, and what they say; those of [data] for a table:\n{}\n\n\
         Examples:\n  cupola monitor adult\n  cupola monitor adult --last 30d window=1d --html report.html\n  \
         cupola monitor runs/latest new.csv drift=psi threshold=0.2",
        keys.join("\n")
    )
}

/// A table's keys, their defaults, and what they say.
fn keys(settings: &[cupola_task::Setting]) -> String {
    let keys: Vec<String> =
        settings.iter().map(|setting| format!("  {:<12} {:<8} {}", setting.name, setting.default, setting.doc)).collect();
    keys.join("\n")
}

/// The keys of `tune`.
pub fn after_tune() -> String {
    format!(
        "Keys of [tune], their defaults, and what they say:\n{}\n\n\
         [tune.search] says what is searched: a domain for each key of model, train, augment, data.clean and inputs.COLUMN. A domain is \"LOW..HIGH\", \
         \"log LOW..HIGH\", \"int LOW..HIGH\", \"int log LOW..HIGH\", with \" step S\" behind it, \"choice A, B\", or a list; \" if KEY=VALUE\" makes it \
         exist under a condition. MODEL.SETTING belongs to one of the models that are searched. Without it each model has a space of its own.\n\
         The search is kept in the run's tune/trials.sqlite: `cupola resume RUN` goes on after a kill, to the same bytes.\n\n\
         Examples:\n  cupola tune data.csv target=y model=gbdt trials=100\n  cupola tune data.csv target=y time=10m\n  \
         cupola tune data.csv target=y model=mlp search.train.lr=\"log 1e-4..1e-2\" search.model.dropout=\"0..0.5\"\n  \
         cupola tune data.csv target=y search.model=[gbdt,logistic] search.gbdt.num_leaves=\"int log 4..256\" search.logistic.C=\"log 1e-3..1e3\"",
        keys(cupola_train::tune::TUNE)
    )
}

/// What `plan` does.
pub const AFTER_PLAN: &str = "\
Reads, splits and checks the data as `train` does, then trains on small parts of the rows in a folder that is thrown away, each three times as large as the
one before, and tells what all rows will take by a law through what they took. Ranges are what other readings of the same parts say. With model=auto each
candidate is tried for a moment; with keys of [tune] the trials of `tune` are counted in. Networks are timed by a few steps.

Ends with exit code 5 when the machine has less memory than the training needs.

Examples:
  cupola plan data.csv target=y model=forest
  cupola plan data.csv target=y time=10m
  cupola plan data.csv target=y model=gbdt tune.trials=100 --json";

/// The keys of `learning-curve`.
pub fn after_learning_curve() -> String {
    format!(
        "Keys of [curve], their defaults, and what they say:\n{}\n\n\
         Examples:\n  cupola learning-curve data.csv target=y model=gbdt --html curve.html\n  \
         cupola learning-curve data.csv target=y model=logistic curve.points=8 curve.repeats=10 metrics=[log_loss]",
        keys(cupola_train::learning_curve::CURVE)
    )
}

/// The keys of `serve`, which no recipe holds.
pub fn after_serve() -> String {
    let key = |prefix: &str, setting: &cupola_task::Setting| {
        format!("  {:<18} {:<15} {}", format!("{prefix}{}", setting.name), setting.default, setting.doc)
    };
    let serve = cupola_serve::SETTINGS.iter().map(|setting| key("", setting));
    let keys: Vec<String> = serve.chain(cupola_watch::log::LOG.iter().map(|setting| key("log.", setting))).collect();
    format!(
        "Keys, as key=value or --key value, their defaults, and what they say:\n{}\n\n\
         Examples:\n  cupola serve runs/latest http=127.0.0.1:8000\n  cupola serve adult log=on log.redact=[race,sex]",
        keys.join("\n")
    )
}
