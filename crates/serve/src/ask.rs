//! From a request's rows to its answer: which model answers, what is counted and remembered of it, and who answers in the shadow.

use crate::app::{App, Asked};
use crate::call::Call;
use crate::problem::Problem;
use crate::rows::{Inputs, Unseen};
use crate::service::{Lineup, Model, Service};
use crate::{Challenger, pictures};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use cupola_task::{Columns, Kind, Predictions, Role};
use cupola_train::answer_columns;
use cupola_train::explain::{AnswersExplained, explain_answers};
use cupola_watch::log::{self, Lines};
use cupola_watch::registry::{CHALLENGER, CHAMPION};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// More rows than these are written on a worker, not between other requests.
const ROWS_INLINE: usize = 1000;

/// A body of so many bytes at most is answered where it was read, when the model is quick: a handful of rows.
pub(crate) const BYTES_INLINE: usize = 4096;

/// What a model answered, with what `read` gave beside the rows.
pub(crate) struct Answered<R> {
    pub(crate) model: Arc<Model>,
    pub(crate) predictions: Predictions,
    pub(crate) unseen: Vec<Unseen>,
    pub(crate) rest: R,
    /// By this the answer can be labelled later.
    pub(crate) id: Arc<str>,
    /// Whether it stands in the prediction log.
    pub(crate) logged: bool,
    /// What made each row's answers, where that was asked for.
    pub(crate) explained: Option<Vec<AnswersExplained>>,
}

impl<R> Answered<R> {
    /// What the headers of every answer say: which model made it, and whether it is remembered.
    pub(crate) fn mark(&self) -> [(HeaderName, HeaderValue); 3] {
        let [version, hash] = self.model.marks.clone();
        let logged = HeaderValue::from_static(if self.logged { "true" } else { "false" });
        let name = HeaderName::from_static;
        [(name("x-model-version"), version), (name("x-model-hash"), hash), (name("x-logged"), logged)]
    }
}

/// Reads the rows of a request of so many bytes, asks a model, counts what it was asked, and writes the answer. Small requests wait for others
/// where the model answers in batches.
///
/// # Errors
/// What is wrong with the request, or why there is no answer in time.
pub(crate) async fn ask<R: Send + 'static, T: Send + 'static>(
    call: Call,
    bytes: usize,
    read: impl FnOnce(&Inputs) -> Result<(Columns, R), Problem> + Send + 'static,
    write: impl FnOnce(Answered<R>) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let Call { app, service, version, asked, explains, .. } = call;
    let lineup = service.lineup();
    let model = choose(&app, &lineup, version.as_deref(), &asked.id)?;
    let work = {
        let (app, model) = (app.clone(), model.clone());
        move || {
            let (columns, rest) = read(&model.inputs)?;
            let columns = conformed(&model, &columns)?;
            if explains {
                may_explain(&app, columns.rows())?;
            }
            let unseen = count(&app, &model, &columns);
            if !explains && model.batcher.as_ref().is_some_and(|batcher| batcher.takes(columns.rows())) {
                return Ok((columns, unseen, rest, None, None));
            }
            let predictions = model.artifact.answer(&columns).map_err(|error| Problem::fault(&error))?;
            let explained = match explains {
                true => Some(explain_answers(&model.artifact, &columns, &predictions).map_err(|error| Problem::fault(&error))?),
                false => None,
            };
            Ok((columns, unseen, rest, Some(predictions), explained))
        }
    };
    // An explanation takes longer than the answer, so it always goes to a worker.
    let worked = match model.is_quick && bytes <= BYTES_INLINE && !explains {
        true => work(),
        false => app.desk.run(asked.deadline, work).await,
    };
    let monitor = service.monitor.as_ref().filter(|_| Arc::ptr_eq(&model, &lineup.champion));
    let (columns, unseen, rest, predictions, explained) = worked.inspect_err(|problem| {
        if let (Some(monitor), Some((column, is_absent))) = (monitor, problem.column()) {
            monitor.refuse(&model, column, is_absent);
        }
    })?;
    let predictions = match (predictions, &model.batcher) {
        (Some(predictions), _) => predictions,
        (None, Some(batcher)) => batcher.ask(&app, &model, columns.clone(), asked.deadline).await?,
        (None, None) => unreachable!("only a model with a batcher gathers"),
    };
    let rows = columns.rows();
    if let Some(monitor) = monitor {
        monitor.push(&model, (app.world.now_us)(), &asked.id, &columns, &predictions);
    }
    let logged = remember(&app, &service, &lineup, &model, &asked, &columns, &predictions).await;
    shadow(&app, &service, &lineup, &model, &asked, &columns);
    let answered = Answered { model, predictions, unseen, rest, id: asked.id, logged, explained };
    match rows > ROWS_INLINE {
        true => app.desk.run(asked.deadline, move || write(answered)).await,
        false => write(answered),
    }
}

/// Whether so many rows may be explained at once.
fn may_explain(app: &App, rows: usize) -> Result<(), Problem> {
    match app.options.explain_rows {
        0 => Err(Problem::new(StatusCode::FORBIDDEN, "this server explains no answers (explain_rows=0)")),
        most if rows > most => {
            Err(Problem::too_large(format!("found {rows} rows to explain, wanted at most {most}")).with_hint("send fewer rows at once"))
        }
        _ => Ok(()),
    }
}

/// The version that was named; else the champion, or the challenger for its share of requests.
fn choose(app: &App, lineup: &Lineup, version: Option<&str>, id: &str) -> Result<Arc<Model>, Problem> {
    if let Some(version) = version {
        return lineup.version(version).cloned().ok_or_else(|| unknown_version(lineup, version));
    }
    let challenger = lineup.challenger.as_ref().filter(|_| app.options.challenger == Challenger::Split);
    Ok(challenger.filter(|_| cupola_watch::share(id) < app.options.split).unwrap_or(&lineup.champion).clone())
}

