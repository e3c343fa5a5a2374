//! A checked recipe: every name known, every value in range, every default filled in.

mod outputs;

use crate::gates::{QualityGate, gates};
use crate::models::model;
use crate::postprocess::DecisionPlan;
use crate::recipe::{self, Entry, Origin, Recipe};
use crate::tune::TuneOptions;
use crate::{Error, Result};
use cupola_data::augment::Augment;
use cupola_data::prepare::Spelling;
use cupola_data::{ColumnType, ImageOptions, Input, ReadOptions};
use cupola_metrics::METRICS;
use cupola_task::{ImageNeeds, Make, MetricDef, ModelDef, Needs, Setting, Settings, Task, Value, Where, nearest};
use cupola_watch::MonitorOptions;
use cupola_watch::policy::Policy;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use outputs::LABELS;
use outputs::outputs;
pub use outputs::{LabelsPlan, OutputPlan};

/// What to do about findings of the leak check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeakGate {
    /// Stop the run.
    Deny,
    /// Say so and go on.
    Warn,
    /// Do not look.
    Off,
}

/// Which rows prove a model file's answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Golden {
    /// Rows of the data.
    Real,
    /// Rows whose columns are shuffled one by one.
    Shuffled,
    /// None.
    Off,
}

/// The model to train.
#[derive(Clone)]
pub enum Choice {
    /// The best of a cross-validated leaderboard.
    Auto,
    /// This one.
    Named(&'static ModelDef, Settings),
}

/// What is said about one input column.
#[derive(Clone, Debug)]
pub struct InputPlan {
    /// Its type, when said.
    pub column_type: Option<ColumnType>,
    /// How to prepare it.
    pub prepare: Settings,
}

/// Where slices are sought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SlicePlan {
    /// In all columns.
    #[default]
    Auto,
    /// Nowhere.
    None,
    /// In these.
    Columns(Vec<String>),
}

impl SlicePlan {
    fn from_settings(eval: &Settings) -> SlicePlan {
        match eval.value("slices") {
            Value::Text(word) if word == "none" => SlicePlan::None,
            Value::List(_) => SlicePlan::Columns(texts(eval, "slices")),
            _ => SlicePlan::Auto,
        }
    }

    /// Whether a column is looked at.
    pub fn takes(&self, column: &str) -> bool {
        match self {
            SlicePlan::Auto => true,
            SlicePlan::None => false,
            SlicePlan::Columns(columns) => columns.iter().any(|known| known == column),
        }
    }
}

