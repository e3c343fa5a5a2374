//! The thread that writes: everything that waits goes out in one call, and with `durability=power` to the disk together.

use super::line::Lines;
use super::settings::LogOptions;
use super::{retain, roll};
use crate::{Durability, Error, Result};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many requests may wait to be written, whatever their size.
const QUEUE: usize = 10_000;
/// How many bytes are written in one call at most.
const BATCH_BYTES: usize = 4 << 20;
/// How often it is looked whether a segment is done while nothing comes.
const TICK: Duration = Duration::from_millis(500);
/// How long nothing is tried after a failure: each try costs much more than a line that is written, and requests would pay for it.
pub(super) const REST: Duration = Duration::from_millis(100);
/// How often it is looked for segments that another process left, and for days that are too old.
const ROUND: Duration = Duration::from_secs(60);

/// What a log has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that are kept.
    pub rows: u64,
    /// Rows that did not fit into the buffer.
    pub dropped: u64,
    /// Rows that could not be written.
    pub failed: u64,
    /// Bytes that are kept.
    pub bytes: u64,
    /// Bytes that wait.
    pub waiting: u64,
}

#[derive(Default)]
struct Shared {
    rows: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    waiting: AtomicUsize,
    /// Whether nothing is tried for now.
    rests: AtomicBool,
    /// The last thing that went wrong, while it still does.
    fault: Mutex<Option<String>>,
}

struct Job {
    lines: Lines,
    done: Box<dyn FnOnce(bool) + Send>,
}