/// Says which versions serve.
pub(crate) fn unknown_version(lineup: &Lineup, version: &str) -> Problem {
    let served: Vec<String> = lineup.models().map(|(alias, model)| format!("{} ({alias})", model.version)).collect();
    let message = format!("no version {} of {}", crate::problem::shorten(version), lineup.champion.name);
    Problem::new(StatusCode::NOT_FOUND, message).with_hint(format!("served are: {}", served.join(", ")))
}

/// Hands an answer to the log, and says whether it is kept.
async fn remember(
    app: &App,
    service: &Service,
    lineup: &Lineup,
    model: &Arc<Model>,
    asked: &Asked,
    columns: &Columns,
    predictions: &Predictions,
) -> bool {
    let Some(log) = service.log.as_ref().filter(|log| log.samples(&asked.id)) else { return false };
    let alias = if Arc::ptr_eq(model, &lineup.champion) { CHAMPION } else { CHALLENGER };
    let entry = Entry::new(app, asked, alias);
    let lines = if columns.rows() <= ROWS_INLINE {
        entry.lines(model, columns, predictions)
    } else {
        let (model, columns, predictions) = (model.clone(), columns.clone(), predictions.clone());
        let Ok(lines) = tokio::task::spawn_blocking(move || entry.lines(&model, &columns, &predictions)).await else { return false };
        lines
    };
    let (tell, told) = oneshot::channel();
    log.append(lines, move |is_kept| {
        // Who no longer waits is not told.
        let _ = tell.send(is_kept);
    });
    matches!(tokio::time::timeout(log.wait(), told).await, Ok(Ok(true)))
}

/// What the log is told beside the columns.
struct Entry {
    asked: Asked,
    at_us: i64,
    alias: &'static str,
    latency_us: f64,
}

impl Entry {
    fn new(app: &App, asked: &Asked, alias: &'static str) -> Entry {
        Entry { asked: asked.clone(), at_us: (app.world.now_us)(), alias, latency_us: asked.begin.elapsed().as_secs_f64() * 1e6 }
    }

    fn lines(&self, model: &Model, columns: &Columns, predictions: &Predictions) -> Lines {
        let (id, key) = (&*self.asked.id, self.asked.key.as_deref());
        let answered = log::Answered { id, at_us: self.at_us, alias: self.alias, latency_us: self.latency_us, key };
        model.encoder.lines(&answered, columns, &answer_columns(predictions))
    }
}

/// What the log calls the alias of an answer that went to nobody.
pub(crate) const SHADOW: &str = "shadow";

/// Lets the challenger answer what the champion was asked, when nobody waits for a worker. Nobody waits for it either.
fn shadow(app: &Arc<App>, service: &Arc<Service>, lineup: &Lineup, answered: &Arc<Model>, asked: &Asked, columns: &Columns) {
    let Some(challenger) = lineup.challenger.as_ref().filter(|_| app.options.challenger == Challenger::Shadow) else { return };
    if Arc::ptr_eq(challenger, answered) {
        return;
    }
    if app.desk.waiting() > 0 {
        return app.metrics.shadow(false);
    }
    let (app, service, model, columns, asked) = (app.clone(), service.clone(), challenger.clone(), columns.clone(), asked.clone());
    tokio::spawn(async move {
        let work = {
            let app = app.clone();
            move || {
                let asked = Asked { begin: Instant::now(), ..asked };
                let predictions = model.artifact.answer(&columns).map_err(|error| Problem::fault(&error))?;
                if let Some(log) = service.log.as_ref().filter(|log| log.samples(&asked.id)) {
                    log.append(Entry::new(&app, &asked, SHADOW).lines(&model, &columns, &predictions), |_| {});
                }
                Ok(())
            }
        };
        let answered = app.shadows.run(Instant::now() + app.options.request_timeout, work).await;
        app.metrics.shadow(answered.is_ok());
    });
}

/// The model's inputs, typed.
fn conformed(model: &Model, columns: &Columns) -> Result<Columns, Problem> {
    let columns = model.inputs.sent(columns)?;
    let columns = model.artifact.conform(&columns, &|row| format!("row {}", row + 1)).map_err(|error| misfit(&model.inputs, error))?;
    Ok(columns.select(|name| model.artifact.raw().field(name).is_some_and(|field| field.role == Role::Input)))
}

fn count(app: &App, model: &Model, columns: &Columns) -> Vec<Unseen> {
    let unseen = model.inputs.unseen(columns);
    app.metrics.rows(columns.rows());
    for run in unseen.chunk_by(|a, b| a.column == b.column) {
        app.metrics.unseen(&model.name, &run[0].column, run.len() as u64);
    }
    unseen
}

/// A cell that does not fit its column, with column and row where the crate below names them.
fn misfit(inputs: &Inputs, error: cupola_train::Error) -> Problem {
    match error {
        // Its hint is for whoever trains: recipe keys are no use to a client.
        cupola_train::Error::Read(cupola_data::Error::Column { column, place, found, wanted, .. }) => {
            let row = place.strip_prefix("row ").and_then(|row| row.parse().ok());
            let is_image = inputs.input(&column).is_some_and(|input| matches!(input.kind, Kind::Image { .. }));
            let unknown = "send nothing (null in JSON, an empty cell in CSV) where the value is not known";
            Problem::misfit(&column, row, found, wanted).with_hint(if is_image { pictures::HINT } else { unknown })
        }
        error => Problem::fault(&error),
    }
}