/// A checked recipe.
#[derive(Clone)]
pub struct Plan {
    /// What it was made from.
    pub recipe: Recipe,
    /// Columns to predict.
    pub targets: Vec<String>,
    /// What to learn about them; none: by their type.
    pub task: Option<Task>,
    /// The column of weights.
    pub weight: Option<String>,
    /// The column whose groups stay on one side of every split.
    pub group: Option<String>,
    /// Columns the model may not look at.
    pub ignore: Vec<String>,
    /// Columns whose groups are compared.
    pub sensitive: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The time limit.
    pub time: Option<Duration>,
    /// Threads; none: one a core.
    pub threads: Option<usize>,
    /// The run's name; empty: made from data and model.
    pub name: String,
    /// Which rows go into the model file.
    pub golden: Golden,
    /// The file to learn from.
    pub train: Input,
    /// The file to measure on.
    pub test: Option<Input>,
    /// How to read them.
    pub read: ReadOptions,
    /// How to split.
    pub split: Settings,
    /// What to do about leaks.
    pub leaks: LeakGate,
    /// Whether repeated rows are left out.
    pub drops_duplicates: bool,
    /// Whether rows without a target are left out.
    pub drops_missing_target: bool,
    /// How to prepare all columns.
    pub prepare: Settings,
    /// Which columns are made of earlier rows: the recipe's `[data.lag]`.
    pub lag: Settings,
    /// What is said about single inputs.
    pub inputs: BTreeMap<String, InputPlan>,
    /// What is said about single targets.
    pub outputs: BTreeMap<String, OutputPlan>,
    /// What is done to the answers for targets of which nothing else is said: the recipe's `[decision]`.
    pub decision: DecisionPlan,
    /// How training images are changed at random; it opens as an [`Augment`](cupola_data::augment::Augment).
    pub augment: Settings,
    /// The model.
    pub model: Choice,
    /// How networks learn: the recipe's `[train]`.
    pub training: Settings,
    /// When checkpoints are written: the recipe's `[save]`.
    pub saving: Settings,
    /// Where networks compute.
    pub device: Where,
    /// The measures; none: all that suit the task.
    pub metrics: Option<Vec<&'static MetricDef>>,
    /// The level of intervals.
    pub level: f64,
    /// Bootstrap draws.
    pub draws: usize,
    /// Whether to measure importance.
    pub importance: bool,
    /// Where slices are sought.
    pub slices: SlicePlan,
    /// How many of the worst test rows the report shows.
    pub mistakes: usize,
    /// Folds of the leaderboard's cross-validation; none: by size.
    pub folds: Option<usize>,
    /// How often a named model is cross-validated.
    pub repeats: u64,
    /// Outer folds of a nested cross-validation.
    pub nested: Option<usize>,
    /// What the measures must keep.
    pub gates: Vec<QualityGate>,
    /// When the model is trained again once it is deployed.
    pub retrain: Policy,
    /// How its answers are watched, as the recipe says it.
    pub monitor: Settings,
}

impl Plan {
    /// What is said about a target; of a label, what is said about its list where nothing is said about the label.
    pub fn output(&self, target: &str) -> Option<&OutputPlan> {
        let of_list = |column: &&String| target.strip_prefix(column.as_str()).is_some_and(|rest| rest.starts_with(':'));
        let list = || self.targets.iter().filter(of_list).find_map(|column| self.outputs.get(column));
        self.outputs.get(target).or_else(|| if self.targets.iter().any(|known| known == target) { None } else { list() })
    }

    /// Which spellings of a target's classes are one: what is said about the target, or about all columns.
    pub fn spelling(&self, target: &str) -> Spelling {
        let own = self.output(target).and_then(|output| output.spelling);
        own.or_else(|| Spelling::open(self.prepare.text("categories"))).unwrap_or_default()
    }

