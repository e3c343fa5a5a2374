//! `POST /feedback`: what turned out to be true, by the id that came with the answer. A 200 says that the labels are kept; when they cannot be,
//! it is 503 and nothing of them is. Labels of requests that come at once are committed together.

use crate::app::{App, Asked};
use crate::call::Call;
use crate::extent::check_values;
use crate::problem::Problem;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cupola_task::{Field, Kind};
use cupola_train::Artifact;
use cupola_watch::labels::{ID_MAX, Labels, NewLabel, NewLabels};
use cupola_watch::{Durability, StoreAt};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Most labels that may wait for their commit.
const WAITING_MAX: usize = 100_000;

/// Most values that a label is written with: its bracket, its keys, and the next one.
const VALUES_MAX: usize = 5;

/// Where labels go.
pub(crate) struct Feedback {
    at: StoreAt,
    durability: Durability,
    /// Opened with the first label, and again when it broke.
    labels: Mutex<Option<Labels>>,
    waiting: Mutex<Waiting>,
}

/// Labels, and who hears whether they are kept.
type Pending = (NewLabels, oneshot::Sender<Result<(), Problem>>);

#[derive(Default)]
struct Waiting {
    pending: Vec<Pending>,
    labels: usize,
    /// Whether a thread is on its way to take them.
    is_committing: bool,
}

/// A label as clients write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    id: String,
    label: Value,
    target: Option<String>,
    at: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Sent {
    Several { labels: Vec<Said> },
    List(Vec<Said>),
    One(Said),
}

const SHAPE: &str =
    r#"send {"id": "...", "label": ...}, or {"labels": [...]} of such; "target" names one of several targets, "at" says when it was true"#;

pub(crate) async fn feedback(mut call: Call) -> Result<Response, Problem> {
    let bytes = call.body(call.app.options.max_body_bytes).await?;
    let Call { app, service, asked, .. } = &call;
    let champion = service.champion();
    let made = champion.artifact.made();
    let in_list = made.labels.iter().map(|list| list.names.len()).max().unwrap_or_default();
    check_values(&bytes, app.options.max_rows.saturating_mul(VALUES_MAX + in_list))?;
    let said = match serde_json::from_slice(&bytes) {
        Ok(Sent::Several { labels } | Sent::List(labels)) => labels,
        Ok(Sent::One(label)) => vec![label],
        Err(error) if error.is_syntax() || error.is_eof() => {
            return Err(Problem::bad(format!("malformed JSON: {error}")).with_hint(SHAPE));
        }
        Err(_) => return Err(Problem::bad("JSON of another shape").with_hint(SHAPE)),
    };
    if said.is_empty() {
        return Err(Problem::bad("found no label, wanted at least one").with_hint(SHAPE));
    }
    // What is said of a list is kept for each of its labels.
    let most = (app.options.max_rows / in_list.max(1)).max(1);
    if said.len() > most {
        let message = format!("found {} labels, wanted at most {most}", said.len());
        return Err(Problem::too_large(message).with_hint("send fewer labels at once"));
    }
    let now_us = (app.world.now_us)();
    let targets: Vec<&Field> = champion.artifact.raw().targets().map(|(field, _)| field).collect();
    let mut unseen = 0;
    let mut labels = Vec::new();
    for (row, said) in said.into_iter().enumerate() {
        if in_list > 0 && said.id.len() > ID_MAX {
            return Err(Problem::misfit("id", Some(row + 1), format!("{} bytes", said.id.len()), format!("1 to {ID_MAX} bytes")));
        }
        if let Some(at) = said.at.as_ref().filter(|at| in_list > 0 && !at.is_null() && moment(at).is_none()) {
            return Err(Problem::misfit("at", Some(row + 1), at, "a time as 2024-12-31T23:59:59Z, or seconds since 1970"));
        }
        for said in each_label(&champion.artifact, &targets, row + 1, said, &mut unseen)? {
            labels.push(label(&targets, row + 1, said, now_us, &mut unseen)?);
        }
    }
    let count = labels.len();
    let batch = NewLabels { name: service.name.to_string(), received_us: now_us, source: "http".to_owned(), labels };
    batch.check().map_err(|error| Problem::fault(&error))?;
    keep(app, batch, asked).await?;
    app.metrics.labels(&service.name, count);
    let mut answer = json!({"stored": count});
    if unseen > 0 {
        answer["unseen_classes"] = unseen.into();
    }
    Ok(Json(answer).into_response())
}