/// A log that is open for writing.
pub struct Logger {
    options: LogOptions,
    shared: Arc<Shared>,
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// What both threads need.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) now_us: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Logger {
    /// Opens the log of a folder; what another process left unfinished there becomes a table.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: &Path, options: &LogOptions, now_us: Arc<dyn Fn() -> i64 + Send + Sync>) -> Result<Logger> {
        std::fs::create_dir_all(folder).map_err(|source| Error::io(format!("make folder {}", folder.display()), source))?;
        let place = Place { folder: folder.to_owned(), now_us };
        let shared = Arc::new(Shared::default());
        let (jobs, waiting) = sync_channel(QUEUE);
        let (done, ended) = channel();
        let segments = HashMap::new();
        let writing = Writing { place: place.clone(), options: options.clone(), shared: shared.clone(), segments, done };
        let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
            thread.map_err(|source| Error::io("start a thread of the log", source))
        };
        let (rolling, kept) = (shared.clone(), options.clone());
        let threads = vec![
            start("log", Box::new(move || writing.run(&waiting)))?,
            start("log tables", Box::new(move || tables(&place, &kept, &rolling, &ended)))?,
        ];
        Ok(Logger { options: options.clone(), shared, jobs: Some(jobs), threads })
    }

    /// Whether the request of that id is to be logged.
    pub fn samples(&self, id: &str) -> bool {
        self.options.sample >= 1.0 || crate::share(id) < self.options.sample
    }

    /// How long an answer waits for its lines.
    pub fn wait(&self) -> Duration {
        self.options.wait
    }

    /// Hands lines over; `done` hears whether they are kept, at once when they do not fit. Never blocks.
    pub fn append(&self, lines: Lines, done: impl FnOnce(bool) + Send + 'static) {
        let (bytes, rows) = (lines.bytes.len(), lines.rows);
        if self.shared.rests.load(Ordering::Relaxed) {
            self.shared.failed.fetch_add(rows, Ordering::Relaxed);
            return done(false);
        }
        let before = self.shared.waiting.fetch_add(bytes, Ordering::Relaxed);
        let sent = match (&self.jobs, before + bytes <= self.options.buffer_bytes) {
            (Some(jobs), true) => jobs.try_send(Job { lines, done: Box::new(done) }),
            _ => Err(TrySendError::Full(Job { lines, done: Box::new(done) })),
        };
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = sent {
            self.shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.dropped.fetch_add(rows, Ordering::Relaxed);
            (job.done)(false);
        }
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            rows: of(&self.shared.rows),
            dropped: of(&self.shared.dropped),
            failed: of(&self.shared.failed),
            bytes: of(&self.shared.bytes),
            waiting: self.shared.waiting.load(Ordering::Relaxed) as u64,
        }
    }

    /// What goes wrong at present.
    pub fn fault(&self) -> Option<String> {
        self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Logger {
    /// Writes what waits and makes tables of all segments.
    fn drop(&mut self) {
        self.jobs = None;
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Shared {
    fn tell(&self, fault: Option<String>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// A segment that grows. Its lock tells other processes that somebody writes it.
struct Segment {
    path: PathBuf,
    file: File,
    bytes: u64,
    began: Instant,
    day: i64,
}

struct Writing {
    place: Place,
    options: LogOptions,
    shared: Arc<Shared>,
    /// By the model's hash.
    segments: HashMap<Arc<str>, Segment>,
    /// Hears when a segment is done.
    done: Sender<()>,
}

impl Writing {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut rest: Option<Instant> = None;
        loop {
            let left = rest.map(|end| end.saturating_duration_since(Instant::now()));
            match jobs.recv_timeout(left.unwrap_or(TICK)) {
                Ok(first) => {
                    self.shared.rests.store(false, Ordering::Relaxed);
                    self.take(first, jobs);
                    rest = self.shared.rests.load(Ordering::Relaxed).then(|| Instant::now() + REST);
                }
                Err(RecvTimeoutError::Timeout) => {
                    rest = None;
                    self.shared.rests.store(false, Ordering::Relaxed);
                }
                Err(RecvTimeoutError::Disconnected) => return self.segments.clear(),
            }
            self.close_old();
        }
    }

    /// Writes the first job and all that came meanwhile.
    fn take(&mut self, first: Job, jobs: &Receiver<Job>) {
        let mut batch = vec![first];
        let mut bytes = batch[0].lines.bytes.len();
        while bytes < BATCH_BYTES
            && let Ok(job) = jobs.try_recv()
        {
            bytes += job.lines.bytes.len();
            batch.push(job);
        }
        let mut by_hash: HashMap<Arc<str>, Vec<Job>> = HashMap::new();
        batch.into_iter().for_each(|job| by_hash.entry(job.lines.hash.clone()).or_default().push(job));
        for (hash, jobs) in by_hash {
            let text: Vec<u8> = jobs.iter().flat_map(|job| job.lines.bytes.iter().copied()).collect();
            let written = self.write(&hash, &jobs[0].lines.head, &text);
            let rows: u64 = jobs.iter().map(|job| job.lines.rows).sum();
            self.shared.waiting.fetch_sub(text.len(), Ordering::Relaxed);
            let count = if written.is_ok() { &self.shared.rows } else { &self.shared.failed };
            count.fetch_add(rows, Ordering::Relaxed);
            if written.is_ok() {
                self.shared.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
            }
            let is_kept = written.is_ok();
            if !is_kept {
                self.shared.rests.store(true, Ordering::Relaxed);
            }
            self.shared.tell(written.err().map(|error| error.to_string()));
            jobs.into_iter().for_each(|job| (job.done)(is_kept));
        }
    }

    fn write(&mut self, hash: &Arc<str>, head: &str, text: &[u8]) -> Result<()> {
        if !self.segments.contains_key(hash) {
            let day = day_of((self.place.now_us)());
            let segment = Segment::open(&self.place.folder, hash, head, day)?;
            self.segments.insert(hash.clone(), segment);
        }
        let segment = self.segments.get_mut(hash).expect("it was put there above");
        let written = segment.write(text, self.options.durability);
        if written.is_err() && segment.file.set_len(segment.bytes).is_err() {
            // Half a line stays at its end, where a reader expects one; the next line begins a new segment.
            self.segments.remove(hash);
        }
        written
    }

    fn close_old(&mut self) {
        let today = day_of((self.place.now_us)());
        let (bytes_max, time_max) = (self.options.segment_bytes, self.options.segment_time);
        // A clock that goes back does not close a segment: only a later day does.
        let before = self.segments.len();
        self.segments.retain(|_, segment| segment.bytes < bytes_max && segment.began.elapsed() < time_max && today <= segment.day);
        if self.segments.len() < before {
            // Who makes tables ends after this thread.
            let _ = self.done.send(());
        }
    }
}

impl Segment {
    fn open(folder: &Path, hash: &str, head: &str, day: i64) -> Result<Segment> {
        let failed = |path: &Path, source| Error::io(format!("open segment {}", path.display()), source);
        let short: String = hash.chars().take(12).collect();
        let mut number = roll::last_number(folder) + 1;
        loop {
            let path = folder.join(format!("open-{number:06}-{short}.jsonl"));
            // Under its name only once it is locked: a segment that nobody locks is taken for one that is done.
            let hidden = folder.join(format!(".open-{number:06}-{short}"));
            match OpenOptions::new().append(true).create_new(true).open(&hidden) {
                Ok(mut file) => {
                    let begun =
                        file.lock().and_then(|()| file.write_all(head.as_bytes())).and_then(|()| std::fs::hard_link(&hidden, &path));
                    let _ = std::fs::remove_file(&hidden);
                    match begun {
                        Ok(()) => return Ok(Segment { path, file, bytes: head.len() as u64, began: Instant::now(), day }),
                        Err(source) if source.kind() == ErrorKind::AlreadyExists => number += 1,
                        Err(source) => return Err(failed(&path, source)),
                    }
                }
                Err(source) if source.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(failed(&path, source)),
            }
        }
    }

    fn write(&mut self, text: &[u8], durability: Durability) -> Result<()> {
        let written = self.file.write_all(text).and_then(|()| match durability {
            Durability::Power => self.file.sync_data(),
            Durability::Process => Ok(()),
        });
        written.map_err(|source| Error::io(format!("write segment {}", self.path.display()), source))?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

/// Days since 1970.
pub(super) fn day_of(at_us: i64) -> i64 {
    at_us.div_euclid(86_400_000_000)
}

/// Makes tables of segments that nobody writes any more, and removes what is too old, until the log is closed and all is done.
fn tables(place: &Place, options: &LogOptions, shared: &Shared, done: &Receiver<()>) {
    let mut retained: Option<i64> = None;
    loop {
        if let Err(error) = roll::roll(&place.folder) {
            shared.tell(Some(error.to_string()));
        }
        let now_us = (place.now_us)();
        if retained != Some(now_us / 3_600_000_000) {
            retained = Some(now_us / 3_600_000_000);
            if let Err(error) = retain::retain(&place.folder, options, now_us) {
                shared.tell(Some(error.to_string()));
            }
        }
        if done.recv_timeout(ROUND) == Err(RecvTimeoutError::Disconnected) {
            // The segments were closed with the channel.
            if let Err(error) = roll::roll(&place.folder) {
                shared.tell(Some(error.to_string()));
            }
            return;
        }
    }
}
