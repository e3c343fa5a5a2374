//! What can be typed.

mod after;

use after::{
    AFTER, AFTER_COMPARE, AFTER_CONVERT, AFTER_DOCTOR, AFTER_EVAL, AFTER_FEEDBACK, AFTER_INIT, AFTER_LEAKS, AFTER_LOCK, AFTER_MODEL_SHOW,
    AFTER_PLAN, AFTER_PREDICT, AFTER_PREVIEW, AFTER_PROFILE, AFTER_REGISTRY, AFTER_RETRAIN, AFTER_SPLIT, AFTER_TRAIN, after_diff,
    after_dup, after_explain, after_learning_curve, after_monitor, after_noise, after_serve, after_tune,
};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;

/// Trains, measures, keeps and serves models.
#[derive(Parser)]
#[command(name = "cupola", version, about = "The whole life of a trained model: data in, a measured model out, a server that answers", after_help = AFTER, max_term_width = 110)]
pub struct Arguments {
    /// Print one JSON object a line instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print results and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Subcommand)]
pub enum Command {
    /// Write a recipe from data: types, target and split guessed and commented
    #[command(after_help = AFTER_INIT)]
    Init(InitArguments),
    /// Check a recipe, and its data when that is there, without training
    Check(RecipeArguments),
    /// Print the JSON Schema of recipes, for editors
    Schema,
    /// Train a model from a table or a recipe
    #[command(after_help = AFTER_TRAIN)]
    Train(RecipeArguments),
    /// Search settings by cross-validation, then train with the best
    #[command(after_help = after_tune())]
    Tune(RecipeArguments),
    /// Tell what a training will take before it starts: time and memory, from trainings on parts of the rows, or a network's timed steps
    #[command(after_help = AFTER_PLAN)]
    Plan(RecipeArguments),
    /// Go on with a run that was cut off: a network from its last checkpoint, a search from its last trial, to the same bytes
    Resume {
        /// Run folder, or the run's name, number or `latest`
        run: String,
    },
    /// Hold models against each other on the same test rows: which difference is more than chance
    #[command(after_help = AFTER_COMPARE)]
    Compare {
        /// Model files, run folders, or runs' names, numbers or `latest`, then key=value
        #[arg(value_name = "MODEL|KEY=VALUE", required = true)]
        arguments: Vec<String>,
    },
    /// Tell how much more data would help: training on parts of the rows, and a law through the points
    #[command(after_help = after_learning_curve())]
    LearningCurve(CurveArguments),
    /// Measure a model on labelled data
    #[command(after_help = AFTER_EVAL)]
    Eval(DataArguments),
    /// Say what is wrong with a run's model, try remedies, and tell which ones help
    #[command(after_help = AFTER_DOCTOR)]
    Doctor(DoctorArguments),
    /// Say why a model answers as it does: on all rows, or on one
    #[command(after_help = after_explain())]
    Explain(ExplainArguments),
    /// Answer rows: the table that comes in goes out with predictions
    #[command(after_help = AFTER_PREDICT)]
    Predict(PredictArguments),
    /// Prove that a model file answers as it did when it was written
    Verify {
        /// Model file, run folder, or a run's name, number or `latest`
        #[arg(value_hint = ValueHint::AnyPath)]
        model: PathBuf,
    },
    /// Answer over HTTP: predict, Open Inference Protocol, metrics, a page to try the model
    #[command(after_help = after_serve())]
    Serve {
        /// Names of the registry, model files or run folders, then key=value
        #[arg(value_name = "MODEL|KEY=VALUE", required = true)]
        arguments: Vec<String>,
    },
    /// Keep labels that came late: a table with the columns id, label and, if you like, at
    #[command(after_help = AFTER_FEEDBACK)]
    Feedback {
        /// Data file, - for standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: String,
        /// name=NAME of the registry, target=COLUMN; not needed where there is only one
        #[arg(value_name = "KEY=VALUE")]
        pairs: Vec<String>,
    },
    /// The prediction log: as a table with its labels, and what it is to forget
    Log {
        #[command(subcommand)]
        command: LogCommand,
    },
    /// Say what moved since training: drift, data quality, live and estimated quality
    #[command(after_help = after_monitor())]
    Monitor(MonitorArguments),
    /// Make the next step from labels to a better model: train a challenger, try it, promote it, or say why not
    #[command(after_help = AFTER_RETRAIN)]
    Retrain(RetrainArguments),
    /// Compare two versions on the labelled answers of the log: what would have happened
    Backtest(BacktestArguments),
    /// Deployed models: versions of a name, which of them answers, and every decision
    #[command(after_help = AFTER_REGISTRY)]
    Registry {
        #[command(subcommand)]
        command: RegistryCommand,
    },
    /// Look at tables and keep them in order: profile, leaks, label noise, duplicates, splits, formats, versions
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// List, show and remove runs
    Runs {
        #[command(subcommand)]
        command: Option<RunsCommand>,
    },
    /// List the models, or show the settings of one
    Models {
        /// A model's name
        name: Option<String>,
    },
    /// Look into a model
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// List the measures
    Metrics,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What `train` and `check` take.
#[derive(Args)]
pub struct RecipeArguments {
    /// Data files or a recipe (.toml), then key=value
    #[arg(value_name = "DATA|RECIPE|KEY=VALUE")]
    pub arguments: Vec<String>,
    /// Let the recipe's [tiny] table override the rest: a quick try on little data
    #[arg(long)]
    pub tiny: bool,
}

/// What `learning-curve` takes.
#[derive(Args)]
pub struct CurveArguments {
    #[command(flatten)]
    pub recipe: RecipeArguments,
    /// Write the curve as a page, too
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

/// What `init` takes.
#[derive(Args)]
pub struct InitArguments {
    /// Data files, then key=value
    #[arg(value_name = "DATA|KEY=VALUE", required = true)]
    pub arguments: Vec<String>,
    /// Where to write the recipe; - is standard output
    #[arg(short, long, default_value = "cupola.toml", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Replace a recipe that is there
    #[arg(long)]
    pub force: bool,
}

/// What `eval` takes.
#[derive(Args)]
pub struct DataArguments {
    /// Model file, run folder, or a run's name, number or `latest`
    #[arg(value_hint = ValueHint::AnyPath)]
    pub model: PathBuf,
    /// Data files, - for standard input, then key=value
    #[arg(value_name = "DATA|KEY=VALUE", required = true)]
    pub arguments: Vec<String>,
}

/// What `doctor` takes.
#[derive(Args)]
pub struct DoctorArguments {
    /// Run folder, or the run's name, number or `latest`
    #[arg(value_hint = ValueHint::AnyPath)]
    pub run: String,
    /// time=TIME that remedies are tried for; default: 60 seconds
    #[arg(value_name = "KEY=VALUE")]
    pub pairs: Vec<String>,
}

/// What `explain` takes.
#[derive(Args)]
pub struct ExplainArguments {
    /// Model file, run folder, or a run's name, number or `latest`
    #[arg(value_hint = ValueHint::AnyPath)]
    pub model: PathBuf,
    /// Data files, - for standard input, then key=value
    #[arg(value_name = "DATA|KEY=VALUE")]
    pub arguments: Vec<String>,
    /// Write the explanation as a page, too
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
    /// Write all SHAP interaction values of the rows: row, first, second, shap; the ending chooses the format (trees only)
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub interactions: Option<PathBuf>,
}

/// What `predict` takes.
#[derive(Args)]
pub struct PredictArguments {
    #[command(flatten)]
    pub data: DataArguments,
    /// Where to write; the ending chooses the format; default: standard output in the format that came in
    #[arg(short, long, value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// csv, tsv, jsonl, parquet, arrow or arff, whatever the ending says
    #[arg(long)]
    pub format: Option<String>,
    /// Write the prediction columns only
    #[arg(long)]
    pub bare: bool,
}

/// What `model` takes.
#[derive(Subcommand)]
pub enum ModelCommand {
    /// Show a network's layers: shapes, parameters, work and time
    #[command(after_help = AFTER_MODEL_SHOW)]
    Show {
        /// A network's name, a model file, run folder, or a run's name, number or `latest`
        #[arg(value_name = "NAME|RUN")]
        named: String,
        /// For a name: size, channels and classes, and settings as key=value
        #[arg(value_name = "KEY=VALUE")]
        pairs: Vec<String>,
    },
}

/// What `monitor` takes.
#[derive(Args)]
pub struct MonitorArguments {
    /// A name of the registry, whose log is read; with a table also a model file, run folder, or a run's name, number or `latest`
    #[arg(value_name = "NAME|MODEL", value_hint = ValueHint::AnyPath)]
    pub named: String,
    /// A data file to look at in place of the log, - for standard input, then key=value
    #[arg(value_name = "DATA|KEY=VALUE")]
    pub arguments: Vec<String>,
    /// A data file that windows are held against, in place of the training rows
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub reference: Option<String>,
    /// How far back in the log, as 30d; default: the whole log
    #[arg(long, value_name = "TIME")]
    pub last: Option<String>,
    /// The folder that the server's log.to names, when it is not deploy/
    #[arg(long, value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
    /// Write the report as a page, too
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
    /// Where raised alarms are posted, as JSON
    #[arg(long, value_name = "URL")]
    pub webhook: Option<String>,
}

/// What `retrain` takes.
#[derive(Args)]
pub struct RetrainArguments {
    /// The model's name in the registry
    pub name: String,
    /// Train now, whether a trigger of retrain.when is met or not
    #[arg(long)]
    pub now: bool,
    /// The folder that the server's log.to names, when it is not deploy/
    #[arg(long, value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
    /// Recipe keys that go before the champion's recipe
    #[arg(value_name = "KEY=VALUE")]
    pub pairs: Vec<String>,
}

/// What `backtest` takes.
#[derive(Args)]
pub struct BacktestArguments {
    /// The model's name in the registry
    pub name: String,
    /// A version's number or alias; default: champion
    pub first: Option<String>,
    /// Another; default: challenger
    pub second: Option<String>,
    /// How far back, as 30d; default: the whole log
    #[arg(long)]
    pub window: Option<String>,
    /// The folder that the server's log.to names, when it is not deploy/
    #[arg(long, value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
}

/// What `log` takes.
#[derive(Subcommand)]
pub enum LogCommand {
    /// Write what was asked with what turned out to be true, as a table to learn from
    Export {
        /// The model's name
        name: String,
        /// Where to write; the ending chooses the format; default: CSV to standard output
        #[arg(short, long, value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// The folder that the server's log.to names, when it is not deploy/
        #[arg(long, value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
        /// Labelled rows only
        #[arg(long)]
        labelled: bool,
    },
    /// Remove a person's rows and their labels
    Forget {
        /// The model's name
        name: String,
        /// key=VALUE as requests said it in x-key, id=VALUE, or INPUT=VALUE
        #[arg(value_name = "COLUMN=VALUE")]
        what: String,
        /// The folder that the server's log.to names, when it is not deploy/
        #[arg(long, value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
    },
}

/// What `registry` takes.
#[derive(Subcommand)]
pub enum RegistryCommand {
    /// Add a model as the next version of a name; the first version becomes its champion
    Add {
        /// Model file, run folder, or a run's name, number or `latest`
        #[arg(value_hint = ValueHint::AnyPath)]
        model: PathBuf,
        /// name=NAME (default: the run's label), alias=ALIAS
        #[arg(value_name = "KEY=VALUE")]
        pairs: Vec<String>,
    },
    /// List deployed models
    Ls {
        /// A model's name
        name: Option<String>,
    },
    /// Point an alias to a version, or take it away
    Alias {
        /// The model's name
        name: String,
        /// champion, challenger, or one of your own
        alias: String,
        /// A version's number or another alias; without one the alias is taken away
        version: Option<String>,
        /// A reason, kept with the decision
        #[arg(short, long)]
        why: Option<String>,
    },
    /// Make a version the champion: servers exchange it within a second
    Promote {
        /// The model's name
        name: String,
        /// A version's number or alias; default: the challenger
        version: Option<String>,
        /// A reason, kept with the decision
        #[arg(short, long)]
        why: Option<String>,
    },
    /// Go back to the champion before the present one
    Rollback {
        /// The model's name
        name: String,
        /// A reason, kept with the decision
        #[arg(short, long)]
        why: Option<String>,
    },
    /// Show every decision about a model
    Log {
        /// The model's name
        name: String,
    },
}

/// What `data` takes.
#[derive(Subcommand)]
pub enum DataCommand {
    /// Tell what a table holds: types, missing values, distributions, what deserves a look, groups and their labels
    #[command(after_help = AFTER_PROFILE)]
    Profile(ProfileArguments),
    /// Look for leaks: what a model could know in training and not when it is used
    #[command(after_help = AFTER_LEAKS)]
    Leaks(RecipeArguments),
    /// Find labels that are likely wrong
    #[command(after_help = after_noise())]
    Noise(NoiseArguments),
    /// Find rows that repeat others, wholly or nearly, within and across splits
    #[command(after_help = after_dup())]
    Dup(DupArguments),
    /// Write training, validation and test rows into files, cut as `train` cuts them
    #[command(after_help = AFTER_SPLIT)]
    Split(SplitArguments),
    /// Write a table in another format
    #[command(after_help = AFTER_CONVERT)]
    Convert(ConvertArguments),
    /// Keep files by their content in data.lock, and check that they are as they were
    #[command(after_help = AFTER_LOCK)]
    Lock(LockArguments),
    /// Tell what differs between two versions of a table: columns, rows, cells, distributions
    #[command(after_help = after_diff())]
    Diff(DiffArguments),
    /// Draw a sheet of training images: as they are prepared, and as epochs will show them
    #[command(after_help = AFTER_PREVIEW)]
    Preview(PreviewArguments),
}

/// What `data profile` takes.
#[derive(Args)]
pub struct ProfileArguments {
    /// Data files, - for standard input, then key=value
    #[arg(value_name = "DATA|KEY=VALUE", required = true)]
    pub arguments: Vec<String>,
    /// Write one page with pictures, too, of 1 MB at most
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

/// What `data noise` takes.
#[derive(Args)]
pub struct NoiseArguments {
    /// Data files or a recipe (.toml), then key=value
    #[arg(value_name = "DATA|RECIPE|KEY=VALUE", required = true)]
    pub arguments: Vec<String>,
    /// Write suspects as a table; the ending chooses the format
    #[arg(short, long, value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

/// What `data dup` takes.
#[derive(Args)]
pub struct DupArguments {
    /// Data files or a recipe (.toml), then key=value
    #[arg(value_name = "DATA|RECIPE|KEY=VALUE", required = true)]
    pub arguments: Vec<String>,
}

/// What `data split` takes.
#[derive(Args)]
pub struct SplitArguments {
    /// Data files or a recipe (.toml), then key=value
    #[arg(value_name = "DATA|RECIPE|KEY=VALUE", required = true)]
    pub arguments: Vec<String>,
    /// The folder to write into; default: the present one
    #[arg(short, long, value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// csv, tsv, jsonl, parquet, arrow or arff; default: the format that came in
    #[arg(long)]
    pub format: Option<String>,
    /// Write the side of each row, too, for data.split.keep
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub sides: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

/// What `data convert` takes.
#[derive(Args)]
pub struct ConvertArguments {
    /// Data files, then where to write, then key=value
    #[arg(value_name = "DATA|OUT|KEY=VALUE", required = true)]
    pub arguments: Vec<String>,
    /// csv, tsv, jsonl, parquet, arrow or arff, whatever the ending says
    #[arg(long)]
    pub format: Option<String>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

/// What `data lock` takes.
#[derive(Args)]
pub struct LockArguments {
    /// Files and folders
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// The lock; paths are kept relative to its folder
    #[arg(short, long, default_value = "data.lock", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Hold what was locked against the disk
    #[arg(long)]
    pub check: bool,
    /// Read every byte, whatever times and sizes say
    #[arg(long, requires = "check")]
    pub full: bool,
    /// Replace a file that is no lock
    #[arg(long)]
    pub force: bool,
}

/// What `data diff` takes.
#[derive(Args)]
pub struct DiffArguments {
    /// Two data files, then key=value
    #[arg(value_name = "DATA|KEY=VALUE", required = true)]
    pub arguments: Vec<String>,
}

/// What `data preview` takes.
#[derive(Args)]
pub struct PreviewArguments {
    #[command(flatten)]
    pub recipe: RecipeArguments,
    /// Where to write the PNG file; default: runs/preview.png
    #[arg(short, long, value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Rows of the sheet: how many images
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub rows: u8,
    /// Columns beside the first: how many epochs' views of each image
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub views: u8,
}

/// What `runs` takes.
#[derive(Subcommand)]
pub enum RunsCommand {
    /// List runs with model and main score
    Ls,
    /// Show a run: its name, number or `latest`
    Show {
        /// Its name, its number or `latest`
        run: String,
    },
    /// Remove runs
    Rm {
        /// Their names or numbers
        #[arg(required = true)]
        runs: Vec<String>,
    },
}

/// The long flags of the command that is typed; every other `--key value` or `--key=value` is a recipe key.
fn flags(words: &[OsString]) -> Vec<String> {
    let root = Arguments::command();
    let mut path = vec![&root];
    for word in words.iter().skip(1).filter_map(|word| word.to_str()) {
        match path.last().and_then(|command| command.find_subcommand(word)) {
            Some(command) => path.push(command),
            None if word.starts_with('-') => {}
            None => break,
        }
    }
    let longs = path.iter().flat_map(|command| command.get_arguments()).filter_map(|argument| argument.get_long());
    longs.chain(["help", "version", ""]).map(str::to_owned).collect()
}

/// Writes `--train.lr 1e-3` and `--train.lr=1e-3` as `train.lr=1e-3`, the one form that commands read.
pub fn as_pairs(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let words: Vec<OsString> = words.collect();
    let flags = flags(&words);
    let mut pairs = Vec::new();
    let mut words = words.into_iter().peekable();
    let mut is_literal = false;
    while let Some(word) = words.next() {
        is_literal |= word == "--";
        let key = word.to_str().and_then(|word| word.strip_prefix("--")).filter(|_| !is_literal);
        match key {
            Some(key) if flags.iter().all(|flag| flag != key.split('=').next().unwrap_or(key)) => match key.contains('=') {
                true => pairs.push(key.into()),
                false => {
                    let value = words
                        .next_if(|next| !next.to_string_lossy().starts_with("--") && !next.to_string_lossy().contains('='))
                        .unwrap_or_else(|| "true".into());
                    let mut pair = OsString::from(key);
                    pair.push("=");
                    pair.push(value);
                    pairs.push(pair);
                }
            },
            _ => pairs.push(word),
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_pairs() {
        for (typed, wanted) in [
            ("cupola train x.csv --train.lr 1e-3 --json", "cupola train x.csv train.lr=1e-3 --json"),
            ("cupola train x.csv --target=y -q", "cupola train x.csv target=y -q"),
            ("cupola predict m d -o out.csv --format csv", "cupola predict m d -o out.csv --format csv"),
            ("cupola monitor m --window 500 --last 30d", "cupola monitor m window=500 --last 30d"),
            ("cupola --json backtest m --window 30d", "cupola --json backtest m --window 30d"),
            ("cupola serve m --insecure", "cupola serve m insecure=true"),
            ("cupola serve m --insecure http=0.0.0.0:80", "cupola serve m insecure=true http=0.0.0.0:80"),
        ] {
            let words = typed.split(' ').map(OsString::from);
            assert_eq!(as_pairs(words).join(&OsString::from(" ")), wanted);
        }
    }

    #[test]
    fn definitions_are_sound() {
        Arguments::command().debug_assert();
    }
}