    /// Checks a recipe. No file is opened.
    ///
    /// # Errors
    /// The first key or value that is wrong, with its place and the nearest that would be right.
    pub fn check(recipe: Recipe) -> Result<Plan> {
        check_tables(&recipe)?;
        let top = settings(&recipe, &[])?;
        let data = settings(&recipe, &["data"])?;
        let clean = settings(&recipe, &["data", "clean"])?;
        let eval = settings(&recipe, &["eval"])?;
        let gates = gates(&recipe)?;
        TuneOptions::check(&recipe)?;
        let Some(train) = input(&recipe, &data, "train")? else {
            return Err(Error::recipe("command line", "no data")
                .with_hint("cupola train DATA target=COLUMN, or [data] train = \"...\" in a recipe"));
        };
        let test = input(&recipe, &data, "test")?;
        let targets = texts(&top, "target");
        let (model, inputs, outputs) = (choice(&recipe, &["model"])?, inputs(&recipe)?, outputs(&recipe, &targets)?);
        let mut recipe = recipe;
        if let Choice::Named(def, _) = &model {
            recipe.rename(&["model"], def.settings);
        }
        for (name, output) in &outputs {
            if let Some(Choice::Named(def, _)) = &output.model {
                recipe.rename(&["outputs", name, "model"], def.settings);
            }
        }
        Ok(Plan {
            targets: targets.into_iter().filter(|name| !name.is_empty()).collect(),
            task: match top.text("task") {
                "classify" => Some(Task::Classify),
                "regress" => Some(Task::Regress),
                _ => None,
            },
            weight: filled(top.text("weight")),
            group: filled(top.text("group")),
            ignore: texts(&top, "ignore"),
            sensitive: texts(&top, "sensitive"),
            seed: top.integer("seed").unsigned_abs(),
            time: duration(&recipe, &top)?,
            threads: top.try_integer("threads").map(|threads| threads as usize),
            name: checked_name(&recipe, top.text("name"))?,
            golden: match top.text("golden") {
                "real" => Golden::Real,
                "off" => Golden::Off,
                _ => Golden::Shuffled,
            },
            train,
            test,
            read: ReadOptions { images: image_options(&recipe, &model, &inputs)?, ..ReadOptions::from_settings(&data)? },
            split: settings(&recipe, &["data", "split"])?,
            leaks: match clean.text("leaks") {
                "warn" => LeakGate::Warn,
                "off" => LeakGate::Off,
                _ => LeakGate::Deny,
            },
            drops_duplicates: clean.text("duplicates") == "drop",
            drops_missing_target: clean.text("missing_target") == "drop",
            prepare: clean,
            lag: settings(&recipe, &["data", "lag"])?,
            inputs,
            outputs,
            decision: DecisionPlan::from_settings(&settings(&recipe, &["decision"])?),
            augment: augment(&recipe)?,
            model,
            training: settings(&recipe, &["train"])?,
            saving: saving(&recipe)?,
            device: device(top.text("device")),
            metrics: metrics(&recipe, &eval, &gates)?,
            level: eval.real("ci"),
            draws: eval.integer("draws") as usize,
            importance: eval.flag("importance"),
            slices: SlicePlan::from_settings(&eval),
            mistakes: if top.text("golden") == "off" { 0 } else { eval.integer("mistakes") as usize },
            folds: eval.try_integer("cv").map(|folds| folds as usize),
            repeats: eval.integer("cv_repeats").unsigned_abs(),
            nested: eval.try_integer("nested_cv").map(|folds| folds as usize),
            gates,
            retrain: policy(&recipe)?,
            monitor: monitor(&recipe)?,
            recipe,
        })
    }

    /// The same, where validation rows would decide nothing, with these rows among the training rows: `model=auto` makes folds of its own. A ratio that was said holds.
    ///
    /// # Errors
    /// When the recipe's split cannot be read.
    pub(crate) fn with_rows_that_teach(&self) -> Result<Plan> {
        let mut plan = self.clone();
        let choices = self.outputs.values().filter_map(|output| output.model.as_ref()).chain([&self.model]);
        let learns = self.outputs.values().map(|output| &output.decision).chain([&self.decision]).any(DecisionPlan::learns);
        let is_auto = choices.into_iter().all(|choice| matches!(choice, Choice::Auto));
        // Where models of folds are not kept, the last fit stops early on validation rows.
        let keeps_folds = self.split.text("by") != "time" && self.read.max_memory.is_none();
        if is_auto && !learns && keeps_folds && self.recipe.entry(&["data", "split", "ratio"]).is_none() {
            let path = ["data", "split", "ratio"].map(str::to_owned).to_vec();
            let ratio = [0.9, 0.0, 0.1].map(Value::Real).to_vec();
            plan.recipe.set(path, Value::List(ratio), Origin::Auto, "auto");
            plan.split = settings(&plan.recipe, &["data", "split"])?;
        }
        Ok(plan)
    }
}

/// What `data.train` or `data.test` names, below the query when there is one.
fn input(recipe: &Recipe, data: &Settings, key: &str) -> Result<Option<Input>> {
    let Some(input) = Input::of(data.value(key)) else { return Ok(None) };
    let table = |(name, entry): (&str, &Entry)| match Input::of(&entry.value) {
        Some(input) => Ok((name.to_owned(), input)),
        None => Err(Error::recipe(&entry.place, format!("data.tables.{name}: found no file, wanted a file or a list of files"))),
    };
    let tables = recipe.table(&["data", "tables"]).map(table).collect::<Result<_>>()?;
    Ok(Some(input.queried(data.text("sql"), tables)?))
}

