//! A server watches what its champions answer. Requests hand their rows over and go on; one thread a service counts them, looks for labels, closes
//! windows and tells people. It works at most a four-hundredth of the time: what comes beyond that is left out
//! and counted. Whatever fails here is said in
//! `/health` and touches no answer: what requests wait for is never held while a file or a store is waited for.

use super::known_labels;
use super::line::{Line, Part, Said};
use crate::ask::SHADOW;
use crate::service::Model;
use crate::{Result, World};
use cupola_data::WholeFile;
use cupola_task::{Columns, Event, Predictions, Value};
use cupola_train::{ExpectedLosses, Watched, answers_of};
use cupola_watch::labels::{ByAnswer, Labels};
use cupola_watch::log::{Order, visit};
use cupola_watch::registry::Registry;
use cupola_watch::{AlarmEvent, AlarmKind, Closed, Durability, MonitorOptions, Report, Rows, SchemaFault, State, Watcher, post, row_hash};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The thread may work for this share of the time. What it did not use is left to it up to a limit, and once that is used up it rests until a part
/// of it is there again, or for so long at most.
const SHARE: f64 = 0.0025;
const CREDIT: Duration = Duration::from_millis(50);
const CREDIT_AGAIN: Duration = Duration::from_millis(4);
const REST_MAX: Duration = Duration::from_secs(5);
/// How long it lets requests gather once one is there: each time it wakes it takes a request's place on the processor.
const GATHER: Duration = Duration::from_millis(50);
/// How often it looks at the clock when nothing comes, how often for labels, and how often it saves what it knows.
const LOOK: Duration = Duration::from_millis(200);
const LABELS: Duration = Duration::from_secs(1);
const SAVE: Duration = Duration::from_secs(60);
/// Labels are committed in another order than they come, by no more than this.
const OVERLAP_US: i64 = 30_000_000;
/// Answers that are older find no label here.
const AGE_MAX_US: i64 = 90 * 86_400_000_000;

/// Where, beside a name of the registry, a server keeps what it has seen.
pub(crate) const MONITOR_FOLDER: &str = "monitor";

/// How a server watches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveOptions {
    /// Keys of `[monitor]` that go before those in the model file.
    pub said: Vec<(String, Value)>,
    /// Where alarms are posted.
    pub webhook: Option<String>,
}

/// Watches one service.
pub(crate) struct Live {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// Held while rows are counted or a window is looked at: nobody who answers requests may wait for it.
    seen: Mutex<Seen>,
    /// Held to take or put it alone.
    told: Mutex<Arc<Told>>,
    /// Held to add rows to it, or to take them: nothing is waited for meanwhile.
    line: Mutex<Line>,
    /// Told when the line is no longer empty, and when nothing more will come.
    has_come: Condvar,
    skipped: AtomicU64,
    /// Requests that were refused for an input of the model, since the thread looked last.
    refused: Mutex<Refused>,
}

/// By input, and whether it was not there at all.
type Refused = BTreeMap<(Arc<str>, bool), u64>;

/// What is known now.
pub(crate) struct Seen {
    pub(crate) model: Arc<Model>,
    /// None where the model file holds nothing to watch with.
    pub(crate) watcher: Option<Watcher>,
}

/// What was known when something last changed.
#[derive(Default)]
pub(crate) struct Told {
    /// The keys of the alarms that are raised.
    pub(crate) raised: Vec<String>,
    /// The newest window that is over.
    pub(crate) report: Option<Report>,
    notes: Vec<String>,
}

/// Where a service's watching takes from and keeps things.
pub(crate) struct Around {
    pub(crate) name: Arc<str>,
    /// The folder of what outlives the process.
    pub(crate) folder: Option<PathBuf>,
    /// The folder of the prediction log, by which labels find their answers.
    pub(crate) log: Option<PathBuf>,
    pub(crate) registry: Option<Arc<Registry>>,
    pub(crate) options: LiveOptions,
    pub(crate) world: World,
}

