//! One pass of the loop: is a retraining due, a challenger ready to be judged, or one in trial ready to be decided on? Passes can be made by hand,
//! by a timer, or by a server; each does what is next and says it.

use super::backtest::{Comparison, backtest, of_batch, truth};
use super::gates::{Gate, gates};
use crate::monitor::{MONITOR_FOLDER, read_kept};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow_schema::{DataType, TimeUnit};
use cupola_data::{OutputFormat, Wanted, WholeFile, Writer};
use cupola_task::{Batch, Column, Columns, Draw, Field, INIT_MODEL, Key, Kind, Role, Value};
use cupola_train::recipe::{Origin, Recipe};
use cupola_train::{Artifact, Choice, Opening, Outcome, Plan};
use cupola_watch::labels::Labels;
use cupola_watch::log::{Logged, read};
use cupola_watch::policy::{Due, Mode, Policy, Signs};
use cupola_watch::registry::{CHALLENGER, CHAMPION, NewVersion, Registry, Version};
use cupola_watch::{Joined, join};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Resamples of a comparison.
const DRAWS: usize = 1000;
/// Labelled rows of a trial that are compared once more.
const TRIAL_ROWS: usize = 50;
/// Live requests whose times are compared.
const TIMED_REQUESTS: usize = 30;

/// A model's loop.
pub struct Loop<'a> {
    /// Where its versions are.
    pub registry: &'a Registry,
    /// Where its labels are.
    pub labels: &'a Labels,
    /// Its name.
    pub name: &'a str,
    /// The folder of its prediction log.
    pub log: PathBuf,
    /// Microseconds since 1970.
    pub now_us: i64,
    /// Durations, to measure answers.
    pub clock: &'a dyn Fn() -> Duration,
}

/// What is to be learned from, and what is kept for the comparison.
pub struct Sources {
    /// How to train the challenger.
    pub plan: Plan,
    /// How the champion was trained: its test rows are the anchor.
    pub champion_plan: Plan,
    /// Whether the challenger surely learns from no test row of the champion.
    pub keeps_sides: bool,
    champion: Version,
    policy: Policy,
    newest: Joined,
    why: String,
    rows: Json,
}

/// What a pass does next.
pub enum Step {
    /// A challenger is to be trained from these, and judged.
    Train(Box<Sources>),
    /// The pass is over.
    End(Decided),
}

/// What a pass has come to.
pub enum Decided {
    /// Nothing is to be done now, and why.
    Idle(String),
    /// A challenger has passed the backtest, and is tried.
    Tried(Version, Vec<Gate>),
    /// A challenger has not passed.
    Refused(Option<i64>, Vec<Gate>),
    /// A challenger has passed its trial; people promote it.
    Suggested(i64, Vec<Gate>),
    /// A challenger has become the champion.
    Promoted(i64, Vec<Gate>),
}