/// The recipe's `[retrain]`.
fn policy(recipe: &Recipe) -> Result<Policy> {
    Policy::from_settings(&settings(recipe, &["retrain"])?).map_err(in_recipe)
}

/// The recipe's `[monitor]`.
fn monitor(recipe: &Recipe) -> Result<Settings> {
    let settings = settings(recipe, &["monitor"])?;
    MonitorOptions::from_settings(&settings).map_err(in_recipe)?;
    Ok(settings)
}

fn in_recipe(error: cupola_watch::Error) -> Error {
    let wrong = Error::recipe("recipe", &error);
    match cupola_task::Fault::hint(&error) {
        Some(hint) => wrong.with_hint(hint),
        None => wrong,
    }
}

fn texts(settings: &Settings, name: &str) -> Vec<String> {
    settings.list(name).iter().map(plain).collect()
}

/// A value without quotes.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Every path of the recipe leads into a known table.
fn check_tables(recipe: &Recipe) -> Result<()> {
    for (path, entry) in recipe.iter() {
        let (last, table) = path.split_last().expect("a path has a segment");
        let table: Vec<&str> = table.iter().map(String::as_str).collect();
        let is_known = match table.as_slice() {
            ["gates", ..] | ["model"] | ["data", "tables"] | ["tune", "search"] | ["outputs", _, "model"] | ["outputs", _, "costs", _] => {
                true
            }
            table => recipe::lists(table).into_iter().flatten().any(|setting| setting.name == last),
        };
        if !is_known {
            return Err(unknown(path, entry));
        }
    }
    Ok(())
}

fn unknown(path: &[String], entry: &Entry) -> Error {
    let dotted = path.join(".");
    let error = Error::recipe(&entry.place, format!("unknown key {dotted}"));
    let names = recipe::names();
    let last = path.last().map_or("", String::as_str);
    let in_table = recipe::lists(&path[..path.len() - 1].iter().map(String::as_str).collect::<Vec<_>>());
    let near = nearest(last, in_table.into_iter().flatten().map(|setting| setting.name))
        .map(|name| path[..path.len() - 1].iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("."));
    if let ["inputs" | "outputs", column @ .., setting] = path.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
        && column.len() > 1
    {
        return error.with_hint(format!(
            "a column's name that holds dots stands in quotes: {}.\"{}\".{setting}",
            path[0],
            column.join(".")
        ));
    }
    // The right name without its table comes before a name that is only spelled alike.
    let elsewhere = || names.iter().find(|name| name.rsplit('.').next() == Some(dotted.as_str())).cloned();
    let near = elsewhere().or(near).or_else(|| nearest(&dotted, names.iter().map(String::as_str)).map(str::to_owned));
    let of_model =
        || crate::models::models().find(|model| model.settings.iter().any(|setting| setting.name == last || setting.alias.contains(&last)));
    match near {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => match of_model() {
            Some(model) => error.with_hint(format!("{last} is a setting of model {}: write model.{last}", model.name)),
            None => error.with_hint("`cupola schema` lists every key"),
        },
    }
}

pub(crate) fn settings(recipe: &Recipe, table: &[&str]) -> Result<Settings> {
    checked(recipe, table, &recipe::lists(table).concat(), |_| true)
}

fn checked(recipe: &Recipe, table: &[&str], list: &[Setting], keep: impl Fn(&str) -> bool) -> Result<Settings> {
    let given: Vec<(&str, &Value)> = recipe.table(table).filter(|(name, _)| keep(name)).map(|(name, entry)| (name, &entry.value)).collect();
    let place = if table.is_empty() { "recipe".to_owned() } else { table.join(".") };
    Settings::check(&place, list, given).map_err(|error| located(recipe, table, error))
}