impl Live {
    /// Begins to watch, where the process before stopped.
    ///
    /// # Errors
    /// When a key of `[monitor]` does not hold.
    pub(crate) fn begin(model: Arc<Model>, around: Around) -> Result<Live> {
        let mut keeper = Keeper::new(around);
        let watcher = keeper.open(&model)?;
        keeper.lock();
        let shared = Arc::new(Shared {
            seen: Mutex::new(Seen { model, watcher }),
            told: Mutex::default(),
            line: Mutex::default(),
            has_come: Condvar::new(),
            skipped: AtomicU64::new(0),
            refused: Mutex::default(),
        });
        keeper.publish(&shared);
        let own = shared.clone();
        let thread = std::thread::Builder::new().name("monitor".into()).spawn(move || keeper.run(&own)).ok();
        Ok(Live { shared, thread })
    }

    /// Hands answered rows over; never waits.
    pub(crate) fn push(&self, model: &Arc<Model>, at_us: i64, id: &Arc<str>, inputs: &Columns, predictions: &Predictions) {
        let said = Said { model, at_us, id, inputs, predictions };
        let mut line = lock(&self.shared.line);
        let was_empty = line.is_empty();
        let is_taken = self.thread.is_some() && line.push(&said);
        drop(line);
        if !is_taken {
            self.shared.skipped.fetch_add(predictions.rows() as u64, Ordering::Relaxed);
        } else if was_empty {
            self.shared.has_come.notify_one();
        }
    }

    /// Notes that a request was refused for an input: it counts as one row. Columns that the model does not know are the client's affair.
    pub(crate) fn refuse(&self, model: &Model, column: &str, is_absent: bool) {
        if let Some(input) = model.inputs.input(column) {
            *lock(&self.shared.refused).entry((input.name.clone(), is_absent)).or_default() += 1;
        }
    }

    /// What is known now; it may have to be waited for.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.shared.seen)
    }

    /// What was known when something last changed.
    pub(crate) fn told(&self) -> Arc<Told> {
        lock(&self.shared.told).clone()
    }

    /// Rows that were left out.
    pub(crate) fn skipped(&self) -> u64 {
        self.shared.skipped.load(Ordering::Relaxed)
    }

    /// What people should know of watching itself.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = self.told().notes.clone();
        let skipped = self.skipped();
        if skipped > 0 {
            notes.push(format!("{skipped} rows were not watched: more came than a four-hundredth of a processor counts"));
        }
        notes
    }
}

impl Drop for Live {
    /// What was handed over is counted and kept.
    fn drop(&mut self) {
        lock(&self.shared.line).is_over = true;
        self.shared.has_come.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What panicked half-way is still counted as far as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's own.
struct Keeper {
    around: Around,
    /// Held by the one process that keeps what it knows in the folder.
    lock: Option<File>,
    labels: Option<Labels>,
    /// Labels that were taken and may be met once more, with when they came.
    known: HashMap<(String, String), (String, i64)>,
    labels_us: i64,
    /// What does not work, by what it is.
    faults: BTreeMap<&'static str, String>,
    /// Whether something is known that no file has, and whether something is to be told that was not.
    is_unsaved: bool,
    is_untold: bool,
}

/// What is kept in a file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Of the layout.
    version: u32,
    /// The model's.
    hash: String,
    /// Up to when labels were taken.
    labels_us: i64,
    /// What was seen.
    pub(crate) state: State,
}

const VERSION: u32 = 1;

/// Where what is known of a model's answers is kept.
pub(crate) fn state_file(folder: &Path, hash: &str) -> PathBuf {
    folder.join(format!("{}.json", hash.get(..12).unwrap_or(hash)))
}

/// Reads what another process kept of that model's answers; none when there is nothing.
pub(crate) fn read_kept(folder: &Path, hash: &str) -> Result<Option<Kept>> {
    let path = state_file(folder, hash);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cupola_watch::Error::io(format!("read {}", path.display()), error).into()),
    };
    let wrong = |found: String| cupola_watch::Error::refused(path.display(), found, "what a server kept of this model's answers");
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if kept.version != VERSION || kept.hash != hash {
        return Err(wrong(format!("version {} of {}", kept.version, kept.hash)).into());
    }
    Ok(Some(kept))
}