impl Loop<'_> {
    /// Makes the next step up to a training. `is_asked`: whether somebody wants a retraining now, due or not. `over` are recipe keys that go before the
    /// champion's recipe.
    ///
    /// # Errors
    /// When the recipe or a key does not hold; when registry, log or data cannot be read or do not fit each other.
    pub fn begin(&self, is_asked: bool, over: &[String]) -> Result<Step> {
        let champion = self.registry.find(self.name, CHAMPION)?;
        let policy = plan_of(&champion, over)?.retrain;
        if policy.mode == Mode::Off && !is_asked {
            return Ok(idle("retrain.mode is off"));
        }
        if let Some(challenger) = self.registry.behind(self.name, CHALLENGER)? {
            return self.decide(&policy, &champion, &challenger).map(Step::End);
        }
        let due = match policy.due(&self.signs(&champion)?) {
            Some(due) if !is_asked => due,
            _ if is_asked => Due { why: "somebody asked for it".to_owned(), since_us: None },
            _ => return Ok(idle("no trigger of retrain.when is met")),
        };
        let why = &due.why;
        if let Some(wait_us) = self.cooling(&policy)?.filter(|_| !is_asked) {
            let wait_h = wait_us as f64 / 3600e6;
            return Ok(idle(format!("{why}; the last challenger is too young: {wait_h:.1} h to wait (retrain.cooldown)")));
        }
        self.gather(champion, policy, due, over)
    }

    /// What the policy's triggers are held against.
    fn signs(&self, champion: &Version) -> Result<Signs> {
        let labels_new = self.labels.since(self.name, champion.added_us)?.len() as u64;
        let signs = Signs { labels_new, age_us: self.now_us - champion.added_us, ..Signs::default() };
        let kept = read_kept(&self.registry.folder(self.name).join(MONITOR_FOLDER), &champion.hash)?;
        Ok(match kept {
            Some(kept) => signs.with(&kept.state),
            None => signs,
        })
    }

    /// How long the cool-down still lasts.
    fn cooling(&self, policy: &Policy) -> Result<Option<i64>> {
        let decisions = self.registry.decisions(self.name)?;
        let last = decisions.iter().rev().find(|decision| decision.kind == "retrain").map(|decision| decision.at_us);
        // A clock that went back does not lengthen it.
        let wait = last.map(|last| (last.min(self.now_us) + policy.cooldown_us) - self.now_us);
        Ok(wait.filter(|wait| *wait > 0))
    }

    /// Collects labelled rows, keeps the newest for the comparison, and writes the rest with the champion's own training rows as a table.
    fn gather(&self, champion: Version, policy: Policy, due: Due, over: &[String]) -> Result<Step> {
        let artifact = self.open(&champion)?;
        let known = self.joined(&artifact, self.now_us - policy.window_us)?.labelled();
        let (rows, why) = (known.rows() as u64, due.why);
        let wanted = policy.min_labels;
        if rows < wanted {
            return Ok(idle(format!("{why}; {rows} answers of the window are labelled, {wanted} are needed (retrain.min_labels)")));
        }
        let newer = due.since_us.map(|since| known.at_us.iter().filter(|at| **at >= since).count() as u64);
        if let Some(newer) = newer.filter(|newer| *newer < wanted) {
            return Ok(idle(format!("{why}; {newer} answers since then are labelled, {wanted} are needed (retrain.min_labels)")));
        }
        let cut = rows - ((rows as f64 * policy.holdout).ceil() as u64).clamp(1, rows - 1);
        let (older, newest) = (known.take(&(0..cut).collect::<Vec<_>>()), known.take(&(cut..rows).collect::<Vec<_>>()));
        let folder = self.registry.folder(self.name).join("retrain").join(self.now_us.to_string());
        let champion_plan = plan_of(&champion, &[])?;
        let table = training_table(&artifact, &champion_plan, &older, policy.with_train)?;
        let learned = table.rows();
        let path = folder.join("data.parquet");
        write(&path, &table)?;
        let sides = self.registry.sides_file(&champion);
        let keeps_sides = policy.with_train && sides.is_file();
        let model = self.registry.model_file(&champion);
        let before = policy.is_warm.then(|| before(&model, &champion_plan, &folder)).transpose()?;
        let given = Given { name: self.name, data: &path, sides: keeps_sides.then_some(&*sides), budget: policy.budget, before };
        let plan = plan_for(&champion, &champion_plan, &given, over)?;
        let rows = json!({"learned": learned, "of_log": older.rows(), "compared": newest.rows()});
        let facts = json!({"why": why, "rows": rows, "data": path});
        self.registry.note(self.name, "retrain", Some(champion.number), self.now_us, &facts)?;
        let keeps_sides = keeps_sides || champion_plan.test.is_some() || !policy.with_train;
        Ok(Step::Train(Box::new(Sources { plan, champion_plan, keeps_sides, champion, policy, newest, why, rows })))
    }

    /// Judges what was trained, against the champion. `anchor` are the test rows of the champion's training, when it learned from none of them.
    ///
    /// # Errors
    /// When a model does not open, or the registry is away.
    pub fn judge(&self, sources: &Sources, outcome: &Outcome, anchor: Option<&Batch>) -> Result<Decided> {
        let champion = self.open(&sources.champion)?;
        let file = outcome.folder.join(cupola_train::runs::MODEL_FILE);
        let challenger = self.open_file(&file)?;
        let compare = |rows: &Joined, purpose: &str| {
            let draw = Draw::new(sources.plan.seed).stream(purpose);
            backtest([&champion, &challenger], rows, sources.policy.level, DRAWS, draw, self.clock)
        };
        let now = compare(&sources.newest, "backtest")?;
        let targets: Vec<Arc<str>> = champion.raw().targets().map(|(field, _)| field.name.clone()).collect();
        let anchor = anchor.map(|batch| compare(&of_batch(batch, &targets), "anchor")).transpose()?;
        let gates = gates(&sources.policy, &now, anchor.as_ref(), anchor.as_ref().map(|anchor| anchor.skill[0]));
        let passes = gates.iter().all(|gate| gate.holds);
        let facts = json!({
            "why": why(&sources.why, &gates), "run": outcome.folder, "rows": sources.rows, "gates": gates,
            "backtest": told(&now), "anchor": anchor.as_ref().map(told),
        });
        if !passes {
            self.registry.note(self.name, "refuse", None, self.now_us, &facts)?;
            return Ok(Decided::Refused(None, gates));
        }
        let version = self.add(sources, outcome, &file, &facts)?;
        self.registry.alias(self.name, CHALLENGER, version.number, self.now_us, &facts)?;
        Ok(Decided::Tried(version, gates))
    }

    fn add(&self, sources: &Sources, outcome: &Outcome, file: &Path, facts: &Json) -> Result<Version> {
        let text = |name: &str| std::fs::read_to_string(outcome.folder.join(name)).unwrap_or_default();
        let scores: Vec<Json> = outcome
            .report
            .targets
            .iter()
            .flat_map(|target| {
                target.scores.iter().map(|score| json!({"target": target.name, "name": score.name, "value": score.test.value}))
            })
            .collect();
        let lock: Json = serde_json::from_str(&text("run.lock")).unwrap_or_default();
        let run = outcome.folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let new = NewVersion {
            hash: outcome.hash.clone(),
            parent: Some(sources.champion.number),
            origin: "retrain".to_owned(),
            recipe: text("run.toml"),
            facts: json!({"run": run, "lock": lock, "scores": scores, "gates": facts["gates"]}),
            sides: Some(outcome.folder.join("data/sides.parquet")),
        };
        Ok(self.registry.add(self.name, file, &new, self.now_us)?)
    }

    /// Decides on a challenger that was tried in the shadow.
    fn decide(&self, policy: &Policy, champion: &Version, version: &Version) -> Result<Decided> {
        let since = self.registry.since(self.name, CHALLENGER)?.unwrap_or(version.added_us);
        let pieces = read(&self.log, since..i64::MAX, None)?;
        let shadows = latencies(&pieces, &version.hash, |alias| alias == "shadow" || alias == CHALLENGER);
        if (shadows.len() as u64) < policy.shadow_rows {
            return Ok(Decided::Idle(format!(
                "version {} is tried: {} of {} answers in the shadow (retrain.shadow_rows)",
                version.number,
                shadows.len(),
                policy.shadow_rows
            )));
        }
        let mut gates = vec![Gate {
            name: "shadow",
            holds: true,
            says: format!("{} answers beside version {} without an error", shadows.len(), champion.number),
        }];
        gates.extend(live_latency(policy, &shadows, &latencies(&pieces, &champion.hash, |alias| alias == CHAMPION)));
        gates.extend(self.trial(policy, champion, version, since)?);
        let facts = json!({"why": why("the trial is over", &gates), "gates": gates});
        if gates.iter().any(|gate| !gate.holds) {
            self.registry.unalias(self.name, CHALLENGER, self.now_us, &facts)?;
            self.registry.note(self.name, "refuse", Some(version.number), self.now_us, &facts)?;
            return Ok(Decided::Refused(Some(version.number), gates));
        }
        if policy.mode != Mode::Auto {
            return Ok(Decided::Suggested(version.number, gates));
        }
        self.registry.promote(self.name, version.number, self.now_us, &facts)?;
        Ok(Decided::Promoted(version.number, gates))
    }

    /// Compares once more on what was labelled since the trial began, when that is enough to say anything.
    fn trial(&self, policy: &Policy, champion: &Version, version: &Version, since: i64) -> Result<Option<Gate>> {
        let (first, second) = (self.open(champion)?, self.open(version)?);
        let known = self.joined(&first, since)?.labelled();
        if known.rows() < TRIAL_ROWS {
            return Ok(None);
        }
        let now = backtest([&first, &second], &known, policy.level, DRAWS, Draw::new(0).stream("trial"), self.clock)?;
        let main = &now.measures[0];
        let [difference, low, high] = main.difference;
        let holds = if main.is_score { high >= 0.0 } else { low <= 0.0 };
        let says = format!("{} on {} rows labelled since: difference {difference:+.4} ({low:+.4} to {high:+.4})", main.name, now.rows);
        Ok(Some(Gate { name: "trial", holds, says }))
    }

    /// What was answered since a moment, with its labels.
    ///
    /// # Errors
    /// When log or labels cannot be read.
    pub fn joined(&self, artifact: &Artifact, since: i64) -> Result<Joined> {
        let inputs: Vec<Arc<str>> = artifact.raw().inputs().map(|field| field.name.clone()).collect();
        let targets: Vec<Arc<str>> = artifact.raw().targets().map(|(field, _)| field.name.clone()).collect();
        let pieces = read(&self.log, since..i64::MAX, None)?;
        Ok(join(&pieces, &self.labels.since(self.name, since)?, &inputs, &targets)?)
    }

    /// Opens a version's model.
    ///
    /// # Errors
    /// When it does not open.
    pub fn open(&self, version: &Version) -> Result<Artifact> {
        self.open_file(&self.registry.model_file(version))
    }

    fn open_file(&self, path: &Path) -> Result<Artifact> {
        Ok(Artifact::open(path, Opening { clock: &|| (self.clock)(), replay: Opening::REPLAY })?)
    }
}