/// A setting's error with the file and line it was written at.
fn located(recipe: &Recipe, table: &[&str], error: cupola_task::Error) -> Error {
    let cupola_task::Error::Setting { name, found, wanted, hint } = error else { return error.into() };
    let last = name.rsplit('.').next().unwrap_or(&name);
    let place = recipe.table(table).find(|(known, _)| *known == last).map_or("recipe".to_owned(), |(_, entry)| entry.place.clone());
    let dotted = table.iter().copied().chain([last]).collect::<Vec<_>>().join(".");
    let message = match found == "an unknown key" {
        true => format!("unknown key {dotted}"),
        false => format!("{dotted}: found {found}, wanted {wanted}"),
    };
    Error::Recipe { place, message, hint }
}

fn place_of(recipe: &Recipe, path: &[&str]) -> String {
    recipe.entry(path).map_or("recipe".to_owned(), |entry| entry.place.clone())
}

fn duration(recipe: &Recipe, top: &Settings) -> Result<Option<Duration>> {
    match top.value("time") {
        Value::Text(text) if text == "auto" => Ok(None),
        Value::Text(text) => match parse_duration(text) {
            Some(time) => Ok(Some(time)),
            None => Err(no_duration(recipe, &["time"], text)),
        },
        _ => Ok(top.try_real("time").map(Duration::from_secs_f64)),
    }
}

fn no_duration(recipe: &Recipe, path: &[&str], text: &str) -> Error {
    let key = path.join(".");
    Error::recipe(place_of(recipe, path), format!("{key}: found {text:?}, wanted seconds, or a number with s, m, h or d"))
}

/// A time limit or a pause: more than nothing.
pub fn parse_duration(text: &str) -> Option<Duration> {
    cupola_task::duration(text).filter(|time| !time.is_zero())
}

fn saving(recipe: &Recipe) -> Result<Settings> {
    let saving = settings(recipe, &["save"])?;
    match saving.value("every") {
        Value::Text(text) if parse_duration(text).is_none() => {
            Err(no_duration(recipe, &["save", "every"], text).with_hint("a whole number without a unit counts steps"))
        }
        _ => Ok(saving),
    }
}

/// A build with support for graphics cards uses the first one unless told otherwise.
fn device(word: &str) -> Where {
    match word {
        "gpu" => Where::Gpu(0),
        "auto" if cupola_nets::has_card() => Where::Gpu(0),
        _ => Where::Cpu,
    }
}

fn checked_name(recipe: &Recipe, name: &str) -> Result<String> {
    let is_plain = name.len() <= 100 && !name.starts_with('.') && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    match is_plain {
        true => Ok(name.to_owned()),
        false => Err(Error::recipe(
            place_of(recipe, &["name"]),
            format!("name: found {name:?}, wanted letters, digits, - _ . and at most 100 of them"),
        )),
    }
}

fn columns<'a>(recipe: &'a Recipe, table: &'a str) -> impl Iterator<Item = &'a str> {
    let mut names: Vec<&str> =
        recipe.iter().filter(|(path, _)| path.len() >= 3 && path[0] == table).map(|(path, _)| path[1].as_str()).collect();
    names.dedup();
    names.into_iter()
}

fn column_type(settings: &Settings) -> Option<ColumnType> {
    settings.text("type").parse().ok()
}

/// Pictures are read with sides of so many times what the model wants, so that a part of one still fills it.
const SHRINK_MARGIN: u32 = 2;
/// Pictures of up to so many pixels a side stay as they are, for a model may keep a size that all of them share.
const SHRINK_MIN: u32 = 320;