impl Keeper {
    fn new(around: Around) -> Keeper {
        Keeper {
            around,
            lock: None,
            labels: None,
            known: HashMap::new(),
            labels_us: i64::MIN,
            faults: BTreeMap::new(),
            is_unsaved: false,
            is_untold: false,
        }
    }

    fn run(mut self, shared: &Shared) {
        let (mut labels_at, mut save_at) = (Instant::now(), Instant::now() + SAVE);
        let mut budget = Budget::new();
        loop {
            let (part, is_over) = gather(shared);
            let began = Instant::now();
            part.into_iter().for_each(|part| self.take(part, shared));
            if Instant::now() >= labels_at || is_over {
                let began = Instant::now();
                self.find_labels(shared);
                labels_at = Instant::now() + began.elapsed().div_f64(SHARE).clamp(LABELS, REST_MAX);
            }
            let now_us = (self.around.world.now_us)();
            let refused = std::mem::take(&mut *lock(&shared.refused));
            self.is_unsaved |= !refused.is_empty();
            let ticked = self.count(shared, |watcher| {
                let closed = watcher.tick(now_us)?;
                for ((column, is_absent), rows) in &refused {
                    let fault = if *is_absent { SchemaFault::Absent } else { SchemaFault::Mistyped };
                    watcher.push_faults(now_us, column, fault, *rows);
                }
                Ok(closed)
            });
            self.fault("clock", ticked.err().map(|error| error.to_string()));
            if self.is_unsaved && (Instant::now() >= save_at || is_over) {
                self.save(shared);
                save_at = Instant::now() + SAVE;
            }
            if std::mem::take(&mut self.is_untold) {
                self.publish(shared);
            }
            if is_over {
                return;
            }
            if let Some(rest) = budget.spend(began.elapsed()) {
                // Who stops the server does not wait for the rest's end.
                drop(shared.has_come.wait_timeout_while(lock(&shared.line), rest, |line| !line.is_over));
            }
        }
    }

    /// Does something with the watcher, where there is one, and tells people of windows that it closed.
    ///
    /// # Errors
    /// When what it is given does not fit it.
    fn count(&mut self, shared: &Shared, work: impl FnOnce(&mut Watcher) -> Result<Vec<Closed>>) -> Result<()> {
        let (closed, model) = {
            let mut seen = lock(&shared.seen);
            let Some(watcher) = &mut seen.watcher else { return Ok(()) };
            let back = watcher.clock_back_us();
            let closed = work(watcher);
            self.is_untold |= watcher.clock_back_us() != back;
            (closed, seen.model.clone())
        };
        let closed = closed?;
        if !closed.is_empty() {
            self.tell(&closed, &model);
            self.save(shared);
            self.is_untold = true;
        }
        Ok(())
    }

    /// Notes what does not work, or that it does.
    fn fault(&mut self, what: &'static str, fault: Option<String>) {
        let before = match fault {
            Some(fault) => self.faults.insert(what, fault.clone()).is_none_or(|before| before != fault),
            None => self.faults.remove(what).is_some(),
        };
        self.is_untold |= before;
    }

    /// Lets requests see what is known now.
    fn publish(&self, shared: &Shared) {
        let mut told = Told { notes: self.faults.iter().map(|(what, fault)| format!("{what}: {fault}")).collect(), ..Told::default() };
        match &lock(&shared.seen).watcher {
            Some(watcher) => {
                told.raised = watcher.raised();
                told.report.clone_from(&watcher.history().last);
                if let Some(back) = watcher.clock_back_us() {
                    told.notes.push(format!("the clock went back by {:.0} s: a window is that much longer", back as f64 / 1e6));
                }
            }
            None => told.notes.push("the model file holds nothing to watch with: train it again".to_owned()),
        }
        *lock(&shared.told) = Arc::new(told);
    }