fn idle(why: impl Into<String>) -> Step {
    Step::End(Decided::Idle(why.into()))
}

/// The reason, and the first gate that is shut.
fn why(reason: &str, gates: &[Gate]) -> String {
    match gates.iter().find(|gate| !gate.holds) {
        Some(gate) => format!("{reason}; {} is shut: {}", gate.name, gate.says),
        None => format!("{reason}; every gate is open"),
    }
}

/// What decisions keep of a comparison: not every slice.
fn told(comparison: &Comparison) -> Json {
    json!({
        "rows": comparison.rows, "span_us": comparison.span_us, "measures": comparison.measures, "skill": comparison.skill,
        "worst_slices": comparison.slices.iter().take(3).collect::<Vec<_>>(), "slices": comparison.slices.len(), "latency": comparison.latency,
    })
}

/// The times of one model's answers in a log, in order.
fn latencies(pieces: &[Logged], hash: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<f64> {
    let mut times: Vec<f64> = Vec::new();
    for piece in pieces.iter().filter(|piece| piece.hash == hash) {
        let own = piece.columns.get("latency_us").and_then(Column::array).and_then(|array| array.as_primitive_opt::<Float64Type>());
        let Some(own) = own else { continue };
        times.extend(
            piece.texts("alias").iter().zip(own.values()).filter(|(alias, _)| alias.is_some_and(&is_wanted)).map(|(_, time)| *time),
        );
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Compares the times of live answers. All rows of a request have its time, so few requests with many rows say little.
fn live_latency(policy: &Policy, challenger: &[f64], champion: &[f64]) -> Option<Gate> {
    let requests = |times: &[f64]| times.windows(2).filter(|pair| pair[0] < pair[1]).count();
    if requests(challenger).min(requests(champion)) < TIMED_REQUESTS {
        return None;
    }
    let median = |times: &[f64]| times.get(times.len() / 2).copied();
    let (challenger, champion) = (median(challenger)?, median(champion)?.max(1.0));
    let holds = challenger <= policy.latency_ratio * champion;
    let says = format!(
        "answers to live requests take {challenger:.0} us against {champion:.0} us, allowed is {} times that",
        policy.latency_ratio
    );
    Some(Gate { name: "latency", holds, says })
}

/// A version's recipe, checked, with what was said over it.
fn plan_of(version: &Version, over: &[String]) -> Result<Plan> {
    Ok(Plan::check(recipe_of(version, over)?)?)
}

fn recipe_of(version: &Version, over: &[String]) -> Result<Recipe> {
    if version.recipe.is_empty() {
        let error = cupola_watch::Error::refused(format!("version {}", version.number), "no recipe", "the run that trained it");
        return Err(error.with_hint("`cupola registry add RUN` keeps the recipe of a run; a model file alone has none").into());
    }
    let mut recipe = Recipe::parse("recipe of the registry", &version.recipe)?;
    over.iter().try_for_each(|pair| recipe.argue(pair))?;
    Ok(recipe)
}

/// Whether a model is to be trained again without anybody asking.
pub(crate) fn is_auto(registry: &Registry, name: &str) -> Result<bool> {
    let champion = registry.find(name, CHAMPION)?;
    Ok(!champion.recipe.is_empty() && plan_of(&champion, &[])?.retrain.mode == Mode::Auto)
}

/// What a challenger is trained with.
struct Given<'a> {
    name: &'a str,
    data: &'a Path,
    /// Where rows that the champion knew keep their side.
    sides: Option<&'a Path>,
    budget: Option<Duration>,
    before: Option<Before>,
}

/// What a challenger begins from.
enum Before {
    /// The weights of a network.
    Weights(PathBuf),
    /// A model file whose trees stay.
    Trees(PathBuf),
}

/// The champion's recipe on other data.
fn plan_for(version: &Version, champion: &Plan, given: &Given<'_>, over: &[String]) -> Result<Plan> {
    let mut recipe = recipe_of(version, over)?;
    // Its rows are what the query made.
    recipe.remove(&["data", "sql"]);
    recipe.remove(&["data", "tables"]);
    let mut set = |path: &[&str], value: Value| {
        recipe.set(path.iter().map(|&segment| segment.to_owned()).collect(), value, Origin::Inferred, "retrain");
    };
    let text = |path: &Path| Value::Text(path.display().to_string());
    set(&["data", "train"], text(given.data));
    set(&["data", "format"], Value::Text("parquet".to_owned()));
    set(&["name"], Value::Text(given.name.to_owned()));
    // Live rows may repeat each other and rows of the training; that is told, and no reason to stop.
    set(&["data", "clean", "leaks"], Value::Text("warn".to_owned()));
    if let Some(budget) = given.budget {
        set(&["time"], Value::Text(format!("{}s", budget.as_secs_f64())));
    }
    if let Some(sides) = given.sides {
        set(&["data", "split", "keep"], text(sides));
    }
    if can_keep_trees(champion) {
        set(&["model", INIT_MODEL], if let Some(Before::Trees(path)) = &given.before { text(path) } else { Value::Text("off".to_owned()) });
    }
    if let Some(Before::Weights(weights)) = &given.before {
        set(&["train", "weights"], text(weights));
        set(&["train", "weights_map"], Value::List(vec![]));
        // A column with other categories is embedded anew.
        set(&["train", "weights_match"], Value::Text("some".to_owned()));
    }
    Ok(Plan::check(recipe)?)
}

/// Whether the model of all targets is one that grows trees behind others.
fn can_keep_trees(plan: &Plan) -> bool {
    let is_said = |setting: &cupola_task::Setting| setting.name == INIT_MODEL;
    matches!(&plan.model, Choice::Named(def, _) if def.settings.iter().any(is_said))
        && plan.outputs.values().all(|output| output.model.is_none())
}

/// What a challenger begins from; a network's weights are written beside the data.
fn before(model: &Path, champion: &Plan, folder: &Path) -> Result<Before> {
    if can_keep_trees(champion) {
        return Ok(Before::Trees(model.to_owned()));
    }
    let weights = cupola_train::network_weights(model)?.ok_or_else(|| {
        let error = cupola_watch::Error::refused("setting retrain.start", "warm", "a model that is one network, or gbdt");
        error.with_hint("forests and lines have nothing to go on from: retrain.start=cold")
    })?;
    let path = folder.join("weights.safetensors");
    std::fs::write(&path, weights).map_err(|source| cupola_watch::Error::io(format!("write {}", path.display()), source))?;
    Ok(Before::Weights(path))
}

/// Labelled rows of the log, below the rows of the champion's training when these are wanted, in the columns of its schema.
fn training_table(artifact: &Artifact, plan: &Plan, rows: &Joined, with_train: bool) -> Result<Columns> {
    let schema = artifact.raw();
    if schema.inputs().any(|field| matches!(field.kind, Kind::Image { .. })) {
        return Err(Error::Models("pictures are not in the log, so no challenger can learn from it".to_owned()));
    }
    let made = artifact.made();
    if made.lags.is_some() || !made.labels.is_empty() {
        let text = "its columns are made of others (lists of labels, earlier rows), which are not in the log: train it from the table";
        return Err(Error::Models(text.to_owned()));
    }
    let new = schema.fields.iter().map(|field| (field.name.clone(), Column::Array(column(field, rows))));
    let new = Columns::new(new.collect());
    if !with_train {
        return Ok(new);
    }
    let raw = cupola_data::read(&plan.train, &plan.read)?;
    let old = cupola_data::conform(&raw.columns, schema, artifact.notation(), &|row| raw.place(row), Wanted::All)?.columns;
    let new = new.select(|name| old.get(name).is_some());
    Ok(Columns::concat(&[old, new])?)
}

/// A field's column of logged rows: what was asked, what turned out to be true, and, where the log cannot know, what says nothing.
fn column(field: &Field, rows: &Joined) -> ArrayRef {
    let kind = match field.kind {
        Kind::Number => DataType::Float64,
        Kind::Date => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => DataType::Utf8,
    };
    let known = match field.role {
        Role::Input => rows.inputs.get(&field.name).and_then(Column::array).cloned(),
        Role::Target(_) => rows.labels.get(&field.name).and_then(Column::array).map(|labels| truth(field, labels)),
        Role::Key(Key::Weight) => Some(Arc::new(Float64Array::from(vec![1.0; rows.rows()])) as ArrayRef),
        Role::Key(Key::Time) => Some(Arc::new(TimestampMicrosecondArray::from(rows.at_us.clone())) as ArrayRef),
        Role::Key(Key::Id | Key::Group) => Some(Arc::new(StringArray::from_iter_values(&rows.ids)) as ArrayRef),
        _ => None,
    };
    known.filter(|array| *array.data_type() == kind).unwrap_or_else(|| new_null_array(&kind, rows.rows()))
}

fn write(path: &Path, table: &Columns) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|source| cupola_watch::Error::io(format!("make folder {}", folder.display()), source))?;
    let mut file = WholeFile::create(path)?;
    let mut writer = Writer::new(&mut file, OutputFormat::Parquet);
    writer.write(table)?;
    writer.finish()?;
    Ok(file.commit()?)
}