/// How pictures are read; `shrink=auto` goes by the model and the size that the recipe says.
fn image_options(recipe: &Recipe, model: &Choice, inputs: &BTreeMap<String, InputPlan>) -> Result<ImageOptions> {
    let settings = settings(recipe, &["data", "images"])?;
    let options = ImageOptions::from_settings(&settings);
    if *settings.value("shrink") != Value::Text("auto".into()) {
        return Ok(options);
    }
    let needs = match model {
        Choice::Named(ModelDef { needs: Needs::Images(needs), .. }, _) => *needs,
        _ => ImageNeeds { size_default: 224, ..ImageNeeds::default() },
    };
    let own = needs.size.map_or(needs.size_default, |[height, width]| height.max(width));
    let said = inputs.values().flat_map(|input| input.prepare.list("size")).filter_map(|side| match side {
        Value::Integer(side) => u32::try_from(*side).ok(),
        _ => None,
    });
    let wanted = said.max().unwrap_or(own);
    Ok(ImageOptions { shrink: Some(wanted.saturating_mul(SHRINK_MARGIN).max(SHRINK_MIN)), ..options })
}

fn inputs(recipe: &Recipe) -> Result<BTreeMap<String, InputPlan>> {
    let mut plans = BTreeMap::new();
    for column in columns(recipe, "inputs") {
        let prepare = settings(recipe, &["inputs", column])?;
        plans.insert(column.to_owned(), InputPlan { column_type: column_type(&prepare), prepare });
    }
    Ok(plans)
}

fn augment(recipe: &Recipe) -> Result<Settings> {
    let settings = settings(recipe, &["augment"])?;
    Augment::open(&settings).map_err(|error| located(recipe, &["augment"], error))?;
    Ok(settings)
}

/// The model that a table names: `[model]`, or `[outputs.NAME.model]`.
fn choice(recipe: &Recipe, table: &[&str]) -> Result<Choice> {
    let named = recipe.table(table).find(|(key, _)| *key == "name").map(|(_, entry)| entry);
    let name = named.map_or("auto".to_owned(), |entry| plain(&entry.value));
    if name == "auto" {
        return match recipe.table(table).find(|(key, _)| *key != "name") {
            Some((key, entry)) => {
                Err(Error::recipe(&entry.place, format!("model.{key} says how, but not which model")).with_hint("name one: model=gbdt"))
            }
            None => Ok(Choice::Auto),
        };
    }
    let def = model(&name).map_err(|error| match (error, named) {
        (Error::Recipe { message, hint, .. }, Some(entry)) => Error::Recipe { place: entry.place.clone(), message, hint },
        (error, _) => error,
    })?;
    let settings = checked(recipe, table, def.settings, |key| key != "name")?;
    if let Make::Members = def.make {
        crate::ensemble::members(&settings)?;
    }
    Ok(Choice::Named(def, settings))
}

/// The metric of that name.
///
/// # Errors
/// When there is none, with the nearest.
pub fn metric(place: &str, name: &str) -> Result<&'static MetricDef> {
    METRICS.iter().find(|metric| metric.name == name).ok_or_else(|| {
        let error = Error::recipe(place, format!("unknown metric {name}"));
        match nearest(name, METRICS.iter().map(|metric| metric.name)) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error.with_hint("`cupola metrics` lists them"),
        }
    })
}

