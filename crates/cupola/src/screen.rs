//! What people and machines see of a run: data on standard output, everything else on standard error; one moving line
//! on a terminal, plain lines when piped, JSON lines when asked.

use cupola_task::{Event, Exit};
use cupola_train::report::Paint;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How to show things.
pub struct Screen {
    /// One JSON object a line on standard output.
    pub json: bool,
    quiet: bool,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    stage: String,
    began: Instant,
    shown: Option<Instant>,
    has_total: bool,
}

/// Between two progress lines when the output is piped.
const LINE_EVERY: Duration = Duration::from_secs(5);

impl Screen {
    /// A screen for this process.
    pub fn new(json: bool, quiet: bool) -> Screen {
        let moves = !json && !quiet && std::io::stderr().is_terminal();
        let state = State { stage: String::new(), began: Instant::now(), shown: None, has_total: false };
        Screen {
            json,
            quiet,
            bar: moves.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(12))),
            state: Mutex::new(state),
        }
    }

    /// Another for another thread, that shows things alike.
    pub fn another(&self) -> Screen {
        Screen::new(self.json, self.quiet)
    }

    /// Whether colours may be used on standard output.
    pub fn paint(&self) -> Paint {
        let is_coloured = !self.json && std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        if is_coloured { Paint::Ansi } else { Paint::Plain }
    }

    /// Columns of the terminal, 100 when there is none.
    pub fn width(&self) -> usize {
        match std::io::stdout().is_terminal() {
            true => usize::from(console::Term::stdout().size().1).clamp(40, 160),
            false => 100,
        }
    }

    /// Data for people: the answer to the command.
    pub fn text(&self, text: &str) {
        if !self.json {
            print(text);
        }
    }

    /// Data for machines: one line of JSON.
    pub fn object(&self, object: &serde_json::Value) {
        if self.json {
            print(&object.to_string());
        }
    }

    /// An event of a run.
    pub fn event(&self, event: &Event, elapsed: Duration) {
        if self.json {
            let mut object = serde_json::to_value(event).expect("events are plain data");
            object["seconds"] = serde_json::json!((elapsed.as_secs_f64() * 1000.0).round() / 1000.0);
            return print(&object.to_string());
        }
        if self.quiet {
            return;
        }
        match event {
            Event::Stage { name } => self.stage(name),
            Event::Progress { done, total, unit, score } => self.progress(*done, *total, unit, score.as_ref()),
            Event::Warning { text } => self.line(&format!("warning: {text}")),
            Event::Note { text } => self.line(text),
            Event::Resolved { .. } => {}
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn stage(&self, name: &str) {
        let mut state = self.state();
        *state = State { stage: name.to_owned(), began: Instant::now(), shown: None, has_total: false };
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("the template is constant"));
            bar.set_message(name.to_owned());
            bar.tick();
        }
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str, score: Option<&(String, f64)>) {
        let mut state = self.state();
        let score = score.map_or(String::new(), |(name, value)| format!("  {name} {value:.5}"));
        if let Some(bar) = &self.bar {
            if let (Some(total), false) = (total, state.has_total) {
                bar.set_length(total);
                bar.set_style(
                    ProgressStyle::with_template("{msg:14} {bar:28} {pos}/{len} {prefix}  eta {eta}")
                        .expect("the template is constant")
                        .progress_chars("━╸ "),
                );
                state.has_total = true;
            }
            bar.set_position(done);
            bar.set_message(state.stage.clone());
            bar.set_prefix(format!("{unit}{score}  {}", memory()));
            return;
        }
        let is_due = state.shown.unwrap_or(state.began).elapsed() >= LINE_EVERY;
        if is_due {
            state.shown = Some(Instant::now());
            let of = total.map_or(String::new(), |total| format!("/{total}"));
            let eta = total.filter(|_| done > 0).map_or(String::new(), |total| {
                format!("  eta {:.0}s", state.began.elapsed().as_secs_f64() / done as f64 * total.saturating_sub(done) as f64)
            });
            eprint(&format!("{}: {done}{of} {unit}{score}{eta}  {}", state.stage, memory()));
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprint(text)),
            None => eprint(text),
        }
    }

    /// A remark beside the data, on standard error.
    pub fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            self.line(text);
        }
    }

    /// Takes the moving line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// An error, with its hint.
    pub fn error(&self, text: &str, hint: Option<&str>, exit: Exit) {
        self.finish();
        if self.json {
            print(&serde_json::json!({ "event": "error", "text": text, "hint": hint, "exit": exit as u8 }).to_string());
            return;
        }
        eprint(&format!("error: {text}"));
        if let Some(hint) = hint {
            eprint(&format!("\nhint: {hint}"));
        }
    }
}

/// A closed pipe downstream (`| head`) is no fault of ours: the process ends quietly, as others do. Any other refusal, as
/// that of a full disk, means that the answer is lost.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprint(&format!("error: failed to write to standard output: {error}"));
            std::process::exit(i32::from(Exit::Failure as u8));
        }
    }
}

fn eprint(text: &str) {
    // Nothing can be told when standard error itself is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Resident memory of this process, where the system tells.
fn memory() -> String {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.map_or(String::new(), |pages| format!("{} MB", pages * 4096 / 1_000_000))
}