/// What is said of a list of labels, as it is said of each of its labels; of another target, in the spelling that training saw.
fn each_label(artifact: &Artifact, targets: &[&Field], row: usize, said: Said, unseen: &mut usize) -> Result<Vec<Said>, Problem> {
    let made = artifact.made();
    let list = match &said.target {
        Some(target) => made.labels.iter().find(|list| *list.column == **target),
        None => made.labels.first().filter(|list| targets.iter().all(|field| list.targets().any(|name| name == field.name))),
    };
    let Some(list) = list else {
        let target = said.target.as_deref().or(targets.first().map(|field| &*field.name));
        let label = match (&said.label, target) {
            (Value::String(text), Some(target)) => made.class(artifact.raw(), target, text).into(),
            _ => said.label,
        };
        return Ok(vec![Said { label, ..said }]);
    };
    // An empty cell of JSON lists is one that nobody filled in.
    let is_json = list.form.word() == "json";
    let text = match &said.label {
        Value::String(text) if !(is_json && text.trim().is_empty()) => text.clone(),
        other @ (Value::Array(_) | Value::Number(_)) => other.to_string(),
        other => return Err(Problem::misfit("label", Some(row), other, "a list of texts").with_hint(SHAPE)),
    };
    let told = made.told(list, &text).map_err(|_| Problem::misfit("label", Some(row), &said.label, "a list of texts").with_hint(SHAPE))?;
    *unseen += told.1;
    let one = |(target, is): (Arc<str>, &str)| Said {
        id: said.id.clone(),
        label: is.into(),
        target: Some(target.to_string()),
        at: said.at.clone(),
    };
    Ok(told.0.into_iter().map(one).collect())
}

/// A label that can be kept, checked against its target.
fn label(targets: &[&Field], row: usize, said: Said, now_us: i64, unseen: &mut usize) -> Result<NewLabel, Problem> {
    let names = || targets.iter().map(|field| &*field.name).collect::<Vec<_>>().join(", ");
    let field = match &said.target {
        Some(target) => targets.iter().find(|field| *field.name == **target),
        None => targets.first().filter(|_| targets.len() == 1),
    };
    let field = field.ok_or_else(|| {
        let found = said.target.as_deref().unwrap_or("none");
        Problem::misfit("target", Some(row), found, format!("one of {}", names())).with_hint(SHAPE)
    })?;
    let text = match &said.label {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        other => return Err(Problem::misfit("label", Some(row), other, "a text or a number").with_hint(SHAPE)),
    };
    match &field.kind {
        Kind::Number if !text.parse::<f64>().is_ok_and(f64::is_finite) => {
            return Err(Problem::misfit("label", Some(row), format!("{text:?}"), "a number"));
        }
        kind => *unseen += usize::from(kind.classes().is_some_and(|classes| classes.iter().all(|class| **class != text))),
    }
    let at_us = match &said.at {
        None | Some(Value::Null) => now_us,
        Some(at) => {
            moment(at).ok_or_else(|| Problem::misfit("at", Some(row), at, "a time as 2024-12-31T23:59:59Z, or seconds since 1970"))?
        }
    };
    Ok(NewLabel { id: said.id, target: field.name.to_string(), label: text, at_us })
}

fn moment(at: &Value) -> Option<i64> {
    match at {
        Value::String(text) => cupola_watch::moment(text),
        other => other.as_f64().filter(|seconds| seconds.abs() < 1e11).map(|seconds| (seconds * 1e6) as i64),
    }
}

/// Waits until the labels are kept.
async fn keep(app: &Arc<App>, batch: NewLabels, asked: &Asked) -> Result<(), Problem> {
    let (tell, told) = oneshot::channel();
    let leads = {
        let mut waiting = app.feedback.waiting();
        if waiting.labels + batch.labels.len() > WAITING_MAX && waiting.labels > 0 {
            return Err(Problem::queue_full());
        }
        waiting.labels += batch.labels.len();
        waiting.pending.push((batch, tell));
        !std::mem::replace(&mut waiting.is_committing, true)
    };
    if leads {
        let app = app.clone();
        tokio::task::spawn_blocking(move || app.feedback.commit_all());
    }
    match tokio::time::timeout_at(asked.deadline, told).await {
        Ok(Ok(kept)) => kept,
        Ok(Err(_)) => Err(Problem::panicked()),
        Err(_) => Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "the labels were not kept in time")
            .with_hint("send them again: a label may be sent twice")),
    }
}

/// Who commits. Should that panic, the next label finds nobody committing and leads itself.
struct Leads<'a>(&'a Feedback);

impl Leads<'_> {
    /// All that waits; none and the end of committing when nothing does.
    fn next(&self) -> Option<Vec<Pending>> {
        let mut waiting = self.0.waiting();
        waiting.labels = 0;
        waiting.is_committing = !waiting.pending.is_empty();
        waiting.is_committing.then(|| std::mem::take(&mut waiting.pending))
    }
}

impl Drop for Leads<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.waiting() = Waiting::default();
        }
    }
}

impl Feedback {
    pub(crate) fn new(at: StoreAt, durability: Durability) -> Feedback {
        Feedback { at, durability, labels: Mutex::default(), waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what waits until nothing does. What comes meanwhile goes into the next commit.
    fn commit_all(&self) {
        let leads = Leads(self);
        while let Some(pending) = leads.next() {
            let (batches, tell): (Vec<_>, Vec<_>) = pending.into_iter().unzip();
            let kept = self.commit(&batches);
            tell.into_iter().for_each(|tell| drop(tell.send(kept.clone())));
        }
    }

    fn commit(&self, batches: &[NewLabels]) -> Result<(), Problem> {
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = match &*labels {
            Some(labels) => labels.add(batches),
            None => Labels::open(&self.at, self.durability).and_then(|opened| labels.insert(opened).add(batches)),
        };
        kept.map_err(|error| {
            // What broke is opened anew with the next label.
            *labels = None;
            Problem::away(&error)
        })
    }
}