/// What is asked for; a measure that only a gate names is measured too.
fn metrics(recipe: &Recipe, eval: &Settings, gates: &[QualityGate]) -> Result<Option<Vec<&'static MetricDef>>> {
    let names: Vec<String> = texts(eval, "metrics");
    if names == ["auto"] || names.is_empty() {
        return Ok(None);
    }
    let place = place_of(recipe, &["eval", "metrics"]);
    let mut metrics = names.iter().map(|name| metric(&place, name)).collect::<Result<Vec<_>>>()?;
    for gate in gates {
        if let Some(name) = gate.measure().filter(|name| metrics.iter().all(|metric| metric.name != *name)) {
            metrics.push(metric(&place, name)?);
        }
    }
    Ok(Some(metrics))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Fault;
    use expect_test::{Expect, expect};

    fn plan(text: &str, arguments: &[&str]) -> Result<Plan> {
        let mut recipe = Recipe::parse("r.toml", text)?;
        for argument in arguments {
            recipe.argue(argument)?;
        }
        Plan::check(recipe)
    }

    fn refuses(text: &str, arguments: &[&str], wanted: Expect) {
        let error = plan(text, arguments).err().expect("the recipe is wrong");
        wanted.assert_eq(&format!("{error} | {} | exit {}", error.hint().unwrap_or_default(), error.exit() as u8));
    }

    #[test]
    fn a_plan_has_every_default() {
        let plan = plan("", &["data=x.csv", "target=y", "time=5m", "model=gbdt", "model.eta=0.3"]).unwrap();
        assert_eq!((plan.targets, plan.seed, plan.time), (vec!["y".to_owned()], 7, Some(Duration::from_secs(300))));
        let Choice::Named(def, settings) = plan.model else { panic!("a model is named") };
        assert_eq!((def.name, settings.real("learning_rate")), ("gbdt", 0.3));
    }

    #[test]
    fn wrong_recipes_are_refused_with_place_and_hint() {
        refuses(
            "",
            &["target=y"],
            expect!["command line: no data | cupola train DATA target=COLUMN, or [data] train = \"...\" in a recipe | exit 2"],
        );
        refuses("data.train = 'x'\ntarge = 'y'", &[], expect!["r.toml:2: unknown key targe | did you mean target? | exit 2"]);
        refuses(
            "data.train = 'x'\n[model]\nname = 'gbdt'\nnum_leafs = 3",
            &[],
            expect!["r.toml:4: unknown key model.num_leafs | did you mean num_leaves? | exit 2"],
        );
        refuses("data.train = 'x'", &["model=gdbt"], expect!["command line: unknown model gdbt | did you mean gbdt? | exit 2"]);
        refuses(
            "data.train = 'x'\nseed = 'many'",
            &[],
            expect!["r.toml:2: seed: found \"many\", wanted a whole number >= 0 | the default is 7 | exit 2"],
        );
        refuses(
            "data.train = 'x'",
            &["time=soon"],
            expect![[r#"command line: time: found "soon", wanted seconds, or a number with s, m, h or d |  | exit 2"#]],
        );
        refuses(
            "data.train = 'x'",
            &["name=../up"],
            expect!["command line: name: found \"../up\", wanted letters, digits, - _ . and at most 100 of them |  | exit 2"],
        );
        refuses(
            "data.train = 'x'",
            &["metrics=[roc_auk]"],
            expect!["command line: unknown metric roc_auk | did you mean roc_auc? | exit 2"],
        );
        refuses(
            "data.train = 'x'\ngates.f1 = '0.7'",
            &[],
            expect!["r.toml:2: gates.f1: found \"0.7\", wanted \">= NUMBER\" or \"<= NUMBER\" |  | exit 2"],
        );
        refuses(
            "data.train = 'x'",
            &["num_leaves=3"],
            expect!["command line: unknown key num_leaves | num_leaves is a setting of model gbdt: write model.num_leaves | exit 2"],
        );
        refuses(
            "data.train = 'x'",
            &["inputs.a.b.type=id"],
            expect![[
                r#"command line: unknown key inputs.a.b.type | a column's name that holds dots stands in quotes: inputs."a.b".type | exit 2"#
            ]],
        );
        refuses(
            "data.train = 'x'",
            &["missing_target=drop"],
            expect!["command line: unknown key missing_target | did you mean data.clean.missing_target? | exit 2"],
        );
        refuses(
            "data.train = 'x'",
            &["model.num_leaves=3"],
            expect!["command line: model.num_leaves says how, but not which model | name one: model=gbdt | exit 2"],
        );
    }
}