    /// A watcher of a model's answers, that goes on where one before it stopped.
    fn open(&mut self, model: &Model) -> Result<Option<Watcher>> {
        let Some(Watched { reference, settings, .. }) = model.artifact.watched() else { return Ok(None) };
        let options = MonitorOptions::over(settings, &self.around.options.said)?;
        let hash = model.artifact.hash();
        self.labels_us = (self.around.world.now_us)();
        let Some(folder) = &self.around.folder else { return Ok(Some(Watcher::new(reference.clone(), options))) };
        let resumed = read_kept(folder, hash).and_then(|kept| {
            let Some(kept) = kept else { return Ok(None) };
            Ok(Some((kept.labels_us, Watcher::resume(reference.clone(), options.clone(), kept.state)?)))
        });
        match resumed {
            Ok(Some((labels_us, watcher))) => {
                self.labels_us = labels_us;
                return Ok(Some(watcher));
            }
            Ok(None) => {}
            Err(error) => {
                // It stays beside, for whoever wants to know.
                let path = state_file(folder, hash);
                let _ = fs::rename(&path, path.with_extension("unreadable"));
                (self.around.world.tell)(Event::Warning {
                    text: format!("{}: the monitor begins anew: failed to {error}", self.around.name),
                });
            }
        }
        Ok(Some(Watcher::new(reference.clone(), options)))
    }

    /// One process keeps what it knows in the folder; others know it for themselves.
    fn lock(&mut self) {
        let Some(folder) = &self.around.folder else { return };
        let locked =
            fs::create_dir_all(folder).and_then(|()| File::create(folder.join("lock"))).map(|file| (file.try_lock().is_ok(), file));
        match locked {
            Ok((true, file)) => self.lock = Some(file),
            Ok((false, _)) => {
                self.fault("state", Some("another server keeps what it sees in this folder; this one forgets it when it stops".into()));
            }
            Err(error) => {
                let fault = format!("{}: {error}", folder.display());
                self.fault("state", Some(fault));
            }
        }
    }

    fn take(&mut self, part: Part, shared: &Shared) {
        if !Arc::ptr_eq(&part.model, &lock(&shared.seen).model) {
            self.exchange(&part.model, shared);
        }
        let counted = Counted::new(part).and_then(|counted| {
            let Some(counted) = counted else { return Ok(()) };
            self.is_unsaved = true;
            self.count(shared, |watcher| Ok(watcher.push(&counted.rows())?))
        });
        self.fault("rows", counted.err().map(|error| error.to_string()));
    }

    /// Another model is the champion.
    fn exchange(&mut self, model: &Arc<Model>, shared: &Shared) {
        self.save(shared);
        self.known.clear();
        let opened = self.open(model);
        self.fault("monitor", opened.as_ref().err().map(ToString::to_string));
        *lock(&shared.seen) = Seen { model: model.clone(), watcher: opened.ok().flatten() };
        self.is_untold = true;
    }

    /// Tells people what windows that are over say.
    fn tell(&mut self, closed: &[Closed], model: &Model) {
        let Around { name, registry, options, world, .. } = &self.around;
        let mut kept = Ok(());
        for event in closed.iter().flat_map(|closed| &closed.events) {
            let Some(alarm) = event.alarm.as_ref().filter(|_| event.kind == AlarmKind::Raised) else {
                (world.tell)(Event::Note { text: format!("{name}: {} is over", event.key) });
                continue;
            };
            (world.tell)(Event::Warning { text: format!("{name}: {} {} {}", alarm.what, alarm.stake, alarm.advice) });
            let facts = json!({"key": alarm.key, "why": alarm.what, "stake": alarm.stake, "advice": alarm.advice});
            let number = model.version.parse().ok();
            kept = kept.and(registry.iter().try_for_each(|registry| registry.note(name, "alarm", number, event.at_us, &facts).map(|_| ())));
        }
        let told: Vec<_> = closed.iter().flat_map(|closed| closed.events.clone()).collect();
        if let Some(url) = options.webhook.as_ref().filter(|_| !told.is_empty()) {
            post_in_background(url, name, model.artifact.hash(), told, world);
        }
        self.fault("registry", kept.err().map(|error| error.to_string()));
    }

    fn save(&mut self, shared: &Shared) {
        let (Some(folder), Some(_)) = (self.around.folder.clone(), &self.lock) else { return };
        let (text, path) = {
            let seen = lock(&shared.seen);
            let Some(watcher) = &seen.watcher else { return };
            let hash = seen.model.artifact.hash();
            let kept = json!({"version": VERSION, "hash": hash, "labels_us": self.labels_us, "state": watcher.state()});
            (kept.to_string(), state_file(&folder, hash))
        };
        let written = WholeFile::create(&path).map_err(|error| error.to_string()).and_then(|mut file| {
            file.write_all(text.as_bytes()).map_err(|error| format!("{}: {error}", path.display()))?;
            file.commit().map_err(|error| error.to_string())
        });
        self.is_unsaved = false;
        self.fault("state", written.err());
    }

    /// Takes labels that came since the last look, and finds the answers that they are of in the log.
    fn find_labels(&mut self, shared: &Shared) {
        let Some(folder) = self.around.log.clone() else { return };
        let model = lock(&shared.seen).model.clone();
        let found = self.new_labels().and_then(|labels| find_answers(&folder, &labels, (self.around.world.now_us)(), &model));
        let counted = found.and_then(|found| {
            found.iter().try_for_each(|labelled| {
                self.is_unsaved = true;
                self.count(shared, |watcher| {
                    watcher.push_labels(&labelled.hashes, &labelled.inputs, &labelled.predictions, &labelled.truth)?;
                    Ok(vec![])
                })
            })
        });
        self.fault("labels", counted.err().map(|error| error.to_string()));
    }

    fn new_labels(&mut self) -> Result<ByAnswer> {
        let Around { name, world, .. } = &self.around;
        let labels = match self.labels.take() {
            Some(labels) => labels,
            None => Labels::open(&world.labels(), Durability::Process)?,
        };
        let found = labels.since(name, self.labels_us.saturating_sub(OVERLAP_US))?;
        self.labels = Some(labels);
        let is_new = |(key, label): &(&(String, String), &cupola_watch::labels::Label)| {
            self.known.get(*key).is_none_or(|(known, _)| *known != label.label)
                && label.received_us > self.labels_us.saturating_sub(OVERLAP_US)
        };
        let new: ByAnswer = found.iter().filter(is_new).map(|(key, label)| (key.clone(), label.clone())).collect();
        self.labels_us = found.values().map(|label| label.received_us).fold(self.labels_us, i64::max);
        self.known.extend(new.iter().map(|(key, label)| (key.clone(), (label.label.clone(), label.received_us))));
        self.known.retain(|_, (_, received_us)| *received_us >= self.labels_us.saturating_sub(OVERLAP_US));
        Ok(new)
    }
}

/// Posts alarms without waiting for the other side; who runs the server hears when it fails.
fn post_in_background(url: &str, name: &str, hash: &str, events: Vec<AlarmEvent>, world: &World) {
    let (url, name, hash, tell) = (url.to_owned(), name.to_owned(), hash.to_owned(), world.tell.clone());
    let posted = std::thread::Builder::new().name("webhook".into()).spawn(move || {
        if let Err(error) = post(&url, &name, &hash, &events) {
            tell(Event::Warning { text: format!("{name}: failed to {error}") });
        }
    });
    // Without a thread nobody is told this way; the alarm stands in every other place.
    drop(posted);
}

/// The next rows to count, and whether nothing will come any more.
fn gather(shared: &Shared) -> (Option<Part>, bool) {
    let wait = |line, time: Duration, is_nothing: fn(&Line) -> bool| {
        let waited = shared.has_come.wait_timeout_while(line, time, |line: &mut Line| !line.is_over && is_nothing(line));
        waited.unwrap_or_else(PoisonError::into_inner).0
    };
    let mut line = wait(lock(&shared.line), LOOK, Line::is_empty);
    if !line.is_empty() {
        line = wait(line, GATHER, |line| !line.has_part());
    }
    let part = line.pop();
    let is_over = part.is_none() && line.is_over;
    (part, is_over)
}

/// What the thread may still work, in seconds: below nothing when it worked longer.
struct Budget {
    left: f64,
    at: Instant,
}

impl Budget {
    fn new() -> Budget {
        Budget { left: CREDIT.as_secs_f64(), at: Instant::now() }
    }

    /// Takes work off; how long to rest, if it was too much.
    fn spend(&mut self, worked: Duration) -> Option<Duration> {
        let again = CREDIT_AGAIN.as_secs_f64();
        let left = (self.left + SHARE * self.at.elapsed().as_secs_f64()).min(CREDIT.as_secs_f64()) - worked.as_secs_f64();
        (self.left, self.at) = (left.max(again - SHARE * REST_MAX.as_secs_f64()), Instant::now());
        (self.left <= 0.0).then(|| Duration::from_secs_f64((again - self.left) / SHARE))
    }
}

/// Rows of a part, with what is expected of them.
struct Counted {
    at_us: Vec<i64>,
    hashes: Vec<u64>,
    inputs: Columns,
    predictions: Predictions,
    losses: Vec<(Arc<str>, ExpectedLosses)>,
}

impl Counted {
    /// None of kinds that are not watched.
    fn new(mut part: Part) -> Result<Option<Counted>> {
        let (at_us, hashes) = (std::mem::take(&mut part.at_us), std::mem::take(&mut part.hashes));
        let model = part.model.clone();
        let Some(watched) = model.artifact.watched() else { return Ok(None) };
        let Some((inputs, predictions)) = part.finish()? else { return Ok(None) };
        let losses = watched.expect(&inputs, &predictions)?;
        Ok(Some(Counted { at_us, hashes, inputs, predictions, losses }))
    }

    fn rows(&self) -> Rows<'_> {
        let Counted { at_us, hashes, inputs, predictions, losses } = self;
        Rows { at_us, hashes, inputs, predictions, truth: None, losses }
    }
}

/// Answers with what turned out to be true.
struct Labelled {
    hashes: Vec<u64>,
    inputs: Columns,
    predictions: Predictions,
    truth: Columns,
}

/// Finds the answers of labels in the log, the newest first.
fn find_answers(folder: &Path, labels: &ByAnswer, now_us: i64, model: &Model) -> Result<Vec<Labelled>> {
    let artifact = &model.artifact;
    let mut wanted: HashSet<String> = labels.keys().map(|(id, _)| id.clone()).collect();
    let mut found = Vec::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    visit(folder, &(now_us.saturating_sub(AGE_MAX_US)..i64::MAX), Some(artifact.hash()), Order::Newest, &mut |piece| {
        let (ids, aliases) = (piece.texts("id"), piece.texts("alias"));
        let is_theirs = |row: &usize| aliases[*row] != Some(SHADOW) && ids[*row].is_some_and(|id| wanted.contains(id));
        let rows: Vec<usize> = (0..ids.len()).filter(is_theirs).collect();
        if !rows.is_empty() {
            let taken: Vec<u64> = rows.iter().map(|&row| row as u64).collect();
            let known: Vec<&str> = rows.iter().filter_map(|&row| ids[row]).collect();
            found.push(Labelled {
                hashes: known.iter().map(|id| row_hash(id)).collect(),
                inputs: piece.inputs().take(&taken),
                predictions: answers_of(artifact, &piece.outputs().take(&taken)),
                truth: known_labels(artifact, &known, labels),
            });
            known.iter().for_each(|id| _ = wanted.remove(*id));
        }
        Ok(if wanted.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(found)
}
